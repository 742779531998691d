//! The memory of one entry: a thin pointer to header, optional fields, key and payload.
//!
//! A block knows bytes only. What the payload means, and who frees what it may point to, is the business of
//! [`Entry`](super::Entry). The invariants that every function here may rely on and must restore:
//!
//! 1. The pointer comes from the global allocator with `layout(self.size())`: alignment 8 and a size that is a
//!    multiple of 8. (tikv-jemallocator takes 16-byte alignment for granted unless size and alignment say otherwise;
//!    an 8-aligned layout whose size is no multiple of 8 would be freed under another size class.)
//! 2. Header, fields, key and payload are initialised, lie inside that size, and do not overlap.
//! 3. The owner of the `Block` owns the memory alone; references into it borrow the `Block`.
//!
//! ```text
//!  0      1       2         3           6
//! +------+-------+---------+-----------+------------------------+-----+---------+---------+
//! | tag  | flags | key len | value len | fields, 8 bytes each,  | key | payload | padding |
//! | u8   | u8    | u8      | u24, LE   | one per flag, in order |     |         | or room |
//! +------+-------+---------+-----------+------------------------+-----+---------+---------+
//!          bit 0  DEADLINE   u64, absolute Unix time in ms
//!          bit 1  LONG       u32 and u32, both lengths, where one of them does not fit the header (which has 0 then)
//!          bit 2  ROOM       u64, the size of the allocation, once a payload has grown in place; without it the
//!                            size follows from the lengths
//!          bits 3 and 4      kept for memcached's flags (u32) and CAS (u64)
//!          bit 7  REARM      no field: see Entry::rearm
//! ```
//! Two bytes less of header than lengths of 2 and 4 bytes would take are a size class less for every fourth entry.

use std::alloc::{self, Layout};
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::slice;

use crate::raw::allocate;

const DEADLINE: u8 = 1 << 0;
const LONG: u8 = 1 << 1;
const ROOM: u8 = 1 << 2;
const REARM: u8 = 1 << 7;
/// The flags that stand for a field of 8 bytes.
const FIELDS: u8 = DEADLINE | LONG | ROOM;

/// Where the header's parts are.
const TAG: usize = 0;
const FLAGS: usize = 1;
const LENGTHS: usize = 2;
const HEADER: usize = 6;

/// The lengths of key and payload that fit the header; longer ones are in the field LONG.
const SHORT_KEY: usize = u8::MAX as usize;
const SHORT_PAYLOAD: usize = 0xff_ffff;

pub(super) struct Block(NonNull<u8>);

// SAFETY: a block owns its memory alone (invariant 3) and has no tie to the thread that allocated it; shared
// references only read.
unsafe impl Send for Block {}
// SAFETY: as above; there is no interior mutability.
unsafe impl Sync for Block {}

impl Block {
    /// A block that fits its contents, rounded up to 8 bytes.
    pub(super) fn new(tag: u8, deadline: Option<u64>, key: &[u8], payload: &[u8]) -> Block {
        let flags = flags_for(deadline, key, payload.len());
        let size = (key_at(flags) + key.len() + payload.len()).next_multiple_of(8);
        Block::build(tag, flags, size, deadline, key, payload)
    }

    /// A block whose payload can grow to `payload_max` bytes and somewhat more before it has to move.
    fn with_room(&self, payload_max: usize) -> Block {
        let needed = flags_for(self.deadline(), self.key(), payload_max);
        let flags = needed | ROOM | self.flags() & REARM;
        let size = size_class(key_at(flags) + self.key().len() + payload_max);
        Block::build(
            self.tag(),
            flags,
            size,
            self.deadline(),
            self.key(),
            self.payload(),
        )
    }

