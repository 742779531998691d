//! CLIENT: what a client says about itself, and what an administrator does to clients.
//!
//! Clients of all loops are seen through their records; nobody but the owning loop touches a connection. Whoever
//! kills or unpauses marks the records or gates and mails the loops that have to look.

use std::sync::atomic::Ordering::Relaxed;

use super::command::help;
use crate::blocking::{self, Ending};
use crate::call::{Args, Call, Fault, Outcome};
use crate::clients::{ClientRecord, Filter, Purpose, RequestSize, flag, line};
use crate::command::row::*;
use crate::session::{ReplyMode, Session};
use crate::task::Mail;

pub static ROWS: &[&Command] = &[&CLIENT];

command! { CLIENT =
    name: "client", arity: -2, group: Group::Connection, since: "2.4.0",
    complexity: "Depends on subcommand.",
    summary: "A container for client connection commands.",
    subcommands: &[
        &CLIENT_CAPA, &CLIENT_GETNAME, &CLIENT_HELP, &CLIENT_ID, &CLIENT_IMPORT_SOURCE, &CLIENT_INFO, &CLIENT_KILL, &CLIENT_LIST, &CLIENT_NO_EVICT, &CLIENT_NO_TOUCH, &CLIENT_PAUSE, &CLIENT_REPLY, &CLIENT_SETINFO, &CLIENT_SETNAME, &CLIENT_UNBLOCK, &CLIENT_UNPAUSE,
    ],
}

command! { CLIENT_CAPA =
    name: "client|capa", run: client_capa, arity: -3,
    flags: NOSCRIPT | LOADING | STALE | ALLOW_BUSY, categories: CONNECTION,
    group: Group::Connection, since: "8.0.0", complexity: "O(1)",
    summary: "A client claims its capability.", syntax: "capability<string>...",
}

/// Whatever a client can do is fine; none of it is made use of.
fn client_capa(c: &mut Call<'_>) -> Outcome {
    c.reply.ok();
    Ok(())
}

command! { CLIENT_GETNAME =
    name: "client|getname", run: client_getname, arity: 2, flags: NOSCRIPT | LOADING | STALE,
    categories: CONNECTION, group: Group::Connection, since: "2.6.9", complexity: "O(1)",
    summary: "Returns the name of the connection.",
}

fn client_getname(c: &mut Call<'_>) -> Outcome {
    let name = c.session.record.names().name;
    if name.is_empty() {
        c.reply.null();
    } else {
        c.reply.bulk(name.as_bytes());
    }
    Ok(())
}

command! { CLIENT_HELP =
    name: "client|help", run: help, arity: 2, flags: LOADING | STALE, categories: CONNECTION,
    group: Group::Connection, since: "5.0.0", complexity: "O(1)",
    summary: "Returns helpful text about the different subcommands.",
}

command! { CLIENT_ID =
    name: "client|id", run: client_id, arity: 2, flags: NOSCRIPT | LOADING | STALE,
    categories: CONNECTION, group: Group::Connection, since: "5.0.0", complexity: "O(1)",
    summary: "Returns the unique client ID of the connection.",
}

fn client_id(c: &mut Call<'_>) -> Outcome {
    c.reply.integer(c.session.id() as i64);
    Ok(())
}

command! { CLIENT_IMPORT_SOURCE =
    name: "client|import-source", run: client_import_source, arity: 3,
    flags: NOSCRIPT | LOADING | STALE, categories: CONNECTION, group: Group::Connection,
    since: "8.1.0", complexity: "O(1)",
    summary: "Marks the connection as a bulk loader while the server is in import mode.",
    syntax: "enabled(ON|OFF)",
}

/// There is no import mode, so nobody is in it.
fn client_import_source(c: &mut Call<'_>) -> Outcome {
    if !c.args.is(2, "off") {
        return Err(Fault::err("Server is not in import mode"));
    }
    c.reply.ok();
    Ok(())
}

command! { CLIENT_INFO =
    name: "client|info", run: client_info, arity: 2, flags: NOSCRIPT | LOADING | STALE,
    categories: CONNECTION, group: Group::Connection, since: "6.2.0", complexity: "O(1)",
    summary: "Returns information about the connection.", tips: &["nondeterministic_output"],
}

fn client_info(c: &mut Call<'_>) -> Outcome {
    let line = line_of(c, &c.session.record);
    c.reply.verbatim(b"txt", (line + "\n").as_bytes());
    Ok(())
}

