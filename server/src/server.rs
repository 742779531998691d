//! What all loops share: cells, mailboxes, clients, configuration.
//!
//! A server lives as long as its process, so every loop refers to it by `&'static`; a test that starts several
//! leaks each one's skeleton, never its data.

use std::collections::BTreeMap;
use std::iter;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ostraka_datatypes::db::Db;
use ostraka_datatypes::hash::Seed;
use ostraka_datatypes::raw::entry::Entry;
use ostraka_datatypes::raw::table::{self, Keeper, KeeperId, Progress, ViewId, Visitor};

use crate::blocking::Straddling;
use crate::clients::{Pause, Registry};
use crate::command::table::Table;
use crate::config::ConfigStore;
use crate::heap::Heap;
use crate::latency::Spikes;
use crate::lazy_free::LazyFree;
use crate::monitor::Monitors;
use crate::observers::Ledger;
use crate::os::platform::{Listener, Waker};
use crate::recent::Recent;
use crate::router::Router;
use crate::shards::mailbox::Mailbox;
use crate::shards::{self, Cells};
use crate::slices::{LongWork, Pending};
use crate::slowlog::Logs;
use crate::stats::LoopStats;
use crate::task::{Errand, Mail};
use crate::vitals::Vitals;

/// Access to the data of cells that are held.
pub type Access<'h> = shards::Access<'h, Shard, Errand>;

/// Bits of [`Server::gates`]: conditions under which a command is looked at before it runs. All are 0 nearly always.
pub mod gate {
    /// Somebody runs MONITOR.
    pub const MONITOR: u32 = 1 << 0;
    /// CLIENT PAUSE WRITE.
    pub const PAUSE_WRITES: u32 = 1 << 1;
    /// CLIENT PAUSE ALL.
    pub const PAUSE_ALL: u32 = 1 << 2;
    pub const PAUSE: u32 = PAUSE_WRITES | PAUSE_ALL;
    /// Used memory is over `maxmemory`, and nothing can be evicted.
    pub const OUT_OF_MEMORY: u32 = 1 << 3;
    /// SHUTDOWN is waiting or under way.
    pub const STOPPING: u32 = 1 << 4;
    /// Long work under way will write some keys; see `slices`.
    pub const PENDING: u32 = 1 << 5;
    /// Clients wait for keys that need more than one cell; see `blocking`.
    pub const STRADDLING: u32 = 1 << 6;
    /// There is a `maxmemory`: every command looks whether it is kept to.
    pub const MEMORY_LIMIT: u32 = 1 << 7;
}

/// Names a database's share in one cell from the time it was empty; never used twice in a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DbId(u64);

/// From the hashes of a database to those of the next one; any odd number with as many ones as zeros would do.
const NEXT_DATABASE: u64 = 0x9e37_79b9_7f4a_7c15;

/// The data of one cell: its share of every database.
pub struct Shard {
    dbs: Box<[Db]>,
    /// Who each database is, whatever its index after SWAPDB: what a view of it is found by again.
    identities: Box<[DbId]>,
    /// Databases that were flushed while somebody looked at them through a view.
    flushed: Vec<(DbId, Db)>,
    next_identity: u64,
    /// Keys that long work under way will write.
    pub pending: Vec<Pending>,
    pub ledger: Ledger,
}

impl Shard {
    /// Empty databases, each with an order of its own: one is often filled from another.
    pub fn new(databases: usize, seed: Seed) -> Self {
        let turns = iter::successors(Some(seed), |seed| Some(seed.turn(NEXT_DATABASE)));
        Self {
            dbs: turns.take(databases).map(Db::new).collect(),
            identities: (0..databases as u64).map(DbId).collect(),
            flushed: Vec::new(),
            next_identity: databases as u64,
            pending: Vec::new(),
            ledger: Ledger::default(),
        }
    }

    #[inline]
    pub fn db(&self, index: usize) -> &Db {
        &self.dbs[index]
    }

    #[inline]
    pub fn db_mut(&mut self, index: usize) -> &mut Db {
        &mut self.dbs[index]
    }

    /// The ledger of changes, and a database to change.
    #[inline]
    pub fn parts(&mut self, index: usize) -> (&mut Ledger, &mut Db) {
        (&mut self.ledger, &mut self.dbs[index])
    }

    /// The ledger of changes, and all databases.
    pub fn all_parts(&mut self) -> (&mut Ledger, &mut [Db]) {
        (&mut self.ledger, &mut self.dbs)
    }

    pub fn dbs_mut(&mut self) -> &mut [Db] {
        &mut self.dbs
    }

    pub fn swap(&mut self, one: usize, other: usize, now_ms: u64) {
        let observers = &self.ledger.observers;
        observers.swapped(&mut self.dbs, one, other, now_ms);
        self.dbs.swap(one, other);
        self.identities.swap(one, other);
    }