    fn build(
        tag: u8,
        flags: u8,
        size: usize,
        deadline: Option<u64>,
        key: &[u8],
        payload: &[u8],
    ) -> Block {
        let key_at = key_at(flags);
        assert!(
            key_at + key.len() + payload.len() <= size,
            "an entry's parts lie inside its allocation"
        );
        // SAFETY: the layout has at least the bytes of a header.
        let base = unsafe { allocate(layout(size)) };
        // SAFETY: `base` is good for `size` bytes; the assertion keeps key and payload inside them; the memory is new, so
        // neither slice overlaps it. `set_lengths` initialises the rest of the header.
        unsafe {
            base.add(TAG).write(tag);
            base.add(FLAGS).write(flags);
            let key_start = base.add(key_at);
            key_start.copy_from_nonoverlapping(NonNull::from(key).cast(), key.len());
            key_start
                .add(key.len())
                .copy_from_nonoverlapping(NonNull::from(payload).cast(), payload.len());
        }
        let mut block = Block(base);
        block.set_lengths(key.len(), payload.len());
        if let Some(deadline) = deadline {
            block.set_field(DEADLINE, deadline);
        }
        if flags & ROOM != 0 {
            block.set_field(ROOM, size as u64);
        }
        block
    }

    #[inline]
    fn flags(&self) -> u8 {
        // SAFETY: invariant 2.
        unsafe { self.0.add(FLAGS).read() }
    }

    /// Bytes of key and payload.
    #[inline]
    fn lengths(&self) -> (usize, usize) {
        match self.field(LONG) {
            None => {
                // SAFETY: invariant 2: the lengths are the last four bytes of the header.
                let both = unsafe { self.0.add(LENGTHS).cast::<u32>().read_unaligned() };
                let both = u32::from_le(both) as usize;
                (both & SHORT_KEY, both >> 8)
            }
            Some(both) => (both as u32 as usize, (both >> 32) as usize),
        }
    }

    fn set_lengths(&mut self, key: usize, payload: usize) {
        let is_long = self.flags() & LONG != 0;
        let fits = |most_of_key, most_of_payload| key <= most_of_key && payload <= most_of_payload;
        let short = if is_long {
            let most = u32::MAX as usize;
            assert!(fits(most, most), "an entry's parts are below 4 GiB");
            0
        } else {
            assert!(fits(SHORT_KEY, SHORT_PAYLOAD), "the lengths fit the header");
            (payload << 8 | key) as u32
        };
        // SAFETY: the header has room for them, and `&mut self` is the only way in.
        unsafe {
            let lengths = self.0.add(LENGTHS).cast::<u32>();
            lengths.write_unaligned(short.to_le());
        }
        if is_long {
            self.set_field(LONG, (payload as u64) << 32 | key as u64);
        }
    }

    fn set_payload_len(&mut self, length: usize) {
        let (key, _) = self.lengths();
        self.set_lengths(key, length);
    }

    #[inline]
    pub(super) fn tag(&self) -> u8 {
        // SAFETY: invariant 2.
        unsafe { self.0.add(TAG).read() }
    }

    pub(super) fn set_tag(&mut self, tag: u8) {
        // SAFETY: invariant 2, and `&mut self` is the only way in.
        unsafe { self.0.add(TAG).write(tag) }
    }

    pub(super) fn rearm(&self) -> bool {
        self.flags() & REARM != 0
    }

    pub(super) fn set_rearm(&mut self, on: bool) {
        let others = self.flags() & !REARM;
        // SAFETY: as in `set_tag`; REARM has no field.
        unsafe { self.0.add(FLAGS).write(others | if on { REARM } else { 0 }) }
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.field(DEADLINE)
    }

    /// Writes another deadline over the present one.
    pub(super) fn move_deadline(&mut self, deadline: u64) {
        self.set_field(DEADLINE, deadline);
    }

    #[inline]
    pub(super) fn key(&self) -> &[u8] {
        let (length, _) = self.lengths();
        // SAFETY: invariant 2: the key is initialised and inside the allocation.
        unsafe { slice::from_raw_parts(self.0.add(key_at(self.flags())).as_ptr(), length) }
    }

    /// Where the payload begins, and its length.
    #[inline]
    fn payload_place(&self) -> (usize, usize) {
        let (key, payload) = self.lengths();
        (key_at(self.flags()) + key, payload)
    }

