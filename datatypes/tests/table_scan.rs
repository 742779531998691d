//! SCAN's guarantee, whatever happens between its calls, and the fairness of random elements.

mod table_support;

use proptest::prelude::*;
use std::collections::{HashMap, HashSet};
use table_support::*;

/// How often the contents change while one scan is on its way; then it must come to its end.
const CHANGES: usize = 25;

proptest! {
    #![proptest_config(config(30))]

    #[test]
    fn scan_misses_nothing_that_stays(
        stays in 0..scaled(6_000) as u64,
        count in 1usize..300,
        changes in prop::collection::vec((any::<bool>(), 0..scaled(8_000) as u64), 1..30),
    ) {
        let mut table = filled(0..stays);
        let mut passing = stays..stays;
        let (mut cursor, mut seen) = (0, HashSet::new());
        let mut changes = changes.into_iter().cycle().take(CHANGES);
        loop {
            cursor = table.scan(cursor, count, |pair| { seen.insert(pair.value); });
            prop_assert!(cursor < 1 << 46);
            if cursor == 0 { break }
            match changes.next() {
                Some((true, size)) => for _ in 0..size {
                    let number = passing.end;
                    table.insert_new(hash_of::<64>(&key_of(number)), pair(number, number), 0);
                    passing.end += 1;
                },
                Some((false, size)) => for number in passing.by_ref().take(size as usize) {
                    assert!(remove(&mut table, number));
                },
                None => {}
            }
        }
        prop_assert_eq!((0..stays).find(|number| !seen.contains(number)), None);
    }
}

fn scan_all<const WIDTH: u32>(table: &PairTable<WIDTH>, count: usize) -> (Vec<u64>, usize) {
    let (mut cursor, mut seen, mut calls) = (0, Vec::new(), 0);
    loop {
        cursor = table.scan(cursor, count, |pair| seen.push(pair.value));
        calls += 1;
        if cursor == 0 {
            seen.sort_unstable();
            return (seen, calls);
        }
    }
}

#[test]
fn scan_of_a_quiet_table_emits_each_element_once() {
    for size in [0, 1, 6, 100, 1_000, scaled(100_000) as u64] {
        let (seen, calls) = scan_all(&filled(0..size), 10);
        assert_eq!(seen, (0..size).collect::<Vec<_>>());
        assert!(calls <= size as usize / 10 + 1);
    }
}

#[test]
fn scan_of_a_sparse_table_is_cut_into_short_calls() {
    let size = scaled(100_000) as u64;
    let mut table = filled(0..size);
    (1..size).for_each(|number| assert!(remove(&mut table, number)));
    assert_eq!(scan_all(&table, 10).0, [0]);
}

#[test]
fn scan_sees_colliding_elements_in_one_call() {
    let count = scaled(3_000) as u64;
    let mut table = PairTable::<0>::new(*SEED);
    for number in 0..count {
        table.insert_new(hash_of::<0>(b""), pair(number, number), 0);
    }
    assert_eq!(scan_all(&table, 10).0, (0..count).collect::<Vec<_>>());
}

/// A small generator for tests that need chance but no shrinking.
fn splitmix(mut state: u64) -> impl FnMut() -> u64 {
    move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

/// Draws each element 50 times on average: chi-squared has the mean n and the standard deviation sqrt(2 n).
fn assert_random_is_uniform<const WIDTH: u32>(table: &PairTable<WIDTH>) {
    const DRAWS: f64 = 50.0;
    let mut random = splitmix(5);
    let mut counts: HashMap<u64, f64> = table.iter().map(|pair| (pair.value, 0.0)).collect();
    for _ in 0..table.len() * DRAWS as usize {
        let drawn = table.random(&mut random).unwrap().value;
        *counts.get_mut(&drawn).unwrap() += 1.0;
    }
    let chi_squared: f64 = counts
        .values()
        .map(|count| (count - DRAWS).powi(2) / DRAWS)
        .sum();
    let (mean, deviation) = (table.len() as f64, (2.0 * table.len() as f64).sqrt());
    assert!(
        (chi_squared - mean).abs() < 5.0 * deviation + 1.0,
        "{mean} elements: {chi_squared}"
    );
}

#[test]
fn random_elements_are_uniform() {
    for size in [1, 5, 50, 1_000, 8_000, 20_000] {
        assert_random_is_uniform(&filled(0..scaled(size) as u64));
    }
}

#[test]
fn random_elements_are_uniform_in_a_lopsided_table() {
    // The upper half of the hashes is thinned out, so that its segments end up at a smaller depth.
    let mut table = filled(0..scaled(20_000) as u64);
    let in_upper_half = |number: &u64| hash_of::<64>(&key_of(*number)) >> 63 == 1;
    let doomed = (0..scaled(20_000) as u64)
        .filter(in_upper_half)
        .filter(|number| number % 8 > 0);
    doomed.for_each(|number| assert!(remove(&mut table, number)));
    assert_random_is_uniform(&table);
}

#[test]
fn random_elements_are_uniform_among_colliding_ones() {
    let mut table = PairTable::<1>::new(*SEED);
    for number in 0..scaled(1_000) as u64 {
        table.insert_new(hash_of::<1>(&key_of(number)), pair(number, number), 0);
    }
    assert_random_is_uniform(&table);
}
