//! Walking over elements: SCAN's stateless cursor, plain iteration, and a fair die.

use super::Table;
use super::access::Ref;
use super::bucket::LANES;
use super::element::{Element, Slot};
use super::segment::{MAX_BUCKETS, Segment, Slots};
use std::marker::PhantomData;

/// A cursor counts positions in the top 46 bits of the hash.
const CURSOR_SHIFT: u32 = 64 - 46;

/// A scan call looks at no more than this many buckets per element that it was asked for.
const BUCKETS_PER_COUNT: usize = 10;

/// Draws for [`Table::random`] before it counts the elements off instead; a draw fails at about every second
/// time, so that is for tables with almost nothing in them.
const DRAWS: usize = 128;

impl<E: Element> Table<E> {
    /// One call of a SCAN: emits about `count` elements from `cursor` on and returns the next cursor, below 2^46;
    /// 0 begins and 0 says that all has been seen.
    ///
    /// The cursor is a position in hash order and all there is to remember: an element that is in the table from the first
    /// call to the last is emitted at least once, whatever grows, shrinks or splits in between (and more than once
    /// only if its segment was divided otherwise between two calls). Whole buckets are emitted, so up to six elements
    /// more than asked for, or more still where hashes collide; a sparse stretch ends a call early. Each
    /// call advances, so a scan ends.
    pub fn scan<'a>(&'a self, cursor: u64, count: usize, mut emit: impl FnMut(Ref<'a, E>)) -> u64 {
        let mut hash = cursor << CURSOR_SHIFT;
        let (mut emitted, mut looked) = (0, 0);
        while emitted < count.max(1) && looked < count.max(1).saturating_mul(BUCKETS_PER_COUNT) {
            let Some(segment) = self.segment(hash) else {
                return 0;
            };
            emitted += self.emit_home(segment, segment.home(hash), &mut emit);
            looked += 1;
            match segment.next_home(hash) {
                Some(next) => hash = next,
                None => return 0,
            }
        }
        hash >> CURSOR_SHIFT
    }

    /// Emits all elements whose home is `bucket`, and says how many.
    fn emit_home<'a>(
        &'a self,
        segment: Segment,
        bucket: usize,
        emit: &mut impl FnMut(Ref<'a, E>),
    ) -> usize {
        let home = segment.bucket(bucket);
        home.prefetch_elements();
        let mut emitted = 0;
        let mut emit = |slot: Slot| {
            emit(self.read(slot));
            emitted += 1;
        };
        segment.slots_at_home(bucket).for_each(&mut emit);
        if home.tags().chained() {
            let at_home = |slot: &Slot| segment.home(self.hash_of(*slot)) == bucket;
            segment.slots_in_chain().filter(at_home).for_each(emit);
        }
        emitted
    }

    /// All elements, in no order, as of now.
    pub fn iter(&self) -> impl Iterator<Item = Ref<'_, E>> {
        self.segments().flat_map(Elements::of_segment)
    }

    /// An element, each with the same chance (to within 2^-50); `random` yields uniform 64-bit numbers.
    ///
    /// Draws a directory word, a lane, and (as a segment of smaller depth fills several words) whether to accept, so
    /// that each lane of the table is equally likely; empty ones are drawn again. Reads a bucket line per draw and no
    /// header, about two draws per element.
    pub fn random(&self, random: &mut impl FnMut() -> u64) -> Option<Ref<'_, E>> {
        if self.len == 0 {
            return None;
        }
        let lanes = self
            .directory
            .first()
            .filter(|_| self.bits == 0)
            .map_or(MAX_BUCKETS, |only| only.len())
            * LANES;
        let draws = if self.chained { 0 } else { DRAWS };
        for _ in 0..draws {
            let draw = random();
            let segment = self.directory[self.index(draw)];
            let accepted = draw & (self.width(segment) as u64 - 1) == 0;
            let (bucket, lane) = (
                below(lanes, random()) / LANES,
                below(lanes, random()) % LANES + 1,
            );
            if !accepted || bucket >= segment.len() {
                continue;
            }
            let bucket = segment.bucket(bucket);
            if bucket.tags().of_lane(lane) != 0 {
                return Some(self.read(bucket.slot(lane)));
            }
        }
        self.nth(below(self.len, random()))
    }

    /// Counts elements off; for tables that are nearly empty or have chains.
    fn nth(&self, mut index: usize) -> Option<Ref<'_, E>> {
        for segment in self.segments() {
            if index < segment.count() {
                return segment.slots().nth(index).map(|slot| self.read(slot));
            }
            index -= segment.count();
        }
        None
    }
}

/// A number below `bound` from a uniform one.
fn below(bound: usize, random: u64) -> usize {
    ((u128::from(random) * bound as u128) >> 64) as usize
}

/// Iterator over the elements of one segment.
pub struct Elements<'a, E: Element> {
    slots: Slots,
    table: PhantomData<&'a E>,
}

impl<E: Element> Elements<'_, E> {
    /// The segment belongs to a table that is borrowed for the lifetime of the result.
    pub(super) fn of_segment(segment: Segment) -> Self {
        Self {
            slots: segment.slots(),
            table: PhantomData,
        }
    }
}

impl<'a, E: Element> Iterator for Elements<'a, E> {
    type Item = Ref<'a, E>;

    #[inline]
    fn next(&mut self) -> Option<Ref<'a, E>> {
        self.slots.next().map(Ref::new)
    }
}
