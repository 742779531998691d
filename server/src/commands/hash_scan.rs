//! Fields of a hash without asking for them by name: in pieces (HSCAN), or at random (HRANDFIELD).

use std::collections::HashSet;

use ostraka_datatypes::hashes::{FieldRef, HashRef};
use ostraka_datatypes::raw::entry::Type;
use ostraka_datatypes::resp::{Protocol, Reply};

use super::collection_scan::{self, Options, Page};
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::os::entropy::Dice;

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
    let cursor = collection_scan::cursor(c.args)?;
    let now_ms = c.db.now_ms() as u64;
    let Some(entry) = c.db.read_as(c.args.key(1), Type::Hash)? else {
        return Page::empty(&mut c.reply);
    };
    let options = Options::parse(c.args, true)?;
    let mut page = Page::new(c.reply.protocol());
    let hash = HashRef::of(&entry, now_ms);
    let next = hash.scan(cursor, options.count, |field| {
        let mut digits = itoa::Buffer::new();
        if !options.pattern.matches(field.name.text(&mut digits)) {
            return;
        }
        page.push(|reply| field.name.reply(reply));
        if !options.no_values {
            page.push(|reply| field.value.reply(reply));
        }
    });
    page.reply(next, &mut c.reply)
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
    let now_ms = c.db.now_ms() as u64;
    let mut dice = Dice::new(c.db.exec.dice.roll());
    let entry = c.db.read_as(c.args.key(1), Type::Hash)?;
    let hash = entry.as_deref().map(|entry| HashRef::of(entry, now_ms));
    let (reply, roll) = (&mut c.reply, &mut || dice.roll());
    match (asked, hash) {
        (None, hash) => match hash.and_then(|hash| hash.random(roll)) {
            Some(field) => field.name.reply(reply),
            None => reply.null(),
        },
        (Some(asked), Some(hash)) if asked.repeats => asked.with_repeats(hash, roll, reply),
        (Some(asked), Some(hash)) => asked.distinct(hash, roll, reply),
        (Some(_), None) => reply.array(0),
    }
    Ok(())
}

/// The options of HRANDFIELD.
struct Asked {
    count: usize,
    /// Each pick is of all fields.
    repeats: bool,
    values: bool,
}

impl Asked {
    fn parse(c: &Call<'_>) -> Result<Self, Fault> {
        let count = c.args.integer(2)?;
        if count == i64::MIN {
            let text = "value is out of range, value must between -9223372036854775807 and 9223372036854775807";
            return Err(Fault::err(text));
        }
        let values = c.args.is(3, "WITHVALUES");
        if c.args.len() > 4 || c.args.len() == 4 && !values {
            return Err(Fault::Syntax);
        }
        if values && count.unsigned_abs() > i64::MAX as u64 / 2 {
            return Err(Fault::OutOfRange);
        }
        Ok(Self {
            count: count.unsigned_abs() as usize,
            repeats: count < 0,
            values,
        })
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

    fn with_repeats(
        &self,
        hash: HashRef<'_>,
        roll: &mut impl FnMut() -> u64,
        reply: &mut Reply<'_>,
    ) {
        if hash.random(roll).is_none() {
            return reply.array(0);
        }
        self.open(reply, self.count);
        for _ in 0..self.count {
            let field = hash
                .random(roll)
                .expect("there is a field, as there was before");
            self.reply(field, reply);
        }
    }

    /// Different fields: drawn one by one if that finds new ones mostly, else shuffled.
    fn distinct(&self, hash: HashRef<'_>, roll: &mut impl FnMut() -> u64, reply: &mut Reply<'_>) {
        let live = hash.live();
        let count = self.count.min(live);
        self.open(reply, count);
        if count == live {
            hash.iter().for_each(|field| self.reply(field, reply));
        } else if hash.len() > 1000 && count < live / 3 {
            let mut seen = HashSet::new();
            while seen.len() < count {
                let field = hash.random(roll).expect("there are fields");
                if seen.insert(field.name.to_cow()) {
                    self.reply(field, reply);
                }
            }
        } else {
            let mut fields: Vec<_> = hash.iter().collect();
            for at in 0..count {
                let left = (fields.len() - at) as u128;
                let pick = at + ((u128::from(roll()) * left) >> 64) as usize;
                fields.swap(at, pick);
                self.reply(fields[at], reply);
            }
        }
    }
}
