//! Deadlines of keys: setting, asking, taking away.

use super::deadline::Unit;
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;

pub static ROWS: &[&Command] = &[
    &EXPIRE,
    &EXPIREAT,
    &EXPIRETIME,
    &PERSIST,
    &PEXPIRE,
    &PEXPIREAT,
    &PEXPIRETIME,
    &PTTL,
    &TTL,
];

command! { EXPIRE =
    name: "expire", run: expire, arity: -3, flags: WRITE | FAST, keys: &[key(1, RW | UPDATE)],
    categories: KEYSPACE, group: Group::Generic, since: "1.0.0", complexity: "O(1)",
    summary: "Sets the expiration time of a key in seconds.",
    syntax: "key<key> seconds<integer> [condition(NX|XX|GT|LT)@7.0.0]",
    history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
}

fn expire(c: &mut Call<'_>) -> Outcome {
    set_deadline(c, Unit::Ex)
}

command! { PEXPIRE =
    name: "pexpire", run: pexpire, arity: -3, flags: WRITE | FAST, keys: &[key(1, RW | UPDATE)],
    categories: KEYSPACE, group: Group::Generic, since: "2.6.0", complexity: "O(1)",
    summary: "Sets the expiration time of a key in milliseconds.",
    syntax: "key<key> milliseconds<integer> [condition(NX|XX|GT|LT)@7.0.0]",
    history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
}

fn pexpire(c: &mut Call<'_>) -> Outcome {
    set_deadline(c, Unit::Px)
}

command! { EXPIREAT =
    name: "expireat", run: expireat, arity: -3, flags: WRITE | FAST, keys: &[key(1, RW | UPDATE)],
    categories: KEYSPACE, group: Group::Generic, since: "1.2.0", complexity: "O(1)",
    summary: "Sets the expiration time of a key to a Unix timestamp.",
    syntax: "key<key> unix-time-seconds<unix-time> [condition(NX|XX|GT|LT)@7.0.0]",
    history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
}

fn expireat(c: &mut Call<'_>) -> Outcome {
    set_deadline(c, Unit::ExAt)
}

command! { PEXPIREAT =
    name: "pexpireat", run: pexpireat, arity: -3, flags: WRITE | FAST, keys: &[key(1, RW | UPDATE)],
    categories: KEYSPACE, group: Group::Generic, since: "2.6.0", complexity: "O(1)",
    summary: "Sets the expiration time of a key to a Unix milliseconds timestamp.",
    syntax: "key<key> unix-time-milliseconds<unix-time> [condition(NX|XX|GT|LT)@7.0.0]",
    history: &[("7.0.0", "Added options: `NX`, `XX`, `GT` and `LT`.")],
}

fn pexpireat(c: &mut Call<'_>) -> Outcome {
    set_deadline(c, Unit::PxAt)
}

/// When EXPIRE changes a deadline.
#[derive(Default)]
struct Conditions {
    nx: bool,
    xx: bool,
    gt: bool,
    lt: bool,
}

impl Conditions {
    fn parse(args: Args<'_>) -> Result<Self, Fault> {
        let mut set = Self::default();
        for at in 3..args.len() {
            match () {
                () if args.is(at, "NX") => set.nx = true,
                () if args.is(at, "XX") => set.xx = true,
                () if args.is(at, "GT") => set.gt = true,
                () if args.is(at, "LT") => set.lt = true,
                () => {
                    let option = String::from_utf8_lossy(args.at(at));
                    return Err(Fault::err(format_args!("Unsupported option {option}")));
                }
            }
        }
        if set.nx && (set.xx || set.gt || set.lt) {
            let text = "NX and XX, GT or LT options at the same time are not compatible";
            return Err(Fault::err(text));
        }
        if set.gt && set.lt {
            let text = "GT and LT options at the same time are not compatible";
            return Err(Fault::err(text));
        }
        Ok(set)
    }

    /// Whether `new` may take the place of `old`; no deadline is later than all.
    fn allow(&self, old: Option<u64>, new: i64) -> bool {
        let old = old.map(|deadline| i64::try_from(deadline).unwrap_or(i64::MAX));
        !(self.nx && old.is_some()
            || self.xx && old.is_none()
            || self.gt && old.is_none_or(|old| new <= old)
            || self.lt && old.is_some_and(|old| new >= old))
    }
}

