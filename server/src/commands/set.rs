//! Commands that store whole strings: SET in all its forms, and its relatives for several keys.

use ostraka_datatypes::raw::entry::Value;

use super::conditional::Condition;
use super::deadline::Unit;
use super::string::reply_value;
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Keyspace, Ttl};

pub static ROWS: &[&Command] = &[
    &GETSET, &MSET, &MSETEX, &MSETNX, &PSETEX, &SET, &SETEX, &SETNX,
];

/// Which options a command takes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Set,
    Msetex,
    Getex,
}

/// What becomes of the deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiration {
    /// KEEPTTL.
    Keep,
    /// PERSIST.
    Persist,
    /// A unit, and the argument that holds the number.
    At(Unit, usize),
}

/// The options of SET, MSETEX and GETEX.
#[derive(Default)]
pub struct Options<'a> {
    pub condition: Option<Condition<'a>>,
    pub get: bool,
    pub expiration: Option<Expiration>,
}

impl<'a> Options<'a> {
    /// Reads the options from argument `at` to the last one. An option may be repeated, the last one counts; it may
    /// not be combined with one that it contradicts.
    pub fn parse(args: Args<'a>, mut at: usize, dialect: Dialect) -> Result<Self, Fault> {
        let mut options = Self::default();
        while let Some(word) = args.get(at) {
            let operand = args.get(at + 1);
            at += match () {
                () if options.take_word(word, dialect) => 1,
                () if options.take_unit(word, at + 1, operand) => 2,
                () if options.take_condition(word, operand, dialect) => 2,
                () => return Err(Fault::Syntax),
            };
        }
        Ok(options)
    }

    /// An option that stands alone.
    fn take_word(&mut self, word: &[u8], dialect: Dialect) -> bool {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        let getex = dialect == Dialect::Getex;
        let (condition, expiration) = (self.condition, self.expiration);
        match () {
            () if is("NX") && !getex && matches!(condition, None | Some(Condition::Missing)) => {
                self.condition = Some(Condition::Missing);
            }
            () if is("XX") && !getex && matches!(condition, None | Some(Condition::Present)) => {
                self.condition = Some(Condition::Present);
            }
            () if is("GET") && dialect == Dialect::Set => self.get = true,
            () if is("KEEPTTL")
                && !getex
                && matches!(expiration, None | Some(Expiration::Keep)) =>
            {
                self.expiration = Some(Expiration::Keep);
            }
            () if is("PERSIST")
                && getex
                && matches!(expiration, None | Some(Expiration::Persist)) =>
            {
                self.expiration = Some(Expiration::Persist);
            }
            () => return false,
        }
        true
    }

    /// A time, whose number is argument `at` and is looked at later.
    fn take_unit(&mut self, word: &[u8], at: usize, operand: Option<&[u8]>) -> bool {
        let Some(unit) = Unit::of(word).filter(|_| operand.is_some()) else {
            return false;
        };
        let fits = match self.expiration {
            None => true,
            Some(Expiration::At(earlier, _)) => earlier == unit,
            Some(_) => false,
        };
        if fits {
            self.expiration = Some(Expiration::At(unit, at));
        }
        fits
    }

    /// A condition on the value.
    fn take_condition(&mut self, word: &[u8], operand: Option<&'a [u8]>, dialect: Dialect) -> bool {
        let same = |one: &Condition<'_>, other: &Condition<'_>| {
            std::mem::discriminant(one) == std::mem::discriminant(other)
        };
        let found = operand.and_then(|operand| Condition::on_value(word, operand));
        let Some(new) = found.filter(|_| dialect == Dialect::Set) else {
            return false;
        };
        let fits = self.condition.as_ref().is_none_or(|old| same(old, &new));
        if fits {
            self.condition = Some(new);
        }
        fits
    }

    /// What these options make of the deadline.
    pub fn ttl(&self, c: &Call<'_>) -> Result<Ttl, Fault> {
        match self.expiration {
            None | Some(Expiration::Persist) => Ok(Ttl::Clear),
            Some(Expiration::Keep) => Ok(Ttl::Keep),
            Some(Expiration::At(unit, at)) => {
                let number = c.args.integer(at)?;
                let deadline = unit.deadline(number, c.db.now_ms(), c.command.name)?;
                Ok(Ttl::At(deadline))
            }
        }
    }
}

