//! Deadlines of fields: setting, asking, taking away; and getting or setting values together with them.
//!
//! `FIELDS numfields field ...` comes last in all of them. As in Redis, a key of another type is complained about before
//! the arguments.

use ostraka_datatypes::hashes::{FieldTtl, HashMut, HashRef};
use ostraka_datatypes::raw::entry::Type;

use super::deadline::Unit;
use super::hash::{modify, modify_or_create, modify_replying, pairs, read, reply_value};
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Changed, Missing};

pub static ROWS: &[&Command] = &[
    &HEXPIRE,
    &HEXPIREAT,
    &HEXPIRETIME,
    &HGETDEL,
    &HGETEX,
    &HPERSIST,
    &HPEXPIRE,
    &HPEXPIREAT,
    &HPEXPIRETIME,
    &HPTTL,
    &HSETEX,
    &HTTL,
];

/// The latest deadline that a field can have, in Unix ms.
const LATEST_MS: i64 = (1 << 46) - 1;

/// What is answered for a field that is not there.
const NO_FIELD: i64 = -2;
/// What is answered for a field without a deadline.
const NO_DEADLINE: i64 = -1;

/// What a command says about a number of fields that is none.
const NOT_POSITIVE: &str = "Number of fields must be a positive integer";

/// Argument `at` as a deadline, possibly past.
fn deadline(c: &Call<'_>, at: usize, unit: Unit) -> Result<u64, Fault> {
    let number = c.args.integer(at)?;
    if number < 0 {
        return Err(Fault::err("invalid expire time, must be >= 0"));
    }
    let deadline = unit.unix_ms(number, c.db.now_ms(), c.command.name)?;
    if deadline > LATEST_MS {
        return Err(Fault::invalid_expire(c.command.name));
    }
    Ok(deadline as u64)
}

/// The fields named behind FIELDS, which is argument `at`.
fn fields<'a>(args: Args<'a>, at: usize, not_positive: &str) -> Result<Args<'a>, Fault> {
    if !args.is(at, "FIELDS") {
        let text = "Mandatory argument FIELDS is missing or not at the right position";
        return Err(Fault::err(text));
    }
    let count = args.integer_or(at + 1, Fault::err(not_positive))?;
    if count < 1 {
        return Err(Fault::err(not_positive));
    }
    let fields = args.from(at + 2);
    if count as usize != fields.len() {
        let text = "The `numfields` parameter must match the number of arguments";
        return Err(Fault::err(text));
    }
    Ok(fields)
}

/// Complains if argument 1 is a key of another type.
fn check_type(c: &mut Call<'_>) -> Outcome {
    c.db.peek_as(c.args.key(1), Type::Hash)?;
    Ok(())
}

command! { HEXPIRE =
    name: "hexpire", run: hexpire, arity: -6, flags: WRITE | FAST, keys: &[key(1, RW | UPDATE)],
    categories: HASH, group: Group::Hash, since: "7.4.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Set expiry for hash field using relative time to expire (seconds)",
    syntax: "key<key> seconds<integer> [condition(NX|XX|GT|LT)] FIELDS fields{numfields<integer> field<string>...}",
}

fn hexpire(c: &mut Call<'_>) -> Outcome {
    set_deadlines(c, Unit::Ex)
}

command! { HPEXPIRE =
    name: "hpexpire", run: hpexpire, arity: -6, flags: WRITE | FAST, keys: &[key(1, RW | UPDATE)],
    categories: HASH, group: Group::Hash, since: "7.4.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Set expiry for hash field using relative time to expire (milliseconds)",
    syntax: "key<key> milliseconds<integer> [condition(NX|XX|GT|LT)] FIELDS fields{numfields<integer> field<string>...}",
}

fn hpexpire(c: &mut Call<'_>) -> Outcome {
    set_deadlines(c, Unit::Px)
}

