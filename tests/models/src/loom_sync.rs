//! What `server/src/os/sync.rs` has, as loom checks it.

pub use loom::hint::spin_loop;
pub use loom::sync::Mutex;
pub use loom::sync::atomic::{AtomicU32, Ordering};

/// A cell that was dropped while held: the panic that led to it is what the model reports.
pub fn abort() {}

/// loom panics if this access does not happen after all earlier ones.
pub struct UnsafeCell<T>(loom::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub fn new(data: T) -> UnsafeCell<T> {
        UnsafeCell(loom::cell::UnsafeCell::new(data))
    }

    pub fn get(&self) -> *mut T {
        self.0.with_mut(|pointer| pointer)
    }
}
