//! Growing and shrinking: the directory, and which size a segment gets.
//!
//! ```text
//!  directory, bits = 2          segments
//! ┌────┐
//! │ 00 ├────┐                  ┌───────────────────┐
//! ├────┤    ├─────────────────►│ depth 1, hashes 0…│
//! │ 01 ├────┘                  └───────────────────┘
//! ├────┤                       ┌───────────────────┐
//! │ 10 ├──────────────────────►│ depth 2, 10…      │
//! ├────┤                       ├───────────────────┤
//! │ 11 ├──────────────────────►│ depth 2, 11…      │
//! └────┘                       └───────────────────┘
//! ```
//! Invariants: 1. the directory is empty or has 2^bits words; 2. a segment of depth d is in the 2^(bits − d) words
//! whose index begins with the d hash bits that its elements share; 3. some segment has depth = bits (else the
//! directory is halved).
//!
//! A segment climbs the rungs of its ladder and then splits into two of about half its size: each step rehashes
//! one segment, at most 1,606 elements, and no insert takes more than one step (so 0.1–0.2 ms, plus at
//! 16 M keys 0.1 ms when the directory doubles).
//!
//! Uniform hashing fills all segments at the same time. Were they all of one size that only splits, a table would
//! cost 10 bytes per key just before the splits and 20 after. So there are two steps per doubling (fill
//! between 60 % and 90 %), and the lower and the upper half of the hashes climb different ladders, whose steps
//! interleave evenly on the logarithmic scale of key counts:
//!
//! ```text
//!  lower half   12        16           24        32      KiB per 16 KiB of full segment …
//!  upper half        14         20          28           … doubling for ever
//! ```

use super::Table;
use super::element::{Element, Slot};
use super::segment::{MAX_BUCKETS, MAX_DEPTH, Place, Segment, limit};
use std::ops::Range;

/// Bucket counts from tiny to full, by which half of the hashes a segment serves: powers of two of lines,
/// then 12 and 16 KiB for the lower half (and for an undivided table), 10 and 14 KiB for the upper.
/// All of them are jemalloc's own size classes.
const LADDERS: [[usize; 9]; 2] = [
    [1, 3, 7, 15, 31, 63, 127, 191, 255],
    [1, 3, 7, 15, 31, 63, 127, 159, 223],
];

const _: () = assert!(LADDERS[0][8] <= MAX_BUCKETS && LADDERS[1][8] <= MAX_BUCKETS);

/// The directory may have this many words per segment, and some more; with uniform hashes it has at most
/// four. Hashes that collide in many bits cannot blow it up: they go to a chain.
const WORDS_PER_SEGMENT: usize = 8;
const WORDS_TO_SPARE: usize = 64;

fn ladder(segment: Segment, hash: u64) -> &'static [usize; 9] {
    let upper_half = segment.depth() > 0 && hash >> 63 == 1;
    &LADDERS[usize::from(upper_half)]
}

/// The smallest rung that holds `count` elements with 30 % to spare before it must grow again.
fn rung_for(ladder: &[usize], count: usize) -> Option<usize> {
    ladder
        .iter()
        .copied()
        .find(|&rung| limit(rung) as usize * 10 >= count * 13)
}

/// An element on its way from one segment to another.
struct Mover {
    hash: u64,
    slot: Slot,
}

impl<E: Element> Table<E> {
    /// Position in the directory; 0 in an empty one.
    #[inline(always)]
    pub(super) fn index(&self, hash: u64) -> usize {
        (hash >> 1).wrapping_shr(63u32.wrapping_sub(self.bits)) as usize
    }

    /// The segment that `hash` belongs to; `None` in an empty table.
    #[inline(always)]
    pub(super) fn segment(&self, hash: u64) -> Option<Segment> {
        self.directory.get(self.index(hash)).copied()
    }

    /// All segments in hash order, each once.
    pub(super) fn segments(&self) -> impl Iterator<Item = Segment> {
        let mut index = 0;
        std::iter::from_fn(move || {
            let segment = *self.directory.get(index)?;
            index += self.width(segment);
            Some(segment)
        })
    }

