//! The packed block inside an entry against a vector: random splices, with key, deadline and size intact. valgrind runs
//! this binary, too.

use std::ops::Range;

use ostraka_datatypes::packed::Storage;
use ostraka_datatypes::raw::entry::{Encoding, Entry, Held, Type};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    Splice(usize, usize, Vec<u8>),
    Deadline(Option<u64>),
    Replace(Vec<u8>),
    Ints(Vec<u8>),
}

fn op() -> impl Strategy<Value = Op> {
    let bytes = || prop_oneof![vec(any::<u8>(), 0..12), vec(any::<u8>(), 0..700)];
    prop_oneof![
        8 => (any::<usize>(), any::<usize>(), bytes()).prop_map(|(a, b, with)| Op::Splice(a, b, with)),
        1 => any::<Option<u64>>().prop_map(Op::Deadline),
        1 => bytes().prop_map(Op::Replace),
        1 => bytes().prop_map(Op::Ints),
    ]
}

fn inside(one: usize, other: usize, len: usize) -> Range<usize> {
    let (one, other) = (one % (len + 1), other % (len + 1));
    one.min(other)..one.max(other)
}

proptest! {
    #[test]
    fn splices_as_a_vector_does(key in vec(any::<u8>(), 0..40), ops in vec(op(), 1..40)) {
        let mut entry = Entry::packed(Type::Set, &key, &[], None);
        let (mut model, mut deadline) = (Vec::new(), None);
        for op in ops {
            match op {
                Op::Splice(one, other, with) => {
                    let range = inside(one, other, model.len());
                    entry.packed_mut().splice(range.clone(), &with);
                    model.splice(range, with);
                }
                Op::Deadline(new) => {
                    entry.set_deadline(new);
                    deadline = new;
                }
                Op::Replace(bytes) => {
                    entry.set_packed(&bytes);
                    prop_assert_eq!(entry.encoding(), Encoding::Listpack);
                    model = bytes;
                }
                Op::Ints(bytes) => {
                    entry.set_ints(&bytes);
                    prop_assert_eq!(entry.encoding(), Encoding::Intset);
                    model = bytes;
                }
            }
            let bytes = match entry.held() {
                Held::Packed(bytes) | Held::Ints(bytes) => bytes,
                _ => panic!("a packed block"),
            };
            prop_assert_eq!(bytes, &model[..]);
            prop_assert_eq!((entry.key(), entry.deadline(), entry.kind()), (&key[..], deadline, Type::Set));
            prop_assert_eq!(entry.is_empty_collection(), model.is_empty());
            let fields = if deadline.is_some() { 14 } else { 6 };
            prop_assert_eq!(entry.memory_usage(), (fields + key.len() + model.len()).next_multiple_of(8));
        }
    }
}

/// The payload's length leaves the header when it needs a fourth byte, and may come back below that.
#[test]
fn splices_across_the_length_that_the_header_holds() {
    const SHORT: usize = 0xff_ffff;
    for deadline in [None, Some(7)] {
        let mut entry = Entry::packed(Type::Hash, b"key", &vec![1; SHORT - 3], deadline);
        let mut model = vec![1; SHORT - 3];
        for (range, with) in [
            (0..0, 3),
            (5..5, 1),
            (9..9, 100),
            (0..200, 0),
            (0..1, 1),
            (2..SHORT - 150, 4),
        ] {
            let with = vec![2; with];
            entry.packed_mut().splice(range.clone(), &with);
            model.splice(range, with);
            let Held::Packed(bytes) = entry.held() else {
                panic!("a packed block")
            };
            assert!(bytes == model, "{} bytes", model.len());
            assert_eq!((entry.key(), entry.deadline()), (&b"key"[..], deadline));
        }
        let long = Entry::packed(Type::Hash, b"key", &vec![3; SHORT + 1], deadline);
        assert!(matches!(long.held(), Held::Packed(bytes) if bytes.len() == SHORT + 1));
    }
}
