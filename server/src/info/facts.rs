//! What the fields of INFO and MEMORY are computed from, gathered once per call.

use std::sync::atomic::Ordering::Relaxed;

use crate::call::Call;
use crate::clients;
use crate::config::Settings;
use crate::os::allocator::{self, Snapshot};
use crate::os::usage;
use crate::server::{Server, gate};
use crate::stats::{self, LoopStats};
use crate::vitals::{Rate, Rates};

/// One moment of the server.
pub struct Facts<'a> {
    pub server: &'static Server,
    pub settings: &'a Settings,
    /// What time is measured with.
    pub clock: &'static str,
    /// Unix time in µs.
    pub now_us: i64,
    /// The sum of all loops' counters.
    pub stats: LoopStats,
    pub rates: Rates,
    pub clients: Clients,
    pub memory: MemoryUse,
    /// What is in the databases: of all cells that the call holds.
    pub keys: Keys,
}

/// What the registry of clients says.
#[derive(Clone, Copy, Debug, Default)]
pub struct Clients {
    pub connected: u64,
    /// Connections waiting for CLIENT UNPAUSE or the end of a pause.
    pub waiting: u64,
    pub watching: u64,
    /// Connections that wait for a key until a certain time.
    pub timed: u64,
    /// Bytes of buffers, and of the longest ones.
    pub buffer_bytes: u64,
    pub longest_input: u64,
    pub longest_output: u64,
}

/// Memory in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryUse {
    pub heap: Snapshot,
    pub rss: u64,
    pub peak: u64,
    pub startup: u64,
    pub clients: u64,
    /// Tables and indexes.
    pub tables: u64,
}

impl MemoryUse {
    /// What is in use and no data.
    pub fn overhead(&self) -> u64 {
        self.startup + self.clients + self.tables
    }

    pub fn dataset(&self) -> u64 {
        self.heap.allocated.saturating_sub(self.overhead())
    }

    /// The data's share of what was allocated since the start.
    pub fn dataset_share(&self) -> f64 {
        let since_start = self.heap.allocated.saturating_sub(self.startup);
        super::ratio(self.dataset(), since_start)
    }
}

/// What is in the databases.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    /// One per database.
    pub databases: Vec<DatabaseKeys>,
    /// Changes since the server started.
    pub changes: u64,
    /// Keys that somebody watches, and keys that somebody waits for.
    pub watched: u64,
    pub waited_for: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct DatabaseKeys {
    pub keys: u64,
    pub volatile: u64,
    /// Hashes with fields that have a deadline.
    pub timed_hashes: u64,
    pub deadlines_ms: u128,
    pub table_bytes: u64,
    pub index_bytes: u64,
}

impl DatabaseKeys {
    /// The mean time to live of those keys that have one.
    pub fn average_ttl_ms(&self, now_ms: i64) -> u64 {
        let mean = self
            .deadlines_ms
            .checked_div(u128::from(self.volatile))
            .unwrap_or(0);
        (mean as u64).saturating_sub(now_ms as u64)
    }
}

impl Keys {
    fn of(c: &mut Call<'_>) -> Self {
        let databases = c.db.exec.settings.databases as usize;
        let mut keys = Self {
            databases: vec![DatabaseKeys::default(); databases],
            changes: 0,
            watched: 0,
            waited_for: 0,
        };
        for cell in c.db.held() {
            let shard = c.db.shard(cell);
            keys.changes += shard.ledger.changes;
            keys.watched += shard.ledger.observers.watched() as u64;
            keys.waited_for += shard.ledger.observers.waited_for() as u64;
            for (sum, db) in keys.databases.iter_mut().zip(shard.dbs_mut()) {
                let (table, index) = db.overhead();
                sum.keys += db.len() as u64;
                sum.volatile += db.volatile() as u64;
                sum.timed_hashes += db.timed_hashes() as u64;
                sum.deadlines_ms += db.deadlines_ms();
                sum.table_bytes += table as u64;
                sum.index_bytes += index as u64;
            }
        }
        keys
    }

    pub fn total(&self) -> u64 {
        self.databases.iter().map(|db| db.keys).sum()
    }
}

impl Clients {
    fn of(server: &Server) -> Self {
        let mut sums = Self::default();
        for record in server.clients.all() {
            let input = record.query_capacity.load(Relaxed);
            let output = record.output_bytes.load(Relaxed);
            sums.connected += 1;
            sums.waiting += u64::from(record.has(clients::flag::WAITING));
            let parked = record.parked();
            let timed = parked.is_some_and(|blocked| blocked.deadline_ms.is_some());
            sums.timed += u64::from(timed);
            sums.watching += u64::from(record.has(clients::flag::WATCHING));
            sums.buffer_bytes += clients::memory(&record);
            sums.longest_input = sums.longest_input.max(input);
            sums.longest_output = sums.longest_output.max(output);
        }
        sums
    }
}

impl<'a> Facts<'a> {
    pub fn gather(c: &mut Call<'_>, settings: &'a Settings) -> Self {
        let server = c.server;
        let now_us = c.db.exec.clock.unix_ns_at(c.db.exec.now_ns) / 1000;
        let keys = Keys::of(c);
        let clients = Clients::of(server);
        let mut heap = allocator::snapshot();
        heap.allocated = c.db.exec.used_memory();
        let tables = keys
            .databases
            .iter()
            .map(|db| db.table_bytes + db.index_bytes);
        Self {
            server,
            settings,
            clock: c.db.exec.clock.name(),
            now_us,
            stats: stats::sum(
                server.loops.iter().map(|handle| &handle.stats),
                server.commands.len(),
                &server.stats_generation,
            ),
            rates: server.vitals.rates(),
            clients,
            memory: MemoryUse {
                heap,
                rss: usage::resident_bytes(),
                peak: server.vitals.peak_bytes(heap.allocated),
                startup: server.vitals.startup_bytes,
                clients: clients.buffer_bytes,
                tables: tables.sum(),
            },
            keys,
        }
    }

    pub fn now_ms(&self) -> i64 {
        self.now_us / 1000
    }

    pub fn uptime_s(&self) -> i64 {
        (self.now_ms() - self.server.identity.started_ms).max(0) / 1000
    }

    /// Nanoseconds spent in commands.
    pub fn command_ns(&self) -> u64 {
        let ids = 0..self.server.commands.len();
        ids.map(|id| self.stats.command(id).nanos.get()).sum()
    }

    /// What a turn of a loop took lately, on average.
    pub fn cycle_us(&self) -> u64 {
        let busy_ns: u64 = self.rates.busy_ns.iter().map(Rate::per_second).sum();
        busy_ns
            .checked_div(self.rates.cycles.per_second())
            .unwrap_or(0)
            / 1000
    }

    pub fn is_raised(&self, bit: u32) -> bool {
        self.server.gates.load(Relaxed) & bit != 0
    }

    /// How long CLIENT PAUSE still lasts.
    pub fn paused_ms(&self) -> i64 {
        if self.is_raised(gate::PAUSE) {
            (self.server.pause.until_ms() - self.now_ms()).max(0)
        } else {
            0
        }
    }

    /// What CLIENT PAUSE holds back.
    pub fn paused_actions(&self) -> &'static str {
        if self.is_raised(gate::PAUSE_ALL) {
            "all"
        } else if self.is_raised(gate::PAUSE_WRITES) {
            "write"
        } else {
            "none"
        }
    }
}
