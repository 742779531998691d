//! This process as the system sees it: background, name, priorities, and the kernel's settings that it depends on.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// Goes on in the background: a child in a session of its own, its standard streams at /dev/null. The calling process
/// ends. Must be called before any thread starts: a child has only the thread that forked.
pub fn daemonize() -> io::Result<()> {
    // SAFETY: there is one thread, so the child finds every lock open.
    match unsafe { libc::fork() } {
        -1 => return Err(io::Error::last_os_error()),
        0 => {}
        // SAFETY: the parent ends without running what the child still needs.
        _ => unsafe { libc::_exit(0) },
    }
    // SAFETY: no memory is involved; it fails only for a group leader, which a child is not.
    unsafe { libc::setsid() };
    let null = OpenOptions::new()
        .read(true)
        .write(true)
        .open("/dev/null")?;
    for stream in 0..=2 {
        // SAFETY: both are open descriptors, or are about to be.
        unsafe { libc::dup2(null.as_raw_fd(), stream) };
    }
    Ok(())
}

/// Runs `make` so that files and sockets that it makes have exactly the permissions `mode`: they are restricted before
/// they exist, not after. For the time before other threads make files.
pub fn with_mode<T>(mode: u32, make: impl FnOnce() -> T) -> T {
    let mask = !(mode as libc::mode_t) & 0o777;
    // SAFETY: `umask` has no memory to get wrong.
    let before = unsafe { libc::umask(mask) };
    let made = make();
    // SAFETY: as above.
    unsafe { libc::umask(before) };
    made
}

/// Ends the process at once: no destructors, no waiting.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: it does not return.
    unsafe { libc::_exit(code) }
}

pub fn stdout_is_terminal() -> bool {
    io::stdout().is_terminal()
}

pub fn write_pid(path: &Path) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    writeln!(file, "{}", std::process::id())
}

/// Removes a file or socket; one that is gone already is fine.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Absolute path of the running binary, empty if the kernel does not say.
pub fn executable() -> String {
    std::env::current_exe().map_or_else(|_| String::new(), |path| path.display().to_string())
}

/// The name of this thread and, called on the first one, of the process: 15 bytes at most.
pub fn set_name(name: &str) {
    let Ok(name) = CString::new(name) else { return };
    // SAFETY: the kernel copies a C string.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// Keeps the kernel from giving this process huge pages.
pub fn disable_huge_pages() -> io::Result<()> {
    let none: libc::c_ulong = 0;
    let on: libc::c_ulong = 1;
    // SAFETY: an option of five integers.
    match unsafe { libc::prctl(libc::PR_SET_THP_DISABLE, on, none, none, none) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether the kernel gives huge pages to whoever does not ask for them.
pub fn huge_pages_are_on() -> bool {
    read("/sys/kernel/mm/transparent_hugepage/enabled").contains("[always]")
}

/// Whether allocations may fail although memory is left (`vm.overcommit_memory` is not 1).
pub fn memory_is_not_overcommitted() -> bool {
    let policy = read("/proc/sys/vm/overcommit_memory");
    !policy.is_empty() && policy.trim() != "1"
}

/// The longest queue of connections to be accepted, if the kernel says.
pub fn longest_backlog() -> Option<u32> {
    read("/proc/sys/net/core/somaxconn").trim().parse().ok()
}

/// What the kernel knew about how likely it is to kill this process when memory runs out, -1000 to 1000, before it
/// was changed here.
static OOM_SCORE_BEFORE: Mutex<Option<i32>> = Mutex::new(None);

/// Changes that score to what `score` makes of the one before.
pub fn change_oom_score(score: impl FnOnce(i32) -> i32) -> io::Result<()> {
    let mut before = oom_score_before();
    let base =
        before.unwrap_or_else(|| read("/proc/self/oom_score_adj").trim().parse().unwrap_or(0));
    write_oom_score(score(base).clamp(-1000, 1000))?;
    *before = Some(base);
    Ok(())
}

/// Takes the change back, if there was one.
pub fn restore_oom_score() -> io::Result<()> {
    let mut before = oom_score_before();
    if let Some(base) = *before {
        write_oom_score(base)?;
    }
    *before = None;
    Ok(())
}

fn oom_score_before() -> MutexGuard<'static, Option<i32>> {
    OOM_SCORE_BEFORE
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

fn write_oom_score(score: i32) -> io::Result<()> {
    fs::write("/proc/self/oom_score_adj", score.to_string())
}

fn read(path: &str) -> String {
    fs::read_to_string(path).unwrap_or_default()
}

/// Overwrites what the process list shows. The kernel shows the memory that the arguments were put into at start, so
/// the title is cut to their length. Whoever wants to know the arguments has to have asked before.
pub fn set_title(title: &str) {
    let Some((start, end)) = arguments() else {
        return;
    };
    let room = end - start;
    if room == 0 {
        return;
    }
    let text = &title.as_bytes()[..title.len().min(room - 1)];
    // SAFETY: the kernel says that start..end is where this process' arguments lie: memory of ours, writable, which
    // nobody refers to but `std::env::args`.
    unsafe {
        let arguments = std::slice::from_raw_parts_mut(start as *mut u8, room);
        arguments.fill(0);
        arguments[..text.len()].copy_from_slice(text);
    }
}

/// Where the arguments lie: fields 48 and 49 of /proc/self/stat (proc_pid_stat(5)). They are checked against what is
/// there, for a kernel may hide addresses behind zeros.
fn arguments() -> Option<(usize, usize)> {
    static FOUND: OnceLock<Option<(usize, usize)>> = OnceLock::new();
    *FOUND.get_or_init(find_arguments)
}

fn find_arguments() -> Option<(usize, usize)> {
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is a name in parentheses that may hold anything.
    let mut fields = stat[stat.rfind(')')? + 2..]
        .split_ascii_whitespace()
        .skip(48 - 3);
    let start: usize = fields.next()?.parse().ok()?;
    let end: usize = fields.next()?.parse().ok()?;
    let length: usize = std::env::args_os()
        .map(|arg| arg.as_bytes().len() + 1)
        .sum();
    (start != 0 && end.checked_sub(start)? == length).then_some((start, end))
}