fn set_deadline(c: &mut Call<'_>, unit: Unit) -> Outcome {
    let key = c.args.key(1);
    let conditions = Conditions::parse(c.args)?;
    let now_ms = c.db.now_ms();
    let new = unit.unix_ms(c.args.integer(2)?, now_ms, c.command.name)?;
    let Some(mut edit) = c.db.edit(key) else {
        c.reply.integer(0);
        return Ok(());
    };
    let allowed = conditions.allow(edit.entry().deadline(), new);
    if allowed && new > now_ms {
        edit.set_deadline("expire", Some(new as u64));
    } else if allowed {
        c.db.remove(key, "del");
    }
    c.reply.integer(allowed.into());
    Ok(())
}

command! { PERSIST =
    name: "persist", run: persist, arity: 2, flags: WRITE | FAST, keys: &[key(1, RW | UPDATE)],
    categories: KEYSPACE, group: Group::Generic, since: "2.2.0", complexity: "O(1)",
    summary: "Removes the expiration time of a key.", syntax: "key<key>",
}

fn persist(c: &mut Call<'_>) -> Outcome {
    let persisted = match c.db.edit(c.args.key(1)) {
        Some(mut edit) if edit.entry().deadline().is_some() => {
            edit.set_deadline("persist", None);
            true
        }
        _ => false,
    };
    c.reply.integer(persisted.into());
    Ok(())
}

command! { TTL =
    name: "ttl", run: ttl, arity: 2, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)],
    categories: KEYSPACE, group: Group::Generic, since: "1.0.0", complexity: "O(1)",
    summary: "Returns the expiration time in seconds of a key.", syntax: "key<key>",
    tips: &["nondeterministic_output"], history: &[("2.8.0", "Added the -2 reply.")],
}

fn ttl(c: &mut Call<'_>) -> Outcome {
    let now_ms = c.db.now_ms();
    tell(c, |deadline| in_seconds(deadline.saturating_sub(now_ms)))
}

command! { PTTL =
    name: "pttl", run: pttl, arity: 2, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)],
    categories: KEYSPACE, group: Group::Generic, since: "2.6.0", complexity: "O(1)",
    summary: "Returns the expiration time in milliseconds of a key.", syntax: "key<key>",
    tips: &["nondeterministic_output"], history: &[("2.8.0", "Added the -2 reply.")],
}

fn pttl(c: &mut Call<'_>) -> Outcome {
    let now_ms = c.db.now_ms();
    tell(c, |deadline| deadline.saturating_sub(now_ms))
}

command! { EXPIRETIME =
    name: "expiretime", run: expiretime, arity: 2, flags: READONLY | FAST,
    keys: &[key(1, RO | ACCESS)], categories: KEYSPACE, group: Group::Generic, since: "7.0.0",
    complexity: "O(1)",
    summary: "Returns the expiration time of a key as a Unix timestamp.", syntax: "key<key>",
}

fn expiretime(c: &mut Call<'_>) -> Outcome {
    tell(c, in_seconds)
}

command! { PEXPIRETIME =
    name: "pexpiretime", run: pexpiretime, arity: 2, flags: READONLY | FAST,
    keys: &[key(1, RO | ACCESS)], categories: KEYSPACE, group: Group::Generic, since: "7.0.0",
    complexity: "O(1)",
    summary: "Returns the expiration time of a key as a Unix milliseconds timestamp.",
    syntax: "key<key>",
}

fn pexpiretime(c: &mut Call<'_>) -> Outcome {
    tell(c, |deadline| deadline)
}

/// Rounded to the nearest second; nothing here is negative.
fn in_seconds(ms: i64) -> i64 {
    ((ms as u64 + 500) / 1000) as i64
}

/// Replies a key's deadline in some form; -1 if it has none, -2 if there is no key.
fn tell(c: &mut Call<'_>, form: impl FnOnce(i64) -> i64) -> Outcome {
    let answer = match c.db.inspect(c.args.key(1)).map(|entry| entry.deadline()) {
        Some(Some(deadline)) => form(i64::try_from(deadline).unwrap_or(i64::MAX)),
        Some(None) => -1,
        None => -2,
    };
    c.reply.integer(answer);
    Ok(())
}
