//! Freeing large things off the loops: a flushed database, a value of megabytes.
//!
//! One background thread of low priority drops what it is given, in the order given. Who gives something away is
//! through with it: it is unreachable already, so nobody can tell when it is gone but INFO, which counts what waits.
//! Without the thread (a simulation, a server that stops) things are freed at once, where they are given away.
//! Must never be waited for with a cell held.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use ostraka_datatypes::raw::entry::{Entry, Held};

use crate::os::threads;

/// Smallest string in bytes that is given to the thread: below, waking it costs more than freeing.
pub const LARGE: usize = 64 * 1024;

/// Elements of the smallest collection that is given to the thread.
const MANY: usize = 512;

/// Whether freeing an entry takes longer than waking the thread.
#[inline]
pub fn is_worth_it(entry: &Entry) -> bool {
    match entry.held() {
        Held::String(_) => entry.large_blob(LARGE).is_some(),
        Held::Large(body) => body.len() >= MANY,
        Held::Packed(_) | Held::PackedEx(_) | Held::Ints(_) => false,
    }
}

/// Anything that frees itself when dropped.
pub type Garbage = Box<dyn Any + Send>;

/// What waits to be freed.
#[derive(Default)]
pub struct LazyFree {
    queue: Mutex<Queue>,
    filled: Condvar,
    pending: AtomicU64,
}

#[derive(Default)]
struct Queue {
    /// With the number of objects (keys or values) that each consists of.
    items: VecDeque<(u64, Garbage)>,
    /// A thread takes from the queue.
    open: bool,
}

impl LazyFree {
    /// Frees `garbage`, which counts as so many objects, soon.
    pub fn give(&self, objects: u64, garbage: Garbage) {
        let mut queue = self.lock();
        if !queue.open {
            drop(queue);
            return drop(garbage);
        }
        self.pending.fetch_add(objects, Relaxed);
        queue.items.push_back((objects, garbage));
        drop(queue);
        self.filled.notify_one();
    }

    /// Objects not freed yet.
    pub fn pending(&self) -> u64 {
        self.pending.load(Relaxed)
    }

    /// From now on there is a thread that calls [`LazyFree::run`].
    pub fn open(&self) {
        self.lock().open = true;
    }

    /// Ends the thread once it has freed what it was given.
    pub fn close(&self) {
        self.lock().open = false;
        self.filled.notify_one();
    }

    /// The life of the thread. `freed` is called after each thing.
    pub fn run(&self, freed: impl Fn()) {
        threads::lower_priority();
        while let Some((objects, garbage)) = self.next() {
            drop(garbage);
            freed();
            self.pending.fetch_sub(objects, Relaxed);
        }
    }

    fn next(&self) -> Option<(u64, Garbage)> {
        let mut queue = self.lock();
        loop {
            match queue.items.pop_front() {
                None if queue.open => {
                    queue = self
                        .filled
                        .wait(queue)
                        .unwrap_or_else(PoisonError::into_inner);
                }
                item => return item,
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn without_a_thread_things_are_freed_at_once() {
        let (lazy, thing) = (LazyFree::default(), Arc::new(()));
        lazy.give(1, Box::new(Arc::clone(&thing)));
        assert_eq!((Arc::strong_count(&thing), lazy.pending()), (1, 0));
    }

    #[test]
    fn the_thread_frees_what_is_left_before_it_ends() {
        let (lazy, thing) = (LazyFree::default(), Arc::new(()));
        lazy.open();
        for objects in 1..=3 {
            lazy.give(objects, Box::new(Arc::clone(&thing)));
        }
        assert_eq!((Arc::strong_count(&thing), lazy.pending()), (4, 6));
        lazy.close();
        lazy.run(|| ());
        assert_eq!((Arc::strong_count(&thing), lazy.pending()), (1, 0));
    }
}