command! { HEXPIREAT =
    name: "hexpireat", run: hexpireat, arity: -6, flags: WRITE | FAST, keys: &[key(1, RW | UPDATE)],
    categories: HASH, group: Group::Hash, since: "7.4.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Set expiry for hash field using an absolute Unix timestamp (seconds)",
    syntax: "key<key> unix-time-seconds<unix-time> [condition(NX|XX|GT|LT)] FIELDS fields{numfields<integer> field<string>...}",
}

fn hexpireat(c: &mut Call<'_>) -> Outcome {
    set_deadlines(c, Unit::ExAt)
}

command! { HPEXPIREAT =
    name: "hpexpireat", run: hpexpireat, arity: -6, flags: WRITE | FAST, keys: &[key(1, RW | UPDATE)],
    categories: HASH, group: Group::Hash, since: "7.4.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Set expiry for hash field using an absolute Unix timestamp (milliseconds)",
    syntax: "key<key> unix-time-milliseconds<unix-time> [condition(NX|XX|GT|LT)] FIELDS fields{numfields<integer> field<string>...}",
}

fn hpexpireat(c: &mut Call<'_>) -> Outcome {
    set_deadlines(c, Unit::PxAt)
}

/// When HEXPIRE changes a deadline.
#[derive(Clone, Copy)]
enum Condition {
    Always,
    Nx,
    Xx,
    Gt,
    Lt,
}

impl Condition {
    fn parse(args: Args<'_>, at: usize) -> Option<Self> {
        match () {
            () if args.is(at, "NX") => Some(Self::Nx),
            () if args.is(at, "XX") => Some(Self::Xx),
            () if args.is(at, "GT") => Some(Self::Gt),
            () if args.is(at, "LT") => Some(Self::Lt),
            () => None,
        }
    }

    /// Whether `new` may take the place of `old`; no deadline is later than all.
    fn allows(self, old: Option<u64>, new: u64) -> bool {
        match self {
            Self::Always => true,
            Self::Nx => old.is_none(),
            Self::Xx => old.is_some(),
            Self::Gt => old.is_some_and(|old| new > old),
            Self::Lt => old.is_none_or(|old| new < old),
        }
    }
}

/// What came of a field that was to get a deadline, as it is answered.
#[derive(Clone, Copy, PartialEq)]
enum Expiry {
    NoField = NO_FIELD as isize,
    NotAllowed = 0,
    Set = 1,
    /// The deadline is past.
    Deleted = 2,
}

/// Gives a field a deadline; one that is past deletes it.
fn expire_field(
    hash: &mut HashMut<'_>,
    name: &[u8],
    deadline: u64,
    condition: Condition,
    now_ms: i64,
) -> Expiry {
    let Some(field) = hash.read().get(name) else {
        return Expiry::NoField;
    };
    if !condition.allows(field.deadline, deadline) {
        return Expiry::NotAllowed;
    }
    if deadline as i64 <= now_ms {
        hash.remove(name);
        return Expiry::Deleted;
    }
    hash.set_deadline(name, Some(deadline));
    Expiry::Set
}

/// The event of a change of deadlines, some of which may have been past.
fn event_of(answers: &[Expiry]) -> &'static str {
    if answers.contains(&Expiry::Deleted) {
        "hdel"
    } else {
        "hexpire"
    }
}

/// How many fields were changed.
fn changes(answers: &[Expiry]) -> u64 {
    let changed = |answer: &&Expiry| matches!(answer, Expiry::Set | Expiry::Deleted);
    answers.iter().filter(changed).count() as u64
}

fn set_deadlines(c: &mut Call<'_>, unit: Unit) -> Outcome {
    check_type(c)?;
    let (deadline, now_ms) = (deadline(c, 2, unit)?, c.db.now_ms());
    let condition = Condition::parse(c.args, 3);
    let at = if condition.is_some() { 4 } else { 3 };
    let names = fields(c.args, at, "Parameter `numFields` should be greater than 0")?;
    let condition = condition.unwrap_or(Condition::Always);
    let answers = modify(c, Missing::Skip, |mut hash| {
        let each = |name| expire_field(&mut hash, name, deadline, condition, now_ms);
        let answers: Vec<Expiry> = names.iter().map(each).collect();
        Changed::many(event_of(&answers), changes(&answers), answers)
    })?;
    let answers = answers.unwrap_or_else(|| vec![Expiry::NoField; names.len()]);
    c.reply.array(answers.len());
    for answer in answers {
        c.reply.integer(answer as i64);
    }
    Ok(())
}

