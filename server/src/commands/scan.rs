//! SCAN: the keyspace in pieces, whatever happens in between.
//!
//! ```text
//!  cursor   52      46 45                                        0
//!          ┌──────────┬───────────────────────────────────────────┐
//!          │ cell     │ where the scan stands in the cell's table │   below 2^53: clients keep cursors in doubles
//!          └──────────┴───────────────────────────────────────────┘
//! ```
//! The cursor is all there is to remember. A call needs only the cell that its cursor points into. One at the beginning of a
//! cell takes them all, and goes on through the next ones as long as it has found less than it was asked for: a small
//! keyspace is scanned in one call, however many cells it lies in.

use ostraka_datatypes::glob::Pattern;
use ostraka_datatypes::raw::entry::Entry;

use super::collection_scan::{self, COUNT};
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;

pub static ROWS: &[&Command] = &[&SCAN];

const POSITION_BITS: u32 = 46;

/// A place in the keyspace.
#[derive(Clone, Copy)]
struct Cursor {
    cell: usize,
    position: u64,
}

impl Cursor {
    /// What a client sent back, whether or not such a place exists.
    fn parse(text: &[u8]) -> Result<Self, Fault> {
        let number = collection_scan::parse_cursor(text)?;
        Ok(Self {
            cell: (number >> POSITION_BITS) as usize,
            position: number & ((1 << POSITION_BITS) - 1),
        })
    }

    fn number(self) -> u64 {
        (self.cell as u64) << POSITION_BITS | self.position
    }
}

fn scan_reach(args: Args<'_>) -> Reach {
    match Cursor::parse(args.at(1)) {
        Ok(Cursor { position: 0, .. }) => Reach::All,
        Ok(Cursor { cell, .. }) if cell < args.cells() => Reach::Cell(cell as u8),
        _ => Reach::None,
    }
}

command! { SCAN =
    name: "scan", run: scan, arity: -2, flags: READONLY | TOUCHES_ARBITRARY_KEYS, route: Route::Custom(scan_reach),
    categories: KEYSPACE, group: Group::Generic, since: "2.8.0",
    complexity: "O(1) for every call. O(N) for a complete iteration, including enough command \
        calls for the cursor to return back to 0. N is the number of elements inside the \
        collection.",
    summary: "Iterates over the key names in the database.",
    syntax: "cursor<integer> [MATCH pattern<pattern>] [COUNT count<integer>] \
        [TYPE type<string>@6.0.0]",
    tips: &["nondeterministic_output", "request_policy:special", "response_policy:special"],
    history: &[("6.0.0", "Added the `TYPE` subcommand.")],
}

/// Which entries are wanted, and how many.
struct Options<'a> {
    count: usize,
    pattern: Pattern<'a>,
    kind: Option<&'a [u8]>,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Fault> {
        let mut options = Self {
            count: COUNT,
            pattern: Pattern::new(b"*"),
            kind: None,
        };
        for at in (2..args.len()).step_by(2) {
            let operand = args.get(at + 1).ok_or(Fault::Syntax)?;
            match () {
                () if args.is(at, "COUNT") => options.count = collection_scan::count(args, at + 1)?,
                () if args.is(at, "MATCH") => options.pattern = Pattern::new(operand),
                () if args.is(at, "TYPE") => options.kind = Some(operand),
                () => return Err(Fault::Syntax),
            }
        }
        Ok(options)
    }

    fn want(&self, entry: &Entry) -> bool {
        let of_kind = |kind: &[u8]| kind.eq_ignore_ascii_case(entry.kind().name().as_bytes());
        self.pattern.matches(entry.key()) && self.kind.is_none_or(of_kind)
    }
}

fn scan(c: &mut Call<'_>) -> Outcome {
    let mut cursor = Cursor::parse(c.args.at(1))?;
    let options = Options::parse(c.args)?;
    let (held, now_ms) = (c.db.held(), c.db.now_ms() as u64);
    let (mut seen, mut expired, mut wanted) = (0, Vec::new(), Vec::new());
    while held.contains(cursor.cell) {
        let left = options.count - seen;
        let db = c.db.share(cursor.cell);
        cursor.position = db.scan(cursor.position, left, |entry| {
            seen += 1;
            if entry.deadline().is_some_and(|deadline| deadline <= now_ms) {
                expired.push(entry.key().to_vec());
            } else if options.want(&entry) {
                wanted.push(entry.key().to_vec());
            }
        });
        if cursor.position == 0 {
            cursor.cell += 1;
        }
        if cursor.position != 0 || seen >= options.count {
            break;
        }
    }
    // An expired key that is met goes, as if it had been asked for.
    for name in expired {
        c.db.exists(c.server.router.key(&name));
    }
    let ended = cursor.cell >= c.server.router.cells();
    c.reply.array(2);
    c.reply
        .bulk_integer(if ended { 0 } else { cursor.number() as i64 });
    c.reply.array(wanted.len());
    for name in wanted {
        c.reply.bulk(&name);
    }
    Ok(())
}
