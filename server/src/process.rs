//! The server as a process, from a configuration that has been read to the exit code: working directory, log,
//! background, limits, banner, supervisor, and what is removed at the end.
//!
//! ```text
//! chdir -> log -> fork -> first lines -> signals, crash reports -> limits -> bind -> pidfile, title, logo
//!       -> loops -> "Ready to accept connections" -> ... -> loops have ended -> pidfile, Unix socket removed -> exit
//! ```
//! Threads start after the fork, and after the signals they must not take are held back. Nothing in here runs while
//! commands are served, but for [`set_title`] and the crash report.

use std::fmt::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::OnceLock;

use crate::command::table::Table;
use crate::config::settings::{OomScore, Supervision};
use crate::config::{Caller, ConfigStore, Settings, StartError, Startup};
use crate::os::clock::Clock;
use crate::os::supervise::{self, Supervisor};
use crate::os::{crash, entropy, files, process, signals, threads, usage};
use crate::server::{Identity, Server};
use crate::start::{self, Running};
use crate::{commands, log, shutdown, version};

/// Where the pid goes if nobody says where, in the background.
const DEFAULT_PIDFILE: &str = "/var/run/redis.pid";

/// Descriptors beyond those of clients: standard streams, listeners, logs, files.
const OTHER_FILES: u64 = 32;

/// An event queue and a wake-up for each loop.
const FILES_PER_LOOP: u64 = 2;

/// The server of this process, for crash reports.
static SERVER: OnceLock<&'static Server> = OnceLock::new();

/// Runs a server until it is told to stop.
pub fn run(startup: Startup) -> ExitCode {
    if let Err(error) = Table::configured(commands::FAMILIES, &startup.renames) {
        return refuse_configuration(&error);
    }
    match serve(startup) {
        Ok(()) => ExitCode::SUCCESS,
        Err(Refused) => ExitCode::FAILURE,
    }
}

/// Says why a configuration is refused: as a line of the log if a file is missing, else as the text of its own.
pub fn refuse_configuration(error: &StartError) -> ExitCode {
    match error {
        StartError::Open(..) => {
            log::open_plain();
            log::warning(format_args!("{error}"));
        }
        _ => eprintln!("{error}"),
    }
    ExitCode::FAILURE
}

/// The server does not start; the log says why.
struct Refused;

fn refuse(why: fmt::Arguments<'_>) -> Refused {
    log::warning(why);
    Refused
}

fn serve(startup: Startup) -> Result<(), Refused> {
    let settings = &startup.settings;
    enter(settings)?;
    let supervisor = supervisor(settings);
    if settings.daemonize
        && supervisor.is_none()
        && let Err(error) = process::daemonize()
    {
        return Err(refuse(format_args!("Can't run in the background: {error}")));
    }
    process::set_name("ostraka");
    greet(&startup);
    signals::hold();
    crash::enable(settings.crash_log_enabled);
    crash::install(describe);
    let config = ConfigStore::new(&startup);
    allow_clients(&config)?;

    log::set_role_primary();
    let settings = config.settings();
    let listeners = start::bind(&settings).map_err(|text| refuse(format_args!("{text}")))?;
    let pidfile = write_pidfile(&settings, supervisor);
    if settings.set_proc_title {
        set_title(&settings, startup.file.as_deref());
    }
    show_logo(&settings);
    log::notice(format_args!("Server initialized"));
    judge_system(&settings);
    let identity = Identity {
        run_id: entropy::hex(20),
        replication_id: entropy::hex(20),
        started_ms: Clock::real().unix_ms(),
        executable: process::executable(),
        config_file: startup.file.clone(),
    };
    let running = start::launch(config, identity, listeners)
        .map_err(|error| refuse(format_args!("Can't start: {error}")))?;
    let server = running.server;
    SERVER.get_or_init(|| server);
    threads::spawn("signals", || shutdown::obey_signals(server))
        .map_err(|error| refuse(format_args!("Can't start: {error}")))?;
    report_ready(&settings, supervisor);
    end(running, supervisor, pidfile.as_deref());
    Ok(())
}

fn enter(settings: &Settings) -> Result<(), Refused> {
    let failed = |what: String| {
        // There is no log yet.
        eprintln!("{what}");
        Refused
    };
    files::enter(&settings.dir).map_err(|error| {
        let (dir, reason) = (settings.dir.display(), files::reason(&error));
        failed(format!("Can't chdir to '{dir}': {reason}"))
    })?;
    log::open(settings).map_err(|error| {
        failed(format!(
            "Can't open the log file: {}",
            files::reason(&error)
        ))
    })
}

// ---- the supervisor

fn supervisor(settings: &Settings) -> Option<Supervisor> {
    let detected = supervise::detect();
    let found = match settings.supervised {
        Supervision::No => return None,
        Supervision::Auto => detected?,
        Supervision::Systemd => Supervisor::Systemd,
        Supervision::Upstart => Supervisor::Upstart,
    };
    if detected != Some(found) {
        let (name, variable) = match found {
            Supervisor::Systemd => ("systemd", "NOTIFY_SOCKET"),
            Supervisor::Upstart => ("upstart", "UPSTART_JOB"),
        };
        log::warning(format_args!(
            "{name} supervision requested, but {variable} not found"
        ));
        return None;
    }
    Some(found)
}