/// The line of CLIENT LIST about one client.
fn line_of(c: &Call<'_>, record: &ClientRecord) -> String {
    let own = record.id == c.session.id();
    if own {
        record.command.store(c.command.id() as u32, Relaxed);
    }
    let request = own.then(|| RequestSize {
        bytes: c.args.request_len() as u64,
        arguments: c.args.iter().map(<[u8]>::len).sum::<usize>() as u64,
    });
    line(record, c.db.now_ms(), &c.server.commands, request)
}

command! { CLIENT_KILL =
    name: "client|kill", run: client_kill, arity: -3, flags: ADMIN | NOSCRIPT | LOADING | STALE,
    categories: CONNECTION, group: Group::Connection, since: "2.4.0",
    complexity: "O(N) where N is the number of client connections",
    summary: "Terminates open connections.",
    syntax: "filter(old-format:ip:port<string>@-2.8.12|new-format(ID client-id<integer>@2.8.12|\
        TYPE client-type(NORMAL|MASTER@3.2.0|PRIMARY@8.0.0|SLAVE|REPLICA@5.0.0|PUBSUB)@2.8.12|\
        USER username<string>|ADDR addr:ip:port<string>|LADDR laddr:ip:port<string>@6.2.0|\
        SKIPME skipme(YES|NO)|MAXAGE maxage<integer>@8.0.0)...)",
    history: &[
        ("2.8.12", "Added new filter format."),
        ("2.8.12", "`ID` option."),
        ("3.2.0", "Added `master` type in for `TYPE` option."),
        ("5.0.0", "Replaced `slave` `TYPE` with `replica`. `slave` still supported for backward \
            compatibility."),
        ("6.2.0", "`LADDR` option."),
        ("8.0.0", "`MAXAGE` option."),
        ("8.0.0", "Replaced `master` `TYPE` with `primary`. `master` still supported for backward \
            compatibility."),
    ],
}

/// An address alone kills that client; pairs of options kill all whom they fit, but for the caller.
fn client_kill(c: &mut Call<'_>) -> Outcome {
    let by_address = c.args.len() == 3;
    let filter = if by_address {
        Filter::address(c.args.at(2))
    } else {
        Filter::parse(c.args, 2, Purpose::Kill)?
    };
    let mut killed = 0;
    for record in c.server.clients.all() {
        let own = record.id == c.session.id();
        if !(own && filter.skips_caller) && filter.fits(&record, c.db.now_ms()) {
            killed += 1;
            kill(c, &record, own);
        }
    }
    match killed {
        0 if by_address => return Err(Fault::err("No such client")),
        _ if by_address => c.reply.ok(),
        killed => c.reply.integer(killed),
    }
    Ok(())
}

fn kill(c: &mut Call<'_>, record: &ClientRecord, own: bool) {
    if own {
        // It still gets its reply.
        return c.session.close_after_reply();
    }
    c.server.clients.doom(record);
    c.db.exec.post(record.home, Mail::Review);
}

command! { CLIENT_LIST =
    name: "client|list", run: client_list, arity: -2, flags: ADMIN | NOSCRIPT | LOADING | STALE,
    categories: CONNECTION, group: Group::Connection, since: "2.4.0",
    complexity: "O(N) where N is the number of client connections",
    summary: "Lists open connections.",
    syntax: "[TYPE client-type(NORMAL|MASTER|REPLICA|PUBSUB)@5.0.0] \
        [ID client-id<integer>...@6.2.0]",
    tips: &["nondeterministic_output"],
    history: &[
        ("2.8.12", "Added unique client `id` field."),
        ("5.0.0", "Added optional `TYPE` filter."),
        ("6.0.0", "Added `user` field."),
        ("6.2.0", "Added `argv-mem`, `tot-mem`, `laddr` and `redir` fields and the optional `ID` \
            filter."),
        ("7.0.0", "Added `resp`, `multi-mem`, `rbs` and `rbp` fields."),
        ("7.0.3", "Added `ssub` field."),
        ("8.0.0", "Replaced `master` `TYPE` with `primary`. `master` still supported for backward \
            compatibility."),
    ],
}

