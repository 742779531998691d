//! Unions, intersections and differences of sorted sets, and of plain sets, whose members all have the score 1.
//!
//! The sources are frozen and walked in slices; the result grows as a sorted set of its own, which is then replied,
//! stored or counted. As in Redis, a union or intersection looks at the smallest source first, which decides in what order
//! scores are added up.

use std::sync::Arc;

use ostraka_datatypes::collection::{Collection, Large};
use ostraka_datatypes::numbers::parse_f64;
use ostraka_datatypes::packed::Element;
use ostraka_datatypes::raw::entry::Type;
use ostraka_datatypes::resp::Reply;
use ostraka_datatypes::set::SetRef;
use ostraka_datatypes::zset::{Limits, Zset, ZsetRef};

use super::zset::limits;
use super::zset_range::{begin, store, write};
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Event, Keyspace};
use crate::slices::{Budget, Work};

pub static ROWS: &[&Command] = &[
    &ZDIFF,
    &ZDIFFSTORE,
    &ZINTER,
    &ZINTERCARD,
    &ZINTERSTORE,
    &ZUNION,
    &ZUNIONSTORE,
];

/// Elements between two questions to the budget.
const CHUNK: usize = 64;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Operation {
    Union,
    Intersection,
    Difference,
}

/// How the scores of one member become one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Aggregate {
    #[default]
    Sum,
    Min,
    Max,
}

impl Aggregate {
    fn of(args: Args<'_>, index: usize) -> Result<Self, Fault> {
        match () {
            () if args.is(index, "SUM") => Ok(Self::Sum),
            () if args.is(index, "MIN") => Ok(Self::Min),
            () if args.is(index, "MAX") => Ok(Self::Max),
            () => Err(Fault::Syntax),
        }
    }

    fn apply(self, so_far: f64, score: f64) -> f64 {
        match self {
            Self::Sum => number(so_far + score),
            Self::Min if score < so_far => score,
            Self::Max if score > so_far => score,
            Self::Min | Self::Max => so_far,
        }
    }
}

/// Infinities that cancel out are 0.
fn number(score: f64) -> f64 {
    if score.is_nan() { 0.0 } else { score }
}

/// What the caller wants of the result.
#[derive(Clone, PartialEq)]
enum Wanted {
    /// Its members, perhaps with scores.
    Elements { with_scores: bool },
    /// To be stored.
    Stored { key: Box<[u8]>, event: Event },
    /// How many there are, up to a limit.
    Count { limit: usize },
}

/// One of the sets that are combined.
struct Source {
    body: Body,
    weight: f64,
}

enum Body {
    /// In order of the members.
    Few(Vec<(Vec<u8>, f64)>),
    Large(Arc<Large>),
}

