//! One level of the expiry index: time cut into spans of one length, and a bucket for each span that holds items.

use std::collections::BTreeMap;

use super::bucket::Bucket;

/// What a bucket costs in the map beside its items: key and value, in nodes that are two thirds full.
const BUCKET_BYTES: usize = 48;

pub(super) struct Level {
    /// A span is `1 << shift` milliseconds.
    shift: u32,
    buckets: BTreeMap<u64, Bucket>,
    /// Allocated for items.
    bytes: usize,
}

impl Level {
    pub(super) fn new(shift: u32) -> Level {
        assert!(
            shift <= 16,
            "an item knows the low 16 bits of its deadline, its span must know the others"
        );
        Level {
            shift,
            buckets: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// When the first span that holds items begins, in ms.
    pub(super) fn first_start(&self) -> Option<u64> {
        self.buckets
            .first_key_value()
            .map(|(span, _)| span << self.shift)
    }

    pub(super) fn push(&mut self, deadline_ms: u64, item: u64) {
        self.buckets
            .entry(deadline_ms >> self.shift)
            .or_default()
            .push(item, &mut self.bytes);
    }

    /// Takes an item out of the first span, with its deadline.
    pub(super) fn pop_first(&mut self) -> Option<(u64, u64)> {
        let mut bucket = self.buckets.first_entry()?;
        let item = bucket.get_mut().pop(&mut self.bytes)?;
        let start = bucket.key() << self.shift;
        if bucket.get().is_empty() {
            bucket.remove();
        }
        Some((start | item & ((1 << self.shift) - 1), item))
    }

    /// Takes the first span at or after `start_ms` out of the level, as a level of its own.
    pub(super) fn split_off(&mut self, start_ms: u64) -> Option<Level> {
        let (&span, _) = self.buckets.range(start_ms >> self.shift..).next()?;
        let bucket = self.buckets.remove(&span)?;
        let bytes = bucket.bytes();
        self.bytes -= bytes;
        Some(Level {
            shift: self.shift,
            buckets: BTreeMap::from([(span, bucket)]),
            bytes,
        })
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.buckets.len() * BUCKET_BYTES
    }
}
