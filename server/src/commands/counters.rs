//! Strings as numbers: INCR and its relatives.

use ostraka_datatypes::numbers::{Extended, parse_i64};
use ostraka_datatypes::raw::entry::{Entry, StringRef, Value};

use super::conditional::with_text;
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::Ttl;

pub static ROWS: &[&Command] = &[&DECR, &DECRBY, &INCR, &INCRBY, &INCRBYFLOAT];

command! { INCR =
    name: "incr", run: incr, arity: 2, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | ACCESS | UPDATE)], categories: STRING, group: Group::String, since: "1.0.0",
    complexity: "O(1)",
    summary: "Increments the integer value of a key by one. Uses 0 as initial value if the key \
        doesn't exist.",
    syntax: "key<key>",
}

fn incr(c: &mut Call<'_>) -> Outcome {
    add(c, 1)
}

command! { DECR =
    name: "decr", run: decr, arity: 2, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | ACCESS | UPDATE)], categories: STRING, group: Group::String, since: "1.0.0",
    complexity: "O(1)",
    summary: "Decrements the integer value of a key by one. Uses 0 as initial value if the key \
        doesn't exist.",
    syntax: "key<key>",
}

fn decr(c: &mut Call<'_>) -> Outcome {
    add(c, -1)
}

command! { INCRBY =
    name: "incrby", run: incrby, arity: 3, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | ACCESS | UPDATE)], categories: STRING, group: Group::String, since: "1.0.0",
    complexity: "O(1)",
    summary: "Increments the integer value of a key by a number. Uses 0 as initial value if the \
        key doesn't exist.",
    syntax: "key<key> increment<integer>",
}

fn incrby(c: &mut Call<'_>) -> Outcome {
    add(c, c.args.integer(2)?)
}

command! { DECRBY =
    name: "decrby", run: decrby, arity: 3, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | ACCESS | UPDATE)], categories: STRING, group: Group::String, since: "1.0.0",
    complexity: "O(1)",
    summary: "Decrements a number from the integer value of a key. Uses 0 as initial value if the \
        key doesn't exist.",
    syntax: "key<key> decrement<integer>",
}

fn decrby(c: &mut Call<'_>) -> Outcome {
    let decrement = c.args.integer(2)?;
    let increment = decrement.checked_neg().ok_or(Fault::DecrementOverflow)?;
    add(c, increment)
}

fn add(c: &mut Call<'_>, increment: i64) -> Outcome {
    let key = c.args.key(1);
    let sum = match c.db.edit_string(key)? {
        Some(mut edit) => {
            let sum = integer_of(edit.entry())
                .ok_or(Fault::NotInteger)?
                .checked_add(increment)
                .ok_or(Fault::IncrementOverflow)?;
            edit.change("incrby", |entry| entry.set_int(sum));
            sum
        }
        None => {
            c.db.set(key, Value::Int(increment), Ttl::Clear, "incrby");
            increment
        }
    };
    c.reply.integer(sum);
    Ok(())
}

fn integer_of(entry: &Entry) -> Option<i64> {
    match entry.string() {
        StringRef::Int(number) => Some(number),
        StringRef::Bytes(text) => parse_i64(text),
    }
}

command! { INCRBYFLOAT =
    name: "incrbyfloat", run: incrbyfloat, arity: 3, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | ACCESS | UPDATE)], categories: STRING, group: Group::String, since: "2.6.0",
    complexity: "O(1)",
    summary: "Increment the floating point value of a key by a number. Uses 0 as initial value if \
        the key doesn't exist.",
    syntax: "key<key> increment<double>",
}

fn incrbyfloat(c: &mut Call<'_>) -> Outcome {
    let (key, increment) = (c.args.key(1), Extended::parse(c.args.at(2)));
    let sum = match c.db.edit_string(key)? {
        Some(mut edit) => {
            let value = with_text(edit.entry(), Extended::parse).ok_or(Fault::NotFloat)?;
            let sum = sum_text(value, increment)?;
            let text = sum.as_bytes();
            edit.change("incrbyfloat", |entry| entry.set_string(Value::text(text)));
            sum
        }
        None => {
            let zero = Extended::parse(b"0").ok_or(Fault::NotFloat)?;
            let sum = sum_text(zero, increment)?;
            c.db.set(key, Value::text(sum.as_bytes()), Ttl::Clear, "incrbyfloat");
            sum
        }
    };
    c.reply.bulk(sum.as_bytes());
    Ok(())
}

fn sum_text(value: Extended, increment: Option<Extended>) -> Result<String, Fault> {
    let increment = increment.ok_or(Fault::NotFloat)?;
    let sum = value.checked_add(increment).ok_or(Fault::NanOrInfinity)?;
    Ok(sum.to_text())
}