fn client_list(c: &mut Call<'_>) -> Outcome {
    let filter = Filter::parse(c.args, 2, Purpose::List)?;
    let mut list = String::new();
    for record in c.server.clients.all() {
        let skipped = filter.skips_caller && record.id == c.session.id();
        if !skipped && filter.fits(&record, c.db.now_ms()) {
            list += &line_of(c, &record);
            list.push('\n');
        }
    }
    c.reply.verbatim(b"txt", list.as_bytes());
    Ok(())
}

command! { CLIENT_NO_EVICT =
    name: "client|no-evict", run: client_no_evict, arity: 3,
    flags: ADMIN | NOSCRIPT | LOADING | STALE, categories: CONNECTION, group: Group::Connection,
    since: "7.0.0", complexity: "O(1)",
    summary: "Sets the client eviction mode of the connection.", syntax: "enabled(ON|OFF)",
}

fn client_no_evict(c: &mut Call<'_>) -> Outcome {
    let on = on_off(c.args)?;
    c.session.record.put(flag::NO_EVICT, on);
    c.reply.ok();
    Ok(())
}

fn on_off(args: Args<'_>) -> Result<bool, Fault> {
    match (args.is(2, "on"), args.is(2, "off")) {
        (true, _) => Ok(true),
        (_, true) => Ok(false),
        _ => Err(Fault::Syntax),
    }
}

command! { CLIENT_NO_TOUCH =
    name: "client|no-touch", run: client_no_touch, arity: 3, flags: NOSCRIPT | LOADING | STALE,
    categories: CONNECTION, group: Group::Connection, since: "7.2.0", complexity: "O(1)",
    summary: "Controls whether commands sent by the client affect the LRU/LFU of accessed keys.",
    syntax: "enabled(ON|OFF)",
}

fn client_no_touch(c: &mut Call<'_>) -> Outcome {
    let on = on_off(c.args)?;
    c.session.set_no_touch(on);
    c.reply.ok();
    Ok(())
}

command! { CLIENT_PAUSE =
    name: "client|pause", run: client_pause, arity: -3, flags: ADMIN | NOSCRIPT | LOADING | STALE,
    categories: CONNECTION, group: Group::Connection, since: "3.0.0", complexity: "O(1)",
    summary: "Suspends commands processing.",
    syntax: "timeout<integer> [mode(WRITE|ALL)@6.2.0]",
    history: &[("6.2.0", "`CLIENT PAUSE WRITE` mode added along with the `mode` option.")],
    route: Route::All,
}

/// Holds all cells, so that once it is answered nothing that is paused takes effect any more.
fn client_pause(c: &mut Call<'_>) -> Outcome {
    let everything = match c.args.len() {
        3 => true,
        4 if c.args.is(3, "write") => false,
        4 if c.args.is(3, "all") => true,
        4 => return Err(Fault::err("CLIENT PAUSE mode must be WRITE or ALL")),
        _ => {
            return Err(Fault::err(
                "unknown subcommand or wrong number of arguments for 'PAUSE'. Try CLIENT HELP.",
            ));
        }
    };
    let not_integer = Fault::err("timeout is not an integer or out of range");
    let timeout_ms = c.args.integer_or(2, not_integer)?;
    if timeout_ms < 0 {
        return Err(Fault::err("timeout is negative"));
    }
    let now_ms = c.db.now_ms();
    let out_of_range = || Fault::err("timeout is out of range");
    let until_ms = now_ms.checked_add(timeout_ms).ok_or_else(out_of_range)?;
    c.server.pause.begin(c.server, until_ms, everything, now_ms);
    c.reply.ok();
    Ok(())
}

command! { CLIENT_REPLY =
    name: "client|reply", run: client_reply, arity: 3, flags: NOSCRIPT | LOADING | STALE,
    categories: CONNECTION, group: Group::Connection, since: "3.2.0", complexity: "O(1)",
    summary: "Instructs the server whether to reply to commands.",
    syntax: "action(ON|OFF|SKIP)",
}

fn client_reply(c: &mut Call<'_>) -> Outcome {
    if c.args.is(2, "on") {
        c.session.reply_mode = ReplyMode::On;
        c.reply.ok();
    } else if c.args.is(2, "off") {
        c.session.reply_mode = ReplyMode::Off;
    } else if !c.args.is(2, "skip") {
        return Err(Fault::Syntax);
    } else if c.session.reply_mode != ReplyMode::Off {
        c.session.reply_mode = ReplyMode::SkipNext;
    }
    Ok(())
}

