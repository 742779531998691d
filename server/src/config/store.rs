//! The configuration that is in force: read by everybody, changed by CONFIG SET.
//!
//! Settings are immutable and shared. A change builds new ones, has its effects applied, and only then publishes
//! them and raises the generation: nobody ever sees half a change, and a refused one was never there.
//!
//! ```text
//! check all -> parse all -> apply effects one by one -> publish -> generation += 1
//!                              | fails: apply those done backwards, from new to old
//! ```

use std::collections::BTreeSet;
use std::fmt;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use ostraka_datatypes::glob::{self, Pattern};

use super::load::{Rename, Startup};
use super::row::{Change, Effect, Row};
use super::settings::{Access, Settings};
use super::value::Reason;
use super::{rewrite, table};
use crate::os::files;

pub struct ConfigStore {
    current: RwLock<Arc<Settings>>,
    /// As they were at the start.
    loaded: Arc<Settings>,
    generation: AtomicU64,
    /// Held by whoever changes the settings or rewrites the file.
    changing: Mutex<()>,
    /// Absolute path.
    file: Option<PathBuf>,
    renames: Vec<Rename>,
}

/// What CONFIG SET needs to know about who asks and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct Caller {
    /// Connected from this host: loopback or a Unix socket.
    pub is_local: bool,
    /// Data is being loaded.
    pub loading: bool,
}

/// Why nothing changed. Displays as the whole error line.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    Unknown(Vec<u8>),
    Argument(Vec<u8>, Reason),
    Loading,
    NoFile,
    Rewrite(String),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy;
        match self {
            Refusal::Unknown(name) => {
                write!(
                    f,
                    "ERR Unknown option or number of arguments for CONFIG SET - '{}'",
                    text(name)
                )
            }
            Refusal::Argument(name, reason) => {
                let name = text(name);
                write!(
                    f,
                    "ERR CONFIG SET failed (possibly related to argument '{name}') - {reason}"
                )
            }
            Refusal::Loading => f.write_str("LOADING Redis is loading the dataset in memory"),
            Refusal::NoFile => f.write_str("ERR The server is running without a config file"),
            Refusal::Rewrite(reason) => write!(f, "ERR Rewriting config file: {reason}"),
        }
    }
}

/// Does what an effect asks for, on the way from the first settings to the second. The refusal becomes part of an
/// error reply; after one, all must be as it was before this call.
pub type Apply<'a> = &'a mut dyn FnMut(Effect, &Settings, &Settings) -> Result<(), String>;

impl ConfigStore {
    pub fn new(startup: &Startup) -> ConfigStore {
        let loaded = Arc::new(startup.settings.clone());
        ConfigStore {
            current: RwLock::new(loaded.clone()),
            loaded,
            generation: AtomicU64::new(0),
            changing: Mutex::new(()),
            file: startup.file.clone(),
            renames: startup.renames.clone(),
        }
    }

    /// What is in force now. A loop keeps them and asks again when the generation has risen: one atomic load as long
    /// as nothing changes.
    pub fn settings(&self) -> Arc<Settings> {
        self.current
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Rises with every change.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// The configuration file, for INFO.
    pub fn file(&self) -> Option<&PathBuf> {
        self.file.as_ref()
    }

    /// The `rename-command` lines of the start.
    pub fn renames(&self) -> &[Rename] {
        &self.renames
    }

    /// CONFIG GET: name and value of every row that one of the patterns fits, each once, in the order of the table.
    pub fn get(&self, patterns: &[&[u8]]) -> Vec<(&'static str, Vec<u8>)> {
        let settings = self.settings();
        let mut found = Vec::new();
        for &at in table::by_section() {
            let row = table::row(at);
            let asked = row
                .names()
                .filter(|name| patterns.iter().any(|pattern| asks_for(pattern, name, row)));
            found.extend(asked.map(|name| (name, row.kind.print(&settings.values[at]))));
        }
        found
    }

    /// CONFIG SET: all pairs or none. Returns the rows whose value is another one now.
    pub fn set(
        &self,
        pairs: &[(&[u8], &[u8])],
        caller: Caller,
        apply: Apply<'_>,
    ) -> Result<Vec<&'static Row>, Refusal> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let old = self.settings();
        let rows = allowed(pairs, caller, &old)?;
        let mut values = old.values.clone();
        for ((name, value), (at, row)) in pairs.iter().zip(&rows) {
            let parsed = row.kind.parse(&[value], &values[*at], false);
            values[*at] = parsed.map_err(|reason| refuse(&name.to_ascii_lowercase(), reason))?;
        }
        let new = old.with(values);
        let changed: Vec<_> = rows
            .into_iter()
            .map(|(at, row)| (row, old.values[at] != new.values[at]))
            .collect();
        apply_effects(pairs, &changed, &old, &new, apply)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(new);
        self.generation.fetch_add(1, Ordering::Release);
        Ok(changed
            .into_iter()
            .filter(|(_, changed)| *changed)
            .map(|(row, _)| row)
            .collect())
    }