    #[inline]
    pub(super) fn payload(&self) -> &[u8] {
        let (start, length) = self.payload_place();
        // SAFETY: invariant 2: the payload is initialised and inside the allocation.
        unsafe { slice::from_raw_parts(self.0.add(start).as_ptr(), length) }
    }

    #[inline]
    pub(super) fn payload_mut(&mut self) -> &mut [u8] {
        let (start, length) = self.payload_place();
        // SAFETY: as in `payload`, and `&mut self` is the only way in.
        unsafe { slice::from_raw_parts_mut(self.0.add(start).as_ptr(), length) }
    }

    /// Bytes that were asked of the allocator.
    #[inline]
    pub(super) fn size(&self) -> usize {
        let (start, length) = self.payload_place();
        match self.field(ROOM) {
            None => (start + length).next_multiple_of(8),
            Some(size) => size as usize,
        }
    }

    /// Puts another payload into the same allocation, if the allocation would have been made as large for it (or, once
    /// it has room to grow, is at least half used). Otherwise nothing changes and the answer is false.
    pub(super) fn overwrite(&mut self, tag: u8, payload: &[u8]) -> bool {
        let (start, _) = self.payload_place();
        let (size, needed) = (self.size(), (start + payload.len()).next_multiple_of(8));
        let fits = if self.field(ROOM).is_none() {
            needed == size
        } else {
            needed <= size && needed * 2 >= size
        };
        let fits = fits && self.counts_to(payload.len());
        if fits {
            self.set_payload_len(payload.len());
            self.set_tag(tag);
            // SAFETY: the new payload ends inside the allocation (`needed <= size`); `payload` cannot overlap memory
            // that `&mut self` guards.
            unsafe {
                let start = self.0.add(start);
                start.copy_from_nonoverlapping(NonNull::from(payload).cast(), payload.len());
            }
        }
        fits
    }

    /// Makes the payload `length` bytes long, at least what it is; new bytes are zero. When the allocation is full, the
    /// next one has half as much again to spare, so that a string built by many small appends is moved a few times only.
    pub(super) fn grow(&mut self, length: usize) {
        self.count_to(length);
        let (start, old) = self.payload_place();
        assert!(old <= length, "a payload grows");
        let end = start + length;
        if end > self.size() {
            match self.field(ROOM) {
                None => *self = self.with_room(length + length / 2),
                Some(_) => self.reallocate(size_class(end + length / 2)),
            }
        }
        let (start, _) = self.payload_place();
        // SAFETY: `start + length` lies inside the allocation now: it either did, or both ways of enlarging gave more.
        unsafe { ptr::write_bytes(self.0.add(start + old).as_ptr(), 0, length - old) };
        // Without the field the size follows from the length; the branch above keeps the two in step, since `end` was
        // within the rounded size.
        self.set_payload_len(length);
    }

