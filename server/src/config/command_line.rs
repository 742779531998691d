//! The command line, read as redis-server reads it: a pure function from arguments to what is asked for.
//!
//! ```text
//! ostraka [config-file] [-] [--directive value ...]...
//! ```
//! Options become lines of configuration after those of the file, so they win, and errors in them are reported as
//! lines: `--port 6380 --save ''` is `port "6380"` and `save ""`. The first argument after a name is its value even
//! if it begins with `--`; `--save` alone is the exception and means no save points.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::quote;
use crate::version;

#[derive(Debug, PartialEq, Eq)]
pub enum Invocation {
    Serve(Source),
    /// Print this and exit with 0.
    Print(String),
    /// Print this as an error and exit with 1.
    Refuse(String),
}

/// Where the configuration comes from; what is read later wins.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Source {
    pub file: Option<PathBuf>,
    pub stdin: bool,
    /// Lines made of the options.
    pub options: Vec<u8>,
}

/// Reads the arguments after the name of the program.
pub fn parse(args: &[Vec<u8>]) -> Invocation {
    match args.first().map(Vec::as_slice) {
        Some(b"-v" | b"--version") => Invocation::Print(version_line()),
        Some(b"-h" | b"--help") => Invocation::Print(USAGE.to_owned()),
        Some(b"--test-memory") => Invocation::Refuse(
            "ostraka does not test memory. Use a tool made for it, such as memtester or memtest86+.\n".to_owned(),
        ),
        Some(b"--check-system") => Invocation::Refuse(
            "ostraka does not check the system. What it finds wanting it says in its log when it starts.\n".to_owned(),
        ),
        _ => Invocation::Serve(source(args)),
    }
}

fn source(args: &[Vec<u8>]) -> Source {
    let mut source = Source::default();
    let mut rest = args;
    if let Some((first, after)) = args.split_first()
        && !first.starts_with(b"-")
    {
        source.file = Some(Path::new(OsStr::from_bytes(first)).to_path_buf());
        rest = after;
    }
    let mut options = Options::default();
    for (at, arg) in rest.iter().enumerate() {
        let is_edge = rest.len() == args.len() && at == 0 || at + 1 == rest.len();
        if arg == b"-" && is_edge {
            source.stdin = true;
        } else {
            options.push(arg, rest.get(at + 1).map(Vec::as_slice));
        }
    }
    source.options = options.text;
    source
}

#[derive(Default)]
struct Options {
    text: Vec<u8>,
    /// The last word was a name alone: the next one is its value whatever it looks like.
    wants_value: bool,
}

impl Options {
    fn push(&mut self, arg: &[u8], next: Option<&[u8]>) {
        match arg.strip_prefix(b"--") {
            Some(name) if !self.wants_value => self.push_name(name, next),
            _ => {
                self.text.extend(quote::quoted(arg));
                self.text.push(b' ');
                self.wants_value = false;
            }
        }
    }

    /// The name may bring its values along: `"--port 6380"`.
    fn push_name(&mut self, name: &[u8], next: Option<&[u8]>) {
        if !self.text.is_empty() {
            self.text.push(b'\n');
        }
        self.text.extend(name);
        self.text.push(b' ');
        let is_alone = quote::split(name).is_some_and(|words| words.len() == 1);
        if is_alone
            && name.eq_ignore_ascii_case(b"save")
            && next.is_none_or(|next| next.starts_with(b"--"))
        {
            self.text.extend(b"\"\"");
        } else {
            self.wants_value = is_alone;
        }
    }
}

/// In the shape of redis-server's, which tools search for `v=`.
fn version_line() -> String {
    format!(
        "Redis server v={} sha=00000000:0 malloc=jemalloc bits={} build=ostraka-{}\n",
        version::REDIS,
        usize::BITS,
        version::OSTRAKA
    )
}

const USAGE: &str = "\
Usage: ostraka [/path/to/ostraka.conf] [options] [-]
       ostraka - (read config from stdin)
       ostraka -v or --version
       ostraka -h or --help

Options are directives of the configuration file with two dashes in front.

Examples:
       ostraka (run the server with default conf)
       echo 'maxmemory 128mb' | ostraka -
       ostraka /etc/ostraka/6379.conf
       ostraka --port 7777
       ostraka --port 7777 --shards 4 --save ''
       ostraka /etc/ostraka.conf --loglevel verbose -
";

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Vec<Vec<u8>> {
        words.iter().map(|word| word.as_bytes().to_vec()).collect()
    }

    fn options(words: &[&str]) -> String {
        let Invocation::Serve(source) = parse(&args(words)) else {
            panic!("{words:?} should serve")
        };
        assert!(source.file.is_none() && !source.stdin);
        String::from_utf8(source.options).unwrap()
    }

    #[test]
    fn options_become_lines() {
        assert_eq!(
            options(&["--port", "6380", "--bind", "a", "b"]),
            "port \"6380\" \nbind \"a\" \"b\" "
        );
        assert_eq!(options(&["--port 6380", "--hz 5"]), "port 6380 \nhz 5 ");
        assert_eq!(
            options(&["--port", "--loglevel", "verbose"]),
            "port \"--loglevel\" \"verbose\" "
        );
        assert_eq!(
            options(&["--port", "--bla", "--hz", "1"]),
            "port \"--bla\" \nhz \"1\" "
        );
        assert_eq!(
            options(&["--requirepass", "a\"\n"]),
            "requirepass \"a\\\"\\n\" "
        );
    }

    #[test]
    fn save_without_a_value_means_no_save_points() {
        assert_eq!(options(&["--save"]), "save \"\"");
        assert_eq!(options(&["--save", "--hz", "1"]), "save \"\"\nhz \"1\" ");
        assert_eq!(
            options(&["--save", "", "--hz", "1"]),
            "save \"\" \nhz \"1\" "
        );
        assert_eq!(options(&["--save", "900", "1"]), "save \"900\" \"1\" ");
        let template = options(&["--proc-title-template", "--save", "--save", ""]);
        assert_eq!(template, "proc-title-template \"--save\" \nsave \"\" ");
    }

    #[test]
    fn a_file_comes_first_and_stdin_first_or_last() {
        let served = |words: &[&str]| match parse(&args(words)) {
            Invocation::Serve(source) => source,
            other => panic!("{other:?}"),
        };
        let file = served(&["a.conf", "loglevel", "verbose", "--hz 5", "-"]);
        assert_eq!(file.file, Some(PathBuf::from("a.conf")));
        assert!(file.stdin);
        assert_eq!(file.options, b"\"loglevel\" \"verbose\" \nhz 5 ");
        assert!(served(&["-"]).stdin);
        assert!(served(&["-", "--port", "1"]).stdin);
        assert!(!served(&["--port", "-", "--hz", "1"]).stdin);
        assert_eq!(served(&[]), Source::default());
    }

    #[test]
    fn questions_are_answered_without_a_server() {
        assert!(
            matches!(parse(&args(&["--version"])), Invocation::Print(text) if text.contains(" v=7.2.4 "))
        );
        assert!(matches!(parse(&args(&["-h"])), Invocation::Print(_)));
        assert!(matches!(
            parse(&args(&["--test-memory", "100"])),
            Invocation::Refuse(_)
        ));
        assert!(matches!(
            parse(&args(&["--check-system"])),
            Invocation::Refuse(_)
        ));
    }
}
