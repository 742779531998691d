// The bugs that one would write into the protocols. Included by build.rs, which makes a module of each.

struct Mutant {
    /// What is wrong.
    name: &'static str,
    file: File,
    /// Occurs exactly once in the file.
    text: &'static str,
    replacement: &'static str,
    /// The model that finds it, and what it says.
    caught_by: Model,
    symptom: &'static str,
}

enum File {
    Cell,
    Mailbox,
}

enum Model {
    Loom(&'static str),
    Shuttle(&'static str),
}

const NEVER_WOKEN: &str = "deadlock";
const FORGOTTEN: &str = "a cell is still held, or its inbox not empty";
const LOST: &str = "a task was lost";
const ENDLESS: &str = "exceeded maximum number of branches";
/// What shuttle says of any failure: two threads on a cell show in several ways.
const HARM: &str = "failing schedule";
const RACE: &str = "Causality violation";

const MUTANTS: &[Mutant] = &[
    Mutant {
        name: "pend_is_cleared_after_the_look_into_the_inbox",
        file: File::Cell,
        text: "let job = inbox.jobs.pop_front();",
        replacement: "let job = inbox.jobs.pop_front();
            drop(inbox);
            let mut inbox = self.inbox.0.lock().expect(NO_PANIC);",
        caught_by: Model::Loom("one_cell_two_threads_with_two_tasks_each"),
        symptom: LOST,
    },
    Mutant {
        name: "no_second_try_after_publishing",
        file: File::Cell,
        text: "self.word.0.fetch_or(HELD | PEND, Ordering::Acquire) & HELD == 0",
        replacement: "self.word.0.fetch_or(PEND, Ordering::AcqRel);
        false",
        caught_by: Model::Loom("one_cell_two_threads_with_two_tasks_each"),
        symptom: FORGOTTEN,
    },
    Mutant {
        name: "the_mailbox_flag_is_cleared_after_taking",
        file: File::Mailbox,
        text: "if self.state.swap(RUN, Ordering::AcqRel) == NOTIFIED {
            self.fetch(into);
        }",
        replacement: "self.fetch(into);
        self.state.swap(RUN, Ordering::AcqRel);",
        caught_by: Model::Loom("a_mailbox_with_one_sleeper_and_two_posters"),
        symptom: NEVER_WOKEN,
    },
    Mutant {
        name: "a_cell_is_put_down_without_release",
        file: File::Cell,
        text: "compare_exchange(HELD, FREE, Ordering::Release, Ordering::Relaxed)",
        replacement: "compare_exchange(HELD, FREE, Ordering::Relaxed, Ordering::Relaxed)",
        caught_by: Model::Loom("one_cell_two_threads_with_two_tasks_each"),
        symptom: RACE,
    },
    Mutant {
        name: "a_cell_is_taken_without_acquire",
        file: File::Cell,
        text: "compare_exchange(FREE, HELD, Ordering::Acquire, Ordering::Relaxed)",
        replacement: "compare_exchange(FREE, HELD, Ordering::Relaxed, Ordering::Relaxed)",
        caught_by: Model::Loom("one_cell_two_threads_with_two_tasks_each"),
        symptom: RACE,
    },
    Mutant {
        name: "an_announcer_takes_the_cell_without_acquire",
        file: File::Cell,
        text: "fetch_or(HELD | PEND, Ordering::Acquire)",
        replacement: "fetch_or(HELD | PEND, Ordering::Relaxed)",
        caught_by: Model::Loom("one_cell_two_threads_with_two_tasks_each"),
        symptom: RACE,
    },
    Mutant {
        name: "cells_are_taken_in_descending_order_if_the_lowest_is_busy",
        file: File::Cell,
        text: "for i in job.need.minus(job.got) {",
        replacement: "let missing = job.need.minus(job.got);
            let mut order: Vec<usize> = missing.iter().collect();
            if missing.lowest().is_some_and(|i| self.cells.cells[i].word.0.load(Ordering::Relaxed) != FREE) {
                order.reverse();
            }
            for i in order {",
        caught_by: Model::Loom("two_cells_two_tasks_for_both"),
        symptom: FORGOTTEN,
    },
    Mutant {
        name: "the_rest_of_a_lent_cells_inbox_is_not_announced",
        file: File::Cell,
        text: "jobs += 1;",
        replacement: "jobs += 1;
            if job.need.len() > 1 {
                cell.word.0.fetch_and(!PEND, Ordering::Relaxed);
            }",
        caught_by: Model::Shuttle("three_loops"),
        symptom: NEVER_WOKEN,
    },
    Mutant {
        name: "lent_cells_are_put_down_too",
        file: File::Cell,
        text: "self.set = self.set.minus(job.got);",
        replacement: "",
        caught_by: Model::Loom("two_cells_two_tasks_for_both_and_one_for_the_upper"),
        symptom: ENDLESS,
    },
    Mutant {
        name: "a_cell_that_is_wished_for_is_had_though_it_is_busy",
        file: File::Cell,
        text: "if self.cells.cells[i].take() {",
        replacement: "if self.cells.cells[i].take() || true {",
        caught_by: Model::Shuttle("two_loops"),
        symptom: HARM,
    },
    Mutant {
        name: "a_cell_that_a_job_is_given_stays_with_the_giver",
        file: File::Cell,
        text: "if !self.set.contains(i) && !cell.take() {",
        replacement: "let mine = self.set.contains(i);
            self.set.remove(i);
            if mine {
                cell.word.0.fetch_and(!HELD, Ordering::Release);
            }
            if !mine && !cell.take() {",
        caught_by: Model::Shuttle("three_loops"),
        symptom: HARM,
    },
    Mutant {
        name: "a_cell_is_handed_over_before_it_is_down",
        file: File::Cell,
        text: "cell.leave_pending();
                exec.hand_over(i);",
        replacement: "exec.hand_over(i);
                cell.leave_pending();",
        caught_by: Model::Loom("the_owner_drains_what_is_handed_over"),
        symptom: FORGOTTEN,
    },
    Mutant {
        name: "a_hand_over_is_not_told_to_the_owner",
        file: File::Cell,
        text: "exec.hand_over(i);",
        replacement: "",
        caught_by: Model::Loom("the_owner_drains_what_is_handed_over"),
        symptom: FORGOTTEN,
    },
    Mutant {
        name: "a_cell_is_handed_over_without_release",
        file: File::Cell,
        text: "fetch_and(!HELD, Ordering::Release)",
        replacement: "fetch_and(!HELD, Ordering::Relaxed)",
        caught_by: Model::Loom("the_owner_drains_what_is_handed_over"),
        symptom: RACE,
    },
];
