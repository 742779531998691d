//! Whole loops on random schedules: every thread is a loop that owns a cell, has connections with random commands for
//! random sets of cells, sleeps when it has nothing to do and drains what is handed over to it. A connection sends
//! its next command when the last one is answered.
//!
//! Every cell logs which commands ran on it. In the end the logs must be possible: each command once on each of its
//! cells, one connection's commands in the order sent, and commands that share cells in the same order on all of them.

use std::mem;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use shuttle::rand::{Rng, thread_rng};
use shuttle::sync::Arc;
use shuttle::thread::{self, Thread};

use super::cell::{Access, Cells, Counts, Executor};
use super::cell_set::CellSet;
use super::mailbox::Mailbox;

/// Which connection's which command, and what for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Command {
    connection: usize,
    number: usize,
    need: CellSet,
    /// Looked at only, if it is to be had.
    wish: CellSet,
}

#[derive(Clone, Copy)]
struct Size {
    loops: usize,
    cells: usize,
    connections: usize,
    /// Of one connection.
    commands: usize,
}

enum Mail {
    Answer(Command),
    Drain(usize),
    /// All connections of all loops have all their answers.
    Stop,
}

struct Loop {
    mailbox: Mailbox<Mail>,
    /// Set by the loop itself before it sleeps.
    thread: OnceLock<Thread>,
}

struct World {
    size: Size,
    cells: Cells<Vec<Command>, Command>,
    loops: Vec<Loop>,
    unanswered: AtomicUsize,
}

struct Runner<'w> {
    world: &'w World,
    /// Loops to be woken once all cells are down.
    wake: Vec<usize>,
}

impl Runner<'_> {
    fn post(&mut self, to: usize, mail: Mail) {
        if self.world.loops[to].mailbox.post(mail) {
            self.wake.push(to);
        }
    }

    fn wake_all(&mut self) {
        for sleeper in mem::take(&mut self.wake) {
            self.world.loops[sleeper]
                .thread
                .get()
                .expect("it sleeps")
                .unpark();
        }
    }
}

impl Executor<Vec<Command>, Command> for Runner<'_> {
    /// Lets the others go on in the midst of it, so that a second thread on the same cell would be noticed.
    fn run(&mut self, access: &mut Access<'_, Vec<Command>, Command>, command: Command) {
        assert!(command.need.is_subset(access.set()));
        assert!(access.set().is_subset(command.need.union(command.wish)));
        for i in access.set().minus(command.need) {
            let before = access.data(i).len();
            thread::yield_now();
            assert_eq!(access.data(i).len(), before, "two threads on cell {i}");
        }
        for i in command.need {
            let before = access.data(i).len();
            thread::yield_now();
            access.data(i).push(command);
            assert_eq!(access.data(i).len(), before + 1, "two threads on cell {i}");
        }
        self.post(
            command.connection % self.world.size.loops,
            Mail::Answer(command),
        );
    }

    fn hand_over(&mut self, cell: usize) {
        self.post(cell % self.world.size.loops, Mail::Drain(cell));
    }

    fn exhausted(&mut self) -> bool {
        thread_rng().gen_bool(0.5)
    }
}

fn send(world: &World, connection: usize, number: usize, runner: &mut Runner<'_>) {
    let some_cells = || {
        (0..world.size.cells)
            .filter(|_| thread_rng().gen_bool(0.5))
            .collect()
    };
    let need = match some_cells() {
        CellSet::EMPTY => world.cells.all(),
        need => need,
    };
    let wish = some_cells();
    let command = Command {
        connection,
        number,
        need,
        wish,
    };
    let taken = if thread_rng().gen_bool(0.5) {
        world.cells.try_take(need, runner)
    } else {
        world.cells.try_take_some(need, wish, runner)
    };
    match taken {
        Some(mut held) => {
            runner.run(&mut held.access(), command);
            held.release(runner);
        }
        None => world.cells.submit(need, wish, command, runner),
    }
    runner.wake_all();
}

