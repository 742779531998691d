//! Threads, and how many of them can run at once.
#![allow(unsafe_code)]

use std::io;
use std::thread::JoinHandle;

use super::crash::AlternateStack;

/// Cores that this process may use.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}

/// How much the calling thread steps back behind the loops. Not all the way to the idle class: it holds locks of
/// the allocator now and then, and who waits for one should not wait for the machine to become idle.
const NICE: libc::c_int = 10;

/// Lets the other threads of this process go first from now on. Where it is not allowed, nothing changes.
pub fn lower_priority() {
    // SAFETY: `setpriority` takes plain numbers; 0 is the calling thread, as Linux has it.
    let _refused = unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, NICE) };
}

/// Starts a named thread that can report a crash of its own, stack overflow included.
pub fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            let _stack = AlternateStack::new();
            run();
        })
}