fn notify(supervisor: Option<Supervisor>, state: &str) {
    if supervisor == Some(Supervisor::Systemd)
        && let Err(error) = supervise::notify_systemd(state)
    {
        log::warning(format_args!("Can't notify systemd: {error}"));
    }
}

fn report_ready(settings: &Settings, supervisor: Option<Supervisor>) {
    if settings.port != 0 && !settings.bind.is_empty() {
        log::notice(format_args!("Ready to accept connections tcp"));
    }
    if settings.unixsocket.is_some() {
        log::notice(format_args!("Ready to accept connections unix"));
    }
    notify(supervisor, "STATUS=Ready to accept connections\nREADY=1\n");
    if supervisor == Some(Supervisor::Upstart) {
        log::notice(format_args!(
            "supervised by upstart, will stop to signal readiness"
        ));
        supervise::stop_for_upstart();
    }
}

// ---- the first lines

fn greet(startup: &Startup) {
    let (ours, redis) = (version::OSTRAKA, version::REDIS);
    let pid = std::process::id();
    log::notice(format_args!(
        "oO0OoO0OoO0Oo Ostraka is starting oO0OoO0OoO0Oo"
    ));
    log::notice(format_args!(
        "Ostraka version={ours}, Redis version={redis}, bits={}, shards={}, pid={pid}, just started",
        usize::BITS,
        startup.settings.shards
    ));
    match &startup.file {
        Some(_) => log::notice(format_args!("Configuration loaded")),
        None => log::warning(format_args!(
            "Warning: no config file specified, using the default config. In order to specify a config file use \
             ostraka /path/to/ostraka.conf"
        )),
    }
    if let Some(warning) = startup.warning() {
        log::warning(format_args!("{warning}"));
    }
}

