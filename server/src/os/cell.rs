//! Cells: the unit of data that one thread at a time executes on, and how a task gets to the cells that it needs
//! without any thread ever waiting for one. A thread that needs cells takes them if they are free and executes
//! right there. If one is busy, it leaves the task in that cell's inbox, and whoever holds the cell executes the task
//! before putting the cell down. Nobody is woken, nobody blocks. What lives in a cell (`D`) and what a task is (`T`)
//! is none of this file's business; it must never block, wake a thread or know of a loop.
//!
//! # States of a cell
//! One word on its own two cache lines: HELD (somebody executes here) and PEND (the inbox wants to be looked at).
//! ```text
//!          1 take                 2 announce                  5 hand over
//!   FREE ──────────▶ HELD ─────────────────────▶ HELD|PEND ─────────────────▶ PEND
//!     │  ◀──────────      ◀─────────────────────  ▲  │  ▲  ◀─────────────────
//!     │    3 put down            4 clear          │  └──┘       2 announce
//!     └───────────────────────────────────────────┘  2 announce
//!                      2 announce
//! ```
//! 1. *take*: CAS FREE → HELD. Whoever finds HELD or PEND is turned away: a newcomer does not overtake a waiting task.
//! 2. *announce*: a job was put into the inbox; `fetch_or(HELD|PEND)`. If HELD was set, its holder has to see PEND
//!    (3 fails). If not, the announcer holds the cell now, and drains it.
//! 3. *put down*: CAS HELD → FREE. It fails if and only if PEND is set.
//! 4. *clear*: the holder found the inbox empty, *while it locks it*. A job that arrives later is announced later.
//! 5. *hand over*: a holder that has drained enough leaves HELD|PEND → PEND and only *then* asks the cell's owner to
//!    drain it (`Executor::hand_over`). Whoever announces meanwhile takes the cell over from it.
//!
//! # Jobs
//! A job is a task, the cells that it needs, those that it has got, and those that it could use besides. Needed cells
//! are taken in ascending order; at the first busy one the job goes into *that* inbox and the cells it has got stay
//! HELD: they are *lent* to the job and no thread holds them. Whoever drains that inbox adds its cell to those the job
//! has got and goes on with the next: it gives away what it holds itself and takes what is free. With the last one the
//! job becomes a task that runs, and its cells become the runner's, to be put down. Of the cells that the task could
//! use it gets those that can be had at that moment; it never waits for them, and does only as much as it can with them.
//!
//! # Invariants
//! 1. While a cell is HELD, exactly one thread (a `Held`) or one waiting job has got it. Only that thread touches the
//!    data, for a waiting job nobody.
//! 2. An inbox with a job in it implies PEND, or that none of its jobs has been announced yet (each will be).
//! 3. PEND implies HELD, or a hand-over whose message is under way. With 2: no job is ever forgotten.
//! 4. A job waits only for a cell above all those lent to it, and no thread waits: no deadlock.
//! 5. A cell's jobs leave its inbox in the order in which they arrived.
//!
//! All decisions are read-modify-writes on one word per cell, so none needs SeqCst: either 3 comes first, and the
//! announcer finds the cell free; or 2 comes first, and 3 fails. Data travels from 3 and 5 (Release) to 1 and 2
//! (Acquire), and with a lent cell through the mutex of the inbox that its job waits in. The models in `tests/models`
//! check all of this with loom and shuttle, and that they find each of the bugs that one would write here.
//!
//! # Convoys, livelocks, fairness
//! A lent cell stops everyone who needs it, for as long as its job waits for a higher one. So several cells are first
//! taken by trying (`try_take`: all, or none), then tried for once more, and only then lent (`submit`). A thread that
//! fails has its task queued, so each failure ends in an execution by someone and there is nothing to live-lock on.
//! A drain ends after `DRAIN_LIMIT` jobs or when the executor is exhausted, but not before its first job: a
//! hand-over that goes round in circles still gets work done.
#![allow(unsafe_code)]

