//! OBJECT: how a value is held and how it is used.

use ostraka_datatypes::access;
use ostraka_datatypes::db::EntryRef;

use super::command::help;
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::config::settings::EvictionPolicy;
use crate::fault::Fault;

pub static ROWS: &[&Command] = &[&OBJECT];

command! { OBJECT =
    name: "object", arity: -2, group: Group::Generic, since: "2.2.3",
    complexity: "Depends on subcommand.",
    summary: "A container for object introspection commands.",
    subcommands: &[
        &OBJECT_ENCODING, &OBJECT_FREQ, &OBJECT_HELP, &OBJECT_IDLETIME, &OBJECT_REFCOUNT,
    ],
}

command! { OBJECT_HELP =
    name: "object|help", run: help, arity: 2, flags: LOADING | STALE, categories: KEYSPACE,
    group: Group::Generic, since: "6.2.0", complexity: "O(1)",
    summary: "Returns helpful text about the different subcommands.",
}

command! { OBJECT_ENCODING =
    name: "object|encoding", run: object_encoding, arity: 3, flags: READONLY, keys: &[key(2, RO)],
    categories: KEYSPACE, group: Group::Generic, since: "2.2.3", complexity: "O(1)",
    summary: "Returns the internal encoding of an object.", syntax: "key<key>",
    tips: &["nondeterministic_output"],
}

fn object_encoding(c: &mut Call<'_>) -> Outcome {
    match c.db.inspect(c.args.key(2)) {
        Some(entry) => c.reply.bulk(entry.encoding().name().as_bytes()),
        None => c.reply.null(),
    }
    Ok(())
}

command! { OBJECT_REFCOUNT =
    name: "object|refcount", run: object_refcount, arity: 3, flags: READONLY, keys: &[key(2, RO)],
    categories: KEYSPACE, group: Group::Generic, since: "2.2.3", complexity: "O(1)",
    summary: "Returns the reference count of a value of a key.", syntax: "key<key>",
    tips: &["nondeterministic_output"],
}

/// Always 1: what is shared is shared out of sight.
fn object_refcount(c: &mut Call<'_>) -> Outcome {
    tell(c, |_, _| Ok(1))
}

command! { OBJECT_IDLETIME =
    name: "object|idletime", run: object_idletime, arity: 3, flags: READONLY, keys: &[key(2, RO)],
    categories: KEYSPACE, group: Group::Generic, since: "2.2.3", complexity: "O(1)",
    summary: "Returns the time since the last access to an object.", syntax: "key<key>",
    tips: &["nondeterministic_output"],
}

fn object_idletime(c: &mut Call<'_>) -> Outcome {
    let fault = "An LFU maxmemory policy is selected, idle time not tracked. Please note that when switching between \
         policies at runtime LRU and LFU data will take some time to adjust.";
    let fault = counts_uses(c).then(|| Fault::err(fault));
    tell(c, |entry, now_ms| {
        let idle = access::lru_clock(now_ms).wrapping_sub(entry.hint());
        fault.map_or(Ok(idle.into()), Err)
    })
}

command! { OBJECT_FREQ =
    name: "object|freq", run: object_freq, arity: 3, flags: READONLY, keys: &[key(2, RO)],
    categories: KEYSPACE, group: Group::Generic, since: "4.0.0", complexity: "O(1)",
    summary: "Returns the logarithmic access frequency counter of an object.",
    syntax: "key<key>", tips: &["nondeterministic_output"],
}

fn object_freq(c: &mut Call<'_>) -> Outcome {
    let fault = "An LFU maxmemory policy is not selected, access frequency not tracked. Please note that when \
         switching between policies at runtime LRU and LFU data will take some time to adjust.";
    let fault = (!counts_uses(c)).then(|| Fault::err(fault));
    tell(c, |entry, _| {
        fault.map_or(Ok(i64::from(entry.hint() & 0xff)), Err)
    })
}

/// Whether access hints count uses (LFU), rather than tell the time of the last one.
fn counts_uses(c: &Call<'_>) -> bool {
    matches!(
        c.db.exec.settings.maxmemory_policy,
        EvictionPolicy::AllkeysLfu | EvictionPolicy::VolatileLfu
    )
}

/// Replies a number about the key, given the entry and Unix ms; null if there is no key.
fn tell(c: &mut Call<'_>, number: impl FnOnce(EntryRef<'_>, u64) -> Result<i64, Fault>) -> Outcome {
    let now_ms = c.db.now_ms() as u64;
    match c.db.inspect(c.args.key(2)) {
        Some(entry) => c.reply.integer(number(entry, now_ms)?),
        None => c.reply.null(),
    }
    Ok(())
}
