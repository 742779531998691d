//! The buckets of the next spans of a level, found by arithmetic: span `s` is in slot `s` modulo the ring's length.
//!
//! ```text
//!   slots      | 8 | 9 | 2 | 3 | 4 | 5 | 6 | 7 |      base 2, length 8: spans 2 to 9
//!   occupied     0   1   0   0   1   0   1   0        first = 4
//! ```
//!
//! The base moves on as time goes by; a span that it passes must be empty. What is outside of base and length is
//! not the ring's.

use std::mem;

use super::bucket::Bucket;

pub(super) struct Ring {
    /// A multiple of 64 of them, or none at all.
    slots: Vec<Bucket>,
    /// A bit for every slot whose bucket holds items.
    occupied: Vec<u64>,
    base: u64,
    /// The first span that holds items.
    first: Option<u64>,
}

impl Ring {
    pub(super) fn new(length: usize, base: u64) -> Ring {
        assert!(length.is_multiple_of(64), "the bits come in words");
        let slots = (0..length).map(|_| Bucket::default()).collect();
        Ring {
            slots,
            occupied: vec![0; length / 64],
            base,
            first: None,
        }
    }

    fn len(&self) -> u64 {
        self.slots.len() as u64
    }

    pub(super) fn base(&self) -> u64 {
        self.base
    }

    /// The last span that it covers.
    pub(super) fn last(&self) -> u64 {
        self.base.saturating_add(self.len().saturating_sub(1))
    }

    pub(super) fn covers(&self, span: u64) -> bool {
        span >= self.base && span - self.base < self.len()
    }

    pub(super) fn first(&self) -> Option<u64> {
        self.first
    }

    /// The bucket of a span that it covers.
    pub(super) fn bucket(&self, span: u64) -> &Bucket {
        &self.slots[self.slot(span)]
    }

    /// Moves on as far as the first span that holds items allows; back only when there is none.
    pub(super) fn turn_to(&mut self, span: u64) {
        self.base = match self.first {
            Some(first) => span.min(first).max(self.base),
            None => span,
        };
    }

    pub(super) fn push(&mut self, span: u64, item: u64, bytes: &mut usize) {
        self.occupy(span).push(item, bytes);
    }

    pub(super) fn put(&mut self, span: u64, bucket: Bucket) {
        *self.occupy(span) = bucket;
    }

    /// The bucket of a span that is about to hold items.
    fn occupy(&mut self, span: u64) -> &mut Bucket {
        debug_assert!(self.covers(span));
        let slot = self.slot(span);
        self.occupied[slot / 64] |= 1 << (slot % 64);
        if self.first.is_none_or(|first| span < first) {
            self.first = Some(span);
        }
        &mut self.slots[slot]
    }

    pub(super) fn pop(&mut self, span: u64, bytes: &mut usize) -> Option<u64> {
        let slot = self.slot(span);
        let item = self.slots[slot].pop(bytes);
        if self.slots[slot].is_empty() {
            self.vacate(span);
        }
        item
    }

    pub(super) fn take(&mut self, span: u64) -> Bucket {
        let slot = self.slot(span);
        self.vacate(span);
        mem::take(&mut self.slots[slot])
    }

    fn vacate(&mut self, span: u64) {
        let slot = self.slot(span);
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        if self.first == Some(span) {
            self.first = self.next_from(span);
        }
    }

    /// The first span at or after this one that holds items.
    pub(super) fn next_from(&self, span: u64) -> Option<u64> {
        let mut ahead = span.saturating_sub(self.base);
        while ahead < self.len() {
            let slot = self.slot(self.base.wrapping_add(ahead));
            let word = self.occupied[slot / 64] >> (slot % 64);
            if word != 0 {
                // Where the ring closes, a word's upper bits are the base's once more: they have been seen.
                let found = ahead + u64::from(word.trailing_zeros());
                return (found < self.len()).then(|| self.base + found);
            }
            ahead += 64 - slot as u64 % 64;
        }
        None
    }

    fn slot(&self, span: u64) -> usize {
        (span % self.len()) as usize
    }

    pub(super) fn bytes(&self) -> usize {
        self.slots.len() * size_of::<Bucket>() + self.occupied.len() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Against a sorted set of spans, through every place where the ring can close.
        #[test]
        fn finds_the_spans_that_hold_items(
            start in prop_oneof![0u64..1000, Just(u64::MAX - 300)],
            steps in vec((0u64..128, 0u64..40, any::<bool>()), 1..200),
        ) {
            let (mut ring, mut spans, mut bytes) = (Ring::new(128, start), BTreeSet::new(), 0);
            let mut now = start;
            for (ahead, step, fill) in steps {
                let span = now.saturating_add(ahead);
                if fill && ring.covers(span) {
                    ring.push(span, span, &mut bytes);
                    spans.insert(span);
                } else if let Some(&taken) = spans.range(span..).next().filter(|_| ahead % 2 == 0) {
                    ring.take(taken);
                    spans.remove(&taken);
                } else {
                    now = now.saturating_add(step);
                    ring.turn_to(now);
                }
                prop_assert_eq!(ring.first(), spans.first().copied());
                prop_assert_eq!(ring.next_from(span), spans.range(span..).next().copied());
                prop_assert!(spans.iter().all(|&span| ring.covers(span)));
            }
        }
    }
}
