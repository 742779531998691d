//! What the tests of the table share: an element, a model, random edits. `OSTRAKA_TEST_SCALE` divides the
//! sizes (20 suits valgrind).
#![allow(dead_code, reason = "each test program uses its part")]

use ostraka_datatypes::hash::{self, Seed};
use ostraka_datatypes::raw::table::{Entry, Keyed, Owned, Table};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::LazyLock;

pub static SEED: LazyLock<Seed> = LazyLock::new(|| Seed::new(11));

/// `size`, or a part of it where tests run slowly.
pub fn scaled(size: usize) -> usize {
    let scale = std::env::var("OSTRAKA_TEST_SCALE")
        .ok()
        .and_then(|text| text.parse().ok());
    (size / scale.unwrap_or(1)).max(1)
}

pub fn config(cases: u32) -> ProptestConfig {
    let cases = scaled(cases as usize) as u32;
    ProptestConfig {
        cases,
        failure_persistence: None,
        ..Default::default()
    }
}

/// A key and a value in an allocation of their own. `WIDTH` is the number of hash bits that are left: with 0 all
/// keys collide.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pair<const WIDTH: u32 = 64> {
    pub key: Vec<u8>,
    pub value: u64,
}

fn narrow(hash: u64, width: u32) -> u64 {
    match width {
        64 => hash,
        0 => 0x5555_0000_0000,
        width => hash >> (64 - width) << (64 - width),
    }
}

impl<const WIDTH: u32> Keyed for Pair<WIDTH> {
    fn key(&self) -> &[u8] {
        &self.key
    }

    fn hash(&self, seed: &Seed) -> u64 {
        narrow(hash::hash(seed, &self.key), WIDTH)
    }
}

pub type PairTable<const WIDTH: u32> = Table<Owned<Pair<WIDTH>>>;

pub fn key_of(number: u64) -> Vec<u8> {
    format!("key:{number}").into_bytes()
}

pub fn hash_of<const WIDTH: u32>(key: &[u8]) -> u64 {
    narrow(hash::hash(&SEED, key), WIDTH)
}

pub fn pair<const WIDTH: u32>(number: u64, value: u64) -> Owned<Pair<WIDTH>> {
    Owned::new(Pair {
        key: key_of(number),
        value,
    })
}

pub fn filled(numbers: std::ops::Range<u64>) -> PairTable<64> {
    let mut table = Table::new(*SEED);
    for number in numbers {
        table.insert_new(hash_of::<64>(&key_of(number)), pair(number, number), 0);
    }
    table
}

pub fn remove(table: &mut PairTable<64>, number: u64) -> bool {
    let key = key_of(number);
    table.remove(hash_of::<64>(&key), &key).is_some()
}

#[derive(Clone, Debug)]
pub enum Edit {
    Set(u64, u64),
    Update(u64, u64),
    Reallocate(u64, u64),
    Hint(u64, u16),
    Remove(u64),
    RemoveByPosition(u64),
    /// Sets keys in a row, so that the table grows.
    Fill(u64, u64),
    /// Removes keys in a row, so that it shrinks.
    Sweep(u64, u64),
}

pub fn edits(keys: u64) -> impl Strategy<Value = Edit> {
    prop_oneof![
        4 => (0..keys, any::<u64>()).prop_map(|(key, value)| Edit::Set(key, value)),
        2 => (0..keys, any::<u64>()).prop_map(|(key, value)| Edit::Update(key, value)),
        2 => (0..keys, any::<u64>()).prop_map(|(key, value)| Edit::Reallocate(key, value)),
        2 => (0..keys, any::<u16>()).prop_map(|(key, hint)| Edit::Hint(key, hint)),
        3 => (0..keys).prop_map(Edit::Remove),
        1 => (0..keys).prop_map(Edit::RemoveByPosition),
        1 => (0..keys, 0..=keys / 2).prop_map(|(from, count)| Edit::Fill(from, count)),
        1 => (0..keys, 0..=keys / 2).prop_map(|(from, count)| Edit::Sweep(from, count)),
    ]
}