/// The connections of loop `me` are `me`, `me + loops`, ...
fn run_loop(world: &World, me: usize) {
    let Size {
        loops,
        connections,
        commands,
        ..
    } = world.size;
    let mailbox = &world.loops[me].mailbox;
    let runner = &mut Runner {
        world,
        wake: vec![],
    };
    (me..connections)
        .step_by(loops)
        .for_each(|connection| send(world, connection, 0, runner));
    let mut mail = vec![];
    loop {
        if mailbox.before_sleep() {
            thread::park();
        }
        mailbox.take(&mut mail);
        for message in mail.drain(..) {
            match message {
                Mail::Stop => return,
                Mail::Drain(cell) => world.cells.drain(cell, runner),
                Mail::Answer(Command {
                    connection, number, ..
                }) => {
                    if number + 1 < commands {
                        send(world, connection, number + 1, runner);
                    }
                    if world.unanswered.fetch_sub(1, Ordering::Relaxed) == 1 {
                        (0..loops).for_each(|other| runner.post(other, Mail::Stop));
                    }
                }
            }
            runner.wake_all();
        }
    }
}

fn play(size: Size) -> Counts {
    let loops = (0..size.loops)
        .map(|_| Loop {
            mailbox: Mailbox::new(),
            thread: OnceLock::new(),
        })
        .collect();
    let cells = Cells::new(vec![vec![]; size.cells], 1);
    let unanswered = AtomicUsize::new(size.connections * size.commands);
    let world = Arc::new(World {
        size,
        cells,
        loops,
        unanswered,
    });
    let threads: Vec<_> = (0..size.loops)
        .map(|me| {
            let world = world.clone();
            thread::spawn(move || {
                world.loops[me]
                    .thread
                    .set(thread::current())
                    .expect("set once");
                run_loop(&world, me);
            })
        })
        .collect();
    threads
        .into_iter()
        .for_each(|thread| thread.join().unwrap());
    check_logs(&world);
    world.cells.counts()
}

fn check_logs(world: &World) {
    let runner = &mut Runner {
        world,
        wake: vec![],
    };
    // Cells that were handed over after their last job, which a stopped owner does not drain any more.
    (0..world.size.cells).for_each(|cell| world.cells.drain(cell, runner));
    let mut held = world
        .cells
        .try_take(world.cells.all(), runner)
        .expect("a cell is still held");
    let logs: Vec<Vec<Command>> = held
        .access()
        .iter_mut()
        .map(|(_, log)| log.clone())
        .collect();
    held.release(runner);

    let entries: usize = logs
        .iter()
        .flatten()
        .map(|command| command.need.len())
        .sum();
    let commands = world.size.connections * world.size.commands;
    let mut ran: Vec<Command> = vec![];
    for (i, log) in logs.iter().enumerate() {
        for (nth, command) in log.iter().enumerate() {
            assert!(command.need.contains(i));
            for later in &log[nth + 1..] {
                let same = later.connection == command.connection;
                assert!(
                    !same || later.number > command.number,
                    "{later:?} ran after {command:?}"
                );
                for other in later
                    .need
                    .iter()
                    .filter(|&other| command.need.contains(other))
                {
                    let position = |of: &Command| logs[other].iter().position(|entry| entry == of);
                    assert!(
                        position(command) < position(later),
                        "the cells {i} and {other} saw different orders"
                    );
                }
            }
            if !ran.contains(command) {
                ran.push(*command);
            }
        }
    }
    assert_eq!(ran.len(), commands, "a command was lost");
    let expected: usize = ran
        .iter()
        .map(|command| command.need.len() * command.need.len())
        .sum();
    assert_eq!(
        entries, expected,
        "a command did not run once on each of its cells"
    );
}

fn check(size: Size) {
    let schedules = 4_000 * crate::effort();
    let seen = std::sync::Arc::new([const { AtomicU64::new(0) }; 4]);
    let total = seen.clone();
    let play = move || {
        let Counts {
            parked,
            lent,
            drained,
            handed_over,
        } = play(size);
        for (total, count) in total.iter().zip([parked, lent, drained, handed_over]) {
            total.fetch_add(count, Ordering::Relaxed);
        }
    };
    shuttle::check_random(play.clone(), schedules);
    shuttle::check_pct(play, schedules, 3);
    let seen = seen.each_ref().map(|count| count.load(Ordering::Relaxed));
    assert!(
        !seen.contains(&0),
        "parked, lent, drained, handed over: {seen:?}"
    );
}

pub fn two_loops() {
    check(Size {
        loops: 2,
        cells: 2,
        connections: 3,
        commands: 2,
    });
}

pub fn three_loops() {
    check(Size {
        loops: 3,
        cells: 3,
        connections: 3,
        commands: 2,
    });
}

pub fn four_loops() {
    check(Size {
        loops: 4,
        cells: 3,
        connections: 6,
        commands: 2,
    });
}
