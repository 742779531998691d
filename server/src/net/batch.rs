//! Serving a connection: up to 32 commands are parsed, their cells taken together, their buckets and entries
//! prefetched, and then they are executed in the order sent.
//!
//! If the cells of the whole batch cannot be had, the commands go one by one; and one whose cells are busy is
//! left as a task in the inbox of the cell, with what it needs to be executed elsewhere. Its connection then
//! stops until the task is back, so that its commands take effect in the order sent whatever their cells.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ostraka_datatypes::resp::{Output, Parser, Progress, ProtocolError, Span};

use super::connection::{Connection, Waiting};
use crate::blocking::{self, Blocked};
use crate::call::Args;
use crate::command::flag::NO_AUTH;
use crate::command::keys::{KeyAt, keys_of};
use crate::command::{Command, Reach};
use crate::engine::{self, Ended};
use crate::eviction;
use crate::executor::Executor;
use crate::router::Key;
use crate::server::{Access, gate};
use crate::session::Session;
use crate::shards::CellSet;
use crate::task::{Errand, Job, Task};
use crate::{admission, gates};

/// Commands parsed ahead. More gain nothing: the processor can have about 16 misses under way.
const BATCH: usize = 32;

/// How serving ended.
pub enum Served {
    /// Everything complete was executed.
    All,
    /// A task is under way.
    Waits,
    /// CLIENT PAUSE is in force for the next command.
    Paused,
    /// The next command has to wait for somebody's long work.
    Busy,
    /// The last command waits for a key.
    Parked(Arc<Blocked>),
    /// The last command left its reply to a job.
    Job(Box<dyn Job>),
    /// Too much is unsent; there may be more to execute once it is sent.
    Choked,
    /// The connection is to be closed once flushed.
    Broken,
    /// The connection is to be closed at once.
    Aborted,
}

/// One parsed command.
struct Request {
    /// `None`: unknown, or with a wrong number of arguments; refused when its turn comes.
    command: Option<&'static Command>,
    /// Where it lies in the input.
    start: usize,
    end: usize,
    /// Its first span and the one behind its last.
    spans: (usize, usize),
    need: CellSet,
    /// Needs besides the cells of its connection's transaction.
    ends_transaction: bool,
    key: Option<FirstKey>,
}

#[derive(Clone, Copy)]
struct FirstKey {
    index: usize,
    hash: u64,
    cell: usize,
}

impl Request {
    /// The cells that it needs when its turn has come: none if it is put off until EXEC.
    fn need_now(&self, connection: &Connection) -> CellSet {
        match (&connection.session, self.command) {
            (Some(session), Some(command)) if session.puts_off(command) => CellSet::EMPTY,
            (Some(session), _) if self.ends_transaction => {
                self.need.union(session.transaction_cells())
            }
            _ => self.need,
        }
    }
}

/// The commands being served; one per loop, its memory reused.
#[derive(Default)]
pub struct Batch {
    spans: Vec<Span>,
    requests: Vec<Request>,
}

impl Batch {
    /// Executes the commands in `input`, which begins at a command. Returns the number of bytes consumed.
    pub fn serve(
        &mut self,
        connection: &mut Connection,
        input: &mut [u8],
        exec: &mut Executor,
    ) -> (usize, Served) {
        let mut consumed = 0;
        loop {
            if connection.record.is_doomed() {
                return (consumed, Served::Aborted);
            }
            if connection.is_choked(exec) {
                return (consumed, Served::Choked);
            }
            let parsed = self.gather(connection, input, consumed, exec);
            if !self.requests.is_empty() {
                let (executed, stopped) = self.execute(connection, input, exec);
                if let Some(served) = stopped {
                    // What was parsed ahead is parsed again when its turn comes.
                    connection.parser = Parser::default();
                    connection.missing = 0;
                    return (executed, served);
                }
            }
            match parsed {
                Gathered::More(at) => consumed = at,
                Gathered::Exhausted(at) => return (at, Served::All),
                Gathered::Error(at, error) => {
                    connection.reply_of(|reply| reply.error(format!("ERR {error}")));
                    exec.server.count_error("ERR");
                    exec.stats().error_replies.add(1);
                    return (at, Served::Broken);
                }
            }
        }
    }

