//! Hashes: values by field. Their scans and random fields are in `hash_scan`, the deadlines of fields in `hash_expire`.

use std::sync::Arc;

use ostraka_datatypes::ahead::Ahead;
use ostraka_datatypes::collection::{Collection, Large};
use ostraka_datatypes::hashes::{FieldRef, FieldTtl, Hash, HashMut, HashRef, Limits};
use ostraka_datatypes::numbers::{Extended, format_i64};
use ostraka_datatypes::raw::entry::{Entry, Type};
use ostraka_datatypes::resp::{Deferred, Reply};

use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Changed, Missing};
use crate::slices::{AT_ONCE, Budget, Work};

pub static ROWS: &[&Command] = &[
    &HDEL,
    &HEXISTS,
    &HGET,
    &HGETALL,
    &HINCRBY,
    &HINCRBYFLOAT,
    &HKEYS,
    &HLEN,
    &HMGET,
    &HMSET,
    &HSET,
    &HSETNX,
    &HSTRLEN,
    &HVALS,
];

/// The fields and values at `start`, `start + 1`, `start + 2`, ...
pub fn pairs<'a>(
    args: Args<'a>,
    start: usize,
    end: usize,
) -> impl ExactSizeIterator<Item = (&'a [u8], &'a [u8])> + Clone {
    (start..end)
        .step_by(2)
        .map(move |at| (args.at(at), args.at(at + 1)))
}

/// What a packed hash may grow to, by the configuration.
pub fn limits(c: &mut Call<'_>) -> Limits {
    Limits {
        seed: c.db.new_seed(),
        entries: c.db.exec.settings.hash_max_listpack_entries as usize,
        text: c.db.exec.settings.hash_max_listpack_value as usize,
    }
}

/// Reads the hash at argument 1, if there is one.
pub fn read<R>(c: &mut Call<'_>, read: impl FnOnce(HashRef<'_>) -> R) -> Result<Option<R>, Fault> {
    let now_ms = c.db.now_ms() as u64;
    let entry = c.db.read_as(c.args.key(1), Type::Hash)?;
    Ok(entry.map(|entry| read(HashRef::of(&entry, now_ms))))
}

/// Changes the hash at argument 1.
pub fn modify<R>(
    c: &mut Call<'_>,
    missing: Missing,
    change: impl FnOnce(HashMut<'_>) -> Changed<R>,
) -> Result<Option<R>, Fault> {
    modify_replying(c, missing, |hash, _| change(hash))
}

/// The same, writing the reply from what is there.
pub fn modify_replying<R>(
    c: &mut Call<'_>,
    missing: Missing,
    change: impl FnOnce(HashMut<'_>, &mut Reply<'_>) -> Changed<R>,
) -> Result<Option<R>, Fault> {
    let (now_ms, limits) = (c.db.now_ms() as u64, limits(c));
    let reply = &mut c.reply;
    let change = |entry: &mut Entry| change(HashMut::of(entry, now_ms, limits), reply);
    c.db.modify(c.args.key(1), Type::Hash, missing, change)
}

/// The same for a hash that is made where there is none.
pub fn modify_or_create<R>(
    c: &mut Call<'_>,
    change: impl FnOnce(HashMut<'_>) -> Changed<R>,
) -> Result<R, Fault> {
    let result = modify(c, Missing::Create, change)?;
    Ok(result.expect("a missing hash is created"))
}

command! { HSET =
    name: "hset", run: hset, arity: -4, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | UPDATE)], aim: Aim::Element(2), categories: HASH, group: Group::Hash, since: "2.0.0",
    complexity: "O(1) for each field/value pair added, so O(N) to add N field/value pairs when the \
        command is called with multiple field/value pairs.",
    summary: "Creates or modifies the value of a field in a hash.",
    syntax: "key<key> data{field<string> value<string>}...",
    history: &[("4.0.0", "Accepts multiple `field` and `value` arguments.")],
}

fn hset(c: &mut Call<'_>) -> Outcome {
    let added = set_fields(c)?;
    c.reply.integer(added as i64);
    Ok(())
}

command! { HMSET =
    name: "hmset", run: hmset, arity: -4, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | UPDATE)], aim: Aim::Element(2), categories: HASH, group: Group::Hash, since: "2.0.0",
    complexity: "O(N) where N is the number of fields being set.",
    summary: "Sets the values of multiple fields.",
    syntax: "key<key> data{field<string> value<string>}...",
    deprecated: deprecated("4.0.0", "`HSET` with multiple field-value pairs"),
}

