//! One bucket: a cache line with seven tags, a meta byte and seven slots.
//!
//! ```text
//!  word 0                                                  words 1..=7
//! ┌──────┬───────┬───────┬───────┬───────┬─ ─ ─┬───────┬────────┬────────┬─ ─ ─┬────────┐
//! │ meta │ tag 1 │ tag 2 │ tag 3 │ tag 4 │     │ tag 7 │ slot 1 │ slot 2 │     │ slot 7 │   64 bytes
//! └──────┴───────┴───────┴───────┴───────┴─ ─ ─┴───────┴────────┴────────┴─ ─ ─┴────────┘
//!  meta: bits 0–2 reach, bit 3 chained (both speak of the elements whose home is here, wherever they are)
//!  tag i: 0 = slot i is empty (its word is stale), else eight hash bits of the element in slot i
//! ```
//! Byte i of word 0 is the tag of word i, so a match needs no translation: all seven tags are compared in one
//! 64-bit word, and the number of the matching byte is the index of the slot.

use super::element::Slot;
use std::cell::Cell;

/// Elements in a bucket.
pub(super) const LANES: usize = 7;

const REACH: u64 = 0b0111;
const CHAINED: u64 = 0b1000;
const META: u64 = 0xff;
const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
const HIGH_BITS: u64 = 0x8080_8080_8080_8000;
const EACH_BYTE: u64 = 0x0101_0101_0101_0101;

/// One line of a segment. Cells, because a segment's lines are reached through shared references to memory
/// that the table owns; `&mut Table` is what keeps writers apart.
#[repr(C, align(64))]
pub(super) struct Bucket([Cell<u64>; LANES + 1]);

const _: () = assert!(size_of::<Bucket>() == 64 && align_of::<Bucket>() == 64);

impl Bucket {
    #[inline(always)]
    pub(super) fn tags(&self) -> Tags {
        Tags(self.0[0].get())
    }

    /// `lane` is 1..=7; the mask spares the check.
    #[inline(always)]
    pub(super) fn slot(&self, lane: usize) -> Slot {
        Slot::from_bits(self.0[lane & LANES].get())
    }

    #[inline(always)]
    pub(super) fn set_slot(&self, lane: usize, slot: Slot) {
        self.0[lane & LANES].set(slot.bits());
    }

    #[inline(always)]
    pub(super) fn put(&self, lane: usize, tag: u8, slot: Slot) {
        debug_assert!(tag != 0 && (1..=LANES).contains(&lane));
        self.set_slot(lane, slot);
        self.0[0].set(self.tags().with(lane, tag).0);
    }

    #[inline]
    pub(super) fn clear(&self, lane: usize) {
        self.0[0].set(self.tags().with(lane, 0).0);
    }

    /// Takes over another bucket's tags and meta byte; the slots are the caller's.
    pub(super) fn copy_meta(&self, other: &Bucket) {
        self.0[0].set(other.0[0].get());
    }

    #[inline]
    pub(super) fn set_reach(&self, reach: usize) {
        debug_assert!(reach as u64 <= REACH);
        self.0[0].set(self.tags().0 & !REACH | reach as u64 & REACH);
    }

    #[inline]
    pub(super) fn set_chained(&self, chained: bool) {
        let flag = if chained { CHAINED } else { 0 };
        self.0[0].set(self.tags().0 & !CHAINED | flag);
    }

    /// Lanes that hold an element `away` buckets from its home.
    #[inline]
    pub(super) fn lanes_away(&self, away: usize) -> impl Iterator<Item = usize> {
        self.tags()
            .used()
            .filter(move |&lane| self.slot(lane).away() == away)
    }

    /// Starts loading the first cache line of every element in here.
    #[inline]
    pub(super) fn prefetch_elements(&self) {
        for lane in self.tags().used() {
            self.slot(lane).prefetch();
        }
    }
}

/// Word 0 of a bucket, read once.
#[derive(Clone, Copy)]
pub(super) struct Tags(u64);

impl Tags {
    /// The tag of a hash: never 0, from bits 16..24, which positions only reach in tables of 10^9 elements.
    #[inline(always)]
    pub(super) fn tag(hash: u64) -> u8 {
        ((hash >> 16) as u8).max(1)
    }

    #[inline(always)]
    pub(super) fn matching(self, tag: u8) -> Lanes {
        Lanes(zero_bytes(self.0 ^ EACH_BYTE.wrapping_mul(u64::from(tag))))
    }

    #[inline(always)]
    pub(super) fn free(self) -> Lanes {
        Lanes(zero_bytes(self.0))
    }

    #[inline(always)]
    pub(super) fn used(self) -> Lanes {
        Lanes(zero_bytes(self.0) ^ HIGH_BITS)
    }

    /// Whether every element whose home is this bucket is in this bucket.
    #[inline(always)]
    pub(super) fn all_at_home(self) -> bool {
        self.0 & (REACH | CHAINED) == 0
    }

    /// The longest way from home of the elements whose home is this bucket.
    #[inline(always)]
    pub(super) fn reach(self) -> usize {
        (self.0 & REACH) as usize
    }

    /// Whether an element whose home is this bucket may be in the segment's overflow chain.
    #[inline(always)]
    pub(super) fn chained(self) -> bool {
        self.0 & CHAINED != 0
    }

    #[inline(always)]
    pub(super) fn of_lane(self, lane: usize) -> u8 {
        self.0.wrapping_shr(8 * lane as u32) as u8
    }

    #[inline(always)]
    fn with(self, lane: usize, tag: u8) -> Self {
        let shift = 8 * lane as u32;
        Self(self.0 & !META.wrapping_shl(shift) | u64::from(tag).wrapping_shl(shift))
    }
}

/// The high bit of every byte of `word` that is zero, meta byte excepted. Exact: unlike the shorter
/// `(x - 0x01…) & !x & 0x80…` it reports no false match above a true one, so no slot is read in vain.
#[inline(always)]
fn zero_bytes(word: u64) -> u64 {
    !((word & LOW_BITS).wrapping_add(LOW_BITS) | word) & HIGH_BITS
}

/// A set of lanes, lowest first.
#[derive(Clone, Copy)]
pub(super) struct Lanes(u64);

impl Lanes {
    pub(super) const NONE: Self = Self(0);
}

impl Iterator for Lanes {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.0 == 0 {
            return None;
        }
        let lane = (self.0.trailing_zeros() >> 3) as usize;
        self.0 &= self.0.wrapping_sub(1);
        Some(lane)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_are_found_by_their_tag_alone() {
        let bucket = Bucket(Default::default());
        let tags = [1u8, 2, 3, 0x7f, 0x80, 0xff, 1];
        for (tag, lane) in tags.into_iter().zip(1..) {
            assert!(bucket.tags().free().any(|free| free == lane));
            bucket.put(lane, tag, Slot::from_bits(8 * lane as u64));
            bucket.set_reach(lane);
            bucket.set_chained(lane % 2 == 0);
        }
        for tag in 1..=255 {
            let found: Vec<usize> = bucket.tags().matching(tag).collect();
            let expected: Vec<usize> = (1..=7).filter(|&lane| tags[lane - 1] == tag).collect();
            assert_eq!(found, expected, "tag {tag}");
        }
        bucket.clear(4);
        assert_eq!(bucket.tags().free().collect::<Vec<_>>(), [4]);
        assert_eq!(bucket.tags().used().count(), 6);
        assert_eq!((bucket.tags().reach(), bucket.tags().chained()), (7, false));
    }
}
