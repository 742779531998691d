//! What this process uses and where it runs: memory, processor time, limits, the kernel's name.
#![allow(unsafe_code)]

use std::io;
use std::time::Duration;

/// Processor time, in microseconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    pub user_us: u64,
    pub system_us: u64,
}

/// Whose processor time.
#[derive(Clone, Copy, Debug)]
pub enum Whose {
    Process,
    /// Of children that have ended.
    Children,
    /// The calling thread's.
    Thread,
}

pub fn cpu_time(whose: Whose) -> CpuTime {
    let who = match whose {
        Whose::Process => libc::RUSAGE_SELF,
        Whose::Children => libc::RUSAGE_CHILDREN,
        Whose::Thread => libc::RUSAGE_THREAD,
    };
    // SAFETY: all zeros is a valid `rusage`, which consists of numbers.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is valid for the call to fill in.
    let result = unsafe { libc::getrusage(who, &raw mut usage) };
    assert_eq!(result, 0, "getrusage knows {who}");
    let micros = |time: libc::timeval| time.tv_sec as u64 * 1_000_000 + time.tv_usec as u64;
    CpuTime {
        user_us: micros(usage.ru_utime),
        system_us: micros(usage.ru_stime),
    }
}

pub fn page_bytes() -> u64 {
    sysconf(libc::_SC_PAGESIZE)
}

/// Physical memory of this machine.
pub fn system_memory_bytes() -> u64 {
    sysconf(libc::_SC_PHYS_PAGES) * page_bytes()
}

fn sysconf(name: libc::c_int) -> u64 {
    // SAFETY: `sysconf` has no other argument and no side effect.
    u64::try_from(unsafe { libc::sysconf(name) }).unwrap_or(0)
}

/// Memory of this process that is in RAM; 0 if the kernel does not say.
pub fn resident_bytes() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_ascii_whitespace().nth(1)?.parse::<u64>().ok());
    pages.unwrap_or(0) * page_bytes()
}

/// `Linux 6.18.44 x86_64`
pub fn system_name() -> String {
    // SAFETY: all zeros is a valid `utsname`, which consists of arrays of characters.
    let mut name: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: `name` is valid for the call to fill in.
    if unsafe { libc::uname(&raw mut name) } != 0 {
        return String::new();
    }
    let text = |field: &[libc::c_char]| -> String {
        let bytes = field.iter().map(|&c| c as u8).take_while(|&c| c != 0);
        String::from_utf8_lossy(&bytes.collect::<Vec<_>>()).into_owned()
    };
    [&name.sysname[..], &name.release[..], &name.machine[..]]
        .map(text)
        .join(" ")
}

/// Makes sure that `wanted` files may be open at once, and returns how many may.
pub fn allow_open_files(wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for the call to fill in.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    if limit.rlim_cur >= wanted {
        return Ok(limit.rlim_cur);
    }
    let had = limit.rlim_cur;
    // Beyond the hard limit only a privileged process may go: then as far as it is.
    for reach in [wanted, limit.rlim_max.min(wanted)] {
        let raised = libc::rlimit {
            rlim_cur: reach,
            rlim_max: limit.rlim_max.max(reach),
        };
        // SAFETY: `raised` is a valid limit.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const raised) } == 0 {
            return Ok(reach);
        }
    }
    Ok(had)
}

/// Sleeps on this thread, whatever it holds: DEBUG SLEEP.
pub fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}

/// Ends this process with a fault as if it had touched memory that is not its own: DEBUG SEGFAULT.
pub fn die_of_segfault() {
    // SAFETY: raising a signal touches no memory of this program.
    unsafe { libc::raise(libc::SIGSEGV) };
}
