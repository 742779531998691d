//! The mailbox of a loop: what other loops have for it (replies of tasks that they executed, new connections,
//! `Drain` requests). Anybody posts, the owner takes. A word says whether the owner is about to block in its poll,
//! so that a post wakes a sleeping owner exactly once and a running one never: waking costs ~25 µs on each side, a
//! post 20 ns. The wake-up itself (an eventfd) is the caller's; nothing in here blocks.
//!
//! ```text
//!           1 before sleep
//!     RUN ────────────────▶ SLEEP              RUN       the owner is awake and looks here before it sleeps
//!     │ ▲ ◀──────────────── │                  SLEEP     it blocks, or is about to: who posts has to wake it
//!     │ │      2 take       │ 3 post           NOTIFIED  there is mail that the owner does not know of
//!     │ │                   ▼
//!     │ └──── 2 take ──── NOTIFIED ◀─┐
//!     └────── 3 post ───────▲ └──────┘ 3 post
//! ```
//!
//! 1. *before sleep* succeeds from RUN only: after a post the owner does not fall asleep before it took the mail.
//! 2. *take* goes to RUN first and fetches the mail second. What is appended later leaves NOTIFIED behind and is
//!    fetched next time. The other way round, a post between the two would be forgotten.
//! 3. *post* appends first and notifies second. Of two posters only the one that replaces SLEEP wakes the owner.
//!
//! The word decides by read-modify-writes alone and the mail travels under the mutex, so no fence is needed. A box
//! grows with what is posted: it is bounded by its senders, of whom each connection has one task under way at most.

use std::mem;

use super::sync::{AtomicU32, Mutex, Ordering};

const RUN: u32 = 0;
const SLEEP: u32 = 1;
const NOTIFIED: u32 = 2;

/// Aligned to two cache lines, so that posting to one loop does not slow down its neighbour's. Word and mutex
/// share a line: whoever writes one writes the other.
#[repr(align(128))]
pub struct Mailbox<M> {
    state: AtomicU32,
    mail: Mutex<Vec<M>>,
}

impl<M> Mailbox<M> {
    pub fn new() -> Mailbox<M> {
        Mailbox {
            state: AtomicU32::new(RUN),
            mail: Mutex::new(Vec::new()),
        }
    }

    /// Appends one message. `true`: the owner sleeps and the caller must wake it, after it put its cells down.
    #[must_use = "true means that the owner has to be woken"]
    pub fn post(&self, message: M) -> bool {
        self.mail.lock().expect(NO_PANIC).push(message);
        self.notify()
    }

    /// Appends all of `messages` at once, in order, and leaves it empty with its capacity. Returns what `post` does.
    #[must_use = "true means that the owner has to be woken"]
    pub fn post_all(&self, messages: &mut Vec<M>) -> bool {
        if messages.is_empty() {
            return false;
        }
        self.mail.lock().expect(NO_PANIC).append(messages);
        self.notify()
    }

    fn notify(&self) -> bool {
        self.state.swap(NOTIFIED, Ordering::AcqRel) == SLEEP
    }

    /// Owner only, before its poll. `true`: it may block. `false`: there is mail, blocking would miss it.
    #[must_use = "false means that blocking would miss mail"]
    pub fn before_sleep(&self) -> bool {
        self.state
            .compare_exchange(RUN, SLEEP, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Owner only, after its poll, whatever ended that: it is awake, and all mail moves to the end of `into`, in the
    /// order in which it was posted. Costs one swap if there is none.
    pub fn take(&self, into: &mut Vec<M>) {
        if self.state.swap(RUN, Ordering::AcqRel) == NOTIFIED {
            self.fetch(into);
        }
    }

    fn fetch(&self, into: &mut Vec<M>) {
        let mut mail = self.mail.lock().expect(NO_PANIC);
        if into.is_empty() {
            mem::swap(&mut *mail, into);
        } else {
            into.append(&mut mail);
        }
    }
}

impl<M> Default for Mailbox<M> {
    fn default() -> Mailbox<M> {
        Mailbox::new()
    }
}

const NO_PANIC: &str = "nothing panics while it locks a mailbox";
