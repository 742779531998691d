//! The executing thread: its clock, dice, counters and outgoing wake-ups.
//!
//! Whoever holds a cell executes on it, for its own connections and for those of other loops, so everything a
//! command needs besides the data comes from here and never from the cell's owner.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ostraka_datatypes::raw::entry::Entry;
use ostraka_datatypes::resp::Output;

use crate::blocking::{self, Name};
use crate::config::Settings;
use crate::engine::{self, Ended};
use crate::eviction::Pool;
use crate::lazy_free::{self, Garbage};
use crate::os::allocator::ThreadBytes;
use crate::os::clock::Clock;
use crate::os::entropy::Dice;
use crate::server::{Access, Server, Shard};
use crate::session::Session;
use crate::shards::{CellSet, Executor as Runs};
use crate::slowlog::Thresholds;
use crate::stats::LoopStats;
use crate::task::{Errand, Mail, Unwatch};
use crate::transaction::Queue;

/// Time that a loop spends on a duty before it looks at its sockets again.
pub const SLICE_NS: u64 = 100_000;

/// Time that a loop spends on other loops' jobs before it leaves them to their cells' owners. Short enough for its own
/// connections; a shorter one is used up by a handful of batches, and then each cell that is handed over turns
/// away more of them than it saved.
const DRAIN_NS: u64 = 500_000;

/// Unsent bytes up to which output limits do not count them: as many as fit Redis' own fixed buffer.
pub const SMALL_REPLY: usize = 16 * 1024;

/// A larger buffer than this is given back rather than kept for the next reply.
const BUFFER_MAX: usize = 128 * 1024;

/// Buffers kept: as many connections as are answered in a turn of a busy loop.
const BUFFERS: usize = 32;

/// One per loop.
pub struct Executor {
    /// The loop's number.
    pub home: usize,
    stats: &'static LoopStats,
    pub server: &'static Server,
    pub settings: Arc<Settings>,
    settings_generation: u64,
    /// Follows from the settings.
    pub thresholds: Thresholds,
    pub clock: Clock,
    pub dice: Dice,
    /// Monotonic time at the last command boundary.
    pub now_ns: u64,
    /// Unix time, as commands of this batch see it.
    pub now_ms: i64,
    /// Earliest deadline that this loop knows of, per cell; see `duties`.
    pub due: Box<[i64]>,
    pub soonest: i64,
    drain_until_ns: u64,
    /// What may be evicted next.
    pub pool: Pool,
    /// There is more to evict than could be done at once.
    pub evicts_on: bool,
    /// When eviction looks at the clients again.
    pub next_look_at_clients_ns: u64,
    heap: ThreadBytes,
    /// Commands that this loop has begun.
    begun: u64,
    /// Loops (never more than cells) that have mail and were asleep.
    asleep: CellSet,
    /// Buffers that replies are gathered in, lent from connection to connection; the warmest is the last.
    buffers: Vec<Vec<u8>>,
    /// An empty queue, lent from transaction to transaction.
    queue: Option<Box<Queue>>,
    /// Keys that somebody waits for and that have been changed; served before the cells are put down.
    pub ready: VecDeque<Name>,
}

impl Executor {
    pub fn new(home: usize, server: &'static Server, clock: Clock, seed: u64) -> Self {
        let cells = server.router.cells();
        let settings_generation = server.config.generation();
        let settings = server.config.settings();
        let mut executor = Self {
            home,
            stats: &server.loops[home].stats,
            thresholds: Thresholds::of(&settings),
            settings,
            settings_generation,
            server,
            clock,
            dice: Dice::new(seed),
            now_ns: 0,
            now_ms: 0,
            due: vec![i64::MAX; cells].into(),
            soonest: i64::MAX,
            drain_until_ns: 0,
            pool: Pool::default(),
            evicts_on: false,
            next_look_at_clients_ns: 0,
            heap: ThreadBytes::new(),
            begun: 0,
            asleep: CellSet::EMPTY,
            buffers: Vec::with_capacity(BUFFERS),
            queue: None,
            ready: VecDeque::new(),
        };
        executor.begin_turn();
        executor
    }

