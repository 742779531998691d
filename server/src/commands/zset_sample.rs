//! Members of sorted sets by chance, and one page after the other: ZRANDMEMBER and ZSCAN.

use std::collections::HashSet;

use ostraka_datatypes::raw::entry::{Entry, Type};
use ostraka_datatypes::resp::Reply;
use ostraka_datatypes::zset::ZsetRef;

use super::collection_scan;
use super::zset_range::{begin, write};
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::os::entropy::Dice;
use crate::slices::{AT_ONCE, Budget, Work};

pub static ROWS: &[&Command] = &[&ZRANDMEMBER, &ZSCAN];

command! { ZRANDMEMBER =
    name: "zrandmember", run: zrandmember, arity: -2, flags: READONLY,
    keys: &[key(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "6.2.0",
    complexity: "O(N) where N is the number of members returned",
    summary: "Returns one or more random members from a sorted set.",
    syntax: "key<key> [options{count<integer> [WITHSCORES]}]",
    tips: &["nondeterministic_output"],
}

fn zrandmember(c: &mut Call<'_>) -> Outcome {
    let Some(_) = c.args.get(2) else {
        return one_member(c);
    };
    let (count, with_scores) = collection_scan::sample_options(c.args, "WITHSCORES")?;
    some_members(c, count, with_scores)
}

fn one_member(c: &mut Call<'_>) -> Outcome {
    let roll = c.db.exec.dice.roll();
    let entry = c.db.read_as(c.args.key(1), Type::Zset)?;
    let Some(entry) = entry else {
        c.reply.null();
        return Ok(());
    };
    let zset = ZsetRef::of(&entry);
    let rank = Dice::new(roll).below(zset.len() as u64) as usize;
    let (member, _) = zset.get(rank).expect("the rank is below the length");
    member.reply(&mut c.reply);
    Ok(())
}

/// `count` different members, or as many as `-count` that may be the same.
fn some_members(c: &mut Call<'_>, count: i64, with_scores: bool) -> Outcome {
    let mut dice = Dice::new(c.db.exec.dice.roll());
    let key = c.args.key(1);
    let draw = {
        let entry = c.db.read_as(key, Type::Zset)?;
        let zset = entry
            .as_ref()
            .map_or(ZsetRef::EMPTY, |entry| ZsetRef::of(entry));
        let mut draw = Draw::new(zset.len(), count);
        if draw.left <= AT_ONCE {
            begin(&mut c.reply, draw.left, with_scores);
            while let Some(rank) = draw.next(&mut dice) {
                write(&mut c.reply, zset.items(rank..rank + 1, false), with_scores);
            }
            return Ok(());
        }
        draw
    };
    let elements = draw.left;
    let frozen = c.db.frozen(key)?.expect("it has just been there");
    let sample = Sample {
        frozen,
        draw,
        dice,
        with_scores,
        begun: false,
    };
    c.in_slices(elements, &[], sample)
}

/// Ranks by chance.
struct Draw {
    len: usize,
    left: usize,
    rule: Rule,
}

enum Rule {
    /// Each once, the last one first.
    All,
    /// None twice: those that have been drawn. There is room for all from the beginning: to grow would take too long.
    Different(HashSet<usize>),
    Any,
}

impl Draw {
    fn new(len: usize, count: i64) -> Self {
        let wanted = usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX);
        let (left, rule) = match count {
            _ if len == 0 => (0, Rule::Any),
            ..0 => (wanted, Rule::Any),
            _ if wanted >= len => (len, Rule::All),
            _ => (wanted, Rule::Different(HashSet::with_capacity(wanted))),
        };
        Self { len, left, rule }
    }

    /// The next rank. Different ones by Floyd's method: one draw each, however many of all are wanted.
    fn next(&mut self, dice: &mut Dice) -> Option<usize> {
        let last = self.len.wrapping_sub(self.left);
        self.left = self.left.checked_sub(1)?;
        Some(match &mut self.rule {
            Rule::All => self.left,
            Rule::Any => dice.below(self.len as u64) as usize,
            Rule::Different(drawn) => {
                let rank = dice.below(last as u64 + 1) as usize;
                let rank = if drawn.insert(rank) { rank } else { last };
                drawn.insert(rank);
                rank
            }
        })
    }
}

/// A long ZRANDMEMBER.
struct Sample {
    frozen: Entry,
    draw: Draw,
    dice: Dice,
    with_scores: bool,
    begun: bool,
}

impl Work for Sample {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let zset = ZsetRef::of(&self.frozen);
        if !std::mem::replace(&mut self.begun, true) {
            begin(reply, self.draw.left, self.with_scores);
        }
        while self.draw.left > 0 {
            if !budget.spend(1) {
                return false;
            }
            let rank = self.draw.next(&mut self.dice).expect("there are some left");
            write(reply, zset.items(rank..rank + 1, false), self.with_scores);
        }
        true
    }
}

command! { ZSCAN =
    name: "zscan", run: zscan, arity: -3, flags: READONLY,
    keys: &[key(1, RO | ACCESS)],
    categories: SORTEDSET, group: Group::SortedSet, since: "2.8.0",
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command \
        calls for the cursor to return back to 0. N is the number of elements inside the \
        collection.",
    summary: "Iterates over members and scores of a sorted set.",
    syntax: "key<key> cursor<integer> [MATCH pattern<pattern>] [COUNT count<integer>] [NOSCORES]",
    tips: &["nondeterministic_output"],
    history: &[("8.0.0", "Added noscores option.")],
}

fn zscan(c: &mut Call<'_>) -> Outcome {
    collection_scan::scan(c, Type::Zset, "NOSCORES")
}
