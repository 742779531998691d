//! From the sources of a configuration to `Settings`: the reader of redis.conf lines.
//!
//! ```text
//! line     = blank | '#' anything | name argument...
//! include  = include path-or-glob      read in place, relative to the working directory of that moment
//! ```
//! The last line about a directive wins, but save points add up and output limits change class by class. The first
//! error stops the start with the text that Redis prints, down to the line and its number.

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use ostraka_datatypes::glob::{self, Pattern};

use super::command_line::Source;
use super::row::Machine;
use super::settings::Settings;
use super::value::{Field, Reason, Value};
use super::{quote, table};
use crate::os::files;
use crate::version;

/// All that the sources said.
pub struct Startup {
    pub settings: Settings,
    /// Absolute path of the configuration file: what CONFIG REWRITE rewrites.
    pub file: Option<PathBuf>,
    /// `rename-command` lines; who knows the commands must apply or refuse them.
    pub renames: Vec<Rename>,
    /// Words of the `user` lines, without the first.
    pub users: Vec<Vec<Vec<u8>>>,
    /// Words of the `loadmodule` lines, without the first.
    pub modules: Vec<Vec<Vec<u8>>>,
}

/// `rename-command from to`; an empty `to` takes the command away.
#[derive(Clone)]
pub struct Rename {
    pub from: Vec<u8>,
    pub to: Vec<u8>,
    place: Place,
}

impl Rename {
    /// The refusal of this line, in the shape of all others.
    pub fn refused(&self, reason: impl Into<Reason>) -> StartError {
        StartError::Line(self.place.clone(), reason.into())
    }
}

/// A line of configuration: its number from 1, and its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub number: usize,
    pub text: Vec<u8>,
}

/// Why the server does not start. Displays as the whole text to print.
#[derive(Debug, PartialEq, Eq)]
pub enum StartError {
    Line(Place, Reason),
    /// Every line is fine, but not all of them together.
    Whole(Reason),
    /// A file that cannot be read.
    Open(PathBuf, Reason),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let StartError::Open(path, reason) = self {
            return write!(
                f,
                "Fatal error, can't open config file '{}': {reason}",
                path.display()
            );
        }
        writeln!(
            f,
            "\n*** FATAL CONFIG FILE ERROR (Redis {}) ***",
            version::REDIS
        )?;
        match self {
            StartError::Line(Place { number, text }, reason) => {
                writeln!(f, "Reading the configuration file, at line {number}")?;
                writeln!(f, ">>> '{}'", String::from_utf8_lossy(text))?;
                writeln!(f, "{reason}")
            }
            StartError::Whole(reason) | StartError::Open(_, reason) => writeln!(f, "{reason}"),
        }
    }
}

impl std::error::Error for StartError {}

/// Reads file, standard input and options, in this order.
pub fn load(source: &Source, machine: &Machine) -> Result<Startup, StartError> {
    let working_directory = Path::new(OsStr::from_bytes(&machine.directory));
    let file = source
        .file
        .as_ref()
        .map(|file| working_directory.join(file));
    let mut text = match &file {
        Some(path) => files::read(path).map_err(|error| cannot_open(path, &error))?,
        None => Vec::new(),
    };
    if source.stdin {
        text.extend(files::read_stdin().map_err(|error| cannot_open(Path::new("-"), &error))?);
    }
    if !source.options.is_empty() {
        text.push(b'\n');
        text.extend(&source.options);
    }
    load_text(&text, file, machine)
}

/// Reads one text that stands for all sources.
pub fn load_text(
    text: &[u8],
    file: Option<PathBuf>,
    machine: &Machine,
) -> Result<Startup, StartError> {
    let defaults = Settings::defaults(machine);
    let mut reader = Reader {
        values: defaults.values.clone(),
        met: vec![false; table::rows().count()],
        depth: 0,
        renames: Vec::new(),
        users: Vec::new(),
        modules: Vec::new(),
    };
    reader.text(text)?;
    let Reader {
        values,
        renames,
        users,
        modules,
        ..
    } = reader;
    let startup = Startup {
        settings: defaults.with(values),
        file,
        renames,
        users,
        modules,
    };
    check_whole(&startup.settings)?;
    Ok(startup)
}

fn cannot_open(path: &Path, error: &io::Error) -> StartError {
    StartError::Open(path.to_path_buf(), files::reason(error).into())
}

fn check_whole(settings: &Settings) -> Result<(), StartError> {
    if settings.get("cluster-enabled") == b"yes" && !settings.get("replicaof").is_empty() {
        return Err(StartError::Whole(
            "replicaof directive not allowed in cluster mode".into(),
        ));
    }
    match &settings.logfile {
        Some(log) => files::check_appendable(&settings.dir.join(log)).map_err(|error| {
            StartError::Whole(format!("Can't open the log file: {}", files::reason(&error)).into())
        }),
        None => Ok(()),
    }
}

impl Startup {
    /// One line for the log if something was asked for that is not built yet.
    pub fn warning(&self) -> Option<String> {
        let names: Vec<&str> = self
            .unbuilt_settings()
            .chain(self.unbuilt_lines())
            .collect();
        let names = (!names.is_empty()).then(|| names.join(", "))?;
        Some(format!(
            "WARNING: these directives have no effect in this version: {names}"
        ))
    }

