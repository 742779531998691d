//! `# Commandstats`, `# Errorstats`, `# Latencystats`: one line per command or error that there was.

use std::fmt::Write as _;

use super::{Facts, TO_MEMORY, ratio};
use crate::command::Command;
use crate::stats::CommandStats;

fn rows<'f>(f: &'f Facts<'_>) -> impl Iterator<Item = (&'static Command, &'f CommandStats)> {
    let rows = f.server.commands.rows().iter();
    rows.map(|row| (*row, f.stats.command(row.id())))
}

/// `cmdstat_get:calls=2,usec=5,usec_per_call=2.50,rejected_calls=0,failed_calls=0`
pub fn calls(f: &Facts<'_>, text: &mut String) {
    for (row, stats) in rows(f) {
        let (calls, usec) = (stats.calls.get(), stats.nanos.get() / 1000);
        let (rejected, failed) = (stats.rejected.get(), stats.failed.get());
        if calls + rejected + failed > 0 {
            write!(
                text,
                "cmdstat_{}:calls={calls},usec={usec},usec_per_call={:.2},rejected_calls={rejected},\
                 failed_calls={failed}\r\n",
                row.name,
                ratio(usec, calls)
            )
            .expect(TO_MEMORY);
        }
    }
}

/// `errorstat_ERR:count=3`
pub fn errors(f: &Facts<'_>, text: &mut String) {
    for (code, count) in f.server.errors().iter() {
        write!(text, "errorstat_{code}:count={count}\r\n").expect(TO_MEMORY);
    }
}

/// `latency_percentiles_usec_get:p50=1.003,p99=8.031,p99.9=9.023`
pub fn latencies(f: &Facts<'_>, text: &mut String) {
    for (row, stats) in rows(f) {
        let Some(histogram) = stats.latency().filter(|histogram| histogram.count() > 0) else {
            continue;
        };
        let percentiles = f.settings.latency_tracking_info_percentiles.iter();
        let values: Vec<_> = percentiles
            .map(|&percentile| {
                let usec = histogram.percentile(percentile) as f64 / 1000.0;
                format!("p{percentile}={usec:.3}")
            })
            .collect();
        let values = values.join(",");
        write!(text, "latency_percentiles_usec_{}:{values}\r\n", row.name).expect(TO_MEMORY);
    }
}