    /// Gives all data back; views end without having seen the rest.
    pub fn clear(&mut self) {
        self.dbs.iter_mut().for_each(|db| drop(db.take()));
        self.flushed.clear();
    }

    /// Empties a database in constant time. Returns what was in it, to be freed elsewhere, unless somebody still looks
    /// at it; and how many keys that were.
    pub fn flush(&mut self, index: usize) -> (usize, Option<Db>) {
        let keys = self.dbs[index].len();
        if keys == 0 {
            return (0, None);
        }
        self.ledger.observers.emptied(&mut self.dbs, index);
        let mut old = self.dbs[index].take();
        self.ledger.changes += keys as u64;
        let identity = std::mem::replace(&mut self.identities[index], DbId(self.next_identity));
        self.next_identity += 1;
        if !old.table().is_looked_at() {
            return (keys, Some(old));
        }
        self.flushed.push((identity, old));
        (keys, None)
    }

    /// Begins a view of a database, which is found again under the name returned, flushed or swapped.
    pub fn begin_view(&mut self, index: usize, visitor: Box<dyn Visitor<Entry>>) -> (DbId, ViewId) {
        let view = self.dbs[index].table().begin_view(visitor);
        (self.identities[index], view)
    }

    /// See [`Table::step_view`](ostraka_datatypes::raw::table::Table::step_view).
    pub fn step_view(&mut self, (db, view): (DbId, ViewId)) -> Progress {
        self.viewed(db).table().step_view(view, 1)
    }

    /// Ends a view. Returns its visitor, and its database if that was flushed and nobody else looks at it.
    pub fn end_view(
        &mut self,
        (db, view): (DbId, ViewId),
    ) -> (Option<Box<dyn Visitor<Entry>>>, Option<Db>) {
        let visitor = self.viewed(db).table().end_view(view);
        (visitor, self.let_go(db))
    }

    /// Begins to keep something of a database, which is found again under the name returned, flushed or swapped.
    pub fn begin_keeping(
        &mut self,
        index: usize,
        keeper: Box<dyn Keeper<Entry>>,
    ) -> (DbId, KeeperId) {
        let keeper = self.dbs[index].table().begin_keeping(keeper);
        (self.identities[index], keeper)
    }

    /// A keeper, and the table that it keeps something of.
    pub fn keeper(
        &mut self,
        (db, keeper): (DbId, KeeperId),
    ) -> (&dyn Keeper<Entry>, &table::Table<Entry>) {
        let table: &table::Table<Entry> = self.viewed(db).table();
        let keeper = table.keeper(keeper);
        (keeper.expect("only its owner ends a keeper"), table)
    }

    /// Ends a keeper. Returns it, and its database if that was flushed and nobody else looks at it.
    pub fn end_keeping(
        &mut self,
        (db, keeper): (DbId, KeeperId),
    ) -> (Option<Box<dyn Keeper<Entry>>>, Option<Db>) {
        let keeper = self.viewed(db).table().end_keeping(keeper);
        (keeper, self.let_go(db))
    }

    /// A flushed database that nobody looks at any more.
    fn let_go(&mut self, db: DbId) -> Option<Db> {
        let flushed = self.flushed.iter_mut();
        let at = { flushed }.position(|(id, flushed)| *id == db && !flushed.table().is_looked_at());
        at.map(|at| self.flushed.swap_remove(at).1)
    }

    /// A database with a living view or keeper.
    fn viewed(&mut self, db: DbId) -> &mut Db {
        match self.identities.iter().position(|id| *id == db) {
            Some(index) => &mut self.dbs[index],
            None => self
                .flushed
                .iter_mut()
                .find_map(|(id, flushed)| (*id == db).then_some(flushed))
                .expect("a database that is looked at through a view is kept"),
        }
    }
}

/// How the other loops reach one.
pub struct LoopHandle {
    pub mailbox: Mailbox<Mail>,
    pub waker: Box<dyn Waker>,
    pub stats: LoopStats,
    pub recent: Recent,
}

/// Facts about this process that never change.
pub struct Identity {
    pub run_id: String,
    /// Names the history of the data to replicas.
    pub replication_id: String,
    pub started_ms: i64,
    pub executable: String,
    pub config_file: Option<std::path::PathBuf>,
}

/// Everything that is shared.
pub struct Server {
    pub cells: Cells<Shard, Errand>,
    pub loops: Box<[LoopHandle]>,
    pub router: Router,
    pub clients: Registry,
    pub config: ConfigStore,
    pub commands: Table,
    pub identity: Identity,
    pub gates: AtomicU32,
    pub pause: Pause,
    pub monitors: Monitors,
    /// When the log last told of an HTTP request, Unix ms.
    pub attack_reported_ms: AtomicI64,
    pub stats_generation: AtomicU64,
    pub lag: crate::stats::Histogram,
    pub unix_ms: AtomicI64,
    pub lazy_free: LazyFree,
    /// Memory in use: a share for each loop, then one for the thread that frees.
    pub heap: Heap,
    pub long_work: LongWork,
    pub straddling: Straddling,
    pub logs: Logs,
    pub spikes: Spikes,
    pub vitals: Vitals,
    /// What the loops listen on, to be kept when some of it changes.
    listeners: Mutex<Vec<Listener>>,
    /// DEBUG SET-ACTIVE-EXPIRE.
    pub expires_actively: AtomicBool,
    errors: Mutex<BTreeMap<String, u64>>,
    stopped: AtomicBool,
}

