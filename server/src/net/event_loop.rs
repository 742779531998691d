//! One thread's loop: wait, read, execute, write.
//!
//! ```text
//! turn:  poll ─▶ mail ─▶ sockets (read, parse, execute) ─▶ jobs ─▶ duties ─▶ flush ─▶ wake others
//! ```
//! A turn never blocks but in `poll`, and holds no cell across its steps. Replies are gathered per connection
//! and written once, at the end of the turn. A connection is freed at one place only (`bury`), at the end of
//! the turn in which something marked it.

mod intake;

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use self::intake::{SEATS, Seat};
use super::batch::Served;
use super::connection::{Connection, Flushed, Waiting};
use super::parcel::Parcel;
use crate::blocking::{self, Blocked, Ending};
use crate::clients::{self, ClientRecord, flag};
use crate::executor::Executor;
use crate::os::platform::{Platform, Ready, Socket};
use crate::os::reactor;
use crate::server::Server;
use crate::session::Session;
use crate::shards::CellSet;
use crate::shards::mailbox::Mailbox;
use crate::task::{Bounce, Errand, Job, Mail, Origin, Task};
use crate::{admission, duties};

/// Connections accepted per turn.
const ACCEPTS_PER_TURN: u32 = 200;

/// Pause after an accept that failed, for want of a descriptor or memory.
const ACCEPT_BACK_OFF_NS: u64 = 10_000_000;

/// Pause before a command that has to wait for somebody's long work is tried again.
const TRY_AGAIN_EVERY: Duration = Duration::from_micros(500);

/// Times that a loop which has just served several connections looks for more before it sleeps, having let others run
/// first: together about as long as to fall asleep and be woken would take.
const LAST_LOOKS: u32 = 3;

/// Connections looked after per tenth of a second, at most.
const SWEPT_PER_ROUND: usize = 2000;

/// A loop, its connections, and the thread's executor.
pub struct EventLoop {
    platform: Box<dyn Platform>,
    exec: Executor,
    connections: Slab<Connection>,
    ready: Vec<Ready>,
    seats: Box<[Seat]>,
    mail: Vec<Mail>,
    /// Connections with something to write at the end of this turn.
    unflushed: Vec<usize>,
    /// Connections whose input was not exhausted: served again next turn without an event.
    hungry: Vec<usize>,
    /// Connections that wait for the end of CLIENT PAUSE.
    paused: Vec<Origin>,
    /// Until when connections wait for a key, Unix ms, and which.
    deadlines: BTreeSet<(i64, usize)>,
    /// Connections whose next command has to wait for somebody's long work.
    busy: Vec<Origin>,
    /// Listeners at which somebody may wait that no event will tell of, and when to look again.
    waiting_listeners: Vec<usize>,
    accept_again_ns: u64,
    /// Where the next round of looking after idle connections begins.
    next_swept: usize,
    doomed: Vec<usize>,
    jobs: Vec<(usize, u64, Box<dyn Job>)>,
    next_home: usize,
    next_cron_ns: u64,
    /// See [`LAST_LOOKS`].
    looks_left: u32,
}

impl EventLoop {
    pub fn new(platform: Box<dyn Platform>, exec: Executor) -> Self {
        let made = Self {
            platform,
            exec,
            connections: Slab::new(),
            ready: Vec::new(),
            seats: Seat::row(),
            mail: Vec::new(),
            unflushed: Vec::new(),
            hungry: Vec::new(),
            paused: Vec::new(),
            deadlines: BTreeSet::new(),
            busy: Vec::new(),
            waiting_listeners: Vec::new(),
            accept_again_ns: 0,
            next_swept: 0,
            doomed: Vec::new(),
            jobs: Vec::new(),
            next_home: 0,
            next_cron_ns: 0,
            looks_left: 0,
        };
        made.exec.publish_memory();
        made
    }

    /// Turns until the server stops.
    pub fn run(mut self) {
        loop {
            let timeout = self.rest();
            if !self.turn(timeout) {
                return self.end();
            }
        }
    }

    /// Sends what the sockets take of the replies that are ready, and closes every connection.
    pub fn end(mut self) {
        let open: Vec<usize> = self.connections.iter().map(|(token, _)| token).collect();
        for &token in &open {
            // A client that does not listen now is not waited for.
            let _sent = self.connections[token].flush(&mut self.exec);
        }
        self.doomed = open;
        self.bury();
    }

