//! One client's connection: a socket, what was received and not executed yet, what was answered and not sent yet.

use std::io::{self, IoSlice};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ostraka_datatypes::resp::{Limits, Output, Parser, Reply, Span};

use super::parcel::Parcel;
use crate::clients::{ClientRecord, flag};
use crate::config::lists::OutputLimit;
use crate::executor::{Executor, SMALL_REPLY};
use crate::os::platform::Socket;
use crate::session::Session;
use crate::task::{Job, Origin, Task};

/// Pieces given to one writev.
const PIECES_PER_WRITE: usize = 64;

/// Bytes written to one connection per turn, so that a large reply does not keep the others waiting: the kernel copies
/// some 2 bytes per nanosecond, and on the loopback does the receiver's part at once.
const WRITE_PER_TURN: usize = 256 * 1024;

/// Unsent bytes over which a connection is not read from: it asks faster than it listens.
const CHOKE_AT: usize = 8 * 1024 * 1024;

/// Unsent bytes over which a client that has not authenticated is closed.
const STRANGER_MAX: u64 = 16 * 1024;

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
    /// A command of it waits for a key, and has its session.
    Key,
    /// CLIENT PAUSE.
    Pause,
    /// Somebody's long work; tried again in short intervals.
    Busy,
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
    /// Until when it waits for a key, Unix ms.
    pub deadline_ms: Option<i64>,
    /// The socket may have more to read, but no event will say so.
    pub readable: bool,
    /// There may be whole commands in `input`, left there because too much was unsent.
    pub pending: bool,
    /// The peer sends nothing more: reading goes on to the end of the stream, as no event will come for that.
    pub peer_closed: bool,
    /// In the loop's list of connections to serve next turn.
    pub hungry: bool,
    /// In the loop's list of connections to flush.
    pub unflushed: bool,
    closing: bool,
    /// The socket did not take everything at the last try.
    backlogged: bool,
    /// The output is with a parcel; what is written meanwhile goes behind it.
    output_is_lent: bool,
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
            deadline_ms: None,
            readable: false,
            pending: false,
            peer_closed: false,
            hungry: false,
            unflushed: false,
            closing: false,
            backlogged: false,
            output_is_lent: false,
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
        let record = &self.record;
        let net_in = record.net_in.load(Relaxed) + read as u64;
        record.net_in.store(net_in, Relaxed);
        record.last_active_ms.store(exec.now_ms, Relaxed);
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
            // In proportion to what came, never to what was announced alone.
            self.input.reserve_exact((self.missing + 2).min(rest * 3));
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
        self.missing = self.missing.saturating_sub(read);
        Received::Bytes { fresh: 0, drained }
    }

    /// Keeps what was received and not consumed.
    pub fn keep(&mut self, rest: &[u8]) {
        if !self.closing && !rest.is_empty() {
            self.input.extend_from_slice(rest);
        } else if self.input.is_empty() && self.input.capacity() > 0 {
            // An idle connection holds no buffer.
            self.input = Vec::new();
        }
        self.note_input();
    }

    /// Makes a request that was not executed the next one again. Its bytes may have been unescaped, so it is written
    /// anew, as a multibulk one.
    pub fn put_back(&mut self, bytes: &[u8], spans: &[Span]) {
        let rest = std::mem::take(&mut self.input);
        let mut input = format!("*{}\r\n", spans.len()).into_bytes();
        for span in spans {
            let arg = span.of(bytes);
            input.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
            input.extend_from_slice(arg);
            input.extend_from_slice(b"\r\n");
        }
        input.extend_from_slice(&rest);
        self.input = input;
    }

    /// Returns the buffer that `input` was taken out as, without the bytes consumed.
    pub fn give_back(&mut self, mut input: Vec<u8>, consumed: usize) {
        let rest = input.len() - consumed;
        if self.closing {
            self.input = Vec::new();
        } else if !self.input.is_empty() || rest * 4 < input.capacity() {
            // A request was put back, or the buffer is too large for what is left in it.
            self.input.extend_from_slice(&input[consumed..]);
        } else {
            input.drain(..consumed);
            self.input = input;
        }
        self.note_input();
    }

    fn note_input(&self) {
        let (len, capacity) = (self.input.len() as u64, self.input.capacity() as u64);
        self.record.query_bytes.store(len, Relaxed);
        self.record.query_capacity.store(capacity, Relaxed);
    }

    pub fn limits(&self, exec: &Executor) -> Limits {
        let bulk = exec.settings.proto_max_bulk_len as usize;
        match &self.session {
            Some(session) if session.must_authenticate(&exec.settings) => {
                Limits::unauthenticated(bulk)
            }
            _ => Limits::authenticated(bulk),
        }
    }

    // ---- output

    pub fn has_output(&self) -> bool {
        !self.output.is_empty()
    }

    /// Whether so much is unsent that nothing more is executed for this client until it listens. Where the operator
    /// set limits, they decide: a client that goes over them is closed, as in Redis, not held back below them.
    pub fn is_choked(&self, exec: &Executor) -> bool {
        let unsent = self.output.len();
        let limit = self.output_limit(exec);
        unsent > CHOKE_AT && unsent as u64 > limit.hard_bytes.max(limit.soft_bytes)
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

    /// Answers the command that left a job, unless the client does not want to hear of it.
    pub fn reply_of_job(&mut self, job: &mut dyn Job) {
        let unheard = self
            .session
            .as_mut()
            .is_some_and(|session| std::mem::take(&mut session.job_unheard));
        if !unheard {
            self.reply_of(|reply| job.reply(reply));
        }
    }

    pub fn append(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// The session and the reply of a finished task.
    pub fn take_back(&mut self, task: Task) {
        if task.session.close_after_reply {
            self.close_when_flushed();
        }
        self.session = Some(task.session);
        self.output.append(task.output);
        self.waiting = Waiting::Nothing;
    }

    /// The output for a parcel to go on with. What is unsent goes along, so that it leaves together with the parcel's
    /// replies.
    pub fn lend_output(&mut self, exec: &mut Executor) -> Output {
        let mut lent = Output::new();
        if !self.backlogged && self.output.is_whole() {
            self.output_is_lent = true;
            std::mem::swap(&mut lent, &mut self.output);
        }
        exec.lend_buffer(&mut lent);
        lent.set_limit(exec.output_limit());
        lent
    }

    /// The session, the replies and what is left of a parcel that is back.
    pub fn unpack(&mut self, parcel: Parcel) {
        self.waiting = Waiting::Nothing;
        let rest = parcel.rest();
        if !rest.is_empty() {
            self.input.splice(..0, rest.iter().copied());
        }
        let end = parcel.bytes.len() - rest.len();
        parcel.batch.note(self, end);
        if std::mem::take(&mut self.output_is_lent) {
            let since = std::mem::replace(&mut self.output, parcel.output);
            self.output.append(since);
        } else {
            self.output.append(parcel.output);
        }
        if parcel.session.close_after_reply {
            self.close_when_flushed();
        }
        self.session = Some(parcel.session);
    }

    /// Marks it as waiting for the end of a pause, or not any more.
    pub fn set_paused(&mut self, paused: bool) {
        self.waiting = if paused {
            Waiting::Pause
        } else {
            Waiting::Nothing
        };
        self.record.put(flag::WAITING, paused);
    }

    /// Sends what the socket takes, a turn's share at most.
    pub fn flush(&mut self, exec: &mut Executor) -> Flushed {
        if self.output_is_lent {
            return Flushed::All;
        }
        if self.is_over_limits(exec) {
            return Flushed::Failed;
        }
        let mut share = WRITE_PER_TURN;
        while self.has_output() {
            let written = match self.output.single_piece() {
                Some(piece) => {
                    let piece = &piece[..piece.len().min(share)];
                    self.socket.write_vectored(&[IoSlice::new(piece)])
                }
                None => self.write_pieces(share),
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
                return match self.judge_backlog(exec) {
                    Flushed::Some => Flushed::Again,
                    over_the_limit => over_the_limit,
                };
            }
        }
        exec.take_buffer(self.output.release());
        if self.backlogged {
            self.backlogged = false;
            self.soft_limit_since_ms = 0;
            self.note_output(0, 0, 0);
        }
        Flushed::All
    }

    fn write_pieces(&mut self, mut share: usize) -> io::Result<usize> {
        let mut slices = [IoSlice::new(&[]); PIECES_PER_WRITE];
        let mut n = 0;
        for (slice, piece) in slices.iter_mut().zip(self.output.pieces()) {
            let piece = &piece[..piece.len().min(share)];
            share -= piece.len();
            *slice = IoSlice::new(piece);
            n += 1;
            if share == 0 {
                break;
            }
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

    /// Whether more is queued than the client's class may have, sent or not: judged as soon as it is written, so that
    /// nothing of a reply beyond the limits leaves. Costs nothing where there are no limits.
    #[inline]
    pub fn is_over_limits(&mut self, exec: &Executor) -> bool {
        let limit = self.output_limit(exec);
        let limited = limit.hard_bytes != 0 || limit.soft_bytes != 0;
        limited
            && (self.output.len() > SMALL_REPLY || self.output.is_over())
            && matches!(self.judge_backlog(exec), Flushed::Failed)
    }

    fn output_limit<'e>(&self, exec: &'e Executor) -> &'e OutputLimit {
        &exec.settings.client_output_buffer_limit.normal
    }

    /// A reply that grows beyond the hard limit is given up while it is written.
    #[inline]
    pub fn limit_output(&mut self, exec: &Executor) {
        let limit = exec.output_limit();
        self.output.set_limit(limit);
    }

    /// A reader that does not keep up is dropped at the hard limit of its class, or after a while at the soft one.
    pub fn judge_backlog(&mut self, exec: &Executor) -> Flushed {
        let unsent = self.output.len() as u64;
        let in_memory = unsent.max(self.output.allocated() as u64);
        self.note_output(unsent, self.output.pieces().count() as u64, in_memory);
        self.backlogged = true;
        let limit = self.output_limit(exec);
        let queued = if unsent > SMALL_REPLY as u64 {
            unsent
        } else {
            0
        };
        if queued <= limit.soft_bytes || limit.soft_bytes == 0 {
            self.soft_limit_since_ms = 0;
        } else if self.soft_limit_since_ms == 0 {
            self.soft_limit_since_ms = exec.now_ms;
        }
        let soft = self.soft_limit_since_ms != 0
            && exec.now_ms - self.soft_limit_since_ms > (limit.soft_s as i64) * 1000;
        let hard = limit.hard_bytes != 0 && (queued > limit.hard_bytes || self.output.is_over());
        let session = self.session.as_ref();
        let stranger = unsent > STRANGER_MAX
            && session.is_some_and(|session| session.must_authenticate(&exec.settings));
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

    fn note_output(&self, bytes: u64, pieces: u64, memory: u64) {
        self.record.output_bytes.store(bytes, Relaxed);
        self.record.output_pieces.store(pieces, Relaxed);
        self.record.output_memory.store(memory, Relaxed);
    }

    // ---- the end

    pub fn close_when_flushed(&mut self) {
        self.closing = true;
        self.input = Vec::new();
    }

    pub fn is_closing(&self) -> bool {
        self.closing
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
