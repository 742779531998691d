//! Entries against their safe twin: a struct of vectors that anyone can read.
//!
//! Random sequences of operations run on both; after each, everything an entry can be asked is compared. valgrind runs
//! this binary, too, so every branch of the layout should be reached: long keys, fields coming and going, growth inside
//! the rounding, growth with room, blobs mine and shared.

use std::sync::Arc;

use ostraka_datatypes::blob::{BLOB_MIN, Blob};
use ostraka_datatypes::raw::entry::{EMBSTR_MAX, Encoding, Entry, StringRef, Type, Value};
use proptest::collection::vec;
use proptest::prelude::*;

/// The twin: what an entry means, without a layout.
#[derive(Clone, Debug)]
struct Twin {
    key: Vec<u8>,
    text: Vec<u8>,
    encoding: Encoding,
    deadline: Option<u64>,
    rearm: bool,
}

#[derive(Clone, Debug)]
enum Given {
    Of(Vec<u8>),
    Text(Vec<u8>),
    Raw(Vec<u8>),
    Int(i64),
    Blob(Vec<u8>),
}

#[derive(Clone, Debug)]
enum Op {
    Set(Given),
    Replace(Given, Option<u64>),
    SetInt(i64),
    SetDeadline(Option<u64>),
    SetRearm(bool),
    Append(Vec<u8>),
    SetRange(usize, Vec<u8>),
    WriteLast(usize),
    HoldBlob,
    Rename(Vec<u8>),
    Duplicate(Vec<u8>),
}

impl Given {
    fn value(&self) -> Value<'_> {
        match self {
            Given::Of(text) => Value::of(text),
            Given::Text(text) => Value::text(text),
            Given::Raw(text) => Value::Raw(text),
            Given::Int(number) => Value::Int(*number),
            Given::Blob(text) => Value::Blob(Arc::new(text.clone())),
        }
    }

    /// The obvious version of what `SET` decides.
    fn meaning(&self) -> (Vec<u8>, Encoding) {
        let by_length = |text: &[u8]| {
            if text.len() <= EMBSTR_MAX {
                Encoding::Embstr
            } else {
                Encoding::Raw
            }
        };
        match self {
            Given::Of(text) => {
                let number = std::str::from_utf8(text)
                    .ok()
                    .and_then(|text| text.parse::<i64>().ok());
                let canonical = number.is_some_and(|number| number.to_string().as_bytes() == text);
                (
                    text.clone(),
                    if canonical {
                        Encoding::Int
                    } else {
                        by_length(text)
                    },
                )
            }
            Given::Text(text) => (text.clone(), by_length(text)),
            Given::Raw(text) | Given::Blob(text) => (text.clone(), Encoding::Raw),
            Given::Int(number) => (number.to_string().into_bytes(), Encoding::Int),
        }
    }
}

impl Twin {
    fn new(key: Vec<u8>, given: &Given, deadline: Option<u64>) -> Twin {
        let (text, encoding) = given.meaning();
        Twin {
            key,
            text,
            encoding,
            deadline,
            rearm: false,
        }
    }

    fn set(&mut self, given: &Given) {
        (self.text, self.encoding) = given.meaning();
    }

    fn set_deadline(&mut self, deadline: Option<u64>) {
        self.deadline = deadline;
        self.rearm &= deadline.is_some();
    }

    fn set_range(&mut self, offset: usize, bytes: &[u8]) {
        self.encoding = Encoding::Raw;
        if self.text.len() < offset + bytes.len() {
            self.text.resize(offset + bytes.len(), 0);
        }
        self.text[offset..offset + bytes.len()].copy_from_slice(bytes);
    }
}

/// The pair under test, with copies and blobs that others hold meanwhile.
struct Pair {
    entry: Entry,
    twin: Twin,
    copies: Vec<(Entry, Twin)>,
    held: Vec<(Blob, Vec<u8>)>,
}

