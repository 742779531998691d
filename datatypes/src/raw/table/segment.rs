//! One segment: a header line and up to 255 buckets in one block of memory, at most 16 KiB.
//!
//! ```text
//!  line 0: header            line 1      line 2           line n
//! ┌─────────────────────────┬───────────┬───────────┬─ ─ ┬─────────────┐   sizes: sizes.rs; a block that is a
//! │ stamp chain count limit │ bucket 0  │ bucket 1  │    │ bucket n-1  │   multiple of 4 KiB is page-aligned, any
//! │ low chained             │           │           │    │             │   other is aligned to 64 bytes
//! └─────────────────────────┴───────────┴───────────┴─ ─ ┴─────────────┘
//!
//!  the word by which a directory knows a segment          the chain, when colliding hashes fill eight buckets
//!  63   56 55    48 47                         0          ┌─────────┐   ┌─────────┐   ┌─────────┐
//! ┌───────┬────────┬────────────────────────────┐         │ segment ├──►│ 15      ├──►│ 15      ├──► 0
//! │ depth │ n      │ address of the block       │         │         │   │ buckets │   │ buckets │
//! └───────┴────────┴────────────────────────────┘         └─────────┘   └─────────┘   └─────────┘
//! ```
//! The hash bits below the first `depth` say which bucket is an element's home. An element that finds its home
//! full goes to one of the next seven buckets (cyclically); if these are full too, others are pushed on to make room
//! there (hopscotch hashing), which needs no rehash because a slot knows how far from home it is. Segments fill to 90 %
//! that way, with 15 % of the elements away from home then, 6 % at an average fill of 75 %.
//!
//! Invariants, `h(e)` being the home of element e:
//! 1. e is in bucket (h(e) + away(e)) mod n with away(e) ≤ reach(h(e)) ≤ min(7, n − 1), or in the chain, and
//!    then h(e) has the chained flag.
//! 2. reach(b) is the largest away(e) of all e with h(e) = b, not merely a bound.
//! 3. count = elements in the buckets and in the chain; chained = those in the chain; a chain has no empty block
//!    and no element away from home; without a chain no bucket has the chained flag.
//! 4. `stamp` is the table's clock when all views that lived then had passed this segment (see views.rs).
//!
//! A `Segment` is a plain copyable word: nothing frees its block but [`Segment::free`], which is why that is unsafe
//! and the rest is not.

use super::bucket::{Bucket, LANES, Lanes, Tags};
use super::element::Slot;
use crate::raw::prefetch::prefetch;
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::num::NonZeroU64;
use std::{iter, ptr, slice};

/// Most buckets that a segment can have: the directory word gives their number eight bits.
pub(super) const MAX_BUCKETS: usize = 255;

/// Most leading hash bits that a directory can distinguish; 22 more choose a bucket, which makes SCAN's 46.
pub(super) const MAX_DEPTH: u32 = 24;

const LINE: usize = 64;
const PAGE: usize = 4096;
const HOME_BITS: u32 = 22;
/// Most buckets that an element can be away from home: a slot has three bits for it.
pub(super) const FARTHEST: usize = 7;
const ADDRESS: u64 = (1 << 48) - 1;

#[repr(C, align(64))]
pub(super) struct Header {
    /// Clock of the last time that all views had passed.
    stamp: Cell<u64>,
    /// The first block of the chain.
    pub(super) chain: Cell<Option<Segment>>,
    /// Elements in this block and its chain.
    pub(super) count: Cell<u32>,
    /// `count` at which the segment should grow; with more, growth was impossible.
    limit: Cell<u32>,
    /// A removal that leaves fewer elements than this tries to shrink or merge.
    low: Cell<u32>,
    /// Elements in the chain.
    pub(super) chained: Cell<u32>,
}

const _: () = assert!(size_of::<Header>() == LINE && size_of::<Bucket>() == LINE);

/// A handle of a block, as drawn above.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(transparent)]
pub(super) struct Segment(NonZeroU64);

/// Where an element is, until the next change to its segment.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) block: Segment,
    pub(super) bucket: usize,
    pub(super) lane: usize,
}

impl Place {
    #[inline(always)]
    pub(super) fn slot(&self) -> Slot {
        self.block.bucket(self.bucket).slot(self.lane)
    }

    #[inline(always)]
    pub(super) fn set_slot(&self, slot: Slot) {
        self.block.bucket(self.bucket).set_slot(self.lane, slot);
    }
}

