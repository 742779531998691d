//! Keepers know what a key held when they began, whatever writers do meanwhile.

mod table_support;

use ostraka_datatypes::raw::table::{Keeper, KeeperId, Owned};
use proptest::prelude::*;
use std::any::Any;
use std::collections::HashMap;
use table_support::*;

/// Remembers the first that it is told of each key.
#[derive(Default)]
struct First(HashMap<Vec<u8>, Option<u64>>);

impl<const WIDTH: u32> Keeper<Owned<Pair<WIDTH>>> for First {
    fn keep(&mut self, key: &[u8], old: Option<&Owned<Pair<WIDTH>>>) {
        let value = old.map(|pair| pair.value);
        self.0.entry(key.to_vec()).or_insert(value);
    }
}

/// What a key held when the keeper began.
fn at_first<const WIDTH: u32>(
    table: &PairTable<WIDTH>,
    keeper: KeeperId,
    number: u64,
) -> Option<u64> {
    let key = key_of(number);
    let keeper: &dyn Any = table.keeper(keeper).unwrap();
    let kept = keeper.downcast_ref::<First>().unwrap().0.get(&key);
    let now = || Some(table.get(hash_of::<WIDTH>(&key), &key)?.value);
    kept.copied().unwrap_or_else(now)
}

fn check_keepers<const WIDTH: u32>(keys: u64, edits: &[Edit]) {
    let mut checked = Checked::<WIDTH>::new();
    let mut living = Vec::new();
    for (nth, edit) in edits.iter().enumerate() {
        if nth % 5 == 0 {
            let keeper = checked.table.begin_keeping(Box::<First>::default());
            living.push((keeper, checked.model.clone()));
        }
        checked.apply(edit);
        if nth % 7 == 6 {
            let (keeper, _) = living.remove(nth % living.len());
            assert!(checked.table.end_keeping(keeper).is_some());
            assert!(checked.table.end_keeping(keeper).is_none());
        }
    }
    for (keeper, model) in &living {
        for number in 0..2 * keys {
            let expected = model.get(&number).map(|(value, _)| *value);
            assert_eq!(at_first(&checked.table, *keeper, number), expected);
        }
    }
    assert_eq!(checked.table.is_looked_at(), !living.is_empty());
    checked.verify();
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn keepers_know_the_moment_they_began(edits in prop::collection::vec(edits(scaled(4000) as u64), 0..40)) {
        check_keepers::<64>(scaled(4000) as u64, &edits);
    }

    #[test]
    fn keepers_of_small_tables_know_it(edits in prop::collection::vec(edits(50), 0..200)) {
        check_keepers::<64>(50, &edits);
    }

    #[test]
    fn keepers_of_colliding_elements_know_it(edits in prop::collection::vec(edits(600), 0..30)) {
        check_keepers::<4>(600, &edits);
    }
}

#[test]
fn a_keeper_goes_with_what_is_taken_out() {
    let mut table = filled(0..100);
    let keeper = table.begin_keeping(Box::<First>::default());
    let taken = table.take_all(*SEED);
    assert!(table.keeper(keeper).is_none() && !table.is_looked_at());
    table.insert_new(hash_of::<64>(&key_of(5)), pair(5, 6), 0);
    assert_eq!(at_first(&taken, keeper, 5), Some(5));
}
