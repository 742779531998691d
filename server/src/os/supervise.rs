//! Talking to the supervisor that started the process: systemd's notification socket, upstart's SIGSTOP.
//!
//! The systemd protocol is one datagram per message to the Unix socket named in `NOTIFY_SOCKET` (sd_notify(3)); a name
//! that begins with `@` lies in Linux' abstract namespace.
#![allow(unsafe_code)]

use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

/// Who supervises this process, as the environment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supervisor {
    Systemd,
    Upstart,
}

/// The one whose variable is set.
pub fn detect() -> Option<Supervisor> {
    let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    if set("NOTIFY_SOCKET") {
        Some(Supervisor::Systemd)
    } else if set("UPSTART_JOB") {
        Some(Supervisor::Upstart)
    } else {
        None
    }
}

/// Sends assignments such as `READY=1`, one per line, to systemd.
pub fn notify_systemd(state: &str) -> io::Result<()> {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return Err(io::ErrorKind::NotFound.into());
    };
    let address = match name.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(&name)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.send_to_addr(state.as_bytes(), &address).map(drop)
}

/// Stops this process until upstart, which waits for that (`expect stop`), lets it go on.
pub fn stop_for_upstart() {
    // SAFETY: `raise` has no memory to get wrong.
    unsafe { libc::raise(libc::SIGSTOP) };
}
