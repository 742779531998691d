//! What a client says about its connection: who it is, which protocol and database it speaks to.
//!
//! There is one user, `default`, whose password is the directive `requirepass`.

use std::sync::atomic::Ordering::Relaxed;

use ostraka_datatypes::numbers;
use ostraka_datatypes::resp::Protocol;

use super::client::{named, set_name};
use super::transactions::discard_transaction;
use crate::call::{Args, Call, Fault, Outcome};
use crate::clients::DEFAULT_USER;
use crate::command::row::*;
use crate::session::ReplyMode;
use crate::version;

pub static ROWS: &[&Command] = &[&ACL, &AUTH, &ECHO, &HELLO, &PING, &QUIT, &RESET, &SELECT];

command! { ACL =
    name: "acl", arity: -2, group: Group::Server, since: "6.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for Access List Control commands.",
    subcommands: &[&ACL_WHOAMI],
}

command! { ACL_WHOAMI =
    name: "acl|whoami", run: acl_whoami, arity: 2, flags: NOSCRIPT | LOADING | STALE,
    group: Group::Server, since: "6.0.0", complexity: "O(1)",
    summary: "Returns the authenticated username of the current connection.",
}

fn acl_whoami(c: &mut Call<'_>) -> Outcome {
    c.reply.bulk(DEFAULT_USER.as_bytes());
    Ok(())
}

command! { AUTH =
    name: "auth", run: auth, arity: -2,
    flags: NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, categories: CONNECTION,
    group: Group::Connection, since: "1.0.0",
    complexity: "O(N) where N is the number of passwords defined for the user",
    summary: "Authenticates the connection.",
    syntax: "[username<string>@6.0.0] password<string>",
    history: &[("6.0.0", "Added ACL style (username and password).")],
    is_secret: |_, index| index > 0,
}

fn auth(c: &mut Call<'_>) -> Outcome {
    let (user, password) = match c.args.len() {
        2 if c.db.exec.settings.requirepass.is_none() => return Err(Fault::NoPasswordSet),
        2 => (DEFAULT_USER.as_bytes(), c.args.at(1)),
        3 => (c.args.at(1), c.args.at(2)),
        _ => return Err(Fault::Syntax),
    };
    log_in(c, user, password)?;
    c.reply.ok();
    Ok(())
}

/// A failed attempt leaves the client what it was.
fn log_in(c: &mut Call<'_>, user: &[u8], password: &[u8]) -> Result<(), Fault> {
    // Both are always compared, so that the time taken tells nothing.
    let password_fits = match &c.db.exec.settings.requirepass {
        Some(secret) => is_same_secret(secret, password),
        None => true,
    };
    if password_fits & (user == DEFAULT_USER.as_bytes()) {
        c.session.authenticated = true;
        return Ok(());
    }
    c.db.exec.stats().auth_denied.add(1);
    Err(Fault::WrongPassword)
}

/// Compares in a time that depends on the length of what was given only, and not on how much of it is right.
fn is_same_secret(secret: &[u8], given: &[u8]) -> bool {
    let mut difference = secret.len() ^ given.len();
    for (index, byte) in given.iter().enumerate() {
        let right = secret.get(index % secret.len().max(1)).unwrap_or(&0);
        difference |= usize::from(right ^ byte);
    }
    std::hint::black_box(difference) == 0
}

command! { ECHO =
    name: "echo", run: echo, arity: 2, flags: LOADING | STALE | FAST, categories: CONNECTION,
    group: Group::Connection, since: "1.0.0", complexity: "O(1)",
    summary: "Returns the given string.", syntax: "message<string>",
}

fn echo(c: &mut Call<'_>) -> Outcome {
    c.reply.bulk(c.args.at(1));
    Ok(())
}

command! { HELLO =
    name: "hello", run: hello, arity: -1,
    flags: NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, categories: CONNECTION,
    group: Group::Connection, since: "6.0.0", complexity: "O(1)",
    summary: "Handshakes with the server.",
    syntax: "[arguments{protover<integer> [AUTH auth{username<string> password<string>}] [SETNAME clientname<string>]}]",
    history: &[
        ("6.2.0", "`protover` made optional; when called without arguments the command reports the \
            current connection's context."),
    ],
    is_secret: follows_auth,
}

/// HELLO 3 AUTH user password: both arguments behind the word.
fn follows_auth(args: Args<'_>, index: usize) -> bool {
    index > 2 && (args.is(index - 1, "auth") || index > 3 && args.is(index - 2, "auth"))
}

