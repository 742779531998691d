//! Strings as arrays of bits.

use std::ops::Range;
use std::sync::Arc;

use ostraka_datatypes::bits::{self, Operation};
use ostraka_datatypes::blob::{BLOB_MIN, Blob, Reading};
use ostraka_datatypes::raw::entry::{Entry, Value};
use ostraka_datatypes::resp::Reply;

use super::conditional::with_text;
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Keyspace, Ttl};
use crate::router::Key;
use crate::slices::{Budget, Work};

pub static ROWS: &[&Command] = &[&BITCOUNT, &BITOP, &BITPOS, &GETBIT, &SETBIT];

command! { SETBIT =
    name: "setbit", run: setbit, arity: 4, flags: WRITE | DENYOOM,
    keys: &[key(1, RW | ACCESS | UPDATE)], categories: BITMAP, group: Group::Bitmap,
    since: "2.2.0", complexity: "O(1)",
    summary: "Sets or clears the bit at offset of the string value. Creates the key if it doesn't exist.",
    syntax: "key<key> offset<integer> value<integer>",
}

fn setbit(c: &mut Call<'_>) -> Outcome {
    let offset = bit_offset(c, 2)?;
    let on = match c.args.integer_or(3, Fault::BitOutOfRange)? {
        0 => false,
        1 => true,
        _ => return Err(Fault::BitOutOfRange),
    };
    let len = offset / 8 + 1;
    let old = change_bytes(&mut c.db, c.args.key(1), len, |bytes, grows| {
        let old = bits::get(bytes, offset);
        bits::set(bytes, offset, on);
        (u64::from(grows || old != on), old)
    })?;
    c.reply.integer(old.into());
    Ok(())
}

/// Reads the offset of a bit, which must lie in a string that a request could carry.
fn bit_offset(c: &Call<'_>, index: usize) -> Result<u64, Fault> {
    check_offset(c, c.args.integer(index).ok())
}

/// See [`bit_offset`].
pub fn check_offset(c: &Call<'_>, offset: Option<i64>) -> Result<u64, Fault> {
    let longest = c.db.exec.settings.proto_max_bulk_len;
    offset
        .and_then(|offset| u64::try_from(offset).ok())
        .filter(|offset| offset / 8 < longest)
        .ok_or(Fault::BitOffsetOutOfRange)
}

/// Hands the string at `key` to `change`, with zeros behind it up to `len` bytes, and whether that makes it longer.
/// `change` answers how many changes it counts as.
pub fn change_bytes<R>(
    db: &mut Keyspace<'_>,
    key: Key<'_>,
    len: u64,
    change: impl FnOnce(&mut [u8], bool) -> (u64, R),
) -> Result<R, Fault> {
    let len = len as usize;
    if let Some(mut edit) = db.edit_string(key)? {
        return Ok(edit.change_some("setbit", |entry| {
            let grows = entry.string_len() < len;
            change(entry.bytes_mut(len), grows)
        }));
    }
    let mut entry = Entry::new(key.bytes, Value::Raw(b""), None);
    let (_, result) = change(entry.bytes_mut(len), true);
    db.put(key, entry, "setbit");
    Ok(result)
}

command! { GETBIT =
    name: "getbit", run: getbit, arity: 3, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)],
    categories: BITMAP, group: Group::Bitmap, since: "2.2.0", complexity: "O(1)",
    summary: "Returns a bit value by offset.", syntax: "key<key> offset<integer>",
}

fn getbit(c: &mut Call<'_>) -> Outcome {
    let offset = bit_offset(c, 2)?;
    let bit = match c.db.string(c.args.key(1))? {
        Some(entry) => with_text(&entry, |text| bits::get(text, offset)),
        None => false,
    };
    c.reply.integer(bit.into());
    Ok(())
}

/// The part of a string that BITCOUNT and BITPOS look at: both ends included, negative ones count from the end.
struct Window {
    start: i64,
    end: Option<i64>,
    in_bits: bool,
}

impl Window {
    /// Reads `[start [end [BYTE|BIT]]]` from argument `at` on, which are the last ones.
    fn parse(args: Args<'_>, at: usize) -> Result<Window, Fault> {
        if args.len() > at + 3 {
            return Err(Fault::Syntax);
        }
        let given = |index: usize| args.get(index).map(|_| args.integer(index)).transpose();
        let start = given(at)?.unwrap_or(0);
        let in_bits = match args.len() > at + 2 {
            true if args.is(at + 2, "BIT") => true,
            true if args.is(at + 2, "BYTE") => false,
            true => return Err(Fault::Syntax),
            false => false,
        };
        let end = given(at + 1)?;
        Ok(Window {
            start,
            end,
            in_bits,
        })
    }

