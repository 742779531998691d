//! Sets: what adds, removes, moves, asks for and lists members.

use ostraka_datatypes::ahead::Ahead;
use ostraka_datatypes::packed::Element;
use ostraka_datatypes::raw::entry::Type;
use ostraka_datatypes::set::{Limits, SetMut, SetRef};

use super::collection_scan;
use super::set_walk::{Members, frozen};
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::keyspace::{Changed, Keyspace, Missing};

pub static ROWS: &[&Command] = &[
    &SADD,
    &SCARD,
    &SISMEMBER,
    &SMEMBERS,
    &SMISMEMBER,
    &SMOVE,
    &SREM,
    &SSCAN,
];

/// When sets take another form, as it is configured now, and how one that becomes large hashes.
pub fn limits(db: &mut Keyspace<'_>) -> Limits {
    let seed = db.new_seed();
    let settings = &db.exec.settings;
    let entries = |setting: u64| usize::try_from(setting).unwrap_or(usize::MAX);
    Limits {
        ints: entries(settings.set_max_intset_entries),
        packed: entries(settings.set_max_listpack_entries),
        packed_value: entries(settings.set_max_listpack_value),
        seed,
    }
}

command! { SADD =
    name: "sadd", run: sadd, arity: -3, flags: WRITE | DENYOOM | FAST, keys: &[key(1, RW | INSERT)], aim: Aim::Element(2),
    categories: SET, group: Group::Set, since: "1.0.0",
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called \
        with multiple arguments.",
    summary: "Adds one or more members to a set. Creates the key if it doesn't exist.",
    syntax: "key<key> member<string>...",
    history: &[("2.4.0", "Accepts multiple `member` arguments.")],
}

fn sadd(c: &mut Call<'_>) -> Outcome {
    let (args, limits) = (c.args, limits(&mut c.db));
    let added =
        c.db.modify(args.key(1), Type::Set, Missing::Create, |entry| {
            let mut set = SetMut::of(entry, limits);
            set.expect(Element::of(args.at(2)), args.len() - 2);
            let (mut members, mut added) = (Ahead::of(args.from(2).iter()), 0);
            while let Some(member) = members.next(|coming| set.read().load(coming)) {
                added += u64::from(set.add(Element::of(member)));
            }
            Changed::many("sadd", added, added)
        })?;
    c.reply.integer(added.unwrap_or(0) as i64);
    Ok(())
}

command! { SREM =
    name: "srem", run: srem, arity: -3, flags: WRITE | FAST, keys: &[key(1, RW | DELETE)], aim: Aim::Element(2),
    categories: SET, group: Group::Set, since: "1.0.0",
    complexity: "O(N) where N is the number of members to be removed.",
    summary: "Removes one or more members from a set. Deletes the set if the last member was \
        removed.",
    syntax: "key<key> member<string>...",
    history: &[("2.4.0", "Accepts multiple `member` arguments.")],
}