    /// Parses up to a batch of commands from `input[at..]`.
    fn gather(
        &mut self,
        connection: &mut Connection,
        input: &mut [u8],
        mut at: usize,
        exec: &Executor,
    ) -> Gathered {
        self.spans.clear();
        self.requests.clear();
        let limits = connection.limits(exec);
        while self.requests.len() < BATCH {
            // An inline command is unescaped in place and cannot be parsed twice: it is never parsed ahead.
            if !self.requests.is_empty() && input.get(at).is_some_and(|first| *first != b'*') {
                break;
            }
            let first = self.spans.len();
            match connection
                .parser
                .parse(&mut input[at..], &limits, &mut self.spans)
            {
                Ok(Progress::Command { consumed }) => {
                    let end = at + consumed;
                    let request = self.plan(&input[at..end], (at, end), first, exec);
                    // What changes the limits or the login is the last of its batch.
                    let last = request.command.is_some_and(|command| command.is(NO_AUTH));
                    self.requests.push(request);
                    at = end;
                    if last {
                        return Gathered::More(at);
                    }
                }
                Ok(Progress::Empty { consumed }) => at += consumed,
                Ok(Progress::Incomplete { missing }) => {
                    connection.missing = missing;
                    return Gathered::Exhausted(at);
                }
                Err(error) => return Gathered::Error(at, error),
            }
        }
        Gathered::More(at)
    }

    /// Looks the command up and finds the cells that it needs.
    #[inline]
    fn plan(&self, bytes: &[u8], place: (usize, usize), first: usize, exec: &Executor) -> Request {
        let spans = (first, self.spans.len());
        let mut request = Request {
            command: None,
            start: place.0,
            end: place.1,
            spans,
            need: CellSet::EMPTY,
            ends_transaction: false,
            key: None,
        };
        let router = exec.server.router;
        let args = Args::new(bytes, &self.spans[first..], router, None);
        let Some(command) = exec.server.commands.find(args) else {
            return request;
        };
        match command.reach(args) {
            Reach::None => {}
            Reach::All => request.need = exec.server.cells.all(),
            Reach::Transaction => request.ends_transaction = true,
            Reach::Cell(cell) => request.need = CellSet::single(usize::from(cell)),
            Reach::Keys => {
                for (nth, key) in keys_of(command, args).enumerate() {
                    let Ok(KeyAt { index, .. }) = key else {
                        // The handler says what is wrong, whatever it looks at to find out.
                        request.need = exec.server.cells.all();
                        break;
                    };
                    if nth > 0 && router.cells() == 1 {
                        break;
                    }
                    if nth > 0 {
                        request.need.insert(router.cell(args.at(index)));
                        continue;
                    }
                    let Key { hash, cell, .. } = router.key(args.at(index));
                    request.key = Some(FirstKey { index, hash, cell });
                    request.need.insert(cell);
                }
            }
        }
        request.command = Some(command);
        request
    }

    /// Executes the gathered commands. Returns the bytes consumed by those executed, and why it stopped early.
    fn execute(
        &mut self,
        connection: &mut Connection,
        input: &[u8],
        exec: &mut Executor,
    ) -> (usize, Option<Served>) {
        let server = exec.server;
        exec.lend_buffer(&mut connection.output);
        connection.limit_output(exec);
        if exec.raised() & gate::MEMORY_LIMIT != 0 {
            eviction::make_room(exec);
        }
        let whole = self.needed_by_all(connection);
        if let Some(mut held) = server.cells.try_take(whole, exec) {
            exec.begin_batch();
            let mut stopped = None;
            let mut access = held.access();
            self.prefetch(connection, &mut access);
            for request in &self.requests {
                if let Some(stop) = self.run(request, connection, input, exec, &mut access) {
                    stopped = Some((request, stop));
                    break;
                }
            }
            held.release(exec);
            if let Some((last, Stop::Straddling(need))) = stopped {
                return self.leave(last, need, connection, input, exec);
            }
            let end = stopped.as_ref().map(|(last, stop)| stop.end(last));
            self.note(connection, end.unwrap_or(usize::MAX));
            return match stopped {
                Some((last, stop)) => self.stop(last, stop, connection, input),
                None => (0, None),
            };
        }
        for request in &self.requests {
            let need = request.need_now(connection);
            let taken = server.cells.try_take(need, exec);
            let Some(mut held) = taken else {
                return self.leave(request, need, connection, input, exec);
            };
            exec.begin_batch();
            let stopped = self.run(request, connection, input, exec, &mut held.access());
            held.release(exec);
            if let Some(Stop::Straddling(need)) = stopped {
                return self.leave(request, need, connection, input, exec);
            }
            if let Some(stop) = stopped {
                self.note(connection, stop.end(request));
                return self.stop(request, stop, connection, input);
            }
        }
        self.note(connection, usize::MAX);
        (0, None)
    }