/// What a server is made of, from outside.
pub struct Parts {
    pub config: ConfigStore,
    pub identity: Identity,
    pub seed: u64,
    pub wakers: Vec<Box<dyn Waker>>,
    /// Pauses that a thread waits for a busy cell; 0 where threads may be more than cores.
    pub spin: u32,
}

impl Server {
    /// A server without connections, one loop for each waker.
    pub fn new(parts: Parts) -> &'static Self {
        let settings = parts.config.settings();
        let loops = parts.wakers.len();
        let cells = cells_for(loops);
        let seed = Seed::new(parts.seed);
        let databases = settings.databases as usize;
        let commands = Table::configured(crate::commands::FAMILIES, parts.config.renames())
            .unwrap_or_else(|error| panic!("{error}"));
        let handle = |waker| LoopHandle {
            mailbox: Mailbox::new(),
            waker,
            stats: LoopStats::new(commands.len()),
            recent: Recent::default(),
        };
        Box::leak(Box::new(Self {
            cells: Cells::new((0..cells).map(|_| Shard::new(databases, seed)), parts.spin),
            loops: parts.wakers.into_iter().map(handle).collect(),
            router: Router::new(seed, cells),
            clients: Registry::default(),
            identity: parts.identity,
            gates: AtomicU32::new(0),
            pause: Pause::default(),
            monitors: Monitors::default(),
            attack_reported_ms: AtomicI64::new(0),
            stats_generation: AtomicU64::new(0),
            lag: crate::stats::Histogram::default(),
            unix_ms: AtomicI64::new(0),
            lazy_free: LazyFree::default(),
            heap: Heap::new(loops + 1),
            long_work: LongWork::default(),
            straddling: Straddling::default(),
            logs: Logs::default(),
            spikes: Spikes::default(),
            vitals: Vitals::new(loops),
            listeners: Mutex::default(),
            expires_actively: AtomicBool::new(true),
            errors: Mutex::default(),
            stopped: AtomicBool::new(false),
            config: parts.config,
            commands,
        }))
    }

    /// The loop that has the duties of a cell: expiry, inboxes handed over.
    pub fn owner_of(&self, cell: usize) -> usize {
        cell * self.loops.len() / self.router.cells()
    }

    /// The cells that a loop has the duties of.
    pub fn cells_of(&self, home: usize) -> impl Iterator<Item = usize> + use<'_> {
        (0..self.router.cells()).filter(move |&cell| self.owner_of(cell) == home)
    }

    pub fn raise(&self, bits: u32) {
        self.gates.fetch_or(bits, Ordering::AcqRel);
    }

    pub fn lower(&self, bits: u32) {
        self.gates.fetch_and(!bits, Ordering::AcqRel);
    }

    /// Counts a replied error under its code (INFO errorstats).
    #[cold]
    pub fn count_error(&self, code: &str) {
        let mut errors = self.errors();
        match errors.get_mut(code) {
            Some(count) => *count += 1,
            None => {
                errors.insert(code.to_owned(), 1);
            }
        }
    }

    /// Errors replied since the last reset, by code.
    pub fn errors(&self) -> MutexGuard<'_, BTreeMap<String, u64>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends all loops after their turn and wakes them.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Release);
        self.lazy_free.close();
        self.loops.iter().for_each(|handle| handle.waker.wake());
    }

    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Acquire)
    }

    /// Other handles of what loop 0 listens on.
    pub fn listeners(&self) -> MutexGuard<'_, Vec<Listener>> {
        self.listeners
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what loop 0 listens on.
    pub fn listen_on(&self, listeners: Vec<Listener>) {
        *self.listeners() = listeners;
    }

    /// Mail for every loop, from a thread that holds no cell.
    pub fn post_all(&self, mail: impl Fn() -> Mail) {
        for handle in &self.loops {
            if handle.mailbox.post(mail()) {
                handle.waker.wake();
            }
        }
    }
}

/// Cells per loop where there are several. The more there are, the rarer two loops meet at one; but a batch of a pipeline
/// takes them all, and each is a cache line that moves between cores.
const CELLS_PER_LOOP: usize = 2;

fn cells_for(loops: usize) -> usize {
    if loops == 1 {
        1
    } else {
        (loops * CELLS_PER_LOOP).min(shards::MAX_CELLS)
    }
}
