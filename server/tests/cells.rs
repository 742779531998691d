//! What one thread can see of cells, sets of cells and mailboxes. What several threads can do to each other is
//! checked by the models in `tests/models`.

use std::process::Command;

use ostraka_server::shards::mailbox::Mailbox;
use ostraka_server::shards::{Access, CellSet, Cells, Counts, Executor};

type Log = Vec<&'static str>;

/// Appends each task to the data of all its cells.
#[derive(Default)]
struct Appender {
    handed_over: Vec<usize>,
    stop_after: Option<usize>,
    run: usize,
}

impl Executor<Log, &'static str> for Appender {
    fn run(&mut self, access: &mut Access<'_, Log, &'static str>, task: &'static str) {
        self.run += 1;
        access.iter_mut().for_each(|(_, log)| log.push(task));
    }

    fn hand_over(&mut self, cell: usize) {
        self.handed_over.push(cell);
    }

    fn exhausted(&mut self) -> bool {
        self.stop_after.is_some_and(|limit| self.run >= limit)
    }
}

fn set(cells: &[usize]) -> CellSet {
    cells.iter().copied().collect()
}

fn three_cells() -> Cells<Log, &'static str> {
    Cells::new([vec![], vec![], vec![]], 0)
}

#[track_caller]
fn expect_logs(cells: &Cells<Log, &'static str>, expected: [&[&str]; 3]) {
    let exec = &mut Appender::default();
    let mut held = cells
        .try_take(cells.all(), exec)
        .expect("all cells are free");
    let access = held.access();
    let logs = [0, 1, 2].map(|i| access.peek(i).clone());
    held.release(exec);
    assert_eq!(logs, expected);
}

#[test]
fn a_task_for_free_cells_runs_at_once() {
    let (cells, exec) = (three_cells(), &mut Appender::default());
    cells.submit(set(&[0, 2]), CellSet::EMPTY, "a", exec);
    cells.submit(set(&[1]), CellSet::EMPTY, "b", exec);
    expect_logs(&cells, [&["a"], &["b"], &["a"]]);
    assert_eq!(cells.counts(), Counts::default());
}

#[test]
fn tasks_for_a_busy_cell_run_in_order_before_it_is_put_down() {
    let (cells, exec) = (three_cells(), &mut Appender::default());
    let mut held = cells.try_take(set(&[1]), exec).unwrap();
    cells.submit(set(&[1]), CellSet::EMPTY, "second", exec);
    cells.submit(set(&[1]), CellSet::EMPTY, "third", exec);
    held.access().data(1).push("first");
    held.release(exec);
    expect_logs(&cells, [&[], &["first", "second", "third"], &[]]);
    assert_eq!(
        cells.counts(),
        Counts {
            parked: 2,
            drained: 2,
            ..Counts::default()
        }
    );
}

#[test]
fn a_task_that_meets_a_busy_cell_keeps_the_lower_ones() {
    let (cells, exec) = (three_cells(), &mut Appender::default());
    let held = cells.try_take(set(&[2]), exec).unwrap();
    cells.submit(set(&[0, 1, 2]), CellSet::EMPTY, "all", exec);
    cells.submit(set(&[0]), CellSet::EMPTY, "late", exec);
    let lent = cells.try_take(set(&[1]), exec).is_none();
    let run = exec.run;
    held.release(exec);
    assert_eq!((lent, run), (true, 0));
    expect_logs(&cells, [&["all", "late"], &["all"], &["all"]]);
    assert_eq!(
        cells.counts(),
        Counts {
            parked: 2,
            lent: 2,
            drained: 2,
            ..Counts::default()
        }
    );
}

#[test]
fn a_task_waits_at_each_busy_cell_in_turn() {
    let (cells, exec) = (three_cells(), &mut Appender::default());
    let lower = cells.try_take(set(&[0]), exec).unwrap();
    let upper = cells.try_take(set(&[2]), exec).unwrap();
    cells.submit(set(&[0, 2]), CellSet::EMPTY, "both", exec);
    cells.submit(set(&[0]), CellSet::EMPTY, "behind it", exec);
    lower.release(exec);
    let run = exec.run;
    upper.release(exec);
    assert_eq!(run, 0, "it waits for cell 2, with cell 0 lent to it");
    expect_logs(&cells, [&["both", "behind it"], &[], &["both"]]);
}

