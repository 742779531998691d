//! One command: gates, handler, bookkeeping.
//!
//! [`execute`] is the whole contract. Whoever may run the command runs it with its cells held; what it answered is
//! in the output, what it took is in the statistics, and those who watch have seen it.

use ostraka_datatypes::resp::{Mark, Output, Reply};

use crate::blocking;
use crate::call::{Args, Call};
use crate::command::Command;
use crate::command::flag::{EXECUTES_QUEUE, NO_MULTI};
use crate::eviction;
use crate::executor::Executor;
use crate::fault::Fault;
use crate::gates;
use crate::keyspace::Keyspace;
use crate::monitor;
use crate::server::{Access, gate};
use crate::session::{ReplyMode, Session};
use crate::shards::CellSet;
use crate::slices;
use crate::slowlog::{self, Cost};
use crate::task::{Bounce, Job, Task};
use crate::transaction::{self, Queue};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "a command that was not run has to be tried again"]
pub enum Ended {
    /// It has run, or was refused.
    Answered,
    /// It has to wait for somebody's long work: nothing has happened, it is to be tried again soon.
    Busy,
    /// It has found nothing and waits for a key; the session says for which. To be parked before the cells are put down.
    Blocked,
    /// It has to be run with more cells: nothing has happened.
    Straddling(CellSet),
}

/// Runs one command. Its cells are held; `job` receives what it leaves to its loop.
#[inline]
pub fn execute(
    exec: &mut Executor,
    access: &mut Access<'_>,
    command: &'static Command,
    args: Args<'_>,
    session: &mut Session,
    output: &mut Output,
    job: &mut Option<Box<dyn Job>>,
) -> Ended {
    let mut raised = exec.raised();
    if raised & gate::MEMORY_LIMIT != 0 {
        eviction::make_room_within(exec, access);
        raised = exec.raised();
    }
    if raised & gate::MONITOR != 0 {
        // The time that MONITOR prints is the time that the command sees.
        exec.refresh_now();
    }
    if (raised != 0 || !session.authenticated)
        && let Err(mut fault) = gates::check(exec, raised, session, command, args)
    {
        if command.is(EXECUTES_QUEUE) {
            transaction::discard(exec, access, session);
            fault = Fault::transaction_discarded(&fault);
        }
        refuse(exec, session, output, Some(command), &fault);
        return Ended::Answered;
    }
    if raised & gate::PENDING != 0
        && !session.atomic
        && slices::is_pending(exec.server, access, command, args)
    {
        return Ended::Busy;
    }
    if raised & gate::STRADDLING != 0
        && let Some(need) = blocking::missing_cells(exec.server, access, session, command, args)
    {
        exec.stats().escalations.add(1);
        return Ended::Straddling(need);
    }
    let ended = call(exec, access, command, args, session, output, job);
    if !exec.ready.is_empty() {
        blocking::serve(exec, access);
    }
    ended
}

/// Runs a command again that waits for a key. Its cells are held.
pub fn resume(exec: &mut Executor, access: &mut Access<'_>, task: &mut Task) -> Ended {
    let args = Args::new(&task.bytes, &task.spans, exec.server.router, None);
    let (session, output, job) = (&mut task.session, &mut task.output, &mut task.job);
    // A collection that somebody reads is copied: it cannot be tried again later.
    (session.atomic, session.resumed) = (true, true);
    let ended = call(exec, access, task.command, args, session, output, job);
    (session.atomic, session.resumed) = (false, false);
    session.wait = None;
    ended
}

/// Runs one command that nothing is in the way of, be it part of another one.
#[inline]
fn call(
    exec: &mut Executor,
    access: &mut Access<'_>,
    command: &'static Command,
    args: Args<'_>,
    session: &mut Session,
    output: &mut Output,
    job: &mut Option<Box<dyn Job>>,
) -> Ended {
    let raised = exec.raised();
    exec.note(command.id());
    let before = output.mark();
    let unsent = output.len();
    let mode = session.begin_reply();
    let mut call = Call {
        command,
        args,
        reply: Reply::new(output, session.protocol),
        server: exec.server,
        db: Keyspace::new(access.reborrow(), exec, session),
        session,
        job,
    };
    let outcome = (command.run)(&mut call);
    session.protocol = call.reply.protocol();
    if let Err(fault) = outcome {
        if fault == Fault::Busy {
            output.rollback(before);
            return Ended::Busy;
        }
        fail(exec, session, command, output, before, &fault);
    }
    if raised & gate::MONITOR != 0 && !session.resumed {
        monitor::feed(exec, session, command, args);
    }
    if session.wait.is_some() {
        output.rollback(before);
        exec.lap();
        return Ended::Blocked;
    }
    if mode != ReplyMode::On || session.reply_mode != ReplyMode::On {
        session.job_unheard = mute(mode, session, output, before) && job.is_some();
    }
    account(
        exec,
        command,
        args,
        session,
        output.len().saturating_sub(unsent),
    );
    Ended::Answered
}

/// Counts a command that has run, and what it took.
#[inline]
fn account(
    exec: &mut Executor,
    command: &'static Command,
    args: Args<'_>,
    session: &Session,
    reply_bytes: usize,
) {
    let took = exec.lap();
    let stats = exec.stats();
    stats.commands_processed.add(1);
    stats
        .command(command.id())
        .record(took, exec.settings.latency_tracking);
    let bytes = args.request_len() + reply_bytes;
    if took >= exec.thresholds.slow_ns || bytes as u64 >= exec.thresholds.large_bytes {
        let cost = Cost {
            ns: took,
            request_bytes: args.request_len() as u64,
            reply_bytes: reply_bytes as u64,
        };
        slowlog::observe(exec, command, args, session, cost);
    }
}

