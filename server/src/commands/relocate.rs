//! Moving and copying whole entries to another name or database. Deadlines go with them. Copies share what can be shared
//! until it is changed; a large collection that cannot is copied in slices.

use std::sync::Arc;

use ostraka_datatypes::collection::Copying;
use ostraka_datatypes::raw::entry::Entry;
use ostraka_datatypes::resp::Reply;

use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Event, Keyspace};
use crate::slices::{Budget, Work};

pub static ROWS: &[&Command] = &[&COPY, &MOVE, &RENAME, &RENAMENX];

command! { RENAME =
    name: "rename", run: rename, arity: 3, flags: WRITE,
    keys: &[key(1, RW | ACCESS | DELETE), key(2, OW | UPDATE)], categories: KEYSPACE,
    group: Group::Generic, since: "1.0.0", complexity: "O(1)",
    summary: "Renames a key and overwrites the destination.", syntax: "key<key> newkey<key:1>",
}

fn rename(c: &mut Call<'_>) -> Outcome {
    let (from, to) = (c.args.key(1), c.args.key(2));
    if !c.db.exists(from) {
        return Err(Fault::NoSuchKey);
    }
    if from.bytes != to.bytes {
        give_name(c);
    }
    c.reply.ok();
    Ok(())
}

command! { RENAMENX =
    name: "renamenx", run: renamenx, arity: 3, flags: WRITE | FAST,
    keys: &[key(1, RW | ACCESS | DELETE), key(2, OW | INSERT)], categories: KEYSPACE,
    group: Group::Generic, since: "1.0.0", complexity: "O(1)",
    summary: "Renames a key only when the target key name doesn't exist.",
    syntax: "key<key> newkey<key:1>",
    history: &[
        ("3.2.0", "The command no longer returns an error when source and destination names are \
            the same."),
    ],
}

fn renamenx(c: &mut Call<'_>) -> Outcome {
    let (from, to) = (c.args.key(1), c.args.key(2));
    if !c.db.exists(from) {
        return Err(Fault::NoSuchKey);
    }
    let free = !c.db.exists(to);
    if free {
        give_name(c);
    }
    c.reply.integer(free.into());
    Ok(())
}

/// Renames the key of argument 1 to argument 2.
fn give_name(c: &mut Call<'_>) {
    let (from, to) = (c.args.key(1), c.args.key(2));
    if let Some(entry) = c.db.take(from, "rename_from") {
        c.db.put(to, entry.rename(to.bytes), "rename_to");
    }
}

command! { MOVE =
    name: "move", run: move_, arity: 3, flags: WRITE | FAST, keys: &[key(1, RW | ACCESS | UPDATE)],
    categories: KEYSPACE, group: Group::Generic, since: "1.0.0", complexity: "O(1)",
    summary: "Moves a key to another database.", syntax: "key<key> db<integer>",
}

fn move_(c: &mut Call<'_>) -> Outcome {
    let key = c.args.key(1);
    let (from, to) = (c.db.db(), c.database(2)?);
    if from == to {
        return Err(Fault::SameObject);
    }
    c.db.select(to);
    let taken = c.db.exists(key);
    c.db.select(from);
    let entry = if taken {
        None
    } else {
        c.db.take(key, "move_from")
    };
    c.reply.integer(entry.is_some().into());
    if let Some(entry) = entry {
        c.db.select(to);
        c.db.put(key, entry, "move_to");
    }
    Ok(())
}

/// The event of a copy.
const COPIED: Event = "copy_to";

command! { COPY =
    name: "copy", run: copy, arity: -3, flags: WRITE | DENYOOM,
    keys: &[key(1, RO | ACCESS), key(2, OW | UPDATE)], categories: KEYSPACE, group: Group::Generic,
    since: "6.2.0",
    complexity: "O(N) worst case for collections, where N is the number of nested items. O(1) for \
        string values.",
    summary: "Copies the value of a key to a new key.",
    syntax: "source<key> destination<key:1> [DB destination-db<integer>] [REPLACE]",
}

fn copy(c: &mut Call<'_>) -> Outcome {
    let (source, target) = (c.args.key(1), c.args.key(2));
    let (from, mut to, mut replace) = (c.db.db(), c.db.db(), false);
    let mut at = 3;
    while at < c.args.len() {
        match () {
            () if c.args.is(at, "REPLACE") => replace = true,
            () if c.args.is(at, "DB") && at + 1 < c.args.len() => {
                at += 1;
                to = c.database(at)?;
            }
            () => return Err(Fault::Syntax),
        }
        at += 1;
    }
    if from == to && source.bytes == target.bytes {
        return Err(Fault::SameObject);
    }
    c.db.select(to);
    let taken = !replace && c.db.exists(target);
    c.db.select(from);
    let Some(entry) = c.db.read(source).filter(|_| !taken) else {
        c.reply.integer(0);
        return Ok(());
    };
    if entry.is_cheap_to_copy() {
        let copy = entry.duplicate(target.bytes);
        c.db.select(to);
        c.db.put(target, copy, COPIED);
        c.reply.integer(1);
        return Ok(());
    }
    let deadline = entry.deadline();
    let frozen = c.db.freeze(source)?;
    let frozen = frozen.expect("nothing but a large collection costs much");
    c.db.select(to);
    let work = CopyInto {
        target: target.bytes.into(),
        deadline,
        copying: Some(Copying::new(Arc::clone(&frozen))),
    };
    c.in_slices(frozen.body.len(), &[2], work)
}

/// COPY of a large collection: its copy becomes the value of the target in the end.
struct CopyInto {
    target: Box<[u8]>,
    /// The source's, which goes with the value.
    deadline: Option<u64>,
    copying: Option<Copying>,
}

impl Work for CopyInto {
    fn step(&mut self, _: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let Some(copying) = &mut self.copying else {
            return true;
        };
        budget.repeat(|| !copying.advance())
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) -> Outcome {
        if let Some(copying) = self.copying.take() {
            let large = Arc::new(copying.finish());
            let entry = Entry::large(&self.target, large, self.deadline);
            let key = db.exec.server.router.key(&self.target);
            db.put(key, entry, COPIED);
            reply.integer(1);
        }
        Ok(())
    }
}