fn hmset(c: &mut Call<'_>) -> Outcome {
    set_fields(c)?;
    c.reply.ok();
    Ok(())
}

/// How many fields are new.
fn set_fields(c: &mut Call<'_>) -> Result<usize, Fault> {
    let args = c.args;
    if !args.len().is_multiple_of(2) {
        return Err(Fault::arity(c.command.name));
    }
    let fields = pairs(args, 2, args.len());
    modify_or_create(c, |mut hash| {
        let count = fields.len() as u64;
        Changed::many("hset", count, hash.set_all(fields))
    })
}

command! { HSETNX =
    name: "hsetnx", run: hsetnx, arity: 4, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | INSERT)], aim: Aim::Element(2), categories: HASH, group: Group::Hash, since: "2.0.0",
    complexity: "O(1)",
    summary: "Sets the value of a field in a hash only when the field doesn't exist.",
    syntax: "key<key> field<string> value<string>",
}

fn hsetnx(c: &mut Call<'_>) -> Outcome {
    let (name, value) = (c.args.at(2), c.args.at(3));
    let set = modify_or_create(c, |mut hash| {
        if hash.read().get(name).is_some() {
            return Changed::nothing(false);
        }
        hash.set(name, value, FieldTtl::Clear);
        Changed::one("hset", true)
    })?;
    c.reply.integer(set.into());
    Ok(())
}

command! { HGET =
    name: "hget", run: hget, arity: 3, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)], aim: Aim::Element(2),
    categories: HASH, group: Group::Hash, since: "2.0.0", complexity: "O(1)",
    summary: "Returns the value of a field in a hash.", syntax: "key<key> field<string>",
}

fn hget(c: &mut Call<'_>) -> Outcome {
    let now_ms = c.db.now_ms() as u64;
    let entry = c.db.read_as(c.args.key(1), Type::Hash)?;
    let hash = entry.as_deref().map(|entry| HashRef::of(entry, now_ms));
    reply_value(&mut c.reply, hash, c.args.at(2));
    Ok(())
}

command! { HMGET =
    name: "hmget", run: hmget, arity: -3, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)], aim: Aim::Element(2),
    categories: HASH, group: Group::Hash, since: "2.0.0",
    complexity: "O(N) where N is the number of fields being requested.",
    summary: "Returns the values of all fields in a hash.", syntax: "key<key> field<string>...",
}

fn hmget(c: &mut Call<'_>) -> Outcome {
    let now_ms = c.db.now_ms() as u64;
    let entry = c.db.read_as(c.args.key(1), Type::Hash)?;
    let hash = entry.as_deref().map(|entry| HashRef::of(entry, now_ms));
    c.reply.array(c.args.len() - 2);
    let mut names = Ahead::of(c.args.from(2).iter());
    let load = |coming| hash.map_or((), |hash| hash.load(coming));
    while let Some(name) = names.next(load) {
        reply_value(&mut c.reply, hash, name);
    }
    Ok(())
}

/// Replies the value of a field, or that there is none.
pub fn reply_value(reply: &mut Reply<'_>, hash: Option<HashRef<'_>>, name: &[u8]) {
    match hash.and_then(|hash| hash.get(name)) {
        Some(field) => field.value.reply(reply),
        None => reply.null(),
    }
}

command! { HGETALL =
    name: "hgetall", run: hgetall, arity: 2, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: HASH, group: Group::Hash, since: "2.0.0",
    complexity: "O(N) where N is the size of the hash.",
    summary: "Returns all fields and values in a hash.", syntax: "key<key>",
    tips: &["nondeterministic_output_order"],
}

fn hgetall(c: &mut Call<'_>) -> Outcome {
    list(c, Part::Both)
}

command! { HKEYS =
    name: "hkeys", run: hkeys, arity: 2, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: HASH, group: Group::Hash, since: "2.0.0",
    complexity: "O(N) where N is the size of the hash.",
    summary: "Returns all fields in a hash.", syntax: "key<key>",
    tips: &["nondeterministic_output_order"],
}

fn hkeys(c: &mut Call<'_>) -> Outcome {
    list(c, Part::Names)
}

command! { HVALS =
    name: "hvals", run: hvals, arity: 2, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: HASH, group: Group::Hash, since: "2.0.0",
    complexity: "O(N) where N is the size of the hash.",
    summary: "Returns all values in a hash.", syntax: "key<key>",
    tips: &["nondeterministic_output_order"],
}