    /// Puts `with` in the place of the payload's bytes `range`. The allocation stays as large as the payload needs, unless
    /// it has room already.
    pub(super) fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        let (_, old) = self.payload_place();
        assert!(
            range.start <= range.end && range.end <= old,
            "a splice stays inside the payload"
        );
        let new = old - range.len() + with.len();
        self.count_to(new);
        let (start, _) = self.payload_place();
        if new > old {
            self.fit(start + new);
        }
        // SAFETY: both lengths end inside the allocation: it was made larger before if the payload grows, and is made
        // smaller afterwards if it shrinks. `with` cannot overlap memory that `&mut self` guards.
        unsafe {
            let at = self.0.add(start + range.start);
            let tail = self.0.add(start + range.end);
            at.add(with.len()).copy_from(tail, old - range.end);
            at.copy_from_nonoverlapping(NonNull::from(with).cast(), with.len());
        }
        if new < old {
            self.fit(start + new);
        }
        self.set_payload_len(new);
    }

    /// Whether the length of a payload of so many bytes can be written down.
    #[inline]
    fn counts_to(&self, payload: usize) -> bool {
        payload <= SHORT_PAYLOAD || self.flags() & LONG != 0
    }

    /// Sees to it that it can be.
    #[inline]
    fn count_to(&mut self, payload: usize) {
        if !self.counts_to(payload) {
            *self = self.with_long_lengths();
        }
    }

    #[cold]
    fn with_long_lengths(&self) -> Block {
        let flags = self.flags() | LONG;
        let size = self.size() + size_of::<u64>();
        let (tag, deadline) = (self.tag(), self.deadline());
        Block::build(tag, flags, size, deadline, self.key(), self.payload())
    }

    /// Makes the allocation large enough for a block that ends at `end`, and no larger than one is made for it.
    fn fit(&mut self, end: usize) {
        let (old, needed) = (self.size(), end.next_multiple_of(8));
        match self.field(ROOM) {
            Some(_) if needed > old => self.reallocate(size_class(needed)),
            None if needed != old => self.0 = resized(self.0, old, needed),
            _ => {}
        }
    }

    /// Gives a block that has the field ROOM a larger allocation.
    fn reallocate(&mut self, size: usize) {
        self.0 = resized(self.0, self.size(), size);
        self.set_field(ROOM, size as u64);
    }

    #[inline]
    fn field(&self, flag: u8) -> Option<u64> {
        let flags = self.flags();
        (flags & flag != 0).then(|| {
            // SAFETY: the flag says that the field is there (invariant 2).
            unsafe { self.0.add(field_at(flags, flag)).cast().read_unaligned() }
        })
    }

    fn set_field(&mut self, flag: u8, value: u64) {
        let flags = self.flags();
        assert!(
            flags & flag != 0,
            "only a field that is present can be written"
        );
        // SAFETY: as in `field`; `build` reserves the bytes of every field whose flag it sets.
        unsafe {
            let field = self.0.add(field_at(flags, flag)).cast::<u64>();
            field.write_unaligned(value);
        }
    }

    pub(super) fn as_raw(&self) -> NonNull<u8> {
        self.0
    }

    /// # Safety
    /// `raw` came from [`Block::as_raw`] of a block that is not dropped, and of all its copies one is, at most.
    pub(super) unsafe fn from_raw(raw: NonNull<u8>) -> Block {
        Block(raw)
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        // SAFETY: invariant 1; nothing borrows a block that is being dropped.
        unsafe { alloc::dealloc(self.0.as_ptr(), layout(self.size())) }
    }
}

/// The block's memory with another size, a multiple of 8 above zero.
fn resized(base: NonNull<u8>, old: usize, size: usize) -> NonNull<u8> {
    debug_assert!(size >= HEADER && size.is_multiple_of(8));
    // SAFETY: invariant 1 for pointer and old layout, of which the caller is the owner (3); `size` is a multiple of 8
    // and above zero.
    let base = unsafe { alloc::realloc(base.as_ptr(), layout(old), size) };
    NonNull::new(base).unwrap_or_else(|| alloc::handle_alloc_error(layout(size)))
}

fn flags_for(deadline: Option<u64>, key: &[u8], payload: usize) -> u8 {
    let deadline = if deadline.is_some() { DEADLINE } else { 0 };
    let is_long = key.len() > SHORT_KEY || payload > SHORT_PAYLOAD;
    deadline | if is_long { LONG } else { 0 }
}

#[inline]
fn key_at(flags: u8) -> usize {
    HEADER + 8 * (flags & FIELDS).count_ones() as usize
}

/// Fields stand in the order of their flags.
#[inline]
fn field_at(flags: u8, flag: u8) -> usize {
    HEADER + 8 * (flags & FIELDS & (flag - 1)).count_ones() as usize
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("an entry is far smaller than the address space")
}

/// The size the allocator rounds to anyway: four steps per doubling, none below 8 bytes.
fn size_class(size: usize) -> usize {
    let step = (size.next_power_of_two() / 8).max(8);
    size.next_multiple_of(step)
}