fn show_logo(settings: &Settings) {
    let plain_log = settings.logfile.is_none() && !settings.syslog_enabled;
    let (ours, redis) = (version::OSTRAKA, version::REDIS);
    let (port, pid, shards) = (settings.port, std::process::id(), settings.shards);
    let shown = settings.always_show_logo || plain_log && process::stdout_is_terminal();
    if !shown {
        log::notice(format_args!("Running mode=standalone, port={port}."));
        return;
    }
    // Suites find the process by ` PID: `.
    log::raw(&format!(
        r"
          ___________
      .--'    .      `-._
     /   |_|_  |  |      `\      Ostraka {ours} (as Redis {redis}) {bits} bit
    |    | |   |\ |  O     \
    |     _    | \|   _     )    Running in standalone mode
     \   |_)  /\   | /     /     Port: {port}
      \  | \ /--\  |/\    /      PID: {pid}
       `-._             ,'       Shards: {shards}
           `---.___.---'

",
        bits = usize::BITS
    ));
}

/// Asks the kernel for what the settings say, and tells what its own settings will do to the server.
fn judge_system(settings: &Settings) {
    if settings.disable_thp
        && process::huge_pages_are_on()
        && let Err(error) = process::disable_huge_pages()
    {
        log::warning(format_args!(
            "WARNING Transparent Huge Pages are on and can't be disabled for this process: {error}"
        ));
    }
    if settings.oom_score_adj != OomScore::No
        && let Err(error) = set_oom_score(settings)
    {
        log::warning(format_args!("{error}"));
    }
    if let Some(longest) = process::longest_backlog().filter(|n| *n < settings.tcp_backlog) {
        log::warning(format_args!(
            "WARNING: The TCP backlog setting of {} cannot be enforced because /proc/sys/net/core/somaxconn is set to \
             the lower value of {longest}.",
            settings.tcp_backlog
        ));
    }
    if process::memory_is_not_overcommitted() {
        log::warning(format_args!(
            "WARNING Memory overcommit must be enabled! Without it, a background save or replication may fail under \
             low memory condition. To fix this issue add 'vm.overcommit_memory = 1' to /etc/sysctl.conf and then \
             reboot or run the command 'sysctl vm.overcommit_memory=1' for this to take effect."
        ));
    }
}

// ---- files and limits

/// Raises the limit of open files to what `maxclients` needs, or lowers `maxclients`.
fn allow_clients(config: &ConfigStore) -> Result<(), Refused> {
    let settings = config.settings();
    let others = other_files(&settings);
    let wanted = u64::from(settings.maxclients) + others;
    let failed = |error| {
        refuse(format_args!(
            "Unable to obtain the limit of open files: {error}"
        ))
    };
    let had = usage::allow_open_files(0).map_err(failed)?;
    let allowed = usage::allow_open_files(wanted).map_err(failed)?;
    if allowed >= wanted {
        if had < wanted {
            log::notice(format_args!(
                "Increased maximum number of open files to {wanted} (it was originally set to {had})."
            ));
        }
        return Ok(());
    }
    if allowed <= others {
        return Err(refuse(format_args!(
            "Your current 'ulimit -n' of {allowed} is not enough for the server to start. Please increase your open \
             file limit to at least {wanted}. Exiting."
        )));
    }
    let clients = (allowed - others).to_string();
    log::warning(format_args!(
        "You requested maxclients of {} requiring at least {wanted} max file descriptors.",
        settings.maxclients
    ));
    log::warning(format_args!(
        "Server can't set maximum open files to {wanted} because of OS error: Operation not permitted."
    ));
    log::warning(format_args!(
        "Current maximum open files is {allowed}. maxclients has been reduced to {clients} to compensate for low \
         ulimit. If you need higher maxclients increase 'ulimit -n'."
    ));
    let pair: (&[u8], &[u8]) = (b"maxclients", clients.as_bytes());
    config
        .set(&[pair], Caller::default(), &mut |_, _, _| Ok(()))
        .map(drop)
        .map_err(|refusal| refuse(format_args!("{refusal}")))
}

/// Descriptors that are not clients'.
pub fn other_files(settings: &Settings) -> u64 {
    OTHER_FILES + FILES_PER_LOOP * u64::from(settings.shards)
}

fn write_pidfile(settings: &Settings, supervisor: Option<Supervisor>) -> Option<PathBuf> {
    let in_background = settings.daemonize && supervisor.is_none();
    let default = in_background.then(|| PathBuf::from(DEFAULT_PIDFILE));
    let path = settings.dir.join(settings.pidfile.clone().or(default)?);
    match process::write_pid(&path) {
        Ok(()) => Some(path),
        Err(error) => {
            let reason = files::reason(&error);
            log::warning(format_args!("Failed to write PID file: {reason}"));
            None
        }
    }
}

/// Tells the kernel how dispensable this process is, as `oom-score-adj` has it.
pub fn set_oom_score(settings: &Settings) -> Result<(), String> {
    let [ours, ..] = settings.oom_score_adj_values;
    let done = match settings.oom_score_adj {
        OomScore::No => process::restore_oom_score(),
        OomScore::Yes | OomScore::Relative => process::change_oom_score(|before| before + ours),
        OomScore::Absolute => process::change_oom_score(|_| ours),
    };
    done.map_err(|error| {
        let reason = files::reason(&error);
        log::warning(format_args!("Unable to write oom_score_adj: {reason}"));
        "Failed to apply new oom_score_adj configuration, check server logs.".to_owned()
    })
}

/// Shows `proc-title-template` in the process list. `file` is the configuration file.
pub fn set_title(settings: &Settings, file: Option<&Path>) {
    let path = |path: Option<&Path>| path.map(|p| p.display().to_string()).unwrap_or_default();
    let unix_socket = path(settings.unixsocket.as_deref());
    let port = settings.port.to_string();
    let listens_at = match settings.bind.first() {
        Some(address) if settings.port != 0 => format!("{}:{port}", address.text()),
        _ => unix_socket.clone(),
    };
    let title = settings
        .proc_title_template
        .replace("{title}", "ostraka")
        .replace("{listen-addr}", &listens_at)
        .replace("{server-mode}", "")
        .replace("{port}", &port)
        .replace("{tls-port}", "0")
        .replace("{unixsocket}", &unix_socket)
        .replace("{config-file}", &path(file));
    process::set_title(title.trim_end());
}

// ---- the end

/// Waits for the loops and cleans up. The data is left to the kernel.
fn end(running: Running, supervisor: Option<Supervisor>, pidfile: Option<&Path>) {
    let server = running.server;
    running.join();
    notify(supervisor, "STOPPING=1\n");
    if let Some(path) = pidfile {
        log::notice(format_args!("Removing the pid file."));
        remove(path);
    }
    let settings = server.config.settings();
    if let Some(path) = &settings.unixsocket {
        log::notice(format_args!("Removing the unix socket file."));
        remove(&settings.dir.join(path));
    }
    log::warning(format_args!("Redis is now ready to exit, bye bye..."));
}

fn remove(path: &Path) {
    if let Err(error) = process::remove(path) {
        log::warning(format_args!(
            "Error removing {}: {}",
            path.display(),
            files::reason(&error)
        ));
    }
}

/// What a crash report says about the server. Runs in a signal handler.
fn describe(out: &mut dyn Write) -> fmt::Result {
    let Some(server) = SERVER.get() else {
        return Ok(());
    };
    let (ours, redis) = (version::OSTRAKA, version::REDIS);
    writeln!(out, "\n------ SERVER ------")?;
    writeln!(out, "ostraka_version:{ours}\nredis_version:{redis}")?;
    writeln!(out, "executable:{}", server.identity.executable)?;
    writeln!(
        out,
        "run_id:{}\nshards:{}",
        server.identity.run_id,
        server.loops.len()
    )?;
    writeln!(out, "\n------ LAST COMMANDS, LATEST FIRST ------")?;
    for (home, handle) in server.loops.iter().enumerate() {
        write!(out, "loop-{home}:")?;
        for id in handle.recent.latest_first() {
            let name = server.commands.rows().get(id).map_or("?", |row| row.name);
            write!(out, " {name}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}
