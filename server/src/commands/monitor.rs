//! MONITOR.

use crate::call::{Call, Outcome};
use crate::command::row::*;

pub static ROWS: &[&Command] = &[&MONITOR];

command! { MONITOR =
    name: "monitor", run: monitor, arity: 1, flags: ADMIN | NOSCRIPT | LOADING | STALE,
    group: Group::Server, since: "1.0.0",
    summary: "Listens for all requests received by the server in real-time.",
}

fn monitor(c: &mut Call<'_>) -> Outcome {
    if !c.session.monitor {
        c.session.set_monitor(true);
        c.server.monitors.add(c.server, c.session.record.origin());
    }
    c.reply.ok();
    Ok(())
}
