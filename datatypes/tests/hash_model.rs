//! Hashes in all forms against a map; fields' deadlines included. valgrind runs this binary, too.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ostraka_datatypes::db::Db;
use ostraka_datatypes::hash::{Seed, hash};
use ostraka_datatypes::hashes::{self, FieldTtl, HashMut, HashRef, Limits};
use ostraka_datatypes::raw::entry::{Encoding, Entry, Type};
use ostraka_datatypes::raw::table::prefetch;
use proptest::collection::vec;
use proptest::prelude::*;

/// Made once: each leaks a little.
static SEED: LazyLock<Seed> = LazyLock::new(|| Seed::new(5));

#[derive(Clone, Debug)]
enum Op {
    Set(u32, Vec<u8>, FieldTtl),
    SetAll(Vec<(u32, Vec<u8>)>),
    Remove(u32),
    Deadline(u32, Option<u64>),
    Expire(usize),
    Pass(u64),
    Copy,
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

fn name(number: u32) -> Vec<u8> {
    match number % 3 {
        0 => number.to_string().into_bytes(),
        1 => format!("field:{number}").into_bytes(),
        _ => vec![b'f'; number as usize % 90],
    }
}

fn value() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => any::<i32>().prop_map(|number| number.to_string().into_bytes()),
        3 => vec(any::<u8>(), 0..20),
        1 => vec(any::<u8>(), 0..300),
    ]
}

fn op(timed: bool) -> impl Strategy<Value = Op> {
    let ttl = move || {
        prop_oneof![
            4 => Just(FieldTtl::Clear),
            2 => Just(FieldTtl::Keep),
            2 => (1_u64..200).prop_map(move |at| if timed { FieldTtl::At(at) } else { FieldTtl::Clear }),
        ]
    };
    let deadline =
        (1_u64..200, any::<bool>()).prop_map(move |(at, some)| (timed && some).then_some(at));
    prop_oneof![
        10 => (0_u32..60, value(), ttl()).prop_map(|(name, value, ttl)| Op::Set(name, value, ttl)),
        2 => vec((0_u32..60, value()), 0..12).prop_map(Op::SetAll),
        5 => (0_u32..60).prop_map(Op::Remove),
        5 => (0_u32..60, deadline).prop_map(|(name, deadline)| Op::Deadline(name, deadline)),
        2 => (0_usize..5).prop_map(Op::Expire),
        2 => (0_u64..20).prop_map(Op::Pass),
        1 => Just(Op::Copy),
    ]
}

fn live(model: &Model, name: &[u8], now: u64) -> Option<(Vec<u8>, Option<u64>)> {
    let found = model.get(name).cloned();
    found.filter(|(_, deadline)| deadline.is_none_or(|at| at > now))
}

struct Twins {
    entry: Entry,
    model: Model,
    now: u64,
    limits: Limits,
}

impl Twins {
    fn apply(&mut self, op: Op) {
        let (now, limits) = (self.now, self.limits);
        let mut hash = HashMut::of(&mut self.entry, now, limits);
        match op {
            Op::Set(number, value, ttl) => {
                let name = name(number);
                let old = live(&self.model, &name, now);
                assert_eq!(hash.set(&name, &value, ttl), old.is_none());
                let deadline = match ttl {
                    FieldTtl::Clear => None,
                    FieldTtl::Keep => old.and_then(|(_, deadline)| deadline),
                    FieldTtl::At(at) => Some(at),
                };
                self.model.insert(name, (value, deadline));
            }
            Op::SetAll(fields) => {
                let fields: Vec<_> = fields
                    .into_iter()
                    .map(|(number, value)| (name(number), value))
                    .collect();
                let mut added = 0;
                for (name, value) in &fields {
                    added += usize::from(live(&self.model, name, now).is_none());
                    self.model.insert(name.clone(), (value.clone(), None));
                }
                let fields = fields.iter().map(|(name, value)| (&name[..], &value[..]));
                assert_eq!(hash.set_all(fields), added);
            }
            Op::Remove(number) => {
                let name = name(number);
                let was_live = live(&self.model, &name, now).is_some();
                assert_eq!(hash.remove(&name), was_live);
                self.model.remove(&name);
            }
            Op::Deadline(number, deadline) => {
                let name = name(number);
                hash.set_deadline(&name, deadline);
                if let Some(field) = self.model.get_mut(&name) {
                    field.1 = deadline;
                }
            }
            Op::Expire(budget) => {
                let mut gone = Vec::new();
                hashes::expire(&mut self.entry, now, budget, |deadline| gone.push(deadline));
                let due = |field: &(Vec<u8>, Option<u64>)| field.1.is_some_and(|at| at <= now);
                let dues = self.model.values().filter(|field| due(field)).count();
                assert_eq!(gone.len(), dues.min(budget));
                assert!(gone.iter().all(|deadline| *deadline <= now));
                let read = HashRef::of(&self.entry, 0);
                self.model
                    .retain(|name, field| !due(field) || read.get(name).is_some());
            }
            Op::Pass(ms) => self.now += ms,
            Op::Copy => self.entry = self.entry.duplicate(b"copy"),
        }
    }