use std::collections::VecDeque;
use std::marker::PhantomData;

use super::cell_set::{CellSet, MAX_CELLS};
use super::sync::{AtomicU32, Mutex, Ordering, UnsafeCell, abort, spin_loop};

const FREE: u32 = 0;
const HELD: u32 = 1;
const PEND: u32 = 2;

/// Jobs that a thread executes for others when it puts its cells down, before it hands the rest to the owners.
const DRAIN_LIMIT: u32 = 64;

/// Runs the tasks that a thread finds in the inboxes of the cells it puts down. They can be any connection's tasks:
/// the reply is posted to the mailbox of the loop that sent the task, and that loop is woken when the cells are down.
pub trait Executor<D, T> {
    /// Executes `task`. `access` is to all cells that it needs and those of its wishes that could be had. Must not take
    /// cells.
    fn run(&mut self, access: &mut Access<'_, D, T>, task: T);

    /// Asks the owner of `cell` to call `Cells::drain` on it soon. The cell is down already.
    fn hand_over(&mut self, cell: usize);

    /// True if this thread should stop draining (its time is up); asked between two jobs.
    fn exhausted(&mut self) -> bool;
}

/// All cells of a server.
pub struct Cells<D, T> {
    cells: Box<[Cell<D, T>]>,
    all: CellSet,
    spin: u32,
}

impl<D, T> Cells<D, T> {
    /// One cell for each element of `data`, at most 128. `spin` is how many pauses `try_take` waits for a busy cell:
    /// a few if there are as many cores as threads, else 0, since the holder may not be running.
    pub fn new(data: impl IntoIterator<Item = D>, spin: u32) -> Cells<D, T> {
        let cells: Box<[Cell<D, T>]> = data.into_iter().map(Cell::new).collect();
        assert!(
            (1..=MAX_CELLS).contains(&cells.len()),
            "1 to {MAX_CELLS} cells, not {}",
            cells.len()
        );
        Cells {
            all: CellSet::all(cells.len()),
            cells,
            spin,
        }
    }

    pub fn all(&self) -> CellSet {
        self.all
    }

    /// Takes all cells of `set`, or none. What is waiting at those that have to be put down again runs on `exec`.
    #[inline]
    #[must_use = "cells that are taken have to be released"]
    pub fn try_take(
        &self,
        set: CellSet,
        exec: &mut (impl Executor<D, T> + ?Sized),
    ) -> Option<Held<'_, D, T>> {
        self.check(set);
        for i in set {
            if !self.cells[i].take_spinning(self.spin) {
                self.held(set.below(i)).release(exec);
                return None;
            }
        }
        Some(self.held(set))
    }