command! { CLIENT_SETINFO =
    name: "client|setinfo", run: client_setinfo, arity: 4, flags: NOSCRIPT | LOADING | STALE,
    categories: CONNECTION, group: Group::Connection, since: "7.2.0", complexity: "O(1)",
    summary: "Sets information specific to the client or connection.",
    syntax: "attr(LIB-NAME libname<string>|LIB-VER libver<string>)",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
}

fn client_setinfo(c: &mut Call<'_>) -> Outcome {
    let (name, version) = (c.args.is(2, "lib-name"), c.args.is(2, "lib-ver"));
    if !(name || version) {
        return Err(Fault::err(format_args!(
            "Unrecognized option '{}'",
            String::from_utf8_lossy(c.args.at(2))
        )));
    }
    let what = if name { "lib-name" } else { "lib-ver" };
    let value = named(what, c.args.at(3))?;
    c.session.record.rename(|names| {
        if name {
            names.library = value;
        } else {
            names.library_version = value;
        }
    });
    c.reply.ok();
    Ok(())
}

command! { CLIENT_SETNAME =
    name: "client|setname", run: client_setname, arity: 3, flags: NOSCRIPT | LOADING | STALE,
    categories: CONNECTION, group: Group::Connection, since: "2.6.9", complexity: "O(1)",
    summary: "Sets the connection name.", syntax: "connection-name<string>",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
}

fn client_setname(c: &mut Call<'_>) -> Outcome {
    let name = named("Client names", c.args.at(2))?;
    set_name(c.session, name);
    c.reply.ok();
    Ok(())
}

pub fn set_name(session: &Session, name: Box<str>) {
    if !name.is_empty() || session.record.is_named() {
        session.record.rename(|names| names.name = name);
    }
}

/// A name that cannot break a line of CLIENT LIST, or the complaint about `what`.
pub fn named(what: &str, name: &[u8]) -> Result<Box<str>, Fault> {
    let text = std::str::from_utf8(name).ok();
    text.filter(|_| name.iter().all(u8::is_ascii_graphic))
        .map(Box::from)
        .ok_or_else(|| {
            Fault::err(format_args!(
                "{what} cannot contain spaces, newlines or special characters."
            ))
        })
}

command! { CLIENT_UNBLOCK =
    name: "client|unblock", run: client_unblock, arity: -3,
    flags: ADMIN | NOSCRIPT | LOADING | STALE, categories: CONNECTION, group: Group::Connection,
    since: "5.0.0", complexity: "O(log N) where N is the number of client connections",
    summary: "Unblocks a client blocked by a blocking command from a different connection.",
    syntax: "client-id<integer> [unblock-type(TIMEOUT|ERROR)]",
}

/// Only whoever waits for a key can be unblocked.
fn client_unblock(c: &mut Call<'_>) -> Outcome {
    let ending = match c.args.len() {
        3 => Ending::Nil,
        4 if c.args.is(3, "timeout") => Ending::Nil,
        4 if c.args.is(3, "error") => Ending::Error,
        4 => {
            let text = "CLIENT UNBLOCK reason should be TIMEOUT or ERROR";
            return Err(Fault::err(text));
        }
        _ => {
            return Err(Fault::err(
                "unknown subcommand or wrong number of arguments for 'UNBLOCK'. Try CLIENT HELP.",
            ));
        }
    };
    let id = c.args.integer(2)?;
    let record = u64::try_from(id)
        .ok()
        .and_then(|id| c.server.clients.get(id));
    let blocked = record.and_then(|record| record.parked());
    c.reply.integer(blocked.is_some().into());
    if let Some(blocked) = blocked
        && let Some(task) = blocking::end(c.db.exec, &blocked, ending)
    {
        c.db.exec.post(task.origin.home, Mail::Done(task));
    }
    Ok(())
}

command! { CLIENT_UNPAUSE =
    name: "client|unpause", run: client_unpause, arity: 2,
    flags: ADMIN | NOSCRIPT | LOADING | STALE, categories: CONNECTION, group: Group::Connection,
    since: "6.2.0", complexity: "O(N) Where N is the number of paused clients",
    summary: "Resumes processing commands from paused clients.",
}

fn client_unpause(c: &mut Call<'_>) -> Outcome {
    c.server.pause.end(c.server);
    for home in 0..c.server.loops.len() {
        c.db.exec.post(home, Mail::Review);
    }
    c.reply.ok();
    Ok(())
}
