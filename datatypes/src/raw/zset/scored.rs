//! A member and its score in one allocation behind a thin pointer.
//!
//! ```text
//!  length < 255                                    longer
//! ┌─────────┬────────┬──────────┬─────────┐       ┌─────────┬──────┬──────────┬──────────┬─────────┐
//! │ score   │ length │ text     │ padding │       │ score   │ 0xff │ length   │ text     │ padding │
//! │ f64     │ u8     │          │         │       │ f64     │      │ u32 n.e. │          │         │
//! └─────────┴────────┴──────────┴─────────┘       └─────────┴──────┴──────────┴──────────┴─────────┘
//! ```
//! A member of up to 15 bytes takes 24. Sizes are multiples of 8, the alignment is 8.
//!
//! Invariants: 1. the pointer came from the global allocator with `layout(text length)`; 2. score, length and text are
//! initialised; 3. the text never changes; the score is written through `&mut Scored` only.

use std::alloc::{self, Layout};
use std::ptr::NonNull;
use std::slice;

use crate::raw::table::Element;

const SCORE: usize = size_of::<f64>();
/// The length byte of a member whose length takes four more.
const LONG: u8 = u8::MAX;

/// Owns a member and its score.
pub struct Scored(NonNull<u8>);

/// Where a [`Scored`] is, without owning it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Handle(NonNull<u8>);

// SAFETY: a `Scored` owns its memory alone and has no tie to the thread that allocated it.
unsafe impl Send for Scored {}
// SAFETY: nothing is written through a shared reference.
unsafe impl Sync for Scored {}
// SAFETY: a handle is an address; the obligations are on `Handle::text`.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// # Safety
    /// The `Scored` that this handle was made from is alive for all of `'a`.
    #[inline]
    pub(super) unsafe fn text<'a>(self) -> &'a [u8] {
        // SAFETY: the member is alive (caller), so its head and text are initialised (2) and do not change (3).
        unsafe {
            let first = self.0.add(SCORE).read();
            let len = match first {
                LONG => self.0.add(SCORE + 1).cast::<u32>().read_unaligned() as usize,
                short => usize::from(short),
            };
            slice::from_raw_parts(self.0.add(head_len(len)).as_ptr(), len)
        }
    }
}

impl Scored {
    /// # Panics
    /// If the text has 4 GiB or more.
    pub(super) fn new(score: f64, text: &[u8]) -> Self {
        let layout = layout(text.len());
        // SAFETY: the layout has at least the bytes of the score.
        let base = unsafe { alloc::alloc(layout) };
        let Some(base) = NonNull::new(base) else {
            alloc::handle_alloc_error(layout)
        };
        // SAFETY: the layout has room for score, length and text, and is aligned for the score; the memory is new, so
        // `text` is elsewhere.
        unsafe {
            base.cast::<f64>().write(score);
            match u8::try_from(text.len()) {
                Ok(short) if short != LONG => base.add(SCORE).write(short),
                _ => {
                    base.add(SCORE).write(LONG);
                    let length = base.add(SCORE + 1).cast::<u32>();
                    length.write_unaligned(text.len() as u32);
                }
            }
            base.add(head_len(text.len()))
                .copy_from_nonoverlapping(NonNull::from(text).cast(), text.len());
        }
        Self(base)
    }

    #[inline]
    pub fn score(&self) -> f64 {
        // SAFETY: invariant 2, and the alignment is 8.
        unsafe { self.0.cast::<f64>().read() }
    }

    #[inline]
    pub(super) fn set_score(&mut self, score: f64) {
        // SAFETY: invariant 1; `&mut self` is the only access to the score.
        unsafe { self.0.cast::<f64>().write(score) }
    }

    #[inline]
    pub fn text(&self) -> &[u8] {
        // SAFETY: the text lives as long as `self`.
        unsafe { self.handle().text() }
    }

    #[inline]
    pub(super) fn handle(&self) -> Handle {
        Handle(self.0)
    }

    /// Allocated bytes.
    pub(super) fn bytes(text_len: usize) -> usize {
        layout(text_len).size()
    }
}

impl Drop for Scored {
    fn drop(&mut self) {
        // SAFETY: invariant 1; nothing borrows a member that is being dropped.
        unsafe { alloc::dealloc(self.0.as_ptr(), layout(self.text().len())) }
    }
}

// SAFETY: 1. the alignment is 8, and user space ends below 2^48; 2. a `Scored` is a bare pointer; 3. the text lies
// behind the pointer; 4. no method that borrows it as shared changes the pointer.
unsafe impl Element for Scored {
    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        std::mem::ManuallyDrop::new(self).0
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        Self(raw)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.text()
    }
}

/// Bytes before a text of this length.
#[inline]
fn head_len(text_len: usize) -> usize {
    match text_len {
        ..255 => SCORE + 1,
        _ => SCORE + 1 + size_of::<u32>(),
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
    fn members_of_every_kind_of_length_survive_the_way_through_a_slot() {
        for len in [0, 1, 7, 8, 15, 16, 254, 255, 256, 70_000] {
            let text = vec![b'x'; len];
            let raw = Scored::new(1.5, &text).into_raw();
            // SAFETY: taken back once, right away.
            let mut member = unsafe { Scored::from_raw(raw) };
            assert_eq!((member.score(), member.text()), (1.5, &text[..]));
            member.set_score(-0.0);
            assert!(member.score().is_sign_negative());
            assert_eq!(member.text(), text);
        }
        assert_eq!(Scored::bytes(15), 24);
    }
}
