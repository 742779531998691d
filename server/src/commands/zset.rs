//! Sorted sets: adding and removing members, and asking about single ones.
//!
//! | file | what |
//! |---|---|
//! | `zset.rs` | members one by one |
//! | `zset_range.rs` | ranges by rank, score and member: reading, storing, removing |
//! | `zset_pop.rs` | the first and the last |
//! | `zset_algebra.rs` | unions, intersections, differences |
//! | `zset_sample.rs` | ZRANDMEMBER and ZSCAN |

use ostraka_datatypes::ahead::Ahead;
use ostraka_datatypes::numbers::parse_f64;
use ostraka_datatypes::raw::entry::Type;
use ostraka_datatypes::zset::{LexRange, Limits, ScoreRange, ZsetMut, ZsetRef};

use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Changed, Missing};

pub static ROWS: &[&Command] = &[
    &ZADD, &ZCARD, &ZCOUNT, &ZINCRBY, &ZLEXCOUNT, &ZMSCORE, &ZRANK, &ZREM, &ZREVRANK, &ZSCORE,
];

/// How large a packed sorted set may become, as configured.
pub fn limits(c: &mut Call<'_>) -> Limits {
    let seed = c.db.new_seed();
    let settings = &c.db.exec.settings;
    Limits {
        entries: settings.zset_max_listpack_entries as usize,
        text: settings.zset_max_listpack_value as usize,
        seed,
    }
}

/// What `read` finds in the sorted set at argument `index`; without such a key, what it finds in an empty one.
pub fn read<R>(
    c: &mut Call<'_>,
    index: usize,
    read: impl FnOnce(ZsetRef<'_>) -> R,
) -> Result<R, Fault> {
    let entry = c.db.read_as(c.args.key(index), Type::Zset)?;
    Ok(match &entry {
        Some(entry) => read(ZsetRef::of(entry)),
        None => read(ZsetRef::EMPTY),
    })
}

fn score(args: Args<'_>, index: usize) -> Result<f64, Fault> {
    parse_f64(args.at(index)).ok_or(Fault::NotFloat)
}

command! { ZADD =
    name: "zadd", run: zadd, arity: -4, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | UPDATE)], aim: Aim::Element(3),
    categories: SORTEDSET, group: Group::SortedSet, since: "1.2.0",
    complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted \
        set.",
    summary: "Adds one or more members to a sorted set, or updates their scores. Creates the key \
        if it doesn't exist.",
    syntax: "key<key> [condition(NX|XX)@3.0.2] [comparison(GT|LT)@6.2.0] [change<CH>@3.0.2] \
        [increment<INCR>@3.0.2] data{score<double> member<string>}...",
    history: &[("2.4.0", "Accepts multiple elements."), ("3.0.2", "Added the `XX`, `NX`, `CH` and `INCR` options."), ("6.2.0", "Added the `GT` and `LT` options.")],
}

/// When a score may be changed.
#[derive(Clone, Copy, Default)]
struct Conditions {
    missing: bool,
    present: bool,
    greater: bool,
    less: bool,
}

impl Conditions {
    fn check(self) -> Result<Self, Fault> {
        if self.missing && self.present {
            let text = "XX and NX options at the same time are not compatible";
            return Err(Fault::err(text));
        }
        let comparisons = [self.missing, self.greater, self.less];
        if comparisons.iter().filter(|given| **given).count() > 1 {
            let text = "GT, LT, and/or NX options at the same time are not compatible";
            return Err(Fault::err(text));
        }
        Ok(self)
    }

    /// The score to set, if one is to be set; `number` is a score, or an increment.
    fn apply(self, old: Option<f64>, number: f64, increment: bool) -> Result<Option<f64>, Fault> {
        let Some(old) = old else {
            return Ok((!self.present).then_some(number));
        };
        if self.missing {
            return Ok(None);
        }
        let new = if increment { old + number } else { number };
        if new.is_nan() {
            return Err(Fault::ScoreNan);
        }
        let unfit = self.greater && new <= old || self.less && new >= old;
        Ok((!unfit).then_some(new))
    }
}

/// The options of ZADD.
#[derive(Default)]
struct AddOptions {
    conditions: Conditions,
    count_changed: bool,
    increment: bool,
    /// The argument with the first score.
    first: usize,
}

impl AddOptions {
    fn parse(args: Args<'_>) -> Result<Self, Fault> {
        let (mut options, mut at) = (Self::default(), 2);
        loop {
            let flag = match () {
                () if args.is(at, "NX") => &mut options.conditions.missing,
                () if args.is(at, "XX") => &mut options.conditions.present,
                () if args.is(at, "GT") => &mut options.conditions.greater,
                () if args.is(at, "LT") => &mut options.conditions.less,
                () if args.is(at, "CH") => &mut options.count_changed,
                () if args.is(at, "INCR") => &mut options.increment,
                () => break,
            };
            *flag = true;
            at += 1;
        }
        options.first = at;
        let left = args.len() - at;
        if left == 0 || left % 2 == 1 {
            return Err(Fault::Syntax);
        }
        options.conditions.check()?;
        if options.increment && left > 2 {
            let text = "INCR option supports a single increment-element pair";
            return Err(Fault::err(text));
        }
        Ok(options)
    }
}