    /// Takes all cells of `need`, or none; and with them those of `wish` that happen to be free. Does not spin.
    #[must_use = "cells that are taken have to be released"]
    pub fn try_take_some(
        &self,
        need: CellSet,
        wish: CellSet,
        exec: &mut (impl Executor<D, T> + ?Sized),
    ) -> Option<Held<'_, D, T>> {
        self.check(need.union(wish));
        for i in need {
            if !self.cells[i].take() {
                self.held(need.below(i)).release(exec);
                return None;
            }
        }
        let mut held = self.held(need);
        held.wish_for(wish);
        Some(held)
    }

    /// Has `task` executed on the cells of `need`, and those of `wish` that can be had then: here and now if they can be
    /// taken by now, otherwise by another thread when it puts the cells down. For tasks whose `try_take` failed.
    /// Everything that the task's connection asked for earlier must be complete. When this returns, `exec.run` may
    /// have been called for it and for others' tasks.
    pub fn submit(
        &self,
        need: CellSet,
        wish: CellSet,
        task: T,
        exec: &mut (impl Executor<D, T> + ?Sized),
    ) {
        self.check(need.union(wish));
        assert!(
            !need.is_empty(),
            "a task without cells has no inbox to wait in"
        );
        let mut held = self.held(CellSet::EMPTY);
        held.proceed(
            Job {
                need,
                got: CellSet::EMPTY,
                wish,
                task,
            },
            exec,
        );
        held.release(exec);
    }

    /// What the owner of `cell` does when it is asked to by `Executor::hand_over`.
    pub fn drain(&self, cell: usize, exec: &mut (impl Executor<D, T> + ?Sized)) {
        if self.cells[cell].announce() {
            Held {
                cells: self,
                set: CellSet::single(cell),
                data: PhantomData,
            }
            .release(exec);
        }
    }

    /// Sums over all cells since the start. Locks every inbox for a moment.
    pub fn counts(&self) -> Counts {
        self.cells
            .iter()
            .map(|cell| cell.inbox.0.lock().expect(NO_PANIC).counts)
            .fold(Counts::default(), Counts::plus)
    }

    /// For cells that this thread has just taken.
    #[inline]
    fn held(&self, set: CellSet) -> Held<'_, D, T> {
        Held {
            cells: self,
            set,
            data: PhantomData,
        }
    }

    #[inline]
    fn check(&self, set: CellSet) {
        assert!(set.is_subset(self.all), "cells {set} of {}", self.all);
    }
}

/// The cells that this thread holds. They have to be put down by `release`, which may have work to do. To drop them
/// otherwise, by a panic above all, would stop everyone who needs them for ever, so that ends the process.
#[must_use = "cells that are taken have to be released"]
pub struct Held<'a, D, T> {
    cells: &'a Cells<D, T>,
    set: CellSet,
    data: PhantomData<&'a mut D>,
}

impl<'a, D, T> Held<'a, D, T> {
    pub fn set(&self) -> CellSet {
        self.set
    }

    /// Access to the data of all cells held.
    #[inline]
    pub fn access(&mut self) -> Access<'_, D, T> {
        self.access_to(self.set)
    }

    #[inline]
    fn access_to(&mut self, set: CellSet) -> Access<'_, D, T> {
        debug_assert!(set.is_subset(self.set));
        Access {
            cells: self.cells,
            set,
            data: PhantomData,
        }
    }

    /// Puts the cells down. Jobs that wait for them are executed on `exec` first, while all cells are still at hand.
    #[inline]
    pub fn release(mut self, exec: &mut (impl Executor<D, T> + ?Sized)) {
        if self.set.iter().any(|i| self.cells.cells[i].is_pending()) {
            return self.drain(exec);
        }
        for i in self.set {
            if !self.cells.cells[i].put_down() {
                self.set = self.set.minus(self.set.below(i));
                return self.drain(exec);
            }
        }
        self.set = CellSet::EMPTY;
    }

    #[cold]
    fn drain(mut self, exec: &mut (impl Executor<D, T> + ?Sized)) {
        let mut jobs = 0;
        while let Some(i) = self.next_to_put_down() {
            let cell = &self.cells.cells[i];
            if cell.put_down() {
                self.set.remove(i);
            } else if jobs >= DRAIN_LIMIT || jobs > 0 && exec.exhausted() {
                cell.leave_pending();
                exec.hand_over(i);
                self.set.remove(i);
            } else if let Some(mut job) = cell.next_job() {
                jobs += 1;
                job.got.insert(i);
                self.proceed(job, exec);
            }
        }
    }

    /// A cell that somebody waits for, if there is one: what waits can use the others as long as they are held.
    fn next_to_put_down(&self) -> Option<usize> {
        let pending = |i: &usize| self.cells.cells[*i].is_pending();
        self.set.iter().find(pending).or(self.set.lowest())
    }

    /// Gets the cells that `job` still needs. If it has them all, it runs, and they are this thread's; otherwise
    /// it waits for the first busy one, and all that it has got is lent to it.
    fn proceed(&mut self, mut job: Job<T>, exec: &mut (impl Executor<D, T> + ?Sized)) {
        for i in job.need.minus(job.got) {
            let cell = &self.cells.cells[i];
            if !self.set.contains(i) && !cell.take() {
                self.set = self.set.minus(job.got);
                if cell.publish(job) {
                    self.set.insert(i);
                }
                return;
            }
            job.got.insert(i);
        }
        self.set = self.set.union(job.need);
        let had = self.wish_for(job.wish);
        exec.run(&mut self.access_to(job.need.union(had)), job.task);
    }

    /// Takes those cells of `wish` that are free, and returns which of them this thread holds now.
    fn wish_for(&mut self, wish: CellSet) -> CellSet {
        for i in wish.minus(self.set) {
            if self.cells.cells[i].take() {
                self.set.insert(i);
            }
        }
        wish.intersection(self.set)
    }
}

