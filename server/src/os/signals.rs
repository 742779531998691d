//! Signals: those that ask the server to stop arrive as values on a thread, those that mean nothing are ignored.
//!
//! SIGTERM and SIGINT are blocked before any thread starts and taken by one thread with sigwait, so that no handler
//! interrupts anybody and everything may be done on arrival. Those of a crash are `crash`'s.
#![allow(unsafe_code)]

use std::mem::MaybeUninit;
use std::ptr;

/// A request to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// SIGTERM.
    Terminate,
    /// SIGINT, Ctrl-C.
    Interrupt,
}

impl Stop {
    pub fn name(self) -> &'static str {
        match self {
            Stop::Terminate => "SIGTERM",
            Stop::Interrupt => "SIGINT",
        }
    }
}

/// Holds requests to stop back until [`wait`] takes them, in this thread and all that it starts. Ignores SIGHUP and
/// SIGPIPE.
pub fn hold() {
    // SAFETY: ignoring a signal installs no code of ours.
    unsafe {
        libc::signal(libc::SIGHUP, libc::SIG_IGN);
        libc::signal(libc::SIGPIPE, libc::SIG_IGN);
    }
    let set = stops();
    // SAFETY: `set` is a filled set of signals, and the old mask is not asked for.
    let result = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, ptr::null_mut()) };
    assert_eq!(result, 0, "SIGTERM and SIGINT can be blocked");
}

/// Waits for the next request to stop. Needs [`hold`] before.
pub fn wait() -> Stop {
    let set = stops();
    let mut signal = 0;
    loop {
        // SAFETY: `set` is a filled set of signals and `signal` valid for the call to fill in.
        let result = unsafe { libc::sigwait(&raw const set, &raw mut signal) };
        match (result, signal) {
            (0, libc::SIGINT) => return Stop::Interrupt,
            (0, _) => return Stop::Terminate,
            _ => {}
        }
    }
}

fn stops() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: `sigemptyset` fills the set in, and both signals exist.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGINT);
        set.assume_init()
    }
}
