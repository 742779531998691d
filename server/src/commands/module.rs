//! MODULE: there are none, and none can be loaded.

use super::command::help;
use super::debug::not_allowed;
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;

pub static ROWS: &[&Command] = &[&MODULE];

command! { MODULE =
    name: "module", arity: -2, group: Group::Server, since: "4.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for module commands.",
    subcommands: &[&MODULE_HELP, &MODULE_LIST, &MODULE_LOAD, &MODULE_LOADEX, &MODULE_UNLOAD],
}

command! { MODULE_LIST =
    name: "module|list", run: module_list, arity: 2, flags: ADMIN | NOSCRIPT, group: Group::Server,
    since: "4.0.0", complexity: "O(N) where N is the number of loaded modules.",
    summary: "Returns all loaded modules.", tips: &["nondeterministic_output_order"],
}

fn module_list(c: &mut Call<'_>) -> Outcome {
    c.reply.array(0);
    Ok(())
}

command! { MODULE_LOAD =
    name: "module|load", run: refuse, arity: -3,
    flags: ADMIN | NOSCRIPT | NO_ASYNC_LOADING | PROTECTED, group: Group::Server, since: "4.0.0",
    complexity: "O(1)",
    summary: "Loads a module.", syntax: "path<string> [arg<string>...]",
}

command! { MODULE_LOADEX =
    name: "module|loadex", run: refuse, arity: -3,
    flags: ADMIN | NOSCRIPT | NO_ASYNC_LOADING | PROTECTED, group: Group::Server, since: "7.0.0",
    complexity: "O(1)",
    summary: "Loads a module using extended parameters.",
    syntax: "path<string> [CONFIG... configs{name<string> value<string>}...] \
        [ARGS args<string>...]",
}

command! { MODULE_UNLOAD =
    name: "module|unload", run: refuse, arity: 3,
    flags: ADMIN | NOSCRIPT | NO_ASYNC_LOADING | PROTECTED, group: Group::Server, since: "4.0.0",
    complexity: "O(1)",
    summary: "Unloads a module.", syntax: "name<string>",
}

fn refuse(c: &mut Call<'_>) -> Outcome {
    let allowed = c.db.exec.settings.get("enable-module-command");
    match &*allowed {
        b"yes" => {}
        b"local" if c.session.record.is_local() => {}
        _ => return Err(not_allowed("MODULE", "enable-module-command")),
    }
    Err(Fault::err("this server does not load modules"))
}

command! { MODULE_HELP =
    name: "module|help", run: help, arity: 2, flags: LOADING | STALE, group: Group::Server,
    since: "5.0.0", complexity: "O(1)",
    summary: "Returns helpful text about the different subcommands.",
}
