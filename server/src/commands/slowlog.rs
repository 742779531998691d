//! SLOWLOG and COMMANDLOG: the logs of calls that took long, or were large.

use super::command::help;
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::slowlog::{Entry, Kind};

pub static ROWS: &[&Command] = &[&COMMANDLOG, &SLOWLOG];

/// Entries that SLOWLOG GET shows if it is not told how many.
const SHOWN: usize = 10;

command! { SLOWLOG =
    name: "slowlog", arity: -2, group: Group::Server, since: "2.2.12",
    complexity: "Depends on subcommand.",
    summary: "A container for slow log commands.",
    subcommands: &[&SLOWLOG_GET, &SLOWLOG_HELP, &SLOWLOG_LEN, &SLOWLOG_RESET],
}

command! { SLOWLOG_GET =
    name: "slowlog|get", run: slowlog_get, arity: -2, flags: ADMIN | LOADING | STALE,
    group: Group::Server, since: "2.2.12",
    complexity: "O(N) where N is the number of entries returned",
    summary: "Returns the slow log's entries.", syntax: "[count<integer>]",
    tips: &["request_policy:all_nodes", "nondeterministic_output"],
    history: &[("4.0.0", "Added client IP address, port and name to the reply.")],
}

fn slowlog_get(c: &mut Call<'_>) -> Outcome {
    let count = match c.args.len() {
        2 => SHOWN,
        3 => count(c)?,
        _ => return Err(too_many(c)),
    };
    reply_latest(c, Kind::Slow, count);
    Ok(())
}

fn too_many(c: &Call<'_>) -> Fault {
    Fault::err(format_args!(
        "unknown subcommand or wrong number of arguments for '{}'. Try SLOWLOG HELP.",
        String::from_utf8_lossy(c.args.at(1))
    ))
}

command! { SLOWLOG_LEN =
    name: "slowlog|len", run: slowlog_len, arity: 2, flags: ADMIN | LOADING | STALE,
    group: Group::Server, since: "2.2.12", complexity: "O(1)",
    summary: "Returns the number of entries in the slow log.",
    tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
}

fn slowlog_len(c: &mut Call<'_>) -> Outcome {
    reply_len(c, Kind::Slow);
    Ok(())
}

command! { SLOWLOG_RESET =
    name: "slowlog|reset", run: slowlog_reset, arity: 2, flags: ADMIN | LOADING | STALE,
    group: Group::Server, since: "2.2.12",
    complexity: "O(N) where N is the number of entries in the slowlog",
    summary: "Clears all entries from the slow log.",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
}

fn slowlog_reset(c: &mut Call<'_>) -> Outcome {
    reset(c, Kind::Slow);
    Ok(())
}

command! { SLOWLOG_HELP =
    name: "slowlog|help", run: help, arity: 2, flags: LOADING | STALE, group: Group::Server,
    since: "6.2.0", complexity: "O(1)",
    summary: "Show helpful text about the different subcommands",
}

command! { COMMANDLOG =
    name: "commandlog", arity: -2, group: Group::Server, since: "8.1.0",
    complexity: "Depends on subcommand.",
    summary: "A container for command log commands.",
    subcommands: &[&COMMANDLOG_GET, &COMMANDLOG_HELP, &COMMANDLOG_LEN, &COMMANDLOG_RESET],
}

command! { COMMANDLOG_GET =
    name: "commandlog|get", run: commandlog_get, arity: 4, flags: ADMIN | LOADING | STALE,
    group: Group::Server, since: "8.1.0",
    complexity: "O(N) where N is the number of entries returned",
    summary: "Returns the entries of one of the command logs.",
    syntax: "count<integer> type(SLOW|LARGE-REQUEST|LARGE-REPLY)",
    tips: &["request_policy:all_nodes", "nondeterministic_output"],
}

fn commandlog_get(c: &mut Call<'_>) -> Outcome {
    let count = count(c)?;
    let kind = kind(c, 3)?;
    reply_latest(c, kind, count);
    Ok(())
}

command! { COMMANDLOG_LEN =
    name: "commandlog|len", run: commandlog_len, arity: 3, flags: ADMIN | LOADING | STALE,
    group: Group::Server, since: "8.1.0", complexity: "O(1)",
    summary: "Returns the number of entries in one of the command logs.",
    syntax: "type(SLOW|LARGE-REQUEST|LARGE-REPLY)",
    tips: &["request_policy:all_nodes", "response_policy:agg_sum", "nondeterministic_output"],
}

fn commandlog_len(c: &mut Call<'_>) -> Outcome {
    let kind = kind(c, 2)?;
    reply_len(c, kind);
    Ok(())
}

command! { COMMANDLOG_RESET =
    name: "commandlog|reset", run: commandlog_reset, arity: 3, flags: ADMIN | LOADING | STALE,
    group: Group::Server, since: "8.1.0",
    complexity: "O(N) where N is the number of entries in the log",
    summary: "Clears all entries of one of the command logs.",
    syntax: "type(SLOW|LARGE-REQUEST|LARGE-REPLY)",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
}

fn commandlog_reset(c: &mut Call<'_>) -> Outcome {
    let kind = kind(c, 2)?;
    reset(c, kind);
    Ok(())
}

command! { COMMANDLOG_HELP =
    name: "commandlog|help", run: help, arity: 2, flags: LOADING | STALE, group: Group::Server,
    since: "8.1.0", complexity: "O(1)",
    summary: "Returns helpful text about the different subcommands.",
}

/// Argument 2 as a number of entries; -1 stands for all.
fn count(c: &Call<'_>) -> Result<usize, Fault> {
    let fault = || Fault::err("count should be greater than or equal to -1");
    match c.args.integer_or(2, fault())? {
        -1 => Ok(usize::MAX),
        count => usize::try_from(count).map_err(|_| fault()),
    }
}

fn kind(c: &Call<'_>, index: usize) -> Result<Kind, Fault> {
    let named = Kind::ALL
        .into_iter()
        .find(|kind| c.args.is(index, kind.name()));
    named.ok_or_else(|| {
        Fault::err("type should be one of the following: slow, large-request, large-reply")
    })
}

fn reply_latest(c: &mut Call<'_>, kind: Kind, count: usize) {
    let log = c.server.logs.of(kind);
    let entries = log.latest(count);
    c.reply.array(entries.len());
    for entry in entries {
        let Entry { args, .. } = entry;
        c.reply.array(6);
        c.reply.integer(entry.id as i64);
        c.reply.integer(entry.time_s);
        c.reply.integer(entry.measure as i64);
        c.reply.array(args.len());
        args.iter().for_each(|arg| c.reply.bulk(arg));
        c.reply.bulk(entry.address.as_bytes());
        c.reply.bulk(entry.name.as_bytes());
    }
}

fn reply_len(c: &mut Call<'_>, kind: Kind) {
    let len = c.server.logs.of(kind).len();
    c.reply.integer(len as i64);
}

fn reset(c: &mut Call<'_>, kind: Kind) {
    c.server.logs.of(kind).clear();
    c.reply.ok();
}
