//! The table against a std `HashMap` as its model: random edits with growth and shrinking, and colliding hashes.

mod table_support;

use ostraka_datatypes::raw::table::{Element, Entry, Owned, Table, prefetch};
use proptest::prelude::*;
use table_support::*;

fn check_edits<const WIDTH: u32>(edits: &[Edit]) {
    let mut checked = Checked::<WIDTH>::new();
    for edit in edits {
        checked.apply(edit);
        checked.table.verify().unwrap();
    }
    checked.verify();
    checked.copy().empty();
    checked.verify();
    checked.empty();
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn small_tables_match_the_model(edits in prop::collection::vec(edits(60), 0..400)) {
        check_edits::<64>(&edits);
    }

    #[test]
    fn large_tables_match_the_model(edits in prop::collection::vec(edits(scaled(12_000) as u64), 0..40)) {
        check_edits::<64>(&edits);
    }

    #[test]
    fn colliding_hashes_match_the_model(edits in prop::collection::vec(edits(scaled(2_000) as u64), 0..20)) {
        check_edits::<0>(&edits);
        check_edits::<3>(&edits);
        check_edits::<12>(&edits);
    }
}

#[test]
fn an_empty_table_has_no_memory_and_a_tiny_one_has_little() {
    let mut table = filled(0..0);
    assert_eq!(table.bytes(), 0);
    table.insert_new(hash_of::<64>(b"key:1"), pair(1, 1), 0);
    assert!(table.bytes() <= 136, "{}", table.bytes());
    assert!(remove(&mut table, 1));
    assert_eq!(table.bytes(), 0);
}

#[test]
fn ten_thousand_colliding_keys_cost_little_more_memory_than_others() {
    let count = scaled(10_000) as u64;
    let mut table = PairTable::<0>::new(*SEED);
    for number in 0..count {
        table.insert_new(hash_of::<0>(b""), pair(number, number), 0);
    }
    table.verify().unwrap();
    assert!(
        table.bytes() < 200_000 + 12 * count as usize,
        "{} bytes",
        table.bytes()
    );
    for number in (0..count).rev() {
        assert_eq!(
            table
                .remove(hash_of::<0>(b""), &key_of(number))
                .unwrap()
                .value,
            number
        );
    }
    assert_eq!((table.len(), table.bytes()), (0, 0));
}

#[test]
fn collisions_that_come_and_go_do_not_blow_the_directory_up() {
    let mut table = PairTable::<0>::new(*SEED);
    let insert = |table: &mut PairTable<0>, number| {
        table.insert_new(hash_of::<0>(b""), pair(number, number), 0)
    };
    (0..50).for_each(|number| insert(&mut table, number));
    for _ in 0..100 {
        // Eight buckets of seven are within reach of one home: the last four make a chain, for a while.
        (50..60).for_each(|number| insert(&mut table, number));
        for number in 50..60 {
            assert!(table.remove(hash_of::<0>(b""), &key_of(number)).is_some());
        }
        table.verify().unwrap();
    }
    assert!(table.bytes() < 50_000, "{} bytes", table.bytes());
}

#[test]
fn a_table_that_shrinks_gives_its_memory_back() {
    let count = scaled(200_000) as u64;
    let mut table = filled(0..count);
    let (full, mut next) = (table.bytes() as u64, 0);
    for left in [count / 2, count / 8, count / 64, 100, 1] {
        while table.len() as u64 > left {
            assert!(remove(&mut table, next));
            next += 1;
        }
        table.verify().unwrap();
        let bound = (full * left / count * 5 / 2).max(left * 64) + 136;
        assert!(
            table.bytes() as u64 <= bound,
            "{} bytes for {left} keys",
            table.bytes()
        );
    }
}

#[test]
fn a_table_emptied_in_hash_order_gives_its_memory_back() {
    let mut table = filled(0..scaled(100_000) as u64);
    while !table.is_empty() {
        let mut doomed = Vec::new();
        table.scan(0, 50, |pair| doomed.push(pair.value));
        doomed
            .into_iter()
            .for_each(|number| assert!(remove(&mut table, number)));
    }
    table.verify().unwrap();
    assert_eq!(table.bytes(), 0);
}

#[test]
fn keys_that_come_and_go_do_not_wear_the_table_out() {
    let count = scaled(20_000) as u64;
    let mut table = filled(0..count);
    for next in count..count * 20 {
        table.insert_new(hash_of::<64>(&key_of(next)), pair(next, next), 0);
        assert!(remove(&mut table, next - count));
    }
    table.verify().unwrap();
    let fresh = filled(count * 19..count * 20).bytes();
    assert!(
        table.bytes() < fresh * 13 / 10,
        "{} against {fresh}",
        table.bytes()
    );
}

#[test]
fn an_element_that_moves_in_a_panicking_update_is_not_lost() {
    let mut table = filled(0..1);
    let key = key_of(0);
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        table
            .get_mut(hash_of::<64>(&key), &key)
            .unwrap()
            .update(|element| {
                *element = pair(0, 1);
                panic!("half-way");
            });
    }));
    assert!(outcome.is_err());
    assert_eq!(table.get(hash_of::<64>(&key), &key).unwrap().value, 1);
}

#[test]
fn a_vacant_entry_that_is_dropped_changes_nothing() {
    let mut table = filled(0..10);
    let key = key_of(10);
    assert!(matches!(
        table.entry(hash_of::<64>(&key), &key),
        Entry::Vacant(_)
    ));
    assert_eq!(table.len(), 10);
    table.verify().unwrap();
}

#[test]
fn a_table_can_be_sent_to_another_thread() {
    fn is_send<T: Send>(_: &T) {}
    is_send(&filled(0..1));
}

#[test]
fn a_wrong_hash_finds_nothing_and_harms_nothing() {
    let mut table = filled(0..1_000);
    let key = key_of(5);
    assert!(table.get(!hash_of::<64>(&key), &key).is_none());
    assert!(table.find_by(0, |_| true).is_none());
    prefetch(&[table.spot(1)]);
    assert_eq!(table.hash(&key), pair::<64>(5, 0).hash(&SEED));
    table.insert_new(1, pair(5, 1), 0);
    (1_000..20_000).for_each(|number| table.insert_new(0, pair(number, number), 0));
    assert_eq!(table.iter().count(), 20_001);
}

#[test]
fn the_empty_table_answers_everything() {
    let mut table: Table<Owned<Pair>> = Table::new(*SEED);
    assert!(table.is_empty() && table.get(1, b"").is_none() && table.remove(1, b"").is_none());
    assert!(table.random(&mut || 0).is_none() && table.find_by(1, |_| true).is_none());
    assert_eq!(table.scan(0, 10, |_| panic!("an element")), 0);
    assert_eq!(
        table.scan(u64::MAX, usize::MAX, |_| panic!("an element")),
        0
    );
    prefetch(&[table.spot(1)]);
    table.verify().unwrap();
}
