//! Serving a connection: up to 128 commands are parsed, their cells taken together, their buckets and entries
//! prefetched, and then they are executed in the order sent.
//!
//! If the cells of the whole batch cannot be had, as many commands run as the cells that are free allow. The rest is
//! left in the inbox of the first cell that is missing, with what it needs to be executed elsewhere: a [`Parcel`] or a
//! [`Task`]. Its connection then stops until that is back, so that its commands take effect in the order sent
//! whatever their cells.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ostraka_datatypes::resp::{Output, Parser, Progress, ProtocolError, Span};

use super::connection::{Connection, Waiting};
use super::loading::{Coming, GROUP, load};
use super::parcel::Parcel;
use crate::blocking::{self, Blocked};
use crate::call::Args;
use crate::command::flag::{BLOCKING, EXECUTES_QUEUE, NO_AUTH};
use crate::command::keys::{KeyAt, keys_of, only_key};
use crate::command::{Command, Reach};
use crate::engine::{self, Ended};
use crate::eviction;
use crate::executor::Executor;
use crate::router::{Key, Router};
use crate::server::{Access, gate};
use crate::session::Session;
use crate::shards::CellSet;
use crate::task::{Errand, Job, Task};
use crate::{admission, gates};

/// Commands parsed ahead, for which cells are taken once: about 20 µs of work.
const BATCH: usize = 128;

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
pub(super) struct Request {
    /// `None`: unknown, or with a wrong number of arguments; refused when its turn comes.
    pub(super) command: Option<&'static Command>,
    /// Where it lies in the input.
    start: usize,
    pub(super) end: usize,
    /// Its first span and the one behind its last.
    spans: (usize, usize),
    pub(super) need: CellSet,
    /// Needs besides the cells of its connection's transaction.
    ends_transaction: bool,
    pub(super) key: Option<FirstKey>,
}

/// What routing computed for the first key: which argument it is, its hash, its cell.
#[derive(Clone, Copy)]
pub(super) struct FirstKey {
    pub(super) index: usize,
    pub(super) hash: u64,
    pub(super) cell: usize,
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

impl Request {
    /// Notes the first key.
    #[inline]
    fn begin_with(&mut self, index: usize, args: Args<'_>) {
        let Key { hash, cell, .. } = args.key(index);
        self.key = Some(FirstKey { index, hash, cell });
        self.need.insert(cell);
    }

    /// Notes the first key, and the cells of all.
    fn find_keys(&mut self, command: &'static Command, args: Args<'_>, exec: &Executor) {
        for (nth, key) in keys_of(command, args).enumerate() {
            let Ok(KeyAt { index, .. }) = key else {
                // The handler says what is wrong, whatever it looks at to find out.
                self.need = exec.server.cells.all();
                return;
            };
            match nth {
                0 => self.begin_with(index, args),
                _ if args.cells() == 1 => return,
                _ => self.need.insert(exec.server.router.cell(args.at(index))),
            }
        }
    }

    /// Whether it can be executed elsewhere together with others: it has a key, waits for none and ends nothing.
    fn travels(&self) -> bool {
        let waits = self.command.is_none_or(|command| command.is(BLOCKING));
        self.key.is_some() && !waits && !self.ends_transaction
    }
}

/// The commands being served; one per loop, its memory reused.
#[derive(Default)]
pub struct Batch {
    spans: Vec<Span>,
    pub(super) requests: Vec<Request>,
    /// What has been parsed and not executed, if that was done ahead.
    ahead: Option<Ahead>,
}

struct Ahead {
    gathered: Gathered,
    /// The database that its connection has selected.
    db: usize,
}

impl Batch {
    /// Parses the first commands in `input`, which [`Batch::serve`] is going to be called with.
    pub fn parse_ahead(&mut self, connection: &mut Connection, input: &mut [u8], exec: &Executor) {
        let gathered = self.gather(connection, input, 0, exec);
        let session = connection.session.as_ref();
        let db = session.map_or(0, |session| session.db());
        self.ahead = Some(Ahead { gathered, db });
    }