/// Runs the commands of a transaction, as parts of the command that ends it.
pub fn run_queue(c: &mut Call<'_>, queue: &Queue) {
    let router = c.server.router;
    c.session.atomic = true;
    for (command, args) in queue.iter(router) {
        let (exec, access) = c.db.parts();
        let output = c.reply.output();
        let ended = call(exec, access, command, args, c.session, output, c.job);
        assert_eq!(ended, Ended::Answered, "no part of a transaction waits");
        c.reply.set_protocol(c.session.protocol);
    }
    c.session.atomic = false;
    assert!(c.job.is_none(), "no part of a transaction leaves a job");
}

/// Puts a command that needs `cells` off until EXEC.
pub fn put_off(
    exec: &mut Executor,
    command: &'static Command,
    args: Args<'_>,
    cells: CellSet,
    session: &mut Session,
    output: &mut Output,
) {
    let raised = exec.raised();
    if (raised != 0 || !session.authenticated)
        && let Err(fault) = gates::check(exec, raised, session, command, args)
    {
        return refuse(exec, session, output, Some(command), &fault);
    }
    if command.is(NO_MULTI) {
        return refuse(exec, session, output, Some(command), &Fault::NotInsideMulti);
    }
    let before = output.mark();
    let mode = session.begin_reply();
    session.put_off(command, args, cells);
    Reply::new(output, session.protocol).queued();
    if mode != ReplyMode::On {
        mute(mode, session, output, before);
    }
}

/// Runs a command that waited for its cells in an inbox.
pub fn run_task(exec: &mut Executor, access: &mut Access<'_>, task: &mut Task) -> Ended {
    exec.begin_job();
    // What the sender saw acknowledged must be in force here, too.
    exec.catch_up();
    let args = Args::new(&task.bytes, &task.spans, exec.server.router, None);
    let client = &task.session.record;
    if client.is_doomed() || gates::is_paused(exec, &task.session, task.command, args) {
        task.bounced = Some(Bounce::Paused);
        return Ended::Answered;
    }
    let ended = execute(
        exec,
        access,
        task.command,
        args,
        &mut task.session,
        &mut task.output,
        &mut task.job,
    );
    task.bounced = match ended {
        Ended::Busy => Some(Bounce::Busy),
        Ended::Straddling(need) => Some(Bounce::Straddling(need)),
        Ended::Answered | Ended::Blocked => None,
    };
    ended
}

/// Answers a command that has waited in vain.
pub fn answer_late(
    exec: &mut Executor,
    command: &'static Command,
    session: &mut Session,
    output: &mut Output,
    write: impl FnOnce(&mut Reply<'_>),
) {
    let before = output.mark();
    write(&mut Reply::new(output, session.protocol));
    let mode = session.begin_reply();
    mute(mode, session, output, before);
    let stats = exec.stats();
    stats.commands_processed.add(1);
    stats.command(command.id()).record(0, false);
}

/// Answers a command with an error that has waited in vain.
pub fn fail_late(
    exec: &mut Executor,
    command: &'static Command,
    session: &mut Session,
    output: &mut Output,
    fault: &Fault,
) {
    answer_late(exec, command, session, output, |reply| {
        reply.error(fault.text())
    });
    exec.server.count_error(fault.code());
    exec.stats().error_replies.add(1);
    exec.stats().command(command.id()).failed.add(1);
}

/// Answers a command that is not run. A transaction that it should have been part of will not be executed.
#[cold]
pub fn refuse(
    exec: &mut Executor,
    session: &mut Session,
    output: &mut Output,
    command: Option<&'static Command>,
    fault: &Fault,
) {
    if let Some(queue) = &mut session.queue {
        queue.spoilt = true;
    }
    let before = output.mark();
    Reply::new(output, session.protocol).error(fault.text());
    let mode = session.begin_reply();
    mute(mode, session, output, before);
    exec.server.count_error(fault.code());
    exec.stats().error_replies.add(1);
    if let Some(command) = command {
        exec.stats().command(command.id()).rejected.add(1);
    }
}

#[cold]
fn fail(
    exec: &mut Executor,
    session: &Session,
    command: &'static Command,
    output: &mut Output,
    before: Mark,
    fault: &Fault,
) {
    output.rollback(before);
    Reply::new(output, session.protocol).error(fault.text());
    exec.server.count_error(fault.code());
    exec.stats().error_replies.add(1);
    exec.stats().command(command.id()).failed.add(1);
}

/// CLIENT REPLY: takes back what a client does not want to hear. `mode` was in force when the command began.
/// Returns whether it did.
#[cold]
fn mute(mode: ReplyMode, session: &mut Session, output: &mut Output, before: Mark) -> bool {
    // CLIENT REPLY ON is answered, whatever was in force; OFF and SKIP never are.
    let unheard = session.reply_mode != ReplyMode::On;
    if unheard {
        output.rollback(before);
    }
    if mode == ReplyMode::Skipping && session.reply_mode == mode {
        session.reply_mode = ReplyMode::On;
    }
    unheard
}
