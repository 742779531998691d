//! Model checks of the protocols by which threads share cells and mailboxes: the server's own files `os/cell.rs` and
//! `shards/mailbox.rs`, compiled against the checkers' atomics and mutexes instead of std's.
//!
//! - **loom** (`loom_models.rs`) goes through every interleaving, and every value that a weak memory order allows a load
//!   to see, of two or three threads with a task or two each; where that is too much, through those with few preemptions.
//! - **shuttle** (`shuttle_models.rs`) plays whole loops with connections, replies and hand-overs on random schedules.
//! - **Mutants** (`mutants.rs`) are the same files with one bug each, which one of the models has to find: a model that
//!   passes proves nothing without that.
//!
//! `MODEL_EFFORT=n` (default 1) makes shuttle play n times as many schedules and lets loom preempt n - 1 times more.
#![cfg(test)]
#![allow(clippy::duplicate_mod)]

mod loom_sync;
mod shuttle_sync;

/// The files as siblings, which is how they see each other in the server too.
#[path = "../../../server/src"]
mod with_loom {
    use crate::loom_sync as sync;
    #[allow(dead_code)]
    #[path = "os/cell.rs"]
    mod cell;
    #[allow(dead_code)]
    #[path = "os/cell_set.rs"]
    mod cell_set;
    #[allow(dead_code)]
    #[path = "shards/mailbox.rs"]
    mod mailbox;
    #[path = "../../tests/models/src/loom_models.rs"]
    pub mod models;
}

#[path = "../../../server/src"]
mod with_shuttle {
    use crate::shuttle_sync as sync;
    #[allow(dead_code)]
    #[path = "os/cell.rs"]
    mod cell;
    #[allow(dead_code)]
    #[path = "os/cell_set.rs"]
    mod cell_set;
    #[allow(dead_code)]
    #[path = "shards/mailbox.rs"]
    mod mailbox;
    #[path = "../../tests/models/src/shuttle_models.rs"]
    pub mod models;
}

// A module for each mutant, written by build.rs, with a test `is_caught`.
include!(concat!(env!("OUT_DIR"), "/mutants.rs"));

macro_rules! tests {
    ($world:ident: $($model:ident)*) => { $(#[test] fn $model() { $world::models::$model(); })* };
}

tests! { with_loom:
    one_cell_two_threads_with_two_tasks_each
    one_cell_three_threads
    two_cells_two_tasks_for_both
    two_cells_one_task_for_both_and_one_for_each
    two_cells_two_tasks_for_both_and_one_for_the_upper
    a_mailbox_with_one_sleeper_and_two_posters
    a_sleeper_gets_the_reply_of_a_task_that_another_thread_ran
    the_owner_drains_what_is_handed_over
}

tests! { with_shuttle:
    two_loops
    three_loops
    four_loops
}

/// The ignored test of this name must fail, and for that reason. A process of its own, because what a failing model
/// leaves behind may panic once more while it is dropped.
fn expect_failure(test: &str, symptom: &str) {
    let this = std::env::current_exe().unwrap();
    let output = std::process::Command::new(this)
        .args(["--exact", "--ignored", "--nocapture", test])
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("running 1 test"),
        "{test} does not exist: {said}"
    );
    assert!(!output.status.success(), "the bug is not found: {said}");
    assert!(
        said.contains(symptom),
        "it fails, but not with {symptom:?}: {said}"
    );
}

/// How much more than usual to do, from `MODEL_EFFORT`.
fn effort() -> usize {
    std::env::var("MODEL_EFFORT")
        .map_or(1, |n| n.parse().expect("MODEL_EFFORT is a number"))
        .max(1)
}