    /// How long this loop may sleep before its next turn. From here on it counts as asleep: others wake it.
    pub fn rest(&mut self) -> Duration {
        let busy = !self.hungry.is_empty() || !self.jobs.is_empty() || !self.unflushed.is_empty();
        let wait = duties::until_next(&self.exec, self.next_cron_ns).min(self.until_overdue());
        if busy || wait.is_zero() {
            return Duration::ZERO;
        }
        if self.looks_left > 0 {
            self.looks_left -= 1;
            std::thread::yield_now();
            return Duration::ZERO;
        }
        let may_sleep = self.mailbox().before_sleep();
        if may_sleep { wait } else { Duration::ZERO }
    }

    /// One turn, which waits at most `timeout` for something to happen. `false`: the server stops.
    pub fn turn(&mut self, timeout: Duration) -> bool {
        self.ready.clear();
        if let Err(error) = self.platform.poll(Some(timeout), &mut self.ready) {
            crate::log::warning(format_args!("poll failed: {error}"));
        }
        self.mailbox().take(&mut self.mail);
        self.exec.begin_turn();
        let began_ns = self.exec.now_ns;
        self.take_mail();
        self.serve_ready();
        self.step_jobs();
        self.end_pause();
        self.end_waits();
        self.try_again();
        if duties::run(&mut self.exec, &mut self.next_cron_ns) {
            self.sweep();
        }
        self.flush_all();
        self.exec.wake();
        self.bury();
        self.exec.publish_memory();
        let stats = self.exec.stats();
        stats.eventloop_cycles.add(1);
        stats
            .eventloop_ns
            .add(self.exec.clock.monotonic_ns().saturating_sub(began_ns));
        !self.exec.server.is_stopped()
    }

    /// How long until a paused connection goes on, or a listener is looked at again.
    fn until_overdue(&self) -> Duration {
        let mut wait = Duration::MAX;
        if !self.paused.is_empty() {
            let left_ms = self.exec.server.pause.until_ms() - self.exec.now_ms;
            wait = Duration::from_millis(left_ms.max(1) as u64);
        }
        if !self.busy.is_empty() {
            wait = wait.min(TRY_AGAIN_EVERY);
        }
        if let Some((deadline_ms, _)) = self.deadlines.first() {
            let left_ms = (deadline_ms + 1 - self.exec.now_ms).max(0);
            wait = wait.min(Duration::from_millis(left_ms as u64));
        }
        if !self.waiting_listeners.is_empty() {
            let left_ns = self.accept_again_ns.saturating_sub(self.exec.now_ns);
            wait = wait.min(Duration::from_nanos(left_ns));
        }
        wait
    }

