//! How much memory is in use, at any moment and for next to nothing.
//!
//! The allocator's own sum takes microseconds to gather, which is too much before every command. But it counts for each
//! thread what that allocated and freed; a loop reads its own two counters where they are, and publishes the difference
//! at the end of its turn. The sum over the threads, added to what was in use when the server started, is what is
//! in use. Memory moves between threads, so one thread's share may be below zero. Every thread that handles data
//! publishes (the loops, and the one that frees); what others allocate, in a process that runs tests, is not the
//! server's. The sum is never brought in line with the allocator's: that counts what a loop has allocated in its turn and
//! not published yet, which would count twice from the end of the turn on, and cost keys.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crate::os::allocator::{self, ThreadBytes};

/// The sum over all threads.
pub struct Heap {
    base: i64,
    shares: Box<[AtomicI64]>,
}

impl Heap {
    /// With a share for each of so many threads.
    pub fn new(threads: usize) -> Self {
        Self {
            base: allocator::snapshot().allocated as i64,
            shares: (0..threads).map(|_| AtomicI64::new(0)).collect(),
        }
    }

    /// Bytes in use, as far as published.
    pub fn used(&self) -> u64 {
        let shares = self.shares.iter().map(|share| share.load(Relaxed));
        let used = self.base + shares.sum::<i64>();
        used.max(0) as u64
    }

    /// Brings the share of this thread up to date.
    #[inline]
    pub fn publish(&self, thread: usize, bytes: &ThreadBytes) {
        self.shares[thread].store(bytes.net(), Relaxed);
    }
}
