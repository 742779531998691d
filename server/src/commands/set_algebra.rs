//! Union, intersection and difference of sets.
//!
//! Each is one of two kinds of work over frozen sets, both in slices. [`Filter`] walks one set and keeps what is in all
//! the others, or in none; it needs no memory but for what it answers. [`Gather`] puts a set together and takes members out of
//! it again. What comes out is replied, counted, or stored.

use std::ops::Range;

use ostraka_datatypes::packed::Element;
use ostraka_datatypes::raw::entry::{Entry, Type};
use ostraka_datatypes::resp::{Deferred, Reply};
use ostraka_datatypes::set::{Limits, SetMut, SetRef};

use super::set_walk::{Members, Walk, frozen};
use super::sets::limits;
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Event, Keyspace};
use crate::slices::{Budget, Work};

pub static ROWS: &[&Command] = &[
    &SDIFF,
    &SDIFFSTORE,
    &SINTER,
    &SINTERCARD,
    &SINTERSTORE,
    &SUNION,
    &SUNIONSTORE,
];

command! { SINTER =
    name: "sinter", run: sinter, arity: -2, flags: READONLY, keys: &[keys_from(1, RO | ACCESS)],
    categories: SET, group: Group::Set, since: "1.0.0",
    complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the \
        number of sets.",
    summary: "Returns the intersect of multiple sets.", syntax: "key<key>...",
    tips: &["nondeterministic_output_order"],
}

fn sinter(c: &mut Call<'_>) -> Outcome {
    intersect(c, 1..c.args.len(), &[], Sink::reply())
}

command! { SINTERCARD =
    name: "sintercard", run: sintercard, arity: -3, flags: READONLY,
    keys: &[counted_keys(1, RO | ACCESS)], categories: SET, group: Group::Set, since: "7.0.0",
    complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the \
        number of sets.",
    summary: "Returns the number of members of the intersect of multiple sets.",
    syntax: "numkeys<integer> key<key>... [LIMIT limit<integer>]",
}

fn sintercard(c: &mut Call<'_>) -> Outcome {
    let args = c.args;
    let count = args.positive(1, || Fault::err("numkeys should be greater than 0"))?;
    if count > args.len() - 2 {
        return Err(Fault::err(
            "Number of keys can't be greater than number of args",
        ));
    }
    let (mut limit, mut at) = (0, 2 + count);
    while at < args.len() {
        if !args.is(at, "LIMIT") || at + 1 == args.len() {
            return Err(Fault::Syntax);
        }
        limit = args.natural(at + 1, || Fault::err("LIMIT can't be negative"))?;
        at += 2;
    }
    let most = if limit == 0 { usize::MAX } else { limit };
    intersect(c, 2..2 + count, &[], Sink::Count { count: 0, most })
}

command! { SINTERSTORE =
    name: "sinterstore", run: sinterstore, arity: -3, flags: WRITE | DENYOOM,
    keys: &[key(1, OW | UPDATE), keys_from(2, RO | ACCESS)], categories: SET, group: Group::Set,
    since: "1.0.0",
    complexity: "O(N*M) worst case where N is the cardinality of the smallest set and M is the \
        number of sets.",
    summary: "Stores the intersect of multiple sets in a key.",
    syntax: "destination<key> key<key>...",
}

fn sinterstore(c: &mut Call<'_>) -> Outcome {
    let store = Store::new(c, "sinterstore");
    intersect(c, 2..c.args.len(), &[1], Sink::Store(store))
}

command! { SUNION =
    name: "sunion", run: sunion, arity: -2, flags: READONLY, keys: &[keys_from(1, RO | ACCESS)],
    categories: SET, group: Group::Set, since: "1.0.0",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Returns the union of multiple sets.", syntax: "key<key>...",
    tips: &["nondeterministic_output_order"],
}

fn sunion(c: &mut Call<'_>) -> Outcome {
    unite(c, 1, None)
}

command! { SUNIONSTORE =
    name: "sunionstore", run: sunionstore, arity: -3, flags: WRITE | DENYOOM,
    keys: &[key(1, OW | UPDATE), keys_from(2, RO | ACCESS)], categories: SET, group: Group::Set,
    since: "1.0.0", complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Stores the union of multiple sets in a key.",
    syntax: "destination<key> key<key>...",
}

fn sunionstore(c: &mut Call<'_>) -> Outcome {
    unite(c, 2, Some("sunionstore"))
}

command! { SDIFF =
    name: "sdiff", run: sdiff, arity: -2, flags: READONLY, keys: &[keys_from(1, RO | ACCESS)],
    categories: SET, group: Group::Set, since: "1.0.0",
    complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Returns the difference of multiple sets.", syntax: "key<key>...",
    tips: &["nondeterministic_output_order"],
}

