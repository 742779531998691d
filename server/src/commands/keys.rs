//! KEYS: the names of all keys that match, as of one moment, however many there are, without holding anybody up.
//!
//! A few keys are answered at once. Many are looked at through a view of each cell's table: the command begins the
//! views with all cells held, which is the moment that the reply is about, and its loop walks the tables afterwards,
//! one segment at a time, taking one cell at a time by trying. Whoever changes a segment first has it looked at by the
//! view's visitor before. Every cell gathers its own part of the reply; in the end the parts are joined, not copied.

use std::any::Any;
use std::collections::VecDeque;

use ostraka_datatypes::glob::Pattern;
use ostraka_datatypes::raw::entry::Entry;
use ostraka_datatypes::raw::table::{Elements, Progress, ViewId, Visitor};
use ostraka_datatypes::resp::{Output, Protocol, Reply};

use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::executor::{Executor, SLICE_NS};
use crate::server::DbId;
use crate::shards::CellSet;
use crate::task::Job;

pub static ROWS: &[&Command] = &[&KEYS];

/// Fewer keys than this, matching or not, are looked at while the command runs: some 50 µs.
const AT_ONCE: usize = 1000;

command! { KEYS =
    name: "keys", run: keys, arity: 2, flags: READONLY, route: Route::All,
    categories: KEYSPACE | DANGEROUS, group: Group::Generic, since: "1.0.0",
    complexity: "O(N) with N being the number of keys in the database, under the assumption that \
        the key names in the database and the given pattern have limited length.",
    summary: "Returns all key names that match a pattern.", syntax: "pattern<pattern>",
    tips: &["request_policy:all_shards", "nondeterministic_output_order"],
}

fn keys(c: &mut Call<'_>) -> Outcome {
    let text = c.args.at(1);
    if let Some(name) = Pattern::new(text).exact() {
        let found = c.db.exists(c.server.router.key(name));
        c.reply.array(found.into());
        if found {
            c.reply.bulk(name);
        }
        return Ok(());
    }
    let (held, now_ms) = (c.db.held(), c.db.now_ms() as u64);
    let limit = c.db.exec.output_limit();
    if c.db.len() < AT_ONCE || c.session.atomic {
        let mut part = Part::new(text, now_ms, limit);
        for cell in held {
            part.look(c.db.share(cell).iter());
        }
        c.reply.array(part.count);
        c.reply.append(part.names);
        return Ok(());
    }
    let db = c.db.db();
    let mut views = VecDeque::with_capacity(held.len());
    for cell in held {
        let (db, view) =
            c.db.shard(cell)
                .begin_view(db, Box::new(Part::new(text, now_ms, limit)));
        views.push_back(CellView { cell, db, view });
    }
    *c.job = Some(Box::new(KeysJob {
        views,
        count: 0,
        names: Vec::new(),
    }));
    Ok(())
}

/// What matches in one cell.
struct Part {
    pattern: Vec<u8>,
    /// The moment that the reply is about: what had expired by then is not there.
    now_ms: u64,
    count: usize,
    names: Output,
}

impl Part {
    fn new(pattern: &[u8], now_ms: u64, limit: usize) -> Self {
        let mut names = Output::new();
        names.set_limit(limit);
        Self {
            pattern: pattern.to_vec(),
            now_ms,
            count: 0,
            names,
        }
    }

    fn look<E: std::ops::Deref<Target = Entry>>(&mut self, entries: impl Iterator<Item = E>) {
        let pattern = Pattern::new(&self.pattern);
        // Bulk strings look the same in all versions of the protocol.
        let mut reply = Reply::new(&mut self.names, Protocol::Resp2);
        for entry in entries {
            let expired = entry
                .deadline()
                .is_some_and(|deadline| deadline <= self.now_ms);
            if !expired && pattern.matches(entry.key()) {
                reply.bulk(entry.key());
                self.count += 1;
            }
        }
    }
}

impl Visitor<Entry> for Part {
    fn visit(&mut self, entries: Elements<'_, Entry>) {
        self.look(entries);
    }
}

/// A view of one cell's table.
struct CellView {
    cell: usize,
    db: DbId,
    view: ViewId,
}

/// KEYS under way.
struct KeysJob {
    /// Those not finished yet; the first one is next.
    views: VecDeque<CellView>,
    count: usize,
    names: Vec<Output>,
}

impl KeysJob {
    /// Walks a segment of the next table, or ends its view if `give_up`. `false`: its cell is busy.
    fn advance(&mut self, exec: &mut Executor, give_up: bool) -> bool {
        let Some(&CellView { cell, db, view }) = self.views.front() else {
            return true;
        };
        let Some(mut held) = exec.server.cells.try_take(CellSet::single(cell), exec) else {
            self.views.rotate_left(1);
            return false;
        };
        let mut access = held.access();
        let shard = access.data(cell);
        let mut flushed = None;
        if give_up || shard.step_view((db, view)) == Progress::Done {
            let visitor;
            (visitor, flushed) = shard.end_view((db, view));
            self.views.pop_front();
            self.gather(visitor);
        }
        held.release(exec);
        if let Some(flushed) = flushed {
            exec.free_later(flushed.len(), Box::new(flushed));
        }
        true
    }

    fn gather(&mut self, visitor: Option<Box<dyn Visitor<Entry>>>) {
        let visitor: Box<dyn Any> = visitor.expect("only the job ends its views");
        let part: Box<Part> = visitor.downcast().expect("the visitor of a KEYS is a part");
        self.count += part.count;
        self.names.push(part.names);
    }

    /// Works until all views have ended (`true`), no cell can be had, or the slice is over.
    fn work(&mut self, exec: &mut Executor, give_up: bool) -> bool {
        let until_ns = exec.clock.monotonic_ns() + SLICE_NS;
        let mut busy = 0;
        while !self.views.is_empty() && busy < self.views.len() {
            busy = if self.advance(exec, give_up) {
                0
            } else {
                busy + 1
            };
            if exec.clock.monotonic_ns() >= until_ns {
                break;
            }
        }
        self.views.is_empty()
    }
}

impl Job for KeysJob {
    fn step(&mut self, exec: &mut Executor) -> bool {
        self.work(exec, false)
    }

    fn reply(&mut self, reply: &mut Reply<'_>) {
        reply.array(self.count);
        for names in self.names.drain(..) {
            reply.append(names);
        }
    }

    fn abandon(&mut self, exec: &mut Executor) -> bool {
        self.work(exec, true)
    }
}