    /// Directory words that a segment fills.
    pub(super) fn width(&self, segment: Segment) -> usize {
        1 << (self.bits - segment.depth())
    }

    fn span(&self, segment: Segment, hash: u64) -> Range<usize> {
        let width = self.width(segment);
        let start = self.index(hash) & !(width - 1);
        start..start + width
    }

    /// The way of an insert that finds no place: one growing step, then a place in what there is, at the
    /// very last in a chain.
    #[cold]
    #[inline(never)]
    pub(super) fn insert_growing(&mut self, hash: u64, slot: Slot) -> (Segment, Place) {
        match self.segment(hash) {
            Some(segment) => self.grow(segment, hash),
            None => self.create_first(),
        }
        let segment = self.directory[self.index(hash)];
        let place = segment.place(hash, slot).unwrap_or_else(|| {
            self.bytes -= segment.bytes();
            let place = segment.chain(hash, slot);
            self.bytes += segment.bytes();
            self.chained = true;
            place
        });
        (segment, place)
    }

    fn create_first(&mut self) {
        let first = self.allocate(LADDERS[0][0], 0);
        self.directory = vec![first];
        self.bytes += size_of::<Segment>();
        (self.segments, self.deepest) = (1, 1);
    }

    fn allocate(&mut self, buckets: usize, depth: u32) -> Segment {
        let segment = Segment::allocate(buckets, depth, self.clock);
        self.bytes += segment.bytes();
        segment
    }

    /// Frees a segment that the directory no longer knows.
    fn release(&mut self, segment: Segment) {
        self.bytes -= segment.bytes();
        // SAFETY: handles live in the directory (replaced by now) and in borrows of the table, of which this
        // `&mut self` is the only one.
        unsafe { segment.free() };
    }

    fn grow(&mut self, segment: Segment, hash: u64) {
        let ladder = ladder(segment, hash);
        let above = ladder.partition_point(|&rung| rung <= segment.len());
        if let Some(rung) = rung_for(&ladder[above..], segment.count()) {
            self.resize(segment, hash, rung);
        } else if self.can_split(segment) {
            self.split(segment, hash);
        }
    }

    /// Whether a split is allowed, and bounded: a long chain would make it a long one, to no avail.
    fn can_split(&self, segment: Segment) -> bool {
        let words_allowed = self
            .segments
            .saturating_mul(WORDS_PER_SEGMENT)
            .saturating_add(WORDS_TO_SPARE);
        segment.depth() < MAX_DEPTH
            && (segment.depth() < self.bits || self.directory.len() < words_allowed)
            && segment.chained() <= segment.count() / 2
    }

    /// Reads all elements and their hashes. Nothing has changed if a key's hash function should panic here.
    fn gather(&self, segment: Segment, into: &mut Vec<Mover>) {
        into.reserve_exact(segment.count());
        into.extend(segment.slots().map(|slot| Mover {
            hash: self.hash_of(slot),
            slot,
        }));
    }

    fn fill(&mut self, segment: Segment, movers: impl Iterator<Item = Mover>) {
        self.bytes -= segment.bytes();
        for Mover { hash, slot } in movers {
            if segment.place(hash, slot).is_none() {
                segment.chain(hash, slot);
                self.chained = true;
            }
        }
        self.bytes += segment.bytes();
    }

    fn resize(&mut self, segment: Segment, hash: u64, buckets: usize) {
        let mut movers = Vec::new();
        self.gather(segment, &mut movers);
        let new = self.allocate(buckets, segment.depth());
        self.fill(new, movers.into_iter());
        let span = self.span(segment, hash);
        self.directory[span].fill(new);
        self.release(segment);
    }