fn sdiff(c: &mut Call<'_>) -> Outcome {
    subtract(c, 1, None)
}

command! { SDIFFSTORE =
    name: "sdiffstore", run: sdiffstore, arity: -3, flags: WRITE | DENYOOM,
    keys: &[key(1, OW | UPDATE), keys_from(2, RO | ACCESS)], categories: SET, group: Group::Set,
    since: "1.0.0", complexity: "O(N) where N is the total number of elements in all given sets.",
    summary: "Stores the difference of multiple sets in a key.",
    syntax: "destination<key> key<key>...",
}

fn sdiffstore(c: &mut Call<'_>) -> Outcome {
    subtract(c, 2, Some("sdiffstore"))
}

/// What is at the arguments `keys` now.
fn all_frozen(c: &mut Call<'_>, keys: Range<usize>) -> Result<Vec<Option<Entry>>, Fault> {
    keys.map(|at| frozen(&mut c.db, c.args.key(at))).collect()
}

fn intersect(c: &mut Call<'_>, keys: Range<usize>, pending: &[usize], sink: Sink) -> Outcome {
    // Nothing is in all of them if one is not there.
    let sets: Option<Vec<Entry>> = all_frozen(c, keys)?.into_iter().collect();
    let mut sets = sets.unwrap_or_default();
    sets.sort_by_key(|set| SetRef::of(set).len());
    let mut work = Filter::new(sets, Keep::InAll, sink);
    if let (Some(first), Sink::Store(store)) = (work.sets.first(), &mut work.sink)
        && SetRef::of(first).is_intset()
    {
        store.set().begin_as_intset();
    }
    c.in_slices(work.effort(), pending, work)
}

fn unite(c: &mut Call<'_>, first: usize, event: Option<Event>) -> Outcome {
    let sets = all_frozen(c, first..c.args.len())?;
    gather(c, sets.into_iter().flatten().collect(), usize::MAX, event)
}

/// Takes the members of all sets but the first out of the first, in the way of the two that promises less work.
fn subtract(c: &mut Call<'_>, first: usize, event: Option<Event>) -> Outcome {
    let mut sets = all_frozen(c, first..c.args.len())?;
    let minuend = c.args.at(first);
    let leaves_nothing =
        sets[0].is_none() || c.args.from(first + 1).iter().any(|key| key == minuend);
    if leaves_nothing {
        sets.clear();
    }
    let mut sets: Vec<Entry> = sets.into_iter().flatten().collect();
    let len = |set: &Entry| SetRef::of(set).len();
    let lookups = sets.first().map_or(0, len) * sets.len() / 2;
    let removals = sets.iter().map(len).sum();
    if lookups > removals {
        return gather(c, sets, 1, event);
    }
    if let Some(others) = sets.get_mut(1..) {
        // What is in one of them is most likely in the largest.
        others.sort_by_key(|set| std::cmp::Reverse(len(set)));
    }
    let Some(event) = event else {
        let work = Filter::new(sets, Keep::InNone, Sink::reply());
        return c.in_slices(work.effort(), &[], work);
    };
    let mut store = Store::new(c, event);
    store.set().begin_as_intset();
    let work = Filter::new(sets, Keep::InNone, Sink::Store(store));
    c.in_slices(work.effort(), &[1], work)
}

fn gather(c: &mut Call<'_>, sets: Vec<Entry>, added: usize, event: Option<Event>) -> Outcome {
    let effort = sets.iter().map(|set| SetRef::of(set).len()).sum();
    let pending: &[usize] = if event.is_some() { &[1] } else { &[] };
    let mut result = Store::new(c, event.unwrap_or_default());
    result.set().begin_as_intset();
    let work = Gather {
        sets,
        added,
        at: 0,
        walk: Walk::default(),
        result,
        stores: event.is_some(),
        reply: None,
    };
    c.in_slices(effort, pending, work)
}

/// A set that is being put together, and where it will be stored.
struct Store {
    /// Its key is the destination.
    entry: Entry,
    limits: Limits,
    event: Event,
}

impl Store {
    /// For the destination at argument 1.
    fn new(c: &mut Call<'_>, event: Event) -> Self {
        Self {
            entry: Entry::packed(Type::Set, c.args.at(1), &[], None),
            limits: limits(&mut c.db),
            event,
        }
    }