fn hvals(c: &mut Call<'_>) -> Outcome {
    list(c, Part::Values)
}

/// What of the fields is asked for.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    Names,
    Values,
    Both,
}

impl Part {
    #[inline]
    fn reply(self, field: FieldRef<'_>, reply: &mut Reply<'_>) {
        if self != Self::Values {
            field.name.reply(reply);
        }
        if self != Self::Names {
            field.value.reply(reply);
        }
    }

    fn open(self, reply: &mut Reply<'_>, len: usize) {
        match self {
            Self::Both => reply.map(len),
            Self::Names | Self::Values => reply.array(len),
        }
    }
}

/// Replies a part of all fields.
fn list(c: &mut Call<'_>, part: Part) -> Outcome {
    let (now_ms, key) = (c.db.now_ms() as u64, c.args.key(1));
    let Some(entry) = c.db.read_as(key, Type::Hash)? else {
        part.open(&mut c.reply, 0);
        return Ok(());
    };
    let hash = HashRef::of(&entry, now_ms);
    let len = hash.len();
    if len <= AT_ONCE || !entry.is_large() || c.session.atomic {
        part.open(&mut c.reply, hash.live());
        hash.for_each(|field| part.reply(field, &mut c.reply));
        return Ok(());
    }
    let frozen = c.db.freeze(key)?.expect("it is large");
    let listing = Listing {
        frozen,
        now_ms,
        part,
        cursor: Some(0),
        open: None,
        listed: 0,
    };
    c.in_slices(len, &[], listing)
}

/// A large hash on its way into a reply.
struct Listing {
    frozen: Arc<Large>,
    now_ms: u64,
    part: Part,
    cursor: Option<u64>,
    /// The aggregate, from the first slice on.
    open: Option<Deferred>,
    listed: usize,
}

impl Work for Listing {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        /// Fields between two looks at the budget.
        const FIELDS: usize = 32;
        let part = self.part;
        let open = self.open.take().unwrap_or_else(|| match part {
            Part::Both => reply.deferred_map(),
            Part::Names | Part::Values => reply.deferred_array(),
        });
        let hash = HashRef::of_large(large_of(&self.frozen), self.now_ms);
        while let Some(cursor) = self.cursor {
            let next = hash.scan(cursor, FIELDS, |field| {
                part.reply(field, reply);
                self.listed += 1;
            });
            self.cursor = (next != 0).then_some(next);
            if !budget.spend(FIELDS) {
                self.open = Some(open);
                return false;
            }
        }
        reply.close(open, self.listed);
        true
    }
}

/// The hash in a large collection that is known to be one.
fn large_of(large: &Large) -> &Hash {
    match &large.body {
        Collection::Hash(hash) => hash,
        _ => unreachable!("the type of the entry was checked"),
    }
}

command! { HLEN =
    name: "hlen", run: hlen, arity: 2, flags: READONLY | FAST, keys: &[key(1, RO)],
    categories: HASH, group: Group::Hash, since: "2.0.0", complexity: "O(1)",
    summary: "Returns the number of fields in a hash.", syntax: "key<key>",
}

fn hlen(c: &mut Call<'_>) -> Outcome {
    let now_ms = c.db.now_ms() as u64;
    c.reply_len(Type::Hash, |hash| HashRef::of(hash, now_ms).len())
}

command! { HSTRLEN =
    name: "hstrlen", run: hstrlen, arity: 3, flags: READONLY | FAST, keys: &[key(1, RO)], aim: Aim::Element(2),
    categories: HASH, group: Group::Hash, since: "3.2.0", complexity: "O(1)",
    summary: "Returns the length of the value of a field.", syntax: "key<key> field<string>",
}

fn hstrlen(c: &mut Call<'_>) -> Outcome {
    let name = c.args.at(2);
    let length = read(c, |hash| hash.get(name).map(|field| field.value.len()))?;
    c.reply.integer(length.flatten().unwrap_or(0) as i64);
    Ok(())
}

command! { HEXISTS =
    name: "hexists", run: hexists, arity: 3, flags: READONLY | FAST, keys: &[key(1, RO)], aim: Aim::Element(2),
    categories: HASH, group: Group::Hash, since: "2.0.0", complexity: "O(1)",
    summary: "Determines whether a field exists in a hash.", syntax: "key<key> field<string>",
}

