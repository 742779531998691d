//! Large string values, shared between the keyspace and replies on their way out.
//!
//! A value of [`BLOB_MIN`] bytes or more lives outside its entry, so that a reply can be written to a slow
//! socket after the cell has been put down, and COPY costs a reference. A writer that finds it shared copies first.

use std::sync::Arc;

/// A reference-counted byte string; `Arc::make_mut` is the copy-on-write.
pub type Blob = Arc<Vec<u8>>;

/// Smallest length in bytes of a value that is stored out of line.
pub const BLOB_MIN: usize = 16 * 1024;
