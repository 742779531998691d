//! A database of hashes whose fields have deadlines, against a map of maps: whatever is done to key and fields, active
//! expiry finds everything that is due, nothing sooner, and removes hashes that have lost all.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ostraka_datatypes::db::{Db, EntryRef, Gone, Lookup};
use ostraka_datatypes::hash::{Seed, hash};
use ostraka_datatypes::hashes::{self, FieldTtl, HashMut, HashRef, Limits};
use ostraka_datatypes::raw::entry::{Entry, Type, Value};
use proptest::prelude::*;

/// Made once: each leaks a little.
static SEED: LazyLock<Seed> = LazyLock::new(|| Seed::new(9));

#[derive(Clone, Debug)]
enum Op {
    Set(u8, u8, Option<u64>),
    Deadline(u8, u8, Option<u64>),
    Remove(u8, u8),
    Delete(u8),
    KeyDeadline(u8, Option<u64>),
    Rename(u8, u8),
    Overwrite(u8),
    Pass(u64),
    Expire(usize),
}

fn op() -> impl Strategy<Value = Op> {
    let (key, field) = (0_u8..5, 0_u8..12);
    let deadline = prop_oneof![1 => Just(None), 3 => (1_u64..5000).prop_map(Some)];
    let (k, f, d) = (key.clone(), field.clone(), deadline.clone());
    prop_oneof![
        8 => (k.clone(), f.clone(), d.clone()).prop_map(|(key, field, at)| Op::Set(key, field, at)),
        6 => (k.clone(), f.clone(), d.clone()).prop_map(|(key, field, at)| Op::Deadline(key, field, at)),
        3 => (k.clone(), f).prop_map(|(key, field)| Op::Remove(key, field)),
        1 => k.clone().prop_map(Op::Delete),
        2 => (k.clone(), d).prop_map(|(key, at)| Op::KeyDeadline(key, at)),
        1 => (k.clone(), k.clone()).prop_map(|(from, to)| Op::Rename(from, to)),
        1 => k.prop_map(Op::Overwrite),
        5 => (1_u64..400).prop_map(Op::Pass),
        3 => (1_usize..20).prop_map(Op::Expire),
    ]
}

type Fields = BTreeMap<u8, Option<u64>>;

struct Pair {
    db: Db,
    seed: Seed,
    limits: Limits,
    now_ms: u64,
    /// Fields, and the key's deadline.
    model: BTreeMap<u8, (Fields, Option<u64>)>,
}

impl Pair {
    fn hash(&self, key: u8) -> u64 {
        hash(&self.seed, &[key])
    }

