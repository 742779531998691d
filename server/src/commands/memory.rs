//! MEMORY: what a key takes, what everything takes, and giving some of it back.

use std::fmt::Write as _;
use std::sync::Arc;

use super::command::help;
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::info::{Facts, MemoryUse, excess, ratio};
use crate::os::allocator;

pub static ROWS: &[&Command] = &[&MEMORY];

/// A place in the table: a pointer and its tag.
const SLOT_BYTES: usize = 9;

command! { MEMORY =
    name: "memory", arity: -2, group: Group::Server, since: "4.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for memory diagnostics commands.",
    subcommands: &[
        &MEMORY_DOCTOR, &MEMORY_HELP, &MEMORY_MALLOC_STATS, &MEMORY_PURGE, &MEMORY_STATS,
        &MEMORY_USAGE,
    ],
}

command! { MEMORY_USAGE =
    name: "memory|usage", run: memory_usage, arity: -3, flags: READONLY, keys: &[key(2, RO)],
    group: Group::Server, since: "4.0.0", complexity: "O(N) where N is the number of samples.",
    summary: "Estimates the memory usage of a key.",
    syntax: "key<key> [SAMPLES count<integer>]",
}

fn memory_usage(c: &mut Call<'_>) -> Outcome {
    for option in (3..c.args.len()).step_by(2) {
        if !c.args.is(option, "samples") || option + 1 >= c.args.len() {
            return Err(Fault::Syntax);
        }
        // A string is measured as a whole; the number only has to be one.
        if c.args.integer(option + 1)? < 0 {
            return Err(Fault::Syntax);
        }
    }
    match c.db.peek(c.args.key(2)) {
        Some(entry) => c.reply.integer((entry.memory_usage() + SLOT_BYTES) as i64),
        None => c.reply.null(),
    }
    Ok(())
}

command! { MEMORY_STATS =
    name: "memory|stats", run: memory_stats, arity: 2, route: Route::All, group: Group::Server, since: "4.0.0",
    complexity: "O(1)",
    summary: "Returns details about memory usage.",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
}

enum Figure {
    Count(i64),
    Share(f64),
}
use Figure::{Count, Share};

fn memory_stats(c: &mut Call<'_>) -> Outcome {
    let settings = Arc::clone(&c.db.exec.settings);
    let facts = Facts::gather(c, &settings);
    let databases = facts.keys.databases.iter().enumerate();
    let databases: Vec<_> = databases.filter(|(_, db)| db.keys > 0).collect();
    let (before, after) = figures(&facts);
    c.reply.map(before.len() + databases.len() + after.len());
    reply_figures(c, &before);
    for (number, db) in databases {
        c.reply.bulk(format!("db.{number}").as_bytes());
        c.reply.map(3);
        let figures = [
            ("overhead.hashtable.main", db.table_bytes),
            ("overhead.hashtable.expires", db.index_bytes),
            ("overhead.hashtable.slot-to-keys", 0),
        ];
        for (name, bytes) in figures {
            c.reply.bulk(name.as_bytes());
            c.reply.integer(bytes as i64);
        }
    }
    reply_figures(c, &after);
    Ok(())
}

fn reply_figures(c: &mut Call<'_>, figures: &[(&str, Figure)]) {
    for (name, figure) in figures {
        c.reply.bulk(name.as_bytes());
        match *figure {
            Count(count) => c.reply.integer(count),
            Share(share) => c.reply.double(share),
        }
    }
}