/// Memory and handles.
impl Segment {
    /// An empty segment of 1..=255 buckets.
    pub(super) fn allocate(buckets: usize, depth: u32, stamp: u64, low: u32) -> Self {
        assert!((1..=MAX_BUCKETS).contains(&buckets) && depth <= MAX_DEPTH);
        let layout = Self::layout(buckets);
        // SAFETY: the layout has at least two lines. Zeroes are a valid header and valid empty buckets.
        let block = unsafe { alloc_zeroed(layout) };
        if block.is_null() {
            handle_alloc_error(layout);
        }
        let address = block.expose_provenance() as u64;
        assert!(
            address & !ADDRESS == 0,
            "the allocator hands out addresses of more than 48 bits"
        );
        let word = address | (buckets as u64) << 48 | u64::from(depth) << 56;
        let segment = Self(NonZeroU64::new(word).expect("there are buckets"));
        let header = segment.header();
        header.stamp.set(stamp);
        header.limit.set(limit(buckets));
        header.low.set(low);
        segment
    }

    /// An empty block of the same size, place in the directory, stamp and limits.
    pub(super) fn allocate_like(other: Segment) -> Self {
        let like = other.header();
        let segment = Self::allocate(other.len(), other.depth(), like.stamp.get(), like.low.get());
        segment.header().limit.set(like.limit.get());
        segment
    }

    /// Frees the block and its chain; the elements are the caller's.
    ///
    /// # Safety
    /// No copy of this handle, and no [`Place`] in it, is used again.
    pub(super) unsafe fn free(self) {
        for block in self.blocks().skip(1) {
            // SAFETY: chain blocks are known to this segment alone; `blocks` has read the next link already.
            unsafe { block.free_block() };
        }
        // SAFETY: by the caller's promise this is the last use.
        unsafe { self.free_block() };
    }

    /// # Safety
    /// As for [`Segment::free`], for this one block.
    pub(super) unsafe fn free_block(self) {
        // SAFETY: the block came from `allocate`, and its bucket count (so its layout) never changes.
        unsafe { dealloc(self.address::<u8>().cast_mut(), Self::layout(self.len())) };
    }

    pub(super) fn layout(buckets: usize) -> Layout {
        let size = (buckets + 1) * LINE;
        let align = if size.is_multiple_of(PAGE) {
            PAGE
        } else {
            LINE
        };
        Layout::from_size_align(size, align)
            .expect("a segment is small, its alignment a power of two")
    }

    #[inline(always)]
    fn address<T>(self) -> *const T {
        ptr::with_exposed_provenance((self.0.get() & ADDRESS) as usize)
    }

    #[inline(always)]
    pub(super) fn header(&self) -> &Header {
        // SAFETY: the block lives until `free`, after which no handle is used; all its fields are cells.
        unsafe { &*self.address::<Header>() }
    }

    #[inline(always)]
    pub(super) fn buckets(&self) -> &[Bucket] {
        // SAFETY: as for `header`; the block has `len` lines after the header.
        unsafe { slice::from_raw_parts(self.address::<Bucket>().wrapping_add(1), self.len()) }
    }

    /// Number of buckets.
    #[inline(always)]
    pub(super) fn len(self) -> usize {
        usize::from((self.0.get() >> 48) as u8)
    }

    /// Number of leading hash bits that all elements in here share.
    #[inline(always)]
    pub(super) fn depth(self) -> u32 {
        u32::from((self.0.get() >> 56) as u8)
    }

    /// Bytes of this block and its chain.
    pub(super) fn bytes(self) -> usize {
        self.blocks()
            .map(|block| Self::layout(block.len()).size())
            .sum()
    }

    /// This block and those of its chain.
    pub(super) fn blocks(self) -> impl Iterator<Item = Segment> {
        iter::successors(Some(self), |block| block.next_block())
    }

    pub(super) fn next_block(self) -> Option<Segment> {
        self.header().chain.get()
    }
}

/// Counts and marks in the header.
impl Segment {
    #[inline(always)]
    pub(super) fn count(self) -> usize {
        self.header().count.get() as usize
    }

    #[inline(always)]
    pub(super) fn add(self, change: i32) {
        let count = &self.header().count;
        count.set(count.get().wrapping_add_signed(change));
    }

    /// Elements in the chain.
    pub(super) fn chained(self) -> usize {
        self.header().chained.get() as usize
    }

    #[inline(always)]
    pub(super) fn below_limit(self) -> bool {
        let header = self.header();
        header.count.get() < header.limit.get()
    }

