//! LATENCY: spikes as they were recorded, drawn and discussed; and the histograms of all commands.

use std::fmt::Write as _;

use super::command::help;
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::latency::{Event, Sample};
use crate::stats;

pub static ROWS: &[&Command] = &[&LATENCY];

const TO_MEMORY: &str = "writing to memory does not fail";

command! { LATENCY =
    name: "latency", arity: -2, group: Group::Server, since: "2.8.13",
    complexity: "Depends on subcommand.",
    summary: "A container for latency diagnostics commands.",
    subcommands: &[
        &LATENCY_DOCTOR, &LATENCY_GRAPH, &LATENCY_HELP, &LATENCY_HISTOGRAM, &LATENCY_HISTORY,
        &LATENCY_LATEST, &LATENCY_RESET,
    ],
}

command! { LATENCY_LATEST =
    name: "latency|latest", run: latency_latest, arity: 2,
    flags: ADMIN | NOSCRIPT | LOADING | STALE, group: Group::Server, since: "2.8.13",
    complexity: "O(1)",
    summary: "Returns the latest latency samples for all events.",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
}

fn latency_latest(c: &mut Call<'_>) -> Outcome {
    let events = c.server.spikes.events();
    c.reply.array(events.len());
    for (name, event) in events.iter() {
        let Sample { time_s, took_ms } = event.latest();
        c.reply.array(4);
        c.reply.bulk(name.as_bytes());
        c.reply.integer(time_s);
        c.reply.integer(took_ms as i64);
        c.reply.integer(event.worst_ms as i64);
    }
    Ok(())
}

/// The event that argument 2 names.
fn event(c: &Call<'_>) -> Option<Event> {
    let name = std::str::from_utf8(c.args.at(2)).ok()?;
    c.server.spikes.events().get(name).cloned()
}

command! { LATENCY_HISTORY =
    name: "latency|history", run: latency_history, arity: 3,
    flags: ADMIN | NOSCRIPT | LOADING | STALE, group: Group::Server, since: "2.8.13",
    complexity: "O(1)",
    summary: "Returns timestamp-latency samples for an event.", syntax: "event<string>",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
}

fn latency_history(c: &mut Call<'_>) -> Outcome {
    let event = event(c).unwrap_or_default();
    c.reply.array(event.samples().len());
    for sample in event.samples() {
        c.reply.array(2);
        c.reply.integer(sample.time_s);
        c.reply.integer(sample.took_ms as i64);
    }
    Ok(())
}

command! { LATENCY_RESET =
    name: "latency|reset", run: latency_reset, arity: -2, flags: ADMIN | NOSCRIPT | LOADING | STALE,
    group: Group::Server, since: "2.8.13", complexity: "O(1)",
    summary: "Resets the latency data for one or more events.", syntax: "[event<string>...]",
    tips: &["request_policy:all_nodes", "response_policy:agg_sum"],
}

fn latency_reset(c: &mut Call<'_>) -> Outcome {
    let mut events = c.server.spikes.events();
    let before = events.len();
    if c.args.len() == 2 {
        events.clear();
    } else {
        let named = |event: &str| {
            c.args
                .from(2)
                .iter()
                .any(|name| name.eq_ignore_ascii_case(event.as_bytes()))
        };
        events.retain(|event, _| !named(event));
    }
    c.reply.integer((before - events.len()) as i64);
    Ok(())
}

command! { LATENCY_GRAPH =
    name: "latency|graph", run: latency_graph, arity: 3, flags: ADMIN | NOSCRIPT | LOADING | STALE,
    group: Group::Server, since: "2.8.13", complexity: "O(1)",
    summary: "Returns a latency graph for an event.", syntax: "event<string>",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
}

fn latency_graph(c: &mut Call<'_>) -> Outcome {
    let name = String::from_utf8_lossy(c.args.at(2)).into_owned();
    let event = event(c)
        .ok_or_else(|| Fault::err(format_args!("No samples available for event '{name}'")))?;
    let graph = graph(&name, &event, c.db.now_ms() / 1000);
    c.reply.verbatim(b"txt", graph.as_bytes());
    Ok(())
}

/// Rows of a graph, and heights that a row can tell apart.
const GRAPH_ROWS: u64 = 4;
const HEIGHTS: &[u8] = b"_o#";

/// One column per sample, oldest first, with its age below it, read downwards.
fn graph(name: &str, event: &Event, now_s: i64) -> String {
    let (low, high) = event.range();
    let mut text = format!(
        "{name} - high {high} ms, low {low} ms (all time high {} ms)\n{}\n",
        event.worst_ms,
        "-".repeat(80)
    );
    let steps = GRAPH_ROWS * HEIGHTS.len() as u64;
    let height = |sample: Sample| {
        ((sample.took_ms - low) * steps / (high - low).max(1)).min(steps - 1) as usize
    };
    for row in (0..GRAPH_ROWS as usize).rev() {
        text.extend(event.samples().map(|sample| {
            let (full, part) = (
                height(sample) / HEIGHTS.len(),
                height(sample) % HEIGHTS.len(),
            );
            match full.cmp(&row) {
                std::cmp::Ordering::Less => ' ',
                std::cmp::Ordering::Equal => HEIGHTS[part] as char,
                std::cmp::Ordering::Greater => '|',
            }
        }));
        text.push('\n');
    }
    text.extend(event.samples().map(|_| ' '));
    text.push('\n');
    let ages: Vec<_> = event.samples().map(|s| age(now_s - s.time_s)).collect();
    let longest = ages.iter().map(String::len).max().unwrap_or(0);
    for line in 0..longest {
        text.extend(ages.iter().map(|age| age.chars().nth(line).unwrap_or(' ')));
        text.push('\n');
    }
    text
}

