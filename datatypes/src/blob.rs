//! Large string values, shared between the keyspace and replies on their way out.
//!
//! A value of [`BLOB_MIN`] bytes or more lives outside its entry, so that a reply can be written to a slow
//! socket after the cell has been put down, and COPY costs a reference. A writer that finds it shared copies first.

use std::ops::Deref;
use std::sync::{Arc, Weak};

/// A reference-counted byte string; `Arc::make_mut` is the copy-on-write.
pub type Blob = Arc<Vec<u8>>;

/// Smallest length in bytes of a value that is stored out of line.
pub const BLOB_MIN: usize = 16 * 1024;

/// A blob that is read in slices. Whoever is about to write to it can see that
/// ([`Entry::is_being_read`](crate::raw::entry::Entry::is_being_read)), and wait where it would copy what is merely shared.
pub struct Reading {
    blob: Blob,
    _mark: Weak<Vec<u8>>,
}

impl Reading {
    pub fn of(blob: Blob) -> Self {
        Self {
            _mark: Arc::downgrade(&blob),
            blob,
        }
    }
}

impl Deref for Reading {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.blob
    }
}
