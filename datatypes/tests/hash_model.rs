//! Hashes in all forms against a map; fields' deadlines included. valgrind runs this binary, too.

mod texts;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use ostraka_datatypes::db::Db;
use ostraka_datatypes::hash::{Seed, hash};
use ostraka_datatypes::hashes::{self, FieldTtl, HashMut, HashRef, Limits};
use ostraka_datatypes::raw::entry::{Encoding, Entry, Held, Type};
use ostraka_datatypes::raw::table::prefetch;
use proptest::collection::vec;
use proptest::prelude::*;

use texts::text;

/// Made once: each leaks a little.
static SEED: LazyLock<Seed> = LazyLock::new(|| Seed::new(5));

fn limits(entries: usize, text: usize) -> Limits {
    let seed = *SEED;
    Limits {
        entries,
        text,
        seed,
    }
}

/// Fields are named by their place in a list of names.
#[derive(Clone, Debug)]
enum Op {
    Set(usize, Vec<u8>, FieldTtl),
    SetAll(Vec<(usize, Vec<u8>)>),
    Remove(usize),
    Deadline(usize, Option<u64>),
    Expire(usize),
    Pass(u64),
    Copy,
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Option<u64>)>;

fn names() -> impl Strategy<Value = Vec<Vec<u8>>> {
    vec(text(), 1..30)
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
        10 => (any::<usize>(), text(), ttl()).prop_map(|(name, value, ttl)| Op::Set(name, value, ttl)),
        2 => vec((any::<usize>(), text()), 0..12).prop_map(Op::SetAll),
        5 => any::<usize>().prop_map(Op::Remove),
        5 => (any::<usize>(), deadline).prop_map(|(name, deadline)| Op::Deadline(name, deadline)),
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
    names: Vec<Vec<u8>>,
    entry: Entry,
    model: Model,
    now: u64,
    limits: Limits,
}

fn name(names: &[Vec<u8>], number: usize) -> Vec<u8> {
    names[number % names.len()].clone()
}

impl Twins {
    fn apply(&mut self, op: Op) {
        let (now, limits) = (self.now, self.limits);
        let mut hash = HashMut::of(&mut self.entry, now, limits);
        match op {
            Op::Set(number, value, ttl) => {
                let name = name(&self.names, number);
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
                    .map(|(number, value)| (name(&self.names, number), value))
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
                let name = name(&self.names, number);
                let was_live = live(&self.model, &name, now).is_some();
                assert_eq!(hash.remove(&name), was_live);
                self.model.remove(&name);
            }
            Op::Deadline(number, deadline) => {
                let name = name(&self.names, number);
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
        assert!(hash.get(b"nobody of them").is_none());
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

fn run(names: Vec<Vec<u8>>, ops: Vec<Op>, entries: usize, text: usize) -> Encoding {
    let seed = *SEED;
    let mut twins = Twins {
        names,
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
    fn packed_hashes_are_maps(names in names(), ops in vec(op(false), 1..80)) {
        prop_assert_eq!(run(names, ops, 100, 100_000), Encoding::Listpack);
    }

    #[test]
    fn large_hashes_are_maps(names in names(), ops in vec(op(false), 1..80)) {
        run(names, ops, 0, 0);
    }

    #[test]
    fn deadlines_of_packed_hashes_are_kept(names in names(), ops in vec(op(true), 1..80)) {
        prop_assert_ne!(run(names, ops, 100, 100_000), Encoding::Hashtable);
    }

    #[test]
    fn deadlines_of_large_hashes_are_kept(names in names(), ops in vec(op(true), 1..80)) {
        run(names, ops, 0, 0);
    }

    #[test]
    fn hashes_grow_from_form_to_form(names in names(), ops in vec(op(true), 1..80)) {
        run(names, ops, 10, 60);
    }

    #[test]
    fn foreign_bytes_never_lead_out_of_a_packed_hash(bytes in vec(any::<u8>(), 0..200), text in text()) {
        for timed in [false, true] {
            let mut entry = Entry::packed(Type::Hash, b"key", &bytes, None);
            if timed {
                entry.set_packed_ex(&bytes);
            }
            let hash = HashRef::of(&entry, 0);
            let fields: Vec<_> = hash.iter().collect();
            let texts = fields.iter().map(|field| field.name.len().min(bytes.len()));
            prop_assert!(texts.sum::<usize>() <= 20 * bytes.len());
            for name in fields.iter().map(|field| field.name.to_vec()).chain([text.clone()]) {
                let _found = hash.get(&name);
            }
            let _counted = (hash.len(), hash.live(), hashes::alarm(&entry), hashes::earliest(&entry));
        }
    }
}

#[test]
fn a_hash_becomes_large_beyond_its_limits() {
    let limits = limits(3, 8);
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

#[test]
fn fields_take_the_bytes_that_are_promised() {
    let long = "a text of 64 bytes, which is the longest in a small hash: 012345".to_owned();
    for (name, value, bytes) in [
        ("", "", 1),
        ("field00000", "1234567890", 16),
        ("field00000", "value00000", 21),
        ("fourteen bytes", "fourteen bytes", 29),
        ("fifteen bytes!!", "", 17),
        ("1", "127", 3),
        ("128", "100000", 7),
        (&long, "x", 1 + 66 + 1),
        (&long, &long, 1 + 66 + 66),
    ] {
        let mut entry = Entry::packed(Type::Hash, b"key", &[], None);
        let limits = limits(9, 64);
        HashMut::of(&mut entry, 1, limits).set(name.as_bytes(), value.as_bytes(), FieldTtl::Clear);
        let Held::Packed(block) = entry.held() else {
            panic!("a packed hash");
        };
        assert_eq!(block.len(), 1 + bytes, "{name} {value}");
    }
}

/// Five fields of 10 bytes with values of 10 under a key of 16: one class of the allocator below what would be 8 bytes more.
#[test]
fn a_small_hash_of_five_fields_takes_128_bytes() {
    let limits = limits(128, 64);
    let mut entry = Entry::packed(Type::Hash, b"hash:00000000001", &[], None);
    let names = [
        "field00000",
        "field00001",
        "field00002",
        "field00003",
        "field00004",
    ];
    let fields = names.map(|name| (name.as_bytes(), &b"value00000"[..]));
    HashMut::of(&mut entry, 1, limits).set_all(fields.into_iter());
    assert_eq!(entry.memory_usage(), 128);
}

#[test]
fn fields_beyond_the_count_are_walked() {
    let limits = limits(1000, 64);
    let name = |number: usize| format!("f{number:05}").into_bytes();
    let mut entry = Entry::packed(Type::Hash, b"key", &[], None);
    let mut hash = HashMut::of(&mut entry, 1, limits);
    for number in 0..300 {
        assert!(hash.set(&name(number), b"", FieldTtl::Clear));
        assert_eq!(hash.read().len(), number + 1);
    }
    for number in 0..100 {
        assert!(hash.remove(&name(number)));
        assert_eq!(hash.read().len(), 299 - number);
    }
    assert!(hash.set(b"another", b"", FieldTtl::Clear));
    assert_eq!(hash.read().iter().count(), 201);
}

/// Fields of 10 bytes with values of 10, as many as fill a table well.
#[test]
fn a_large_hash_takes_less_than_44_bytes_per_field() {
    let limits = limits(0, 0);
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
    let limits = limits(0, 0);
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
