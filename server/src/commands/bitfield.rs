//! BITFIELD and BITFIELD_RO: integers of any width inside a string.

use ostraka_datatypes::bits::{Field, Overflow};
use ostraka_datatypes::numbers::parse_i64;
use ostraka_datatypes::resp::Reply;

use super::bitmap::{change_bytes, check_offset};
use super::conditional::with_text;
use crate::call::{Args, Call, Outcome};
use crate::command::keys::KeyFlags;
use crate::command::row::*;
use crate::fault::Fault;

pub static ROWS: &[&Command] = &[&BITFIELD, &BITFIELD_RO];

command! { BITFIELD =
    name: "bitfield", run: bitfield, arity: -2, flags: WRITE | DENYOOM,
    keys: &[key(1, RW | ACCESS | UPDATE | VARIABLE_FLAGS)
        .notes("This command allows both access and modification of the key")],
    find_keys: Some(bitfield_keys), categories: BITMAP, group: Group::Bitmap, since: "3.2.0",
    complexity: "O(1) for each subcommand specified",
    summary: "Performs arbitrary bitfield integer operations on strings.",
    syntax: "key<key> [operation(GET get-block{encoding<string> offset<integer>}|\
        write{[OVERFLOW overflow-block(WRAP|SAT|FAIL)] \
        write-operation(SET set-block{encoding<string> offset<integer> value<integer>}|\
        INCRBY incrby-block{encoding<string> offset<integer> increment<integer>})})...]",
}

/// A call that only reads says so.
fn bitfield_keys(args: Args<'_>, n: usize) -> Result<Option<KeyAt>, Unclear> {
    let mut at = 2;
    let mut flags: KeyFlags = RO | ACCESS;
    while at < args.len() {
        at += match () {
            () if args.is(at, "GET") => 3,
            () if args.is(at, "OVERFLOW") => 2,
            () => {
                flags = RW | ACCESS | UPDATE;
                break;
            }
        };
    }
    Ok((n == 0).then_some(KeyAt { index: 1, flags }))
}

/// One operation on one field.
struct Step {
    field: Field,
    offset: u64,
    action: Action,
}

enum Action {
    Get,
    Set(i64, Overflow),
    Add(i64, Overflow),
}

/// What a step has written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    Nothing,
    /// What was there.
    Same,
    Other,
}

fn bitfield(c: &mut Call<'_>) -> Outcome {
    let steps = parse(c)?;
    let writing = steps.iter().filter(|step| step.writes());
    let Some(len) = writing.map(|step| step.field.end(step.offset)).max() else {
        return read(c, &steps);
    };
    let reply = &mut c.reply;
    reply.array(steps.len());
    change_bytes(&mut c.db, c.args.key(1), len, |bytes, grows| {
        let written = steps.iter().map(|step| step.execute(bytes, reply));
        let changes = written.filter(|written| match written {
            Written::Nothing => false,
            Written::Same => grows,
            Written::Other => true,
        });
        (changes.count() as u64, ())
    })
}

command! { BITFIELD_RO =
    name: "bitfield_ro", run: bitfield_ro, arity: -2, flags: READONLY | FAST,
    keys: &[key(1, RO | ACCESS)], categories: BITMAP, group: Group::Bitmap, since: "6.0.0",
    complexity: "O(1) for each subcommand specified",
    summary: "Performs arbitrary read-only bitfield integer operations on strings.",
    syntax: "key<key> [GET... get-block{encoding<string> offset<integer>}]",
}

fn bitfield_ro(c: &mut Call<'_>) -> Outcome {
    let steps = parse(c)?;
    if steps.iter().any(Step::writes) {
        return Err(Fault::err("BITFIELD_RO only supports the GET subcommand"));
    }
    read(c, &steps)
}

/// Executes steps of which none writes.
fn read(c: &mut Call<'_>, steps: &[Step]) -> Outcome {
    let reply = &mut c.reply;
    let mut read_all = |bytes: &[u8]| {
        reply.array(steps.len());
        for step in steps {
            reply.integer(step.field.read(bytes, step.offset));
        }
    };
    match c.db.string(c.args.key(1))? {
        Some(entry) => with_text(&entry, read_all),
        None => read_all(b""),
    }
    Ok(())
}

fn parse(c: &Call<'_>) -> Result<Vec<Step>, Fault> {
    let args = c.args;
    let mut steps = Vec::new();
    let mut overflow = Overflow::Wrap;
    let mut at = 2;
    while at < args.len() {
        let operands = args.len() - at - 1;
        let is = |word: &str, fewest: usize| operands >= fewest && args.is(at, word);
        if is("OVERFLOW", 1) {
            overflow = parse_overflow(args, at + 1)?;
            at += 2;
            continue;
        }
        let takes_value = match () {
            () if is("GET", 2) => false,
            () if is("SET", 3) || is("INCRBY", 3) => true,
            () => return Err(Fault::Syntax),
        };
        let field = Field::parse(args.at(at + 1)).ok_or_else(|| {
            Fault::err(
                "Invalid bitfield type. Use something like i16 u8. Note that u64 is not supported \
                    but i64 is.",
            )
        })?;
        let offset = parse_offset(c, at + 2, field)?;
        let action = match () {
            () if !takes_value => Action::Get,
            () if args.is(at, "SET") => Action::Set(args.integer(at + 3)?, overflow),
            () => Action::Add(args.integer(at + 3)?, overflow),
        };
        steps.push(Step {
            field,
            offset,
            action,
        });
        at += 3 + usize::from(takes_value);
    }
    Ok(steps)
}

fn parse_overflow(args: Args<'_>, at: usize) -> Result<Overflow, Fault> {
    match () {
        () if args.is(at, "WRAP") => Ok(Overflow::Wrap),
        () if args.is(at, "SAT") => Ok(Overflow::Saturate),
        () if args.is(at, "FAIL") => Ok(Overflow::Fail),
        () => Err(Fault::err("Invalid OVERFLOW type specified")),
    }
}

/// `100` is a bit; `#100` counts in fields of this width.
fn parse_offset(c: &Call<'_>, at: usize, field: Field) -> Result<u64, Fault> {
    let offset = match c.args.at(at) {
        [b'#', number @ ..] => {
            parse_i64(number).and_then(|number| number.checked_mul(field.width() as i64))
        }
        number => parse_i64(number),
    };
    check_offset(c, offset)
}

impl Step {
    fn writes(&self) -> bool {
        !matches!(self.action, Action::Get)
    }

    fn execute(&self, bytes: &mut [u8], reply: &mut Reply<'_>) -> Written {
        let old = self.field.read(bytes, self.offset);
        let new = match self.action {
            Action::Get => Some(old),
            Action::Set(value, overflow) => self.field.fit(value, overflow),
            Action::Add(increment, overflow) => self.field.add(old, increment, overflow),
        };
        let Some(new) = new else {
            reply.null();
            return Written::Nothing;
        };
        reply.integer(match self.action {
            Action::Get | Action::Set(..) => old,
            Action::Add(..) => new,
        });
        if !self.writes() {
            return Written::Nothing;
        }
        self.field.write(bytes, self.offset, new);
        if new == old {
            Written::Same
        } else {
            Written::Other
        }
    }
}