impl<D, T> Drop for Held<'_, D, T> {
    #[inline]
    fn drop(&mut self) {
        if !self.set.is_empty() {
            die_holding(self.set);
        }
    }
}

/// Ends the process, with a panic first if this is not one already: its hook writes the crash report.
#[cold]
fn die_holding(set: CellSet) {
    struct AbortWhenDropped;
    impl Drop for AbortWhenDropped {
        fn drop(&mut self) {
            abort();
        }
    }
    let _abort = AbortWhenDropped;
    assert!(
        std::thread::panicking(),
        "cells {set} were dropped, not released"
    );
}

/// Access to the data of some cells, for as long as they are held.
pub struct Access<'h, D, T> {
    cells: &'h Cells<D, T>,
    set: CellSet,
    /// Sent and shared between threads as the data itself may be.
    data: PhantomData<&'h mut D>,
}

impl<D, T> Access<'_, D, T> {
    #[inline]
    pub fn set(&self) -> CellSet {
        self.set
    }

    /// The same access for a shorter time.
    #[inline]
    pub fn reborrow(&mut self) -> Access<'_, D, T> {
        Access {
            cells: self.cells,
            set: self.set,
            data: PhantomData,
        }
    }

    /// The data of cell `i`, which must be held.
    #[inline]
    pub fn data(&mut self, i: usize) -> &mut D {
        // SAFETY: `pointer` checks that this thread holds cell i (invariant 1), and `self` is borrowed mutably.
        unsafe { &mut *self.pointer(i) }
    }

    /// The data of cell `i` to look at, several cells' at a time.
    #[inline]
    pub fn peek(&self, i: usize) -> &D {
        // SAFETY: as in `data`; while `self` is shared only shared references to the data are handed out.
        unsafe { &*self.pointer(i) }
    }

    /// The data of two different cells.
    #[inline]
    pub fn pair(&mut self, i: usize, j: usize) -> (&mut D, &mut D) {
        assert_ne!(i, j, "the same cell twice");
        // SAFETY: as in `data`, and the two are different cells.
        unsafe { (&mut *self.pointer(i), &mut *self.pointer(j)) }
    }

    /// The data of all cells of the set, in ascending order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (usize, &mut D)> {
        // SAFETY: as in `data`, and a set yields each cell once.
        self.set
            .iter()
            .map(|i| (i, unsafe { &mut *self.pointer(i) }))
    }

    #[inline]
    fn pointer(&self, i: usize) -> *mut D {
        assert!(
            self.set.contains(i),
            "cell {i} is not among those held, {}",
            self.set
        );
        self.cells.cells[i].data.0.0.get()
    }
}

/// What happened at inboxes since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Jobs that went into an inbox because a cell was busy; a job may do so once for each cell it needs.
    pub parked: u64,
    /// Cells that were lent to a job when it went into an inbox.
    pub lent: u64,
    /// Jobs that a thread took out of an inbox.
    pub drained: u64,
    /// Cells that were left to their owner to drain.
    pub handed_over: u64,
}