type Figures = Vec<(&'static str, Figure)>;

/// What stands before and behind the databases.
fn figures(facts: &Facts<'_>) -> (Figures, Figures) {
    let memory = &facts.memory;
    let heap = memory.heap;
    let bytes = |bytes: u64| Count(bytes as i64);
    let keys = facts.keys.total();
    let since_start = heap.allocated.saturating_sub(memory.startup);
    let before = vec![
        ("peak.allocated", bytes(memory.peak)),
        ("total.allocated", bytes(heap.allocated)),
        ("startup.allocated", bytes(memory.startup)),
        ("replication.backlog", Count(0)),
        ("clients.slaves", Count(0)),
        ("clients.normal", bytes(memory.clients)),
        ("cluster.links", Count(0)),
        ("aof.buffer", Count(0)),
        ("lua.caches", Count(0)),
        ("functions.caches", Count(0)),
    ];
    let mut after = vec![
        ("overhead.db.hashtable.lut", bytes(memory.tables)),
        ("overhead.db.hashtable.rehashing", Count(0)),
        ("overhead.total", bytes(memory.overhead())),
        ("db.dict.rehashing.count", Count(0)),
        ("keys.count", bytes(keys)),
        (
            "keys.bytes-per-key",
            bytes(since_start.checked_div(keys).unwrap_or(0)),
        ),
        ("dataset.bytes", bytes(memory.dataset())),
        ("dataset.percentage", Share(memory.dataset_share() * 100.0)),
        (
            "peak.percentage",
            Share(ratio(heap.allocated, memory.peak) * 100.0),
        ),
    ];
    after.extend(figures_of_allocator(memory));
    (before, after)
}

fn figures_of_allocator(memory: &MemoryUse) -> Figures {
    let heap = memory.heap;
    let bytes = |bytes: u64| Count(bytes as i64);
    vec![
        ("allocator.allocated", bytes(heap.allocated)),
        ("allocator.active", bytes(heap.active)),
        ("allocator.resident", bytes(heap.resident)),
        ("allocator.muzzy", bytes(heap.muzzy)),
        (
            "allocator-fragmentation.ratio",
            Share(ratio(heap.active, heap.allocated)),
        ),
        (
            "allocator-fragmentation.bytes",
            Count(excess(heap.active, heap.allocated)),
        ),
        (
            "allocator-rss.ratio",
            Share(ratio(heap.resident, heap.active)),
        ),
        (
            "allocator-rss.bytes",
            Count(excess(heap.resident, heap.active)),
        ),
        (
            "rss-overhead.ratio",
            Share(ratio(memory.rss, heap.resident)),
        ),
        (
            "rss-overhead.bytes",
            Count(excess(memory.rss, heap.resident)),
        ),
        ("fragmentation", Share(ratio(memory.rss, heap.allocated))),
        (
            "fragmentation.bytes",
            Count(excess(memory.rss, heap.allocated)),
        ),
    ]
}

command! { MEMORY_DOCTOR =
    name: "memory|doctor", run: memory_doctor, arity: 2, route: Route::All, group: Group::Server, since: "4.0.0",
    complexity: "O(1)",
    summary: "Outputs a memory problems report.",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
}

/// Less memory than this tells nothing.
const TELLING_BYTES: u64 = 5 * 1024 * 1024;

fn memory_doctor(c: &mut Call<'_>) -> Outcome {
    let settings = Arc::clone(&c.db.exec.settings);
    let facts = Facts::gather(c, &settings);
    let report = diagnosis(&facts);
    c.reply.verbatim(b"txt", report.as_bytes());
    Ok(())
}

fn diagnosis(facts: &Facts<'_>) -> String {
    let memory = &facts.memory;
    if memory.heap.allocated < TELLING_BYTES {
        return "This instance is empty or uses very little memory: there is nothing to find out yet.\n".to_owned();
    }
    let clients = facts.clients.connected.max(1);
    let findings = [
        (
            ratio(memory.peak, memory.heap.allocated) > 1.5,
            "Peak memory: much more was in use once than is now. The resident set may stay large; MEMORY PURGE gives \
             back what it can.",
        ),
        (
            ratio(memory.rss, memory.heap.allocated) > 1.4,
            "High total RSS: the process holds more than 1.4 times what is in use. MEMORY STATS shows where it lies.",
        ),
        (
            ratio(memory.heap.active, memory.heap.allocated) > 1.1,
            "High allocator fragmentation: many pages are only partly in use.",
        ),
        (
            memory.clients / clients > 200 * 1024,
            "Big client buffers: clients take more than 200 KiB each. CLIENT LIST shows which ones.",
        ),
    ];
    let mut text = String::new();
    for (_, finding) in findings.iter().filter(|(found, _)| *found) {
        writeln!(text, " * {finding}\n").expect("writing to memory does not fail");
    }
    if text.is_empty() {
        "No memory problem was found in this instance.\n".to_owned()
    } else {
        format!("What was found in this instance:\n\n{text}")
    }
}

command! { MEMORY_MALLOC_STATS =
    name: "memory|malloc-stats", run: memory_malloc_stats, arity: 2, group: Group::Server,
    since: "4.0.0", complexity: "Depends on how much memory is allocated, could be slow",
    summary: "Returns the allocator statistics.",
    tips: &["nondeterministic_output", "request_policy:all_shards", "response_policy:special"],
}

fn memory_malloc_stats(c: &mut Call<'_>) -> Outcome {
    c.reply.verbatim(b"txt", &allocator::report());
    Ok(())
}

command! { MEMORY_PURGE =
    name: "memory|purge", run: memory_purge, arity: 2, group: Group::Server, since: "4.0.0",
    complexity: "Depends on how much memory is allocated, could be slow",
    summary: "Asks the allocator to release memory.",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
}

fn memory_purge(c: &mut Call<'_>) -> Outcome {
    allocator::purge();
    c.reply.ok();
    Ok(())
}

command! { MEMORY_HELP =
    name: "memory|help", run: help, arity: 2, flags: LOADING | STALE, group: Group::Server,
    since: "4.0.0", complexity: "O(1)",
    summary: "Returns helpful text about the different subcommands.",
}
