//! MONITOR: every command of every client, told to those who asked for it.
//!
//! ```text
//! +1339518083.107412 [0 127.0.0.1:60866] "keys" "*"\r\n      seconds.microseconds [database address] arguments
//! ```
//! A line is handed to the mailboxes of the monitors' loops by whoever executed the command, while it still holds
//! the command's cells: two commands on one key are seen in the order in which they took effect.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::call::Args;
use crate::command::Command;
use crate::command::flag::{ADMIN, SKIP_MONITOR};
use crate::config::quote::quoted;
use crate::executor::Executor;
use crate::server::{Server, gate};
use crate::session::Session;
use crate::task::{Mail, Origin};

/// The connections that run MONITOR, on all loops.
#[derive(Default)]
pub struct Monitors(Mutex<Vec<Origin>>);

impl Monitors {
    pub fn add(&self, server: &Server, monitor: Origin) {
        let mut monitors = self.lock();
        if !monitors.contains(&monitor) {
            monitors.push(monitor);
        }
        server.raise(gate::MONITOR);
    }

    pub fn remove(&self, server: &Server, monitor: Origin) {
        let mut monitors = self.lock();
        monitors.retain(|other| *other != monitor);
        if monitors.is_empty() {
            server.lower(gate::MONITOR);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Origin>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells the monitors of a command that has just run. What is for administrators' eyes is not shown.
#[cold]
pub fn feed(exec: &mut Executor, session: &Session, command: &'static Command, args: Args<'_>) {
    if command.is(ADMIN | SKIP_MONITOR) {
        return;
    }
    let line: Arc<[u8]> = line(exec, session, command, args).into();
    let server = exec.server;
    for monitor in server.monitors.lock().iter() {
        exec.post(monitor.home, Mail::Monitor(*monitor, Arc::clone(&line)));
    }
}

fn line(exec: &Executor, session: &Session, command: &Command, args: Args<'_>) -> Vec<u8> {
    let micros = exec.clock.unix_ns_at(exec.now_ns) / 1000;
    let record = &session.record;
    let (seconds, rest) = (micros / 1_000_000, micros % 1_000_000);
    let kind = if record.has(crate::clients::flag::UNIX_SOCKET) {
        "unix:"
    } else {
        ""
    };
    let address = if kind.is_empty() {
        &*record.address
    } else {
        record.address.trim_end_matches(":0")
    };
    let mut line = format!("+{seconds}.{rest:06} [{} {kind}{address}]", session.db()).into_bytes();
    for (index, arg) in args.iter().enumerate() {
        line.push(b' ');
        if (command.is_secret)(args, index) {
            line.extend_from_slice(b"\"(redacted)\"");
        } else {
            line.extend_from_slice(&quoted(arg));
        }
    }
    line.extend_from_slice(b"\r\n");
    line
}
