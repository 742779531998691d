//! One client's connection: a socket, what was received and not executed yet, what was answered and not sent yet.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ostraka_datatypes::resp::{Limits, Output, Parser, Reply};

use crate::clients::{ClientRecord, flag};
use crate::executor::Executor;
use crate::os::platform::Socket;
use crate::session::Session;
use crate::task::{Origin, Task};

/// Pieces given to one writev.
const PIECES_PER_WRITE: usize = 64;

/// Bytes written to one connection per turn, so that a large reply does not keep the others waiting.
const WRITE_PER_TURN: usize = 1024 * 1024;

/// Unsent bytes over which a connection is not read from: it asks faster than it listens.
const CHOKE_AT: usize = 8 * 1024 * 1024;

/// Announced bytes are reserved once so many have been received.
const RESERVE_AFTER: usize = 64 * 1024;

/// What a connection waits for before it goes on with its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    Nothing,
    /// A task of it is under way; its session is with the task.
    Task,
    /// A job of it runs on this loop.
    Job,
    /// CLIENT PAUSE.
    Pause,
}

/// What came of a read.
pub enum Received {
    Nothing,
    Closed,
    /// `fresh` bytes at the start of the read buffer, or 0 if they were appended to the connection's own input.
    /// `drained`: the socket has no more for now.
    Bytes {
        fresh: usize,
        drained: bool,
    },
}

/// What came of a write.
pub enum Flushed {
    All,
    /// The socket is full; an event will come.
    Some,
    /// The turn's share is used up.
    Again,
    Failed,
}

pub struct Connection {
    pub socket: Box<dyn Socket>,
    pub origin: Origin,
    pub record: Arc<ClientRecord>,
    /// `None` while a task carries it.
    pub session: Option<Box<Session>>,
    pub parser: Parser,
    /// Received and not executed, from the start of a command.
    pub input: Vec<u8>,
    /// Bytes that the command at the start of `input` still misses, at least.
    pub missing: usize,
    pub output: Output,
    pub waiting: Waiting,
    /// The socket may have more to read, but no event will say so.
    pub readable: bool,
    /// In the loop's list of connections to flush.
    pub unflushed: bool,
    closing: bool,
    /// When the output first was over its class' soft limit; 0 if it is not.
    soft_limit_since_ms: i64,
}

impl Connection {
    pub fn new(socket: Box<dyn Socket>, origin: Origin, session: Session) -> Self {
        Self {
            socket,
            origin,
            record: Arc::clone(&session.record),
            session: Some(Box::new(session)),
            parser: Parser::default(),
            input: Vec::new(),
            missing: 0,
            output: Output::new(),
            waiting: Waiting::Nothing,
            readable: false,
            unflushed: false,
            closing: false,
            soft_limit_since_ms: 0,
        }
    }

