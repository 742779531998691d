//! The binary: `ostraka [config-file] [--directive value ...]`.

use std::os::unix::ffi::OsStringExt;
use std::process::ExitCode;

use ostraka_server::config::command_line::{self, Invocation};
use ostraka_server::config::{self, ConfigStore, Machine};
use ostraka_server::os::{clock::Clock, entropy, threads};
use ostraka_server::server::Identity;
use ostraka_server::start;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    let startup = match config::load(&source, &machine) {
        Ok(startup) => startup,
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let identity = Identity {
        run_id: entropy::hex(20),
        replication_id: entropy::hex(20),
        started_ms: Clock::real().unix_ms(),
        executable: String::new(),
        config_file: startup.file.clone(),
    };
    match start::start(ConfigStore::new(&startup), identity) {
        Ok(running) => {
            running.join();
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
