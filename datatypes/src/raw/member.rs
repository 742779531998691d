//! A byte string in one allocation behind a thin pointer: what the table of a large set holds.
//!
//! ```text
//!  length < 255                           longer
//! ┌────────┬──────────────┬─────────┐    ┌──────┬──────────┬──────────────┬─────────┐
//! │ length │ text         │ padding │    │ 0xff │ length   │ text         │ padding │   sizes are multiples
//! │ u8     │              │         │    │      │ u32 n.e. │              │         │   of 8, alignment is 8
//! └────────┴──────────────┴─────────┘    └──────┴──────────┴──────────────┴─────────┘
//! ```
//! A member of up to 15 bytes takes 16, the least that a table's element of this kind can come to.
//!
//! Invariants: 1. the pointer came from the global allocator with `layout(text length)`; 2. head and text are
//! initialised; 3. the owner of the `Member` owns the memory alone, and never writes to it.

use std::alloc::{self, Layout};
use std::ptr::NonNull;
use std::slice;

use super::table::Element;

/// The first byte of a member whose length takes four more.
const LONG: u8 = u8::MAX;

pub struct Member(NonNull<u8>);

// SAFETY: a member owns its memory alone (invariant 3) and has no tie to the thread that allocated it.
unsafe impl Send for Member {}
// SAFETY: nothing is ever written after `new`.
unsafe impl Sync for Member {}

impl Member {
    /// # Panics
    /// If the text has 4 GiB or more.
    pub fn new(text: &[u8]) -> Member {
        let layout = layout(text.len());
        // SAFETY: the layout has at least the byte of the head.
        let base = unsafe { alloc::alloc(layout) };
        let Some(base) = NonNull::new(base) else {
            alloc::handle_alloc_error(layout)
        };
        let (first, long) = match u8::try_from(text.len()) {
            Ok(short) if short != LONG => (short, None),
            _ => (LONG, Some(text.len() as u32)),
        };
        let head = head_len(text.len());
        // SAFETY: the layout has room for the head and the text behind it; the memory is new, so `text` is elsewhere.
        unsafe {
            base.write(first);
            if let Some(length) = long {
                base.add(1).cast::<u32>().write_unaligned(length);
            }
            base.add(head)
                .copy_from_nonoverlapping(NonNull::from(text).cast(), text.len());
        }
        Member(base)
    }

    #[inline]
    pub fn text(&self) -> &[u8] {
        // SAFETY: invariant 2 for all reads; the text lives as long as `self`, and is not written to.
        unsafe {
            let first = self.0.read();
            let len = if first == LONG {
                self.0.add(1).cast::<u32>().read_unaligned() as usize
            } else {
                usize::from(first)
            };
            slice::from_raw_parts(self.0.add(head_len(len)).as_ptr(), len)
        }
    }

    /// Allocated bytes.
    pub fn memory_usage(&self) -> usize {
        layout(self.text().len()).size()
    }
}

impl Clone for Member {
    fn clone(&self) -> Member {
        Member::new(self.text())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        // SAFETY: invariant 1; nothing borrows a member that is being dropped.
        unsafe { alloc::dealloc(self.0.as_ptr(), layout(self.text().len())) }
    }
}

// SAFETY: 1. the alignment is 8, and user space ends below 2^48; 2. a member is a bare pointer, and nobody writes to
// its memory; 3. the text lies behind the pointer; 4. no method that borrows it as shared changes the pointer.
unsafe impl Element for Member {
    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        std::mem::ManuallyDrop::new(self).0
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Member {
        Member(raw)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.text()
    }
}

/// Bytes before a text of this length.
#[inline]
fn head_len(text_len: usize) -> usize {
    if text_len < usize::from(LONG) {
        1
    } else {
        1 + size_of::<u32>()
    }
}

fn layout(text_len: usize) -> Layout {
    assert!(u32::try_from(text_len).is_ok(), "a member is below 4 GiB");
    let size = (head_len(text_len) + text_len).next_multiple_of(8);
    Layout::from_size_align(size, 8).expect("a member is far smaller than the address space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_kind_of_length_survive_the_way_through_a_slot() {
        for len in [0, 1, 7, 8, 15, 16, 254, 255, 256, 70_000] {
            let text = vec![b'x'; len];
            let raw = Member::new(&text).into_raw();
            // SAFETY: taken back once, right away.
            let member = unsafe { Member::from_raw(raw) };
            assert_eq!(member.text(), text);
            assert_eq!(member.clone().text(), text);
        }
        assert_eq!(Member::new(b"member:123").memory_usage(), 16);
    }
}
