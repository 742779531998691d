//! Conditions under which a command is not run, or not yet.
//!
//! In the common case the engine sees that no gate is raised and never comes here.

use crate::call::Args;
use crate::command::Command;
use crate::command::flag::{DENYOOM, MAY_REPLICATE, NO_AUTH, WRITE};
use crate::executor::Executor;
use crate::fault::Fault;
use crate::server::gate;
use crate::session::Session;

/// Whether a command may run, as far as it depends on the state of the server and of the caller.
#[cold]
pub fn check(
    _exec: &Executor,
    raised: u32,
    session: &Session,
    command: &'static Command,
    _args: Args<'_>,
) -> Result<(), Fault> {
    if !session.authenticated && !command.is(NO_AUTH) {
        return Err(Fault::NotAuthenticated);
    }
    if raised & gate::OUT_OF_MEMORY != 0 && command.is(DENYOOM) {
        return Err(Fault::OutOfMemory);
    }
    Ok(())
}

/// Whether CLIENT PAUSE keeps a command waiting.
#[inline]
pub fn is_paused(exec: &Executor, command: &'static Command) -> bool {
    let raised = exec.raised();
    if raised & gate::PAUSE == 0 {
        return false;
    }
    // CLIENT (to say UNPAUSE) and what ends the pause for good must always get through.
    let exempt = command.name.starts_with("client") || command.is(NO_AUTH);
    !exempt && (raised & gate::PAUSE_ALL != 0 || command.is(WRITE | MAY_REPLICATE))
}