impl Body {
    fn read(c: &mut Call<'_>, index: usize) -> Result<Self, Fault> {
        let key = c.args.key(index);
        let few = match c.db.read(key) {
            None => Some(Vec::new()),
            Some(entry) => match entry.kind() {
                Type::Zset => few_of_zset(ZsetRef::of(&entry)),
                Type::Set => few_of_set(SetRef::of(&entry)),
                _ => return Err(Fault::WrongType),
            },
        };
        match few {
            Some(mut few) => {
                few.sort_by(|one, other| one.0.cmp(&other.0));
                Ok(Self::Few(few))
            }
            None => {
                let large = c.db.freeze(key)?;
                Ok(Self::Large(large.expect("what is not small is large")))
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Large(large) => large.body.len(),
        }
    }

    fn score(&self, member: &[u8]) -> Option<f64> {
        match self {
            Self::Few(few) => {
                let at = few.binary_search_by(|pair| pair.0.as_slice().cmp(member));
                at.ok().map(|at| few[at].1)
            }
            Self::Large(large) => match &large.body {
                Collection::Set(set) => set.contains(Element::of(member)).then_some(1.0),
                _ => ZsetRef::of_large(large).score(member),
            },
        }
    }

    /// Hands on about [`CHUNK`] elements from `cursor` on; answers where the next ones are, if there are more.
    fn walk(&self, cursor: u64, mut each: impl FnMut(&[u8], f64)) -> Option<u64> {
        let next = cursor as usize + CHUNK;
        let mut text = |(member, score): (Element<'_>, f64)| {
            each(member.text(&mut itoa::Buffer::new()), score);
        };
        match self {
            Self::Few(few) => {
                let chunk = &few[few.len().min(cursor as usize)..few.len().min(next)];
                chunk
                    .iter()
                    .for_each(|pair| text((Element::Bytes(&pair.0), pair.1)));
            }
            Self::Large(large) => match &large.body {
                Collection::Set(set) => {
                    let next = set.scan(cursor, CHUNK, |member| text((member, 1.0)));
                    return (next != 0).then_some(next);
                }
                _ => {
                    let ranks = cursor as usize..next;
                    ZsetRef::of_large(large).items(ranks, false).for_each(text);
                }
            },
        }
        (next < self.len()).then_some(next as u64)
    }
}

/// The elements of a sorted set that lies inside its entry.
fn few_of_zset(zset: ZsetRef<'_>) -> Option<Vec<(Vec<u8>, f64)>> {
    let is_few = matches!(zset, ZsetRef::Packed(_));
    is_few.then(|| {
        zset.iter()
            .map(|(member, score)| (member.to_vec(), score))
            .collect()
    })
}

/// The same of a set.
fn few_of_set(set: SetRef<'_>) -> Option<Vec<(Vec<u8>, f64)>> {
    let is_few = !matches!(set, SetRef::Large(_));
    is_few.then(|| set.iter().map(|member| (member.to_vec(), 1.0)).collect())
}

/// The whole of one call.
struct Combination {
    operation: Operation,
    aggregate: Aggregate,
    /// Without a limit on a count, 0.
    wanted: Wanted,
    sources: Vec<Source>,
    limits: Limits,
    /// The source that is walked, and where.
    source: usize,
    cursor: u64,
    result: Zset,
    /// Elements of the result that have been replied, once the walk is over.
    replied: Option<usize>,
}

impl Combination {
    /// Walks the sources: all of a union, the first one otherwise. `true`: done.
    fn combine(&mut self, budget: &mut Budget<'_>) -> bool {
        let walked = match self.operation {
            Operation::Union => self.sources.len(),
            Operation::Intersection | Operation::Difference => 1,
        };
        let costs = match self.operation {
            Operation::Union => CHUNK,
            Operation::Intersection | Operation::Difference => CHUNK * self.sources.len(),
        };
        while self.source < walked && !self.counted_enough() {
            if !budget.spend(costs) {
                return false;
            }
            let (sources, source) = (&self.sources, &self.sources[self.source]);
            let (operation, aggregate) = (self.operation, self.aggregate);
            let result = &mut self.result;
            let next = source.body.walk(self.cursor, |member, score| {
                let score = number(score * source.weight);
                match operation {
                    Operation::Union => result.update(member, |so_far| {
                        let score = so_far.map_or(score, |so_far| aggregate.apply(so_far, score));
                        (Some(score), ())
                    }),
                    Operation::Intersection => {
                        if let Some(score) = in_all(&sources[1..], aggregate, member, score) {
                            result.insert(member, score);
                        }
                    }
                    Operation::Difference => {
                        let others = &sources[1..];
                        if others
                            .iter()
                            .all(|other| other.body.score(member).is_none())
                        {
                            result.insert(member, score);
                        }
                    }
                }
            });
            self.cursor = next.unwrap_or(0);
            self.source += usize::from(next.is_none());
        }
        true
    }

    fn counted_enough(&self) -> bool {
        matches!(self.wanted, Wanted::Count { limit } if self.result.len() >= limit)
    }

    /// Replies the elements of the result. `true`: all of them.
    fn list(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>, with_scores: bool) -> bool {
        let len = self.result.len();
        let mut replied = self.replied.unwrap_or_else(|| {
            begin(reply, len, with_scores);
            0
        });
        loop {
            let ranks = replied..len.min(replied + CHUNK);
            self.replied = Some(replied);
            if ranks.is_empty() {
                return true;
            }
            if !budget.spend(ranks.len()) {
                return false;
            }
            replied = ranks.end;
            let items = ZsetRef::Large(&self.result).items(ranks, false);
            write(reply, items, with_scores);
        }
    }
}

/// The score of a member that is in all of `others`, too.
fn in_all(others: &[Source], aggregate: Aggregate, member: &[u8], score: f64) -> Option<f64> {
    others.iter().try_fold(score, |so_far, other| {
        let score = other.body.score(member)? * other.weight;
        Some(aggregate.apply(so_far, score))
    })
}

impl Work for Combination {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        if !self.combine(budget) {
            return false;
        }
        match self.wanted {
            Wanted::Elements { with_scores } => self.list(reply, budget, with_scores),
            Wanted::Stored { .. } | Wanted::Count { .. } => true,
        }
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) -> Outcome {
        match &self.wanted {
            Wanted::Elements { .. } => {}
            Wanted::Count { limit } => reply.integer(self.result.len().min(*limit) as i64),
            Wanted::Stored { key, event } => {
                let key = db.exec.server.router.key(key);
                let result = self.result.take_all();
                reply.integer(store(db, key, result, self.limits, event));
            }
        }
        Ok(())
    }
}

