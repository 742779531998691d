//! Commands that wait for an element: each does what its namesake without the B does, and if there is nothing, waits until
//! one of its keys is pushed to and does it again.

use ostraka_datatypes::list::End;

use super::list::{ListPop, end_at, take};
use super::list_move::transfer;
use crate::blocking::Nil;
use crate::call::{Call, Outcome};
use crate::command::row::*;

pub static ROWS: &[&Command] = &[&BLMOVE, &BLMPOP, &BLPOP, &BRPOP, &BRPOPLPUSH];

command! { BLPOP =
    name: "blpop", run: blpop, arity: -3, flags: WRITE | NOSCRIPT | BLOCKING,
    keys: &[key(1, RW | ACCESS | DELETE).range(-2, 1, 0)], categories: LIST, group: Group::List,
    since: "2.0.0", complexity: "O(N) where N is the number of provided keys.",
    summary: "Removes and returns the first element in a list. Blocks until an element is \
        available otherwise. Deletes the list if the last element was popped.",
    syntax: "key<key>... timeout<double>",
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
}

fn blpop(c: &mut Call<'_>) -> Outcome {
    pop_first(c, End::Left)
}

command! { BRPOP =
    name: "brpop", run: brpop, arity: -3, flags: WRITE | NOSCRIPT | BLOCKING,
    keys: &[key(1, RW | ACCESS | DELETE).range(-2, 1, 0)], categories: LIST, group: Group::List,
    since: "2.0.0", complexity: "O(N) where N is the number of provided keys.",
    summary: "Removes and returns the last element in a list. Blocks until an element is available \
        otherwise. Deletes the list if the last element was popped.",
    syntax: "key<key>... timeout<double>",
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
}

fn brpop(c: &mut Call<'_>) -> Outcome {
    pop_first(c, End::Right)
}

/// Pops from the first list that is there.
fn pop_first(c: &mut Call<'_>, end: End) -> Outcome {
    let last = c.args.len() - 1;
    let timeout_ms = c.timeout_ms(last)?;
    for index in 1..last {
        let key = c.args.key(index);
        if let Some(text) = take(&mut c.db, key, end)? {
            c.reply.array(2);
            c.reply.bulk(key.bytes);
            c.reply.bulk(&text);
            return Ok(());
        }
    }
    c.block(1..last, timeout_ms, Nil::Array);
    Ok(())
}

command! { BLMPOP =
    name: "blmpop", run: blmpop, arity: -5, flags: WRITE | BLOCKING,
    keys: &[counted_keys(2, RW | ACCESS | DELETE)], categories: LIST, group: Group::List,
    since: "7.0.0",
    complexity: "O(N+M) where N is the number of provided keys and M is the number of elements \
        returned.",
    summary: "Pops the first element from one of multiple lists. Blocks until an element is \
        available otherwise. Deletes the list if the last element was popped.",
    syntax: "timeout<double> numkeys<integer> key<key>... where(LEFT|RIGHT) \
        [COUNT count<integer>]",
}

fn blmpop(c: &mut Call<'_>) -> Outcome {
    let request = ListPop::parse(c.args, 2, end_at)?;
    let timeout_ms = c.timeout_ms(1)?;
    if !request.pop(c)? {
        c.block(request.keys, timeout_ms, Nil::Array);
    }
    Ok(())
}

command! { BLMOVE =
    name: "blmove", run: blmove, arity: 6, flags: WRITE | DENYOOM | NOSCRIPT | BLOCKING,
    keys: &[key(1, RW | ACCESS | DELETE), key(2, RW | INSERT)], categories: LIST,
    group: Group::List, since: "6.2.0", complexity: "O(1)",
    summary: "Pops an element from a list, pushes it to another list and returns it. Blocks until \
        an element is available otherwise. Deletes the list if the last element was moved.",
    syntax: "source<key> destination<key:1> wherefrom(LEFT|RIGHT) whereto(LEFT|RIGHT) \
        timeout<double>",
}

fn blmove(c: &mut Call<'_>) -> Outcome {
    let (from, to) = (end_at(c.args, 3)?, end_at(c.args, 4)?);
    move_or_wait(c, from, to, 5)
}

command! { BRPOPLPUSH =
    name: "brpoplpush", run: brpoplpush, arity: 4, flags: WRITE | DENYOOM | NOSCRIPT | BLOCKING,
    keys: &[key(1, RW | ACCESS | DELETE), key(2, RW | INSERT)], categories: LIST,
    group: Group::List, since: "2.2.0", complexity: "O(1)",
    summary: "Pops an element from a list, pushes it to another list and returns it. Block until \
        an element is available otherwise. Deletes the list if the last element was popped.",
    syntax: "source<key> destination<key:1> timeout<double>",
    deprecated: deprecated("6.2.0", "`BLMOVE` with the `RIGHT` and `LEFT` arguments"),
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
}

fn brpoplpush(c: &mut Call<'_>) -> Outcome {
    move_or_wait(c, End::Right, End::Left, 3)
}

/// `timeout` is an argument.
fn move_or_wait(c: &mut Call<'_>, from: End, to: End, timeout: usize) -> Outcome {
    let timeout_ms = c.timeout_ms(timeout)?;
    match transfer(&mut c.db, c.args.key(1), c.args.key(2), from, to)? {
        Some(text) => c.reply.bulk(&text),
        None => c.block(1..2, timeout_ms, Nil::Bulk),
    }
    Ok(())
}
