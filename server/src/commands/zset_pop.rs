//! The first and the last of sorted sets: ZPOPMIN, ZPOPMAX, ZMPOP, and those of them that wait for one to come.

use ostraka_datatypes::raw::entry::Type;
use ostraka_datatypes::zset::ZsetRef;

use super::pops::MultiPop;
use super::zset_range::{Removal, Shape};
use crate::blocking::Nil;
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::router::Key;

pub static ROWS: &[&Command] = &[&BZMPOP, &BZPOPMAX, &BZPOPMIN, &ZMPOP, &ZPOPMAX, &ZPOPMIN];

/// Which end is popped.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Min,
    Max,
}

/// Number of members at `key`, if it holds a sorted set.
fn len(c: &mut Call<'_>, key: Key<'_>) -> Result<usize, Fault> {
    let entry = c.db.peek_as(key, Type::Zset)?;
    Ok(entry.map_or(0, |entry| ZsetRef::of(&entry).len()))
}

/// Takes up to `count` of the `len` members at argument `index`.
fn pop(
    c: &mut Call<'_>,
    index: usize,
    len: usize,
    count: usize,
    end: End,
    shape: Shape,
) -> Outcome {
    let count = count.min(len);
    let removal = Removal {
        ranks: match end {
            End::Min => 0..count,
            End::Max => len - count..len,
        },
        reverse: end == End::Max,
        event: match end {
            End::Min => "zpopmin",
            End::Max => "zpopmax",
        },
        shape: Some(shape),
    };
    removal.run(c, index)
}

command! { ZPOPMIN =
    name: "zpopmin", run: zpopmin, arity: -2, flags: WRITE | FAST,
    keys: &[key(1, RW | ACCESS | DELETE)],
    categories: SORTEDSET, group: Group::SortedSet, since: "5.0.0",
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being \
        the number of elements popped.",
    summary: "Returns the lowest-scoring members from a sorted set after removing them. Deletes \
        the sorted set if the last member was popped.",
    syntax: "key<key> [count<integer>]",
}

fn zpopmin(c: &mut Call<'_>) -> Outcome {
    pop_one_key(c, End::Min)
}

command! { ZPOPMAX =
    name: "zpopmax", run: zpopmax, arity: -2, flags: WRITE | FAST,
    keys: &[key(1, RW | ACCESS | DELETE)],
    categories: SORTEDSET, group: Group::SortedSet, since: "5.0.0",
    complexity: "O(log(N)*M) with N being the number of elements in the sorted set, and M being \
        the number of elements popped.",
    summary: "Returns the highest-scoring members from a sorted set after removing them. Deletes \
        the sorted set if the last member was popped.",
    syntax: "key<key> [count<integer>]",
}

fn zpopmax(c: &mut Call<'_>) -> Outcome {
    pop_one_key(c, End::Max)
}

fn pop_one_key(c: &mut Call<'_>, end: End) -> Outcome {
    if c.args.len() > 3 {
        return Err(Fault::Syntax);
    }
    let count = match c.args.get(2) {
        Some(_) => Some(c.args.natural(2, || Fault::NotPositive)?),
        None => None,
    };
    let len = len(c, c.args.key(1))?;
    match count {
        _ if len == 0 => c.reply.array(0),
        Some(0) => c.reply.array(0),
        Some(count) => return pop(c, 1, len, count, end, Shape::Pairs),
        None => return pop(c, 1, len, 1, end, Shape::One),
    }
    Ok(())
}

/// Argument `index` as MIN or MAX.
fn end_at(args: Args<'_>, index: usize) -> Result<End, Fault> {
    match () {
        () if args.is(index, "MIN") => Ok(End::Min),
        () if args.is(index, "MAX") => Ok(End::Max),
        () => Err(Fault::Syntax),
    }
}