/// `5s`, `10m`, `3h`, `2d`
fn age(seconds: i64) -> String {
    match seconds {
        ..60 => format!("{}s", seconds.max(0)),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

command! { LATENCY_DOCTOR =
    name: "latency|doctor", run: latency_doctor, arity: 2,
    flags: ADMIN | NOSCRIPT | LOADING | STALE, group: Group::Server, since: "2.8.13",
    complexity: "O(1)",
    summary: "Returns a human-readable latency analysis report.",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
}

fn latency_doctor(c: &mut Call<'_>) -> Outcome {
    let threshold_ms = c.db.exec.settings.latency_monitor_threshold_ms;
    let report = report(c, threshold_ms);
    c.reply.verbatim(b"txt", report.as_bytes());
    Ok(())
}

fn report(c: &Call<'_>, threshold_ms: u64) -> String {
    let events = c.server.spikes.events();
    if threshold_ms == 0 && events.is_empty() {
        return "Latency monitoring is disabled in this instance. You may use \"CONFIG SET \
            latency-monitor-threshold <milliseconds>.\" in order to enable it.\n"
            .to_owned();
    }
    if events.is_empty() {
        return format!("No latency spike of {threshold_ms} ms or more was observed so far.\n");
    }
    let mut text = "Latency spikes were observed in this instance.\n\n".to_owned();
    for (number, (name, event)) in events.iter().enumerate() {
        let (mean, deviation) = event.average();
        let count = event.samples().len();
        writeln!(
            text,
            "{}. {name}: {count} latency spikes (average {mean}ms, mean deviation {deviation}ms). Worst all time \
             event {}ms.",
            number + 1,
            event.worst_ms
        )
        .expect(TO_MEMORY);
    }
    text.push_str("\nWhat to look at:\n\n");
    let advice = [
        (
            "command",
            "SLOWLOG GET shows the commands that took long, with their arguments.",
        ),
        (
            "fast-command",
            "Commands that are always fast were late: the machine was busy with something else, or swaps.",
        ),
        (
            "expire-cycle",
            "Large values expired. Free them in the background: CONFIG SET lazyfree-lazy-expire yes.",
        ),
    ];
    for (name, advice) in advice {
        if events.contains_key(name) {
            writeln!(text, "- {name}: {advice}").expect(TO_MEMORY);
        }
    }
    text
}

command! { LATENCY_HISTOGRAM =
    name: "latency|histogram", run: latency_histogram, arity: -2,
    flags: ADMIN | NOSCRIPT | LOADING | STALE, group: Group::Server, since: "7.0.0",
    complexity: "O(N) where N is the number of commands with latency information being retrieved.",
    summary: "Returns the cumulative distribution of latencies of a subset or all commands.",
    syntax: "[command<string>...]",
    tips: &["nondeterministic_output", "request_policy:all_nodes", "response_policy:special"],
}

/// Commands that were called, or those of them that are named; a container stands for its subcommands.
fn latency_histogram(c: &mut Call<'_>) -> Outcome {
    let names = c.args.from(2);
    let mut rows: Vec<&Command> = Vec::new();
    if names.len() == 0 {
        rows.extend(c.server.commands.rows());
    }
    for row in names
        .iter()
        .filter_map(|name| c.server.commands.find_name(name))
    {
        let subcommands = row.subcommands.iter().copied();
        rows.extend(std::iter::once(row).chain(subcommands));
    }
    let stats = stats::sum(
        c.server.loops.iter().map(|handle| &handle.stats),
        c.server.commands.len(),
        &c.server.stats_generation,
    );
    let reply = c.reply.deferred_map();
    let mut shown = 0;
    for row in rows {
        let histogram = stats.command(row.id()).latency();
        let Some(histogram) = histogram.filter(|histogram| histogram.count() > 0) else {
            continue;
        };
        shown += 1;
        let buckets = histogram.cumulative_by_power_of_two(1000);
        c.reply.bulk(row.name.as_bytes());
        c.reply.map(2);
        c.reply.bulk(b"calls");
        c.reply.integer(histogram.count() as i64);
        c.reply.bulk(b"histogram_usec");
        c.reply.map(buckets.len());
        for (bound_us, count) in buckets {
            c.reply.integer(bound_us as i64);
            c.reply.integer(count as i64);
        }
    }
    c.reply.close(reply, shown);
    Ok(())
}

command! { LATENCY_HELP =
    name: "latency|help", run: help, arity: 2, flags: LOADING | STALE, group: Group::Server,
    since: "2.8.13", complexity: "O(1)",
    summary: "Returns helpful text about the different subcommands.",
}
