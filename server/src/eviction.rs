//! `maxmemory`: makes room by evicting what is missed least.
//!
//! Before a batch of commands its loop looks whether too much memory is in use, and evicts until it is not, from all
//! cells, which it takes by trying, one at a time; between the commands of the batch it goes on with the cells that it
//! holds. A round takes half a millisecond at most; what is left to do is a duty of the loop. Commands that need memory
//! are refused only if nothing is left to evict.
//!
//! ```text
//!  any cell ─▶ any entries of each database ─▶ pool of the best 16 so far ─▶ the best goes, if it was not used since
//! ```
//! The pool is Redis' (antirez, "Random notes on improving the Redis LRU algorithm", 2016): what was drawn before and not
//! evicted competes with what is drawn now, so that a few draws per eviction come near to an order of all keys. Every
//! loop has its own.

use ostraka_datatypes::access;
use ostraka_datatypes::db::{Draw, Found, Lookup};

use crate::clients;
use crate::config::Settings;
use crate::config::settings::EvictionPolicy;
use crate::config::value::MemoryShare;
use crate::executor::Executor;
use crate::server::{Access, Shard, gate};
use crate::shards::CellSet;

/// What a loop spends on evicting before it looks at its sockets again.
const ROUND_NS: u64 = 500_000;

/// Evictions between two looks at the clock.
const PER_LOOK: usize = 8;

/// Until the next look at all clients, for each of them: so that looks, of 50 ns per client, take a twentieth of the time.
const LOOK_PER_CLIENT_NS: u64 = 1_000;

/// Candidates that a loop remembers.
const POOL: usize = 16;

/// What was drawn and may go, the best last.
#[derive(Default)]
pub struct Pool {
    policy: Option<EvictionPolicy>,
    candidates: Vec<Candidate>,
}

struct Candidate {
    /// The higher, the less it is missed.
    rank: u64,
    cell: usize,
    db: usize,
    key: Box<[u8]>,
}

impl Pool {
    /// Takes a candidate in if there is room or a worse one.
    fn offer(&mut self, rank: u64, cell: usize, db: usize, key: &[u8]) {
        let full = self.candidates.len() == POOL;
        let place = self.candidates.partition_point(|other| other.rank < rank);
        if full && place == 0 {
            return;
        }
        let same = |other: &Candidate| other.db == db && *other.key == *key;
        if self.candidates.iter().any(same) {
            return;
        }
        let key = key.into();
        let candidate = Candidate {
            rank,
            cell,
            db,
            key,
        };
        self.candidates.insert(place, candidate);
        if full {
            self.candidates.remove(0);
        }
    }
}

/// How cells are come by.
enum Cells<'a, 'h> {
    /// They are held, and no others may be taken.
    Held(&'a mut Access<'h>),
    /// None is held; any may be had by trying.
    Free,
}

impl Cells<'_, '_> {
    /// Works on the data of a cell; `None` if it is not to be had now.
    fn with<R>(
        &mut self,
        exec: &mut Executor,
        cell: usize,
        work: impl FnOnce(&mut Executor, &mut Shard) -> R,
    ) -> Option<R> {
        match self {
            Self::Held(access) => {
                let held = access.set().contains(cell);
                held.then(|| work(exec, access.data(cell)))
            }
            Self::Free => {
                let set = CellSet::single(cell);
                let mut held = exec.server.cells.try_take(set, exec)?;
                let result = work(exec, held.access().data(cell));
                held.release(exec);
                Some(result)
            }
        }
    }
}

/// How an attempt to evict one key ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Evicted {
    One,
    /// There is nothing to evict in any cell.
    Nothing,
    /// There may be, but not in the cells that could be had.
    NothingHere,
    /// What was drawn has gone or has been used since: others are to be drawn.
    Mistaken,
}

/// Raises or lowers the gate that has commands come here.
pub fn watch(exec: &mut Executor) {
    if exec.settings.maxmemory != 0 {
        exec.server.raise(gate::MEMORY_LIMIT);
    } else {
        exec.server.lower(gate::MEMORY_LIMIT | gate::OUT_OF_MEMORY);
        exec.evicts_on = false;
    }
}