    /// Divides a segment by the next hash bit.
    fn split(&mut self, segment: Segment, hash: u64) {
        let mut movers = Vec::new();
        self.gather(segment, &mut movers);
        if segment.depth() == self.bits {
            self.double_directory();
        }
        let depth = segment.depth() + 1;
        let (lower, upper): (Vec<Mover>, Vec<Mover>) = movers
            .into_iter()
            .partition(|mover| mover.hash << (depth - 1) >> 63 == 0);

        let span = self.span(segment, hash);
        let middle = span.start.midpoint(span.end);
        for (movers, words) in [(lower, span.start..middle), (upper, middle..span.end)] {
            let half_hash = (words.start as u64) << (63 - self.bits) << 1;
            let size = rung_for(&LADDERS[usize::from(half_hash >> 63 == 1)], movers.len())
                .unwrap_or(segment.len());
            let half = self.allocate(size, depth);
            self.fill(half, movers.into_iter());
            self.directory[words].fill(half);
        }
        self.segments += 1;
        if depth == self.bits {
            self.deepest += 2;
        }
        self.release(segment);
    }

    fn double_directory(&mut self) {
        let mut doubled = Vec::with_capacity(self.directory.len() * 2);
        doubled.extend(self.directory.iter().flat_map(|&word| [word, word]));
        self.bytes += self.directory.len() * size_of::<Segment>();
        self.directory = doubled;
        self.bits += 1;
        self.deepest = 0;
    }

    /// After a removal has left a segment sparse: merge it with its buddy, or give it a smaller block.
    #[cold]
    #[inline(never)]
    pub(super) fn shrink(&mut self, segment: Segment, hash: u64) {
        if self.len == 0 {
            return self.clear_directory();
        }
        let ladder = ladder(segment, hash);
        if segment.chained() > 0 {
            segment.defer_shrink();
        } else if let Some(buddy) = self.mergeable_buddy(segment, hash) {
            self.merge(segment, buddy, hash);
        } else if let Some(rung) =
            rung_for(ladder, segment.count()).filter(|&rung| rung < segment.len())
        {
            self.resize(segment, hash, rung);
        } else {
            segment.defer_shrink();
        }
    }

    /// The segment that differs in the last bit only, if both together would fill a full one by less than half.
    fn mergeable_buddy(&self, segment: Segment, hash: u64) -> Option<Segment> {
        let depth = segment.depth();
        let buddy = self.segment(hash ^ 1u64.checked_shl(64u32.checked_sub(depth)?)?)?;
        let full = ladder(segment, hash)
            .last()
            .map_or(0, |&rung| limit(rung) as usize);
        let fits = (segment.count() + buddy.count()) * 2 <= full;
        (buddy.depth() == depth && buddy.chained() == 0 && fits).then_some(buddy)
    }

    fn merge(&mut self, segment: Segment, buddy: Segment, hash: u64) {
        self.before_write(buddy);
        let mut movers = Vec::new();
        self.gather(segment, &mut movers);
        self.gather(buddy, &mut movers);
        let depth = segment.depth() - 1;
        let ladder = LADDERS[usize::from(depth > 0 && hash >> 63 == 1)];
        let merged = self.allocate(rung_for(&ladder, movers.len()).unwrap_or(ladder[8]), depth);
        self.fill(merged, movers.into_iter());
        let span = self.span(merged, hash);
        self.directory[span].fill(merged);
        self.segments -= 1;
        if segment.depth() == self.bits {
            self.deepest -= 2;
        }
        self.release(segment);
        self.release(buddy);
        while self.deepest == 0 && self.bits > 0 {
            self.halve_directory();
        }
    }

    fn halve_directory(&mut self) {
        let halved: Vec<Segment> = self.directory.iter().copied().step_by(2).collect();
        self.bytes -= halved.len() * size_of::<Segment>();
        self.directory = halved;
        self.bits -= 1;
        self.deepest = self
            .directory
            .iter()
            .filter(|segment| segment.depth() == self.bits)
            .count();
    }

    /// Frees everything but the elements, of which none is left.
    fn clear_directory(&mut self) {
        // No view misses anything: what was in these segments when it began, it saw when the first of it was removed.
        let segments: Vec<Segment> = self.segments().collect();
        self.directory = Vec::new();
        for segment in segments {
            self.release(segment);
        }
        (self.bits, self.deepest, self.segments, self.bytes) = (0, 0, 0, 0);
    }
}
