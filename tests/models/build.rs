//! Writes a module for each mutant: the server's files, one of them with a bug, and a test that the models find it.

use std::path::{Path, PathBuf};
use std::{env, fs};

include!("mutants.rs");

const CELL: &str = "server/src/os/cell.rs";
const CELL_SET: &str = "server/src/os/cell_set.rs";
const MAILBOX: &str = "server/src/shards/mailbox.rs";

fn main() {
    let here = PathBuf::from(env::var("CARGO_MANIFEST_DIR").unwrap());
    let root = here.parent().and_then(Path::parent).unwrap();
    let out = PathBuf::from(env::var("OUT_DIR").unwrap());
    for file in [CELL, CELL_SET, MAILBOX] {
        println!("cargo::rerun-if-changed={}", root.join(file).display());
    }
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=mutants.rs");

    let mut modules = String::new();
    for mutant in MUTANTS {
        let (mut cell, mut mailbox) = (root.join(CELL), root.join(MAILBOX));
        match mutant.file {
            File::Cell => cell = mutate(&cell, mutant, &out),
            File::Mailbox => mailbox = mutate(&mailbox, mutant, &out),
        }
        let (checker, model) = match mutant.caught_by {
            Model::Loom(model) => ("loom", model),
            Model::Shuttle(model) => ("shuttle", model),
        };
        let models = here.join(format!("src/{checker}_models.rs"));
        let (cell_set, Mutant { name, symptom, .. }) = (root.join(CELL_SET), mutant);
        modules += &format!(
            "#[allow(dead_code, clippy::all)]
            mod {name} {{
                use crate::{checker}_sync as sync;
                #[path = {cell:?}] mod cell;
                #[path = {cell_set:?}] mod cell_set;
                #[path = {mailbox:?}] mod mailbox;
                #[path = {models:?}] mod models;
                #[test] fn is_caught() {{ crate::expect_failure(\"{name}::model\", {symptom:?}) }}
                #[test] #[ignore = \"run by is_caught\"] fn model() {{ models::{model}() }}
            }}\n"
        );
    }
    fs::write(out.join("mutants.rs"), modules).unwrap();
}

/// A copy of the file with the mutant's text replaced.
fn mutate(original: &Path, mutant: &Mutant, out: &Path) -> PathBuf {
    let source = fs::read_to_string(original).unwrap();
    let found = source.matches(mutant.text).count();
    assert_eq!(
        found,
        1,
        "mutant {}: {:?} in {}",
        mutant.name,
        mutant.text,
        original.display()
    );
    let copy = out.join(format!("{}.rs", mutant.name));
    fs::write(&copy, source.replace(mutant.text, mutant.replacement)).unwrap();
    copy
}