    #[inline]
    pub fn stats(&self) -> &'static LoopStats {
        self.stats
    }

    /// Memory in use: this loop's share as of now, those of others as of their last turn.
    #[inline]
    pub fn used_memory(&self) -> u64 {
        self.publish_memory();
        self.server.heap.used()
    }

    /// Lets others know what this loop's share of the memory in use is.
    #[inline]
    pub fn publish_memory(&self) {
        self.server.heap.publish(self.home, &self.heap);
    }

    /// Remembers for a crash report that a command is about to run.
    #[inline]
    pub fn note(&mut self, command: usize) {
        self.begun += 1;
        self.server.loops[self.home]
            .recent
            .note(self.begun, command);
    }

    /// Looks at the clock and at what other threads may have changed.
    pub fn begin_turn(&mut self) {
        self.now_ns = self.clock.tick();
        self.now_ms = self.clock.unix_ms_at(self.now_ns);
        self.drain_until_ns = self.now_ns + DRAIN_NS;
        self.catch_up();
    }

    /// Notices a CONFIG SET or RESETSTAT.
    pub fn catch_up(&mut self) {
        let generation = self.server.config.generation();
        if generation != self.settings_generation {
            self.settings = self.server.config.settings();
            self.thresholds = Thresholds::of(&self.settings);
            self.settings_generation = generation;
        }
        self.stats().catch_up(&self.server.stats_generation);
    }

    /// Reads the clock; commands see the new time from now on. Returns nanoseconds since the last reading.
    #[inline]
    pub fn lap(&mut self) -> u64 {
        let now = self.clock.monotonic_ns();
        let took = now.saturating_sub(self.now_ns);
        self.now_ns = now;
        took
    }

    /// Reads the clock for commands whose cells have just been taken: whoever held them before has seen no later time.
    #[inline]
    pub fn begin_batch(&mut self) {
        self.begin_job();
        self.drain_until_ns = self.now_ns + DRAIN_NS;
    }

    /// The same for another loop's job, which is done within the time of the batch that its cells were taken for.
    #[inline]
    pub fn begin_job(&mut self) {
        self.lap();
        self.refresh_now();
    }

    /// Makes the last clock reading the time that commands see.
    #[inline]
    pub fn refresh_now(&mut self) {
        self.now_ms = self.clock.unix_ms_at(self.now_ns);
    }

    /// The gates that are raised for everybody.
    #[inline]
    pub fn raised(&self) -> u32 {
        self.server.gates.load(Relaxed)
    }

    /// Bytes of a reply beyond which its client is closed anyway, 0 for any number: the hard limit of normal clients.
    #[inline]
    pub fn output_limit(&self) -> usize {
        match self.settings.client_output_buffer_limit.normal.hard_bytes {
            0 => 0,
            hard => SMALL_REPLY.max(hard as usize),
        }
    }

    /// Gives an output that has no buffer a warm one.
    #[inline]
    pub fn lend_buffer(&mut self, output: &mut Output) {
        if !output.has_buffer()
            && let Some(buffer) = self.buffers.pop()
        {
            output.lend(buffer);
        }
    }

    /// Keeps the buffer of an output that has been sent.
    #[inline]
    pub fn take_buffer(&mut self, buffer: Vec<u8>) {
        let worth_it = (1..=BUFFER_MAX).contains(&buffer.capacity());
        if worth_it && self.buffers.len() < BUFFERS {
            self.buffers.push(buffer);
        }
    }

    /// Remembers that a key may have become what somebody waits for.
    pub fn note_ready(&mut self, name: Name) {
        if !self.ready.contains(&name) {
            self.ready.push_back(name);
        }
    }

    /// An empty queue for a transaction that begins.
    pub fn lend_queue(&mut self) -> Box<Queue> {
        self.queue.take().unwrap_or_default()
    }

    /// Keeps the queue of a transaction that has ended.
    pub fn take_queue(&mut self, queue: Box<Queue>) {
        self.queue = queue.emptied();
    }

    /// Takes back what the session of a connection that is gone has left in cells; those that are busy see to it
    /// themselves.
    pub fn forget(&mut self, session: &mut Session) {
        let Some(watching) = session.watching.take() else {
            return;
        };
        let (cells, client) = (watching.cells(), session.id());
        match self.server.cells.try_take(cells, self) {
            Some(mut held) => {
                watching.end(&mut held.access(), client);
                held.release(self);
            }
            None => {
                let watching = *watching;
                let errand = Errand::Unwatch(Box::new(Unwatch { client, watching }));
                let none = CellSet::EMPTY;
                self.server.cells.submit(cells, none, errand, self);
            }
        }
    }

    /// Frees what may be large off the loop; it counts as so many objects.
    pub fn free_later(&self, objects: usize, garbage: Garbage) {
        self.stats().lazyfreed_objects.add(objects as u64);
        self.server.lazy_free.give(objects as u64, garbage);
    }

    /// Frees an entry that has been taken out of the keyspace, later if it is large.
    #[inline]
    pub fn discard(&self, entry: Entry) {
        if lazy_free::is_worth_it(&entry) {
            self.free_later(1, Box::new(entry));
        }
    }

    /// Hands mail to loop `to`; a sleeping loop is woken by the next [`Executor::wake`].
    pub fn post(&mut self, to: usize, mail: Mail) {
        if self.server.loops[to].mailbox.post(mail) {
            self.asleep.insert(to);
        }
    }

    /// Wakes the loops that mail was posted to while they slept. Called with no cell held.
    #[inline]
    pub fn wake(&mut self) {
        if !self.asleep.is_empty() {
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(&mut self) {
        for home in std::mem::take(&mut self.asleep) {
            self.stats().wakeups.add(1);
            self.server.loops[home].waker.wake();
        }
    }

    /// Remembers that something in `cell` expires at `deadline_ms`.
    #[inline]
    pub fn expect(&mut self, cell: usize, deadline_ms: i64) {
        if deadline_ms < self.due[cell] {
            self.due[cell] = deadline_ms;
            self.soonest = self.soonest.min(deadline_ms);
        }
    }
}

impl Runs<Shard, Errand> for Executor {
    fn run(&mut self, access: &mut Access<'_>, errand: Errand) {
        match errand {
            Errand::Command(mut task) => {
                let home = task.origin.home;
                let mail = if engine::run_task(self, access, &mut task) == Ended::Blocked {
                    Mail::Parked(blocking::park(self, access, task))
                } else {
                    Mail::Done(task)
                };
                self.post(home, mail);
            }
            Errand::Parcel(mut parcel) => {
                parcel.run(self, access);
                self.post(parcel.origin.home, Mail::Carried(parcel));
            }
            Errand::Unwatch(unwatch) => unwatch.watching.end(access, unwatch.client),
            Errand::Unlist(blocked) => blocked.unlist(access),
            Errand::Serve(name) => {
                self.begin_job();
                self.note_ready(name);
                blocking::serve(self, access);
            }
        }
    }

    fn hand_over(&mut self, cell: usize) {
        self.post(self.server.owner_of(cell), Mail::Drain(cell));
    }

    fn exhausted(&mut self) -> bool {
        self.clock.monotonic_ns() > self.drain_until_ns
    }
}