command! { SET =
    name: "set", run: set, arity: -3, flags: WRITE | DENYOOM,
    keys: &[key(1, RW | ACCESS | UPDATE | VARIABLE_FLAGS)
        .notes("RW and ACCESS due to the optional `GET` argument")],
    find_keys: Some(set_keys), categories: STRING, group: Group::String, since: "1.0.0",
    complexity: "O(1)",
    summary: "Sets the string value of a key, ignoring its type. The key is created if it doesn't \
        exist.",
    syntax: "key<key> value<string> \
        [condition(NX|XX|IFEQ ifeq-value<string>@8.1.0|IFNE ifne-value<string>@8.4.0|\
        IFDEQ ifdeq-digest<string>@8.4.0|IFDNE ifdne-digest<string>@8.4.0)@2.6.12] [GET@6.2.0] \
        [expiration(EX seconds<integer>@2.6.12|PX milliseconds<integer>@2.6.12|\
        EXAT unix-time-seconds<unix-time>@6.2.0|PXAT unix-time-milliseconds<unix-time>@6.2.0|\
        KEEPTTL@6.0.0)]",
    history: &[
        ("2.6.12", "Added the `EX`, `PX`, `NX` and `XX` options."),
        ("6.0.0", "Added the `KEEPTTL` option."),
        ("6.2.0", "Added the `GET`, `EXAT` and `PXAT` option."),
        ("7.0.0", "Allowed the `NX` and `GET` options to be used together."),
        ("8.1.0", "Added the `IFEQ` option."),
        ("8.4.0", "Added the `IFNE`, `IFDEQ` and `IFDNE` options."),
    ],
}

/// SET looks at the old value only if it returns it or compares with it.
fn set_keys(args: Args<'_>, n: usize) -> Result<Option<KeyAt>, Unclear> {
    const READING: [&str; 5] = ["GET", "IFEQ", "IFNE", "IFDEQ", "IFDNE"];
    let reads =
        args.len() > 3 && (3..args.len()).any(|at| READING.iter().any(|word| args.is(at, word)));
    let flags = if reads {
        RW | ACCESS | UPDATE
    } else {
        OW | UPDATE
    };
    Ok((n == 0).then_some(KeyAt { index: 1, flags }))
}

fn set(c: &mut Call<'_>) -> Outcome {
    let (key, value) = (c.args.key(1), c.args.at(2));
    if c.args.len() == 3 {
        c.db.set(key, Value::of(value), Ttl::Clear, "set");
        c.reply.ok();
        return Ok(());
    }
    let options = Options::parse(c.args, 3, Dialect::Set)?;
    let ttl = options.ttl(c)?;
    if options.get {
        reply_value(c, key)?;
    }
    let met = match options.condition {
        Some(condition) => condition.met(&mut c.db, key)?,
        None => true,
    };
    if met {
        c.db.set(key, Value::of(value), ttl, "set");
    }
    match (options.get, met) {
        (true, _) => {}
        (false, true) => c.reply.ok(),
        (false, false) => c.reply.null(),
    }
    Ok(())
}

command! { SETNX =
    name: "setnx", run: setnx, arity: 3, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, OW | INSERT)], categories: STRING, group: Group::String, since: "1.0.0",
    complexity: "O(1)",
    summary: "Set the string value of a key only when the key doesn't exist.",
    syntax: "key<key> value<string>",
    deprecated: deprecated("2.6.12", "`SET` with the `NX` argument"),
}

fn setnx(c: &mut Call<'_>) -> Outcome {
    let key = c.args.key(1);
    let missing = !c.db.exists(key);
    if missing {
        c.db.set(key, Value::of(c.args.at(2)), Ttl::Clear, "set");
    }
    c.reply.integer(missing.into());
    Ok(())
}

command! { SETEX =
    name: "setex", run: setex, arity: 4, flags: WRITE | DENYOOM, keys: &[key(1, OW | UPDATE)],
    categories: STRING, group: Group::String, since: "2.0.0", complexity: "O(1)",
    summary: "Sets the string value and expiration time of a key. Creates the key if it doesn't \
        exist.",
    syntax: "key<key> seconds<integer> value<string>",
    deprecated: deprecated("2.6.12", "`SET` with the `EX` argument"),
}

fn setex(c: &mut Call<'_>) -> Outcome {
    set_for(c, Unit::Ex)
}

command! { PSETEX =
    name: "psetex", run: psetex, arity: 4, flags: WRITE | DENYOOM, keys: &[key(1, OW | UPDATE)],
    categories: STRING, group: Group::String, since: "2.6.0", complexity: "O(1)",
    summary: "Sets both string value and expiration time in milliseconds of a key. The key is \
        created if it doesn't exist.",
    syntax: "key<key> milliseconds<integer> value<string>",
    deprecated: deprecated("2.6.12", "`SET` with the `PX` argument"),
}

fn psetex(c: &mut Call<'_>) -> Outcome {
    set_for(c, Unit::Px)
}

fn set_for(c: &mut Call<'_>, unit: Unit) -> Outcome {
    let number = c.args.integer(2)?;
    let deadline = unit.deadline(number, c.db.now_ms(), c.command.name)?;
    let value = Value::of(c.args.at(3));
    c.db.set(c.args.key(1), value, Ttl::At(deadline), "set");
    c.reply.ok();
    Ok(())
}

