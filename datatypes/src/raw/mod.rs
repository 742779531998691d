//! The only module of this crate that may use `unsafe`: tables, entries and packed blocks as raw memory.
//! Every type here has a safe twin or a model in its tests, and valgrind runs over those tests.
#![allow(unsafe_code)]

pub mod entry;
pub mod field;
pub mod member;
pub mod prefetch;
pub mod table;
pub mod zset;
