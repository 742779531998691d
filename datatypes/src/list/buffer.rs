//! The bytes of one chunk, with room at both ends: a push to the left moves nothing but the block's head, a pop from the
//! left neither, as in a queue, where elements come at one end and go at the other.
//!
//! ```text
//!  bytes: │ gap │ block │ spare │
//!               start   bytes.len()   bytes.capacity()
//! ```

use std::ops::Range;

use crate::packed::Storage;

#[derive(Debug, Default)]
pub(super) struct Buffer {
    bytes: Vec<u8>,
    start: usize,
}

/// Smallest allocation.
const MIN: usize = 64;
/// Up to here buffers grow by an eighth to a quarter, to the allocator's sizes; larger ones hold one element, and nothing
/// is added to them.
const GROWING: usize = 64 * 1024;

impl Buffer {
    pub(super) fn of(block: &[u8]) -> Self {
        Self {
            bytes: block.to_vec(),
            start: 0,
        }
    }

    /// An empty one that can grow to so many bytes.
    pub(super) fn with_room(bytes: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(bytes.next_multiple_of(MIN)),
            start: 0,
        }
    }

    fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(super) fn allocated(&self) -> usize {
        self.bytes.capacity()
    }

    /// Gives room away that is worth it, because nothing will be added for a while.
    pub(super) fn shrink(&mut self) {
        if self.bytes.capacity() - self.len() > self.len() / 8 {
            *self = Self::of(self.bytes());
        }
    }

    /// Makes room for `more` bytes on one side.
    fn reserve(&mut self, more: usize, in_front: bool) {
        let room = match in_front {
            true => self.start,
            false => self.bytes.capacity() - self.bytes.len(),
        };
        if room >= more {
            return;
        }
        let len = self.len();
        let capacity = match len + more {
            needed if needed <= self.bytes.capacity() => self.bytes.capacity(),
            needed if needed <= GROWING => {
                needed.next_multiple_of((needed.next_power_of_two() / 8).max(MIN))
            }
            needed => needed,
        };
        let start = if in_front { capacity - len } else { 0 };
        if capacity == self.bytes.capacity() {
            let old = self.start..self.bytes.len();
            self.bytes.resize(self.bytes.len().max(start + len), 0);
            self.bytes.copy_within(old, start);
            self.bytes.truncate(start + len);
        } else {
            let mut bytes = Vec::with_capacity(capacity);
            bytes.resize(start, 0);
            bytes.extend_from_slice(self.bytes());
            self.bytes = bytes;
        }
        self.start = start;
    }
}

impl Clone for Buffer {
    /// A copy to be written to, with as much room.
    fn clone(&self) -> Self {
        let mut bytes = Vec::with_capacity(self.bytes.capacity());
        bytes.extend_from_slice(&self.bytes);
        Self {
            bytes,
            start: self.start,
        }
    }
}

impl Storage for Buffer {
    #[inline]
    fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }

    #[inline]
    fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..]
    }

    /// Moves what lies before or behind the range, whichever is shorter.
    fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        let more = with.len().saturating_sub(range.len());
        let (before, behind) = (range.start, self.len() - range.end);
        if before < behind {
            self.reserve(more, true);
            let old = self.start;
            self.start = old + range.len() - with.len();
            self.bytes.copy_within(old..old + before, self.start);
        } else {
            self.reserve(more, false);
            let (old, new) = (self.start + range.end, self.start + before + with.len());
            let end = self.bytes.len();
            self.bytes.resize(end.max(new + behind), 0);
            self.bytes.copy_within(old..end, new);
            self.bytes.truncate(new + behind);
        }
        let at = self.start + before;
        self.bytes[at..at + with.len()].copy_from_slice(with);
    }
}
