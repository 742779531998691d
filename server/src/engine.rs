//! One command: gates, handler, bookkeeping.
//!
//! [`execute`] is the whole contract. Whoever may run the command runs it with its cells held; what it answered is
//! in the output, what it took is in the statistics, and those who watch have seen it.

use ostraka_datatypes::resp::{Mark, Output, Reply};

use crate::call::{Args, Call};
use crate::command::Command;
use crate::executor::Executor;
use crate::fault::Fault;
use crate::gates;
use crate::keyspace::Keyspace;
use crate::server::Access;
use crate::session::{ReplyMode, Session};
use crate::slowlog::{self, Cost};
use crate::task::{Job, Task};

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
) {
    let raised = exec.raised();
    if (raised != 0 || !session.authenticated)
        && let Err(fault) = gates::check(exec, raised, session, command, args)
    {
        return refuse(exec, session, output, Some(command), &fault);
    }
    exec.note(command.id());
    let before = output.mark();
    let unsent = output.len();
    let mode = session.reply_mode;
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
        fail(exec, session, command, output, before, &fault);
    }
    if mode != ReplyMode::On || session.reply_mode != ReplyMode::On {
        mute(mode, session, output, before);
    }
    let took = exec.lap();
    let stats = exec.stats();
    stats.commands_processed.add(1);
    stats
        .command(command.id())
        .record(took, exec.settings.latency_tracking);
    let bytes = args.bytes() + output.len().saturating_sub(unsent);
    if took >= exec.thresholds.slow_ns || bytes as u64 >= exec.thresholds.large_bytes {
        let cost = Cost {
            ns: took,
            request_bytes: args.bytes() as u64,
            reply_bytes: (bytes - args.bytes()) as u64,
        };
        slowlog::observe(exec, command, args, session, cost);
    }
}

/// Runs a command that waited for its cells in an inbox.
pub fn run_task(exec: &mut Executor, access: &mut Access<'_>, task: &mut Task) {
    exec.lap();
    exec.refresh_now();
    // What the sender saw acknowledged must be in force here, too.
    exec.catch_up();
    let args = Args::new(&task.bytes, &task.spans, exec.server.router, None);
    execute(
        exec,
        access,
        task.command,
        args,
        &mut task.session,
        &mut task.output,
        &mut task.job,
    );
}

/// Answers a command that is not run.
#[cold]
pub fn refuse(
    exec: &mut Executor,
    session: &mut Session,
    output: &mut Output,
    command: Option<&'static Command>,
    fault: &Fault,
) {
    let before = output.mark();
    Reply::new(output, session.protocol).error(fault.text());
    mute(session.reply_mode, session, output, before);
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
#[cold]
fn mute(mode: ReplyMode, session: &mut Session, output: &mut Output, before: Mark) {
    match mode {
        // The command itself switched replies off, or asked to skip the next one: it is not answered either.
        ReplyMode::On if session.reply_mode != ReplyMode::On => output.rollback(before),
        ReplyMode::On => {}
        // CLIENT REPLY ON is answered.
        ReplyMode::Off if session.reply_mode == ReplyMode::On => {}
        ReplyMode::Off => output.rollback(before),
        ReplyMode::SkipNext => {
            output.rollback(before);
            if session.reply_mode == ReplyMode::SkipNext {
                session.reply_mode = ReplyMode::On;
            }
        }
    }
}