    /// CONFIG REWRITE: brings the file up to what is in force; with `all`, defaults are written out too.
    pub fn rewrite(&self, all: bool) -> Result<(), Refusal> {
        let _changing = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let file = self.file.as_ref().ok_or(Refusal::NoFile)?;
        let written = match files::read(file) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            old => {
                let old = old.unwrap_or_default();
                files::replace(
                    file,
                    &rewrite::rewrite(&old, &self.settings(), &self.loaded, all),
                )
            }
        };
        written.map_err(|error| Refusal::Rewrite(files::reason(&error)))
    }
}

/// A plain name asks for hidden rows as well.
fn asks_for(asked: &[u8], name: &str, row: &Row) -> bool {
    if Pattern::new(asked).exact().is_none() {
        !row.hidden && glob::matches_nocase(asked, name.as_bytes())
    } else {
        asked.eq_ignore_ascii_case(name.as_bytes())
    }
}

fn refuse(name: &[u8], reason: impl Into<Reason>) -> Refusal {
    Refusal::Argument(name.to_vec(), reason.into())
}

/// The rows of all pairs, if each may be set by this caller. That data is being loaded outweighs all else: clients
/// try again then.
fn allowed(
    pairs: &[(&[u8], &[u8])],
    caller: Caller,
    settings: &Settings,
) -> Result<Vec<(usize, &'static Row)>, Refusal> {
    let denied =
        |(name, _): &(&[u8], &[u8])| table::lookup(name).is_some_and(|row| row.deny_loading);
    if caller.loading && pairs.iter().any(denied) {
        return Err(Refusal::Loading);
    }
    let mut names = BTreeSet::new();
    let mut rows = Vec::with_capacity(pairs.len());
    for (name, _) in pairs {
        let (at, row) = table::find(name).ok_or_else(|| Refusal::Unknown(name.to_vec()))?;
        let reason = match row.change {
            Change::Immutable => Some("can't set immutable config"),
            Change::Protected if !may_set_protected(caller, settings) => {
                Some("can't set protected config")
            }
            _ if !names.insert(name.to_ascii_lowercase()) => Some("duplicate parameter"),
            _ => None,
        };
        match reason {
            Some(reason) => return Err(refuse(name, reason)),
            None => rows.push((at, row)),
        }
    }
    Ok(rows)
}

fn may_set_protected(caller: Caller, settings: &Settings) -> bool {
    match settings.enable_protected_configs {
        Access::Yes => true,
        Access::Local => caller.is_local,
        Access::No => false,
    }
}

/// Runs each effect of the changed rows once, in the order of the pairs; takes them back if one fails.
fn apply_effects(
    pairs: &[(&[u8], &[u8])],
    changed: &[(&'static Row, bool)],
    old: &Settings,
    new: &Settings,
    apply: Apply<'_>,
) -> Result<(), Refusal> {
    let mut done: Vec<Effect> = Vec::new();
    for ((name, _), (row, changed)) in pairs.iter().zip(changed) {
        let Some(effect) = row
            .effect
            .filter(|effect| *changed && !done.contains(effect))
        else {
            continue;
        };
        if let Err(reason) = apply(effect, old, new) {
            for effect in done.into_iter().rev() {
                if let Err(reason) = apply(effect, new, old) {
                    tracing::warn!(
                        "Failed applying restored value after CONFIG SET: {effect:?}: {reason}"
                    );
                }
            }
            return Err(refuse(&name.to_ascii_lowercase(), reason));
        }
        done.push(effect);
    }
    Ok(())
}