command! { HTTL =
    name: "httl", run: httl, arity: -5, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)],
    categories: HASH, group: Group::Hash, since: "7.4.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Returns the TTL in seconds of a hash field.",
    syntax: "key<key> FIELDS fields{numfields<integer> field<string>...}",
    tips: &["nondeterministic_output"],
}

fn httl(c: &mut Call<'_>) -> Outcome {
    let now_ms = c.db.now_ms();
    tell(c, |deadline| in_seconds(deadline - now_ms))
}

command! { HPTTL =
    name: "hpttl", run: hpttl, arity: -5, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)],
    categories: HASH, group: Group::Hash, since: "7.4.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Returns the TTL in milliseconds of a hash field.",
    syntax: "key<key> FIELDS fields{numfields<integer> field<string>...}",
    tips: &["nondeterministic_output"],
}

fn hpttl(c: &mut Call<'_>) -> Outcome {
    let now_ms = c.db.now_ms();
    tell(c, |deadline| deadline - now_ms)
}

command! { HEXPIRETIME =
    name: "hexpiretime", run: hexpiretime, arity: -5, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)],
    categories: HASH, group: Group::Hash, since: "7.4.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Returns the expiration time of a hash field as a Unix timestamp, in seconds.",
    syntax: "key<key> FIELDS fields{numfields<integer> field<string>...}",
}

fn hexpiretime(c: &mut Call<'_>) -> Outcome {
    tell(c, in_seconds)
}

command! { HPEXPIRETIME =
    name: "hpexpiretime", run: hpexpiretime, arity: -5, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)],
    categories: HASH, group: Group::Hash, since: "7.4.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Returns the expiration time of a hash field as a Unix timestamp, in msec.",
    syntax: "key<key> FIELDS fields{numfields<integer> field<string>...}",
}

fn hpexpiretime(c: &mut Call<'_>) -> Outcome {
    tell(c, |deadline| deadline)
}

/// Rounded up; nothing here is negative.
fn in_seconds(ms: i64) -> i64 {
    (ms + 999) / 1000
}

/// Replies each field's deadline in some form.
fn tell(c: &mut Call<'_>, form: impl Fn(i64) -> i64) -> Outcome {
    check_type(c)?;
    let names = fields(c.args, 2, NOT_POSITIVE)?;
    let answer = |hash: HashRef<'_>, name| match hash.get(name).map(|field| field.deadline) {
        Some(Some(deadline)) => form(deadline as i64),
        Some(None) => NO_DEADLINE,
        None => NO_FIELD,
    };
    let answers: Option<Vec<i64>> = read(c, |hash| {
        names.iter().map(|name| answer(hash, name)).collect()
    })?;
    c.reply.array(names.len());
    for answer in answers.unwrap_or_else(|| vec![NO_FIELD; names.len()]) {
        c.reply.integer(answer);
    }
    Ok(())
}

command! { HPERSIST =
    name: "hpersist", run: hpersist, arity: -5, flags: WRITE | FAST, keys: &[key(1, RW | UPDATE)],
    categories: HASH, group: Group::Hash, since: "7.4.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Removes the expiration time for each specified field",
    syntax: "key<key> FIELDS fields{numfields<integer> field<string>...}",
}

fn hpersist(c: &mut Call<'_>) -> Outcome {
    check_type(c)?;
    let names = fields(c.args, 2, NOT_POSITIVE)?;
    let answers = modify(c, Missing::Skip, |mut hash| {
        let each = |name| match hash.read().get(name).map(|field| field.deadline) {
            None => NO_FIELD,
            Some(None) => NO_DEADLINE,
            Some(Some(_)) => {
                hash.set_deadline(name, None);
                1
            }
        };
        let answers: Vec<i64> = names.iter().map(each).collect();
        let count = answers.iter().filter(|answer| **answer == 1).count();
        Changed::many("hpersist", count as u64, answers)
    })?;
    c.reply.array(names.len());
    for answer in answers.unwrap_or_else(|| vec![NO_FIELD; names.len()]) {
        c.reply.integer(answer);
    }
    Ok(())
}