    fn check(&self) {
        let hash = HashRef::of(&self.entry, self.now);
        assert_eq!(hash.len(), self.model.len());
        assert_eq!(self.entry.is_empty_collection(), self.model.is_empty());
        let earliest = self.model.values().filter_map(|field| field.1).min();
        assert_eq!(hashes::earliest(&self.entry), earliest);
        let mut walked: Vec<_> = hash.iter().map(|field| field.name.to_vec()).collect();
        walked.sort();
        let expected: Vec<_> = self
            .model
            .keys()
            .filter(|name| live(&self.model, name, self.now).is_some())
            .cloned()
            .collect();
        assert_eq!((walked, hash.live()), (expected.clone(), expected.len()));
        for name in self.model.keys() {
            let found = hash
                .get(name)
                .map(|field| (field.value.to_vec(), field.deadline));
            assert_eq!(found, live(&self.model, name, self.now));
        }
        assert!(hash.get(b"nobody").is_none());
        self.check_scan(hash, &expected);
        let mut rolls = self.now;
        let mut dice = || {
            rolls = rolls
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            rolls
        };
        let random = hash.random(&mut dice).map(|field| field.name.to_vec());
        assert_eq!(random.is_some(), !expected.is_empty());
        assert!(random.is_none_or(|name| expected.contains(&name)));
    }

    fn check_scan(&self, hash: HashRef<'_>, expected: &[Vec<u8>]) {
        let (mut seen, mut cursor) = (Vec::new(), 0);
        loop {
            cursor = hash.scan(cursor, 3, |field| seen.push(field.name.to_vec()));
            if cursor == 0 {
                break;
            }
        }
        seen.sort();
        seen.dedup();
        assert_eq!(seen, expected);
    }
}

fn run(ops: Vec<Op>, entries: usize, text: usize) -> Encoding {
    let seed = *SEED;
    let mut twins = Twins {
        entry: Entry::packed(Type::Hash, b"key", &[], None),
        model: Model::new(),
        now: 1,
        limits: Limits {
            entries,
            text,
            seed,
        },
    };
    for op in ops {
        twins.apply(op);
        twins.check();
    }
    twins.entry.encoding()
}

proptest! {
    #[test]
    fn packed_hashes_are_maps(ops in vec(op(false), 1..80)) {
        prop_assert_eq!(run(ops, 100, 1000), Encoding::Listpack);
    }

    #[test]
    fn large_hashes_are_maps(ops in vec(op(false), 1..80)) {
        run(ops, 0, 0);
    }

    #[test]
    fn deadlines_of_packed_hashes_are_kept(ops in vec(op(true), 1..80)) {
        prop_assert_ne!(run(ops, 100, 1000), Encoding::Hashtable);
    }

    #[test]
    fn deadlines_of_large_hashes_are_kept(ops in vec(op(true), 1..80)) {
        run(ops, 0, 0);
    }

    #[test]
    fn hashes_grow_from_form_to_form(ops in vec(op(true), 1..80)) {
        run(ops, 10, 60);
    }
}

#[test]
fn a_hash_becomes_large_beyond_its_limits() {
    let limits = Limits {
        entries: 3,
        text: 8,
        seed: *SEED,
    };
    let mut entry = Entry::packed(Type::Hash, b"key", &[], None);
    let mut hash = HashMut::of(&mut entry, 1, limits);
    for name in ["a", "b", "c"] {
        hash.set(name.as_bytes(), b"12345678", FieldTtl::Clear);
    }
    assert_eq!(entry.encoding(), Encoding::Listpack);
    let mut twin = entry.duplicate(b"other");
    HashMut::of(&mut twin, 1, limits).set(b"d", b"", FieldTtl::Clear);
    assert_eq!(twin.encoding(), Encoding::Hashtable);
    HashMut::of(&mut entry, 1, limits).set(b"a", b"123456789", FieldTtl::Clear);
    assert_eq!(entry.encoding(), Encoding::Hashtable);
}

/// Fields of 10 bytes with values of 10, as many as fill a table well.
#[test]
fn a_large_hash_takes_less_than_44_bytes_per_field() {
    let limits = Limits {
        entries: 0,
        text: 0,
        seed: *SEED,
    };
    let mut entry = Entry::packed(Type::Hash, b"key", &[], None);
    let mut hash = HashMut::of(&mut entry, 1, limits);
    for number in 0..50_000 {
        let (name, value) = (format!("field{number:05}"), format!("value{number:05}"));
        hash.set(name.as_bytes(), value.as_bytes(), FieldTtl::Clear);
    }
    let each = entry.memory_usage() / 50_000;
    assert!(each < 44, "{each} bytes");
}

#[test]
fn what_a_lookup_in_a_large_hash_reads_can_be_loaded_before() {
    let limits = Limits {
        entries: 0,
        text: 0,
        seed: *SEED,
    };
    let (mut db, mut entry) = (Db::new(*SEED), Entry::packed(Type::Hash, b"key", &[], None));
    let mut fields = HashMut::of(&mut entry, 1, limits);
    for number in 0..5_000_u32 {
        fields.set(&number.to_le_bytes(), b"value", FieldTtl::Clear);
    }
    let at = hash(&SEED, b"key");
    db.insert(at, entry, 0);
    let large = db.large(at, b"key").expect("a large hash");
    let spots = [large.spot(&7_u32.to_le_bytes()), large.spot(b"missing")];
    assert!(spots.iter().all(Option::is_some));
    prefetch(&spots);
    assert!(db.large(at, b"another").is_none());
}
