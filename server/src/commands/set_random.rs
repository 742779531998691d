//! SPOP and SRANDMEMBER: members that chance chooses.
//!
//! Every member, and for several at once every combination, is equally likely. Which way is taken depends on how many of
//! how many are asked for, as in Redis:
//! ```text
//!  as many as there are, or more     all of them
//!  a third or more                   one walk, which takes each with the chance that the rest of the walk asks for
//!  fewer                             draws, those that come again left out
//!  a negative number                 draws
//! ```

use std::collections::HashSet;

use ostraka_datatypes::collection::Collection;
use ostraka_datatypes::packed::Element;
use ostraka_datatypes::raw::entry::{Entry, Type};
use ostraka_datatypes::resp::Reply;
use ostraka_datatypes::set::{Selection, Set, SetMut, SetRef};

use super::set_walk::{Members, Walk, frozen};
use super::sets::limits;
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Changed, Keyspace, Missing};
use crate::os::entropy::Dice;
use crate::slices::{AT_ONCE, Budget, Work};

pub static ROWS: &[&Command] = &[&SPOP, &SRANDMEMBER];

/// SPOP that leaves less than one for so many that it takes packs what is left anew.
const FEW_LEFT: usize = 5;

command! { SRANDMEMBER =
    name: "srandmember", run: srandmember, arity: -2, flags: READONLY,
    keys: &[key(1, RO | ACCESS)], categories: SET, group: Group::Set, since: "1.0.0",
    complexity: "Without the count argument O(1), otherwise O(N) where N is the absolute value of \
        the passed count.",
    summary: "Returns one or multiple random members from a set.",
    syntax: "key<key> [count<integer>@2.6.0]", tips: &["nondeterministic_output"],
    history: &[("2.6.0", "Added the optional `count` argument.")],
}

fn srandmember(c: &mut Call<'_>) -> Outcome {
    let mut dice = dice(c);
    match c.args.len() {
        2 => {
            let entry = c.db.read_as(c.args.key(1), Type::Set)?;
            let set = entry.as_deref().map(SetRef::of);
            match set.and_then(|set| set.random(&mut || dice.roll())) {
                Some(member) => member.reply(&mut c.reply),
                None => c.reply.null(),
            }
            return Ok(());
        }
        3 => {}
        _ => return Err(Fault::Syntax),
    }
    let count = c.args.symmetric(2)?;
    let (set, wanted) = match frozen(&mut c.db, c.args.key(1))? {
        Some(set) if count != 0 => (set, count.unsigned_abs() as usize),
        _ => {
            c.reply.array(0);
            return Ok(());
        }
    };
    let len = SetRef::of(&set).len();
    if count > 0 && wanted >= len {
        return c.in_slices(len, &[], Members::as_array(set));
    }
    c.reply.array(wanted);
    if count > 0 && wanted * 3 > len {
        let work = Selecting {
            selection: Selection::new(wanted, len),
            set,
            walk: Walk::default(),
            dice,
        };
        return c.in_slices(len, &[], work);
    }
    let work = Drawing {
        set,
        left: wanted,
        dice,
        // With room for all from the beginning: to grow would take too long.
        seen: (count > 1).then(|| HashSet::with_capacity(wanted)),
    };
    c.in_slices(wanted, &[], work)
}

/// Dice of the caller's own, thrown by the loop's.
fn dice(c: &mut Call<'_>) -> Dice {
    Dice::new(c.db.exec.dice.roll())
}

/// Replies draws from a frozen set.
struct Drawing {
    set: Entry,
    left: usize,
    dice: Dice,
    /// What has been drawn, if nothing may be drawn twice.
    seen: Option<HashSet<Vec<u8>>>,
}

impl Work for Drawing {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let set = SetRef::of(&self.set);
        while self.left > 0 {
            let member = set.random(&mut || self.dice.roll());
            let member = member.expect("a set has members");
            let seen = self.seen.as_mut();
            if seen.is_none_or(|seen| seen.insert(member.to_vec())) {
                member.reply(reply);
                self.left -= 1;
            }
            if !budget.spend(1) {
                break;
            }
        }
        self.left == 0
    }
}

/// Replies a random part of a frozen set.
struct Selecting {
    set: Entry,
    walk: Walk,
    selection: Selection,
    dice: Dice,
}

impl Work for Selecting {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let (selection, dice) = (&mut self.selection, &mut self.dice);
        self.walk.step(SetRef::of(&self.set), 1, budget, |member| {
            if selection.takes(dice.roll()) {
                member.reply(reply);
            }
        })
    }
}

