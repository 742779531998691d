//! `# Server`: who this is and how it was started.

use std::fmt::Write as _;

use super::{Facts, TO_MEMORY, fields};
use crate::config::lists::BindAddress;
use crate::config::settings::Supervision;
use crate::os::usage;
use crate::version;

fields! { f =>
    "redis_version" = version::REDIS,
    "server_name" = "ostraka",
    "redis_git_sha1" = "00000000",
    "redis_git_dirty" = 0,
    "redis_build_id" = format_args!("ostraka-{}", version::OSTRAKA),
    "redis_mode" = "standalone",
    "server_mode" = "standalone",
    "os" = usage::system_name(),
    "arch_bits" = usize::BITS,
    "monotonic_clock" = f.clock,
    "multiplexing_api" = "epoll",
    "atomicvar_api" = "rust-core",
    "gcc_version" = "0.0.0",
    "process_id" = std::process::id(),
    "process_supervised" = supervised(f),
    "run_id" = f.server.identity.run_id,
    "tcp_port" = f.settings.port,
    "server_time_usec" = f.now_us,
    "uptime_in_seconds" = f.uptime_s(),
    "uptime_in_days" = f.uptime_s() / 86_400,
    "hz" = f.settings.hz,
    "configured_hz" = f.settings.hz,
    "clients_hz" = f.settings.hz,
    "lru_clock" = (f.now_us / 1_000_000) & 0xff_ffff,
    "executable" = f.server.identity.executable,
    "config_file" = config_file(f),
    "io_threads_active" = 0,
    "availability_zone" = String::from_utf8_lossy(&f.settings.get("availability-zone")),
}

fn supervised(f: &Facts<'_>) -> &'static str {
    match f.settings.supervised {
        Supervision::No => "no",
        Supervision::Systemd => "systemd",
        Supervision::Upstart => "upstart",
        Supervision::Auto => "unknown",
    }
}

fn config_file(f: &Facts<'_>) -> String {
    let file = f.server.config.file();
    file.map(|file| file.display().to_string())
        .unwrap_or_default()
}

/// `listener0:name=tcp,bind=127.0.0.1,bind=-::1,port=6379`
pub fn listeners(f: &Facts<'_>, text: &mut String) {
    let mut number = 0;
    let mut line = |name: &str, rest: String| {
        write!(text, "listener{number}:name={name},{rest}\r\n").expect(TO_MEMORY);
        number += 1;
    };
    if f.settings.port != 0 {
        let addresses = f.settings.bind.iter().map(BindAddress::text);
        let bound: String = addresses
            .map(|address| format!("bind={address},"))
            .collect();
        line("tcp", format!("{bound}port={}", f.settings.port));
    }
    if let Some(path) = &f.settings.unixsocket {
        line("unix", format!("bind={}", path.display()));
    }
}
