//! A text in one allocation behind a thin pointer, with or without a value in front of it: what the tables of large sets
//! (`Text`) and of large sorted sets (`Text<f64>`, the score in front) hold.
//!
//! ```text
//!  length < 255                              longer
//! ┌───────┬────────┬──────┬─────────┐       ┌───────┬──────┬──────────┬──────┬─────────┐
//! │ front │ length │ text │ padding │       │ front │ 0xff │ length   │ text │ padding │   sizes are multiples of 8,
//! │ F     │ u8     │      │         │       │ F     │      │ u32 n.e. │      │         │   alignment is 8
//! └───────┴────────┴──────┴─────────┘       └───────┴──────┴──────────┴──────┴─────────┘
//! ```
//! A member of up to 15 bytes takes 16, the least that a table's element of this kind can come to, and 24 with a score.
//!
//! Invariants: 1. the pointer came from the global allocator with `layout::<F>(text length)`; 2. front, length and text
//! are initialised; 3. the owner of the `Text` owns the memory alone; 4. length and text never change, and the front is
//! written through `&mut Text` only.

use std::alloc::{self, Layout};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::slice;

use super::allocate;
use super::table::Element;

/// The length byte of a text whose length takes four more.
const LONG: u8 = u8::MAX;

/// Owns a text and what is in front of it.
pub struct Text<F: Copy = ()> {
    base: NonNull<u8>,
    front: PhantomData<F>,
}

/// Where the length of a [`Text`] is, without owning it.
#[derive(Clone, Copy)]
pub(super) struct Handle(NonNull<u8>);

// SAFETY: a text owns its memory alone (invariant 3) and has no tie to the thread that allocated it.
unsafe impl<F: Copy + Send> Send for Text<F> {}
// SAFETY: nothing is written through a shared reference (invariant 4).
unsafe impl<F: Copy + Sync> Sync for Text<F> {}
// SAFETY: a handle is an address; the obligations are on `Handle::text`.
unsafe impl Send for Handle {}
// SAFETY: as above.
unsafe impl Sync for Handle {}

impl Handle {
    /// # Safety
    /// The `Text` that this handle was made from is alive for all of `'a`.
    #[inline]
    pub(super) unsafe fn text<'a>(self) -> &'a [u8] {
        // SAFETY: the text is alive (caller), so it and its length are initialised (2) and do not change (4).
        unsafe {
            let len = match self.0.read() {
                LONG => self.0.add(1).cast::<u32>().read_unaligned() as usize,
                short => usize::from(short),
            };
            slice::from_raw_parts(self.0.add(length_len(len)).as_ptr(), len)
        }
    }
}

impl<F: Copy> Text<F> {
    /// # Panics
    /// If the text has 4 GiB or more.
    pub fn new(front: F, text: &[u8]) -> Self {
        const { assert!(align_of::<F>() <= 8) }
        // SAFETY: the layout has at least the byte of the length.
        let base = unsafe { allocate(layout::<F>(text.len())) };
        // SAFETY: the layout has room for front, length and text, and is aligned for the front; the memory is new, so
        // `text` is elsewhere.
        unsafe {
            base.cast::<F>().write(front);
            let length = base.add(size_of::<F>());
            match u8::try_from(text.len()) {
                Ok(short) if short != LONG => length.write(short),
                _ => {
                    length.write(LONG);
                    let long = length.add(1).cast::<u32>();
                    long.write_unaligned(text.len() as u32);
                }
            }
            length
                .add(length_len(text.len()))
                .copy_from_nonoverlapping(NonNull::from(text).cast(), text.len());
        }
        Self {
            base,
            front: PhantomData,
        }
    }

    #[inline]
    pub fn front(&self) -> F {
        // SAFETY: invariant 2, and the alignment is 8.
        unsafe { self.base.cast::<F>().read() }
    }

    #[inline]
    pub fn set_front(&mut self, front: F) {
        // SAFETY: invariant 1; `&mut self` is the only access to the front.
        unsafe { self.base.cast::<F>().write(front) }
    }

    #[inline]
    pub fn text(&self) -> &[u8] {
        // SAFETY: the text lives as long as `self`.
        unsafe { self.handle().text() }
    }

    #[inline]
    pub(super) fn handle(&self) -> Handle {
        // SAFETY: the length lies inside the allocation.
        Handle(unsafe { self.base.add(size_of::<F>()) })
    }

    /// Bytes allocated for a text of this length.
    pub fn bytes(text_len: usize) -> usize {
        layout::<F>(text_len).size()
    }
}

impl<F: Copy> Clone for Text<F> {
    fn clone(&self) -> Self {
        Self::new(self.front(), self.text())
    }
}

impl<F: Copy> Drop for Text<F> {
    fn drop(&mut self) {
        let layout = layout::<F>(self.text().len());
        // SAFETY: invariant 1; nothing borrows a text that is being dropped.
        unsafe { alloc::dealloc(self.base.as_ptr(), layout) }
    }
}

// SAFETY: 1. the alignment is 8, and user space ends below 2^48; 2. a `Text` is a bare pointer, so copies are harmless
// until one of them is dropped or writes; 3. the text lies behind the pointer; 4. no method that borrows it as shared
// changes the pointer.
unsafe impl<F: Copy + 'static> Element for Text<F> {
    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        std::mem::ManuallyDrop::new(self).base
    }

    #[inline]
    unsafe fn from_raw(base: NonNull<u8>) -> Self {
        Self {
            base,
            front: PhantomData,
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.text()
    }
}

/// Bytes that the length of a text takes.
#[inline]
fn length_len(text_len: usize) -> usize {
    if text_len < usize::from(LONG) {
        1
    } else {
        1 + size_of::<u32>()
    }
}

fn layout<F>(text_len: usize) -> Layout {
    assert!(u32::try_from(text_len).is_ok(), "a text is below 4 GiB");
    let size = (size_of::<F>() + length_len(text_len) + text_len).next_multiple_of(8);
    Layout::from_size_align(size, 8).expect("a text is far smaller than the address space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_every_kind_of_length_survive_the_way_through_a_slot() {
        for len in [0, 1, 7, 8, 15, 16, 254, 255, 256, 70_000] {
            let text = vec![b'x'; len];
            let raw = Text::new((), &text).into_raw();
            // SAFETY: taken back once, right away.
            let bare = unsafe { Text::<()>::from_raw(raw) };
            assert_eq!(bare.text(), text);
            assert_eq!(bare.clone().text(), text);

            let raw = Text::new(1.5, &text).into_raw();
            // SAFETY: taken back once, right away.
            let mut scored = unsafe { Text::<f64>::from_raw(raw) };
            assert_eq!((scored.front(), scored.text()), (1.5, &text[..]));
            scored.set_front(-0.0);
            assert!(scored.front().is_sign_negative());
            assert_eq!(scored.clone().text(), text);
        }
    }

    #[test]
    fn short_members_take_what_the_picture_says() {
        let scored = Text::<f64>::bytes;
        let bare = Text::<()>::bytes;
        assert_eq!(
            [7, 8, 15, 16, 254, 255].map(bare),
            [8, 16, 16, 24, 256, 264]
        );
        assert_eq!(
            [7, 8, 15, 16, 254, 255].map(scored),
            [16, 24, 24, 32, 264, 272]
        );
    }
}