/// All options are read before any takes effect, so that a refused HELLO changes nothing but the login.
fn hello(c: &mut Call<'_>) -> Outcome {
    let version = match c.args.get(1).map(numbers::parse_i64) {
        None => None,
        Some(Some(2)) => Some(Protocol::Resp2),
        Some(Some(3)) => Some(Protocol::Resp3),
        Some(Some(_)) => return Err(Fault::NoProto),
        Some(None) => {
            return Err(Fault::err(
                "Protocol version is not an integer or out of range",
            ));
        }
    };
    let (mut credentials, mut name) = (None, None);
    let mut at = 2;
    while at < c.args.len() {
        let left = c.args.len() - at - 1;
        if left >= 2 && c.args.is(at, "auth") {
            credentials = Some((c.args.at(at + 1), c.args.at(at + 2)));
            at += 3;
        } else if left >= 1 && c.args.is(at, "setname") {
            name = Some(named("Client names", c.args.at(at + 1))?);
            at += 2;
        } else {
            return Err(Fault::err(format_args!(
                "Syntax error in HELLO option '{}'",
                String::from_utf8_lossy(c.args.at(at))
            )));
        }
    }
    if let Some((user, password)) = credentials {
        log_in(c, user, password)?;
    }
    if c.session.must_authenticate(&c.db.exec.settings) {
        return Err(Fault::HelloFirst);
    }
    if let Some(name) = name {
        set_name(c.session, name);
    }
    if let Some(version) = version {
        speak(c, version);
    }
    greet(c);
    Ok(())
}

fn speak(c: &mut Call<'_>, protocol: Protocol) {
    c.reply.set_protocol(protocol);
    c.session
        .record
        .protocol
        .store(number_of(protocol), Relaxed);
}

fn number_of(protocol: Protocol) -> u32 {
    match protocol {
        Protocol::Resp2 => 2,
        Protocol::Resp3 => 3,
    }
}

fn greet(c: &mut Call<'_>) {
    let protocol = number_of(c.reply.protocol());
    let reply = &mut c.reply;
    reply.map(7);
    for (name, value) in [("server", "redis"), ("version", version::REDIS)] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"proto");
    reply.integer(i64::from(protocol));
    reply.bulk(b"id");
    reply.integer(c.session.id() as i64);
    for (name, value) in [("mode", "standalone"), ("role", "master")] {
        reply.bulk(name.as_bytes());
        reply.bulk(value.as_bytes());
    }
    reply.bulk(b"modules");
    reply.array(0);
}

command! { PING =
    name: "ping", run: ping, arity: -1, flags: FAST, categories: CONNECTION,
    group: Group::Connection, since: "1.0.0", complexity: "O(1)",
    summary: "Returns the server's liveliness response.", syntax: "[message<string>]",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
}

fn ping(c: &mut Call<'_>) -> Outcome {
    match c.args.get(1) {
        _ if c.args.len() > 2 => return Err(Fault::arity(c.command.name)),
        Some(message) => c.reply.bulk(message),
        None => c.reply.simple("PONG"),
    }
    Ok(())
}

command! { QUIT =
    name: "quit", run: quit, arity: -1,
    flags: NOT_QUEUED | NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, categories: CONNECTION,
    group: Group::Connection, since: "1.0.0", complexity: "O(1)",
    summary: "Closes the connection.",
    deprecated: deprecated("7.2.0", "just closing the connection"),
}

fn quit(c: &mut Call<'_>) -> Outcome {
    c.session.close_after_reply();
    c.reply.ok();
    Ok(())
}

command! { RESET =
    name: "reset", run: reset, arity: 1, route: Route::Custom(|_| Reach::Transaction),
    flags: NOT_QUEUED | NOSCRIPT | LOADING | STALE | FAST | NO_AUTH | ALLOW_BUSY, categories: CONNECTION,
    group: Group::Connection, since: "6.2.0", complexity: "O(1)",
    summary: "Resets the connection.",
}

/// Back to what the connection was when it was accepted; CLIENT SETINFO and NO-EVICT stay, as in Redis.
fn reset(c: &mut Call<'_>) -> Outcome {
    if c.session.monitor {
        c.session.set_monitor(false);
        c.server
            .monitors
            .remove(c.server, c.session.record.origin());
    }
    discard_transaction(c);
    c.session.select(0);
    c.session.reply_mode = ReplyMode::On;
    c.session.set_no_touch(false);
    c.session.authenticated = c.db.exec.settings.requirepass.is_none();
    set_name(c.session, "".into());
    speak(c, Protocol::Resp2);
    c.reply.simple("RESET");
    Ok(())
}

command! { SELECT =
    name: "select", run: select, arity: 2, flags: LOADING | STALE | FAST, categories: CONNECTION,
    group: Group::Connection, since: "1.0.0", complexity: "O(1)",
    summary: "Changes the selected database.", syntax: "index<integer>",
}

fn select(c: &mut Call<'_>) -> Outcome {
    let database = c.database(1)?;
    c.session.select(database);
    c.reply.ok();
    Ok(())
}