    fn unbuilt_settings(&self) -> impl Iterator<Item = &'static str> {
        let settings = &self.settings;
        let values = settings.values.iter().zip(settings.defaults.iter());
        table::rows()
            .zip(values)
            .filter_map(|(row, (value, default))| {
                let in_use = value != default && !row.kind.asks_for_nothing(value);
                (in_use && !row.built).then_some(row.name)
            })
    }

    fn unbuilt_lines(&self) -> impl Iterator<Item = &'static str> {
        let users = (!self.users.is_empty()).then_some("user");
        let modules = (!self.modules.is_empty()).then_some("loadmodule");
        [users, modules].into_iter().flatten()
    }
}

/// Lines that only a file can hold and that are no setting: CONFIG REWRITE leaves them as they are.
pub(super) const FILE_ONLY: [&str; 5] = [
    "include",
    "rename-command",
    "user",
    "loadmodule",
    "sentinel",
];

/// Once known to Redis or Valkey, without effect there as well.
pub(super) const IGNORED: [&str; 5] = [
    "events-per-io-thread",
    "io-threads-do-reads",
    "list-max-ziplist-entries",
    "list-max-ziplist-value",
    "lua-replicate-commands",
];

/// Far more than anybody nests on purpose; a file that includes itself ends here.
const MAX_INCLUDE_DEPTH: usize = 16;

struct Reader {
    values: Vec<Value>,
    /// Rows that a line was about.
    met: Vec<bool>,
    depth: usize,
    renames: Vec<Rename>,
    users: Vec<Vec<Vec<u8>>>,
    modules: Vec<Vec<Vec<u8>>>,
}

/// A refusal of this line, or of a line in the file that it includes.
enum Refused {
    Here(Reason),
    Below(StartError),
}

impl<R: Into<Reason>> From<R> for Refused {
    fn from(reason: R) -> Refused {
        Refused::Here(reason.into())
    }
}

impl Reader {
    fn text(&mut self, text: &[u8]) -> Result<(), StartError> {
        for (at, line) in text.split(|byte| *byte == b'\n').enumerate() {
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let place = Place {
                number: at + 1,
                text: line.to_vec(),
            };
            self.line(line, &place).map_err(|refused| match refused {
                Refused::Here(reason) => StartError::Line(place, reason),
                Refused::Below(error) => error,
            })?;
        }
        Ok(())
    }

    fn line(&mut self, line: &[u8], place: &Place) -> Result<(), Refused> {
        let words = quote::split(line).ok_or("Unbalanced quotes in configuration line")?;
        let Some((name, args)) = words.split_first() else {
            return Ok(());
        };
        let name = name.to_ascii_lowercase();
        match (name.as_slice(), args) {
            (b"include", [path]) => self.include(path),
            (b"rename-command", [from, to]) => {
                self.renames.push(Rename {
                    from: from.clone(),
                    to: to.clone(),
                    place: place.clone(),
                });
                Ok(())
            }
            (b"user", [_, ..]) => {
                self.users.push(args.to_vec());
                Ok(())
            }
            (b"loadmodule", [_, ..]) => {
                self.modules.push(args.to_vec());
                Ok(())
            }
            (b"sentinel", _) => Err("sentinel directive while not in sentinel mode".into()),
            (name, [_]) if IGNORED.iter().any(|ignored| ignored.as_bytes() == name) => Ok(()),
            (name, args) => self.setting(name, args),
        }
    }

    fn setting(&mut self, name: &[u8], args: &[Vec<u8>]) -> Result<(), Refused> {
        let (at, row) = table::find(name).ok_or("Bad directive or wrong number of arguments")?;
        let args: Vec<&[u8]> = args.iter().map(Vec::as_slice).collect();
        self.values[at] = row.kind.parse(&args, &self.values[at], self.met[at])?;
        self.met[at] = true;
        Ok(())
    }

    fn include(&mut self, path: &[u8]) -> Result<(), Refused> {
        if self.depth == MAX_INCLUDE_DEPTH {
            return Err("Files include one another too deeply".into());
        }
        let given = Path::new(OsStr::from_bytes(path));
        let (dir, _) = table::find(b"dir").expect("a row of the table");
        let path = PathBuf::of(&self.values[dir]).join(given);
        self.depth += 1;
        for file in expand(&path) {
            let text =
                files::read(&file).map_err(|error| Refused::Below(cannot_open(given, &error)))?;
            self.text(&text).map_err(Refused::Below)?;
        }
        self.depth -= 1;
        Ok(())
    }
}

/// The paths that a path with globs stands for, in alphabetical order; itself if it has none.
fn expand(path: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::new()];
    for component in path.components() {
        found = match component {
            Component::Normal(name) if Pattern::new(name.as_bytes()).exact().is_none() => found
                .iter()
                .flat_map(|directory| matching(directory, name.as_bytes()))
                .collect(),
            other => found.into_iter().map(|found| found.join(other)).collect(),
        };
    }
    found
}

/// Paths in a directory whose name fits; a leading dot has to be asked for. A directory that cannot be read has none.
fn matching(directory: &Path, pattern: &[u8]) -> Vec<PathBuf> {
    let names = files::names(directory).unwrap_or_default();
    let fits = |name: &String| {
        name.starts_with('.') <= pattern.starts_with(b".")
            && glob::matches(pattern, name.as_bytes())
    };
    names
        .into_iter()
        .filter(fits)
        .map(|name| directory.join(name))
        .collect()
}
