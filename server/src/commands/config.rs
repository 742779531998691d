//! CONFIG: reads and changes the settings, and does in the running server what a change asks for.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use super::command::help;
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::config::row::Effect;
use crate::config::{Caller, Settings, table};
use crate::fault::Fault;
use crate::os::platform::Listener;
use crate::os::{crash, files, usage};
use crate::server::Server;
use crate::task::Mail;
use crate::{eviction, listening, log, process};

pub static ROWS: &[&Command] = &[&CONFIG];

command! { CONFIG =
    name: "config", arity: -2, group: Group::Server, since: "2.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for server configuration commands.",
    subcommands: &[&CONFIG_GET, &CONFIG_HELP, &CONFIG_RESETSTAT, &CONFIG_REWRITE, &CONFIG_SET],
}

command! { CONFIG_GET =
    name: "config|get", run: config_get, arity: -3, flags: ADMIN | NOSCRIPT | LOADING | STALE,
    group: Group::Server, since: "2.0.0",
    complexity: "O(N) when N is the number of configuration parameters provided",
    summary: "Returns the effective values of configuration parameters.",
    syntax: "parameter<string>...",
    history: &[("7.0.0", "Added the ability to pass multiple pattern parameters in one call")],
}

fn config_get(c: &mut Call<'_>) -> Outcome {
    let patterns: Vec<_> = c.args.from(2).iter().collect();
    let found = c.server.config.get(&patterns);
    c.reply.map(found.len());
    for (name, value) in found {
        c.reply.bulk(name.as_bytes());
        c.reply.bulk(&value);
    }
    Ok(())
}

command! { CONFIG_SET =
    name: "config|set", run: config_set, arity: -4, is_secret: config_set_secret, flags: ADMIN | NOSCRIPT | LOADING | STALE,
    group: Group::Server, since: "2.0.0",
    complexity: "O(N) when N is the number of configuration parameters provided",
    summary: "Sets configuration parameters in-flight.",
    syntax: "data{parameter<string> value<string>}...",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
    history: &[("7.0.0", "Added the ability to set multiple parameters in one call.")],
}

/// The value of a directive that holds a secret.
fn config_set_secret(args: Args<'_>, index: usize) -> bool {
    let is_value = index >= 3 && index % 2 == 1;
    is_value && table::lookup(args.at(index - 1)).is_some_and(|row| row.sensitive)
}

fn config_set(c: &mut Call<'_>) -> Outcome {
    if c.args.len() % 2 == 1 {
        return Err(Fault::Syntax);
    }
    let pairs: Vec<_> = (2..c.args.len())
        .step_by(2)
        .map(|name| (c.args.at(name), c.args.at(name + 1)))
        .collect();
    let caller = Caller {
        is_local: c.session.record.is_local(),
        loading: false,
    };
    let server = c.server;
    let mut rebound = None;
    let changed = server
        .config
        .set(&pairs, caller, &mut |effect, old, new| {
            apply(server, effect, old, new, &mut rebound)
        })
        .map_err(|refusal| Fault::Text(refusal.to_string().into()))?;
    if let Some(listeners) = rebound {
        listen(c, listeners)?;
    }
    for row in changed.iter().filter(|row| !row.built) {
        log::warning(format_args!(
            "CONFIG SET {}: the value is kept, but this server does not use it yet",
            row.name
        ));
    }
    c.db.exec.catch_up();
    if changed
        .iter()
        .any(|row| row.effect == Some(Effect::MemoryLimit))
    {
        eviction::watch(c.db.exec);
    }
    c.reply.ok();
    Ok(())
}

