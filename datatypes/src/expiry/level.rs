//! One level of the expiry index: time cut into spans of one length, and a bucket for each span that holds items.
//!
//! The spans that come next have their buckets in a ring, all others in a map. Filing one of a million keys with random
//! deadlines within an hour took 19 ns with the ring and 45 with the map alone. But a ring has its size from the start
//! (3 to 48 KiB), so a level that holds next to nothing has none.

use std::collections::BTreeMap;

use super::bucket::Bucket;
use super::ring::Ring;

/// Buckets in the map from which on a ring is worth its memory.
const RING_FROM: usize = 32;

/// What a bucket costs in the map beside its items: key and value, in nodes that are two thirds full.
const BUCKET_BYTES: usize = 48;

pub(super) struct Level {
    /// A span is `1 << shift` milliseconds.
    shift: u32,
    /// Length of the ring that there may be.
    ring_len: usize,
    ring: Ring,
    /// The spans that the ring does not cover.
    others: BTreeMap<u64, Bucket>,
    /// Allocated for items.
    bytes: usize,
}

impl Level {
    pub(super) fn new(shift: u32, ring_len: usize) -> Level {
        assert!(
            shift <= 16,
            "an item knows the low 16 bits of its deadline, its span must know the others"
        );
        Level {
            shift,
            ring_len,
            ring: Ring::new(0, 0),
            others: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// Lets the ring begin with the span of this time, or as near as the items in it allow.
    pub(super) fn turn_to(&mut self, now_ms: u64) {
        if self.ring.bytes() == 0 && self.others.len() >= RING_FROM {
            self.ring = Ring::new(self.ring_len, 0);
        }
        self.ring.turn_to(now_ms >> self.shift);
        while let Some(span) = self.next_other_covered() {
            let bucket = self.others.remove(&span).expect("it has just been found");
            self.ring.put(span, bucket);
        }
    }

    fn next_other_covered(&self) -> Option<u64> {
        let (&span, _) = self.others.range(self.ring.base()..).next()?;
        self.ring.covers(span).then_some(span)
    }

    fn first_span(&self) -> Option<u64> {
        let other = self.others.first_key_value().map(|(&span, _)| span);
        [self.ring.first(), other].into_iter().flatten().min()
    }

    /// An item of a span that lies anywhere between the first and the last.
    pub(super) fn pick(&self, roll: u64) -> Option<u64> {
        let first = self.first_span()?;
        let last = self.others.last_key_value().map(|(&span, _)| span);
        let last = last.max(self.ring.first().map(|_| self.ring.last()));
        let width = last.unwrap_or(first).saturating_sub(first);
        let from = match width.checked_add(1) {
            Some(spans) => first + (roll >> 16) % spans,
            None => first,
        };
        let span = self.next_from(from).unwrap_or(first);
        let bucket = if self.ring.covers(span) {
            self.ring.bucket(span)
        } else {
            self.others.get(&span)?
        };
        bucket.pick(roll)
    }

    /// The first span at or after this one that holds items.
    fn next_from(&self, span: u64) -> Option<u64> {
        let other = self.others.range(span..).next().map(|(&span, _)| span);
        [self.ring.next_from(span), other]
            .into_iter()
            .flatten()
            .min()
    }

    /// When the first span that holds items begins, in ms.
    pub(super) fn first_start(&self) -> Option<u64> {
        self.first_span().map(|span| span << self.shift)
    }

    pub(super) fn push(&mut self, deadline_ms: u64, item: u64) {
        let span = deadline_ms >> self.shift;
        if self.ring.covers(span) {
            self.ring.push(span, item, &mut self.bytes);
        } else {
            self.others
                .entry(span)
                .or_default()
                .push(item, &mut self.bytes);
        }
    }

    /// Takes an item out of the span that begins at this time, with its deadline.
    pub(super) fn pop(&mut self, start_ms: u64) -> Option<(u64, u64)> {
        let span = start_ms >> self.shift;
        let item = if self.ring.covers(span) {
            self.ring.pop(span, &mut self.bytes)?
        } else {
            let bucket = self.others.get_mut(&span)?;
            let item = bucket.pop(&mut self.bytes)?;
            if bucket.is_empty() {
                self.others.remove(&span);
            }
            item
        };
        Some((start_ms | item & ((1 << self.shift) - 1), item))
    }

    /// Takes the first span at or after this time out of the level, as a level of its own.
    pub(super) fn split_off(&mut self, from_ms: u64) -> Option<Level> {
        let span = self.next_from(from_ms >> self.shift)?;
        let bucket = if self.ring.covers(span) {
            self.ring.take(span)
        } else {
            self.others.remove(&span)?
        };
        let mut level = Level::new(self.shift, 0);
        level.bytes = bucket.bytes();
        self.bytes -= level.bytes;
        level.others.insert(span, bucket);
        Some(level)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes + self.ring.bytes() + self.others.len() * BUCKET_BYTES
    }
}
