//! A copy of a table: block by block, so that nothing is hashed again, and in steps, so that nobody has to wait for all.

use super::Table;
use super::element::{Element, Slot};
use super::segment::Segment;

impl<E: Element + Clone> Table<E> {
    /// A table for [`copy_part`](Self::copy_part) to fill. Until that is through it is good for nothing but being dropped.
    pub fn begin_copy(&self) -> Self {
        let mut copy = Self::new(self.seed);
        copy.directory.reserve_exact(self.directory.len());
        copy.bits = self.bits;
        copy.deepest = self.deepest;
        copy.segments = self.segments;
        copy.bytes = self.directory.len() * size_of::<Segment>();
        copy.clock = self.clock;
        copy.chained = self.chained;
        copy
    }

    /// Adds the next segment to a copy of this table, which has not changed since the copy was begun. Whether there was
    /// one.
    pub fn copy_part(&self, copy: &mut Self) -> bool {
        let Some(&segment) = self.directory.get(copy.directory.len()) else {
            return false;
        };
        let twin = segment.copy(&mut |slot| {
            // SAFETY: the slot is in this table, so its element is alive; it is only read.
            let element = unsafe { slot.element::<E>() };
            slot.with_element(E::clone(&element))
        });
        let words = copy.directory.len() + self.width(segment);
        copy.directory.resize(words, twin);
        copy.len += segment.count();
        copy.bytes += segment.bytes();
        true
    }
}

impl<E: Element + Clone> Clone for Table<E> {
    /// The same elements with the same hints in segments of the same sizes; views are not copied.
    fn clone(&self) -> Self {
        let mut copy = self.begin_copy();
        while self.copy_part(&mut copy) {}
        copy
    }
}

impl Segment {
    /// Another block, and a chain, with what `copy` makes of each slot.
    fn copy(self, copy: &mut impl FnMut(Slot) -> Slot) -> Self {
        let (from, twin) = (self.header(), Self::allocate_like(self));
        let to = twin.header();
        to.count.set(from.count.get());
        to.chained.set(from.chained.get());
        for (old, new) in self.buckets().iter().zip(twin.buckets()) {
            new.copy_meta(old);
            for lane in old.tags().used() {
                new.set_slot(lane, copy(old.slot(lane)));
            }
        }
        to.chain.set(self.next_block().map(|next| next.copy(copy)));
        twin
    }
}
