//! Strings.

use ostraka_datatypes::raw::entry::{Entry, StringRef, Value};
use ostraka_datatypes::resp::Reply;

use crate::call::{Call, Outcome};
use crate::command;
use crate::command::flag::{DENYOOM, FAST, READONLY, WRITE};
use crate::command::keys::{ACCESS, OW, RO, UPDATE, key};
use crate::command::{Command, Group, acl};
use crate::keyspace::Ttl;

pub static ROWS: &[&Command] = &[&GET, &SET];

command! { GET =
    name: "get",
    run: get,
    arity: 2,
    flags: READONLY | FAST,
    keys: &[key(1, RO | ACCESS)],
    categories: acl::STRING,
    group: Group::String,
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Returns the string value of a key.",
    syntax: "key<key>",
}

command! { SET =
    name: "set",
    run: set,
    arity: 3,
    flags: WRITE | DENYOOM,
    keys: &[key(1, OW | UPDATE)],
    categories: acl::STRING,
    group: Group::String,
    since: "1.0.0",
    complexity: "O(1)",
    summary: "Sets the string value of a key.",
    syntax: "key<key> value<string>",
}

/// Replies a string value: large ones by reference.
pub fn reply_string(reply: &mut Reply<'_>, entry: &Entry) {
    if let Some(blob) = entry.blob() {
        return reply.blob(&blob);
    }
    match entry.string() {
        StringRef::Int(number) => reply.bulk_integer(number),
        StringRef::Bytes(bytes) => reply.bulk(bytes),
    }
}

fn get(c: &mut Call<'_>) -> Outcome {
    match c.db.string(c.args.key(1))? {
        Some(entry) => reply_string(&mut c.reply, &entry),
        None => c.reply.null(),
    }
    Ok(())
}

fn set(c: &mut Call<'_>) -> Outcome {
    c.db.set(c.args.key(1), Value::of(c.args.at(2)), Ttl::Clear, "set");
    c.reply.ok();
    Ok(())
}
