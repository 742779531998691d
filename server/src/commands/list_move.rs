//! Commands that move an element from one list to another, or from one end of a list to the other.

use ostraka_datatypes::list::{End, ListMut, ListRef};
use ostraka_datatypes::raw::entry::Type;

use super::list::{end_at, limits, pop_event, push_event, take};
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Changed, Keyspace, Missing};
use crate::router::Key;

pub static ROWS: &[&Command] = &[&LMOVE, &RPOPLPUSH];

command! { LMOVE =
    name: "lmove", run: lmove, arity: 5, flags: WRITE | DENYOOM,
    keys: &[key(1, RW | ACCESS | DELETE), key(2, RW | INSERT)], categories: LIST,
    group: Group::List, since: "6.2.0", complexity: "O(1)",
    summary: "Returns an element after popping it from one list and pushing it to another. Deletes \
        the list if the last element was moved.",
    syntax: "source<key> destination<key:1> wherefrom(LEFT|RIGHT) whereto(LEFT|RIGHT)",
}

fn lmove(c: &mut Call<'_>) -> Outcome {
    let (from, to) = (end_at(c.args, 3)?, end_at(c.args, 4)?);
    reply_moved(c, from, to)
}

command! { RPOPLPUSH =
    name: "rpoplpush", run: rpoplpush, arity: 3, flags: WRITE | DENYOOM,
    keys: &[key(1, RW | ACCESS | DELETE), key(2, RW | INSERT)], categories: LIST,
    group: Group::List, since: "1.2.0", complexity: "O(1)",
    summary: "Returns the last element of a list after removing and pushing it to another list. \
        Deletes the list if the last element was popped.",
    syntax: "source<key> destination<key:1>",
    deprecated: deprecated("6.2.0", "`LMOVE` with the `RIGHT` and `LEFT` arguments"),
}

fn rpoplpush(c: &mut Call<'_>) -> Outcome {
    reply_moved(c, End::Right, End::Left)
}

fn reply_moved(c: &mut Call<'_>, from: End, to: End) -> Outcome {
    match transfer(&mut c.db, c.args.key(1), c.args.key(2), from, to)? {
        Some(text) => c.reply.bulk(&text),
        None => c.reply.null(),
    }
    Ok(())
}

/// Moves one element, if there is one.
pub fn transfer(
    db: &mut Keyspace<'_>,
    source: Key<'_>,
    destination: Key<'_>,
    from: End,
    to: End,
) -> Result<Option<Vec<u8>>, Fault> {
    if source.bytes == destination.bytes {
        return rotate(db, source, from, to);
    }
    let Some(entry) = db.peek_as(source, Type::List)? else {
        return Ok(None);
    };
    let list = ListRef::of(&entry);
    let text = match from {
        End::Left => list.get(0),
        End::Right => list.get(list.len() - 1),
    };
    let text = text.unwrap_or_default();
    // Adding comes first, as it may be refused.
    let limits = limits(db);
    db.modify(destination, Type::List, Missing::Create, |entry| {
        ListMut::of(entry, limits).push(to, [&text[..]].into_iter());
        Changed::one(push_event(to), ())
    })?;
    take(db, source, from)
}

/// Moves one element within a list.
fn rotate(
    db: &mut Keyspace<'_>,
    key: Key<'_>,
    from: End,
    to: End,
) -> Result<Option<Vec<u8>>, Fault> {
    let limits = limits(db);
    let moved = db.modify(key, Type::List, Missing::Skip, |entry| {
        let text = ListMut::of(entry, limits).rotate(from, to);
        Changed::one(push_event(to), text.unwrap_or_default())
    })?;
    if moved.is_some() {
        db.record(pop_event(from), key);
    }
    Ok(moved)
}