fn hexists(c: &mut Call<'_>) -> Outcome {
    let name = c.args.at(2);
    let exists = read(c, |hash| hash.get(name).is_some())?;
    c.reply.integer(exists.unwrap_or(false).into());
    Ok(())
}

command! { HDEL =
    name: "hdel", run: hdel, arity: -3, flags: WRITE | FAST, keys: &[key(1, RW | DELETE)], aim: Aim::Element(2),
    categories: HASH, group: Group::Hash, since: "2.0.0",
    complexity: "O(N) where N is the number of fields to be removed.",
    summary: "Deletes one or more fields and their values from a hash. Deletes the hash if no fields remain.",
    syntax: "key<key> field<string>...",
    history: &[("2.4.0", "Accepts multiple `field` arguments.")],
}

fn hdel(c: &mut Call<'_>) -> Outcome {
    let names = c.args.from(2);
    let deleted = modify(c, Missing::Skip, |mut hash| {
        let (mut names, mut deleted) = (Ahead::of(names.iter()), 0);
        while let Some(name) = names.next(|coming| hash.read().load(coming)) {
            deleted += u64::from(hash.remove(name));
        }
        Changed::many("hdel", deleted, deleted)
    })?;
    c.reply.integer(deleted.unwrap_or(0) as i64);
    Ok(())
}

command! { HINCRBY =
    name: "hincrby", run: hincrby, arity: 4, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | ACCESS | UPDATE)], aim: Aim::Element(2), categories: HASH, group: Group::Hash, since: "2.0.0",
    complexity: "O(1)",
    summary: "Increments the integer value of a field in a hash by a number. Uses 0 as initial value \
        if the field doesn't exist.",
    syntax: "key<key> field<string> increment<integer>",
}

fn hincrby(c: &mut Call<'_>) -> Outcome {
    let (name, increment) = (c.args.at(2), c.args.integer(3)?);
    let sum = edit_value(
        c,
        "hincrby",
        |old| {
            let old = match old {
                Some(field) => field
                    .value
                    .int()
                    .ok_or(Fault::err("hash value is not an integer"))?,
                None => 0,
            };
            let sum = old.checked_add(increment).ok_or(Fault::IncrementOverflow)?;
            Ok((sum, format_i64(sum)))
        },
        name,
    )?;
    c.reply.integer(sum);
    Ok(())
}

command! { HINCRBYFLOAT =
    name: "hincrbyfloat", run: hincrbyfloat, arity: 4, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | ACCESS | UPDATE)], aim: Aim::Element(2), categories: HASH, group: Group::Hash, since: "2.6.0",
    complexity: "O(1)",
    summary: "Increments the floating point value of a field by a number. Uses 0 as initial value if \
        the field doesn't exist.",
    syntax: "key<key> field<string> increment<double>",
}

fn hincrbyfloat(c: &mut Call<'_>) -> Outcome {
    let (name, increment) = (c.args.at(2), c.args.at(3));
    let increment = Extended::parse(increment).ok_or(Fault::NotFloat)?;
    let increment = increment.is_finite().then_some(increment);
    let increment = increment.ok_or(Fault::err("value is NaN or Infinity"))?;
    let sum = edit_value(
        c,
        "hincrbyfloat",
        |old| {
            let old = match old {
                Some(field) => Extended::parse(&field.value.to_cow()),
                None => Extended::parse(b"0"),
            };
            let old = old.ok_or(Fault::err("hash value is not a float"))?;
            let sum = old
                .checked_add(increment)
                .ok_or(Fault::NanOrInfinity)?
                .to_text();
            Ok((sum.clone(), sum.into_bytes()))
        },
        name,
    )?;
    c.reply.bulk(sum.as_bytes());
    Ok(())
}

/// Exchanges the value of field `name` for what `edit` makes of it; its deadline stays.
fn edit_value<R>(
    c: &mut Call<'_>,
    event: &'static str,
    edit: impl FnOnce(Option<FieldRef<'_>>) -> Result<(R, Vec<u8>), Fault>,
    name: &[u8],
) -> Result<R, Fault> {
    modify_or_create(c, |mut hash| match edit(hash.read().get(name)) {
        Ok((result, value)) => {
            hash.set(name, &value, FieldTtl::Keep);
            Changed::one(event, Ok(result))
        }
        Err(fault) => Changed::nothing(Err(fault)),
    })?
}
