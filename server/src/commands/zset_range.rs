//! Ranges of sorted sets, by rank, by score and by member: ZRANGE in all its forms, ZRANGESTORE, ZREMRANGEBY*.
//!
//! Whatever names a range, it becomes a range of ranks first, and the rest is the same for all. What is longer than a
//! moment goes in slices.

use std::ops::Range;
use std::sync::Arc;

use ostraka_datatypes::collection::{Collection, Large};
use ostraka_datatypes::raw::entry::Type;
use ostraka_datatypes::resp::Reply;
use ostraka_datatypes::zset::{self, Items, LexRange, Limits, ScoreRange, Zset, ZsetMut, ZsetRef};

use super::zset::{limits, read};
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Changed, Event, Keyspace, Missing};
use crate::router::Key;
use crate::slices::{AT_ONCE, Budget, Work};

pub static ROWS: &[&Command] = &[
    &ZRANGE,
    &ZRANGEBYLEX,
    &ZRANGEBYSCORE,
    &ZRANGESTORE,
    &ZREMRANGEBYLEX,
    &ZREMRANGEBYRANK,
    &ZREMRANGEBYSCORE,
    &ZREVRANGE,
    &ZREVRANGEBYLEX,
    &ZREVRANGEBYSCORE,
];

/// Elements between two questions to the budget: a leaf.
const CHUNK: usize = 64;

/// What names the elements.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    Rank,
    Score,
    Lex,
}

/// A range that has been read.
enum Span<'a> {
    /// From one rank to another, from the end if negative, both included.
    Rank(i64, i64),
    Score(ScoreRange),
    Lex(LexRange<'a>),
}

impl<'a> Span<'a> {
    fn parse(by: By, min: &'a [u8], max: &'a [u8]) -> Result<Self, Fault> {
        let rank = |text| ostraka_datatypes::numbers::parse_i64(text).ok_or(Fault::NotInteger);
        match by {
            By::Rank => Ok(Span::Rank(rank(min)?, rank(max)?)),
            By::Score => {
                let range = ScoreRange::parse(min, max).ok_or(Fault::NotScoreRange)?;
                Ok(Span::Score(range))
            }
            By::Lex => {
                let range = LexRange::parse(min, max).ok_or(Fault::NotLexRange)?;
                Ok(Span::Lex(range))
            }
        }
    }

    fn ranks(&self, zset: ZsetRef<'_>, reverse: bool) -> Range<usize> {
        match self {
            Span::Rank(start, stop) => {
                let ranks = clamp(*start, *stop, zset.len());
                if reverse {
                    zset.len() - ranks.end..zset.len() - ranks.start
                } else {
                    ranks
                }
            }
            Span::Score(range) => range.ranks(zset),
            Span::Lex(range) => range.ranks(zset),
        }
    }
}

/// Ranks that may count from the end, both included, as what they mean among `len`.
fn clamp(start: i64, stop: i64, len: usize) -> Range<usize> {
    let from_end = |rank: i64| if rank < 0 { rank + len as i64 } else { rank };
    let start = from_end(start).clamp(0, len as i64) as usize;
    let end = from_end(stop).saturating_add(1).clamp(0, len as i64) as usize;
    start..end.max(start)
}

/// What a command of the ZRANGE family asks for.
struct Query<'a> {
    span: Span<'a>,
    reverse: bool,
    with_scores: bool,
    /// Elements to be left out, and how many to take then; all if negative.
    limit: (i64, i64),
}

/// Which options a command takes, and where its range is.
struct Dialect {
    /// The argument with the range's first end.
    at: usize,
    /// What the command's name says; BYSCORE, BYLEX and REV are options only if it says nothing.
    fixed: Option<(By, bool)>,
    stores: bool,
}

