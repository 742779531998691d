//! The binary: `ostraka [config-file] [--directive value ...]`.

use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use ostraka_server::config::command_line::{self, Invocation};
use ostraka_server::config::{self, Machine};
use ostraka_server::os::threads;
use ostraka_server::process;

#[global_allocator]
static ALLOCATOR: ostraka_server::os::allocator::Allocator =
    ostraka_server::os::allocator::Allocator;

fn main() -> ExitCode {
    let args: Vec<Vec<u8>> = std::env::args_os()
        .skip(1)
        .map(OsStringExt::into_vec)
        .collect();
    let source = match command_line::parse(&args) {
        Invocation::Serve(source) => source,
        Invocation::Print(text) => {
            print!("{text}");
            return ExitCode::SUCCESS;
        }
        Invocation::Refuse(text) => {
            eprint!("{text}");
            return ExitCode::FAILURE;
        }
    };
    let directory = std::env::current_dir()
        .map(|d| d.into_os_string().into_vec())
        .unwrap_or_default();
    let machine = Machine {
        cores: threads::cores().min(128) as u16,
        directory,
    };
    match config::load(&source, &machine) {
        Ok(startup) => process::run(startup),
        Err(error) => process::refuse_configuration(&error),
    }
}