command! { GETSET =
    name: "getset", run: getset, arity: 3, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | ACCESS | UPDATE)], categories: STRING, group: Group::String, since: "1.0.0",
    complexity: "O(1)",
    summary: "Returns the previous string value of a key after setting it to a new value.",
    syntax: "key<key> value<string>",
    deprecated: deprecated("6.2.0", "`SET` with the `!GET` argument"),
}

fn getset(c: &mut Call<'_>) -> Outcome {
    let key = c.args.key(1);
    reply_value(c, key)?;
    c.db.set(key, Value::of(c.args.at(2)), Ttl::Clear, "set");
    Ok(())
}

/// Pairs of key and value from argument `first` on.
#[derive(Clone, Copy)]
struct Pairs<'a> {
    args: Args<'a>,
    first: usize,
    count: usize,
}

impl Pairs<'_> {
    fn store(self, db: &mut Keyspace<'_>, ttl: Ttl) {
        let keys = self.args.keys(self.first, 2).take(self.count);
        db.each_key(keys, |db, nth, key| {
            let value = self.args.at(self.first + 2 * nth + 1);
            db.set(key, Value::of(value), ttl, "set");
        });
    }

    /// Whether every key meets a condition on its being there.
    fn all_meet(self, db: &mut Keyspace<'_>, condition: Condition<'_>) -> Result<bool, Fault> {
        let mut keys = self.args.keys(self.first, 2).take(self.count);
        keys.try_fold(true, |all, key| Ok(all && condition.met(db, key)?))
    }
}

/// All arguments as pairs.
fn pairs<'a>(c: &Call<'a>) -> Result<Pairs<'a>, Fault> {
    if c.args.len().is_multiple_of(2) {
        return Err(Fault::arity(c.command.name));
    }
    let count = c.args.len() / 2;
    Ok(Pairs {
        args: c.args,
        first: 1,
        count,
    })
}

command! { MSET =
    name: "mset", run: mset, arity: -3, flags: WRITE | DENYOOM,
    keys: &[key(1, OW | UPDATE).range(-1, 2, 0)], categories: STRING, group: Group::String,
    since: "1.0.1", complexity: "O(N) where N is the number of keys to set.",
    summary: "Atomically creates or modifies the string values of one or more keys.",
    syntax: "data{key<key> value<string>}...",
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
}

fn mset(c: &mut Call<'_>) -> Outcome {
    pairs(c)?.store(&mut c.db, Ttl::Clear);
    c.reply.ok();
    Ok(())
}

command! { MSETNX =
    name: "msetnx", run: msetnx, arity: -3, flags: WRITE | DENYOOM,
    keys: &[key(1, OW | INSERT).range(-1, 2, 0)], categories: STRING, group: Group::String,
    since: "1.0.1", complexity: "O(N) where N is the number of keys to set.",
    summary: "Atomically modifies the string values of one or more keys only when all keys don't \
        exist.",
    syntax: "data{key<key> value<string>}...",
}

fn msetnx(c: &mut Call<'_>) -> Outcome {
    let pairs = pairs(c)?;
    let met = pairs.all_meet(&mut c.db, Condition::Missing)?;
    if met {
        pairs.store(&mut c.db, Ttl::Clear);
    }
    c.reply.integer(met.into());
    Ok(())
}

command! { MSETEX =
    name: "msetex", run: msetex, arity: -4, flags: WRITE | DENYOOM,
    keys: &[key(1, OW | UPDATE).counted(0, 1, 2)], categories: STRING, group: Group::String,
    since: "8.4.0", complexity: "O(N) where N is the number of keys to set.",
    summary: "Sets the string values of one or more keys, with one condition and one expiration \
        time for all of them.",
    syntax: "numkeys<integer> data{key<key> value<string>}... [condition(NX|XX)] \
        [expiration(EX seconds<integer>|PX milliseconds<integer>|\
        EXAT unix-time-seconds<unix-time>|PXAT unix-time-milliseconds<unix-time>|KEEPTTL)]",
    tips: &["request_policy:multi_shard", "response_policy:all_succeeded"],
}

fn msetex(c: &mut Call<'_>) -> Outcome {
    let invalid = || Fault::err("invalid numkeys value");
    let count = c.args.integer_or(1, invalid())?;
    let count = i32::try_from(count).ok().filter(|count| *count > 0);
    let count = count.ok_or_else(invalid)? as usize;
    let first_option = 2 + 2 * count;
    if c.args.len() < first_option {
        return Err(Fault::err("wrong number of key-value pairs"));
    }
    let options = Options::parse(c.args, first_option, Dialect::Msetex)?;
    let ttl = options.ttl(c)?;
    let pairs = Pairs {
        args: c.args,
        first: 2,
        count,
    };
    let met = match options.condition {
        Some(condition) => pairs.all_meet(&mut c.db, condition)?,
        None => true,
    };
    if met {
        pairs.store(&mut c.db, ttl);
    }
    c.reply.integer(met.into());
    Ok(())
}