/// Evicts until there is room, from all cells. Called with no cell held, while the gate is raised.
#[cold]
pub fn make_room(exec: &mut Executor) {
    round(exec, &mut Cells::Free);
}

/// The same from the cells held.
#[cold]
pub fn make_room_within(exec: &mut Executor, access: &mut Access<'_>) {
    round(exec, &mut Cells::Held(access));
}

/// Whether clients make room: their memory comes back when their loops have closed them. To look at all clients costs
/// more the more there are, so that the next look is a while off.
fn clients_go(exec: &mut Executor) -> bool {
    if exec.settings.maxmemory_clients == MemoryShare::Bytes(0) {
        return false;
    }
    let now_ns = exec.clock.monotonic_ns();
    if now_ns >= exec.next_look_at_clients_ns {
        clients::evict(exec);
        let clients = exec.server.clients.len() as u64;
        exec.next_look_at_clients_ns = now_ns + clients * LOOK_PER_CLIENT_NS;
    }
    exec.server.clients.any_leaving()
}

fn round(exec: &mut Executor, cells: &mut Cells<'_, '_>) {
    exec.evicts_on = false;
    if !is_over(exec) {
        if exec.raised() & gate::OUT_OF_MEMORY != 0 {
            exec.server.lower(gate::OUT_OF_MEMORY);
        }
        return;
    }
    // Clients go before keys.
    if clients_go(exec) {
        exec.evicts_on = true;
        return;
    }
    let policy = exec.settings.maxmemory_policy;
    if policy == EvictionPolicy::NoEviction {
        return exec.server.raise(gate::OUT_OF_MEMORY);
    }
    // Whoever executes a task while a cell is put down comes here as well, and finds an empty pool.
    let mut pool = std::mem::take(&mut exec.pool);
    if pool.policy != Some(policy) {
        pool.candidates.clear();
        pool.policy = Some(policy);
    }
    let until_ns = exec.clock.monotonic_ns() + ROUND_NS;
    for nth in 1.. {
        match evict_one(exec, cells, &mut pool, policy) {
            Evicted::Nothing => {
                exec.server.raise(gate::OUT_OF_MEMORY);
                break;
            }
            Evicted::NothingHere => exec.evicts_on = true,
            Evicted::Mistaken => {}
            Evicted::One => {
                exec.server.lower(gate::OUT_OF_MEMORY);
                // What is being freed off the loop must not be made up for by evicting more.
                let freeing = exec.server.lazy_free.pending() > 0;
                exec.evicts_on = freeing;
            }
        }
        exec.evicts_on |= nth % PER_LOOK == 0 && exec.clock.monotonic_ns() >= until_ns;
        if exec.evicts_on || !is_over(exec) {
            break;
        }
    }
    exec.pool = pool;
}

/// Whether more memory is in use than `maxmemory` allows.
fn is_over(exec: &Executor) -> bool {
    let limit = exec.settings.maxmemory;
    limit != 0 && exec.used_memory() > limit
}

fn evict_one(
    exec: &mut Executor,
    cells: &mut Cells<'_, '_>,
    pool: &mut Pool,
    policy: EvictionPolicy,
) -> Evicted {
    let all = exec.server.router.cells();
    let first = exec.dice.roll() as usize % all;
    let enough = if policy.is_random() { 1 } else { POOL / 2 };
    let mut seen = 0;
    for cell in (first..all).chain(0..first) {
        let drawn = cells.with(exec, cell, |exec, shard| {
            draw(exec, shard, cell, pool, policy);
        });
        seen += usize::from(drawn.is_some());
        if pool.candidates.len() >= enough {
            break;
        }
    }
    let any = !pool.candidates.is_empty();
    while let Some(best) = pool.candidates.pop() {
        let evict = |exec: &mut Executor, shard: &mut Shard| evict(exec, shard, &best, policy);
        if cells.with(exec, best.cell, evict) == Some(true) {
            return Evicted::One;
        }
    }
    if any {
        Evicted::Mistaken
    } else if seen == all {
        Evicted::Nothing
    } else {
        Evicted::NothingHere
    }
}

