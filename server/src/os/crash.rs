//! The last words: a report in the log when the process dies of a signal or a panic.
//!
//! The handler runs on a stack of its own, may have interrupted anything, and so neither allocates nor locks: it formats
//! into a small buffer on its stack and writes that to the log's descriptor. What it says about the server comes from a
//! function given to [`install`], which has to keep to the same rules. Then the signal is raised again with its default
//! action, so that the parent sees the true cause and the kernel may dump core.
#![allow(unsafe_code)]

use std::backtrace::Backtrace;
use std::ffi::{c_int, c_void};
use std::fmt::{self, Write};
use std::mem::MaybeUninit;
use std::panic::PanicHookInfo;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering::SeqCst};

use super::log_output::report_descriptor;

/// Writes what is known about the server. Must not allocate, lock or panic.
pub type Describe = fn(&mut dyn Write) -> fmt::Result;

static DESCRIBE: OnceLock<Describe> = OnceLock::new();

/// `crash-log-enabled`.
static ENABLED: AtomicBool = AtomicBool::new(true);

/// The thread that writes the report, 0 if there is none.
static REPORTER: AtomicI32 = AtomicI32::new(0);

const FATAL: [c_int; 5] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGABRT,
];

/// Frames of a stack trace.
const FRAMES: usize = 100;

/// Bytes of the stack that a handler runs on: unwinding needs about 10 KiB.
const STACK_BYTES: usize = 64 * 1024;

/// Reports crashes of this process from now on.
pub fn install(describe: Describe) {
    DESCRIBE.get_or_init(|| describe);
    // The first trace loads the unwinder, which allocates: better now.
    let mut frame = [ptr::null_mut::<c_void>(); 1];
    // SAFETY: `frame` has room for the one frame asked for.
    unsafe { libc::backtrace(frame.as_mut_ptr(), 1) };
    std::mem::forget(AlternateStack::new());
    for signal in FATAL {
        on(signal, handle as *const () as libc::sighandler_t);
    }
    std::panic::set_hook(Box::new(report_panic));
}

/// Reports or not, from now on; either way the process dies as it would.
pub fn enable(on: bool) {
    ENABLED.store(on, SeqCst);
}

/// A stack for handlers on this thread, as long as it lives: the usual one may be what overflowed.
pub struct AlternateStack {
    memory: Box<[MaybeUninit<u8>]>,
}

impl AlternateStack {
    #[expect(clippy::new_without_default, reason = "it acts on the thread")]
    pub fn new() -> Self {
        let mut memory = Box::new_uninit_slice(STACK_BYTES);
        set_stack(memory.as_mut_ptr().cast(), 0);
        Self { memory }
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        set_stack(self.memory.as_mut_ptr().cast(), libc::SS_DISABLE);
    }
}

fn set_stack(memory: *mut c_void, flags: c_int) {
    let stack = libc::stack_t {
        ss_sp: memory,
        ss_flags: flags,
        ss_size: STACK_BYTES,
    };
    // SAFETY: `memory` is STACK_BYTES long and its owner disables the stack before freeing it.
    unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) };
}

fn on(signal: c_int, action: libc::sighandler_t) {
    // SAFETY: all zeros is a valid `sigaction`: an empty mask, no flags, the default action.
    let mut set: libc::sigaction = unsafe { std::mem::zeroed() };
    set.sa_sigaction = action;
    set.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
    // SAFETY: the action is SIG_DFL or `handle`, which has the signature that SA_SIGINFO asks for.
    unsafe { libc::sigaction(signal, &raw const set, ptr::null_mut()) };
}

extern "C" fn handle(signal: c_int, info: *mut libc::siginfo_t, context: *mut c_void) {
    if ENABLED.load(SeqCst) && is_reporter() {
        let mut out = Report::default();
        // SAFETY: with SA_SIGINFO the kernel passes both, valid while the handler runs.
        let (info, context) = unsafe { (&*info, &*context.cast::<libc::ucontext_t>()) };
        // What could not be written is lost.
        report_signal(&mut out, signal, info, context).ok();
    }
    die_of(signal);
}

/// Whether this thread writes the report. Another one that crashes meanwhile waits for the end; the same one, crashing
/// in its report, dies at once.
fn is_reporter() -> bool {
    // SAFETY: `gettid` and `pause` have no memory to get wrong.
    let this = unsafe { libc::gettid() };
    match REPORTER.compare_exchange(0, this, SeqCst, SeqCst) {
        Ok(_) => true,
        Err(reporter) if reporter == this => false,
        Err(_) => loop {
            // SAFETY: as above.
            unsafe { libc::pause() };
        },
    }
}