impl Counts {
    fn plus(self, other: Counts) -> Counts {
        Counts {
            parked: self.parked + other.parked,
            lent: self.lent + other.lent,
            drained: self.drained + other.drained,
            handed_over: self.handed_over + other.handed_over,
        }
    }
}

struct Job<T> {
    need: CellSet,
    /// Cells that the job has got; while it waits in an inbox they are lent to it.
    got: CellSet,
    /// Cells that it is not going to wait for, but makes use of if it gets them.
    wish: CellSet,
    task: T,
}

struct Inbox<T> {
    jobs: VecDeque<Job<T>>,
    counts: Counts,
}

/// Two cache lines (they are fetched in pairs) that nothing else lives on.
#[repr(align(128))]
struct Line<V>(V);

struct Cell<D, T> {
    word: Line<AtomicU32>,
    inbox: Line<Mutex<Inbox<T>>>,
    data: Line<Data<D>>,
}

struct Data<D>(UnsafeCell<D>);

// SAFETY: the data is reached through an `Access` only, which exists once per held cell (invariant 1), so sharing
// the cell hands the data from one thread to another but never to two at a time: that takes `Send` and no more.
unsafe impl<D: Send> Sync for Data<D> {}

/// The transitions, by their numbers in the picture above.
impl<D, T> Cell<D, T> {
    fn new(data: D) -> Cell<D, T> {
        let inbox = Inbox {
            jobs: VecDeque::new(),
            counts: Counts::default(),
        };
        Cell {
            word: Line(AtomicU32::new(FREE)),
            inbox: Line(Mutex::new(inbox)),
            data: Line(Data(UnsafeCell::new(data))),
        }
    }

    /// 1. Looks before it writes, so that who is turned away leaves the line with its holder.
    #[inline]
    fn take(&self) -> bool {
        let word = &self.word.0;
        word.load(Ordering::Relaxed) == FREE
            && word
                .compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)
                .is_ok()
    }

    #[inline]
    fn take_spinning(&self, spin: u32) -> bool {
        self.take()
            || (0..spin).any(|_| {
                spin_loop();
                self.take()
            })
    }

    /// Puts `job` into the inbox. True: the cell turned out to be free, and this thread holds it now.
    fn publish(&self, job: Job<T>) -> bool {
        {
            let mut inbox = self.inbox.0.lock().expect(NO_PANIC);
            inbox.counts.parked += 1;
            inbox.counts.lent += job.got.len() as u64;
            inbox.jobs.push_back(job);
        }
        self.announce()
    }

    /// 2. True: nobody held the cell, and this thread does now. The job itself travels under the mutex: no Release.
    fn announce(&self) -> bool {
        self.word.0.fetch_or(HELD | PEND, Ordering::Acquire) & HELD == 0
    }

    /// Whether somebody waits for the cell, as far as this thread knows.
    #[inline]
    fn is_pending(&self) -> bool {
        self.word.0.load(Ordering::Relaxed) & PEND != 0
    }

    /// 3. False: PEND is set.
    #[inline]
    fn put_down(&self) -> bool {
        self.word
            .0
            .compare_exchange(HELD, FREE, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    /// The job that waits longest. None: there is none, and 4. The lock orders this before the announcement of whatever
    /// is pushed next, so that PEND is not cleared for a job that nobody looked at.
    fn next_job(&self) -> Option<Job<T>> {
        let mut inbox = self.inbox.0.lock().expect(NO_PANIC);
        let job = inbox.jobs.pop_front();
        match job {
            Some(_) => inbox.counts.drained += 1,
            None => {
                self.word.0.fetch_and(!PEND, Ordering::Relaxed);
            }
        }
        job
    }

    /// 5, after which the owner has to be told. PEND is set, or putting the cell down would have succeeded.
    fn leave_pending(&self) {
        self.word.0.fetch_and(!HELD, Ordering::Release);
        self.inbox.0.lock().expect(NO_PANIC).counts.handed_over += 1;
    }
}

const NO_PANIC: &str = "nothing panics while it locks an inbox";