impl Pair {
    fn apply(&mut self, op: &Op) {
        let (entry, twin) = (&mut self.entry, &mut self.twin);
        match op {
            Op::Set(given) => {
                entry.set_string(given.value());
                twin.set(given);
            }
            Op::Replace(given, deadline) => {
                entry.replace(given.value(), *deadline);
                twin.set(given);
                twin.set_deadline(*deadline);
            }
            Op::SetInt(number) => {
                entry.set_int(*number);
                twin.set(&Given::Int(*number));
            }
            Op::SetDeadline(deadline) => {
                entry.set_deadline(*deadline);
                twin.set_deadline(*deadline);
            }
            Op::SetRearm(on) => {
                entry.set_rearm(*on);
                twin.rearm = *on;
            }
            Op::Append(tail) => {
                twin.set_range(twin.text.len(), tail);
                assert_eq!(entry.append(tail), twin.text.len());
            }
            Op::SetRange(offset, bytes) => {
                twin.set_range(*offset, bytes);
                assert_eq!(entry.set_range(*offset, bytes), twin.text.len());
            }
            Op::WriteLast(min_len) => {
                twin.set_range(*min_len, b"");
                let bytes = entry.bytes_mut(*min_len);
                if let (Some(there), Some(here)) = (bytes.last_mut(), twin.text.last_mut()) {
                    *there ^= 0x5a;
                    *here ^= 0x5a;
                }
            }
            Op::HoldBlob => self
                .held
                .extend(entry.blob().map(|blob| (blob, twin.text.clone()))),
            Op::Rename(_) | Op::Duplicate(_) => self.move_about(op),
        }
    }

    fn move_about(&mut self, op: &Op) {
        let spare = Entry::new(b"", Value::Int(0), None);
        let entry = std::mem::replace(&mut self.entry, spare);
        self.entry = match op {
            Op::Rename(key) => {
                self.twin.key.clone_from(key);
                self.twin.rearm = false;
                entry.rename(key)
            }
            Op::Duplicate(key) => {
                let twin = Twin {
                    key: key.clone(),
                    rearm: false,
                    ..self.twin.clone()
                };
                self.copies.push((entry.duplicate(key), twin));
                entry
            }
            _ => entry,
        };
    }

    fn check(&self) {
        check(&self.entry, &self.twin);
        self.copies
            .iter()
            .for_each(|(entry, twin)| check(entry, twin));
        self.held
            .iter()
            .for_each(|(blob, text)| assert!(**blob == *text, "a held blob changed"));
    }
}

fn check(entry: &Entry, twin: &Twin) {
    assert!(entry.key() == twin.key, "key");
    assert_eq!(entry.deadline(), twin.deadline);
    assert_eq!(entry.rearm(), twin.rearm);
    assert_eq!(entry.kind(), Type::String);
    assert_eq!(entry.encoding(), twin.encoding);
    assert_eq!(entry.string_len(), twin.text.len());
    match entry.string() {
        StringRef::Int(number) => assert_eq!(number.to_string().as_bytes(), twin.text),
        StringRef::Bytes(bytes) => assert!(bytes == twin.text, "value"),
    }
    let held_outside = entry.blob();
    assert!(held_outside.is_none_or(|blob| *blob == twin.text), "blob");
    assert!(
        entry.memory_usage()
            >= twin.key.len()
                + if twin.encoding == Encoding::Int {
                    8
                } else {
                    twin.text.len()
                }
    );
}

fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => vec(any::<u8>(), 0..80),
        2 => vec(any::<u8>(), 80..2000),
        1 => (any::<u8>(), BLOB_MIN - 40..BLOB_MIN + 40).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        10 => vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 250usize..260).prop_map(|(byte, length)| vec![byte; length]),
        1 => (any::<u8>(), 65_530usize..65_540).prop_map(|(byte, length)| vec![byte; length]),
    ]
}