fn die_of(signal: c_int) {
    on(signal, libc::SIG_DFL);
    // SAFETY: `raise` has no memory to get wrong.
    unsafe { libc::raise(signal) };
}

fn report_signal(
    out: &mut Report,
    signal: c_int,
    info: &libc::siginfo_t,
    context: &libc::ucontext_t,
) -> fmt::Result {
    begin(out)?;
    let (name, code) = (crate::version::REDIS, info.si_code);
    writeln!(
        out,
        "Redis {name} crashed by signal: {signal}, si_code: {code}"
    )?;
    if code > 0 && matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
        // SAFETY: the kernel fills the address in for these signals, unless a process sent them.
        writeln!(out, "Accessing address: {:p}", unsafe { info.si_addr() })?;
    }
    if code <= 0 {
        // SAFETY: a signal sent by a process carries the sender's numbers.
        let (pid, uid) = unsafe { (info.si_pid(), info.si_uid()) };
        writeln!(out, "Killed by PID: {pid}, UID: {uid}")?;
    }
    if let Some(at) = instruction(context) {
        writeln!(out, "Crashed running the instruction at: {at:#x}")?;
    }
    writeln!(out, "\n------ STACK TRACE ------\nBacktrace:")?;
    out.flush();
    let mut frames = [ptr::null_mut::<c_void>(); FRAMES];
    // SAFETY: `frames` has room for as many; symbols go to the descriptor without an allocation.
    unsafe {
        let found = libc::backtrace(frames.as_mut_ptr(), FRAMES as c_int);
        libc::backtrace_symbols_fd(frames.as_ptr(), found, report_descriptor());
    }
    end(out)
}

/// The address of the instruction that was interrupted.
fn instruction(context: &libc::ucontext_t) -> Option<u64> {
    #[cfg(target_arch = "x86_64")]
    return Some(context.uc_mcontext.gregs[libc::REG_RIP as usize] as u64);
    #[cfg(target_arch = "aarch64")]
    return Some(context.uc_mcontext.pc);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    return None;
}

/// The panic hook: the same report, with a trace that names functions; then the end, for a cell may be held.
fn report_panic(panic: &PanicHookInfo<'_>) {
    if ENABLED.load(SeqCst) && is_reporter() {
        let trace = Backtrace::force_capture();
        let mut out = Report::default();
        let report = |out: &mut Report| {
            begin(out)?;
            writeln!(out, "=== ASSERTION FAILED ===\n==> {panic}")?;
            writeln!(out, "\n------ STACK TRACE ------\n{trace}")?;
            end(out)
        };
        // What could not be written is lost.
        report(&mut out).ok();
    } else {
        eprintln!("{panic}");
    }
    die_of(libc::SIGABRT);
}

fn begin(out: &mut Report) -> fmt::Result {
    let pid = std::process::id();
    writeln!(
        out,
        "\n\n=== REDIS BUG REPORT START: Cut & paste starting from here ===\npid: {pid}"
    )
}

fn end(out: &mut Report) -> fmt::Result {
    if let Some(describe) = DESCRIBE.get() {
        describe(out)?;
    }
    writeln!(
        out,
        "\n=== REDIS BUG REPORT END. Make sure to include from START to END. ===\n\n       \
         This is Ostraka {}, not Redis: please report the crash to its authors.\n",
        crate::version::OSTRAKA
    )?;
    out.flush();
    Ok(())
}

/// A buffered writer to the log's descriptor that allocates nothing.
struct Report {
    buffer: [u8; 512],
    used: usize,
}

impl Default for Report {
    fn default() -> Self {
        Self {
            buffer: [0; 512],
            used: 0,
        }
    }
}

impl Report {
    fn flush(&mut self) {
        let mut rest = &self.buffer[..self.used];
        while !rest.is_empty() {
            // SAFETY: `rest` is valid for reads of its own length.
            let wrote =
                unsafe { libc::write(report_descriptor(), rest.as_ptr().cast(), rest.len()) };
            match usize::try_from(wrote) {
                Ok(n @ 1..) => rest = &rest[n..],
                _ => break,
            }
        }
        self.used = 0;
    }
}

impl Write for Report {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for &byte in text.as_bytes() {
            if self.used == self.buffer.len() {
                self.flush();
            }
            self.buffer[self.used] = byte;
            self.used += 1;
        }
        Ok(())
    }
}
