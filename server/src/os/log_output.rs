//! Where log lines go: a file or standard output, and the system logger; and the local time that stands in them.
//!
//! A file is opened for appending and each line is one write(2), so that lines of several threads (and processes) do not
//! mix. Before a line is written, the path is looked at: a file that was moved away or deleted (logrotate) is opened
//! anew. What cannot be written is lost; a log must never stop the server.
#![allow(unsafe_code)]

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};

/// A descriptor that a crash report can be written to without taking the lock.
static REPORT_TO: AtomicI32 = AtomicI32::new(libc::STDOUT_FILENO);

/// A destination of lines.
pub struct Output {
    file: Option<Mutex<Opened>>,
}

struct Opened {
    path: PathBuf,
    file: File,
}

impl Output {
    pub const fn stdout() -> Self {
        Self { file: None }
    }

    pub fn file(path: &Path) -> io::Result<Self> {
        let opened = Opened {
            path: path.to_owned(),
            file: append_to(path)?,
        };
        REPORT_TO.store(opened.file.as_raw_fd(), Ordering::Relaxed);
        Ok(Self {
            file: Some(Mutex::new(opened)),
        })
    }

    /// Writes bytes that end in a newline.
    pub fn write(&self, line: &[u8]) {
        let written = match &self.file {
            None => io::stdout()
                .lock()
                .write_all(line)
                .and_then(|()| io::stdout().flush()),
            Some(opened) => opened
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .current()
                .write_all(line),
        };
        // There is nobody left to tell.
        written.ok();
    }
}

impl Opened {
    /// The file that has the path now; the old one if that cannot be opened.
    fn current(&mut self) -> &mut File {
        if !self.is_in_place()
            && let Ok(file) = append_to(&self.path)
        {
            REPORT_TO.store(file.as_raw_fd(), Ordering::Relaxed);
            self.file = file;
        }
        &mut self.file
    }

    fn is_in_place(&self) -> bool {
        match (self.path.metadata(), self.file.metadata()) {
            (Ok(there), Ok(ours)) => (there.dev(), there.ino()) == (ours.dev(), ours.ino()),
            _ => false,
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

/// The log's descriptor as of its last line, for the crash handler.
pub fn report_descriptor() -> RawFd {
    REPORT_TO.load(Ordering::Relaxed)
}

/// The connection to the system logger.
pub struct SystemLog(());

impl SystemLog {
    /// `facility` counts the local ones from 0; `None` is `user`.
    pub fn open(name: &str, facility: Option<u8>) -> Self {
        let name = CString::new(name.replace('\0', "")).expect("no NUL is left");
        let facility = match facility {
            None => libc::LOG_USER,
            Some(n) => (16 + i32::from(n & 7)) << 3,
        };
        // SAFETY: syslog keeps the pointer for good, and what is leaked lives as long.
        unsafe {
            libc::openlog(
                Box::leak(name.into_boxed_c_str()).as_ptr(),
                libc::LOG_PID | libc::LOG_NDELAY | libc::LOG_NOWAIT,
                facility,
            );
        }
        Self(())
    }

    /// `severity` is one of syslog's, 0 to 7.
    pub fn write(&self, severity: i32, message: &str) {
        let Ok(text) = CString::new(message.replace('\0', "")) else {
            return;
        };
        // SAFETY: both are C strings, and the format takes exactly one.
        unsafe { libc::syslog(severity, c"%s".as_ptr(), text.as_ptr()) };
    }
}

/// `23 Nov 2026 07:21:09.123`, in this machine's time zone.
pub fn local_time(unix_ms: i64) -> String {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let seconds: libc::time_t = unix_ms.div_euclid(1000);
    // SAFETY: all zeros is a valid `tm`: numbers, and a pointer that may be null.
    let mut time: libc::tm = unsafe { std::mem::zeroed() };
    // SAFETY: both are valid for the call; the reentrant form shares no buffer.
    unsafe { libc::localtime_r(&raw const seconds, &raw mut time) };
    format!(
        "{:02} {} {} {:02}:{:02}:{:02}.{:03}",
        time.tm_mday,
        MONTHS[time.tm_mon.clamp(0, 11) as usize],
        1900 + time.tm_year,
        time.tm_hour,
        time.tm_min,
        time.tm_sec,
        unix_ms.rem_euclid(1000)
    )
}
