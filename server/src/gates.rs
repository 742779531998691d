//! Conditions under which a command is not run, or not yet.
//!
//! In the common case the engine sees that no gate is raised and never comes here.

use crate::call::Args;
use crate::command::Command;
use crate::command::flag::{DENYOOM, MAY_REPLICATE, NO_AUTH, READONLY, WRITE};
use crate::executor::Executor;
use crate::fault::Fault;
use crate::server::gate;
use crate::session::Session;

/// Whether a command may run, as far as it depends on the state of the server and of the caller.
#[cold]
pub fn check(
    exec: &Executor,
    raised: u32,
    session: &Session,
    command: &'static Command,
    _args: Args<'_>,
) -> Result<(), Fault> {
    if session.must_authenticate(&exec.settings) && !command.is(NO_AUTH) {
        return Err(Fault::NotAuthenticated);
    }
    if raised & gate::OUT_OF_MEMORY != 0 && needs_memory(session, command) {
        return Err(Fault::OutOfMemory);
    }
    if session.monitor && command.is(READONLY | WRITE | MAY_REPLICATE) {
        return Err(Fault::MonitorOnly);
    }
    Ok(())
}

/// Whatever is queued needs memory; EXEC does if one of the commands does.
fn needs_memory(session: &Session, command: &Command) -> bool {
    session.puts_off(command) || session.flags_of(command) & DENYOOM != 0
}

/// Whether CLIENT PAUSE keeps a command waiting. One that would be refused anyway is refused at once.
#[inline]
pub fn is_paused(
    exec: &Executor,
    session: &Session,
    command: &'static Command,
    args: Args<'_>,
) -> bool {
    let raised = exec.raised();
    raised & gate::PAUSE != 0 && is_held_back(exec, raised, session, command, args)
}

/// As in Redis, nothing is exempt from PAUSE ALL: not even CLIENT UNPAUSE.
#[cold]
fn is_held_back(
    exec: &Executor,
    raised: u32,
    session: &Session,
    command: &'static Command,
    args: Args<'_>,
) -> bool {
    let concerned =
        raised & gate::PAUSE_ALL != 0 || session.flags_of(command) & (WRITE | MAY_REPLICATE) != 0;
    concerned
        && exec.server.pause.is_on(exec.server, exec.now_ms)
        && check(exec, raised, session, command, args).is_ok()
}