/// Draws entries of every database in a cell.
fn draw(
    exec: &mut Executor,
    shard: &mut Shard,
    cell: usize,
    pool: &mut Pool,
    policy: EvictionPolicy,
) {
    use EvictionPolicy::*;
    let (samples, way) = match policy {
        VolatileLru | VolatileLfu => (exec.settings.maxmemory_samples, Draw::Volatile),
        VolatileTtl => (exec.settings.maxmemory_samples, Draw::Soonest),
        VolatileRandom => (1, Draw::Volatile),
        AllkeysRandom => (1, Draw::Any),
        AllkeysLru | AllkeysLfu | NoEviction => (exec.settings.maxmemory_samples, Draw::Any),
    };
    let now_ms = exec.now_ms as u64;
    for (index, db) in shard.dbs_mut().iter_mut().enumerate() {
        for _ in 0..samples {
            let dice = &mut exec.dice;
            let Some(mut found) = db.draw(way, &mut || dice.roll()) else {
                break;
            };
            keep_decay(policy, &mut found, &exec.settings, now_ms);
            let rank = rank(policy, &found, &exec.settings, now_ms);
            pool.offer(rank, cell, index, found.entry().key());
        }
    }
}

/// A counter that was looked at forgets no time, however long it is until the next use.
fn keep_decay(policy: EvictionPolicy, found: &mut Found<'_>, settings: &Settings, now_ms: u64) {
    if matches!(
        policy,
        EvictionPolicy::AllkeysLfu | EvictionPolicy::VolatileLfu
    ) {
        let (hint, minutes) = (found.hint(), access::lfu_minutes(now_ms));
        let decayed = access::lfu_decayed(hint, minutes, settings.lfu_decay_time_min);
        if decayed != hint {
            found.set_hint(decayed);
        }
    }
}

/// How little an entry is missed.
fn rank(policy: EvictionPolicy, found: &Found<'_>, settings: &Settings, now_ms: u64) -> u64 {
    use EvictionPolicy::*;
    let hint = found.hint();
    match policy {
        AllkeysLru | VolatileLru => access::lru_idle_s(hint, now_ms).into(),
        AllkeysLfu | VolatileLfu => {
            let minutes = access::lfu_minutes(now_ms);
            let counter = access::lfu_counter(hint, minutes, settings.lfu_decay_time_min);
            u64::from(u8::MAX - counter)
        }
        VolatileTtl => u64::MAX - found.entry().deadline().unwrap_or(u64::MAX),
        AllkeysRandom | VolatileRandom | NoEviction => 0,
    }
}

/// Evicts a candidate, unless it has gone, or has been used since it was drawn.
fn evict(
    exec: &mut Executor,
    shard: &mut Shard,
    candidate: &Candidate,
    policy: EvictionPolicy,
) -> bool {
    let (now_ms, hash) = (
        exec.now_ms as u64,
        exec.server.router.key(&candidate.key).hash,
    );
    let (ledger, db) = shard.parts(candidate.db);
    let event = match db.find(hash, &candidate.key, now_ms) {
        Lookup::Live(found) => {
            let volatile = found.entry().deadline().is_some();
            let rank = rank(policy, &found, &exec.settings, now_ms);
            if rank < candidate.rank || (policy.is_volatile() && !volatile) {
                return false;
            }
            let entry = found.remove();
            exec.discard(entry);
            exec.stats().evicted_keys.add(1);
            "evicted"
        }
        Lookup::Expired => {
            exec.stats().expired_keys.add(1);
            "expired"
        }
        Lookup::Missing => return false,
    };
    ledger.lost(event, candidate.db, hash);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_keeps_the_best_and_each_once() {
        let mut pool = Pool::default();
        for rank in (0..100).rev().chain(0..100) {
            pool.offer(rank, 0, 0, format!("key:{rank}").as_bytes());
        }
        let ranks: Vec<u64> = pool.candidates.iter().map(|one| one.rank).collect();
        assert_eq!(ranks, (84..100).collect::<Vec<_>>());
    }
}
