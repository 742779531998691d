//! Configuration through its front door: sources in, CONFIG GET, SET and REWRITE, texts of refusals.

mod files;
mod get_set;
mod rewriting;
mod rows;

use std::fs;
use std::path::{Path, PathBuf};

use ostraka_server::config::command_line::{Invocation, Source, parse};
use ostraka_server::config::load::load_text;
use ostraka_server::config::settings::{EvictionPolicy, LogLevel};
use ostraka_server::config::value::MemoryShare;
use ostraka_server::config::{
    Caller, ConfigStore, Effect, Machine, Refusal, Settings, StartError, Startup, load, sample,
    table,
};

fn machine() -> Machine {
    Machine {
        cores: 3,
        directory: b"/".to_vec(),
    }
}

fn started(text: &str) -> Startup {
    load_text(text.as_bytes(), None, &machine()).unwrap_or_else(|error| panic!("{error}"))
}

fn store(text: &str) -> ConfigStore {
    ConfigStore::new(&started(text))
}

fn get(store: &ConfigStore, patterns: &[&str]) -> Vec<(&'static str, String)> {
    let patterns: Vec<&[u8]> = patterns.iter().map(|p| p.as_bytes()).collect();
    let found = store.get(&patterns).into_iter();
    found
        .map(|(name, value)| (name, String::from_utf8(value).unwrap()))
        .collect()
}

fn one(store: &ConfigStore, name: &str) -> String {
    let found = get(store, &[name]);
    assert_eq!(found.len(), 1, "{name}");
    found[0].1.clone()
}

/// CONFIG SET with the words of a line; values in it have no spaces.
fn set(store: &ConfigStore, line: &str) -> Result<usize, String> {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let pairs: Vec<_> = words.chunks(2).map(|pair| (pair[0], pair[1])).collect();
    set_pairs(store, &pairs, Caller::default())
}

fn set_pairs(
    store: &ConfigStore,
    pairs: &[(&[u8], &[u8])],
    caller: Caller,
) -> Result<usize, String> {
    let changed = store.set(pairs, caller, &mut |_, _, _| Ok(()));
    changed
        .map(|rows| rows.len())
        .map_err(|refusal| refusal.to_string())
}

fn set_one(store: &ConfigStore, name: &str, value: &str) -> Result<usize, String> {
    set_pairs(
        store,
        &[(name.as_bytes(), value.as_bytes())],
        Caller::default(),
    )
}

/// A directory of its own for each test, gone afterwards.
struct Scratch(PathBuf);

impl Scratch {
    fn new(test: &str) -> Scratch {
        let path =
            std::env::temp_dir().join(format!("ostraka-config-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Scratch(path.canonicalize().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    fn load(&self, file: &str, options: &[&str]) -> Result<Startup, StartError> {
        let machine = Machine {
            cores: 3,
            directory: self.0.clone().into_os_string().into_encoded_bytes(),
        };
        let words = std::iter::once(&file)
            .chain(options)
            .map(|word| word.as_bytes().to_vec());
        match parse(&words.collect::<Vec<_>>()) {
            Invocation::Serve(source) => load(&source, &machine),
            other => panic!("{other:?}"),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}