    /// Whether the ends are in the wrong order before they are clamped to the string.
    fn is_reversed(&self) -> bool {
        self.start < 0 && self.end.is_some_and(|end| end < 0 && self.start > end)
    }

    /// The bits of a string of `len` bytes.
    fn of(&self, len: usize) -> Range<u64> {
        let bits_each = if self.in_bits { 1 } else { 8 };
        let units = len as i64 * 8 / bits_each;
        let place = |index: i64| {
            if index < 0 {
                (units + index).max(0)
            } else {
                index
            }
        };
        let start = place(self.start);
        let end = place(self.end.unwrap_or(-1)).min(units - 1) + 1;
        if start >= end {
            return 0..0;
        }
        (start * bits_each) as u64..(end * bits_each) as u64
    }
}

command! { BITCOUNT =
    name: "bitcount", run: bitcount, arity: -2, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: BITMAP, group: Group::Bitmap, since: "2.6.0", complexity: "O(N)",
    summary: "Counts the number of set bits (population counting) in a string.",
    syntax: "key<key> [range{start<integer> [end-unit-block{end<integer> [unit(BYTE|BIT)@7.0.0]}]}]",
    history: &[
        ("7.0.0", "Added the `BYTE|BIT` option."),
        ("8.0.0", "`end` made optional; when called without argument the command reports the last BYTE."),
    ],
}

fn bitcount(c: &mut Call<'_>) -> Outcome {
    let window = Window::parse(c.args, 2)?;
    let key = c.args.key(1);
    let Some(entry) = c.db.string(key)? else {
        c.reply.integer(0);
        return Ok(());
    };
    let range = match window.is_reversed() {
        true => 0..0,
        false => window.of(entry.string_len()),
    };
    let Some(blob) = entry.blob() else {
        let count = with_text(&entry, |text| bits::count_in(text, range));
        c.reply.integer(count as i64);
        return Ok(());
    };
    let (elements, count) = (elements_of(&range), 0);
    let text = c.db.reading(key, blob)?;
    c.in_slices(elements, &[], Count { text, range, count })
}

/// BITCOUNT under way.
struct Count {
    text: Reading,
    /// Bits not counted yet.
    range: Range<u64>,
    count: u64,
}

impl Work for Count {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        while let Some(piece) = next_piece(&mut self.range) {
            self.count += bits::count_in(&self.text, piece);
            if !budget.spend(PIECE / ELEMENT) {
                return false;
            }
        }
        reply.integer(self.count as i64);
        true
    }
}

/// Bytes of one string that are worked on between two looks at the budget.
const PIECE: usize = 32 * 1024;
/// Bytes that take about as long as an element of a collection.
const ELEMENT: usize = 512;

fn elements_of(range: &Range<u64>) -> usize {
    (range.end - range.start) as usize / 8 / ELEMENT
}

/// Takes the next bits off a range.
fn next_piece(range: &mut Range<u64>) -> Option<Range<u64>> {
    let end = range.end.min(range.start + 8 * PIECE as u64);
    let piece = range.start..end;
    range.start = end;
    (!piece.is_empty()).then_some(piece)
}

command! { BITPOS =
    name: "bitpos", run: bitpos, arity: -3, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: BITMAP, group: Group::Bitmap, since: "2.8.7", complexity: "O(N)",
    summary: "Finds the first set (1) or clear (0) bit in a string.",
    syntax: "key<key> bit<integer> \
        [range{start<integer> [end-unit-block{end<integer> [unit(BYTE|BIT)@7.0.0]}]}]",
    history: &[("7.0.0", "Added the `BYTE|BIT` option.")],
}

fn bitpos(c: &mut Call<'_>) -> Outcome {
    let bit = match c.args.integer(2)? {
        0 => false,
        1 => true,
        _ => return Err(Fault::err("The bit argument must be 1 or 0.")),
    };
    let window = Window::parse(c.args, 3)?;
    let key = c.args.key(1);
    let Some(entry) = c.db.string(key)? else {
        reply_position(&mut c.reply, (!bit).then_some(0));
        return Ok(());
    };
    let range = window.of(entry.string_len());
    // Without an end, zeros follow the string.
    let zeros_follow = !bit && window.end.is_none() && !range.is_empty();
    let otherwise = zeros_follow.then_some(range.end);
    let Some(blob) = entry.blob() else {
        let position = with_text(&entry, |text| bits::position(text, bit, range));
        reply_position(&mut c.reply, position.or(otherwise));
        return Ok(());
    };
    let search = Search {
        text: c.db.reading(key, blob)?,
        bit,
        range,
        otherwise,
    };
    c.in_slices(elements_of(&search.range), &[], search)
}

fn reply_position(reply: &mut Reply<'_>, position: Option<u64>) {
    reply.integer(position.map_or(-1, |position| position as i64));
}

