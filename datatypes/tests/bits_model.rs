//! Bits of strings against versions that look at one bit after the other.

use std::ops::Range;

use ostraka_datatypes::bits::{self, Field, Operation, Overflow};
use proptest::prelude::*;

fn bit(bytes: &[u8], offset: u64) -> bool {
    let byte = bytes.get((offset / 8) as usize).copied().unwrap_or(0);
    byte >> (7 - offset % 8) & 1 == 1
}

/// Long runs of equal bytes, with others in between.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let run = (
        prop_oneof![Just(0_u8), Just(0xff), any::<u8>()],
        prop_oneof![4 => 0..4_usize, 2 => 60..70_usize, 1 => 500..600_usize],
    );
    prop::collection::vec(run, 0..12).prop_map(|runs| {
        let bytes = runs.into_iter().map(|(byte, len)| vec![byte; len]);
        bytes.collect::<Vec<_>>().concat()
    })
}

fn bytes_and_range() -> impl Strategy<Value = (Vec<u8>, Range<u64>)> {
    bytes().prop_flat_map(|bytes| {
        let bits = bytes.len() as u64 * 8;
        let range = (0..=bits, 0..=bits).prop_map(|(a, b)| a.min(b)..a.max(b));
        (Just(bytes), range)
    })
}

proptest! {
    #[test]
    fn counting((bytes, range) in bytes_and_range()) {
        let expected = range.clone().filter(|at| bit(&bytes, *at)).count() as u64;
        prop_assert_eq!(bits::count_in(&bytes, range), expected);
        let all = bytes.iter().map(|byte| u64::from(byte.count_ones())).sum::<u64>();
        prop_assert_eq!(bits::count(&bytes), all);
    }

    #[test]
    fn searching((bytes, range) in bytes_and_range(), wanted: bool) {
        let expected = range.clone().find(|at| bit(&bytes, *at) == wanted);
        prop_assert_eq!(bits::position(&bytes, wanted, range), expected);
    }

    #[test]
    fn single_bits((bytes, range) in bytes_and_range(), on: bool) {
        prop_assert_eq!(bits::get(&bytes, range.start), bit(&bytes, range.start));
        if !range.is_empty() {
            let mut changed = bytes.clone();
            bits::set(&mut changed, range.start, on);
            prop_assert_eq!(bit(&changed, range.start), on);
            bits::set(&mut changed, range.start, bit(&bytes, range.start));
            prop_assert_eq!(changed, bytes);
        }
    }

    #[test]
    fn combining(sources in prop::collection::vec(bytes(), 1..6), start in 0..100_usize) {
        let longest = sources.iter().map(Vec::len).max().unwrap_or(0);
        let sources: Vec<&[u8]> = sources.iter().map(Vec::as_slice).collect();
        for operation in OPERATIONS {
            let expected: Vec<u8> = (start..longest).map(|at| naive(operation, &sources, at)).collect();
            let mut output = vec![0x55; longest.saturating_sub(start)];
            bits::combine(operation, &sources, start, &mut output);
            prop_assert_eq!(output, expected, "{:?}", operation);
        }
    }

    #[test]
    fn fields_are_read_and_written(
        bytes in prop::collection::vec(any::<u8>(), 30),
        field in field(),
        offset in 0..176_u64,
        value: i64,
    ) {
        let (signed, width, field) = field;
        let read = |bytes: &[u8]| {
            let bits = (offset..offset + width).fold(0_u64, |bits, at| bits << 1 | u64::from(bit(bytes, at)));
            let negative = signed && bit(bytes, offset);
            if negative { bits as i128 - (1_i128 << width) } else { bits as i128 }
        };
        prop_assert_eq!(i128::from(field.read(&bytes, offset)), read(&bytes));
        let mut changed = bytes.clone();
        field.write(&mut changed, offset, value);
        let wrapped = i128::from(value).rem_euclid(1 << width);
        prop_assert_eq!(read(&changed).rem_euclid(1 << width), wrapped);
        for at in (0..240).filter(|at| !(offset..offset + width).contains(at)) {
            prop_assert_eq!(bit(&changed, at), bit(&bytes, at));
        }
        prop_assert_eq!(field.read(&bytes, 240), 0);
        prop_assert_eq!(field.read(&bytes, 1 << 60), 0);
    }

    #[test]
    fn fields_overflow_in_three_ways(field in field(), old: i64, increment in extreme()) {
        let (signed, width, field) = field;
        let (min, max) = if signed {
            (-(1_i128 << (width - 1)), (1_i128 << (width - 1)) - 1)
        } else {
            (0, (1_i128 << width) - 1)
        };
        let old = field.fit(old, Overflow::Wrap).unwrap();
        prop_assert!((min..=max).contains(&i128::from(old)));
        let exact = i128::from(old) + i128::from(increment);
        let fits = (min..=max).contains(&exact);
        let sum = |overflow| field.add(old, increment, overflow).map(i128::from);
        prop_assert_eq!(sum(Overflow::Fail), fits.then_some(exact));
        prop_assert_eq!(sum(Overflow::Saturate), Some(exact.clamp(min, max)));
        let wrapped = sum(Overflow::Wrap).unwrap();
        prop_assert!((min..=max).contains(&wrapped));
        prop_assert_eq!((wrapped - exact).rem_euclid(1 << width), 0);
    }
}

fn extreme() -> impl Strategy<Value = i64> {
    prop_oneof![any::<i64>(), -10..10_i64, Just(i64::MIN), Just(i64::MAX)]
}

/// Signed or not, width, and the same as a field.
fn field() -> impl Strategy<Value = (bool, u64, Field)> {
    (any::<bool>(), 1..=64_u64).prop_map(|(signed, width)| {
        let width = if signed { width } else { width.min(63) };
        let text = format!("{}{width}", if signed { 'i' } else { 'u' });
        (signed, width, Field::parse(text.as_bytes()).unwrap())
    })
}

const OPERATIONS: [Operation; 8] = [
    Operation::And,
    Operation::Or,
    Operation::Xor,
    Operation::Not,
    Operation::Diff,
    Operation::Diff1,
    Operation::AndOr,
    Operation::One,
];

fn naive(operation: Operation, sources: &[&[u8]], at: usize) -> u8 {
    let bytes: Vec<u8> = sources
        .iter()
        .map(|source| source.get(at).copied().unwrap_or(0))
        .collect();
    let (x, others) = (bytes[0], &bytes[1..]);
    let some_other = others.iter().fold(0, |all, byte| all | byte);
    match operation {
        Operation::And => bytes.iter().fold(0xff, |all, byte| all & byte),
        Operation::Or => x | some_other,
        Operation::Xor => bytes.iter().fold(0, |all, byte| all ^ byte),
        Operation::Not => !x,
        Operation::Diff => x & !some_other,
        Operation::Diff1 => some_other & !x,
        Operation::AndOr => x & some_other,
        Operation::One => (0..8)
            .map(|shift| 1 << shift)
            .filter(|mask| bytes.iter().filter(|byte| *byte & mask != 0).count() == 1)
            .sum(),
    }
}

#[test]
fn types_of_fields() {
    for text in ["i1", "i64", "u1", "u63"] {
        assert!(Field::parse(text.as_bytes()).is_some(), "{text}");
    }
    for text in [
        "",
        "i",
        "u",
        "i0",
        "u0",
        "i65",
        "u64",
        "x8",
        "I8",
        "i08",
        "i-1",
        "i 8",
        "i9223372036854775808",
    ] {
        assert!(Field::parse(text.as_bytes()).is_none(), "{text}");
    }
}
