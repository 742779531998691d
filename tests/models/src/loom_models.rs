//! Small worlds of two or three threads that loom goes through exhaustively. The data of a cell counts the tasks that
//! ran on it; every access is checked to happen after all earlier ones, and in the end no task may be missing.

use std::mem;

use loom::sync::Arc;
use loom::thread::{self, JoinHandle, Thread};

use super::cell::{Access, Cells, Executor};
use super::cell_set::CellSet;
use super::mailbox::Mailbox;

/// Whom to answer.
type Task = Option<Arc<Sleeper>>;
type World = Cells<u32, Task>;

#[derive(Debug, PartialEq)]
enum Mail {
    Done,
    Drain(usize),
}

/// A thread with a mailbox, and how to wake it.
struct Sleeper {
    mailbox: Mailbox<Mail>,
    thread: Thread,
}

impl Sleeper {
    fn me() -> Arc<Sleeper> {
        Arc::new(Sleeper {
            mailbox: Mailbox::new(),
            thread: thread::current(),
        })
    }

    /// Sleeps until there is mail.
    fn next_mail(&self) -> Vec<Mail> {
        let mut mail = vec![];
        while mail.is_empty() {
            if self.mailbox.before_sleep() {
                thread::park();
            }
            self.mailbox.take(&mut mail);
        }
        mail
    }
}

#[derive(Default)]
struct Runner {
    /// Whom to wake once all cells are down.
    wake: Vec<Arc<Sleeper>>,
    /// Owns all cells in a world where drains end after one job.
    owner: Option<Arc<Sleeper>>,
}

impl Runner {
    fn with_owner(owner: &Arc<Sleeper>) -> Runner {
        Runner {
            wake: vec![],
            owner: Some(owner.clone()),
        }
    }

    fn post(&mut self, to: Arc<Sleeper>, mail: Mail) {
        if to.mailbox.post(mail) {
            self.wake.push(to);
        }
    }

    fn wake_all(&mut self) {
        mem::take(&mut self.wake)
            .iter()
            .for_each(|sleeper| sleeper.thread.unpark());
    }
}

impl Executor<u32, Task> for Runner {
    fn run(&mut self, access: &mut Access<'_, u32, Task>, task: Task) {
        access.iter_mut().for_each(|(_, count)| *count += 1);
        if let Some(sender) = task {
            self.post(sender, Mail::Done);
        }
    }

    fn hand_over(&mut self, cell: usize) {
        let owner = self
            .owner
            .clone()
            .expect("this executor is never exhausted");
        self.post(owner, Mail::Drain(cell));
    }

    fn exhausted(&mut self) -> bool {
        self.owner.is_some()
    }
}

fn set<const N: usize>(cells: [usize; N]) -> CellSet {
    cells.into_iter().collect()
}

/// One task, the way a loop does it. Returns when the task is done or in an inbox.
fn request(world: &World, need: CellSet, task: Task, runner: &mut Runner) {
    match world.try_take(need, runner) {
        Some(mut held) => {
            runner.run(&mut held.access(), task);
            held.release(runner);
        }
        None => world.submit(need, CellSet::EMPTY, task, runner),
    }
    runner.wake_all();
}

/// A thread that asks for each of `needs` without waiting for an answer.
fn requester<const N: usize>(world: &Arc<World>, needs: [CellSet; N]) -> JoinHandle<()> {
    let world = world.clone();
    thread::spawn(move || {
        needs
            .into_iter()
            .for_each(|need| request(&world, need, None, &mut Runner::default()))
    })
}

fn join<const N: usize>(threads: [JoinHandle<()>; N]) {
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
}

fn expect_counts<const N: usize>(world: &World, expected: [u32; N]) {
    let runner = &mut Runner::default();
    let mut held = world
        .try_take(world.all(), runner)
        .expect("a cell is still held, or its inbox not empty");
    let counts: Vec<u32> = held.access().iter_mut().map(|(_, count)| *count).collect();
    held.release(runner);
    assert_eq!(counts, expected, "a task was lost or ran twice");
}

