//! The only door to the operating system and to memory shared by threads: clock, entropy, sockets, polling,
//! files, signals, threads, and the cell. What is unsafe, impure or blocking is behind a safe function in here,
//! so that everything else can be run in one thread from one seed (`tests/sim`).
#![allow(
    clippy::disallowed_methods,
    reason = "this is where the calls banned elsewhere belong"
)]

pub mod allocator;
pub mod cell;
pub mod cell_set;
pub mod clock;
pub mod crash;
pub mod entropy;
pub mod files;
pub mod log_output;
pub mod platform;
pub mod process;
pub mod reactor;
pub mod signals;
pub mod supervise;
pub(crate) mod sync;
pub mod threads;
pub mod usage;
