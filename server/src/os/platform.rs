//! What an event loop needs from the world: sockets, readiness, wake-ups.
//!
//! Two worlds exist: `reactor` (epoll through mio) and the simulator of `tests/sim`. Calls go through trait
//! objects; one indirect call is lost in the noise beside the system call that follows it.

use std::io::{self, IoSlice};
use std::time::Duration;

/// A connected byte stream, never blocking.
pub trait Socket: Send {
    /// Bytes read, 0 at the end of the stream, `WouldBlock` when there is nothing yet.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize>;
    /// Bytes taken, possibly fewer than offered, `WouldBlock` when the send buffer is full.
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize>;
    /// The descriptor that readiness is reported for.
    fn descriptor(&self) -> i32;
    /// Where the other end is, as CLIENT LIST prints it: `127.0.0.1:50123` or `/path/to.sock:0`.
    fn peer(&self) -> String;
    /// Our own end, in the same form.
    fn local(&self) -> String;
    /// Whether the other end is on this machine (loopback or a Unix socket).
    fn is_local(&self) -> bool;
    fn is_unix(&self) -> bool {
        false
    }
}

/// What became possible on a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    pub token: usize,
    pub readable: bool,
    pub writable: bool,
    /// The peer sends nothing more. No further event will say so.
    pub closed: bool,
}

/// One loop's view of the world.
pub trait Platform {
    /// Waits until something is ready, woken or due. Appends to `ready`; wake-ups append nothing.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;
    /// Reports edges of readability and writability of `descriptor` as `token` from now on.
    fn attach(&mut self, descriptor: i32, token: usize) -> io::Result<()>;
    fn detach(&mut self, descriptor: i32);
    /// The next connection waiting at a listener that was attached before the loop began;
    /// `WouldBlock` when there is none. Where descriptors have run out, one that waits is turned away with
    /// `refusal` for each call.
    fn accept(&mut self, listener: usize, refusal: &str) -> io::Result<Box<dyn Socket>>;
    /// Replaces the listeners (`bind`, `port` changed at run time) and returns how many there are.
    fn listen(&mut self, listeners: Vec<Listener>) -> io::Result<usize>;
}

/// Tokens from here on are listeners: `LISTENER_TOKEN + index`. Connections use slab keys below.
pub const LISTENER_TOKEN: usize = 1 << 40;

/// Interrupts another loop's `poll`.
pub trait Waker: Send + Sync {
    fn wake(&self);
}

/// A listening socket, ready to be attached.
pub enum Listener {
    Tcp(std::net::TcpListener),
    Unix(std::os::unix::net::UnixListener),
}

impl Listener {
    /// The address bound, if it is a TCP one.
    pub fn tcp_address(&self) -> Option<std::net::SocketAddr> {
        match self {
            Self::Tcp(listener) => listener.local_addr().ok(),
            Self::Unix(_) => None,
        }
    }

    /// Another handle of the same listener.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(match self {
            Self::Tcp(listener) => Self::Tcp(listener.try_clone()?),
            Self::Unix(listener) => Self::Unix(listener.try_clone()?),
        })
    }
}
