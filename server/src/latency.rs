//! Latency spikes: events that took longer than `latency-monitor-threshold`, by what they were.
//!
//! For each kind of event the worst spike of each of the last 160 seconds that had one is kept, and the worst of
//! all time. Nothing is recorded, and no lock touched, as long as nothing exceeds the threshold.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::command::Command;
use crate::command::flag::FAST;
use crate::executor::Executor;

/// Samples kept of each event.
const SAMPLES_MAX: usize = 160;

/// What is measured besides commands, as LATENCY names it.
pub const EXPIRE_CYCLE: &str = "expire-cycle";

/// The event that a call of `command` counts as.
pub fn event_of(command: &Command) -> &'static str {
    if command.is(FAST) {
        "fast-command"
    } else {
        "command"
    }
}

/// Records an event if it is a spike.
pub fn observe(exec: &Executor, event: &'static str, took_ns: u64) {
    let threshold_ms = exec.settings.latency_monitor_threshold_ms;
    let took_ms = took_ns / 1_000_000;
    if threshold_ms != 0 && took_ms >= threshold_ms {
        exec.server
            .spikes
            .events()
            .entry(event)
            .or_default()
            .add(exec.now_ms / 1000, took_ms);
    }
}

/// All events of a server that had spikes.
#[derive(Default)]
pub struct Spikes(Mutex<BTreeMap<&'static str, Event>>);

impl Spikes {
    pub fn events(&self) -> MutexGuard<'_, BTreeMap<&'static str, Event>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The worst spike of one second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Unix time.
    pub time_s: i64,
    pub took_ms: u64,
}

/// The spikes of one kind of event.
#[derive(Clone, Debug, Default)]
pub struct Event {
    /// Oldest first; never empty.
    samples: VecDeque<Sample>,
    pub worst_ms: u64,
}

impl Event {
    fn add(&mut self, time_s: i64, took_ms: u64) {
        self.worst_ms = self.worst_ms.max(took_ms);
        if let Some(last) = self.samples.back_mut()
            && last.time_s == time_s
        {
            last.took_ms = last.took_ms.max(took_ms);
            return;
        }
        self.samples.push_back(Sample { time_s, took_ms });
        if self.samples.len() > SAMPLES_MAX {
            self.samples.pop_front();
        }
    }

    pub fn samples(&self) -> impl ExactSizeIterator<Item = Sample> + Clone + '_ {
        self.samples.iter().copied()
    }

    pub fn latest(&self) -> Sample {
        *self.samples.back().expect("an event has a sample")
    }

    /// Mean of the samples, and mean distance from it, in ms.
    pub fn average(&self) -> (u64, u64) {
        let mean_of = |values: &mut dyn Iterator<Item = u64>| {
            values.sum::<u64>() / self.samples.len().max(1) as u64
        };
        let mean = mean_of(&mut self.samples().map(|sample| sample.took_ms));
        let deviation = mean_of(&mut self.samples().map(|sample| sample.took_ms.abs_diff(mean)));
        (mean, deviation)
    }

    /// Lowest and highest sample, in ms.
    pub fn range(&self) -> (u64, u64) {
        let values = self.samples().map(|sample| sample.took_ms);
        (values.clone().min().unwrap_or(0), values.max().unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sample_per_second_and_not_too_many() {
        let mut event = Event::default();
        for time_s in 0..200 {
            event.add(time_s, 10);
            event.add(time_s, 30);
            event.add(time_s, 20);
        }
        assert_eq!(event.samples().len(), SAMPLES_MAX);
        assert_eq!(event.range(), (30, 30));
        assert_eq!(
            event.latest(),
            Sample {
                time_s: 199,
                took_ms: 30
            }
        );
        assert_eq!((event.worst_ms, event.average()), (30, (30, 0)));
    }
}
