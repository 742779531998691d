//! PING.

use crate::call::{Call, Outcome};
use crate::command;
use crate::command::flag::FAST;
use crate::command::{Command, Group, acl};

pub static ROWS: &[&Command] = &[&PING];

command! { PING =
    name: "ping",
    run: ping,
    arity: -1,
    flags: FAST,
    categories: acl::CONNECTION,
    group: Group::Connection,
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Returns the server's liveliness response.",
    syntax: "[message<string>]",
}

fn ping(c: &mut Call<'_>) -> Outcome {
    match c.args.get(1) {
        Some(message) => c.reply.bulk(message),
        None => c.reply.simple("PONG"),
    }
    Ok(())
}
