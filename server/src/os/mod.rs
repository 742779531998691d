//! The only door to the operating system and to memory shared by threads: what is unsafe, impure or blocking is
//! behind a safe function in here, so that everything else can be run in one thread from one seed.

pub mod cell;
pub mod cell_set;
pub mod files;
pub(crate) mod sync;
