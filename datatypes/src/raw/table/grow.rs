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

const RUNGS: usize = 9;

/// Bucket counts from tiny to full, by which half of the hashes a segment serves: powers of two of lines,
/// then 12 and 16 KiB for the lower half (and for an undivided table), 10 and 14 KiB for the upper.
/// All of them are jemalloc's own size classes.
const LADDERS: [[usize; RUNGS]; 2] = [
    [1, 3, 7, 15, 31, 63, 127, 191, 255],
    [1, 3, 7, 15, 31, 63, 127, 159, 223],
];

const _: () = assert!(LADDERS[0][RUNGS - 1] <= MAX_BUCKETS && LADDERS[1][RUNGS - 1] <= MAX_BUCKETS);

/// The directory may have this many words per segment, and some more; with uniform hashes it has at most
/// four. Hashes that collide in many bits cannot blow it up: they go to a chain.
const WORDS_PER_SEGMENT: usize = 8;
const WORDS_TO_SPARE: usize = 64;

fn ladder(depth: u32, hash: u64) -> &'static [usize; RUNGS] {
    let upper_half = depth > 0 && hash >> 63 == 1;
    &LADDERS[usize::from(upper_half)]
}

/// Elements that a segment of this size takes with 30 % to spare before it must grow again.
const fn comfort(rung: usize) -> usize {
    limit(rung) as usize * 10 / 13
}

fn rung_for(ladder: &[usize], count: usize) -> Option<usize> {
    ladder.iter().copied().find(|&rung| count <= comfort(rung))
}

/// Buddies that have together no more than this become one: what suits the rung below the full one, which is
/// 55 % of what made them split.
fn merge_mark(ladder: &[usize; RUNGS]) -> usize {
    comfort(ladder[RUNGS - 2])
}

/// Below so many elements a segment looks for something smaller: when the rung below suits it, or, if it has a
/// buddy, when both have half of what makes them merge.
fn low_mark(rung: usize, depth: u32, hash: u64) -> usize {
    let ladder = ladder(depth, hash);
    let below = ladder
        .iter()
        .rev()
        .find(|&&below| below < rung)
        .map_or(0, |&below| comfort(below));
    let merge = (merge_mark(ladder) / 2).min(comfort(rung) * 4 / 5);
    if depth > 0 { below.max(merge) } else { below }
}

/// An element on its way from one segment to another.
#[derive(Clone, Copy)]
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
        let place = segment.place(hash, slot);
        let place = place.unwrap_or_else(|| self.chain(segment, hash, slot));
        (segment, place)
    }

    fn create_first(&mut self) {
        let first = self.allocate(LADDERS[0][0], 0, 0);
        self.directory = vec![first];
        self.bytes += size_of::<Segment>();
        (self.segments, self.deepest) = (1, 1);
    }

    /// An empty segment of one of its ladder's sizes.
    fn allocate(&mut self, buckets: usize, depth: u32, hash: u64) -> Segment {
        let low = low_mark(buckets, depth, hash) as u32;
        let segment = Segment::allocate(buckets, depth, self.clock, low);
        self.bytes += segment.bytes();
        segment
    }

    /// A segment of the size that suits this many elements.
    fn allocate_for(&mut self, count: usize, depth: u32, hash: u64) -> Segment {
        let ladder = ladder(depth, hash);
        self.allocate(
            rung_for(ladder, count).unwrap_or(ladder[RUNGS - 1]),
            depth,
            hash,
        )
    }

    /// Frees a segment that the directory no longer knows.
    fn release(&mut self, segment: Segment) {
        self.bytes -= segment.bytes();
        // SAFETY: handles live in the directory (replaced by now) and in borrows of the table, of which this
        // `&mut self` is the only one.
        unsafe { segment.free() };
    }

    fn grow(&mut self, segment: Segment, hash: u64) {
        let ladder = ladder(segment.depth(), hash);
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

    /// Puts the movers into the segments that `target` names for their hashes.
    fn fill(&mut self, movers: &[Mover], target: impl Fn(u64) -> Segment) {
        for &Mover { hash, slot } in movers {
            let segment = target(hash);
            if segment.place(hash, slot).is_none() {
                self.chain(segment, hash, slot);
            }
        }
    }

    #[cold]
    fn chain(&mut self, segment: Segment, hash: u64, slot: Slot) -> Place {
        self.bytes -= segment.bytes();
        let place = segment.chain(hash, slot);
        self.bytes += segment.bytes();
        self.chained = true;
        place
    }

    fn resize(&mut self, segment: Segment, hash: u64, buckets: usize) {
        let mut movers = Vec::new();
        self.gather(segment, &mut movers);
        let new = self.allocate(buckets, segment.depth(), hash);
        self.fill(&movers, |_| new);
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
        let bit = 1u64 << (64 - depth);
        let is_upper = |hash: u64| hash & bit != 0;
        let upper_count = movers.iter().filter(|mover| is_upper(mover.hash)).count();
        let lower = self.allocate_for(movers.len() - upper_count, depth, hash & !bit);
        let upper = self.allocate_for(upper_count, depth, hash | bit);
        self.fill(&movers, |hash| if is_upper(hash) { upper } else { lower });

        let span = self.span(segment, hash);
        let middle = span.start.midpoint(span.end);
        self.directory[span.start..middle].fill(lower);
        self.directory[middle..span.end].fill(upper);
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
        let ladder = ladder(segment.depth(), hash);
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

    /// The segment that differs in the last bit only, if both together are few enough.
    fn mergeable_buddy(&self, segment: Segment, hash: u64) -> Option<Segment> {
        let depth = segment.depth();
        let buddy = self.segment(hash ^ 1u64.checked_shl(64u32.checked_sub(depth)?)?)?;
        let fits = segment.count() + buddy.count() <= merge_mark(ladder(depth, hash));
        (buddy.depth() == depth && buddy.chained() == 0 && fits).then_some(buddy)
    }

    fn merge(&mut self, segment: Segment, buddy: Segment, hash: u64) {
        self.before_write(buddy);
        let mut movers = Vec::new();
        self.gather(segment, &mut movers);
        self.gather(buddy, &mut movers);
        let depth = segment.depth() - 1;
        let merged = self.allocate_for(movers.len(), depth, hash);
        self.fill(&movers, |_| merged);
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
