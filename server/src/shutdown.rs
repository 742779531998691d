//! Ending the server: asked for by SHUTDOWN or by a signal.

use crate::config::lists::ShutdownOptions;
use crate::fault::Fault;
use crate::log;
use crate::os::signals::{self, Stop};
use crate::os::{clock, process};
use crate::server::Server;

/// Lets every loop end after its turn, unless data is to be saved first: there is nowhere to save it to.
pub fn begin(server: &Server, options: ShutdownOptions) -> Result<(), Fault> {
    log::notice(format_args!("User requested shutdown..."));
    if options.save && !options.force {
        log::warning(format_args!(
            "Error trying to save the DB, can't exit: {}",
            Fault::NoPersistence.text()
        ));
        return Err(Fault::NoPersistence);
    }
    server.stop();
    Ok(())
}

/// Does what signals ask for, as long as the process lives.
pub fn obey_signals(server: &'static Server) {
    loop {
        let stop = signals::wait();
        match answer(stop, server.is_stopped()) {
            Answer::ExitNow => {
                announce("You insist... exiting now.");
                process::exit_now(1);
            }
            Answer::ShutDown => shut_down(server, stop),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Answer {
    ShutDown,
    ExitNow,
}

/// Somebody who interrupts a server that is stopping already does not want to wait.
fn answer(stop: Stop, stopping: bool) -> Answer {
    if stopping && stop == Stop::Interrupt {
        Answer::ExitNow
    } else {
        Answer::ShutDown
    }
}

fn shut_down(server: &Server, stop: Stop) {
    let name = stop.name();
    announce(&format!("Received {name} scheduling shutdown..."));
    let settings = server.config.settings();
    let options = match stop {
        Stop::Terminate => settings.shutdown_on_sigterm,
        Stop::Interrupt => settings.shutdown_on_sigint,
    };
    if begin(server, options).is_err() {
        log::warning(format_args!(
            "{name} received but errors trying to shut down the server, check the logs for more information"
        ));
    }
}

/// In the shape that Redis' signal handler logs in, whatever the log level.
fn announce(text: &str) {
    let (pid, now) = (std::process::id(), clock::unix_ms() / 1000);
    log::raw(&format!("{pid}:signal-handler ({now}) {text}\n"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_second_interrupt_is_hard() {
        assert_eq!(answer(Stop::Interrupt, false), Answer::ShutDown);
        assert_eq!(answer(Stop::Terminate, false), Answer::ShutDown);
        assert_eq!(answer(Stop::Terminate, true), Answer::ShutDown);
        assert_eq!(answer(Stop::Interrupt, true), Answer::ExitNow);
    }
}