#[test]
fn failing_to_take_a_set_leaves_nothing_taken() {
    let (cells, exec) = (three_cells(), &mut Appender::default());
    let held = cells.try_take(set(&[1]), exec).unwrap();
    let failed = cells.try_take(cells.all(), exec).is_none();
    let others = cells
        .try_take(set(&[0, 2]), exec)
        .map(|others| others.release(exec));
    held.release(exec);
    assert_eq!((failed, others), (true, Some(())));
    expect_logs(&cells, [&[], &[], &[]]);
}

#[test]
fn a_drain_ends_after_64_jobs_and_the_owner_goes_on() {
    let (cells, exec) = (three_cells(), &mut Appender::default());
    let held = cells.try_take(set(&[0]), exec).unwrap();
    (0..130).for_each(|_| cells.submit(set(&[0]), CellSet::EMPTY, "x", exec));
    held.release(exec);
    assert_eq!((exec.run, &exec.handed_over[..]), (64, &[0][..]));
    assert!(
        cells.try_take(set(&[0]), exec).is_none(),
        "a newcomer does not overtake those who wait"
    );
    cells.drain(0, exec);
    assert_eq!((exec.run, &exec.handed_over[..]), (128, &[0, 0][..]));
    cells.drain(0, exec);
    assert_eq!((exec.run, &exec.handed_over[..]), (130, &[0, 0][..]));
    cells.drain(0, exec);
    assert_eq!(
        cells.counts(),
        Counts {
            parked: 130,
            drained: 130,
            handed_over: 2,
            lent: 0
        }
    );
}

#[test]
fn an_exhausted_executor_runs_one_job_and_hands_over_every_cell_that_has_more() {
    let (cells, exec) = (
        three_cells(),
        &mut Appender {
            stop_after: Some(1),
            ..Appender::default()
        },
    );
    let held = cells.try_take(cells.all(), exec).unwrap();
    for (cell, task) in [(0, "a"), (0, "b"), (2, "c")] {
        cells.submit(set(&[cell]), CellSet::EMPTY, task, exec);
    }
    held.release(exec);
    assert_eq!((exec.run, &exec.handed_over[..]), (1, &[0, 2][..]));
    let owner = &mut Appender::default();
    cells.submit(
        set(&[0]),
        CellSet::EMPTY,
        "who comes after a hand-over takes it over",
        owner,
    );
    assert_eq!(owner.run, 2);
    cells.drain(0, owner);
    cells.drain(2, owner);
    expect_logs(
        &cells,
        [
            &["a", "b", "who comes after a hand-over takes it over"],
            &[],
            &["c"],
        ],
    );
}

/// Panics with the message that `misuse` does, after the cells 0 and 2 that it had have been put down.
fn with_cells_0_and_2(misuse: impl FnOnce(&mut Access<'_, Log, &'static str>)) {
    let (cells, exec) = (three_cells(), &mut Appender::default());
    let mut held = cells.try_take(set(&[0, 2]), exec).unwrap();
    let outcome =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| misuse(&mut held.access())));
    held.release(exec);
    std::panic::resume_unwind(outcome.unwrap_err());
}

#[test]
#[should_panic(expected = "cell 1 is not among those held, {0,2}")]
fn data_of_a_cell_that_is_not_held_is_out_of_reach() {
    with_cells_0_and_2(|access| access.data(1).clear());
}

#[test]
#[should_panic(expected = "the same cell twice")]
fn a_pair_is_two_cells() {
    with_cells_0_and_2(|access| {
        let (one, other) = access.pair(0, 2);
        std::mem::swap(one, other);
        access.pair(2, 2);
    });
}

/// Run in a process of its own by the test below.
#[test]
#[ignore = "ends the process"]
fn die_with_a_cell_held() {
    let cells = three_cells();
    let _held = cells.try_take(set(&[0]), &mut Appender::default());
    if std::env::var_os("PANIC").is_some() {
        panic!("some bug");
    }
}