impl MultiPop<End> {
    /// Pops from the first sorted set that is there. `false`: there is none.
    fn pop(&self, c: &mut Call<'_>) -> Result<bool, Fault> {
        for index in self.keys.clone() {
            let len = len(c, c.args.key(index))?;
            if len > 0 {
                pop(c, index, len, self.count, self.end, Shape::NamedNested)?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

command! { ZMPOP =
    name: "zmpop", run: zmpop, arity: -4, flags: WRITE,
    keys: &[counted_keys(1, RW | ACCESS | DELETE)],
    categories: SORTEDSET, group: Group::SortedSet, since: "7.0.0",
    complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number \
        of elements in the sorted set, and M being the number of elements popped.",
    summary: "Returns the highest- or lowest-scoring members from one or more sorted sets after \
        removing them. Deletes the sorted set if the last member was popped.",
    syntax: "numkeys<integer> key<key>... where(MIN|MAX) [COUNT count<integer>]",
}

fn zmpop(c: &mut Call<'_>) -> Outcome {
    let request = MultiPop::parse(c.args, 1, end_at)?;
    if !request.pop(c)? {
        c.reply.null_array();
    }
    Ok(())
}

command! { BZPOPMIN =
    name: "bzpopmin", run: bzpopmin, arity: -3, flags: WRITE | BLOCKING | FAST,
    keys: &[key(1, RW | ACCESS | DELETE).range(-2, 1, 0)],
    categories: SORTEDSET, group: Group::SortedSet, since: "5.0.0",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    summary: "Removes and returns the member with the lowest score from one or more sorted sets. \
        Blocks until a member is available otherwise. Deletes the sorted set if the last element \
        was popped.",
    syntax: "key<key>... timeout<double>",
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
}

fn bzpopmin(c: &mut Call<'_>) -> Outcome {
    pop_or_wait(c, End::Min)
}

command! { BZPOPMAX =
    name: "bzpopmax", run: bzpopmax, arity: -3, flags: WRITE | BLOCKING | FAST,
    keys: &[key(1, RW | ACCESS | DELETE).range(-2, 1, 0)],
    categories: SORTEDSET, group: Group::SortedSet, since: "5.0.0",
    complexity: "O(log(N)) with N being the number of elements in the sorted set.",
    summary: "Removes and returns the member with the highest score from one or more sorted \
        sets. Blocks until a member available otherwise.  Deletes the sorted set if the last \
        element was popped.",
    syntax: "key<key>... timeout<double>",
    history: &[("6.0.0", "`timeout` is interpreted as a double instead of an integer.")],
}

fn bzpopmax(c: &mut Call<'_>) -> Outcome {
    pop_or_wait(c, End::Max)
}

fn pop_or_wait(c: &mut Call<'_>, end: End) -> Outcome {
    let timeout_ms = c.timeout_ms(c.args.len() - 1)?;
    let keys = 1..c.args.len() - 1;
    for index in keys.clone() {
        let len = len(c, c.args.key(index))?;
        if len > 0 {
            return pop(c, index, len, 1, end, Shape::NamedOne);
        }
    }
    c.block(keys, timeout_ms, Nil::Array);
    Ok(())
}

command! { BZMPOP =
    name: "bzmpop", run: bzmpop, arity: -5, flags: WRITE | BLOCKING,
    keys: &[counted_keys(2, RW | ACCESS | DELETE)],
    categories: SORTEDSET, group: Group::SortedSet, since: "7.0.0",
    complexity: "O(K) + O(M*log(N)) where K is the number of provided keys, N being the number \
        of elements in the sorted set, and M being the number of elements popped.",
    summary: "Removes and returns a member by score from one or more sorted sets. Blocks until a \
        member is available otherwise. Deletes the sorted set if the last element was popped.",
    syntax: "timeout<double> numkeys<integer> key<key>... where(MIN|MAX) [COUNT count<integer>]",
}

fn bzmpop(c: &mut Call<'_>) -> Outcome {
    let request = MultiPop::parse(c.args, 2, end_at)?;
    let timeout_ms = c.timeout_ms(1)?;
    if !request.pop(c)? {
        c.block(request.keys, timeout_ms, Nil::Array);
    }
    Ok(())
}