command! { HGETDEL =
    name: "hgetdel", run: hgetdel, arity: -5, flags: WRITE | FAST,
    keys: &[key(1, RW | ACCESS | DELETE)], categories: HASH, group: Group::Hash, since: "8.0.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Returns the value of a field and deletes it from the hash.",
    syntax: "key<key> FIELDS fields{numfields<integer> field<string>...}",
}

fn hgetdel(c: &mut Call<'_>) -> Outcome {
    check_type(c)?;
    let names = fields(c.args, 2, NOT_POSITIVE)?;
    c.reply.array(names.len());
    let deleted = modify_replying(c, Missing::Skip, |mut hash, reply| {
        let mut deleted = 0;
        for name in names.iter() {
            reply_value(reply, Some(hash.read()), name);
            deleted += u64::from(hash.remove(name));
        }
        Changed::many("hdel", deleted, ())
    })?;
    if deleted.is_none() {
        names.iter().for_each(|_| c.reply.null());
    }
    Ok(())
}

command! { HGETEX =
    name: "hgetex", run: hgetex, arity: -5, flags: WRITE | FAST, keys: &[key(1, RW | ACCESS | UPDATE)],
    categories: HASH, group: Group::Hash, since: "8.0.0",
    complexity: "O(N) where N is the number of specified fields",
    summary: "Get the value of one or more fields of a given hash key, and optionally set their expiration.",
    syntax: "key<key> [expiration(EX seconds<integer>|PX milliseconds<integer>|\
        EXAT unix-time-seconds<unix-time>|PXAT unix-time-milliseconds<unix-time>|PERSIST)] \
        FIELDS fields{numfields<integer> field<string>...}",
}

/// What HGETEX does to the deadlines of the fields that it finds.
#[derive(Clone, Copy)]
enum Touch {
    Nothing,
    Persist,
    Expire(u64),
}

fn hgetex(c: &mut Call<'_>) -> Outcome {
    check_type(c)?;
    let (touch, at) = match Unit::of(c.args.at(2)) {
        Some(unit) => (Touch::Expire(deadline(c, 3, unit)?), 4),
        None if c.args.is(2, "PERSIST") => (Touch::Persist, 3),
        None => (Touch::Nothing, 2),
    };
    let names = fields(c.args, at, NOT_POSITIVE)?;
    let now_ms = c.db.now_ms();
    c.reply.array(names.len());
    let found = modify_replying(c, Missing::Skip, |mut hash, reply| {
        let (mut persisted, mut answers) = (0, Vec::new());
        for name in names.iter() {
            reply_value(reply, Some(hash.read()), name);
            match touch {
                Touch::Nothing => {}
                Touch::Persist => {
                    let timed = |hash: HashRef<'_>| hash.get(name)?.deadline;
                    if timed(hash.read()).is_some() {
                        hash.set_deadline(name, None);
                        persisted += 1;
                    }
                }
                Touch::Expire(at) => {
                    answers.push(expire_field(&mut hash, name, at, Condition::Always, now_ms));
                }
            }
        }
        match touch {
            Touch::Expire(_) => Changed::many(event_of(&answers), changes(&answers), ()),
            Touch::Persist | Touch::Nothing => Changed::many("hpersist", persisted, ()),
        }
    })?;
    if found.is_none() {
        names.iter().for_each(|_| c.reply.null());
    }
    Ok(())
}

command! { HSETEX =
    name: "hsetex", run: hsetex, arity: -6, flags: WRITE | DENYOOM | FAST, keys: &[key(1, RW | UPDATE)],
    categories: HASH, group: Group::Hash, since: "8.0.0",
    complexity: "O(N) where N is the number of fields being set.",
    summary: "Set the value of one or more fields of a given hash key, and optionally set their expiration.",
    syntax: "key<key> [condition(FNX|FXX)] [expiration(EX seconds<integer>|PX milliseconds<integer>|\
        EXAT unix-time-seconds<unix-time>|PXAT unix-time-milliseconds<unix-time>|KEEPTTL)] \
        FIELDS fields{numfields<integer> data{field<string> value<string>}...}",
}