fn zadd(c: &mut Call<'_>) -> Outcome {
    let options = AddOptions::parse(c.args)?;
    add(c, &options)
}

command! { ZINCRBY =
    name: "zincrby", run: zincrby, arity: 4, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | ACCESS | UPDATE)], aim: Aim::Element(3),
    categories: SORTEDSET, group: Group::SortedSet, since: "1.2.0",
    complexity: "O(log(N)) where N is the number of elements in the sorted set.",
    summary: "Increments the score of a member in a sorted set.",
    syntax: "key<key> increment<integer> member<string>",
}

fn zincrby(c: &mut Call<'_>) -> Outcome {
    let options = AddOptions {
        increment: true,
        first: 2,
        ..AddOptions::default()
    };
    add(c, &options)
}

/// What became of the members that were to be added.
#[derive(Default)]
struct Tally {
    added: u64,
    updated: u64,
    /// The last score that was set, or was the same already.
    score: Option<f64>,
}

impl Tally {
    fn put(
        &mut self,
        zset: &mut ZsetMut<'_>,
        options: &AddOptions,
        member: &[u8],
        number: f64,
    ) -> Outcome {
        zset.update(member, |old| {
            let new = match options.conditions.apply(old, number, options.increment) {
                Ok(new) => new,
                Err(fault) => return (None, Err(fault)),
            };
            self.score = new;
            // 0 and -0 are the same score.
            let changed = new.filter(|new| old != Some(*new));
            self.added += u64::from(changed.is_some() && old.is_none());
            self.updated += u64::from(changed.is_some() && old.is_some());
            (changed, Ok(()))
        })
    }
}

fn add(c: &mut Call<'_>, options: &AddOptions) -> Outcome {
    let (args, limits) = (c.args, limits(c));
    let scores = (options.first..args.len()).step_by(2);
    let scores: Vec<f64> = scores.map(|at| score(args, at)).collect::<Result<_, _>>()?;
    let members = (options.first + 1..args.len()).step_by(2);
    let members = members.map(|at| args.at(at));
    let longest = members.clone().map(<[u8]>::len).max().unwrap_or(0);
    let missing = if options.conditions.present {
        Missing::Skip
    } else {
        Missing::Create
    };
    let event = if options.increment { "zincr" } else { "zadd" };
    let tally = c.db.modify(args.key(1), Type::Zset, missing, |entry| {
        let mut zset = ZsetMut::of(entry, limits);
        zset.expect(scores.len(), longest);
        let mut tally = Tally::default();
        let mut members = Ahead::of(members.zip(&scores));
        while let Some((member, number)) =
            members.next(|coming| zset.read().load(coming.map(|(member, _)| member)))
        {
            if let Err(fault) = tally.put(&mut zset, options, member, *number) {
                // There is but one member then, and it is as it was.
                return Changed::nothing(Err(fault));
            }
        }
        Changed::many(event, tally.added + tally.updated, Ok(tally))
    })?;
    let tally = tally.transpose()?.unwrap_or_default();
    match (options.increment, tally.score) {
        (true, Some(score)) => c.reply.double(score),
        (true, None) => c.reply.null(),
        (false, _) if options.count_changed => {
            c.reply.integer((tally.added + tally.updated) as i64);
        }
        (false, _) => c.reply.integer(tally.added as i64),
    }
    Ok(())
}

command! { ZREM =
    name: "zrem", run: zrem, arity: -3, flags: WRITE | FAST,
    keys: &[key(1, RW | DELETE)], aim: Aim::Element(2),
    categories: SORTEDSET, group: Group::SortedSet, since: "1.2.0",
    complexity: "O(M*log(N)) with N being the number of elements in the sorted set and M the \
        number of elements to be removed.",
    summary: "Removes one or more members from a sorted set. Deletes the sorted set if all \
        members were removed.",
    syntax: "key<key> member<string>...",
    history: &[("2.4.0", "Accepts multiple elements.")],
}

fn zrem(c: &mut Call<'_>) -> Outcome {
    let (args, limits) = (c.args, limits(c));
    let removed =
        c.db.modify(args.key(1), Type::Zset, Missing::Skip, |entry| {
            let mut zset = ZsetMut::of(entry, limits);
            let (mut members, mut removed) = (Ahead::of(args.from(2).iter()), 0);
            while let Some(member) = members.next(|coming| zset.read().load(coming)) {
                removed += u64::from(zset.remove(member).is_some());
            }
            Changed::many("zrem", removed, removed)
        })?;
    c.reply.integer(removed.unwrap_or(0) as i64);
    Ok(())
}

command! { ZSCORE =
    name: "zscore", run: zscore, arity: 3, flags: READONLY | FAST,
    keys: &[key(1, RO | ACCESS)], aim: Aim::Element(2),
    categories: SORTEDSET, group: Group::SortedSet, since: "1.2.0",
    complexity: "O(1)",
    summary: "Returns the score of a member in a sorted set.",
    syntax: "key<key> member<string>",
}