    fn set(&mut self) -> SetMut<'_> {
        SetMut::of(&mut self.entry, self.limits)
    }

    /// Puts the set in the place of whatever was there, and answers how many members it has.
    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) {
        let empty = Entry::packed(Type::Set, b"", &[], None);
        let entry = std::mem::replace(&mut self.entry, empty);
        let name = entry.key().to_vec();
        let key = db.exec.server.router.key(&name);
        let len = SetRef::of(&entry).len();
        if len == 0 {
            db.remove(key, "del");
        } else {
            db.put(key, entry, self.event);
        }
        reply.integer(len as i64);
    }
}

/// What becomes of the members that are kept.
enum Sink {
    Reply {
        open: Option<Deferred>,
        len: usize,
    },
    /// No more than `most` are counted.
    Count {
        count: usize,
        most: usize,
    },
    Store(Store),
}

impl Sink {
    fn reply() -> Self {
        Self::Reply { open: None, len: 0 }
    }

    fn keep(&mut self, member: Element<'_>, reply: &mut Reply<'_>) {
        match self {
            Self::Reply { len, .. } => {
                *len += 1;
                member.reply(reply);
            }
            Self::Count { count, most } => *count = (*count + 1).min(*most),
            Self::Store(store) => {
                store.set().add(member);
            }
        }
    }

    fn is_full(&self) -> bool {
        matches!(self, Self::Count { count, most } if count == most)
    }
}

#[derive(Clone, Copy)]
enum Keep {
    InAll,
    InNone,
}

/// Walks the first of `sets` and keeps those members that are in all the others, or in none.
struct Filter {
    sets: Vec<Entry>,
    keep: Keep,
    walk: Walk,
    sink: Sink,
    began: bool,
}

impl Filter {
    fn new(sets: Vec<Entry>, keep: Keep, sink: Sink) -> Self {
        Self {
            sets,
            keep,
            walk: Walk::default(),
            sink,
            began: false,
        }
    }

    /// Lookups, at most.
    fn effort(&self) -> usize {
        let first = self.sets.first();
        first.map_or(0, |first| SetRef::of(first).len()) * self.sets.len()
    }

    fn walk(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let Some((first, others)) = self.sets.split_first() else {
            return true;
        };
        let others: Vec<SetRef<'_>> = others.iter().map(SetRef::of).collect();
        let (keep, sink) = (self.keep, &mut self.sink);
        let mut full = sink.is_full();
        let through = self
            .walk
            .step(SetRef::of(first), self.sets.len(), budget, |member| {
                let kept = match keep {
                    Keep::InAll => others.iter().all(|set| set.contains(member)),
                    Keep::InNone => !others.iter().any(|set| set.contains(member)),
                };
                if kept && !full {
                    sink.keep(member, reply);
                    full = sink.is_full();
                }
            });
        through || full
    }
}

impl Work for Filter {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        if !self.began {
            self.began = true;
            if let Sink::Reply { open, .. } = &mut self.sink {
                *open = Some(reply.deferred_set());
            }
        }
        let through = self.walk(reply, budget);
        if let (true, Sink::Reply { open, len }) = (through, &mut self.sink)
            && let Some(open) = open.take()
        {
            reply.close(open, *len);
        }
        through
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) -> Outcome {
        match &mut self.sink {
            Sink::Reply { .. } => {}
            Sink::Count { count, .. } => reply.integer(*count as i64),
            Sink::Store(store) => {
                if matches!(self.keep, Keep::InAll) {
                    store.set().prefer_intset();
                }
                store.finish(db, reply);
            }
        }
        Ok(())
    }
}

/// Puts the members of the first `added` sets together and takes those of the others out.
struct Gather {
    sets: Vec<Entry>,
    added: usize,
    /// The set that is walked.
    at: usize,
    walk: Walk,
    result: Store,
    stores: bool,
    /// The result on its way to the client.
    reply: Option<Members>,
}

impl Gather {
    fn gather(&mut self, budget: &mut Budget<'_>) -> bool {
        while let Some(set) = self.sets.get(self.at) {
            let (adds, mut result) = (self.at < self.added, self.result.set());
            let through = self.walk.step(SetRef::of(set), 1, budget, |member| {
                if adds {
                    result.add(member);
                } else {
                    result.remove(member);
                }
            });
            if !through {
                return false;
            }
            self.at += 1;
            self.walk = Walk::default();
        }
        true
    }
}

impl Work for Gather {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        if !self.gather(budget) {
            return false;
        }
        if self.stores {
            return true;
        }
        let members = self.reply.get_or_insert_with(|| {
            let empty = Entry::packed(Type::Set, b"", &[], None);
            Members::as_set(std::mem::replace(&mut self.result.entry, empty))
        });
        members.step(reply, budget)
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) -> Outcome {
        if self.stores {
            self.result.finish(db, reply);
        }
        Ok(())
    }
}
