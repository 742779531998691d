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
//!  0      1       2         4           8
//! +------+-------+---------+-----------+------------------------+-----+---------+---------+
//! | tag  | flags | key len | value len | fields, 8 bytes each,  | key | payload | padding |
//! | u8   | u8    | u16     | u32       | one per flag, in order |     |         | or room |
//! +------+-------+---------+-----------+------------------------+-----+---------+---------+
//!          bit 0  DEADLINE   u64, absolute Unix time in ms
//!          bit 1  LONG_KEY   u64, the key's length when it is beyond 65535 bytes (the u16 is 0 then)
//!          bit 2  ROOM       u64, the size of the allocation, once a payload has grown in place; without it the
//!                            size follows from the lengths
//!          bits 3 and 4      kept for memcached's flags (u32) and CAS (u64)
//!          bit 7  REARM      no field: see Entry::rearm
//! ```

use std::alloc::{self, Layout};
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::slice;

use crate::raw::allocate;

const DEADLINE: u8 = 1 << 0;
const LONG_KEY: u8 = 1 << 1;
const ROOM: u8 = 1 << 2;
const REARM: u8 = 1 << 7;
/// The flags that stand for a field of 8 bytes.
const FIELDS: u8 = DEADLINE | LONG_KEY | ROOM;

#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    tag: u8,
    flags: u8,
    key_len: u16,
    value_len: u32,
}

const HEADER: usize = size_of::<Header>();
const _: () = assert!(HEADER == 8 && align_of::<Header>() <= 8);

pub(super) struct Block(NonNull<u8>);

// SAFETY: a block owns its memory alone (invariant 3) and has no tie to the thread that allocated it; shared
// references only read.
unsafe impl Send for Block {}
// SAFETY: as above; there is no interior mutability.
unsafe impl Sync for Block {}

impl Block {
    /// A block that fits its contents, rounded up to 8 bytes.
    pub(super) fn new(tag: u8, deadline: Option<u64>, key: &[u8], payload: &[u8]) -> Block {
        let flags = flags_for(deadline, key);
        let size = (key_at(flags) + key.len() + payload.len()).next_multiple_of(8);
        Block::build(tag, flags, size, deadline, key, payload)
    }

    /// A block whose payload can grow to `payload_max` bytes and somewhat more before it has to move.
    fn with_room(&self, payload_max: usize) -> Block {
        let flags = flags_for(self.deadline(), self.key()) | ROOM | self.header().flags & REARM;
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
        let long_key = flags & LONG_KEY != 0;
        let header = Header {
            tag,
            flags,
            key_len: if long_key { 0 } else { key.len() as u16 },
            value_len: u32::try_from(payload.len()).expect("an inline payload is below 4 GiB"),
        };
        // SAFETY: the layout has at least the 8 bytes of a header.
        let base = unsafe { allocate(layout(size)) };
        // SAFETY: `base` is good for `size` bytes and aligned to 8; the assertion keeps key and payload inside them;
        // the memory is new, so neither slice overlaps it.
        unsafe {
            base.cast::<Header>().write(header);
            let key_start = base.add(key_at);
            key_start.copy_from_nonoverlapping(NonNull::from(key).cast(), key.len());
            key_start
                .add(key.len())
                .copy_from_nonoverlapping(NonNull::from(payload).cast(), payload.len());
        }
        let mut block = Block(base);
        if let Some(deadline) = deadline {
            block.set_field(DEADLINE, deadline);
        }
        if long_key {
            block.set_field(LONG_KEY, key.len() as u64);
        }
        if flags & ROOM != 0 {
            block.set_field(ROOM, size as u64);
        }
        block
    }

    fn header(&self) -> &Header {
        // SAFETY: invariants 1 and 2: aligned, initialised, alive as long as `self`.
        unsafe { self.0.cast::<Header>().as_ref() }
    }

    fn header_mut(&mut self) -> &mut Header {
        // SAFETY: as in `header`, and `&mut self` is the only way in.
        unsafe { self.0.cast::<Header>().as_mut() }
    }

    pub(super) fn tag(&self) -> u8 {
        self.header().tag
    }

    pub(super) fn set_tag(&mut self, tag: u8) {
        self.header_mut().tag = tag;
    }

    pub(super) fn rearm(&self) -> bool {
        self.header().flags & REARM != 0
    }

    pub(super) fn set_rearm(&mut self, on: bool) {
        let flags = &mut self.header_mut().flags;
        *flags = if on { *flags | REARM } else { *flags & !REARM };
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
        // SAFETY: invariant 2: the key is initialised and inside the allocation.
        unsafe {
            slice::from_raw_parts(
                self.0.add(key_at(self.header().flags)).as_ptr(),
                self.key_len(),
            )
        }
    }