    /// What the batch needs to be executed without a break. A transaction that ends in it consists of what was queued
    /// before, and of what is in the batch itself.
    fn needed_by_all(&self, connection: &Connection) -> CellSet {
        let mut whole = CellSet::EMPTY;
        let mut ends_transaction = false;
        for request in &self.requests {
            whole = whole.union(request.need);
            ends_transaction |= request.ends_transaction;
        }
        match &connection.session {
            Some(session) if ends_transaction => whole.union(session.transaction_cells()),
            _ => whole,
        }
    }

    /// Keeps the client's record up to date: what ends at `end` or before has been executed.
    #[inline]
    fn note(&self, connection: &Connection, end: usize) {
        let done = self.requests.partition_point(|request| request.end <= end);
        let record = &connection.record;
        let commands = record.commands.load(Relaxed) + done as u64;
        record.commands.store(commands, Relaxed);
        let command = self.requests[..done].last().and_then(|last| last.command);
        if let Some(command) = command {
            record.command.store(command.id() as u32, Relaxed);
        }
    }

    /// What becomes of the connection after `last`, and how many bytes are consumed with it.
    #[cold]
    fn stop(
        &self,
        last: &Request,
        why: Stop,
        connection: &mut Connection,
        input: &[u8],
    ) -> (usize, Option<Served>) {
        let mut held_back = |served| {
            if input[last.start] == b'*' {
                return (last.start, served);
            }
            let spans = &self.spans[last.spans.0..last.spans.1];
            connection.put_back(&input[last.start..last.end], spans);
            (last.end, served)
        };
        let (at, served) = match why {
            Stop::Paused => held_back(Served::Paused),
            Stop::Busy => held_back(Served::Busy),
            Stop::Job(job) => {
                connection.waiting = Waiting::Job;
                (last.end, Served::Job(job))
            }
            Stop::Parked(blocked) => {
                connection.waiting = Waiting::Key;
                (last.end, Served::Parked(blocked))
            }
            Stop::Straddling(_) => unreachable!("it was left as a task"),
            Stop::Close => (last.end, Served::Broken),
            Stop::Abort => (last.end, Served::Aborted),
        };
        (at, Some(served))
    }

    /// Brings the buckets of all first keys into the cache, then the entries that they point to.
    fn prefetch(&self, connection: &Connection, access: &mut Access<'_>) {
        if self.requests.len() < 2 {
            return;
        }
        let db = connection
            .session
            .as_ref()
            .map_or(0, |session| session.db());
        let keys = || self.requests.iter().filter_map(|request| request.key);
        for key in keys() {
            access.peek(key.cell).db(db).prefetch_bucket(key.hash);
        }
        for key in keys() {
            access.peek(key.cell).db(db).prefetch_entry(key.hash);
        }
    }