fn srem(c: &mut Call<'_>) -> Outcome {
    let (args, limits) = (c.args, limits(&mut c.db));
    let removed =
        c.db.modify(args.key(1), Type::Set, Missing::Skip, |entry| {
            let mut set = SetMut::of(entry, limits);
            let (mut members, mut removed) = (Ahead::of(args.from(2).iter()), 0);
            while let Some(member) = members.next(|coming| set.read().load(coming)) {
                removed += u64::from(set.remove(Element::of(member)));
            }
            Changed::many("srem", removed, removed)
        })?;
    c.reply.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

command! { SMOVE =
    name: "smove", run: smove, arity: 4, flags: WRITE | FAST,
    keys: &[key(1, RW | ACCESS | DELETE), key(2, RW | INSERT)],
    categories: SET, group: Group::Set, since: "1.0.0", complexity: "O(1)",
    summary: "Moves a member from one set to another.",
    syntax: "source<key> destination<key> member<string>",
}

fn smove(c: &mut Call<'_>) -> Outcome {
    let (source, destination) = (c.args.key(1), c.args.key(2));
    let member = Element::of(c.args.at(3));
    let Some(entry) = c.db.peek_as(source, Type::Set)? else {
        c.reply.integer(0);
        return Ok(());
    };
    let is_member = SetRef::of(&entry).contains(member);
    if source.bytes == destination.bytes || !is_member {
        c.db.peek_as(destination, Type::Set)?;
        c.reply.integer(is_member.into());
        return Ok(());
    }
    let limits = limits(&mut c.db);
    // Once the member has left the source, the destination must not turn out to be of another type or in use.
    c.db.modify(destination, Type::Set, Missing::Skip, |_| {
        Changed::nothing(())
    })?;
    c.db.modify(source, Type::Set, Missing::Skip, |entry| {
        SetMut::of(entry, limits).remove(member);
        Changed::one("srem", ())
    })?;
    c.db.modify(destination, Type::Set, Missing::Create, |entry| {
        let mut set = SetMut::of(entry, limits);
        set.expect(member, 1);
        Changed::many("sadd", set.add(member).into(), ())
    })?;
    c.reply.integer(1);
    Ok(())
}

command! { SISMEMBER =
    name: "sismember", run: sismember, arity: 3, flags: READONLY | FAST, keys: &[key(1, RO)], aim: Aim::Element(2),
    categories: SET, group: Group::Set, since: "1.0.0", complexity: "O(1)",
    summary: "Determines whether a member belongs to a set.",
    syntax: "key<key> member<string>",
}

fn sismember(c: &mut Call<'_>) -> Outcome {
    let entry = c.db.read_as(c.args.key(1), Type::Set)?;
    let member = Element::of(c.args.at(2));
    let is_member = entry.is_some_and(|entry| SetRef::of(&entry).contains(member));
    c.reply.integer(is_member.into());
    Ok(())
}

command! { SMISMEMBER =
    name: "smismember", run: smismember, arity: -3, flags: READONLY | FAST,
    keys: &[key(1, RO | ACCESS)], aim: Aim::Element(2), categories: SET, group: Group::Set, since: "6.2.0",
    complexity: "O(N) where N is the number of elements being checked for membership",
    summary: "Determines whether multiple members belong to a set.",
    syntax: "key<key> member<string>...",
}

fn smismember(c: &mut Call<'_>) -> Outcome {
    let entry = c.db.read_as(c.args.key(1), Type::Set)?;
    let set = entry.as_deref().map(SetRef::of);
    c.reply.array(c.args.len() - 2);
    let mut members = Ahead::of(c.args.from(2).iter());
    let load = |coming| set.map_or((), |set| set.load(coming));
    while let Some(member) = members.next(load) {
        let is_member = set.is_some_and(|set| set.contains(Element::of(member)));
        c.reply.integer(is_member.into());
    }
    Ok(())
}

command! { SCARD =
    name: "scard", run: scard, arity: 2, flags: READONLY | FAST, keys: &[key(1, RO)],
    categories: SET, group: Group::Set, since: "1.0.0", complexity: "O(1)",
    summary: "Returns the number of members in a set.", syntax: "key<key>",
}

fn scard(c: &mut Call<'_>) -> Outcome {
    c.reply_len(Type::Set, |set| SetRef::of(set).len())
}

command! { SMEMBERS =
    name: "smembers", run: smembers, arity: 2, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: SET, group: Group::Set, since: "1.0.0",
    complexity: "O(N) where N is the set cardinality.",
    summary: "Returns all members of a set.", syntax: "key<key>",
    tips: &["nondeterministic_output_order"],
}

fn smembers(c: &mut Call<'_>) -> Outcome {
    match frozen(&mut c.db, c.args.key(1))? {
        Some(set) => {
            let len = SetRef::of(&set).len();
            c.in_slices(len, &[], Members::as_set(set))
        }
        None => {
            c.reply.set(0);
            Ok(())
        }
    }
}

command! { SSCAN =
    name: "sscan", run: sscan, arity: -3, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: SET, group: Group::Set, since: "2.8.0",
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command \
        calls for the cursor to return back to 0. N is the number of elements inside the \
        collection.",
    summary: "Iterates over members of a set.",
    syntax: "key<key> cursor<integer> [MATCH pattern<pattern>] [COUNT count<integer>]",
    tips: &["nondeterministic_output"],
}

fn sscan(c: &mut Call<'_>) -> Outcome {
    collection_scan::scan(c, Type::Set, "")
}
