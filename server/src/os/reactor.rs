//! The real world: epoll through mio, TCP and Unix sockets.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};
use socket2::{Domain, Protocol, SockRef, Type};

use super::platform::{LISTENER_TOKEN, Listener, Platform, Ready, Socket, Waker};

/// Readiness events taken per call of epoll_wait.
const EVENTS_PER_POLL: usize = 1024;

/// Reported by mio when another loop calls the waker; never handed on.
const WAKE_TOKEN: Token = Token(usize::MAX - 1);

/// One loop's epoll instance and listeners.
pub struct Reactor {
    poll: Poll,
    events: Events,
    listeners: Vec<Listener>,
    /// A descriptor kept in reserve, to accept and turn away with when there are no others.
    spare: Option<File>,
}

impl Reactor {
    /// A reactor without connections, and what wakes it.
    pub fn new() -> io::Result<(Self, Box<dyn Waker>)> {
        let poll = Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKE_TOKEN)?;
        let reactor = Self {
            poll,
            events: Events::with_capacity(EVENTS_PER_POLL),
            listeners: Vec::new(),
            spare: spare_descriptor(),
        };
        Ok((reactor, Box::new(EventFd(waker))))
    }
}

struct EventFd(mio::Waker);

impl Waker for EventFd {
    fn wake(&self) {
        // The write fails only if the counter would overflow, and then the loop is awake already.
        let _already_awake = self.0.wake();
    }
}

impl Platform for Reactor {
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Ok(()),
            result => result?,
        }
        ready.extend(
            self.events
                .iter()
                .filter(|event| event.token() != WAKE_TOKEN)
                .map(|event| Ready {
                    token: event.token().0,
                    readable: event.is_readable() || event.is_read_closed() || event.is_error(),
                    writable: event.is_writable(),
                    closed: event.is_read_closed() || event.is_error(),
                }),
        );
        Ok(())
    }

    fn attach(&mut self, descriptor: i32, token: usize) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll
            .registry()
            .register(&mut SourceFd(&descriptor), Token(token), interest)
    }

    fn detach(&mut self, descriptor: i32) {
        // Closing the descriptor ends the registration; a failure here means that it is closed already.
        let _closed = self.poll.registry().deregister(&mut SourceFd(&descriptor));
    }

    fn accept(&mut self, listener: usize, refusal: &str) -> io::Result<Box<dyn Socket>> {
        let accepted = self.accept_from(listener);
        if let Err(error) = &accepted
            && matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE))
        {
            self.turn_away(listener, refusal);
        }
        accepted
    }

    fn listen(&mut self, listeners: Vec<Listener>) -> io::Result<usize> {
        for old in std::mem::take(&mut self.listeners) {
            self.detach(old.descriptor());
        }
        for (index, listener) in listeners.iter().enumerate() {
            let descriptor = listener.descriptor();
            let token = Token(LISTENER_TOKEN + index);
            self.poll
                .registry()
                .register(&mut SourceFd(&descriptor), token, Interest::READABLE)?;
        }
        self.listeners = listeners;
        Ok(self.listeners.len())
    }
}

fn spare_descriptor() -> Option<File> {
    #[expect(clippy::disallowed_methods, reason = "this is the door to the OS")]
    File::open("/dev/null").ok()
}

impl Reactor {
    /// Without a free descriptor a connection cannot even be refused: gives up the spare one for as long as that
    /// takes.
    fn turn_away(&mut self, listener: usize, refusal: &str) {
        if self.spare.take().is_some()
            && let Ok(mut socket) = self.accept_from(listener)
        {
            // Told if it listens; the connection is closed either way.
            let _told = socket.write_vectored(&[IoSlice::new(refusal.as_bytes())]);
        }
        self.spare = spare_descriptor();
    }

    fn accept_from(&mut self, listener: usize) -> io::Result<Box<dyn Socket>> {
        match self.listeners.get(listener) {
            Some(Listener::Tcp(listener)) => {
                let (stream, peer) = listener.accept()?;
                stream.set_nonblocking(true)?;
                stream.set_nodelay(true)?;
                let ends = Ends::Tcp {
                    local: stream.local_addr()?,
                    peer,
                };
                Ok(Box::new(Stream { stream, ends }))
            }
            Some(Listener::Unix(listener)) => {
                let (stream, _) = listener.accept()?;
                stream.set_nonblocking(true)?;
                let ends = Ends::Unix {
                    path: path_of(listener),
                };
                Ok(Box::new(Stream { stream, ends }))
            }
            None => Err(io::ErrorKind::WouldBlock.into()),
        }
    }
}

fn path_of(listener: &UnixListener) -> String {
    let address = listener.local_addr().ok();
    let path = address.as_ref().and_then(|address| address.as_pathname());
    path.map(|path| path.display().to_string())
        .unwrap_or_default()
}

