//! Values, encodings, the keyspace and the RESP grammar.
//!
//! This crate knows nobody: no clock, no dice, no I/O. Time and randomness are arguments, so that every
//! structure can be tested against a model from a seed. `unsafe` lives in `raw` only.

pub mod access;
pub mod ahead;
pub mod bits;
pub mod blob;
pub mod collection;
pub mod db;
pub mod expiry;
pub mod geo;
pub mod glob;
pub mod hash;
pub mod hashes;
pub mod hyperloglog;
pub mod lcs;
pub mod list;
pub mod lzf;
pub mod numbers;
pub mod packed;
pub mod raw;
pub mod resp;
pub mod set;
pub mod sha1;
pub mod slot;
pub mod zset;