command! { SPOP =
    name: "spop", run: spop, arity: -2, flags: WRITE | FAST,
    keys: &[key(1, RW | ACCESS | DELETE)], categories: SET, group: Group::Set, since: "1.0.0",
    complexity: "Without the count argument O(1), otherwise O(N) where N is the value of the \
        passed count.",
    summary: "Returns one or more random members from a set after removing them. Deletes the set \
        if the last member was popped.",
    syntax: "key<key> [count<integer>@3.2.0]", tips: &["nondeterministic_output"],
    history: &[("3.2.0", "Added the `count` argument.")],
}

fn spop(c: &mut Call<'_>) -> Outcome {
    match c.args.len() {
        2 => spop_one(c),
        3 => spop_count(c),
        _ => Err(Fault::Syntax),
    }
}

fn spop_one(c: &mut Call<'_>) -> Outcome {
    let (limits, mut dice) = (limits(&mut c.db), dice(c));
    let popped =
        c.db.modify(c.args.key(1), Type::Set, Missing::Skip, |entry| {
            let member = SetMut::of(entry, limits).pop(&mut || dice.roll());
            Changed::one("spop", member)
        })?;
    match popped.flatten() {
        Some(member) => c.reply.bulk(&member),
        None => c.reply.null(),
    }
    Ok(())
}

fn spop_count(c: &mut Call<'_>) -> Outcome {
    let count = c.args.natural(2, || Fault::NotPositive)?;
    let key = c.args.key(1);
    let entry = c.db.peek_as(key, Type::Set)?;
    let set = entry.as_deref().map(SetRef::of);
    let len = set.map_or(0, SetRef::len);
    let is_large = matches!(set, Some(SetRef::Large(_)));
    if len.min(count) == 0 {
        c.reply.set(0);
        return Ok(());
    }
    if count >= len {
        let all = c.db.modify(key, Type::Set, Missing::Skip, |entry| {
            Changed::many("spop", len as u64, take_all(entry))
        })?;
        let all = all.expect("the set has just been there");
        return c.in_slices(len, &[], Members::as_set(all));
    }
    c.reply.set(count);
    if count > AT_ONCE && is_large {
        return spop_many(c, count);
    }
    let (limits, mut dice, reply) = (limits(&mut c.db), dice(c), &mut c.reply);
    c.db.modify(key, Type::Set, Missing::Skip, |entry| {
        let mut set = SetMut::of(entry, limits);
        for _ in 0..count {
            let member = set.pop(&mut || dice.roll());
            reply.bulk(&member.expect("there are more than are asked for"));
        }
        if (len - count) * FEW_LEFT <= count {
            set.pack();
        }
        Changed::many("spop", count as u64, ())
    })?;
    Ok(())
}

/// Leaves an entry empty, and answers one with what was in it.
fn take_all(entry: &mut Entry) -> Entry {
    let all = match entry.share() {
        Some(large) => Entry::large(b"", large, None),
        None => entry.duplicate(b""),
    };
    entry.set_packed(&[]);
    all
}

/// Takes the whole set out of its entry, to put back what is left of it in the end.
fn spop_many(c: &mut Call<'_>, count: usize) -> Outcome {
    let key = c.args.key(1);
    let Some(Collection::Set(set)) = c.db.lend(key)? else {
        unreachable!("a set that gives so many in slices is large")
    };
    let work = Popping {
        key: key.bytes.to_vec(),
        set,
        count,
        left: count,
        dice: dice(c),
    };
    c.in_slices(count, &[1], work)
}

/// Takes random members out of a set that is out of its entry.
struct Popping {
    key: Vec<u8>,
    set: Set,
    count: usize,
    left: usize,
    dice: Dice,
}

impl Work for Popping {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        while self.left > 0 {
            let member = self.set.random(&mut || self.dice.roll());
            let member = member.expect("there are more than are asked for").to_vec();
            self.set.remove(Element::of(&member));
            reply.bulk(&member);
            self.left -= 1;
            if !budget.spend(1) {
                break;
            }
        }
        self.left == 0
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, _reply: &mut Reply<'_>) -> Outcome {
        let limits = limits(db);
        let set = std::mem::replace(&mut self.set, Set::new(limits.seed));
        let (few, count) = (set.len() * FEW_LEFT <= self.count, self.count as u64);
        let key = db.exec.server.router.key(&self.key);
        db.give_back(key, Collection::Set(set), "spop", count);
        if few {
            db.modify(key, Type::Set, Missing::Skip, |entry| {
                SetMut::of(entry, limits).pack();
                Changed::nothing(())
            })?;
        }
        Ok(())
    }
}