impl Listener {
    fn descriptor(&self) -> i32 {
        match self {
            Self::Tcp(listener) => listener.as_raw_fd(),
            Self::Unix(listener) => listener.as_raw_fd(),
        }
    }
}

/// A connected stream, and where its other end is.
struct Stream<S> {
    stream: S,
    ends: Ends,
}

enum Ends {
    Tcp {
        local: SocketAddr,
        peer: SocketAddr,
    },
    /// The path of the listener: the other end has no name.
    Unix {
        path: String,
    },
}

impl<S: Read + Write + AsRawFd + Send> Socket for Stream<S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }

    /// `write` for one piece, `writev` for several: the former is about 100 ns cheaper.
    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        match pieces {
            [piece] => self.stream.write(piece),
            _ => self.stream.write_vectored(pieces),
        }
    }

    fn descriptor(&self) -> i32 {
        self.stream.as_raw_fd()
    }

    fn peer(&self) -> String {
        match &self.ends {
            Ends::Tcp { peer, .. } => peer.to_string(),
            Ends::Unix { path } => format!("{path}:0"),
        }
    }

    fn local(&self) -> String {
        match &self.ends {
            Ends::Tcp { local, .. } => local.to_string(),
            Ends::Unix { path } => format!("{path}:0"),
        }
    }

    fn is_local(&self) -> bool {
        match &self.ends {
            Ends::Tcp { peer, .. } => peer.ip().to_canonical().is_loopback(),
            Ends::Unix { .. } => true,
        }
    }

    fn is_unix(&self) -> bool {
        matches!(self.ends, Ends::Unix { .. })
    }
}

/// Whether a new listener may have a port that others have.
#[derive(Clone, Copy)]
pub enum Sharing<'a> {
    Never,
    /// With these of our own, until they are closed.
    With(&'a [&'a Listener]),
}

/// A TCP listener on `address`, non-blocking, IPv6 only on IPv6 addresses (as Redis binds).
pub fn bind_tcp(address: SocketAddr, backlog: i32) -> io::Result<Listener> {
    bind_tcp_sharing(address, backlog, Sharing::Never)
}

/// As [`bind_tcp`]. A port is shared for the moment of binding only: afterwards no other process gets it, either.
pub fn bind_tcp_sharing(
    address: SocketAddr,
    backlog: i32,
    sharing: Sharing<'_>,
) -> io::Result<Listener> {
    let share = |on: bool, socket: &socket2::Socket| -> io::Result<()> {
        let Sharing::With(rivals) = sharing else {
            return Ok(());
        };
        for rival in rivals {
            if let Listener::Tcp(rival) = rival {
                SockRef::from(rival).set_reuse_port(on)?;
            }
        }
        socket.set_reuse_port(on)
    };
    let socket = socket2::Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    share(true, &socket)?;
    let listens = socket
        .bind(&address.into())
        .and_then(|()| socket.listen(backlog));
    share(false, &socket)?;
    listens?;
    Ok(Listener::Tcp(TcpListener::from(socket)))
}

/// A listener on a Unix socket with the permissions `mode`, or as the umask has it if that is 0. What is left of a
/// server that crashed is removed, a socket that somebody answers on is not, nor any other file.
pub fn bind_unix(path: &Path, mode: u32, backlog: i32) -> io::Result<Listener> {
    let address = socket2::SockAddr::unix(path)?;
    let is_socket = path
        .symlink_metadata()
        .is_ok_and(|found| found.file_type().is_socket());
    if is_socket && is_deserted(&address)? {
        super::process::remove(path)?;
    }
    let socket = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match mode {
        0 => socket.bind(&address)?,
        mode => super::process::with_mode(mode, || socket.bind(&address))?,
    }
    socket.listen(backlog)?;
    Ok(Listener::Unix(UnixListener::from(socket)))
}

/// Whether nobody listens on a socket that exists.
fn is_deserted(address: &socket2::SockAddr) -> io::Result<bool> {
    let probe = socket2::Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
    Ok(probe.connect(address).is_err_and(refused))
}

/// Sets the keepalive of an accepted connection: first probe after `seconds`, then every third of it.
pub fn set_keepalive(descriptor_of: &dyn Socket, seconds: u32) -> io::Result<()> {
    if descriptor_of.is_unix() || seconds == 0 {
        return Ok(());
    }
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(Duration::from_secs(u64::from(seconds)))
        .with_interval(Duration::from_secs(u64::from((seconds / 3).max(1))))
        .with_retries(3);
    // SAFETY: the socket outlives this call, and so its descriptor stays open during it.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(descriptor_of.descriptor()) };
    SockRef::from(&borrowed).set_tcp_keepalive(&keepalive)
}