    fn mailbox(&self) -> &'static Mailbox<Mail> {
        &self.exec.server.loops[self.exec.home].mailbox
    }

    fn take_mail(&mut self) {
        let mut mail = std::mem::take(&mut self.mail);
        for item in mail.drain(..) {
            match item {
                Mail::Accepted(socket) => self.adopt(socket),
                Mail::Done(task) => self.finish(task),
                Mail::Carried(parcel) => self.unpack(*parcel),
                Mail::Parked(blocked) => self.await_key(&blocked),
                Mail::Ready(name) => self.exec.serve_with_all_cells(name),
                Mail::Monitor(origin, line) => self.feed_monitor(origin, &line),
                Mail::Review => self.review(),
                Mail::Drain(cell) => {
                    let server = self.exec.server;
                    server.cells.drain(cell, &mut self.exec);
                }
                Mail::Listen(listeners) => {
                    if let Err(error) = self.platform.listen(listeners) {
                        crate::log::warning(format_args!("cannot listen: {error}"));
                    }
                }
            }
        }
        self.mail = mail;
    }

    fn serve_ready(&mut self) {
        if self.exec.now_ns >= self.accept_again_ns {
            for listener in std::mem::take(&mut self.waiting_listeners) {
                self.accept(listener);
            }
        }
        for token in std::mem::take(&mut self.hungry) {
            if let Some(connection) = self.connections.get_mut(token) {
                connection.hungry = false;
                self.go_on(token);
            }
        }
        let ready = std::mem::take(&mut self.ready);
        if ready.len() > 1 {
            self.looks_left = LAST_LOOKS;
        }
        for group in ready.chunks(SEATS) {
            self.serve_group(group);
        }
        self.ready = ready;
    }

    // ---- connections come

    /// Accepts who waits at a listener. Events tell of newcomers only, so a listener that is left before nobody
    /// waits any more is looked at again: next turn, or after a while if it cannot be helped now.
    fn accept(&mut self, listener: usize) {
        let mut failed = None;
        for _ in 0..ACCEPTS_PER_TURN {
            match self.platform.accept(listener, admission::TOO_MANY) {
                Ok(socket) => self.place(socket),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The peer gave up before we looked.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    self.exec.stats().connections_rejected.add(1);
                    failed = Some(error);
                    break;
                }
            }
        }
        if !self.waiting_listeners.contains(&listener) {
            self.waiting_listeners.push(listener);
        }
        self.accept_again_ns = self.exec.now_ns;
        if let Some(error) = failed {
            crate::log::warning(format_args!("Accepting client connection: {error}"));
            self.accept_again_ns += ACCEPT_BACK_OFF_NS;
        }
    }

    /// Hands a new connection to the next loop in turn.
    fn place(&mut self, socket: Box<dyn Socket>) {
        let home = self.next_home;
        self.next_home = (home + 1) % self.exec.server.loops.len();
        if home == self.exec.home {
            self.adopt(socket);
        } else {
            self.exec.post(home, Mail::Accepted(socket));
        }
    }

    /// Makes a connection of a socket that was accepted for this loop, by the settings of this moment: whoever comes
    /// after the reply to a CONFIG SET of `requirepass` or `maxclients` is judged by it, whichever loop is its home.
    fn adopt(&mut self, socket: Box<dyn Socket>) {
        let server = self.exec.server;
        self.exec.catch_up();
        if admission::is_exposed(&*socket, &self.exec.settings) {
            return self.turn_away(socket, admission::PROTECTED);
        }
        let slot = self.connections.vacant_entry();
        let (token, home) = (slot.key(), self.exec.home);
        let id = server.clients.next_id();
        let record = ClientRecord::new(id, home, token, &*socket, self.exec.now_ms);
        let record = Arc::new(record);
        let limit = self.exec.settings.maxclients as usize;
        if !server.clients.admit(&record, limit) {
            return self.turn_away(socket, admission::TOO_MANY);
        }
        if let Err(error) = self.platform.attach(socket.descriptor(), token) {
            crate::log::warning(format_args!("Registering a client connection: {error}"));
            return server.clients.gone(&record);
        }
        if let Err(error) = reactor::set_keepalive(&*socket, self.exec.settings.tcp_keepalive_s) {
            crate::log::warning(format_args!(
                "Setting the keepalive of a client connection: {error}"
            ));
        }
        self.exec.stats().connections_received.add(1);
        let origin = record.origin();
        let session = Session::new(record, self.exec.settings.requirepass.is_none());
        slot.insert(Connection::new(socket, origin, session));
    }

    fn turn_away(&self, mut socket: Box<dyn Socket>, refusal: &str) {
        self.exec.stats().connections_rejected.add(1);
        // Told if it listens; the connection is closed either way.
        let _told = socket.write_vectored(&[io::IoSlice::new(refusal.as_bytes())]);
    }

    // ---- bytes come and go

    fn peer_closed(&mut self, token: usize) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        connection.peer_closed = true;
        if matches!(
            connection.waiting,
            Waiting::Pause | Waiting::Busy | Waiting::Key
        ) {
            // What it asked for has not happened, and nobody will ever hear of it.
            self.doom(token);
        }
    }

    /// Has a connection served next turn, event or not.
    fn hunger(&mut self, token: usize) {
        if let Some(connection) = self.connections.get_mut(token)
            && !connection.hungry
        {
            connection.hungry = true;
            self.hungry.push(token);
        }
    }

    fn settle(&mut self, token: usize, served: Served) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let origin = connection.origin;
        match served {
            Served::All | Served::Waits => {}
            Served::Choked => connection.pending = true,
            Served::Paused => {
                connection.set_paused(true);
                self.paused.push(origin);
            }
            Served::Busy => {
                connection.waiting = Waiting::Busy;
                self.busy.push(origin);
            }
            Served::Parked(blocked) => self.await_key(&blocked),
            Served::Job(job) => self.jobs.push((token, origin.client, job)),
            Served::Broken => connection.close_when_flushed(),
            Served::Aborted => self.doomed.push(token),
        }
        self.flush_later(token);
    }

    /// Has the output sent at the end of this turn, and the connection closed behind it if it is to be.
    fn flush_later(&mut self, token: usize) {
        if let Some(connection) = self.connections.get_mut(token)
            && (connection.has_output() || connection.is_closing())
            && !connection.unflushed
        {
            connection.unflushed = true;
            self.unflushed.push(token);
        }
    }

    fn writable(&mut self, token: usize) {
        self.flush_later(token);
    }

    fn flush_all(&mut self) {
        let unflushed = std::mem::take(&mut self.unflushed);
        for &token in &unflushed {
            let Some(connection) = self.connections.get_mut(token) else {
                continue;
            };
            connection.unflushed = false;
            match connection.flush(&mut self.exec) {
                Flushed::All => {
                    if connection.closes_when_flushed() {
                        self.doomed.push(token);
                    } else if connection.waiting == Waiting::Nothing
                        && (connection.readable || connection.pending)
                    {
                        self.hunger(token);
                    }
                }
                Flushed::Some => {}
                Flushed::Again => {
                    connection.unflushed = true;
                    self.unflushed.push(token);
                }
                Flushed::Failed => self.doomed.push(token),
            }
        }
    }

    // ---- what waited goes on

    fn connection_of(&mut self, origin: Origin) -> Option<&mut Connection> {
        self.connections
            .get_mut(origin.token)
            .filter(|connection| connection.origin == origin)
    }

    /// A task is back: its session and reply return to the connection, which goes on with what it has received.
    fn finish(&mut self, mut task: Box<Task>) {
        let origin = task.origin;
        let job = task.job.take();
        if let Some(blocked) = task.listed.take() {
            self.exec.unlist(blocked);
        }
        if let Some(connection) = self.connection_of(origin)
            && let Some(deadline_ms) = connection.deadline_ms.take()
        {
            self.deadlines.remove(&(deadline_ms, origin.token));
        }
        let Some(connection) = self.connection_of(origin) else {
            // The connection died meanwhile; the command has been executed all the same.
            return self.orphan(origin, &mut task.session, job);
        };
        if let Some(Bounce::Straddling(need)) = task.bounced {
            task.bounced = None;
            let server = self.exec.server;
            let errand = Errand::Command(task);
            return server
                .cells
                .submit(need, CellSet::EMPTY, errand, &mut self.exec);
        }
        if let Some(bounce) = task.bounced {
            connection.put_back(&task.bytes, &task.spans);
            connection.take_back(*task);
            match bounce {
                Bounce::Paused => {
                    connection.set_paused(true);
                    self.paused.push(origin);
                }
                Bounce::Straddling(_) => unreachable!("it goes on as a task"),
                Bounce::Busy => {
                    connection.waiting = Waiting::Busy;
                    self.busy.push(origin);
                }
            }
            return;
        }
        connection.take_back(*task);
        self.resume(origin, job);
    }

    /// A parcel is back: its connection goes on with what is left of it, and with what it has received.
    fn unpack(&mut self, mut parcel: Parcel) {
        let origin = parcel.origin;
        let job = parcel.job.take();
        let Some(connection) = self.connection_of(origin) else {
            // The connection died meanwhile; what was executed has happened all the same.
            return self.orphan(origin, &mut parcel.session, job);
        };
        connection.unpack(parcel);
        self.resume(origin, job);
    }

    /// Goes on with a connection whose session is back: with the job that was left, or with what it has received.
    fn resume(&mut self, origin: Origin, job: Option<Box<dyn Job>>) {
        match job {
            Some(job) => {
                self.connections[origin.token].waiting = Waiting::Job;
                self.jobs.push((origin.token, origin.client, job));
            }
            None => self.go_on(origin.token),
        }
        self.flush_later(origin.token);
    }

    /// Takes leave of a session whose connection is gone; the job that was left is not.
    fn orphan(&mut self, origin: Origin, session: &mut Session, job: Option<Box<dyn Job>>) {
        self.exec.forget(session);
        self.jobs
            .extend(job.map(|job| (origin.token, origin.client, job)));
    }

    /// A command of a connection waits for a key: not for ever, maybe, and not for a client that is gone.
    fn await_key(&mut self, blocked: &Arc<Blocked>) {
        let origin = blocked.origin;
        let Some(connection) = self.connection_of(origin) else {
            return self.end_wait(blocked, Ending::Gone);
        };
        connection.waiting = Waiting::Key;
        connection.deadline_ms = blocked.deadline_ms;
        if connection.peer_closed {
            self.doom(origin.token);
        }
        if let Some(deadline_ms) = blocked.deadline_ms {
            self.deadlines.insert((deadline_ms, origin.token));
        }
    }

    /// If it is being served right now, its task comes home by mail.
    fn end_wait(&mut self, blocked: &Arc<Blocked>, ending: Ending) {
        if let Some(task) = blocking::end(&mut self.exec, blocked, ending) {
            self.finish(task);
        }
    }

    /// Answers those who have waited for a key for as long as they wanted to, the millisecond in which they began not
    /// counted: none of them too early.
    fn end_waits(&mut self) {
        while let Some(&(deadline_ms, token)) = self.deadlines.first()
            && deadline_ms < self.exec.now_ms
        {
            self.deadlines.pop_first();
            let Some(connection) = self.connections.get_mut(token) else {
                continue;
            };
            connection.deadline_ms = None;
            if let Some(blocked) = connection.record.parked() {
                self.end_wait(&blocked, Ending::Nil);
            }
        }
    }

    /// Serves a connection that waits for nothing any more: first what it has received, then what the socket has.
    fn go_on(&mut self, token: usize) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        if connection.is_closing() {
            return;
        }
        connection.pending = false;
        if !connection.input.is_empty() {
            // What was acknowledged before its wait ended must be in force for what was behind it.
            self.exec.catch_up();
            self.serve(token, 0, 0);
        }
        if self.connections[token].readable {
            self.readable(token);
        }
    }

    fn step_jobs(&mut self) {
        for (token, client, mut job) in std::mem::take(&mut self.jobs) {
            let alive = self
                .connections
                .get(token)
                .is_some_and(|c| c.origin.client == client);
            if !alive {
                if !job.abandon(&mut self.exec) {
                    self.jobs.push((token, client, job));
                }
            } else if job.step(&mut self.exec) {
                let connection = &mut self.connections[token];
                connection.waiting = Waiting::Nothing;
                connection.reply_of_job(&mut *job);
                self.flush_later(token);
                self.go_on(token);
            } else {
                self.jobs.push((token, client, job));
            }
            self.exec.wake();
        }
    }

    fn feed_monitor(&mut self, origin: Origin, line: &[u8]) {
        if let Some(connection) = self.connection_of(origin) {
            connection.append(line);
            self.flush_later(origin.token);
        }
    }

    /// Looks for clients that other threads want closed.
    fn review(&mut self) {
        let marked = self.connections.iter();
        let marked = marked.filter(|(_, connection)| connection.record.is_doomed());
        self.doomed.extend(marked.map(|(token, _)| token));
    }

    /// Goes on with those who waited, once the pause is over.
    fn end_pause(&mut self) {
        let server = self.exec.server;
        if self.paused.is_empty() || server.pause.is_on(server, self.exec.now_ms) {
            return;
        }
        for origin in std::mem::take(&mut self.paused) {
            if let Some(connection) = self.connection_of(origin) {
                connection.set_paused(false);
                self.go_on(origin.token);
            }
        }
    }

    /// Tries the commands again that had to wait for somebody's long work.
    fn try_again(&mut self) {
        for origin in std::mem::take(&mut self.busy) {
            if let Some(connection) = self.connection_of(origin) {
                connection.waiting = Waiting::Nothing;
                self.go_on(origin.token);
            }
        }
    }

    /// Looks after some of the connections, all of them about once a second: closes those that are idle for too long
    /// or over a soft limit for too long, of which no event tells.
    fn sweep(&mut self) {
        let slots = self.connections.capacity();
        let share = (slots / 10 + 1).min(SWEPT_PER_ROUND);
        for _ in 0..share.min(slots) {
            let token = self.next_swept;
            self.next_swept = (token + 1) % slots;
            self.look_after(token);
        }
        if self.exec.home == 0 {
            clients::evict(&mut self.exec);
        }
    }

    fn look_after(&mut self, token: usize) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let timeout_ms = i64::from(self.exec.settings.timeout_s) * 1000;
        if timeout_ms > 0 && connection.is_idle_since(timeout_ms, self.exec.now_ms) {
            return self.doom(token);
        }
        if connection.has_output()
            && matches!(connection.judge_backlog(&self.exec), Flushed::Failed)
        {
            self.doom(token);
        }
    }

    // ---- connections go

    fn doom(&mut self, token: usize) {
        self.doomed.push(token);
    }

    /// The only place where connections are freed.
    fn bury(&mut self) {
        for token in std::mem::take(&mut self.doomed) {
            let Some(mut connection) = self.connections.try_remove(token) else {
                continue;
            };
            if let Some(session) = &mut connection.session {
                self.exec.forget(session);
            }
            if let Some(deadline_ms) = connection.deadline_ms {
                self.deadlines.remove(&(deadline_ms, token));
            }
            if connection.waiting == Waiting::Key
                && let Some(blocked) = connection.record.parked()
            {
                self.end_wait(&blocked, Ending::Gone);
            }
            self.platform.detach(connection.socket.descriptor());
            let server = self.exec.server;
            if connection.record.has(flag::MONITOR) {
                server.monitors.remove(server, connection.origin);
            }
            let record = Arc::clone(&connection.record);
            drop(connection);
            if record.is_doomed() {
                self.exec.publish_memory();
            }
            server.clients.gone(&record);
        }
    }

    /// Connections that this loop owns.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    pub fn server(&self) -> &'static Server {
        self.exec.server
    }
}