/// A table and what it should hold: value and hint by key.
pub struct Checked<const WIDTH: u32> {
    pub table: PairTable<WIDTH>,
    pub model: HashMap<u64, (u64, u16)>,
}

impl<const WIDTH: u32> Checked<WIDTH> {
    pub fn new() -> Self {
        Self {
            table: Table::new(*SEED),
            model: HashMap::new(),
        }
    }

    pub fn apply(&mut self, edit: &Edit) {
        match *edit {
            Edit::Set(key, value) => self.set(key, value),
            Edit::Update(key, value) => self.change(key, value, |element| element.value = value),
            Edit::Reallocate(key, value) => {
                self.change(key, value, |element| *element = pair(key, value))
            }
            Edit::Hint(key, hint) => self.hint(key, hint),
            Edit::Remove(key) => self.remove(key),
            Edit::RemoveByPosition(key) => self.remove_by_position(key),
            Edit::Fill(from, count) => (from..from + count).for_each(|key| self.set(key, key)),
            Edit::Sweep(from, count) => (from..from + count).for_each(|key| self.remove(key)),
        }
    }

    pub fn set(&mut self, number: u64, value: u64) {
        let key = key_of(number);
        let before = self.model.get(&number).copied();
        match self.table.entry(hash_of::<WIDTH>(&key), &key) {
            Entry::Occupied(mut entry) => {
                assert_eq!(Some((entry.get().value, entry.hint())), before);
                assert_eq!(entry.replace(pair(number, value)).key, key);
            }
            Entry::Vacant(entry) => {
                assert_eq!(before, None);
                assert_eq!(entry.insert(pair(number, value), 7).get().value, value);
            }
        }
        self.model.entry(number).or_insert((0, 7)).0 = value;
    }

    fn change(&mut self, number: u64, value: u64, change: impl FnOnce(&mut Owned<Pair<WIDTH>>)) {
        let key = key_of(number);
        let found = self.table.get_mut(hash_of::<WIDTH>(&key), &key);
        assert_eq!(found.is_some(), self.model.contains_key(&number));
        if let Some(mut entry) = found {
            entry.update(change);
            assert_eq!(entry.into_ref().value, value);
            self.model.entry(number).and_modify(|kept| kept.0 = value);
        }
    }

    fn hint(&mut self, number: u64, hint: u16) {
        let key = key_of(number);
        if let Some(mut entry) = self.table.get_mut(hash_of::<WIDTH>(&key), &key) {
            entry.set_hint(hint);
            self.model.entry(number).and_modify(|kept| kept.1 = hint);
        }
    }

    pub fn remove(&mut self, number: u64) {
        let key = key_of(number);
        let removed = self.table.remove(hash_of::<WIDTH>(&key), &key);
        assert_eq!(
            removed.map(|pair| pair.value),
            self.model.remove(&number).map(|kept| kept.0)
        );
    }

    fn remove_by_position(&mut self, number: u64) {
        let key = key_of(number);
        let found = self
            .table
            .find_by(hash_of::<WIDTH>(&key) >> 16, |pair| pair.key == key);
        let removed = found.map(|entry| entry.remove().value);
        assert_eq!(removed, self.model.remove(&number).map(|kept| kept.0));
    }

    /// A copy that shares nothing.
    pub fn copy(&self) -> Self {
        let copy = Self {
            table: self.table.clone(),
            model: self.model.clone(),
        };
        assert_eq!(copy.table.bytes(), self.table.bytes());
        copy.verify();
        copy
    }

    /// Takes everything out.
    pub fn empty(&mut self) {
        for number in self.model.keys().copied().collect::<Vec<_>>() {
            self.remove(number);
        }
        self.verify();
    }

    pub fn verify(&self) {
        self.table.verify().unwrap();
        assert_eq!(self.table.len(), self.model.len());
        for (&number, &(value, hint)) in &self.model {
            let key = key_of(number);
            let found = self.table.get(hash_of::<WIDTH>(&key), &key).unwrap();
            assert_eq!((&found.key, found.value, found.hint()), (&key, value, hint));
        }
        assert_eq!(self.table.iter().count(), self.model.len());
        if self.model.is_empty() {
            assert_eq!(self.table.bytes(), 0);
        }
    }
}