    /// The first of the commands parsed ahead.
    fn coming_ahead<'a>(&'a self, input: &'a [u8]) -> Option<Coming<'a>> {
        let ahead = self.ahead.as_ref()?;
        Some(Coming {
            batch: self,
            request: self.requests.first()?,
            input,
            db: ahead.db,
        })
    }

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
                self.ahead = None;
                return (consumed, Served::Aborted);
            }
            let parsed = match self.ahead.take() {
                Some(ahead) => ahead.gathered,
                None if connection.is_choked(exec) => return (consumed, Served::Choked),
                None => self.gather(connection, input, consumed, exec),
            };
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
            let row = exec.server.commands.find_any_arity(args);
            // Even a refused one ends the transaction, of which it says what it is refused for.
            request.command = row.filter(|row| row.is(EXECUTES_QUEUE));
            request.ends_transaction = request.command.is_some();
            return request;
        };
        match command.reach(args) {
            Reach::None => {}
            Reach::All => request.need = exec.server.cells.all(),
            Reach::Transaction => request.ends_transaction = true,
            Reach::Cell(cell) => request.need = CellSet::single(usize::from(cell)),
            Reach::Keys => match only_key(command).filter(|index| *index < args.len()) {
                Some(index) => request.begin_with(index, args),
                None => request.find_keys(command, args, exec),
            },
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
        let mut whole = server.cells.try_take(self.needed_by_all(connection), exec);
        let mut number = 0;
        while number < self.requests.len() {
            let taken = whole.take().or_else(|| {
                let need = self.requests[number].need_now(connection);
                server.cells.try_take_some(need, self.need(number), exec)
            });
            let Some(mut held) = taken else {
                return self.leave(number, connection, input, exec);
            };
            exec.begin_batch();
            let stop = self.run_some(&mut number, connection, input, exec, &mut held.access());
            held.release(exec);
            let Some(stop) = stop else { continue };
            let last = &self.requests[number - 1];
            if let Stop::Straddling(need) = stop {
                return self.leave_one(number - 1, need, connection, input, exec);
            }
            self.note(connection, stop.end(last));
            return self.stop(last, stop, connection, input);
        }
        self.note(connection, usize::MAX);
        (0, None)
    }

    /// Executes the commands from `number` on, up to the first for which `access` is not enough or behind one that stops
    /// the connection.
    #[inline]
    fn run_some(
        &self,
        number: &mut usize,
        connection: &mut Connection,
        input: &[u8],
        exec: &mut Executor,
        access: &mut Access<'_>,
    ) -> Option<Stop> {
        let first = *number;
        let is_whole = access.set() == exec.server.cells.all();
        for request in &self.requests[first..] {
            if !is_whole && !request.need_now(connection).is_subset(access.set()) {
                return None;
            }
            if (*number - first).is_multiple_of(GROUP) {
                let db = connection
                    .session
                    .as_ref()
                    .map_or(0, |session| session.db());
                self.load(*number, input, db, exec.server.router, access);
            }
            *number += 1;
            let stop = self.run(request, connection, input, exec, access);
            if stop.is_some() {
                return stop;
            }
        }
        None
    }

    /// The cells of the keys of all commands from number `from` on.
    fn need(&self, from: usize) -> CellSet {
        let needs = self.requests[from..].iter();
        needs.fold(CellSet::EMPTY, |set, request| set.union(request.need))
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
    pub(super) fn note(&self, connection: &Connection, end: usize) {
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

    /// Has what a group of commands from number `from` on reads loaded.
    pub(super) fn load(
        &self,
        from: usize,
        input: &[u8],
        db: usize,
        router: Router,
        access: &Access<'_>,
    ) {
        let end = self.requests.len().min(from + GROUP);
        let requests = &self.requests[from..end];
        if requests.len() > 1 {
            let batch = self;
            let coming = requests.iter().map(|request| Coming {
                batch,
                request,
                input,
                db,
            });
            load(coming, access, router);
        }
    }

    /// The arguments of a command, with what is known of its first key.
    #[inline]
    pub(super) fn args<'a>(
        &'a self,
        request: &Request,
        input: &'a [u8],
        router: Router,
    ) -> Args<'a> {
        let bytes = &input[request.start..request.end];
        let spans = &self.spans[request.spans.0..request.spans.1];
        let first = request.key.map(|key| {
            let found = Key {
                bytes: spans[key.index].of(bytes),
                hash: key.hash,
                cell: key.cell,
            };
            (key.index, found)
        });
        Args::new(bytes, spans, router, first)
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
        let session = connection.session.as_mut().expect(SESSION);
        let args = self.args(request, input, exec.server.router);
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

    /// Leaves the commands from number `from` on to whoever holds the cells of the first of them: as many as can travel
    /// together.
    #[cold]
    fn leave(
        &mut self,
        from: usize,
        connection: &mut Connection,
        input: &[u8],
        exec: &mut Executor,
    ) -> (usize, Option<Served>) {
        let session = connection.session.as_ref();
        let in_transaction = session.is_none_or(|session| session.queue.is_some());
        let rest = self.requests[from..].iter();
        let together = rest.take_while(|request| request.travels()).count();
        // An inline command cannot be parsed again, should it come back as it went.
        let inline = input[self.requests[from].start] != b'*';
        if in_transaction || inline || together < 2 {
            let need = self.requests[from].need_now(connection);
            return self.leave_one(from, need, connection, input, exec);
        }
        self.requests.truncate(from + together);
        let mut batch = std::mem::replace(self, Self::with_room());
        if from > 0 {
            batch.note(connection, batch.requests[from - 1].end);
            batch.requests.drain(..from);
        }
        let (start, end) = (batch.requests[0].start, batch.requests[together - 1].end);
        for request in &mut batch.requests {
            request.start -= start;
            request.end -= start;
        }
        let (need, wish) = (batch.requests[0].need, batch.need(1));
        let parcel = Parcel {
            origin: connection.origin,
            batch,
            bytes: input[start..end].to_vec(),
            session: connection.session.take().expect(SESSION),
            output: connection.lend_output(exec),
            executed: 0,
            job: None,
        };
        connection.waiting = Waiting::Task;
        let errand = Errand::Parcel(Box::new(parcel));
        exec.server.cells.submit(need, wish, errand, exec);
        (end, Some(Served::Waits))
    }

    fn with_room() -> Self {
        Self {
            spans: Vec::with_capacity(2 * BATCH),
            requests: Vec::with_capacity(BATCH),
            ahead: None,
        }
    }

    /// Leaves one command to whoever holds the cells that it needs.
    #[cold]
    fn leave_one(
        &self,
        number: usize,
        need: CellSet,
        connection: &mut Connection,
        input: &[u8],
        exec: &mut Executor,
    ) -> (usize, Option<Served>) {
        let request = &self.requests[number];
        self.note(connection, request.end);
        let task = self.task_of(request, connection, input, exec);
        connection.waiting = Waiting::Task;
        let errand = Errand::Command(task);
        let none = CellSet::EMPTY;
        exec.server.cells.submit(need, none, errand, exec);
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
            session: connection.session.take().expect(SESSION),
            output,
            job: None,
            bounced: None,
            listed: None,
        })
    }
}

/// Has what several connections ask for first loaded, as far as the cells can be had.
pub fn load_ahead<'b>(
    batches: impl Iterator<Item = (&'b Batch, &'b [u8])> + Clone,
    exec: &mut Executor,
) {
    let server = exec.server;
    let coming = batches.filter_map(|(batch, input)| batch.coming_ahead(input));
    let mut wish = CellSet::EMPTY;
    let mut keys = 0;
    for key in coming.clone().filter_map(|one| one.request.key) {
        wish.insert(key.cell);
        keys += 1;
    }
    // One by itself is loaded as fast when it is looked for.
    if keys < 2 {
        return;
    }
    if let Some(mut held) = server.cells.try_take_some(CellSet::EMPTY, wish, exec) {
        load(coming, &held.access(), server.router);
        held.release(exec);
    }
}

const SESSION: &str = "a connection without its session executes nothing";

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
