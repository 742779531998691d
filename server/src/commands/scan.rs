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
//!
//! A call that asks for many is carried on by its loop in slices: as the guarantee is about whole scans, it is as good as
//! several calls one after the other.

use ostraka_datatypes::db::Db;
use ostraka_datatypes::glob::Pattern;
use ostraka_datatypes::raw::entry::Entry;
use ostraka_datatypes::resp::{Output, Protocol, Reply};

use super::collection_scan::{self, COUNT};
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::executor::{Executor, SLICE_NS};
use crate::fault::Fault;
use crate::shards::CellSet;
use crate::slices::AT_ONCE;
use crate::task::Job;

pub static ROWS: &[&Command] = &[&SCAN];

const POSITION_BITS: u32 = 46;

/// Elements looked at between two looks at the clock.
const PER_LOOK: usize = 100;

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

/// Which entries are wanted, how many are still to be looked at, and the names of those found.
struct Search {
    left: usize,
    pattern: Vec<u8>,
    kind: Option<Vec<u8>>,
    now_ms: u64,
    found: usize,
    names: Output,
}

impl Search {
    fn parse(args: Args<'_>, now_ms: u64) -> Result<Self, Fault> {
        let mut search = Self {
            left: COUNT,
            pattern: b"*".to_vec(),
            kind: None,
            now_ms,
            found: 0,
            names: Output::new(),
        };
        for at in (2..args.len()).step_by(2) {
            let operand = args.get(at + 1).ok_or(Fault::Syntax)?;
            match () {
                () if args.is(at, "COUNT") => search.left = collection_scan::count(args, at + 1)?,
                () if args.is(at, "MATCH") => search.pattern = operand.to_vec(),
                () if args.is(at, "TYPE") => search.kind = Some(operand.to_vec()),
                () => return Err(Fault::Syntax),
            }
        }
        Ok(search)
    }

    /// Looks at about `count` entries from `position` on. Returns where to go on, 0 at the end. Expired entries that are
    /// met are named to `expired`.
    fn look(
        &mut self,
        db: &Db,
        position: u64,
        count: usize,
        mut expired: impl FnMut(&Entry),
    ) -> u64 {
        let pattern = Pattern::new(&self.pattern);
        // Bulk strings look the same in all versions of the protocol.
        let mut reply = Reply::new(&mut self.names, Protocol::Resp2);
        let (mut seen, mut found) = (0, 0);
        let next = db.scan(position, count, |entry| {
            seen += 1;
            let of_kind = |kind: &[u8]| kind.eq_ignore_ascii_case(entry.kind().name().as_bytes());
            if entry.deadline().is_some_and(|at| at <= self.now_ms) {
                expired(&entry);
            } else if pattern.matches(entry.key()) && self.kind.as_deref().is_none_or(of_kind) {
                reply.bulk(entry.key());
                found += 1;
            }
        });
        self.left = self.left.saturating_sub(seen);
        self.found += found;
        next
    }

    fn reply(&mut self, cursor: Cursor, cells: usize, reply: &mut Reply<'_>) {
        let ended = cursor.cell >= cells;
        reply.array(2);
        reply.bulk_integer(if ended { 0 } else { cursor.number() as i64 });
        reply.array(self.found);
        reply.append(std::mem::take(&mut self.names));
    }
}

fn scan(c: &mut Call<'_>) -> Outcome {
    let mut cursor = Cursor::parse(c.args.at(1))?;
    let mut search = Search::parse(c.args, c.db.now_ms() as u64)?;
    search.names.set_limit(c.db.exec.output_limit());
    let (held, cells, mut expired) = (c.db.held(), c.server.router.cells(), Vec::new());
    if search.left > AT_ONCE && held.contains(cursor.cell) && !c.session.atomic {
        *c.job = Some(Box::new(ScanJob {
            search,
            cursor,
            cells,
            db: c.db.db(),
        }));
        return Ok(());
    }
    while held.contains(cursor.cell) {
        let db = c.db.share(cursor.cell);
        let met = |entry: &Entry| expired.push(entry.key().to_vec());
        cursor.position = search.look(db, cursor.position, search.left, met);
        if cursor.position == 0 {
            cursor.cell += 1;
        }
        if cursor.position != 0 || search.left == 0 {
            break;
        }
    }
    // An expired key that is met goes, as if it had been asked for.
    for name in expired {
        c.db.exists(c.server.router.key(&name));
    }
    search.reply(cursor, cells, &mut c.reply);
    Ok(())
}

/// A SCAN under way that looks for many. Expired keys that it meets are left to active expiry.
struct ScanJob {
    search: Search,
    cursor: Cursor,
    cells: usize,
    db: usize,
}

impl ScanJob {
    /// Goes on in one cell until all is seen there or wanted, or the time is over. `false`: the cell is busy.
    fn advance(&mut self, exec: &mut Executor, until_ns: u64) -> bool {
        let cell = self.cursor.cell;
        let Some(mut held) = exec.server.cells.try_take(CellSet::single(cell), exec) else {
            return false;
        };
        let mut access = held.access();
        let db = access.data(cell).db(self.db);
        loop {
            let count = self.search.left.min(PER_LOOK);
            let next = self.search.look(db, self.cursor.position, count, |_| ());
            self.cursor.position = next;
            if next == 0 {
                self.cursor.cell += 1;
            }
            if next == 0 || self.search.left == 0 || exec.clock.monotonic_ns() >= until_ns {
                break;
            }
        }
        held.release(exec);
        true
    }

    fn is_done(&self) -> bool {
        self.search.left == 0 || self.cursor.cell >= self.cells
    }
}

impl Job for ScanJob {
    fn step(&mut self, exec: &mut Executor) -> bool {
        let until_ns = exec.clock.monotonic_ns() + SLICE_NS;
        while !self.is_done()
            && exec.clock.monotonic_ns() < until_ns
            && self.advance(exec, until_ns)
        {}
        self.is_done()
    }

    fn reply(&mut self, reply: &mut Reply<'_>) {
        self.search.reply(self.cursor, self.cells, reply);
    }

    fn abandon(&mut self, _exec: &mut Executor) -> bool {
        true
    }
}