    #[inline]
    fn key_len(&self) -> usize {
        match self.field(LONG_KEY) {
            None => self.header().key_len as usize,
            Some(length) => length as usize,
        }
    }

    #[inline]
    fn payload_at(&self) -> usize {
        key_at(self.header().flags) + self.key_len()
    }

    #[inline]
    pub(super) fn payload(&self) -> &[u8] {
        // SAFETY: invariant 2: the payload is initialised and inside the allocation.
        unsafe {
            slice::from_raw_parts(
                self.0.add(self.payload_at()).as_ptr(),
                self.header().value_len as usize,
            )
        }
    }

    #[inline]
    pub(super) fn payload_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `payload`, and `&mut self` is the only way in.
        unsafe {
            slice::from_raw_parts_mut(
                self.0.add(self.payload_at()).as_ptr(),
                self.header().value_len as usize,
            )
        }
    }

    /// Bytes that were asked of the allocator.
    pub(super) fn size(&self) -> usize {
        match self.field(ROOM) {
            None => (self.payload_at() + self.header().value_len as usize).next_multiple_of(8),
            Some(size) => size as usize,
        }
    }

    /// Puts another payload into the same allocation, if the allocation would have been made as large for it (or, once
    /// it has room to grow, is at least half used). Otherwise nothing changes and the answer is false.
    pub(super) fn overwrite(&mut self, tag: u8, payload: &[u8]) -> bool {
        let size = self.size();
        let needed = (self.payload_at() + payload.len()).next_multiple_of(8);
        let fits = if self.field(ROOM).is_none() {
            needed == size
        } else {
            needed <= size && needed * 2 >= size
        };
        if fits {
            // Only a payload that fits a u32 fits an allocation made for one.
            self.header_mut().value_len = payload.len() as u32;
            self.set_tag(tag);
            // SAFETY: the new payload ends inside the allocation (`needed <= size`); `payload` cannot overlap memory
            // that `&mut self` guards.
            unsafe {
                let start = self.0.add(self.payload_at());
                start.copy_from_nonoverlapping(NonNull::from(payload).cast(), payload.len());
            }
        }
        fits
    }

    /// Makes the payload `length` bytes long, at least what it is; new bytes are zero. When the allocation is full, the
    /// next one has half as much again to spare, so that a string built by many small appends is moved a few times only.
    pub(super) fn grow(&mut self, length: usize) {
        let old = self.header().value_len as usize;
        assert!(
            old <= length && length <= u32::MAX as usize,
            "a payload grows, and stays below 4 GiB"
        );
        let end = self.payload_at() + length;
        if end > self.size() {
            match self.field(ROOM) {
                None => *self = self.with_room(length + length / 2),
                Some(_) => self.reallocate(size_class(end + length / 2)),
            }
        }
        let start = self.payload_at();
        // SAFETY: `start + length` lies inside the allocation now: it either did, or both ways of enlarging gave more.
        unsafe { ptr::write_bytes(self.0.add(start + old).as_ptr(), 0, length - old) };
        // Without the field the size follows from the length; the branch above keeps the two in step, since `end` was
        // within the rounded size.
        self.header_mut().value_len = length as u32;
    }

    /// Puts `with` in the place of the payload's bytes `range`. The allocation stays as large as the payload needs, unless
    /// it has room already.
    pub(super) fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        let old = self.header().value_len as usize;
        assert!(
            range.start <= range.end && range.end <= old,
            "a splice stays inside the payload"
        );
        let new = old - range.len() + with.len();
        assert!(new <= u32::MAX as usize, "an inline payload is below 4 GiB");
        let start = self.payload_at();
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
        self.header_mut().value_len = new as u32;
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
        let flags = self.header().flags;
        // SAFETY: the flag says that the field is there (invariant 2); fields lie at multiples of 8 (invariant 1).
        (flags & flag != 0)
            .then(|| unsafe { self.0.add(field_at(flags, flag)).cast::<u64>().read() })
    }

    fn set_field(&mut self, flag: u8, value: u64) {
        let flags = self.header().flags;
        assert!(
            flags & flag != 0,
            "only a field that is present can be written"
        );
        // SAFETY: as in `field`; `build` reserves the bytes of every field whose flag it sets.
        unsafe { self.0.add(field_at(flags, flag)).cast::<u64>().write(value) };
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

fn flags_for(deadline: Option<u64>, key: &[u8]) -> u8 {
    let deadline = if deadline.is_some() { DEADLINE } else { 0 };
    let long_key = if key.len() > u16::MAX as usize {
        LONG_KEY
    } else {
        0
    };
    deadline | long_key
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
