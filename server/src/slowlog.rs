//! The command logs: calls that took long (SLOWLOG), and calls with a large request or reply (COMMANDLOG).
//!
//! One log of each kind for the whole server, behind a mutex that nobody touches unless a call is beyond a
//! threshold. The common case is [`Thresholds`], which each loop derives from the settings when they change: the
//! engine compares a call with two numbers, and only a call beyond one of them is looked at in detail here.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::call::Args;
use crate::command::Command;
use crate::command::flag::SKIP_SLOWLOG;
use crate::config::Settings;
use crate::executor::Executor;
use crate::latency;
use crate::session::Session;

/// Arguments of a call that an entry keeps, and bytes of each.
const ARGS_MAX: usize = 32;
const ARG_BYTES_MAX: usize = 128;

/// A call that takes longer than this makes the next one read the wall clock again.
const STALE_AFTER_NS: u64 = 500_000;

/// What a log collects, and by what unit its entries are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Microseconds.
    Slow,
    /// Bytes of the request.
    LargeRequest,
    /// Bytes of the reply.
    LargeReply,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Slow, Kind::LargeRequest, Kind::LargeReply];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Slow => "slow",
            Kind::LargeRequest => "large-request",
            Kind::LargeReply => "large-reply",
        }
    }

    /// From how much on a call is logged (`None`: never), and how many of them are kept.
    fn limits(self, settings: &Settings) -> (Option<u64>, u64) {
        let (threshold, kept) = match self {
            Kind::Slow => (
                settings.slowlog_log_slower_than_us,
                settings.slowlog_max_len,
            ),
            Kind::LargeRequest => (
                settings.commandlog_request_larger_than,
                settings.commandlog_large_request_max_len,
            ),
            Kind::LargeReply => (
                settings.commandlog_reply_larger_than,
                settings.commandlog_large_reply_max_len,
            ),
        };
        (u64::try_from(threshold).ok(), kept)
    }
}

/// Up to where a call is ordinary.
#[derive(Clone, Copy, Debug)]
pub struct Thresholds {
    /// Nothing looks at a call that took less.
    pub slow_ns: u64,
    /// Nothing looks at the size of a call whose request and reply are smaller together.
    pub large_bytes: u64,
}

impl Thresholds {
    pub fn of(settings: &Settings) -> Self {
        let threshold = |kind: Kind| kind.limits(settings).0.unwrap_or(u64::MAX);
        let spike_ms = match settings.latency_monitor_threshold_ms {
            0 => u64::MAX,
            ms => ms,
        };
        Self {
            slow_ns: threshold(Kind::Slow)
                .saturating_mul(1000)
                .min(spike_ms.saturating_mul(1_000_000))
                .min(STALE_AFTER_NS),
            large_bytes: threshold(Kind::LargeRequest).min(threshold(Kind::LargeReply)),
        }
    }
}

/// What one call took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    pub ns: u64,
    pub request_bytes: u64,
    pub reply_bytes: u64,
}

/// Looks at a call that is beyond a threshold.
#[cold]
pub fn observe(
    exec: &mut Executor,
    command: &'static Command,
    args: Args<'_>,
    session: &Session,
    cost: Cost,
) {
    if cost.ns >= STALE_AFTER_NS {
        exec.refresh_now();
    }
    latency::observe(exec, latency::event_of(command), cost.ns);
    if command.is(SKIP_SLOWLOG) {
        return;
    }
    for kind in Kind::ALL {
        let measure = match kind {
            Kind::Slow => cost.ns / 1000,
            Kind::LargeRequest => cost.request_bytes,
            Kind::LargeReply => cost.reply_bytes,
        };
        let (threshold, kept) = kind.limits(&exec.settings);
        if threshold.is_some_and(|threshold| measure >= threshold) {
            let entry = Entry {
                id: 0,
                time_s: exec.now_ms / 1000,
                measure,
                args: excerpt(command, args),
                address: session.record.address.to_string(),
                name: session.record.names().name.to_string(),
            };
            exec.server.logs.of(kind).add(entry, kept as usize);
        }
    }
}

/// A logged call.
#[derive(Clone, Debug)]
pub struct Entry {
    pub id: u64,
    /// Unix time.
    pub time_s: i64,
    /// In the unit of its kind.
    pub measure: u64,
    /// The call's arguments, shortened.
    pub args: Vec<Vec<u8>>,
    /// The client's, at the time of the call.
    pub address: String,
    pub name: String,
}

/// The arguments as a log shows them: not too many, not too long, and no secrets.
fn excerpt(command: &Command, args: Args<'_>) -> Vec<Vec<u8>> {
    let shown = if args.len() > ARGS_MAX {
        ARGS_MAX - 1
    } else {
        args.len()
    };
    let mut excerpt: Vec<_> = command.shown(args).take(shown).map(shortened).collect();
    if shown < args.len() {
        let more = args.len() - shown;
        excerpt.push(format!("... ({more} more arguments)").into_bytes());
    }
    excerpt
}

fn shortened(arg: &[u8]) -> Vec<u8> {
    if arg.len() <= ARG_BYTES_MAX {
        return arg.to_vec();
    }
    let more = format!("... ({} more bytes)", arg.len() - ARG_BYTES_MAX);
    [&arg[..ARG_BYTES_MAX], more.as_bytes()].concat()
}

/// The logs of a server.
#[derive(Default)]
pub struct Logs([Mutex<Log>; 3]);

impl Logs {
    pub fn of(&self, kind: Kind) -> MutexGuard<'_, Log> {
        self.0[kind as usize]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// The latest calls of one kind.
#[derive(Default)]
pub struct Log {
    next_id: u64,
    /// Oldest first.
    entries: VecDeque<Entry>,
}

impl Log {
    fn add(&mut self, entry: Entry, kept: usize) {
        self.entries.push_back(Entry {
            id: self.next_id,
            ..entry
        });
        self.next_id += 1;
        let beyond = self.entries.len().saturating_sub(kept);
        self.entries.drain(..beyond);
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The latest `count` entries, newest first.
    pub fn latest(&self, count: usize) -> impl ExactSizeIterator<Item = &Entry> {
        let count = count.min(self.entries.len());
        self.entries.range(self.entries.len() - count..).rev()
    }

    /// Ids go on where they were.
    pub fn clear(&mut self) {
        self.entries.clear();
    }
}