fn zscore(c: &mut Call<'_>) -> Outcome {
    let member = c.args.at(2);
    match read(c, 1, |zset| zset.score(member))? {
        Some(score) => c.reply.double(score),
        None => c.reply.null(),
    }
    Ok(())
}

command! { ZMSCORE =
    name: "zmscore", run: zmscore, arity: -3, flags: READONLY | FAST,
    keys: &[key(1, RO | ACCESS)], aim: Aim::Element(2),
    categories: SORTEDSET, group: Group::SortedSet, since: "6.2.0",
    complexity: "O(N) where N is the number of members being requested.",
    summary: "Returns the score of one or more members in a sorted set.",
    syntax: "key<key> member<string>...",
}

fn zmscore(c: &mut Call<'_>) -> Outcome {
    let mut members = Ahead::of(c.args.from(2).iter());
    let scores: Vec<_> = read(c, 1, |zset| {
        let next = || members.next(|coming| zset.load(coming));
        std::iter::from_fn(next)
            .map(|member| zset.score(member))
            .collect()
    })?;
    c.reply.array(scores.len());
    for score in scores {
        match score {
            Some(score) => c.reply.double(score),
            None => c.reply.null(),
        }
    }
    Ok(())
}

command! { ZCARD =
    name: "zcard", run: zcard, arity: 2, flags: READONLY | FAST,
    keys: &[key(1, RO)],
    categories: SORTEDSET, group: Group::SortedSet, since: "1.2.0",
    complexity: "O(1)",
    summary: "Returns the number of members in a sorted set.",
    syntax: "key<key>",
}

fn zcard(c: &mut Call<'_>) -> Outcome {
    c.reply_len(Type::Zset, |zset| ZsetRef::of(zset).len())
}

command! { ZCOUNT =
    name: "zcount", run: zcount, arity: 4, flags: READONLY | FAST,
    keys: &[key(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "2.0.0",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    summary: "Returns the count of members in a sorted set that have scores within a range.",
    syntax: "key<key> min<double> max<double>",
}

fn zcount(c: &mut Call<'_>) -> Outcome {
    let range = ScoreRange::parse(c.args.at(2), c.args.at(3)).ok_or(Fault::NotScoreRange)?;
    let ranks = read(c, 1, |zset| range.ranks(zset))?;
    c.reply.integer(ranks.len() as i64);
    Ok(())
}

command! { ZLEXCOUNT =
    name: "zlexcount", run: zlexcount, arity: 4, flags: READONLY | FAST,
    keys: &[key(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "2.8.9",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    summary: "Returns the number of members in a sorted set within a lexicographical range.",
    syntax: "key<key> min<string> max<string>",
}

fn zlexcount(c: &mut Call<'_>) -> Outcome {
    let range = LexRange::parse(c.args.at(2), c.args.at(3)).ok_or(Fault::NotLexRange)?;
    let ranks = read(c, 1, |zset| range.ranks(zset))?;
    c.reply.integer(ranks.len() as i64);
    Ok(())
}

command! { ZRANK =
    name: "zrank", run: zrank, arity: -3, flags: READONLY | FAST,
    keys: &[key(1, RO | ACCESS)], aim: Aim::Element(2),
    categories: SORTEDSET, group: Group::SortedSet, since: "2.0.0",
    complexity: "O(log(N))",
    summary: "Returns the index of a member in a sorted set ordered by ascending scores.",
    syntax: "key<key> member<string> [WITHSCORE]",
    history: &[("7.2.0", "Added the optional `WITHSCORE` argument.")],
}

fn zrank(c: &mut Call<'_>) -> Outcome {
    rank(c, false)
}

command! { ZREVRANK =
    name: "zrevrank", run: zrevrank, arity: -3, flags: READONLY | FAST,
    keys: &[key(1, RO | ACCESS)], aim: Aim::Element(2),
    categories: SORTEDSET, group: Group::SortedSet, since: "2.0.0",
    complexity: "O(log(N))",
    summary: "Returns the index of a member in a sorted set ordered by descending scores.",
    syntax: "key<key> member<string> [WITHSCORE]",
    history: &[("7.2.0", "Added the optional `WITHSCORE` argument.")],
}

fn zrevrank(c: &mut Call<'_>) -> Outcome {
    rank(c, true)
}

fn rank(c: &mut Call<'_>, reverse: bool) -> Outcome {
    if c.args.len() > 4 {
        return Err(Fault::arity(c.command.name));
    }
    let with_score = c.args.len() == 4;
    if with_score && !c.args.is(3, "WITHSCORE") {
        return Err(Fault::Syntax);
    }
    let member = c.args.at(2);
    let found = read(c, 1, |zset| {
        let (rank, score) = zset.rank(member)?;
        let rank = if reverse { zset.len() - 1 - rank } else { rank };
        Some((rank as i64, score))
    })?;
    match found {
        Some((rank, score)) if with_score => {
            c.reply.array(2);
            c.reply.integer(rank);
            c.reply.double(score);
        }
        Some((rank, _)) => c.reply.integer(rank),
        None if with_score => c.reply.null_array(),
        None => c.reply.null(),
    }
    Ok(())
}