/// The options behind the keys.
struct Options {
    weights: Vec<f64>,
    aggregate: Aggregate,
    with_scores: bool,
    limit: usize,
}

impl Options {
    fn parse(
        args: Args<'_>,
        mut at: usize,
        keys: usize,
        operation: Operation,
        wanted: &Wanted,
    ) -> Result<Self, Fault> {
        let mut options = Self {
            weights: vec![1.0; keys],
            aggregate: Aggregate::Sum,
            with_scores: false,
            limit: usize::MAX,
        };
        let counts = matches!(wanted, Wanted::Count { .. });
        let lists = matches!(wanted, Wanted::Elements { .. });
        let scores = operation != Operation::Difference && !counts;
        while at < args.len() {
            let left = args.len() - at;
            match () {
                () if scores && left > keys && args.is(at, "WEIGHTS") => {
                    for (weight, text) in options.weights.iter_mut().zip(args.iter().skip(at + 1)) {
                        *weight = parse_f64(text).ok_or(Fault::NotWeight)?;
                    }
                    at += keys;
                }
                () if scores && left > 1 && args.is(at, "AGGREGATE") => {
                    options.aggregate = Aggregate::of(args, at + 1)?;
                    at += 1;
                }
                () if lists && args.is(at, "WITHSCORES") => options.with_scores = true,
                () if counts && left > 1 && args.is(at, "LIMIT") => {
                    let negative = || Fault::err("LIMIT can't be negative");
                    options.limit = match args.natural(at + 1, negative)? {
                        0 => usize::MAX,
                        limit => limit,
                    };
                    at += 1;
                }
                () => return Err(Fault::Syntax),
            }
            at += 1;
        }
        Ok(options)
    }
}

/// `numkeys`: the argument with the number of sources.
fn combine(c: &mut Call<'_>, operation: Operation, numkeys: usize, wanted: Wanted) -> Outcome {
    let keys = c.args.integer(numkeys)?;
    if keys < 1 {
        let command = c.command.name;
        return Err(Fault::err(format_args!(
            "at least 1 input key is needed for '{command}' command"
        )));
    }
    let keys = usize::try_from(keys).map_err(|_| Fault::Syntax)?;
    if keys > c.args.len() - numkeys - 1 {
        return Err(Fault::Syntax);
    }
    let bodies = (numkeys + 1..=numkeys + keys).map(|index| Body::read(c, index));
    let bodies = bodies.collect::<Result<Vec<_>, _>>()?;
    let options = Options::parse(c.args, numkeys + 1 + keys, keys, operation, &wanted)?;
    let wanted = match wanted {
        Wanted::Elements { .. } => Wanted::Elements {
            with_scores: options.with_scores,
        },
        Wanted::Count { .. } => Wanted::Count {
            limit: options.limit,
        },
        stored => stored,
    };
    let weighted = bodies.into_iter().zip(options.weights);
    let mut sources: Vec<Source> = weighted
        .map(|(body, weight)| Source { body, weight })
        .collect();
    if operation != Operation::Difference {
        sources.sort_by_key(|source| source.body.len());
    }
    let elements = sources.iter().map(|source| source.body.len()).sum();
    let limits = limits(c);
    let pending: &[usize] = match wanted {
        Wanted::Stored { .. } => &[1],
        _ => &[],
    };
    let combination = Combination {
        operation,
        aggregate: options.aggregate,
        wanted,
        sources,
        limits,
        source: 0,
        cursor: 0,
        result: Zset::new(limits.seed),
        replied: None,
    };
    c.in_slices(elements, pending, combination)
}

const LISTED: Wanted = Wanted::Elements { with_scores: false };

fn stored(c: &mut Call<'_>, operation: Operation, event: Event) -> Outcome {
    let key = c.args.at(1).into();
    combine(c, operation, 2, Wanted::Stored { key, event })
}