    /// Whether so many have left that a smaller home should be looked for.
    #[inline(always)]
    pub(super) fn is_sparse(self) -> bool {
        let header = self.header();
        header.count.get() < header.low.get()
    }

    /// After a vain attempt to grow: the next one is due when there are twice as many.
    pub(super) fn defer_growth(self) {
        let header = self.header();
        header.limit.set(header.count.get().saturating_mul(2));
    }

    /// After a vain attempt to shrink: the next one is due when a quarter more has gone.
    pub(super) fn defer_shrink(self) {
        let header = self.header();
        header.low.set(header.count.get() - header.count.get() / 4);
    }

    #[inline(always)]
    pub(super) fn stamp(self) -> u64 {
        self.header().stamp.get()
    }

    pub(super) fn set_stamp(self, stamp: u64) {
        self.header().stamp.set(stamp);
    }
}

/// Looking up.
impl Segment {
    /// The bucket in which an element with this hash would like to be.
    ///
    /// Wrapping arithmetic here and below spares the checks of `overflow-checks`; nothing wraps:
    /// depth ≤ 24, and 22 bits times 8 bits fit.
    #[inline(always)]
    pub(super) fn home(self, hash: u64) -> usize {
        let fraction = hash.wrapping_shl(self.depth()) >> (64 - HOME_BITS);
        (fraction.wrapping_mul(self.len() as u64) >> HOME_BITS) as usize
    }

    /// The first hash at home in the bucket after that of `hash`: `None` after the very last one. A multiple
    /// of 2^18, as depth + 22 ≤ 46.
    pub(super) fn next_home(self, hash: u64) -> Option<u64> {
        let next = self.home(hash) as u64 + 1;
        self.position((next << HOME_BITS).div_ceil(self.len() as u64), hash)
    }

    /// The first hash of the segment after this one, to which `hash` belongs; `None` after the very last one.
    pub(super) fn next_segment(self, hash: u64) -> Option<u64> {
        self.position(1 << HOME_BITS, hash)
    }

    /// The hash at `fraction` / 2^22 of the range of this segment, to which `hash` belongs; `None` at 2^64.
    fn position(self, fraction: u64, hash: u64) -> Option<u64> {
        let range = u64::MAX.checked_shr(self.depth()).unwrap_or(0);
        let offset = u128::from(fraction) << (64 - HOME_BITS) >> self.depth();
        u64::try_from(u128::from(hash & !range) + offset).ok()
    }

    #[inline(always)]
    pub(super) fn home_bucket(&self, hash: u64) -> (usize, &Bucket) {
        let home = self.home(hash);
        debug_assert!(home < self.len());
        // SAFETY: fraction < 2^22, so fraction * len >> 22 < len.
        (home, unsafe { self.buckets().get_unchecked(home) })
    }

    #[inline(always)]
    pub(super) fn bucket(&self, index: usize) -> &Bucket {
        &self.buckets()[index]
    }

    /// The index `distance` buckets after `bucket`, cyclically; both are less than the number of buckets.
    #[inline(always)]
    pub(super) fn after(self, bucket: usize, distance: usize) -> usize {
        let index = bucket.wrapping_add(distance);
        if index < self.len() {
            index
        } else {
            index.wrapping_sub(self.len())
        }
    }

    /// The place of the element with this position and tag that passes the test `is`.
    #[inline(always)]
    pub(super) fn find(&self, hash: u64, mut is: impl FnMut(Slot) -> bool) -> Option<Place> {
        let (home, bucket) = self.home_bucket(hash);
        let tags = bucket.tags();
        for lane in tags.matching(Tags::tag(hash)) {
            let slot = bucket.slot(lane);
            if slot.away() == 0 && is(slot) {
                return Some(Place {
                    block: *self,
                    bucket: home,
                    lane,
                });
            }
        }
        if tags.all_at_home() {
            None
        } else {
            self.find_away(home, Tags::tag(hash), is)
        }
    }

    #[inline(never)]
    fn find_away(&self, home: usize, tag: u8, mut is: impl FnMut(Slot) -> bool) -> Option<Place> {
        let tags = self.bucket(home).tags();
        for away in 1..=tags.reach() {
            let index = self.after(home, away);
            let bucket = self.bucket(index);
            for lane in bucket.tags().matching(tag) {
                let slot = bucket.slot(lane);
                if slot.away() == away && is(slot) {
                    return Some(Place {
                        block: *self,
                        bucket: index,
                        lane,
                    });
                }
            }
        }
        if tags.chained() {
            self.find_chained(tag, is)
        } else {
            None
        }
    }

