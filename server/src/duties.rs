//! What a loop does unasked: expiring what is due, and the chores of every tenth of a second.
//!
//! Duties take a cell by trying, for slices of at most 100 µs, between two rounds of serving sockets. A loop
//! answers for the cells it owns, and besides for deadlines that it set itself in other loops' cells: their
//! owner may sleep, and is not woken for that. Within a tenth of a second the owner has seen them too.

use std::slice;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use ostraka_datatypes::db::Gone;

use crate::executor::{Executor, SLICE_NS};
use crate::server::{Access, gate};
use crate::shards::CellSet;
use crate::{eviction, latency, vitals};

/// Time between two rounds of chores.
const CRON_NS: u64 = 100_000_000;

/// Pause between two rounds of eviction, for the sake of whoever frees memory or holds the cells that are wanted.
const EVICT_AGAIN_AFTER: Duration = Duration::from_micros(50);

/// Items of the expiry index looked at between two looks at the clock.
const ITEMS_PER_LOOK: usize = 64;

/// How long the loop may sleep.
pub fn until_next(exec: &Executor, next_cron_ns: u64) -> Duration {
    if exec.evicts_on {
        return EVICT_AGAIN_AFTER;
    }
    let cron = next_cron_ns.saturating_sub(exec.now_ns);
    // Nothing expires while CLIENT PAUSE is in force; the chores find out when it is over.
    if exec.soonest == i64::MAX || exec.raised() & gate::PAUSE != 0 {
        return Duration::from_nanos(cron);
    }
    let now_ns = exec.clock.unix_ns_at(exec.clock.monotonic_ns());
    let due = exec
        .soonest
        .saturating_mul(1_000_000)
        .saturating_sub(now_ns)
        .max(0) as u64;
    Duration::from_nanos(due.min(cron))
}

/// One round; cheap when nothing is due.
pub fn run(exec: &mut Executor, next_cron_ns: &mut u64) -> bool {
    let cron = exec.now_ns >= *next_cron_ns;
    if cron {
        *next_cron_ns = exec.now_ns + CRON_NS;
        exec.server.unix_ms.store(exec.now_ms, Relaxed);
        // Deadlines that others set in our cells: look again.
        for cell in exec.server.cells_of(exec.home) {
            exec.due[cell] = 0;
        }
        exec.soonest = 0;
        if exec.home == 0 {
            vitals::sample(exec.server, exec.now_ns);
            eviction::watch(exec);
        }
    }
    if exec.raised() & gate::MEMORY_LIMIT != 0 {
        eviction::make_room(exec);
    }
    let expires = exec.server.expires_actively.load(Relaxed)
        && !exec.server.pause.is_on(exec.server, exec.now_ms);
    if exec.soonest <= exec.now_ms && expires {
        expire_due(exec);
    }
    cron
}

/// Visits every cell in which something may be due, until the slice is used up.
fn expire_due(exec: &mut Executor) {
    exec.begin_batch();
    let began_ns = exec.now_ns;
    let until_ns = began_ns + SLICE_NS;
    let cells = exec.due.len();
    // Begin at another cell each time, so that none starves when the slice is always used up.
    let first = exec.now_ns as usize % cells;
    for cell in (first..cells).chain(0..first) {
        if exec.due[cell] <= exec.now_ms && exec.now_ns < until_ns {
            let set = CellSet::single(cell);
            let Some(mut held) = exec.server.cells.try_take(set, exec) else {
                continue;
            };
            exec.due[cell] = expire_cell(exec, &mut held.access(), cell, until_ns);
            held.release(exec);
        }
    }
    exec.soonest = exec.due.iter().copied().min().unwrap_or(i64::MAX);
    let took_ns = exec.now_ns.saturating_sub(began_ns);
    exec.stats().expire_ns.add(took_ns);
    latency::observe(exec, latency::EXPIRE_CYCLE, took_ns);
    exec.wake();
}

/// Expires what is due in one cell. Returns when to look again, in Unix ms.
fn expire_cell(exec: &mut Executor, access: &mut Access<'_>, cell: usize, until_ns: u64) -> i64 {
    let (stats, lag) = (exec.stats(), &exec.server.lag);
    let mut next = i64::MAX;
    let router = exec.server.router;
    let (ledger, dbs) = access.data(cell).all_parts();
    for (index, db) in dbs.iter_mut().enumerate() {
        loop {
            let now_ms = exec.now_ms as u64;
            let slice = db.expire(now_ms, ITEMS_PER_LOOK, |gone| {
                let (event, deadlines, entry) = match &gone {
                    Gone::Entry(entry, deadline) => ("expired", slice::from_ref(deadline), entry),
                    Gone::Fields(entry, deadlines) => ("hexpired", *deadlines, *entry),
                    Gone::Emptied(entry) => ("del", &[][..], entry),
                };
                for deadline in deadlines {
                    lag.record(now_ms.saturating_sub(*deadline));
                }
                if ledger.observers.is_any() {
                    ledger.lost(event, index, router.key(entry.key()).hash);
                }
                if let Gone::Entry(entry, _) | Gone::Emptied(entry) = gone {
                    exec.discard(entry);
                }
            });
            stats.expired_keys.add(slice.entries as u64);
            stats.expired_fields.add(slice.fields as u64);
            exec.begin_job();
            if !slice.more {
                break;
            }
            if exec.now_ns >= until_ns {
                stats.expire_rounds_cut.add(1);
                return 0;
            }
        }
        if let Some(due) = db.next_due() {
            next = next.min(i64::try_from(due).unwrap_or(i64::MAX));
        }
    }
    // What is further away than the owner's next round is the owner's business alone.
    let owned = exec.server.owner_of(cell) == exec.home;
    if owned || next < exec.now_ms + (CRON_NS / 1_000_000) as i64 {
        next
    } else {
        i64::MAX
    }
}