command! { ZUNION =
    name: "zunion", run: zunion, arity: -3, flags: READONLY,
    keys: &[counted_keys(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "6.2.0",
    complexity: "O(N)+O(M*log(M)) with N being the sum of the sizes of the input sorted sets, \
        and M being the number of elements in the resulting sorted set.",
    summary: "Returns the union of multiple sorted sets.",
    syntax: "numkeys<integer> key<key>... [WEIGHTS weight<integer>...] [AGGREGATE \
        aggregate(SUM|MIN|MAX)] [WITHSCORES]",
}

fn zunion(c: &mut Call<'_>) -> Outcome {
    combine(c, Operation::Union, 1, LISTED)
}

command! { ZUNIONSTORE =
    name: "zunionstore", run: zunionstore, arity: -4, flags: WRITE | DENYOOM,
    keys: &[key(1, OW | UPDATE), counted_keys(2, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "2.0.0",
    complexity: "O(N)+O(M log(M)) with N being the sum of the sizes of the input sorted sets, \
        and M being the number of elements in the resulting sorted set.",
    summary: "Stores the union of multiple sorted sets in a key.",
    syntax: "destination<key> numkeys<integer> key<key:1>... [WEIGHTS weight<integer>...] \
        [AGGREGATE aggregate(SUM|MIN|MAX)]",
}

fn zunionstore(c: &mut Call<'_>) -> Outcome {
    stored(c, Operation::Union, "zunionstore")
}

command! { ZINTER =
    name: "zinter", run: zinter, arity: -3, flags: READONLY,
    keys: &[counted_keys(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "6.2.0",
    complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K \
        being the number of input sorted sets and M being the number of elements in the \
        resulting sorted set.",
    summary: "Returns the intersect of multiple sorted sets.",
    syntax: "numkeys<integer> key<key>... [WEIGHTS weight<integer>...] [AGGREGATE \
        aggregate(SUM|MIN|MAX)] [WITHSCORES]",
}

fn zinter(c: &mut Call<'_>) -> Outcome {
    combine(c, Operation::Intersection, 1, LISTED)
}

command! { ZINTERSTORE =
    name: "zinterstore", run: zinterstore, arity: -4, flags: WRITE | DENYOOM,
    keys: &[key(1, OW | UPDATE), counted_keys(2, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "2.0.0",
    complexity: "O(N*K)+O(M*log(M)) worst case with N being the smallest input sorted set, K \
        being the number of input sorted sets and M being the number of elements in the \
        resulting sorted set.",
    summary: "Stores the intersect of multiple sorted sets in a key.",
    syntax: "destination<key> numkeys<integer> key<key:1>... [WEIGHTS weight<integer>...] \
        [AGGREGATE aggregate(SUM|MIN|MAX)]",
}

fn zinterstore(c: &mut Call<'_>) -> Outcome {
    stored(c, Operation::Intersection, "zinterstore")
}

command! { ZINTERCARD =
    name: "zintercard", run: zintercard, arity: -3, flags: READONLY,
    keys: &[counted_keys(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "7.0.0",
    complexity: "O(N*K) worst case with N being the smallest input sorted set, K being the \
        number of input sorted sets.",
    summary: "Returns the number of members of the intersect of multiple sorted sets.",
    syntax: "numkeys<integer> key<key>... [LIMIT limit<integer>]",
}

fn zintercard(c: &mut Call<'_>) -> Outcome {
    combine(c, Operation::Intersection, 1, Wanted::Count { limit: 0 })
}

command! { ZDIFF =
    name: "zdiff", run: zdiff, arity: -3, flags: READONLY,
    keys: &[counted_keys(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "6.2.0",
    complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all \
        the sets, N is the size of the first set, and K is the size of the result set.",
    summary: "Returns the difference between multiple sorted sets.",
    syntax: "numkeys<integer> key<key>... [WITHSCORES]",
}

fn zdiff(c: &mut Call<'_>) -> Outcome {
    combine(c, Operation::Difference, 1, LISTED)
}

command! { ZDIFFSTORE =
    name: "zdiffstore", run: zdiffstore, arity: -4, flags: WRITE | DENYOOM,
    keys: &[key(1, OW | UPDATE), counted_keys(2, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "6.2.0",
    complexity: "O(L + (N-K)log(N)) worst case where L is the total number of elements in all \
        the sets, N is the size of the first set, and K is the size of the result set.",
    summary: "Stores the difference of multiple sorted sets in a key.",
    syntax: "destination<key> numkeys<integer> key<key:1>...",
}

fn zdiffstore(c: &mut Call<'_>) -> Outcome {
    stored(c, Operation::Difference, "zdiffstore")
}