/// Checks all executions, or those in which a thread is preempted at most so many times.
fn check(preemptions: Option<usize>, model: fn()) {
    let mut checker = loom::model::Builder::new();
    checker.preemption_bound = preemptions.map(|bound| bound + crate::effort() - 1);
    checker.max_branches = 20_000;
    checker.check(model);
}

pub fn one_cell_two_threads_with_two_tasks_each() {
    check(Some(5), || {
        let world = Arc::new(World::new([0], 0));
        let other = requester(&world, [set([0]), set([0])]);
        let runner = &mut Runner::default();
        request(&world, set([0]), None, runner);
        request(&world, set([0]), None, runner);
        join([other]);
        expect_counts(&world, [4]);
    });
}

pub fn one_cell_three_threads() {
    check(Some(3), || {
        let world = Arc::new(World::new([0], 0));
        let others = [(); 2].map(|()| requester(&world, [set([0])]));
        request(&world, set([0]), None, &mut Runner::default());
        join(others);
        expect_counts(&world, [3]);
    });
}

pub fn two_cells_two_tasks_for_both() {
    check(None, || {
        let world = Arc::new(World::new([0, 0], 0));
        let other = requester(&world, [set([0, 1])]);
        request(&world, set([0, 1]), None, &mut Runner::default());
        join([other]);
        expect_counts(&world, [2, 2]);
    });
}

pub fn two_cells_one_task_for_both_and_one_for_each() {
    check(Some(4), || {
        let world = Arc::new(World::new([0, 0], 0));
        let others = [0, 1].map(|i| requester(&world, [set([i])]));
        request(&world, set([0, 1]), None, &mut Runner::default());
        join(others);
        expect_counts(&world, [2, 2]);
    });
}

pub fn two_cells_two_tasks_for_both_and_one_for_the_upper() {
    check(Some(2), || {
        let world = Arc::new(World::new([0, 0], 0));
        let others = [set([0, 1]), set([1])].map(|need| requester(&world, [need]));
        request(&world, set([0, 1]), None, &mut Runner::default());
        join(others);
        expect_counts(&world, [2, 3]);
    });
}

pub fn a_mailbox_with_one_sleeper_and_two_posters() {
    check(None, || {
        let me = Sleeper::me();
        let posters = [(); 2].map(|()| {
            let me = me.clone();
            thread::spawn(move || {
                let mut runner = Runner::default();
                runner.post(me, Mail::Done);
                runner.wake_all();
            })
        });
        let mut received = 0;
        while received < 2 {
            received += me.next_mail().len();
        }
        join(posters);
    });
}

pub fn a_sleeper_gets_the_reply_of_a_task_that_another_thread_ran() {
    check(None, || {
        let world = Arc::new(World::new([0], 0));
        let other = requester(&world, [set([0])]);
        let me = Sleeper::me();
        request(&world, set([0]), Some(me.clone()), &mut Runner::default());
        assert_eq!(me.next_mail(), [Mail::Done]);
        join([other]);
        expect_counts(&world, [2]);
    });
}

pub fn the_owner_drains_what_is_handed_over() {
    check(Some(3), || {
        let world = Arc::new(World::new([0], 0));
        let me = Sleeper::me();
        let ask_twice = |world: &World, me: &Arc<Sleeper>| {
            let runner = &mut Runner::with_owner(me);
            (0..2).for_each(|_| request(world, set([0]), Some(me.clone()), runner));
        };
        let other = {
            let (world, me) = (world.clone(), me.clone());
            thread::spawn(move || ask_twice(&world, &me))
        };
        ask_twice(&world, &me);
        let mut done = 0;
        while done < 4 {
            done += serve(&world, &me, me.next_mail());
        }
        join([other]);
        // A hand-over of a cell whose inbox was empty by then, because its last job was announced late.
        let mut late = vec![];
        me.mailbox.take(&mut late);
        serve(&world, &me, late);
        expect_counts(&world, [4]);
    });
}

/// What the owner of all cells does with its mail. Returns how many tasks were done.
fn serve(world: &World, owner: &Arc<Sleeper>, mail: Vec<Mail>) -> usize {
    let mut done = 0;
    for message in mail {
        match message {
            Mail::Done => done += 1,
            Mail::Drain(cell) => world.drain(cell, &mut Runner::with_owner(owner)),
        }
    }
    done
}
