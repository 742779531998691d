//! A database against a model with time: a std map, and the rule that an entry is gone from its deadline on.
//!
//! Time goes on in steps that are chosen like the other operations, and active expiry gets budgets that are too small,
//! so that lazy and active expiry, entries put off and re-armed, and stale items of the index meet in every order.

use std::collections::BTreeMap;

use ostraka_datatypes::db::{Db, Gone, Lookup};
use ostraka_datatypes::hash::{Seed, hash};
use ostraka_datatypes::raw::entry::{Entry, StringRef, Value};
use proptest::prelude::*;

const START_MS: u64 = 1_700_000_000_000;

#[derive(Clone, Debug)]
enum Op {
    /// Stores a value, with a deadline so far from now.
    Set(u8, i64, Option<u64>),
    Get(u8),
    /// Changes the value, the deadline stays.
    Change(u8, i64),
    /// Puts the deadline so far from now, or takes it away.
    Deadline(u8, Option<u64>),
    Remove(u8),
    /// Takes an entry out and puts it back under another name.
    Rename(u8, u8),
    /// Lets time pass.
    Pass(u64),
    /// One slice of active expiry.
    Expire(usize),
    /// Active expiry until nothing more is due.
    ExpireAll,
    Flush,
}

fn operation() -> impl Strategy<Value = Op> {
    let key = || 0_u8..24;
    // Short enough to pass within a run, and around the boundaries of the index's levels.
    let distance = || {
        prop_oneof![
            0_u64..50,
            900_u64..1200,
            60_000_u64..70_000,
            1_000_000_u64..10_000_000
        ]
    };
    let ttl = move || prop::option::weighted(0.7, distance());
    prop_oneof![
        6 => (key(), any::<i64>(), ttl()).prop_map(|(key, value, ttl)| Op::Set(key, value, ttl)),
        3 => key().prop_map(Op::Get),
        2 => (key(), any::<i64>()).prop_map(|(key, value)| Op::Change(key, value)),
        5 => (key(), ttl()).prop_map(|(key, ttl)| Op::Deadline(key, ttl)),
        2 => key().prop_map(Op::Remove),
        2 => (key(), key()).prop_map(|(from, to)| Op::Rename(from, to)),
        4 => distance().prop_map(Op::Pass),
        3 => (1_usize..5).prop_map(Op::Expire),
        2 => Just(Op::ExpireAll),
        1 => Just(Op::Flush),
    ]
}

/// The database and what must be in it. Dead entries stay in both until somebody meets them.
struct Pair {
    db: Db,
    seed: Seed,
    now_ms: u64,
    model: BTreeMap<Vec<u8>, (i64, Option<u64>)>,
}

fn name(key: u8) -> Vec<u8> {
    format!("key:{key}").into_bytes()
}

fn value_of(entry: &Entry) -> i64 {
    match entry.string() {
        StringRef::Int(number) => number,
        StringRef::Bytes(bytes) => panic!("{bytes:?} was stored as an integer"),
    }
}

impl Pair {
    fn new(seed: Seed) -> Self {
        Self {
            db: Db::new(seed),
            seed,
            now_ms: START_MS,
            model: BTreeMap::new(),
        }
    }

    /// What a lookup of `key` does to the model, and finds there.
    fn meet(&mut self, key: &[u8]) -> Option<(i64, Option<u64>)> {
        let (value, deadline) = *self.model.get(key)?;
        if deadline.is_some_and(|deadline| deadline <= self.now_ms) {
            self.model.remove(key);
            return None;
        }
        Some((value, deadline))
    }