    /// Reads once. A short rest of a command is moved to the front of the loop's buffer and completed there; a
    /// long one grows in the connection's own.
    pub fn receive(&mut self, buffer: &mut [u8], exec: &Executor) -> Received {
        let rest = self.input.len();
        let in_place = rest <= buffer.len() / 4;
        let from = if in_place { rest } else { 0 };
        let read = match self.socket.read(&mut buffer[from..]) {
            Ok(0) => return Received::Closed,
            Ok(read) => read,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                ) =>
            {
                return Received::Nothing;
            }
            Err(_) => return Received::Closed,
        };
        let stats = exec.stats();
        stats.net_input_bytes.add(read as u64);
        stats.reads_processed.add(1);
        self.record
            .net_in
            .store(self.record.net_in.load(Relaxed) + read as u64, Relaxed);
        let drained = read < buffer.len() - from;
        if in_place {
            buffer[..rest].copy_from_slice(&self.input);
            self.input.clear();
            return Received::Bytes {
                fresh: rest + read,
                drained,
            };
        }
        if rest > RESERVE_AFTER && self.input.capacity() - rest < self.missing {
            // Address space, not memory: pages come with the bytes.
            self.input.reserve_exact(self.missing + 2);
        }
        self.input.extend_from_slice(&buffer[..read]);
        if self.input.len() as u64 > exec.settings.client_query_buffer_limit {
            stats.client_query_limit_disconnections.add(1);
            crate::log::warning(format_args!(
                "Closing client that reached max query buffer length: id={} addr={}",
                self.record.id, self.record.address
            ));
            return Received::Closed;
        }
        if self.missing > read {
            // The command cannot be complete: no use in looking at it.
            self.missing -= read;
            return Received::Bytes { fresh: 0, drained };
        }
        self.missing = 0;
        Received::Bytes { fresh: 0, drained }
    }

    /// Keeps what was received and not consumed.
    pub fn keep(&mut self, rest: &[u8]) {
        if !self.closing && !rest.is_empty() {
            self.input.extend_from_slice(rest);
        }
        self.note_input();
    }

    /// Returns the buffer that `input` was taken out as, without the bytes consumed.
    pub fn give_back(&mut self, mut input: Vec<u8>, consumed: usize) {
        if self.closing || consumed == input.len() {
            input = Vec::new();
        } else {
            input.drain(..consumed);
        }
        self.input = input;
        self.note_input();
    }

    fn note_input(&self) {
        self.record
            .query_bytes
            .store(self.input.len() as u64, Relaxed);
        self.record
            .query_capacity
            .store(self.input.capacity() as u64, Relaxed);
    }

    pub fn limits(&self, exec: &Executor) -> Limits {
        let bulk = exec.settings.proto_max_bulk_len as usize;
        match &self.session {
            Some(session) if session.authenticated => Limits::authenticated(bulk),
            _ => Limits::unauthenticated(bulk),
        }
    }

    // ---- output

    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether so much is unsent that nothing more is executed for this client until it listens.
    pub fn is_choked(&self) -> bool {
        self.output.len() > CHOKE_AT
    }

    /// Writes a reply outside of a command.
    pub fn reply_of(&mut self, write: impl FnOnce(&mut Reply<'_>)) {
        let protocol = self
            .session
            .as_ref()
            .map(|session| session.protocol)
            .unwrap_or_default();
        write(&mut Reply::new(&mut self.output, protocol));
    }

    pub fn append(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// The session and the reply of a finished task.
    pub fn take_back(&mut self, task: Task) {
        if task.session.close_after_reply {
            self.closing = true;
        }
        self.session = Some(task.session);
        self.output.append(task.output);
        self.waiting = Waiting::Nothing;
    }

    /// Sends what the socket takes, a turn's share at most.
    pub fn flush(&mut self, exec: &mut Executor) -> Flushed {
        let mut share = WRITE_PER_TURN;
        while self.has_output() {
            let written = match self.output.single_piece() {
                Some(piece) => self.socket.write_vectored(&[IoSlice::new(piece)]),
                None => self.write_pieces(),
            };
            match written {
                Ok(written) => {
                    self.count_sent(written, exec);
                    share = share.saturating_sub(written);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return self.judge_backlog(exec);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return Flushed::Failed,
            }
            if share == 0 && self.has_output() {
                return Flushed::Again;
            }
        }
        exec.take_buffer(self.output.release());
        self.soft_limit_since_ms = 0;
        if self.record.output_bytes.load(Relaxed) != 0 {
            self.record.output_bytes.store(0, Relaxed);
        }
        Flushed::All
    }

    fn write_pieces(&mut self) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); PIECES_PER_WRITE];
        let mut n = 0;
        for (slice, piece) in slices.iter_mut().zip(self.output.pieces()) {
            *slice = IoSlice::new(piece);
            n += 1;
        }
        self.socket.write_vectored(&slices[..n])
    }

    fn count_sent(&mut self, written: usize, exec: &Executor) {
        self.output.advance(written);
        let stats = exec.stats();
        stats.net_output_bytes.add(written as u64);
        stats.writes_processed.add(1);
        self.record
            .net_out
            .store(self.record.net_out.load(Relaxed) + written as u64, Relaxed);
    }

    /// A reader that does not keep up is dropped at the hard limit of its class, or after a while at the soft one.
    pub fn judge_backlog(&mut self, exec: &Executor) -> Flushed {
        let unsent = self.output.len() as u64;
        self.record.output_bytes.store(unsent, Relaxed);
        let limit = exec.settings.client_output_buffer_limit.normal;
        if unsent <= limit.soft_bytes || limit.soft_bytes == 0 {
            self.soft_limit_since_ms = 0;
        } else if self.soft_limit_since_ms == 0 {
            self.soft_limit_since_ms = exec.now_ms;
        }
        let soft = self.soft_limit_since_ms != 0
            && exec.now_ms - self.soft_limit_since_ms > (limit.soft_s as i64) * 1000;
        let hard = limit.hard_bytes != 0 && unsent > limit.hard_bytes;
        let stranger =
            unsent > CHOKE_AT as u64 / 8 && self.session.as_ref().is_some_and(|s| !s.authenticated);
        if !(soft || hard || stranger) {
            return Flushed::Some;
        }
        exec.stats().client_output_limit_disconnections.add(1);
        crate::log::warning(format_args!(
            "Client id={} addr={} closed for overcoming of output buffer limits.",
            self.record.id, self.record.address
        ));
        Flushed::Failed
    }

    // ---- the end

    pub fn close_when_flushed(&mut self) {
        self.closing = true;
        self.input = Vec::new();
    }

    pub fn closes_when_flushed(&self) -> bool {
        self.closing && self.waiting != Waiting::Task && !self.has_output()
    }

    /// Whether the client has been idle for longer than `timeout` allows.
    pub fn is_idle_since(&self, timeout_ms: i64, now_ms: i64) -> bool {
        self.waiting == Waiting::Nothing
            && !self.record.has(flag::MONITOR)
            && now_ms - self.record.last_active_ms.load(Relaxed) > timeout_ms
    }
}
