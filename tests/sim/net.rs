//! A network of byte pipes, seen from both ends.
//!
//! ```text
//!  client ── send ──▶ [flying] ── deliver ──▶ [arrived] ── Socket::read ──▶ loop
//!  client ◀── take ── [window: at most so many bytes] ◀── Socket::write ──── loop
//! ```
//! Readiness is reported as epoll does with edge triggers: once when bytes arrive, once when a full window has
//! room again. A loop that misses an edge is never told a second time.

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ostraka_server::os::platform::{LISTENER_TOKEN, Listener, Platform, Ready, Socket, Waker};

/// One connection.
struct Pipe {
    flying: VecDeque<u8>,
    arrived: VecDeque<u8>,
    answered: VecDeque<u8>,
    window: usize,
    /// A write was refused: room is to be reported.
    wants_room: bool,
    /// Loop and token that edges are reported to.
    home: Option<(usize, usize)>,
    closed_by_client: bool,
    closed_by_server: bool,
}

/// What the world has for one loop.
#[derive(Default)]
struct Inbox {
    ready: Vec<Ready>,
    woken: bool,
}

#[derive(Default)]
struct State {
    pipes: Vec<Pipe>,
    backlog: VecDeque<usize>,
    inboxes: Vec<Inbox>,
}

/// The network; clones share it.
#[derive(Clone, Default)]
pub struct Net(Arc<Mutex<State>>);

impl Net {
    /// A network with an interface for each loop.
    pub fn new(loops: usize) -> Self {
        let net = Self::default();
        net.lock().inboxes.resize_with(loops, Inbox::default);
        net
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn platform(&self, home: usize) -> Box<dyn Platform> {
        Box::new(Interface {
            net: self.clone(),
            home,
        })
    }

    pub fn waker(&self, home: usize) -> Box<dyn Waker> {
        Box::new(Bell {
            net: self.clone(),
            home,
        })
    }

    /// Whether a loop that sleeps has a reason to wake up.
    pub fn calls(&self, home: usize) -> bool {
        let state = self.lock();
        state.inboxes[home].woken || !state.inboxes[home].ready.is_empty()
    }

    // ---- the clients' end

    /// A connection whose server end can hold `window` unread bytes.
    pub fn connect(&self, window: usize) -> usize {
        let mut state = self.lock();
        state.pipes.push(Pipe {
            flying: VecDeque::new(),
            arrived: VecDeque::new(),
            answered: VecDeque::new(),
            window,
            wants_room: false,
            home: None,
            closed_by_client: false,
            closed_by_server: false,
        });
        let pipe = state.pipes.len() - 1;
        state.backlog.push_back(pipe);
        state.inboxes[0].ready.push(Ready {
            token: LISTENER_TOKEN,
            readable: true,
            writable: false,
            closed: false,
        });
        pipe
    }

    pub fn send(&self, pipe: usize, bytes: &[u8]) {
        self.lock().pipes[pipe].flying.extend(bytes);
    }

    pub fn flying(&self, pipe: usize) -> usize {
        self.lock().pipes[pipe].flying.len()
    }

    /// Lets `n` of the bytes under way arrive.
    pub fn deliver(&self, pipe: usize, n: usize) {
        let mut state = self.lock();
        let it = &mut state.pipes[pipe];
        let n = n.min(it.flying.len());
        it.arrived.extend(it.flying.drain(..n));
        state.edge(pipe, true, false);
    }

    /// Bytes that the server has answered and the client has not taken.
    pub fn answered(&self, pipe: usize) -> usize {
        self.lock().pipes[pipe].answered.len()
    }

    /// Takes up to `n` bytes of what the server answered.
    pub fn take(&self, pipe: usize, n: usize) -> Vec<u8> {
        let mut state = self.lock();
        let it = &mut state.pipes[pipe];
        let n = n.min(it.answered.len());
        let bytes = it.answered.drain(..n).collect();
        if it.wants_room && it.answered.len() < it.window {
            it.wants_room = false;
            state.edge(pipe, false, true);
        }
        bytes
    }

    /// Closes the client's end; what is under way is lost.
    pub fn close(&self, pipe: usize) {
        let mut state = self.lock();
        state.pipes[pipe].flying.clear();
        state.pipes[pipe].closed_by_client = true;
        state.edge(pipe, true, true);
    }

    pub fn is_closed_by_server(&self, pipe: usize) -> bool {
        self.lock().pipes[pipe].closed_by_server
    }
}

impl State {
    fn edge(&mut self, pipe: usize, readable: bool, writable: bool) {
        if let Some((home, token)) = self.pipes[pipe].home {
            self.inboxes[home].ready.push(Ready {
                token,
                readable,
                writable,
                closed: self.pipes[pipe].closed_by_client,
            });
        }
    }
}

/// The address that the server knows a client by.
pub fn address(pipe: usize) -> String {
    format!("10.0.0.1:{}", 10_000 + pipe)
}

struct Bell {
    net: Net,
    home: usize,
}

impl Waker for Bell {
    fn wake(&self) {
        self.net.lock().inboxes[self.home].woken = true;
    }
}

struct Interface {
    net: Net,
    home: usize,
}

impl Platform for Interface {
    fn poll(&mut self, _timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut state = self.net.lock();
        let inbox = &mut state.inboxes[self.home];
        inbox.woken = false;
        ready.append(&mut inbox.ready);
        Ok(())
    }

