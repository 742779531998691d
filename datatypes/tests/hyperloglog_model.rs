//! HyperLogLog against one byte for each register, and against bytes that a stranger wrote.

use ostraka_datatypes::hyperloglog::{self as hll, Encoding, Pattern, Registers, SelfTest};
use proptest::prelude::*;

const SPARSE_MAX: u64 = 3000;

/// Registers as bytes, and what an element does to them.
struct Model(Vec<u8>);

impl Model {
    fn new() -> Self {
        Self(vec![0; hll::REGISTERS])
    }

    fn add(&mut self, pattern: Pattern) -> bool {
        let register = &mut self.0[pattern.register];
        let raises = pattern.count > *register;
        *register = pattern.count.max(*register);
        raises
    }
}

fn registers(bytes: &[u8]) -> Vec<u8> {
    Registers::of(bytes).unwrap().iter().collect()
}

/// Registers near one another, so that runs are split and joined.
fn patterns() -> impl Strategy<Value = Vec<Pattern>> {
    let register = prop_oneof![
        4 => 0..20_usize,
        2 => 100..400_usize,
        2 => 0..hll::REGISTERS,
        1 => Just(hll::REGISTERS - 1),
    ];
    let count = prop_oneof![20 => 1..4_u8, 10 => 1..33_u8, 1 => 33..52_u8];
    let pattern = (register, count).prop_map(|(register, count)| Pattern { register, count });
    prop::collection::vec(pattern, 0..300)
}

proptest! {
    #[test]
    fn sparse_and_dense_are_the_model(patterns in patterns(), sparse_max in prop_oneof![Just(20), Just(200), Just(SPARSE_MAX)]) {
        let mut model = Model::new();
        let mut sparse = hll::empty();
        let mut dense = hll::empty();
        prop_assert_eq!(hll::make_dense(&mut dense), Ok(true));
        for pattern in patterns {
            let raises = model.add(pattern);
            prop_assert_eq!(hll::add(&mut sparse, pattern, sparse_max), Ok(raises));
            prop_assert_eq!(hll::add_dense(&mut dense, pattern), raises);
        }
        if hll::encoding(&sparse) == Some(Encoding::Sparse) {
            prop_assert!(sparse.len() as u64 <= sparse_max.max(18));
        }
        prop_assert_eq!(&registers(&sparse), &model.0);
        prop_assert_eq!(&registers(&dense), &model.0);
        prop_assert_eq!(hll::cardinality(&sparse), hll::cardinality(&dense));
        let union = Registers::of(&sparse).unwrap();
        prop_assert_eq!(Ok(union.cardinality()), hll::cardinality(&dense));
        hll::make_dense(&mut sparse).unwrap();
        prop_assert_eq!(hll::cardinality(&sparse), hll::cardinality(&dense));
    }

    /// The cursor of a union leads to the bytes that one search after the other leads to.
    #[test]
    fn unions_are_added_in_order(before in patterns(), added in patterns()) {
        let mut bytes = hll::empty();
        for pattern in before {
            hll::add(&mut bytes, pattern, SPARSE_MAX).unwrap();
        }
        let mut other = hll::empty();
        for pattern in added {
            hll::add(&mut other, pattern, SPARSE_MAX).unwrap();
        }
        let union = Registers::of(&other).unwrap();
        let mut one_by_one = bytes.clone();
        for (register, count) in union.iter().enumerate().filter(|(_, count)| *count > 0) {
            hll::add(&mut one_by_one, Pattern { register, count }, SPARSE_MAX).unwrap();
        }
        union.add_to(&mut bytes, SPARSE_MAX).unwrap();
        prop_assert_eq!(bytes, one_by_one);
    }

    /// Anything may stand behind the header.
    #[test]
    fn strange_bytes_are_refused_or_counted(
        dense: bool,
        body in prop::collection::vec(any::<u8>(), 0..200),
        register in 0..hll::REGISTERS,
        count in 1..52_u8,
        full: bool,
    ) {
        let mut bytes = b"HYLL\x01\0\0\0\0\0\0\0\0\0\0\0".to_vec();
        bytes[4] = u8::from(!dense);
        bytes.extend(&body);
        if dense || full {
            bytes.resize(hll::DENSE_LEN, body.first().copied().unwrap_or(0));
        }
        prop_assert_eq!(hll::encoding(&bytes).is_some(), true);
        let counted = hll::cardinality(&bytes);
        prop_assert_eq!(Registers::of(&bytes).map(|union| union.cardinality()), counted);
        let mut converted = bytes.clone();
        prop_assert_eq!(hll::make_dense(&mut converted).is_ok(), counted.is_ok());
        prop_assert!(hll::sparse::decode(&bytes).count() <= bytes.len());
        if let Ok(union) = Registers::of(&bytes) {
            let mut target = hll::empty();
            union.add_to(&mut target, SPARSE_MAX).unwrap();
        }
        let added = hll::add(&mut bytes, Pattern { register, count }, SPARSE_MAX);
        prop_assert!(added.is_ok() || counted.is_err());
    }
}

#[test]
fn headers_that_are_not_ours() {
    let mut bytes = hll::empty();
    assert_eq!(hll::encoding(&bytes), Some(Encoding::Sparse));
    assert_eq!(hll::encoding(b""), None);
    assert_eq!(hll::encoding(b"HYLL\x01"), None);
    assert_eq!(hll::encoding(b"HYLO\x01\0\0\0\0\0\0\0\0\0\0\0"), None);
    bytes[4] = 2;
    assert_eq!(hll::encoding(&bytes), None);
    bytes[4] = 0;
    assert_eq!(hll::encoding(&bytes), None);
    bytes.resize(hll::DENSE_LEN, 0);
    assert_eq!(hll::encoding(&bytes), Some(Encoding::Dense));
    bytes.push(0);
    assert_eq!(hll::encoding(&bytes), None);
}

#[test]
fn a_cardinality_is_remembered_until_something_is_added() {
    let mut bytes = hll::empty();
    assert_eq!(hll::cached(&bytes), Some(0));
    hll::make_stale(&mut bytes);
    assert_eq!(hll::cached(&bytes), None);
    hll::cache(&mut bytes, 1 << 40);
    assert_eq!(hll::cached(&bytes), Some(1 << 40));
}

/// Part of it: the whole takes seconds without optimisation.
#[test]
fn the_self_test_goes_well() {
    let mut test = SelfTest::new(7, SPARSE_MAX);
    for _ in 0..20 {
        assert_eq!(test.advance(10_000), None);
    }
}
