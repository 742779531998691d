//! Long work in slices: a command that would hold up everybody leaves the rest of itself to its loop.
//!
//! ```text
//!  command, cells held          loop, no cell held           loop, cells taken by trying
//!  freeze what is read    ─▶    step, step, step ...   ─▶    finish: store the result
//!  mark what is written                                      unmark
//! ```
//! What is read is frozen: a large collection does not change in place while a job refers to it
//! ([`Keyspace::freeze`]). What will be written is *pending* from the moment of the command: commands that name such a
//! key are tried again when it is over, so nobody sees a later input beside the old result. The command's moment is
//! therefore when it left its job, and its effect is whole or not there.
//!
//! What a job looks up in other keys it reads between two steps ([`Work::look`]), through keepers that it has left in the
//! cells at its moment ([`Table::begin_keeping`](ostraka_datatypes::raw::table::Table::begin_keeping)).
//!
//! To change a large collection itself in slices, a command takes it out of its entry
//! ([`Entry::take_large`](ostraka_datatypes::raw::entry::Entry::take_large)), leaves the key pending, and its job puts
//! the collection back.

use std::sync::{Mutex, PoisonError};

use ostraka_datatypes::resp::{Output, Protocol, Reply};

use crate::blocking;
use crate::call::{Call, Fault, Outcome};
use crate::command::flag::EXECUTES_QUEUE;
use crate::command::keys::keys_of;
use crate::command::{Command, Reach};
use crate::executor::{Executor, SLICE_NS};
use crate::keyspace::Keyspace;
use crate::os::clock::Clock;
use crate::server::{Access, Server, gate};
use crate::shards::CellSet;
use crate::task::Job;
use crate::{call::Args, server::Shard};

/// Elements that are worked on at once, whatever they are: some 50 µs.
pub const AT_ONCE: usize = 1000;

/// Elements between two looks at the clock.
const LOOK_EVERY: usize = 128;

/// Work over frozen collections.
pub trait Work: Send {
    /// Reads from the keyspace what the next step needs, taking cells by trying. `false`: not all of it could be had; ask
    /// again.
    fn look(&mut self, _exec: &mut Executor) -> bool {
        true
    }

    /// Works until it is through (`true`) or the budget is spent, and writes of the reply what it can.
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool;

    /// Stores what the work came to. The cells of the pending keys are held.
    fn finish(&mut self, _db: &mut Keyspace<'_>, _reply: &mut Reply<'_>) -> Outcome {
        Ok(())
    }

    /// Gives back what it has left in cells, taken by trying; then there are no more steps. `false`: not all of it could be
    /// had; ask again.
    fn give_back(&mut self, _exec: &mut Executor) -> bool {
        true
    }
}

/// What a step may spend.
pub struct Budget<'a> {
    left: usize,
    /// Without a clock there is no end.
    clock: Option<(&'a Clock, u64)>,
}

impl<'a> Budget<'a> {
    pub fn unlimited() -> Self {
        Self {
            left: usize::MAX,
            clock: None,
        }
    }

    fn slice(clock: &'a Clock) -> Self {
        let until_ns = clock.monotonic_ns() + SLICE_NS;
        Self {
            left: LOOK_EVERY,
            clock: Some((clock, until_ns)),
        }
    }

    /// Spends for `elements` elements. `false`: it is time to stop.
    #[inline]
    pub fn spend(&mut self, elements: usize) -> bool {
        if elements < self.left {
            self.left -= elements;
            return true;
        }
        self.look()
    }

    /// Has a part done again and again, each of about [`AT_ONCE`] elements, until one was the last (`true`) or it is time to
    /// stop.
    pub fn repeat(&mut self, mut part: impl FnMut() -> bool) -> bool {
        loop {
            if part() {
                return true;
            }
            if !self.spend(AT_ONCE) {
                return false;
            }
        }
    }

    #[cold]
    fn look(&mut self) -> bool {
        self.left = LOOK_EVERY;
        match self.clock {
            Some((clock, until_ns)) => clock.monotonic_ns() < until_ns,
            None => true,
        }
    }
}

impl Call<'_> {
    /// Does `work`, which is over about `elements` elements: at once if these are few or if the caller cannot wait, else
    /// in slices. Arguments `pending` are keys that it will write in the end.
    pub fn in_slices(
        &mut self,
        elements: usize,
        pending: &[usize],
        mut work: impl Work + 'static,
    ) -> Outcome {
        if elements <= AT_ONCE || self.session.atomic {
            work.step(&mut self.reply, &mut Budget::unlimited());
            return work.finish(&mut self.db, &mut self.reply);
        }
        let pending: Vec<Pending> = pending
            .iter()
            .map(|&index| self.args.at(index).into())
            .collect();
        let router = self.server.router;
        let mut need = CellSet::EMPTY;
        for key in &pending {
            let cell = router.cell(key);
            need.insert(cell);
            self.db.shard(cell).pending.push(key.clone());
        }
        self.server.long_work.begin(self.server, pending.len());
        let mut output = Output::new();
        output.set_limit(self.db.exec.output_limit());
        *self.job = Some(Box::new(SlicedJob {
            work: Some(Box::new(work)),
            output,
            protocol: self.reply.protocol(),
            db: self.db.db(),
            pending,
            need,
        }));
        Ok(())
    }
}