    /// Forgets keys whose own deadline has passed, as whoever looks for them does.
    fn modify(&mut self, key: u8, change: impl FnOnce(HashMut<'_>)) {
        let (now_ms, limits, hash) = (self.now_ms, self.limits, self.hash(key));
        match self.db.find(hash, &[key], now_ms) {
            Lookup::Live(mut found) => {
                found.update(|entry| change(HashMut::of(entry, now_ms, limits)));
                if found.entry().is_empty_collection() {
                    drop(found.remove());
                } else {
                    found.file_fields();
                }
            }
            Lookup::Expired | Lookup::Missing => {
                let mut entry = Entry::packed(Type::Hash, &[key], &[], None);
                change(HashMut::of(&mut entry, now_ms, limits));
                if !entry.is_empty_collection() {
                    self.db.insert(hash, entry, 0);
                }
            }
        }
    }

    fn apply(&mut self, op: Op) {
        let now_ms = self.now_ms;
        self.model
            .retain(|_, (_, deadline)| deadline.is_none_or(|at| at > now_ms));
        match op {
            Op::Set(key, field, at) => {
                let at = at.map(|ms| now_ms + ms);
                let ttl = at.map_or(FieldTtl::Clear, FieldTtl::At);
                self.modify(key, |mut hash| {
                    hash.set(&[field], b"value", ttl);
                });
                self.model.entry(key).or_default().0.insert(field, at);
            }
            Op::Deadline(key, field, at) => {
                let at = at.map(|ms| now_ms + ms);
                self.modify(key, |mut hash| {
                    if hash.read().get(&[field]).is_some() {
                        hash.set_deadline(&[field], at);
                    }
                });
                let field = self
                    .model
                    .get_mut(&key)
                    .and_then(|(fields, _)| fields.get_mut(&field));
                if let Some(old) = field.filter(|old| old.is_none_or(|old| old > now_ms)) {
                    *old = at;
                }
            }
            Op::Remove(key, field) => {
                self.modify(key, |mut hash| {
                    hash.remove(&[field]);
                });
                if let Some((fields, _)) = self.model.get_mut(&key) {
                    fields.remove(&field);
                }
                self.model.retain(|_, (fields, _)| !fields.is_empty());
            }
            Op::Delete(key) => {
                self.take(key);
            }
            Op::KeyDeadline(key, at) => {
                let at = at.map(|ms| now_ms + ms);
                let hash = self.hash(key);
                if let Lookup::Live(mut found) = self.db.find(hash, &[key], now_ms) {
                    found.set_deadline(at);
                    self.model.get_mut(&key).expect("a live key").1 = at;
                }
            }
            Op::Rename(from, to) if from != to => {
                let fields = self.model.get(&from).cloned();
                if let Some(entry) = self.take(from) {
                    self.take(to);
                    self.db.insert(self.hash(to), entry.rename(&[to]), 0);
                    self.model.insert(to, fields.expect("a live key"));
                }
            }
            Op::Rename(..) => {}
            Op::Overwrite(key) => {
                let hash = self.hash(key);
                if let Lookup::Live(mut found) = self.db.find(hash, &[key], now_ms) {
                    found.replace(Value::Int(1), None);
                    drop(found.remove());
                    self.model.remove(&key);
                }
            }
            Op::Pass(ms) => self.now_ms += ms,
            Op::Expire(budget) => drop(self.expire(budget)),
        }
    }

    fn take(&mut self, key: u8) -> Option<Entry> {
        self.model.remove(&key);
        match self.db.find(self.hash(key), &[key], self.now_ms) {
            Lookup::Live(found) => Some(found.remove()),
            Lookup::Expired | Lookup::Missing => None,
        }
    }

    /// Whether more is due.
    fn expire(&mut self, budget: usize) -> bool {
        let (now_ms, model) = (self.now_ms, &mut self.model);
        let slice = self.db.expire(now_ms, budget, |gone| match gone {
            Gone::Entry(entry, deadline) => {
                assert!(deadline <= now_ms);
                model.remove(&entry.key()[0]);
            }
            Gone::Fields(entry, deadlines) => {
                assert!(deadlines.iter().all(|deadline| *deadline <= now_ms));
                let left = HashRef::of(entry, 0);
                // The model has forgotten a key whose own time is up.
                let Some((fields, _)) = model.get_mut(&entry.key()[0]) else {
                    return;
                };
                let before = fields.len();
                fields.retain(|field, at| {
                    at.is_none_or(|at| at > now_ms) || left.get(&[*field]).is_some()
                });
                assert_eq!(
                    (before - fields.len(), fields.len()),
                    (deadlines.len(), left.len())
                );
            }
            Gone::Emptied(entry) => {
                let fields = model.remove(&entry.key()[0]);
                assert!(fields.is_none_or(|(fields, _)| fields.is_empty()));
            }
        });
        if !slice.more {
            let fields = self.model.values().flat_map(|(fields, _)| fields.values());
            assert_eq!(fields.flatten().filter(|at| **at <= now_ms).count(), 0);
        }
        slice.more
    }

    fn check(&self) {
        let now_ms = self.now_ms;
        let alive = |deadline: &Option<u64>| deadline.is_none_or(|at| at > now_ms);
        let live = self
            .model
            .iter()
            .filter(|(_, (_, deadline))| alive(deadline));
        for (key, (fields, _)) in live.clone() {
            let entry = self
                .db
                .iter()
                .find(|entry| entry.key() == [*key])
                .expect("the key");
            let expected: Fields = fields
                .iter()
                .filter(|(_, at)| alive(at))
                .map(|(name, at)| (*name, *at))
                .collect();
            let digits = |field: &[u8]| field[0];
            let found: Fields = HashRef::of(&entry, now_ms)
                .iter()
                .map(|field| (digits(&field.name.to_vec()), field.deadline))
                .collect();
            assert_eq!(found, expected);
        }
        let timed = |entry: &EntryRef<'_>| hashes::earliest(entry).is_some();
        let timed = self.db.iter().filter(timed).count();
        assert_eq!(self.db.timed_hashes(), timed);
        let due = live
            .flat_map(|(_, (fields, _))| fields.values().flatten())
            .min();
        if let Some(due) = due {
            assert!(self.db.next_due().expect("something will expire") <= (*due).max(now_ms));
        }
    }
}

fn run(ops: Vec<Op>, entries: usize) {
    let seed = *SEED;
    let mut pair = Pair {
        db: Db::new(seed),
        seed,
        limits: Limits {
            entries,
            text: 100,
            seed,
        },
        now_ms: 1,
        model: BTreeMap::new(),
    };
    for op in ops {
        pair.apply(op);
        pair.check();
    }
    pair.now_ms += 10_000;
    while pair.expire(5) {}
    pair.check();
    assert_eq!(pair.db.len(), pair.model.len());
    assert!(pair.db.iter().all(|entry| !entry.is_empty_collection()));
}

proptest! {
    #[test]
    fn fields_of_small_hashes_end_in_time(ops in prop::collection::vec(op(), 1..120)) {
        run(ops, 100);
    }

    #[test]
    fn fields_of_growing_hashes_end_in_time(ops in prop::collection::vec(op(), 1..120)) {
        run(ops, 4);
    }
}
