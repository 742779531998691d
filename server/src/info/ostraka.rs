//! `# Ostraka`: what only this server has.

use super::{Facts, fields};
use crate::version;

fields! { f =>
    "ostraka_name" = "ostraka",
    "ostraka_version" = version::OSTRAKA,
    "shards" = f.server.loops.len(),
    "cells" = f.server.router.cells(),
    "expire_lag_ms_p50" = f.server.lag.percentile(50.0),
    "expire_lag_ms_p99" = f.server.lag.percentile(99.0),
    "expire_lag_ms_max" = f.server.lag.max(),
    "cell_jobs_parked" = f.server.cells.counts().parked,
    "cell_jobs_lent" = f.server.cells.counts().lent,
    "cell_jobs_drained" = f.server.cells.counts().drained,
    "cell_inboxes_handed_over" = f.server.cells.counts().handed_over,
    "blocking_escalations" = f.stats.escalations.get(),
    "loop_wakeups" = f.stats.wakeups.get(),
    "loop_utilisation" = utilisation(f),
}

/// The share of time that each loop worked lately, separated by commas.
fn utilisation(f: &Facts<'_>) -> String {
    let shares = f.rates.busy_ns.iter();
    let shares = shares.map(|rate| format!("{:.2}", rate.per_second() as f64 / 1e9));
    shares.collect::<Vec<_>>().join(",")
}