fn given() -> impl Strategy<Value = Given> {
    prop_oneof![
        bytes().prop_map(Given::Of),
        any::<i64>().prop_map(|number| Given::Of(number.to_string().into_bytes())),
        "-?0?[0-9]{0,21}".prop_map(|text| Given::Of(text.into_bytes())),
        bytes().prop_map(Given::Text),
        bytes().prop_map(Given::Raw),
        any::<i64>().prop_map(Given::Int),
        bytes().prop_map(Given::Blob),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let offset = || prop_oneof![6 => 0usize..200, 1 => 0usize..3 * BLOB_MIN];
    prop_oneof![
        2 => given().prop_map(Op::Set),
        2 => (given(), any::<Option<u64>>()).prop_map(|(given, deadline)| Op::Replace(given, deadline)),
        1 => any::<i64>().prop_map(Op::SetInt),
        2 => any::<Option<u64>>().prop_map(Op::SetDeadline),
        1 => any::<bool>().prop_map(Op::SetRearm),
        4 => bytes().prop_map(Op::Append),
        2 => (offset(), bytes()).prop_map(|(offset, bytes)| Op::SetRange(offset, bytes)),
        1 => offset().prop_map(Op::WriteLast),
        1 => Just(Op::HoldBlob),
        1 => key().prop_map(Op::Rename),
        1 => key().prop_map(Op::Duplicate),
    ]
}

/// Rearm without a deadline has no meaning; the keyspace never does it.
fn meaningful(op: &Op, twin: &Twin) -> bool {
    !matches!(op, Op::SetRearm(true)) || twin.deadline.is_some()
}

proptest! {
    #[test]
    fn entries_behave_like_their_twin(
        key in key(), first in given(), deadline in any::<Option<u64>>(), ops in vec(op(), 0..40),
    ) {
        let entry = Entry::new(&key, first.value(), deadline);
        let twin = Twin::new(key, &first, deadline);
        let mut pair = Pair { entry, twin, copies: Vec::new(), held: Vec::new() };
        pair.check();
        for op in &ops {
            if meaningful(op, &pair.twin) {
                pair.apply(op);
                pair.check();
            }
        }
    }
}

#[test]
fn sizes_are_what_five_million_keys_are_counted_with() {
    let size = |value, deadline| Entry::new(&[b'k'; 16], value, deadline).memory_usage();
    assert_eq!(size(Value::Embstr(&[b'v'; 32]), None), 56);
    assert_eq!(size(Value::Embstr(&[b'v'; 32]), Some(1)), 64);
    assert_eq!(size(Value::Int(7), None), 32);
    assert_eq!(size(Value::of(b""), None), 24);
    assert_eq!(Entry::new(b"", Value::of(b""), None).memory_usage(), 8);
}

#[test]
fn values_of_a_size_with_the_old_one_stay_in_place() {
    let mut entry = Entry::new(b"counter", Value::Int(1), Some(5));
    let address = |entry: &Entry| entry.key().as_ptr();
    let before = address(&entry);
    for number in 0..100 {
        entry.set_int(number);
        entry.replace(Value::Int(-number), Some(number as u64));
        entry.replace(Value::Embstr(b"8 bytes."), Some(1));
    }
    assert_eq!(address(&entry), before);
    entry.set_string(Value::Embstr(b"more than the rounding gives"));
    assert_eq!(
        entry.string(),
        StringRef::Bytes(b"more than the rounding gives")
    );
}

#[test]
fn many_small_appends_move_the_string_a_few_times_only() {
    let mut entry = Entry::new(b"log", Value::of(b"x"), None);
    let mut moves = 0;
    let mut place = entry.key().as_ptr();
    for round in 0..200_000usize {
        assert_eq!(entry.append(b"y"), round + 2);
        if entry.blob().is_none() && entry.key().as_ptr() != place {
            place = entry.key().as_ptr();
            moves += 1;
        }
    }
    assert!(moves <= 30, "{moves} moves");
    assert!(entry.memory_usage() < 2 * entry.string_len());
}

#[test]
fn a_set_after_growth_gives_the_room_back() {
    let mut entry = Entry::new(b"k", Value::of(b"x"), Some(9));
    entry.append(&[b'y'; 4000]);
    assert!(entry.memory_usage() > 4000);
    entry.set_string(Value::of(b"short"));
    assert_eq!(entry.memory_usage(), 24);
    assert_eq!(entry.deadline(), Some(9));
}

#[test]
fn what_is_made_at_once_has_no_room_to_grow_into() {
    let mut entry = Entry::new(b"k", Value::Raw(b""), None);
    entry.set_range(100_000, b"x");
    assert!(entry.memory_usage() < 100_200);
    entry.append(b"y");
    assert!(entry.memory_usage() > 110_000);
}

#[test]
fn a_far_bit_costs_address_space_only() {
    let mut entry = Entry::new(b"bitmap", Value::of(b"x"), None);
    let far = 512 << 20;
    entry.bytes_mut(far)[far - 1] = 1;
    assert_eq!(entry.string_len(), far);
    let StringRef::Bytes(bytes) = entry.string() else {
        panic!("bytes")
    };
    assert_eq!((bytes[0], bytes[1], bytes[far - 1]), (b'x', 0, 1));
}

#[test]
fn entries_travel_between_threads() {
    let entry = Entry::new(b"k", Value::Blob(Arc::new(vec![7; BLOB_MIN])), None);
    let blob = entry.blob();
    std::thread::scope(|scope| scope.spawn(move || drop(entry)).join().expect("no panic"));
    assert_eq!(
        blob.map(|blob| (blob.len(), Arc::strong_count(&blob))),
        Some((BLOB_MIN, 1))
    );
}