    /// Looks `key` up in both and compares; whatever `act` does with the entry, the caller does to the model.
    fn find(&mut self, key: &[u8], act: impl FnOnce(ostraka_datatypes::db::Found<'_>)) -> bool {
        let was_there = self.model.contains_key(key);
        let expected = self.meet(key);
        match self.db.find(hash(&self.seed, key), key, self.now_ms) {
            Lookup::Live(found) => {
                let entry = found.entry();
                assert_eq!(Some((value_of(entry), entry.deadline())), expected);
                act(found);
            }
            Lookup::Expired => assert!(was_there && expected.is_none()),
            Lookup::Missing => assert!(!was_there),
        }
        expected.is_some()
    }

    fn insert(&mut self, entry: Entry) {
        let key = entry.key().to_vec();
        self.model
            .insert(key.clone(), (value_of(&entry), entry.deadline()));
        self.db.insert(hash(&self.seed, &key), entry, 0);
    }

    fn apply(&mut self, op: Op) {
        let now_ms = self.now_ms;
        let at = |ttl: Option<u64>| ttl.map(|ttl| now_ms + ttl);
        match op {
            Op::Set(key, value, ttl) => {
                let (key, deadline) = (name(key), at(ttl));
                if self.find(&key, |mut found| found.replace(Value::Int(value), deadline)) {
                    self.model.insert(key, (value, deadline));
                } else {
                    self.insert(Entry::new(&key, Value::Int(value), deadline));
                }
            }
            Op::Get(key) => {
                self.find(&name(key), |_| {});
            }
            Op::Change(key, value) => {
                let key = name(key);
                if self.find(&key, |mut found| found.update(|entry| entry.set_int(value))) {
                    self.model.entry(key).and_modify(|it| it.0 = value);
                }
            }
            Op::Deadline(key, ttl) => {
                let (key, deadline) = (name(key), at(ttl));
                if self.find(&key, |mut found| found.set_deadline(deadline)) {
                    self.model.entry(key).and_modify(|it| it.1 = deadline);
                }
            }
            Op::Remove(key) => {
                let key = name(key);
                self.find(&key, |found| drop(found.remove()));
                self.model.remove(&key);
            }
            Op::Rename(from, to) => self.rename(&name(from), &name(to)),
            Op::Pass(ms) => self.now_ms += ms,
            Op::Expire(budget) => {
                self.expire(budget);
            }
            Op::ExpireAll => while self.expire(64) {},
            Op::Flush => {
                let old = self.db.take();
                assert_eq!(old.len(), self.model.len());
                self.model.clear();
            }
        }
    }

    fn rename(&mut self, from: &[u8], to: &[u8]) {
        if from == to {
            return;
        }
        let mut taken = None;
        self.find(from, |found| taken = Some(found.remove()));
        let Some(entry) = taken else { return };
        self.model.remove(from);
        self.find(to, |found| drop(found.remove()));
        self.model.remove(to);
        self.insert(entry.rename(to));
    }

    /// A slice of active expiry; whether more is due.
    fn expire(&mut self, budget: usize) -> bool {
        let mut last = 0;
        let mut gone = Vec::new();
        let slice = self.db.expire(self.now_ms, budget, |expired| {
            let Gone::Entry(entry, deadline) = expired else {
                panic!("there are no hashes");
            };
            assert_eq!(entry.deadline(), Some(deadline));
            gone.push((entry.key().to_vec(), value_of(&entry), deadline));
        });
        assert_eq!(slice.entries, gone.len());
        for (key, value, deadline) in gone {
            assert!(deadline <= self.now_ms, "expired before its time");
            assert!(deadline >= last, "expired out of order");
            last = deadline;
            assert_eq!(self.model.remove(&key), Some((value, Some(deadline))));
        }
        if !slice.more {
            let overdue = self.model.values().filter_map(|(_, deadline)| *deadline);
            assert_eq!(
                overdue.filter(|deadline| *deadline <= self.now_ms).count(),
                0
            );
        }
        slice.more
    }

    /// What must hold after every operation.
    fn check(&self) {
        let entries: BTreeMap<_, _> = self
            .db
            .iter()
            .map(|entry| (entry.key().to_vec(), (value_of(&entry), entry.deadline())))
            .collect();
        assert_eq!(entries, self.model);
        assert_eq!(self.db.len(), self.model.len());
        let deadlines = || self.model.values().filter_map(|(_, deadline)| *deadline);
        assert_eq!(self.db.volatile(), deadlines().count());
        if let Some(first) = deadlines().min() {
            let next = self.db.next_due().expect("something will expire");
            assert!(
                next <= first.max(self.now_ms),
                "{next} is later than {first}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn a_database_is_a_map_whose_entries_end(ops in prop::collection::vec(operation(), 1..120)) {
        let mut pair = Pair::new(Seed::new(11));
        for op in ops {
            pair.apply(op);
            pair.check();
        }
        // In the end everything that ever will has expired.
        pair.now_ms += 100_000_000;
        pair.apply(Op::ExpireAll);
        pair.check();
        prop_assert_eq!(pair.db.volatile(), 0);
    }
}