    fn attach(&mut self, descriptor: i32, token: usize) -> io::Result<()> {
        let mut state = self.net.lock();
        let pipe = descriptor as usize;
        state.pipes[pipe].home = Some((self.home, token));
        let readable = !state.pipes[pipe].arrived.is_empty() || state.pipes[pipe].closed_by_client;
        state.edge(pipe, readable, true);
        Ok(())
    }

    fn detach(&mut self, descriptor: i32) {
        self.net.lock().pipes[descriptor as usize].home = None;
    }

    fn accept(&mut self, _listener: usize, _refusal: &str) -> io::Result<Box<dyn Socket>> {
        let pipe = self
            .net
            .lock()
            .backlog
            .pop_front()
            .ok_or(io::ErrorKind::WouldBlock)?;
        Ok(Box::new(ServerEnd {
            net: self.net.clone(),
            pipe,
        }))
    }

    fn listen(&mut self, listeners: Vec<Listener>) -> io::Result<usize> {
        Ok(listeners.len())
    }
}

/// What a loop holds of a connection.
struct ServerEnd {
    net: Net,
    pipe: usize,
}

impl Socket for ServerEnd {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut state = self.net.lock();
        let it = &mut state.pipes[self.pipe];
        if it.arrived.is_empty() {
            return if it.closed_by_client {
                Ok(0)
            } else {
                Err(io::ErrorKind::WouldBlock.into())
            };
        }
        let n = buffer.len().min(it.arrived.len());
        for (to, from) in buffer.iter_mut().zip(it.arrived.drain(..n)) {
            *to = from;
        }
        Ok(n)
    }

    fn write_vectored(&mut self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.net.lock();
        let it = &mut state.pipes[self.pipe];
        if it.closed_by_client {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let mut written = 0;
        for &byte in pieces.iter().flat_map(|piece| piece.iter()) {
            if it.answered.len() >= it.window {
                it.wants_room = true;
                break;
            }
            it.answered.push_back(byte);
            written += 1;
        }
        if written == 0 {
            Err(io::ErrorKind::WouldBlock.into())
        } else {
            Ok(written)
        }
    }

    fn descriptor(&self) -> i32 {
        self.pipe as i32
    }

    fn peer(&self) -> String {
        address(self.pipe)
    }

    fn local(&self) -> String {
        "10.0.0.2:6379".into()
    }

    fn is_local(&self) -> bool {
        true
    }
}

impl Drop for ServerEnd {
    fn drop(&mut self) {
        self.net.lock().pipes[self.pipe].closed_by_server = true;
    }
}