/// What HSETEX is asked for besides the fields.
#[derive(Default)]
struct SetOptions {
    /// FXX: only if all fields are there; FNX: only if none is.
    present: Option<bool>,
    ttl: Option<FieldTtl>,
    /// Where the fields begin.
    fields_at: usize,
}

impl SetOptions {
    fn parse(c: &Call<'_>) -> Result<Self, Fault> {
        let (args, mut options, mut at) = (c.args, Self::default(), 2);
        while !args.is(at, "FIELDS") {
            let word = args.get(at).ok_or_else(|| Fault::arity(c.command.name))?;
            at += 1;
            if let Some(unit) = Unit::of(word) {
                options.expire(FieldTtl::Keep)?;
                if at >= args.len() {
                    return Err(Fault::err("missing expire time"));
                }
                options.ttl = Some(FieldTtl::At(deadline(c, at, unit)?));
                at += 1;
            } else if word.eq_ignore_ascii_case(b"KEEPTTL") {
                options.expire(FieldTtl::Keep)?;
            } else if word.eq_ignore_ascii_case(b"FXX") {
                options.demand(true)?;
            } else if word.eq_ignore_ascii_case(b"FNX") {
                options.demand(false)?;
            } else {
                let word = String::from_utf8_lossy(word);
                return Err(Fault::err(format_args!("unknown argument: {word}")));
            }
        }
        if at + 3 >= args.len() {
            return Err(Fault::arity(c.command.name));
        }
        let count = args.integer_or(at + 1, Fault::err("invalid number of fields"))?;
        if !(1..=i64::from(i32::MAX)).contains(&count) {
            return Err(Fault::err("invalid number of fields"));
        }
        options.fields_at = at + 2;
        if args.len() - options.fields_at != 2 * count as usize {
            return Err(Fault::arity(c.command.name));
        }
        Ok(options)
    }

    fn expire(&mut self, ttl: FieldTtl) -> Outcome {
        let text = "Only one of EX, PX, EXAT, PXAT or KEEPTTL arguments can be specified";
        match self.ttl.replace(ttl) {
            Some(_) => Err(Fault::err(text)),
            None => Ok(()),
        }
    }

    fn demand(&mut self, present: bool) -> Outcome {
        match self.present.replace(present) {
            Some(_) => Err(Fault::err(
                "Only one of FXX or FNX arguments can be specified",
            )),
            None => Ok(()),
        }
    }
}

fn hsetex(c: &mut Call<'_>) -> Outcome {
    let (options, args) = (SetOptions::parse(c)?, c.args);
    let (ttl, now_ms) = (options.ttl.unwrap_or(FieldTtl::Clear), c.db.now_ms());
    let fields = pairs(args, options.fields_at, args.len());
    let past = matches!(ttl, FieldTtl::At(deadline) if deadline as i64 <= now_ms);
    let set = modify_or_create(c, |mut hash| {
        let is_there = |(name, _)| hash.read().get(name).is_some();
        let demand = options.present;
        if demand.is_some_and(|present| fields.clone().any(|field| is_there(field) != present)) {
            return Changed::nothing(false);
        }
        let lengths = fields
            .clone()
            .map(|(name, value)| name.len().max(value.len()));
        hash.expect(fields.len(), lengths.max().unwrap_or(0));
        for (name, value) in fields.clone() {
            if past {
                hash.remove(name);
            } else {
                hash.set(name, value, ttl);
            }
        }
        let changed = Changed::many("hset", fields.len() as u64, true);
        match ttl {
            FieldTtl::At(_) => changed.and(if past { "hdel" } else { "hexpire" }),
            FieldTtl::Keep | FieldTtl::Clear => changed,
        }
    })?;
    c.reply.integer(set.into());
    Ok(())
}