    /// Executes one command with its cells held.
    #[inline]
    fn run(
        &self,
        request: &Request,
        connection: &mut Connection,
        input: &[u8],
        exec: &mut Executor,
        access: &mut Access<'_>,
    ) -> Option<Stop> {
        let session = connection
            .session
            .as_mut()
            .expect("a connection without its session executes nothing");
        let bytes = &input[request.start..request.end];
        let spans = &self.spans[request.spans.0..request.spans.1];
        let first = request.key.map(|key| {
            (
                key.index,
                Key {
                    bytes: spans[key.index].of(bytes),
                    hash: key.hash,
                    cell: key.cell,
                },
            )
        });
        let args = Args::new(bytes, spans, exec.server.router, first);
        let Some(command) = request.command else {
            if is_http(args) {
                admission::report_attack(exec, &session.record.address);
                return Some(Stop::Abort);
            }
            let fault = exec.server.commands.refusal(args);
            let row = exec.server.commands.find_any_arity(args);
            engine::refuse(exec, session, &mut connection.output, row, &fault);
            return None;
        };
        if gates::is_paused(exec, session, command, args) {
            return Some(Stop::Paused);
        }
        let output = &mut connection.output;
        if session.puts_off(command) {
            engine::put_off(exec, command, args, request.need, session, output);
            return is_too_much(session, exec).then_some(Stop::Abort);
        }
        let mut job = None;
        let ended = engine::execute(exec, access, command, args, session, output, &mut job);
        match ended {
            Ended::Answered => {}
            Ended::Busy => return Some(Stop::Busy),
            Ended::Straddling(need) => return Some(Stop::Straddling(need)),
            Ended::Blocked => {
                let task = self.task_of(request, connection, input, exec);
                return Some(Stop::Parked(blocking::park(exec, access, task)));
            }
        }
        let closes = session.close_after_reply;
        if connection.is_over_limits(exec) {
            return Some(Stop::Abort);
        }
        if let Some(job) = job {
            return Some(Stop::Job(job));
        }
        closes.then_some(Stop::Close)
    }

    /// Leaves a command whose cells are busy to whoever holds them.
    #[cold]
    fn leave(
        &self,
        request: &Request,
        need: CellSet,
        connection: &mut Connection,
        input: &[u8],
        exec: &mut Executor,
    ) -> (usize, Option<Served>) {
        self.note(connection, request.end);
        let task = self.task_of(request, connection, input, exec);
        connection.waiting = Waiting::Task;
        let errand = Errand::Command(task);
        exec.server.cells.submit(need, errand, exec);
        (request.end, Some(Served::Waits))
    }

    /// A command as a task, with the session of its connection.
    #[cold]
    fn task_of(
        &self,
        request: &Request,
        connection: &mut Connection,
        input: &[u8],
        exec: &Executor,
    ) -> Box<Task> {
        let mut output = Output::new();
        output.set_limit(exec.output_limit());
        Box::new(Task {
            origin: connection.origin,
            command: request
                .command
                .expect("a command that is refused needs no cells"),
            bytes: input[request.start..request.end].to_vec(),
            spans: self.spans[request.spans.0..request.spans.1].to_vec(),
            session: connection
                .session
                .take()
                .expect("a connection without its session executes nothing"),
            output,
            job: None,
            bounced: None,
            listed: None,
        })
    }
}

enum Gathered {
    /// A full batch, up to here.
    More(usize),
    /// Nothing complete is left from here on.
    Exhausted(usize),
    Error(usize, ProtocolError),
}

enum Stop {
    Paused,
    Busy,
    /// More cells are needed.
    Straddling(CellSet),
    Parked(Arc<Blocked>),
    Job(Box<dyn Job>),
    Close,
    Abort,
}

impl Stop {
    /// Where what has been executed ends, if this is what happened at `last`.
    fn end(&self, last: &Request) -> usize {
        match self {
            Self::Paused | Self::Busy | Self::Straddling(_) => last.start,
            Self::Parked(_) | Self::Job(_) | Self::Close | Self::Abort => last.end,
        }
    }
}

/// Whether a client has more queued than it may: what waits for EXEC counts as what waits to be parsed.
#[inline]
fn is_too_much(session: &Session, exec: &Executor) -> bool {
    let queued = session.queue.as_ref().map_or(0, |queue| queue.bytes());
    let too_much = queued as u64 > exec.settings.client_query_buffer_limit;
    if too_much {
        exec.stats().client_query_limit_disconnections.add(1);
        crate::log::warning(format_args!(
            "Closing client that reached max query buffer length: id={} addr={}",
            session.record.id, session.record.address
        ));
    }
    too_much
}

/// Whether somebody makes a browser speak to us: no client of ours says this.
fn is_http(args: Args<'_>) -> bool {
    args.is(0, "post") || args.is(0, "host:")
}