/// BITPOS under way.
struct Search {
    text: Reading,
    bit: bool,
    /// Bits not looked at yet.
    range: Range<u64>,
    /// The answer if there is no such bit.
    otherwise: Option<u64>,
}

impl Work for Search {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let mut found = None;
        while let Some(piece) = next_piece(&mut self.range) {
            found = bits::position(&self.text, self.bit, piece);
            if found.is_some() {
                break;
            }
            if !budget.spend(PIECE / ELEMENT) {
                return false;
            }
        }
        reply_position(reply, found.or(self.otherwise));
        true
    }
}

command! { BITOP =
    name: "bitop", run: bitop, arity: -4, flags: WRITE | DENYOOM,
    keys: &[key(2, OW | UPDATE), keys_from(3, RO | ACCESS)], categories: BITMAP,
    group: Group::Bitmap, since: "2.6.0", complexity: "O(N)",
    summary: "Performs bitwise operations on multiple strings, and stores the result.",
    syntax: "operation(AND|OR|XOR|NOT|DIFF@8.2.0|DIFF1@8.2.0|ANDOR@8.2.0|ONE@8.2.0) destkey<key> key<key:1>...",
    history: &[("8.2.0", "Added the `DIFF`, `DIFF1`, `ANDOR`, and `ONE` operations.")],
}

static OPERATIONS: [(&str, Operation); 8] = [
    ("AND", Operation::And),
    ("OR", Operation::Or),
    ("XOR", Operation::Xor),
    ("NOT", Operation::Not),
    ("DIFF", Operation::Diff),
    ("DIFF1", Operation::Diff1),
    ("ANDOR", Operation::AndOr),
    ("ONE", Operation::One),
];

fn bitop(c: &mut Call<'_>) -> Outcome {
    let operation = operation(c.args)?;
    let sources: Vec<Reading> = c
        .args
        .keys(3, 1)
        .map(|key| source(&mut c.db, key))
        .collect::<Result<_, _>>()?;
    let elements = sources.iter().map(|source| source.len() / ELEMENT).sum();
    let longest = sources.iter().map(|source| source.len()).max().unwrap_or(0);
    let work = Combine {
        operation,
        sources,
        destination: c.args.at(2).into(),
        output: Vec::with_capacity(longest),
    };
    c.in_slices(elements, &[2], work)
}

/// BITOP under way.
struct Combine {
    operation: Operation,
    sources: Vec<Reading>,
    destination: Box<[u8]>,
    /// As long as it is done, with room for all of it.
    output: Vec<u8>,
}

impl Work for Combine {
    fn step(&mut self, _reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let sources: Vec<&[u8]> = self.sources.iter().map(|source| &**source).collect();
        let longest = sources.iter().map(|source| source.len()).max().unwrap_or(0);
        while self.output.len() < longest {
            let start = self.output.len();
            let piece = (PIECE / sources.len()).max(ELEMENT);
            self.output.resize(longest.min(start + piece), 0);
            bits::combine(self.operation, &sources, start, &mut self.output[start..]);
            if !budget.spend(PIECE / ELEMENT) {
                return false;
            }
        }
        true
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) -> Outcome {
        let key = db.exec.server.router.key(&self.destination);
        let output = std::mem::take(&mut self.output);
        reply.integer(output.len() as i64);
        store(db, key, output);
        Ok(())
    }
}

fn operation(args: Args<'_>) -> Result<Operation, Fault> {
    let (name, operation) = OPERATIONS
        .iter()
        .find(|(name, _)| args.is(1, name))
        .ok_or(Fault::Syntax)?;
    let needs = match (operation, args.len() - 3) {
        (Operation::Not, 2..) => "a single source key",
        (Operation::Diff | Operation::Diff1 | Operation::AndOr, 1) => "at least two source keys",
        _ => return Ok(*operation),
    };
    Err(Fault::err(format_args!(
        "BITOP {name} must be called with {needs}."
    )))
}

/// A string to be read while others are changed: large ones are shared, small ones copied.
fn source(db: &mut Keyspace<'_>, key: Key<'_>) -> Result<Reading, Fault> {
    let Some(entry) = db.string(key)? else {
        return Ok(Reading::of(Blob::default()));
    };
    match entry.blob() {
        Some(blob) => db.reading(key, blob),
        None => Ok(with_text(&entry, |text| {
            Reading::of(Arc::new(text.to_vec()))
        })),
    }
}

fn store(db: &mut Keyspace<'_>, key: Key<'_>, output: Vec<u8>) {
    match output.len() {
        0 => {
            db.remove(key, "del");
        }
        len if len < BLOB_MIN => db.set(key, Value::Raw(&output), Ttl::Clear, "set"),
        _ => db.set(key, Value::Blob(Arc::new(output)), Ttl::Clear, "set"),
    }
}
