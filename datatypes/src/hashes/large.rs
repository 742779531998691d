//! Large hashes: a table of fields, and the order of their deadlines if there are any.

use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use super::{FieldRef, FieldTtl};
use crate::hash::Seed;
use crate::packed::Element;
use crate::raw::entry::Encoding;
use crate::raw::field::Field;
use crate::raw::table::{Entry, Occupied, Ref, Spot, Table};

/// Measured: 40 B of RSS per field of 10 + 10 bytes at 1 M fields, allocations included.
pub struct Hash {
    table: Table<Field>,
    /// Bytes of the fields.
    bytes: usize,
    /// Deadline in ms and position (the top 48 bits of the hash) of every field with a deadline; fields that agree in both
    /// share an item.
    deadlines: BTreeSet<(u64, u64)>,
    /// See [`super::alarm`]; 0 is none. Only whoever holds the database's cell writes it, but others may be reading the hash.
    alarm: AtomicU64,
}

impl Hash {
    pub fn new(seed: Seed) -> Self {
        Self {
            table: Table::new(seed),
            bytes: 0,
            deadlines: BTreeSet::new(),
            alarm: AtomicU64::new(0),
        }
    }

    /// See [`Table::begin_copy`].
    pub fn begin_copy(&self) -> Self {
        Self {
            table: self.table.begin_copy(),
            bytes: self.bytes,
            deadlines: BTreeSet::new(),
            alarm: AtomicU64::new(self.alarm.load(Relaxed)),
        }
    }

    /// See [`Table::copy_part`].
    pub fn copy_part(&self, copy: &mut Self) -> bool {
        /// Deadlines that are copied at once.
        const DEADLINES: usize = 500;
        if self.table.copy_part(&mut copy.table) {
            return true;
        }
        let last = copy.deadlines.last().copied();
        let rest = (last.map_or(Unbounded, Excluded), Unbounded);
        let next = self.deadlines.range(rest).take(DEADLINES);
        copy.deadlines.extend(next);
        copy.deadlines.last().copied() != last
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    pub fn encoding(&self) -> Encoding {
        Encoding::Hashtable
    }

    /// Allocated bytes.
    pub fn memory_usage(&self) -> usize {
        /// An item of a B-tree and its share of the node, which is two thirds full.
        const DEADLINE: usize = 24;
        size_of::<Self>() + self.table.bytes() + self.bytes + self.deadlines.len() * DEADLINE
    }

    /// Where a field is looked for.
    #[inline]
    pub fn spot(&self, name: &[u8]) -> Option<Spot<'_>> {
        self.table.spot(self.table.hash(name))
    }