impl<'a> Query<'a> {
    fn parse(args: Args<'a>, dialect: &Dialect) -> Result<Self, Fault> {
        let mut at = dialect.at + 2;
        let (mut by, mut reverse, mut with_scores, mut limit) = (None, false, false, None);
        let open = dialect.fixed.is_none();
        while at < args.len() {
            match () {
                () if !dialect.stores && args.is(at, "WITHSCORES") => with_scores = true,
                () if args.is(at, "LIMIT") && at + 2 < args.len() => {
                    limit = Some((args.integer(at + 1)?, args.integer(at + 2)?));
                    at += 2;
                }
                () if open && !reverse && args.is(at, "REV") => reverse = true,
                () if open && by.is_none() && args.is(at, "BYLEX") => by = Some(By::Lex),
                () if open && by.is_none() && args.is(at, "BYSCORE") => by = Some(By::Score),
                () => return Err(Fault::Syntax),
            }
            at += 1;
        }
        let (by, reverse) = dialect.fixed.unwrap_or((by.unwrap_or(By::Rank), reverse));
        if limit.is_some_and(|limit| limit.1 != -1) && by == By::Rank {
            let text =
                "syntax error, LIMIT is only supported in combination with either BYSCORE or BYLEX";
            return Err(Fault::err(text));
        }
        if with_scores && by == By::Lex {
            let text = "syntax error, WITHSCORES not supported in combination with BYLEX";
            return Err(Fault::err(text));
        }
        let (first, second) = (args.at(dialect.at), args.at(dialect.at + 1));
        let span = if reverse && by != By::Rank {
            Span::parse(by, second, first)?
        } else {
            Span::parse(by, first, second)?
        };
        Ok(Self {
            span,
            reverse,
            with_scores,
            limit: limit.unwrap_or((0, -1)),
        })
    }

    fn ranks(&self, zset: ZsetRef<'_>) -> Range<usize> {
        let all = self.span.ranks(zset, self.reverse);
        let (offset, count) = match self.span {
            Span::Rank(..) => (0, -1),
            _ => self.limit,
        };
        let skip = usize::try_from(offset).map_or(all.len(), |skip| skip.min(all.len()));
        let take = usize::try_from(count).map_or(all.len(), |take| take.min(all.len()));
        let take = take.min(all.len() - skip);
        if self.reverse {
            let end = all.end - skip;
            end - take..end
        } else {
            let start = all.start + skip;
            start..start + take
        }
    }
}

/// Replies the elements that `query` asks the sorted set at argument 1 for.
fn reply_range(c: &mut Call<'_>, query: &Query<'_>) -> Outcome {
    let key = c.args.key(1);
    let with_scores = query.with_scores;
    let ranks = {
        let entry = c.db.read_as(key, Type::Zset)?;
        let zset = entry
            .as_ref()
            .map_or(ZsetRef::EMPTY, |entry| ZsetRef::of(entry));
        let ranks = query.ranks(zset);
        if ranks.len() <= AT_ONCE || matches!(zset, ZsetRef::Packed(_)) {
            begin(&mut c.reply, ranks.len(), with_scores);
            write(&mut c.reply, zset.items(ranks, query.reverse), with_scores);
            return Ok(());
        }
        ranks
    };
    let large = c.db.freeze(key)?.expect("it is not packed");
    let elements = ranks.len();
    let listing = Listing {
        walk: Walk::new(large, ranks, query.reverse),
        with_scores,
        begun: false,
    };
    c.in_slices(elements, &[], listing)
}

/// Opens the reply of `len` elements.
pub fn begin(reply: &mut Reply<'_>, len: usize, with_scores: bool) {
    if with_scores {
        reply.pairs(len);
    } else {
        reply.array(len);
    }
}

/// Writes elements into an opened reply.
pub fn write(reply: &mut Reply<'_>, items: Items<'_>, with_scores: bool) {
    for (member, score) in items {
        if with_scores {
            reply.pair();
        }
        member.reply(reply);
        if with_scores {
            reply.double(score);
        }
    }
}

/// A way through some ranks of a frozen sorted set.
struct Walk {
    large: Arc<Large>,
    ranks: Range<usize>,
    reverse: bool,
}

impl Walk {
    fn new(large: Arc<Large>, ranks: Range<usize>, reverse: bool) -> Self {
        Self {
            large,
            ranks,
            reverse,
        }
    }

    /// Hands elements on, a chunk at a time. `true`: that was all.
    fn step(&mut self, budget: &mut Budget<'_>, mut each: impl FnMut(Items<'_>)) -> bool {
        let zset = ZsetRef::of_large(&self.large);
        while !self.ranks.is_empty() {
            let size = self.ranks.len().min(CHUNK);
            if !budget.spend(size) {
                return false;
            }
            let chunk = if self.reverse {
                self.ranks.end -= size;
                self.ranks.end..self.ranks.end + size
            } else {
                self.ranks.start += size;
                self.ranks.start - size..self.ranks.start
            };
            each(zset.items(chunk, self.reverse));
        }
        true
    }
}

/// A long reply.
struct Listing {
    walk: Walk,
    with_scores: bool,
    begun: bool,
}

impl Work for Listing {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        if !std::mem::replace(&mut self.begun, true) {
            begin(reply, self.walk.ranks.len(), self.with_scores);
        }
        let with_scores = self.with_scores;
        self.walk
            .step(budget, |items| write(reply, items, with_scores))
    }
}

