//! What `server/src/os/sync.rs` has, as shuttle schedules it. shuttle knows no weak memory: that is loom's part.

pub use shuttle::hint::spin_loop;
pub use shuttle::sync::Mutex;
pub use shuttle::sync::atomic::{AtomicU32, Ordering};
pub use std::cell::UnsafeCell;

/// A cell that was dropped while held: the panic that led to it is what the model reports.
pub fn abort() {}
