//! Fields of a hash without asking for them by name: in pieces (HSCAN), or at random (HRANDFIELD).

use std::collections::HashSet;

use ostraka_datatypes::hashes::{FieldRef, HashRef};
use ostraka_datatypes::raw::entry::{Entry, Type};
use ostraka_datatypes::resp::{Protocol, Reply};
use ostraka_datatypes::set::Selection;

use super::collection_scan;
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::os::entropy::Dice;
use crate::slices::{Budget, Work};

pub static ROWS: &[&Command] = &[&HRANDFIELD, &HSCAN];

command! { HSCAN =
    name: "hscan", run: hscan, arity: -3, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: HASH, group: Group::Hash, since: "2.8.0",
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command \
        calls for the cursor to return back to 0. N is the number of elements inside the \
        collection.",
    summary: "Iterates over fields and values of a hash.",
    syntax: "key<key> cursor<integer> [MATCH pattern<pattern>] [COUNT count<integer>] [NOVALUES]",
    tips: &["nondeterministic_output"],
}

fn hscan(c: &mut Call<'_>) -> Outcome {
    collection_scan::scan(c, Type::Hash, "NOVALUES")
}

command! { HRANDFIELD =
    name: "hrandfield", run: hrandfield, arity: -2, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: HASH, group: Group::Hash, since: "6.2.0",
    complexity: "O(N) where N is the number of fields returned",
    summary: "Returns one or more random fields from a hash.",
    syntax: "key<key> [options{count<integer> [WITHVALUES]}]",
    tips: &["nondeterministic_output"],
}

fn hrandfield(c: &mut Call<'_>) -> Outcome {
    let asked = c.args.get(2).map(|_| Asked::parse(c)).transpose()?;
    let (key, now_ms) = (c.args.key(1), c.db.now_ms() as u64);
    let mut dice = Dice::new(c.db.exec.dice.roll());
    let entry = c.db.read_as(key, Type::Hash)?;
    let hash = entry.as_deref().map(|entry| HashRef::of(entry, now_ms));
    let (asked, effort) = match (asked, hash) {
        (None, hash) => {
            match hash.and_then(|hash| hash.random(&mut || dice.roll())) {
                Some(field) => field.name.reply(&mut c.reply),
                None => c.reply.null(),
            }
            return Ok(());
        }
        (Some(asked), Some(hash)) => (asked, asked.effort(hash)),
        (Some(_), None) => {
            c.reply.array(0);
            return Ok(());
        }
    };
    let frozen = c.db.frozen(key)?.expect("it has just been there");
    let sample = Sample {
        frozen,
        now_ms,
        asked,
        dice,
        stage: Stage::Count { cursor: 0, live: 0 },
    };
    c.in_slices(effort, &[], sample)
}

/// The options of HRANDFIELD.
#[derive(Clone, Copy)]
struct Asked {
    count: usize,
    /// Each pick is of all fields.
    repeats: bool,
    values: bool,
}

impl Asked {
    fn parse(c: &Call<'_>) -> Result<Self, Fault> {
        let (count, values) = collection_scan::sample_options(c.args, "WITHVALUES")?;
        Ok(Self {
            count: count.unsigned_abs() as usize,
            repeats: count < 0,
            values,
        })
    }

    /// How many fields will be looked at, more or less.
    fn effort(&self, hash: HashRef<'_>) -> usize {
        let counted = if hash.is_timed() { hash.len() } else { 0 };
        let picked = match self.repeats {
            true => self.count,
            false => self.count.min(hash.len()),
        };
        counted.max(picked)
    }

    fn open(&self, reply: &mut Reply<'_>, len: usize) {
        let flat = self.values && reply.protocol() == Protocol::Resp2;
        reply.array(if flat { 2 * len } else { len });
    }

    fn reply(&self, field: FieldRef<'_>, reply: &mut Reply<'_>) {
        if self.values && reply.protocol() == Protocol::Resp3 {
            reply.array(2);
        }
        field.name.reply(reply);
        if self.values {
            field.value.reply(reply);
        }
    }
}

/// HRANDFIELD of several fields under way.
struct Sample {
    frozen: Entry,
    now_ms: u64,
    asked: Asked,
    dice: Dice,
    stage: Stage,
}

enum Stage {
    /// Finds out how many fields are there.
    Count { cursor: u64, live: usize },
    /// Picks one at a time, none twice if what was picked is kept.
    Pick {
        left: usize,
        seen: Option<HashSet<Vec<u8>>>,
    },
    /// Walks over all, and takes each with the chance that the rest of the walk asks for.
    Choose { cursor: u64, selection: Selection },
}

impl Stage {
    /// How to pick from the `live` fields of `hash`, and how many it will be.
    fn pick(asked: Asked, hash: HashRef<'_>, live: usize) -> (Self, usize) {
        /// In a hash of fewer fields, which may be packed, and in one with fields whose time is up, drawing is slow.
        const FEW: usize = 1000;
        let draws = live > FEW && live == hash.len();
        match asked.count {
            _ if live == 0 => (
                Self::Pick {
                    left: 0,
                    seen: None,
                },
                0,
            ),
            left if asked.repeats => (Self::Pick { left, seen: None }, left),
            left if draws && left < live / 3 => {
                let seen = Some(HashSet::with_capacity(left));
                (Self::Pick { left, seen }, left)
            }
            wanted => {
                let wanted = wanted.min(live);
                let selection = Selection::new(wanted, live);
                (
                    Self::Choose {
                        cursor: 0,
                        selection,
                    },
                    wanted,
                )
            }
        }
    }
}

impl Work for Sample {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        /// Fields between two questions to the budget.
        const PART: usize = 64;
        let hash = HashRef::of(&self.frozen, self.now_ms);
        let roll = &mut || self.dice.roll();
        loop {
            match &mut self.stage {
                Stage::Count { cursor, live } => {
                    let counted = match hash.is_timed() {
                        true => {
                            *cursor = hash.scan(*cursor, PART, |_| *live += 1);
                            *cursor == 0
                        }
                        false => {
                            *live = hash.len();
                            true
                        }
                    };
                    if counted {
                        let len;
                        (self.stage, len) = Stage::pick(self.asked, hash, *live);
                        self.asked.open(reply, len);
                    }
                }
                Stage::Pick { left: 0, .. } => return true,
                Stage::Pick { left, seen } => {
                    for _ in 0..PART.min(*left) {
                        let field = hash.random(roll).expect("fields have been counted");
                        let seen = seen.as_mut();
                        if seen.is_none_or(|seen| seen.insert(field.name.to_vec())) {
                            self.asked.reply(field, reply);
                            *left -= 1;
                        }
                    }
                }
                Stage::Choose { cursor, selection } => {
                    *cursor = hash.scan(*cursor, PART, |field| {
                        if selection.takes(roll()) {
                            self.asked.reply(field, reply);
                        }
                    });
                    if *cursor == 0 {
                        return true;
                    }
                }
            }
            if !budget.spend(PART) {
                return false;
            }
        }
    }
}