fn range(c: &mut Call<'_>, fixed: Option<(By, bool)>) -> Outcome {
    let dialect = Dialect {
        at: 2,
        fixed,
        stores: false,
    };
    let query = Query::parse(c.args, &dialect)?;
    reply_range(c, &query)
}

command! { ZRANGE =
    name: "zrange", run: zrange, arity: -4, flags: READONLY,
    keys: &[key(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "1.2.0",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the \
        number of elements returned.",
    summary: "Returns members in a sorted set within a range of indexes.",
    syntax: "key<key> start<string> stop<string> [sortby(BYSCORE|BYLEX)@6.2.0] [REV@6.2.0] \
        [LIMIT limit{offset<integer> count<integer>}@6.2.0] [WITHSCORES]",
    history: &[("6.2.0", "Added the `REV`, `BYSCORE`, `BYLEX` and `LIMIT` options.")],
}

fn zrange(c: &mut Call<'_>) -> Outcome {
    range(c, None)
}

command! { ZREVRANGE =
    name: "zrevrange", run: zrevrange, arity: -4, flags: READONLY,
    keys: &[key(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "1.2.0",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the \
        number of elements returned.",
    summary: "Returns members in a sorted set within a range of indexes in reverse order.",
    syntax: "key<key> start<integer> stop<integer> [WITHSCORES]",
    deprecated: deprecated("6.2.0", "`ZRANGE` with the `REV` argument"),
}

fn zrevrange(c: &mut Call<'_>) -> Outcome {
    range(c, Some((By::Rank, true)))
}

command! { ZRANGEBYSCORE =
    name: "zrangebyscore", run: zrangebyscore, arity: -4, flags: READONLY,
    keys: &[key(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "1.0.5",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the \
        number of elements being returned. If M is constant (e.g. always asking for the first 10 \
        elements with LIMIT), you can consider it O(log(N)).",
    summary: "Returns members in a sorted set within a range of scores.",
    syntax: "key<key> min<double> max<double> [WITHSCORES@2.0.0] [LIMIT limit{offset<integer> \
        count<integer>}]",
    history: &[("2.0.0", "Added the `WITHSCORES` modifier.")],
    deprecated: deprecated("6.2.0", "`ZRANGE` with the `BYSCORE` argument"),
}

fn zrangebyscore(c: &mut Call<'_>) -> Outcome {
    range(c, Some((By::Score, false)))
}

command! { ZREVRANGEBYSCORE =
    name: "zrevrangebyscore", run: zrevrangebyscore, arity: -4, flags: READONLY,
    keys: &[key(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "2.2.0",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the \
        number of elements being returned. If M is constant (e.g. always asking for the first 10 \
        elements with LIMIT), you can consider it O(log(N)).",
    summary: "Returns members in a sorted set within a range of scores in reverse order.",
    syntax: "key<key> max<double> min<double> [WITHSCORES] [LIMIT limit{offset<integer> \
        count<integer>}]",
    history: &[("2.1.6", "`min` and `max` can be exclusive.")],
    deprecated: deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYSCORE` arguments"),
}

fn zrevrangebyscore(c: &mut Call<'_>) -> Outcome {
    range(c, Some((By::Score, true)))
}

command! { ZRANGEBYLEX =
    name: "zrangebylex", run: zrangebylex, arity: -4, flags: READONLY,
    keys: &[key(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "2.8.9",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the \
        number of elements being returned. If M is constant (e.g. always asking for the first 10 \
        elements with LIMIT), you can consider it O(log(N)).",
    summary: "Returns members in a sorted set within a lexicographical range.",
    syntax: "key<key> min<string> max<string> [LIMIT limit{offset<integer> count<integer>}]",
    deprecated: deprecated("6.2.0", "`ZRANGE` with the `BYLEX` argument"),
}

fn zrangebylex(c: &mut Call<'_>) -> Outcome {
    range(c, Some((By::Lex, false)))
}

command! { ZREVRANGEBYLEX =
    name: "zrevrangebylex", run: zrevrangebylex, arity: -4, flags: READONLY,
    keys: &[key(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "2.8.9",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the \
        number of elements being returned. If M is constant (e.g. always asking for the first 10 \
        elements with LIMIT), you can consider it O(log(N)).",
    summary: "Returns members in a sorted set within a lexicographical range in reverse order.",
    syntax: "key<key> max<string> min<string> [LIMIT limit{offset<integer> count<integer>}]",
    deprecated: deprecated("6.2.0", "`ZRANGE` with the `REV` and `BYLEX` arguments"),
}

fn zrevrangebylex(c: &mut Call<'_>) -> Outcome {
    range(c, Some((By::Lex, true)))
}

command! { ZRANGESTORE =
    name: "zrangestore", run: zrangestore, arity: -5, flags: WRITE | DENYOOM,
    keys: &[key(1, OW | UPDATE), key(2, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "6.2.0",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the \
        number of elements stored into the destination key.",
    summary: "Stores a range of members from sorted set in a key.",
    syntax: "dst<key> src<key:1> min<string> max<string> [sortby(BYSCORE|BYLEX)] [REV] [LIMIT \
        limit{offset<integer> count<integer>}]",
}

fn zrangestore(c: &mut Call<'_>) -> Outcome {
    let dialect = Dialect {
        at: 3,
        fixed: None,
        stores: true,
    };
    let query = Query::parse(c.args, &dialect)?;
    let limits = limits(c);
    let mut result = Zset::new(limits.seed);
    let ranks = read(c, 2, |zset| {
        let ranks = query.ranks(zset);
        if ranks.len() > AT_ONCE && matches!(zset, ZsetRef::Large(_)) {
            return Some(ranks);
        }
        insert_all(&mut result, zset.items(ranks, false));
        None
    })?;
    let Some(ranks) = ranks else {
        let len = store(&mut c.db, c.args.key(1), result, limits, "zrangestore");
        c.reply.integer(len);
        return Ok(());
    };
    let large = c.db.freeze(c.args.key(2))?.expect("it is not packed");
    let elements = ranks.len();
    let copying = Copying {
        walk: Walk::new(large, ranks, false),
        result,
        limits,
        destination: c.args.at(1).into(),
    };
    c.in_slices(elements, &[1], copying)
}

fn insert_all(result: &mut Zset, items: Items<'_>) {
    for (member, score) in items {
        result.insert(member.text(&mut itoa::Buffer::new()), score);
    }
}

/// Puts a result in the place of whatever is at `key`, or deletes the key if the result is empty. Answers its length.
pub fn store(
    db: &mut Keyspace<'_>,
    key: Key<'_>,
    result: Zset,
    limits: Limits,
    event: Event,
) -> i64 {
    let len = result.len();
    if len == 0 {
        db.remove(key, "del");
    } else {
        db.put(key, zset::into_entry(key.bytes, result, limits), event);
    }
    len as i64
}

/// A long ZRANGESTORE.
struct Copying {
    walk: Walk,
    result: Zset,
    limits: Limits,
    destination: Box<[u8]>,
}

impl Work for Copying {
    fn step(&mut self, _: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let result = &mut self.result;
        self.walk.step(budget, |items| insert_all(result, items))
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) -> Outcome {
        let result = std::mem::replace(&mut self.result, Zset::new(self.limits.seed));
        let key = db.exec.server.router.key(&self.destination);
        reply.integer(store(db, key, result, self.limits, "zrangestore"));
        Ok(())
    }
}

command! { ZREMRANGEBYRANK =
    name: "zremrangebyrank", run: zremrangebyrank, arity: 4, flags: WRITE,
    keys: &[key(1, RW | DELETE)],
    categories: SORTEDSET, group: Group::SortedSet, since: "2.0.0",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the \
        number of elements removed by the operation.",
    summary: "Removes members in a sorted set within a range of indexes. Deletes the sorted set \
        if all members were removed.",
    syntax: "key<key> start<integer> stop<integer>",
}

fn zremrangebyrank(c: &mut Call<'_>) -> Outcome {
    remove_range(c, By::Rank, "zremrangebyrank")
}

command! { ZREMRANGEBYSCORE =
    name: "zremrangebyscore", run: zremrangebyscore, arity: 4, flags: WRITE,
    keys: &[key(1, RW | DELETE)],
    categories: SORTEDSET, group: Group::SortedSet, since: "1.2.0",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the \
        number of elements removed by the operation.",
    summary: "Removes members in a sorted set within a range of scores. Deletes the sorted set \
        if all members were removed.",
    syntax: "key<key> min<double> max<double>",
}

fn zremrangebyscore(c: &mut Call<'_>) -> Outcome {
    remove_range(c, By::Score, "zremrangebyscore")
}

command! { ZREMRANGEBYLEX =
    name: "zremrangebylex", run: zremrangebylex, arity: 4, flags: WRITE,
    keys: &[key(1, RW | DELETE)],
    categories: SORTEDSET, group: Group::SortedSet, since: "2.8.9",
    complexity: "O(log(N)+M) with N being the number of elements in the sorted set and M the \
        number of elements removed by the operation.",
    summary: "Removes members in a sorted set within a lexicographical range. Deletes the sorted \
        set if all members were removed.",
    syntax: "key<key> min<string> max<string>",
}

fn zremrangebylex(c: &mut Call<'_>) -> Outcome {
    remove_range(c, By::Lex, "zremrangebylex")
}

fn remove_range(c: &mut Call<'_>, by: By, event: Event) -> Outcome {
    let span = Span::parse(by, c.args.at(2), c.args.at(3))?;
    let ranks = {
        let entry = c.db.peek_as(c.args.key(1), Type::Zset)?;
        let zset = entry
            .as_ref()
            .map_or(ZsetRef::EMPTY, |entry| ZsetRef::of(entry));
        span.ranks(zset, false)
    };
    let removal = Removal {
        ranks,
        reverse: false,
        event,
        shape: None,
    };
    removal.run(c, 1)
}

/// Elements to be taken out of a sorted set.
pub struct Removal {
    pub ranks: Range<usize>,
    /// The last one goes first.
    pub reverse: bool,
    pub event: Event,
    /// How the reply shows them; without one it counts them.
    pub shape: Option<Shape>,
}

/// How popped elements are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A member and its score.
    One,
    /// The key, a member and its score.
    NamedOne,
    /// Pairs as ZRANGE shows them.
    Pairs,
    /// The key, and an array of arrays in either protocol.
    NamedNested,
}

impl Removal {
    /// Takes the elements out of the sorted set at argument `index`, and replies.
    pub fn run(self, c: &mut Call<'_>, index: usize) -> Outcome {
        let (key, elements) = (c.args.key(index), self.ranks.len());
        if elements > AT_ONCE
            && !c.session.atomic
            && let Some(Collection::Zset(zset)) = c.db.lend(key)?
        {
            let removing = Removing {
                zset,
                left: self.ranks.clone(),
                removal: self,
                key: key.bytes.into(),
                begun: false,
            };
            return c.in_slices(elements, &[index], removing);
        }
        let (limits, reply) = (limits(c), &mut c.reply);
        c.db.modify(key, Type::Zset, Missing::Skip, |entry| {
            let mut zset = ZsetMut::of(entry, limits);
            self.begin(reply, key.bytes);
            self.show(reply, zset.read(), self.ranks.clone());
            zset.remove_range(self.ranks.clone());
            Changed::many(self.event, elements as u64, ())
        })?;
        if self.shape.is_none() {
            c.reply.integer(elements as i64);
        }
        Ok(())
    }

    fn begin(&self, reply: &mut Reply<'_>, key: &[u8]) {
        match self.shape {
            None => {}
            Some(Shape::One) => reply.array(2),
            Some(Shape::Pairs) => reply.pairs(self.ranks.len()),
            Some(Shape::NamedOne) => {
                reply.array(3);
                reply.bulk(key);
            }
            Some(Shape::NamedNested) => {
                reply.array(2);
                reply.bulk(key);
                reply.array(self.ranks.len());
            }
        }
    }

    fn show(&self, reply: &mut Reply<'_>, zset: ZsetRef<'_>, ranks: Range<usize>) {
        let Some(shape) = self.shape else {
            return;
        };
        for (member, score) in zset.items(ranks, self.reverse) {
            match shape {
                Shape::One | Shape::NamedOne => {}
                Shape::Pairs => reply.pair(),
                Shape::NamedNested => reply.array(2),
            }
            member.reply(reply);
            reply.double(score);
        }
    }
}

/// A long removal. The sorted set is out of its entry meanwhile.
struct Removing {
    zset: Zset,
    left: Range<usize>,
    removal: Removal,
    key: Box<[u8]>,
    begun: bool,
}

impl Work for Removing {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        if !std::mem::replace(&mut self.begun, true) {
            self.removal.begin(reply, &self.key);
        }
        while !self.left.is_empty() {
            let size = self.left.len().min(CHUNK);
            if !budget.spend(size) {
                return false;
            }
            self.left.end -= size;
            let chunk = if self.removal.reverse {
                self.left.end..self.left.end + size
            } else {
                self.left.start..self.left.start + size
            };
            let zset = ZsetRef::Large(&self.zset);
            self.removal.show(reply, zset, chunk.clone());
            self.zset.remove_range(chunk, |_, _| {});
        }
        true
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) -> Outcome {
        let key = db.exec.server.router.key(&self.key);
        let zset = self.zset.take_all();
        let count = self.removal.ranks.len();
        db.give_back(
            key,
            Collection::Zset(zset),
            self.removal.event,
            count as u64,
        );
        if self.removal.shape.is_none() {
            reply.integer(count as i64);
        }
        Ok(())
    }
}