    #[inline]
    pub fn get(&self, name: &[u8]) -> Option<FieldRef<'_>> {
        Some(field_ref(self.table.get(self.table.hash(name), name)?))
    }

    pub fn iter(&self) -> impl Iterator<Item = FieldRef<'_>> {
        self.table.iter().map(field_ref)
    }

    /// See [`Table::scan`].
    pub fn scan<'a>(
        &'a self,
        cursor: u64,
        count: usize,
        mut emit: impl FnMut(FieldRef<'a>),
    ) -> u64 {
        self.table
            .scan(cursor, count, |field| emit(field_ref(field)))
    }

    /// A field, each equally likely.
    pub fn random(&self, dice: &mut impl FnMut() -> u64) -> Option<FieldRef<'_>> {
        self.table.random(dice).map(field_ref)
    }

    /// The earliest deadline.
    #[inline]
    pub fn earliest(&self) -> Option<u64> {
        let (deadline, _) = self.deadlines.first()?;
        Some(*deadline)
    }

    #[inline]
    pub(super) fn alarm(&self) -> Option<u64> {
        Some(self.alarm.load(Relaxed)).filter(|alarm| *alarm > 0)
    }

    pub(super) fn set_alarm(&self, alarm: Option<u64>) {
        self.alarm.store(alarm.unwrap_or(0), Relaxed);
    }

    /// Whether there was no such field, or one whose time was up.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8], ttl: FieldTtl, now_ms: u64) -> bool {
        let hash = self.table.hash(name);
        match self.table.entry(hash, name) {
            Entry::Vacant(place) => {
                let deadline = ttl.after(None);
                let field = Field::new(name, value, deadline);
                self.bytes += field.memory_usage();
                place.insert(field, 0);
                self.file(hash, deadline);
                true
            }
            Entry::Occupied(mut place) => {
                let old = place.get().deadline();
                let live = old.is_none_or(|deadline| deadline > now_ms);
                let deadline = ttl.after(old.filter(|_| live));
                self.bytes -= place.get().memory_usage();
                place.update(|field| field.set(value, deadline));
                self.bytes += place.get().memory_usage();
                self.refile(hash, old, deadline);
                !live
            }
        }
    }

    /// Adds a field that is not there.
    pub(super) fn insert(&mut self, field: FieldRef<'_>) {
        let (mut name, mut value) = (itoa::Buffer::new(), itoa::Buffer::new());
        let name = field.name.text(&mut name);
        let new = Field::new(name, field.value.text(&mut value), field.deadline);
        self.bytes += new.memory_usage();
        let hash = self.table.hash(name);
        self.table.insert_new(hash, new, 0);
        self.file(hash, field.deadline);
    }

    pub(super) fn remove(&mut self, name: &[u8]) {
        let hash = self.table.hash(name);
        if let Some(field) = self.table.remove(hash, name) {
            self.bytes -= field.memory_usage();
            self.refile(hash, field.deadline(), None);
        }
    }

    pub(super) fn set_deadline(&mut self, name: &[u8], deadline: Option<u64>) {
        let hash = self.table.hash(name);
        let Some(mut place) = self.table.get_mut(hash, name) else {
            return;
        };
        let old = place.get().deadline();
        self.bytes -= place.get().memory_usage();
        place.update(|field| field.set_deadline(deadline));
        self.bytes += place.get().memory_usage();
        self.refile(hash, old, deadline);
    }

    pub(super) fn expire(&mut self, now_ms: u64, budget: usize, mut gone: impl FnMut(u64)) {
        for _ in 0..budget {
            let first = self.deadlines.first().copied();
            let Some((deadline, position)) = first.filter(|(deadline, _)| *deadline <= now_ms)
            else {
                return;
            };
            match self.find(deadline, position) {
                Some(place) => {
                    let field = place.remove();
                    self.bytes -= field.memory_usage();
                    self.unfile(position, deadline);
                    gone(deadline);
                }
                None => unreachable!("an item has a field"),
            }
        }
    }

    fn find(&mut self, deadline: u64, position: u64) -> Option<Occupied<'_, Field>> {
        let is = |field: &Field| field.deadline() == Some(deadline);
        self.table.find_by(position, is)
    }

    fn refile(&mut self, hash: u64, old: Option<u64>, new: Option<u64>) {
        if old != new {
            if let Some(old) = old {
                self.unfile(hash >> 16, old);
            }
            self.file(hash, new);
        }
    }

    fn file(&mut self, hash: u64, deadline: Option<u64>) {
        if let Some(deadline) = deadline {
            self.deadlines.insert((deadline, hash >> 16));
        }
    }

    /// Drops the item of a field that is gone or has another deadline, unless a twin shares it.
    fn unfile(&mut self, position: u64, deadline: u64) {
        if self.find(deadline, position).is_none() {
            self.deadlines.remove(&(deadline, position));
        }
    }
}

#[inline]
fn field_ref(field: Ref<'_, Field>) -> FieldRef<'_> {
    let (name, value, deadline) = field.into_parts();
    FieldRef {
        name: Element::Bytes(name),
        value: Element::Bytes(value),
        deadline,
    }
}