/// Does what a changed directive asks for, or refuses. New listeners are left in `rebound`.
fn apply(
    server: &Server,
    effect: Effect,
    old: &Settings,
    new: &Settings,
    rebound: &mut Option<Vec<Listener>>,
) -> Result<(), String> {
    match effect {
        Effect::Bind | Effect::Port => {
            let listeners = listening::rebind(new, &server.listeners());
            *rebound = Some(listeners.map_err(|error| {
                log::warning(format_args!("Could not listen elsewhere: {error}"));
                refusal_to_listen(effect).to_owned()
            })?);
        }
        Effect::ClientLimit => allow_clients(old, new)?,
        Effect::Directory => files::enter(&new.dir).map_err(|error| files::reason(&error))?,
        Effect::MemoryLimit => warn_of_memory_limit(server, new),
        Effect::LogLevel => log::set_level(new.loglevel),
        Effect::ProcessTitle => process::set_title(new, server.config.file().map(PathBuf::as_path)),
        Effect::CrashLog => crash::enable(new.crash_log_enabled),
        Effect::OomScore => process::set_oom_score(new)?,
        // Looked up whenever it is needed.
        Effect::Password => {}
    }
    Ok(())
}

fn refusal_to_listen(effect: Effect) -> &'static str {
    match effect {
        Effect::Bind => "Failed to bind to specified addresses.",
        _ => "Unable to listen on this port. Check server logs.",
    }
}

/// Hands new listeners to the loop that accepts. They are open already: nobody who connects from now on is refused.
fn listen(c: &mut Call<'_>, listeners: Vec<Listener>) -> Outcome {
    let others = listening::clones(&listeners).map_err(Fault::err)?;
    c.server.listen_on(others);
    c.db.exec.post(0, Mail::Listen(listeners));
    Ok(())
}

fn allow_clients(old: &Settings, new: &Settings) -> Result<(), String> {
    if new.maxclients <= old.maxclients {
        return Ok(());
    }
    let others = process::other_files(new);
    let wanted = u64::from(new.maxclients) + others;
    let allowed = usage::allow_open_files(wanted).map_err(|error| files::reason(&error))?;
    if allowed < wanted {
        let clients = allowed.saturating_sub(others);
        return Err(format!(
            "The operating system is not able to handle the specified number of clients, try with {clients}"
        ));
    }
    Ok(())
}

fn warn_of_memory_limit(server: &Server, new: &Settings) {
    let used = server.heap.used();
    if new.maxmemory != 0 && new.maxmemory < used {
        log::warning(format_args!(
            "WARNING: the new maxmemory value set via CONFIG SET ({}) is smaller than the current memory usage \
             ({used}). This will result in key eviction and/or the inability to accept new write commands depending \
             on the maxmemory-policy.",
            new.maxmemory
        ));
    }
}

command! { CONFIG_REWRITE =
    name: "config|rewrite", run: config_rewrite, arity: 2,
    flags: ADMIN | NOSCRIPT | LOADING | STALE, group: Group::Server, since: "2.8.0",
    complexity: "O(1)",
    summary: "Persists the effective configuration to file.",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
}

fn config_rewrite(c: &mut Call<'_>) -> Outcome {
    rewrite(c, false)
}

/// Writes the settings to their file; with `all`, defaults as well.
pub fn rewrite(c: &mut Call<'_>, all: bool) -> Outcome {
    let written = c.server.config.rewrite(all);
    written.map_err(|refusal| Fault::Text(refusal.to_string().into()))?;
    log::notice(format_args!("CONFIG REWRITE executed with success."));
    c.reply.ok();
    Ok(())
}

command! { CONFIG_RESETSTAT =
    name: "config|resetstat", run: config_resetstat, arity: 2,
    flags: ADMIN | NOSCRIPT | LOADING | STALE, group: Group::Server, since: "2.0.0",
    complexity: "O(1)",
    summary: "Resets the server's statistics.",
    tips: &["request_policy:all_nodes", "response_policy:all_succeeded"],
}

fn config_resetstat(c: &mut Call<'_>) -> Outcome {
    c.server.stats_generation.fetch_add(1, Ordering::Relaxed);
    c.server.errors().clear();
    c.server.lag.zero();
    c.db.exec.catch_up();
    c.reply.ok();
    Ok(())
}

command! { CONFIG_HELP =
    name: "config|help", run: help, arity: 2, flags: LOADING | STALE, group: Group::Server,
    since: "5.0.0", complexity: "O(1)",
    summary: "Returns helpful text about the different subcommands.",
}
