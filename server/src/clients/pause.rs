//! CLIENT PAUSE: until when commands wait, and which.
//!
//! Which ones is told by two gate bits, so that a server that is not paused pays nothing. A pause begins with all
//! cells held: a command that runs later, on whatever loop, sees the bits. Its end by time is noticed by every
//! loop that has somebody waiting; the bits are lowered by whoever comes first.

use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::server::{Server, gate};

#[derive(Default)]
pub struct Pause {
    /// Unix ms.
    until_ms: AtomicI64,
    /// Held while deadline and bits change together.
    changing: Mutex<()>,
}

impl Pause {
    /// Pauses writes, or everything. A pause in force is only ever made longer and stricter.
    pub fn begin(&self, server: &Server, until_ms: i64, everything: bool, now_ms: i64) {
        let _changing = self.lock();
        self.lower_if_over(server, now_ms);
        let until_ms = until_ms.max(self.until_ms.load(Relaxed));
        self.until_ms.store(until_ms, Relaxed);
        server.raise(if everything {
            gate::PAUSE_ALL
        } else {
            gate::PAUSE_WRITES
        });
    }

    pub fn end(&self, server: &Server) {
        let _changing = self.lock();
        self.lower(server);
    }

    /// Whether a pause is in force. One whose time is up is ended.
    pub fn is_on(&self, server: &Server, now_ms: i64) -> bool {
        if server.gates.load(Relaxed) & gate::PAUSE == 0 {
            return false;
        }
        if now_ms < self.until_ms() {
            return true;
        }
        let _changing = self.lock();
        self.lower_if_over(server, now_ms);
        server.gates.load(Relaxed) & gate::PAUSE != 0
    }

    /// When the pause ends, Unix ms; means something only while it is in force.
    pub fn until_ms(&self) -> i64 {
        self.until_ms.load(Relaxed)
    }

    fn lower_if_over(&self, server: &Server, now_ms: i64) {
        if self.until_ms() <= now_ms {
            self.lower(server);
        }
    }

    fn lower(&self, server: &Server) {
        self.until_ms.store(0, Relaxed);
        server.lower(gate::PAUSE);
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        self.changing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