    #[cold]
    fn find_chained(&self, tag: u8, mut is: impl FnMut(Slot) -> bool) -> Option<Place> {
        for block in self.blocks().skip(1) {
            for (index, bucket) in block.buckets().iter().enumerate() {
                if let Some(lane) = bucket
                    .tags()
                    .matching(tag)
                    .find(|&lane| is(bucket.slot(lane)))
                {
                    return Some(Place {
                        block,
                        bucket: index,
                        lane,
                    });
                }
            }
        }
        None
    }

    /// All elements whose home is `bucket`, except those in the chain.
    pub(super) fn slots_at_home(&self, bucket: usize) -> impl Iterator<Item = Slot> {
        let reach = self.bucket(bucket).tags().reach();
        (0..=reach).flat_map(move |away| {
            let here = self.bucket(self.after(bucket, away));
            here.lanes_away(away).map(move |lane| here.slot(lane))
        })
    }

    /// All elements in the chain, whose homes only their hashes tell.
    pub(super) fn slots_in_chain(self) -> impl Iterator<Item = Slot> {
        self.next_block().into_iter().flat_map(Slots::of)
    }

    /// All elements of this segment and its chain.
    pub(super) fn slots(self) -> Slots {
        Slots::of(self)
    }

    /// Starts loading the bucket that `hash` is at home in.
    #[inline(always)]
    pub(super) fn prefetch_home(self, hash: u64) {
        prefetch(
            self.address::<Bucket>()
                .wrapping_add(self.home(hash).wrapping_add(1)),
        );
    }

    /// Starts loading the element that a lookup would compare first; the home bucket should have arrived. Whether it can
    /// only be in the next bucket, which is being loaded instead.
    #[inline(always)]
    pub(super) fn prefetch_element(self, hash: u64) -> bool {
        let (home, bucket) = self.home_bucket(hash);
        if let Some(lane) = bucket.tags().matching(Tags::tag(hash)).next() {
            bucket.slot(lane).prefetch();
            return false;
        }
        let is_away = bucket.tags().reach() > 0;
        if is_away {
            prefetch(self.bucket(self.after(home, 1)));
        }
        is_away
    }

    /// Starts loading the element in the bucket behind its home, which should have arrived.
    #[inline]
    pub(super) fn prefetch_away(self, hash: u64) {
        let bucket = self.bucket(self.after(self.home(hash), 1));
        let mut slots = bucket
            .tags()
            .matching(Tags::tag(hash))
            .map(|lane| bucket.slot(lane));
        if let Some(slot) = slots.find(|slot| slot.away() == 1) {
            slot.prefetch();
        }
    }
}

/// Elements at which a segment of this many buckets should grow. Up to eight buckets every lane is within
/// reach; beyond, hopscotch places nearly always succeed up to 90 % (and if one does not, the segment grows early).
pub(super) const fn limit(buckets: usize) -> u32 {
    let lanes = (buckets * LANES) as u32;
    if buckets <= FARTHEST + 1 {
        lanes
    } else {
        lanes / 10 * 9
    }
}

/// Iterator over the elements of a block and those that it links to; those of the next four buckets are being
/// loaded meanwhile.
pub(super) struct Slots {
    block: Segment,
    /// Buckets that have been entered.
    entered: usize,
    lanes: Lanes,
}

impl Slots {
    const AHEAD: usize = 4;

    fn of(block: Segment) -> Self {
        block
            .buckets()
            .iter()
            .take(Self::AHEAD)
            .for_each(Bucket::prefetch_elements);
        Self {
            block,
            entered: 0,
            lanes: Lanes::NONE,
        }
    }
}

impl Iterator for Slots {
    type Item = Slot;

    #[inline]
    fn next(&mut self) -> Option<Slot> {
        loop {
            let buckets = self.block.buckets();
            if let Some(lane) = self.lanes.next() {
                return Some(buckets[self.entered - 1].slot(lane));
            }
            match buckets.get(self.entered) {
                Some(bucket) => self.lanes = bucket.tags().used(),
                None => {
                    *self = Self::of(self.block.next_block()?);
                    continue;
                }
            }
            self.entered += 1;
            if let Some(ahead) = buckets.get(self.entered + Self::AHEAD - 1) {
                ahead.prefetch_elements();
            }
        }
    }
}
