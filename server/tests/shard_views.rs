//! A view of a database, and a keeper, survives what happens to the database as a whole: it is flushed, swapped, flushed again.

use std::any::Any;
use std::collections::BTreeSet;

use ostraka_datatypes::hash::{Seed, hash};
use ostraka_datatypes::raw::entry::{Entry, Value};
use ostraka_datatypes::raw::table::{Elements, Keeper, Progress, ViewId, Visitor};
use ostraka_server::server::{DbId, Shard};

const KEYS: usize = 5000;

/// Gathers the names that it is shown.
#[derive(Default)]
struct Names(Vec<Vec<u8>>);

impl Visitor<Entry> for Names {
    fn visit(&mut self, entries: Elements<'_, Entry>) {
        self.0.extend(entries.map(|entry| entry.key().to_vec()));
    }
}

struct Fixture {
    shard: Shard,
    seed: Seed,
}

impl Fixture {
    fn new() -> Self {
        let seed = Seed::new(5);
        Self {
            shard: Shard::new(2, seed),
            seed,
        }
    }

    fn fill(&mut self, db: usize, name: &str) -> BTreeSet<Vec<u8>> {
        let names: BTreeSet<_> = (0..KEYS)
            .map(|n| format!("{name}:{n}").into_bytes())
            .collect();
        for name in &names {
            let entry = Entry::new(name, Value::Int(1), None);
            self.shard
                .db_mut(db)
                .insert(hash(&self.seed, name), entry, 0);
        }
        names
    }

    fn view(&mut self, db: usize) -> (DbId, ViewId) {
        self.shard.begin_view(db, Box::<Names>::default())
    }

    /// Walks to the end and returns what was seen, each name once, and whether a flushed database came free.
    fn finish(&mut self, view: (DbId, ViewId)) -> (BTreeSet<Vec<u8>>, bool) {
        while self.shard.step_view(view) == Progress::More {}
        let (visitor, freed) = self.shard.end_view(view);
        let visitor: Box<dyn Any> = visitor.expect("it was not ended before");
        let names = visitor.downcast::<Names>().expect("what was begun").0;
        let count = names.len();
        let names: BTreeSet<_> = names.into_iter().collect();
        assert_eq!(names.len(), count, "a name came twice");
        (names, freed.is_some())
    }
}

#[test]
fn a_flushed_database_is_kept_until_its_last_view_ends() {
    let mut it = Fixture::new();
    let names = it.fill(0, "old");
    let (one, other) = (it.view(0), it.view(0));
    assert_eq!(it.shard.step_view(one), Progress::More);
    let (keys, freed) = it.shard.flush(0);
    assert!(keys == KEYS && freed.is_none());
    it.fill(0, "new");
    assert_eq!(it.finish(one), (names.clone(), false));
    assert_eq!(it.finish(other), (names, true));
    let (_, freed) = it.shard.flush(0);
    assert_eq!(freed.map(|db| db.len()), Some(KEYS));
}

#[test]
fn views_follow_their_databases_through_swaps() {
    let mut it = Fixture::new();
    let (zero, one) = (it.fill(0, "zero"), it.fill(1, "one"));
    let (of_zero, of_one) = (it.view(0), it.view(1));
    it.shard.swap(0, 1, 0);
    // What was database 1 is flushed as database 0, swapped back empty, and filled again.
    assert!(it.shard.flush(0).1.is_none());
    it.shard.swap(0, 1, 0);
    it.fill(1, "more");
    assert_eq!(it.finish(of_zero), (zero, false));
    assert_eq!(it.finish(of_one), (one, true));
}

#[test]
fn a_view_of_a_database_that_was_emptied_key_by_key_has_seen_it_all() {
    let mut it = Fixture::new();
    let names = it.fill(0, "key");
    let view = it.view(0);
    for name in &names {
        let at = hash(&it.seed, name);
        let entry = it.shard.db_mut(0).table().remove(at, name);
        assert!(entry.is_some());
    }
    assert!(it.shard.flush(0).1.is_none());
    assert_eq!(it.finish(view), (names, false));
}

/// Keeps nothing.
struct Deaf;

impl Keeper<Entry> for Deaf {
    fn keep(&mut self, _: &[u8], _: Option<&Entry>) {}
}

#[test]
fn a_flushed_database_is_kept_until_its_last_keeper_ends() {
    let mut it = Fixture::new();
    let names = it.fill(0, "old");
    let (keeper, view) = (it.shard.begin_keeping(0, Box::new(Deaf)), it.view(0));
    it.shard.swap(0, 1, 0);
    assert!(it.shard.flush(1).1.is_none());
    it.fill(1, "new");
    assert_eq!(it.finish(view), (names.clone(), false));
    let (_, table) = it.shard.keeper(keeper);
    assert!(table.iter().all(|entry| names.contains(entry.key())));
    let (_, flushed) = it.shard.end_keeping(keeper);
    assert_eq!(flushed.map(|db| db.len()), Some(KEYS));
}