#[test]
fn a_cell_that_is_dropped_while_held_ends_the_process() {
    for (panic, message) in [
        (true, "some bug"),
        (false, "cells {0} were dropped, not released"),
    ] {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child.args([
            "--exact",
            "--ignored",
            "--nocapture",
            "die_with_a_cell_held",
        ]);
        if panic {
            child.env("PANIC", "1");
        }
        let output = child.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(message), "{stderr}");
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        assert_eq!(signal, Some(6), "SIGABRT: {stderr}");
    }
}

#[test]
fn a_set_of_cells_behaves_like_a_sorted_set() {
    let some = set(&[127, 0, 64, 3]);
    assert_eq!(some.iter().collect::<Vec<_>>(), [0, 3, 64, 127]);
    assert_eq!(
        (some.to_string(), CellSet::EMPTY.to_string()),
        ("{0,3,64,127}".into(), "{}".into())
    );
    assert_eq!(
        (some.len(), some.lowest(), CellSet::EMPTY.lowest()),
        (4, Some(0), None)
    );
    assert!(some.contains(127) && !some.contains(1) && !some.contains(128));
    assert_eq!(
        some.minus(set(&[0, 5])).union(CellSet::single(1)),
        set(&[1, 3, 64, 127])
    );
    assert!(
        set(&[3]).is_subset(some)
            && !some.is_subset(set(&[3]))
            && CellSet::EMPTY.is_subset(CellSet::EMPTY)
    );
    assert_eq!(
        (some.below(64), some.below(0), some.below(127)),
        (set(&[0, 3]), set(&[]), set(&[0, 3, 64]))
    );
    for n in 0..=128 {
        assert_eq!(
            CellSet::all(n).iter().collect::<Vec<_>>(),
            (0..n).collect::<Vec<_>>()
        );
    }
}

#[test]
fn a_post_wakes_a_sleeping_owner_once_and_a_running_one_never() {
    let (mailbox, mut mail) = (Mailbox::new(), vec![]);
    assert!(!mailbox.post(1), "running");
    assert!(!mailbox.before_sleep(), "there is mail");
    mailbox.take(&mut mail);
    assert!(mailbox.before_sleep());
    assert!(mailbox.post_all(&mut vec![2, 3]), "asleep");
    assert!(!mailbox.post(4), "somebody wakes it already");
    assert!(!mailbox.post_all(&mut vec![]));
    mailbox.take(&mut mail);
    assert_eq!(mail, [1, 2, 3, 4]);
    assert!(mailbox.before_sleep());
    mailbox.take(&mut mail);
    assert!(
        !mailbox.post(5),
        "awake, although something else ended its sleep"
    );
}

#[test]
fn a_task_gets_what_it_wishes_for_if_that_is_free_or_with_its_runner() {
    let (cells, exec) = (three_cells(), &mut Appender::default());
    let held = cells.try_take(set(&[0, 1]), exec).unwrap();
    let other = cells.try_take(set(&[2]), exec).unwrap();
    cells.submit(set(&[1]), set(&[0, 2]), "some", exec);
    held.release(exec);
    other.release(exec);
    let other = cells.try_take(set(&[1]), exec).unwrap();
    cells.submit(set(&[0]), set(&[1, 2]), "free", exec);
    other.release(exec);
    expect_logs(&cells, [&["some", "free"], &["some"], &["free"]]);
}

#[test]
fn some_cells_are_taken_with_all_that_are_needed_or_not_at_all() {
    let (cells, exec) = (three_cells(), &mut Appender::default());
    let other = cells.try_take(set(&[1]), exec).unwrap();
    assert!(cells.try_take_some(set(&[1]), set(&[2]), exec).is_none());
    let held = cells.try_take_some(set(&[0]), set(&[1, 2]), exec).unwrap();
    assert_eq!(held.set(), set(&[0, 2]));
    held.release(exec);
    other.release(exec);
    expect_logs(&cells, [&[], &[], &[]]);
}