/// A key that somebody's long work will write. In whichever database: COPY and MOVE reach from one into another, and one
/// wait too many does no harm.
pub type Pending = Box<[u8]>;

/// How many keys are pending; the gate is raised while there are any.
#[derive(Default)]
pub struct LongWork(Mutex<usize>);

impl LongWork {
    fn begin(&self, server: &Server, keys: usize) {
        self.change(server, |count| count + keys);
    }

    fn end(&self, server: &Server, keys: usize) {
        self.change(server, |count| count - keys);
    }

    /// Counter and gate change together, whoever else is about to change them.
    fn change(&self, server: &Server, change: impl FnOnce(usize) -> usize) {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *count = change(*count);
        if *count > 0 {
            server.raise(gate::PENDING);
        } else {
            server.lower(gate::PENDING);
        }
    }
}

/// Whether a command names a key that is pending, or may reach one unnamed.
#[cold]
pub fn is_pending(
    server: &Server,
    access: &Access<'_>,
    command: &'static Command,
    args: Args<'_>,
) -> bool {
    let has = |shard: &Shard, key: &[u8]| shard.pending.iter().any(|pending| **pending == *key);
    match command.reach(args) {
        Reach::None | Reach::Cell(_) => false,
        Reach::Transaction if !command.is(EXECUTES_QUEUE) => false,
        Reach::All | Reach::Transaction => access
            .set()
            .iter()
            .any(|cell| !access.peek(cell).pending.is_empty()),
        Reach::Keys => keys_of(command, args).any(|key| {
            let Ok(at) = key else { return false };
            let key = args.at(at.index);
            has(access.peek(server.router.cell(key)), key)
        }),
    }
}

/// Long work under way on its loop.
struct SlicedJob {
    /// `None` once it is through.
    work: Option<Box<dyn Work>>,
    output: Output,
    protocol: Protocol,
    db: usize,
    pending: Vec<Pending>,
    need: CellSet,
}

impl SlicedJob {
    /// Stores the result and opens the pending keys. `false`: their cells are busy.
    fn finish(&mut self, exec: &mut Executor, work: &mut dyn Work) -> bool {
        let server = exec.server;
        let Some(mut held) = server.cells.try_take(self.need, exec) else {
            return false;
        };
        exec.begin_batch();
        let mut access = held.access();
        for key in self.pending.drain(..) {
            let marks = &mut access.data(server.router.cell(&key)).pending;
            let at = marks.iter().position(|other| *other == key);
            marks.swap_remove(at.expect("a pending key stays marked until its work is through"));
            server.long_work.end(server, 1);
        }
        let before = self.output.mark();
        let mut db = Keyspace::of_job(access, exec, self.db);
        let outcome = work.finish(&mut db, &mut Reply::new(&mut self.output, self.protocol));
        if let Err(fault) = outcome {
            self.fail(before, &fault);
        }
        if !exec.ready.is_empty() {
            blocking::serve(exec, &mut held.access());
        }
        held.release(exec);
        true
    }

    /// Ends work that nobody needs. `false`: it has left something in cells that are busy.
    fn give_up(&mut self, exec: &mut Executor, mut work: Box<dyn Work>) -> bool {
        if !work.give_back(exec) {
            self.work = Some(work);
            return false;
        }
        exec.free_later(1, Box::new(work));
        true
    }

    fn fail(&mut self, before: ostraka_datatypes::resp::Mark, fault: &Fault) {
        self.output.rollback(before);
        Reply::new(&mut self.output, self.protocol).error(fault.text());
    }
}

impl Job for SlicedJob {
    fn step(&mut self, exec: &mut Executor) -> bool {
        let Some(mut work) = self.work.take() else {
            return true;
        };
        if self.output.is_over() && self.pending.is_empty() {
            // The client is closed before it gets any of the reply.
            return self.give_up(exec, work);
        }
        let mut reply = Reply::new(&mut self.output, self.protocol);
        let through = work.look(exec) && work.step(&mut reply, &mut Budget::slice(&exec.clock));
        if !through || !work.give_back(exec) || !self.finish(exec, &mut *work) {
            self.work = Some(work);
            return false;
        }
        // It may hold the last reference to what has been deleted meanwhile.
        exec.free_later(1, Box::new(work));
        true
    }

    fn reply(&mut self, reply: &mut Reply<'_>) {
        reply.append(std::mem::take(&mut self.output));
    }

    /// Work that nobody will hear of is given up, unless it changes something.
    fn abandon(&mut self, exec: &mut Executor) -> bool {
        if !self.pending.is_empty() {
            return self.step(exec);
        }
        match self.work.take() {
            Some(work) => self.give_up(exec, work),
            None => true,
        }
    }
}
