//! What the server measures about itself ten times a second: rates, peak memory, how busy its loops are.
//!
//! Loop 0 takes the samples in its chores; a rate is the mean of the last 16. Nothing here is touched by commands
//! but INFO and MEMORY.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::os::allocator;
use crate::server::Server;
use crate::stats::LoopStats;

/// Samples that a rate is the mean of.
const SAMPLES: usize = 16;

/// The measurements of a server.
pub struct Vitals {
    /// Memory in use when the server had started, and the most that was ever seen.
    pub startup_bytes: u64,
    peak_bytes: AtomicU64,
    rates: Mutex<Rates>,
}

/// Rates per second.
#[derive(Clone, Default)]
pub struct Rates {
    sampled_at_ns: u64,
    pub commands: Rate,
    pub input_bytes: Rate,
    pub output_bytes: Rate,
    pub cycles: Rate,
    /// Nanoseconds that each loop worked.
    pub busy_ns: Vec<Rate>,
}

/// A counter's growth per second.
#[derive(Clone, Default)]
pub struct Rate {
    counted: u64,
    samples: [u64; SAMPLES],
    next: usize,
}

impl Rate {
    fn add(&mut self, counted: u64, elapsed_ns: u64) {
        // A counter that fell was reset.
        let grown = counted.saturating_sub(self.counted);
        self.counted = counted;
        let per_second = u128::from(grown) * 1_000_000_000 / u128::from(elapsed_ns.max(1));
        self.samples[self.next] = per_second as u64;
        self.next = (self.next + 1) % SAMPLES;
    }

    pub fn per_second(&self) -> u64 {
        self.samples.iter().sum::<u64>() / SAMPLES as u64
    }
}

impl Vitals {
    pub fn new(loops: usize) -> Self {
        let bytes = allocator::snapshot().allocated;
        Self {
            startup_bytes: bytes,
            peak_bytes: AtomicU64::new(bytes),
            rates: Mutex::new(Rates {
                busy_ns: vec![Rate::default(); loops],
                ..Rates::default()
            }),
        }
    }

    /// Rates as of the last sample.
    pub fn rates(&self) -> Rates {
        self.lock().clone()
    }

    /// The most memory that was ever seen in use, with `now` in use.
    pub fn peak_bytes(&self, now: u64) -> u64 {
        self.peak_bytes.fetch_max(now, Relaxed).max(now)
    }

    fn lock(&self) -> MutexGuard<'_, Rates> {
        self.rates.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a sample.
pub fn sample(server: &Server, now_ns: u64) {
    server.vitals.peak_bytes(server.heap.used());
    let mut rates = server.vitals.lock();
    let elapsed_ns = now_ns.saturating_sub(rates.sampled_at_ns);
    let first = rates.sampled_at_ns == 0;
    rates.sampled_at_ns = now_ns;
    if first {
        return;
    }
    let total = |counter: fn(&LoopStats) -> u64| {
        server
            .loops
            .iter()
            .map(|handle| counter(&handle.stats))
            .sum()
    };
    let commands = total(|stats| stats.commands_processed.get());
    rates.commands.add(commands, elapsed_ns);
    let input = total(|stats| stats.net_input_bytes.get());
    rates.input_bytes.add(input, elapsed_ns);
    let output = total(|stats| stats.net_output_bytes.get());
    rates.output_bytes.add(output, elapsed_ns);
    let cycles = total(|stats| stats.eventloop_cycles.get());
    rates.cycles.add(cycles, elapsed_ns);
    for (rate, handle) in rates.busy_ns.iter_mut().zip(&server.loops) {
        rate.add(handle.stats.eventloop_ns.get(), elapsed_ns);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_survives_a_reset_of_its_counter() {
        let mut rate = Rate::default();
        for n in 1..=SAMPLES as u64 {
            rate.add(n * 50, 100_000_000);
        }
        assert_eq!(rate.per_second(), 500);
        rate.add(10, 100_000_000);
        assert!(rate.per_second() < 500);
    }
}
