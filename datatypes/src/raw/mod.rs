//! The only module of this crate that may use `unsafe`: tables, entries and packed blocks as raw memory.
//! Every type here has a safe twin or a model in its tests, and valgrind runs over those tests.
#![allow(unsafe_code)]

pub mod entry;
pub mod field;
pub mod prefetch;
pub mod table;
pub mod text;
pub mod zset;

use std::alloc::{self, Layout};
use std::ptr::NonNull;

/// New memory, not initialised; where there is none, the process ends.
///
/// # Safety
/// The size is above zero.
#[inline]
unsafe fn allocate(layout: Layout) -> NonNull<u8> {
    // SAFETY: the caller's promise.
    let base = unsafe { alloc::alloc(layout) };
    NonNull::new(base).unwrap_or_else(|| alloc::handle_alloc_error(layout))
}
