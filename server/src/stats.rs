//! Counters: always on, written by one loop, read by anybody.
//!
//! Every loop owns one [`LoopStats`]; INFO adds them up. A counter has a single writer, so it is a plain
//! load and store (no locked instruction). CONFIG RESETSTAT raises a generation: each loop zeroes its own
//! counters when it next looks, and a reader takes a loop that has not looked yet for zero.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number with one writer.
#[derive(Default)]
pub struct Counter(AtomicU64);

impl Counter {
    #[inline]
    pub fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    #[inline]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    pub fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    /// Keeps the larger of the stored number and `n`.
    pub fn raise_to(&self, n: u64) {
        if n > self.get() {
            self.set(n);
        }
    }
}

macro_rules! loop_stats {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// What one loop counted since the last CONFIG RESETSTAT.
        pub struct LoopStats {
            generation: AtomicU64,
            commands: Box<[CommandStats]>,
            $($(#[$doc])* pub $name: Counter,)*
        }

        impl LoopStats {
            pub fn new(commands: usize) -> Self {
                Self {
                    generation: AtomicU64::new(0),
                    commands: (0..commands).map(|_| CommandStats::default()).collect(),
                    $($name: Counter::default(),)*
                }
            }

            fn zero(&self) {
                self.commands.iter().for_each(CommandStats::zero);
                $(self.$name.set(0);)*
            }

            /// Adds this loop's counters to `sum`.
            fn add_to(&self, sum: &LoopStats) {
                $(sum.$name.add(self.$name.get());)*
                for (from, to) in self.commands.iter().zip(&sum.commands) {
                    from.add_to(to);
                }
            }
        }
    };
}

loop_stats! {
    connections_received,
    connections_rejected,
    commands_processed,
    net_input_bytes,
    net_output_bytes,
    keyspace_hits,
    keyspace_misses,
    expired_keys,
    /// Fields of hashes.
    expired_fields,
    evicted_keys,
    /// Closed because of `maxmemory-clients`.
    evicted_clients,
    lazyfreed_objects,
    /// Errors replied, of any code.
    error_replies,
    /// Read events and write events served, as INFO names them.
    reads_processed,
    writes_processed,
    client_output_limit_disconnections,
    client_query_limit_disconnections,
    auth_denied,
    /// Rounds of active expiry that ended because their time was up, and the nanoseconds spent in all rounds.
    expire_rounds_cut,
    expire_ns,
    /// Turns of the event loop, and the nanoseconds spent in them without the wait.
    eventloop_cycles,
    eventloop_ns,
    /// Commands that found a cell held and were left in its inbox.
    cell_parked,
    /// Cells lent to a task that waits for a higher one.
    cell_lent,
    /// Jobs of other loops executed while putting a cell down.
    cell_drained,
    /// Inboxes handed to the cell's owner because the drain took too long.
    cell_handed_over,
    /// Commands run with more cells for the sake of a client that waits.
    escalations,
    /// Sleeping loops woken for a reply.
    wakeups,
}

/// One command, as INFO commandstats and LATENCY HISTOGRAM show it.
#[derive(Default)]
pub struct CommandStats {
    pub calls: Counter,
    pub nanos: Counter,
    pub rejected: Counter,
    pub failed: Counter,
    latency: OnceLock<Box<Histogram>>,
}

impl CommandStats {
    /// A finished call that took `nanos`; `tracked` in the histogram as well.
    #[inline]
    pub fn record(&self, nanos: u64, tracked: bool) {
        self.calls.add(1);
        self.nanos.add(nanos);
        if tracked {
            self.latency.get_or_init(Box::default).record(nanos);
        }
    }

    pub fn latency(&self) -> Option<&Histogram> {
        self.latency.get().map(|histogram| &**histogram)
    }

    fn zero(&self) {
        for counter in [&self.calls, &self.nanos, &self.rejected, &self.failed] {
            counter.set(0);
        }
        if let Some(histogram) = self.latency.get() {
            histogram.zero();
        }
    }

    fn add_to(&self, sum: &Self) {
        sum.calls.add(self.calls.get());
        sum.nanos.add(self.nanos.get());
        sum.rejected.add(self.rejected.get());
        sum.failed.add(self.failed.get());
        if let Some(histogram) = self.latency.get() {
            histogram.add_to(sum.latency.get_or_init(Box::default));
        }
    }
}

impl LoopStats {
    #[inline]
    pub fn command(&self, id: usize) -> &CommandStats {
        &self.commands[id]
    }

    /// Zeroes the counters if somebody asked for it since the last look. Called by the owner only.
    #[inline]
    pub fn catch_up(&self, generation: &AtomicU64) {
        let wanted = generation.load(Relaxed);
        if self.generation.load(Relaxed) != wanted {
            self.zero();
            self.generation.store(wanted, Relaxed);
        }
    }
}

/// The sum over all loops.
pub fn sum<'a>(
    loops: impl Iterator<Item = &'a LoopStats>,
    commands: usize,
    generation: &AtomicU64,
) -> LoopStats {
    let total = LoopStats::new(commands);
    let current = generation.load(Relaxed);
    loops
        .filter(|stats| stats.generation.load(Relaxed) == current)
        .for_each(|stats| stats.add_to(&total));
    total
}

/// Sub-buckets per power of two: a relative error of at most 1/16.
const SUB_BITS: u32 = 4;
const BUCKETS: usize = (64 - SUB_BITS as usize) << SUB_BITS;

/// A log-linear histogram of nanoseconds (as HdrHistogram with one and a half significant digits).
pub struct Histogram {
    buckets: [Counter; BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            buckets: std::array::from_fn(|_| Counter::default()),
        }
    }
}

impl Histogram {
    #[inline]
    pub fn record(&self, value: u64) {
        self.buckets[Self::index(value)].add(1);
    }

    #[inline]
    fn index(value: u64) -> usize {
        let magnitude = (value >> SUB_BITS).checked_ilog2().map_or(0, |log| log + 1);
        if magnitude == 0 {
            return value as usize;
        }
        let sub = (value >> (magnitude - 1)) as usize & ((1 << SUB_BITS) - 1);
        ((magnitude as usize) << SUB_BITS) | sub
    }

    /// The largest value that falls into bucket `index`.
    fn highest(index: usize) -> u64 {
        let (magnitude, sub) = (index >> SUB_BITS, (index & ((1 << SUB_BITS) - 1)) as u64);
        if magnitude == 0 {
            return sub;
        }
        let low = (sub | 1 << SUB_BITS) << (magnitude - 1);
        low + ((1u64 << (magnitude - 1)) - 1)
    }

    pub fn count(&self) -> u64 {
        self.buckets.iter().map(Counter::get).sum()
    }

    /// The value below or at which `percentile` percent of the recorded values lie; 0 when empty.
    pub fn percentile(&self, percentile: f64) -> u64 {
        let wanted = (self.count() as f64 * percentile / 100.0).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, bucket) in self.buckets.iter().enumerate() {
            seen += bucket.get();
            if seen >= wanted {
                return Self::highest(index);
            }
        }
        0
    }

    /// The largest recorded value, within the histogram's precision; 0 when empty.
    pub fn max(&self) -> u64 {
        let last = self.buckets.iter().rposition(|bucket| bucket.get() > 0);
        last.map_or(0, Self::highest)
    }

    /// `(upper bound, count of values up to it)` per non-empty power of two of `unit` nanoseconds,
    /// cumulative, as LATENCY HISTOGRAM lists them.
    pub fn cumulative_by_power_of_two(&self, unit: u64) -> Vec<(u64, u64)> {
        let mut result: Vec<(u64, u64)> = Vec::new();
        let mut seen = 0;
        for (index, bucket) in self
            .buckets
            .iter()
            .enumerate()
            .filter(|(_, bucket)| bucket.get() > 0)
        {
            seen += bucket.get();
            let bound = Self::highest(index)
                .div_ceil(unit)
                .max(1)
                .next_power_of_two();
            match result.last_mut() {
                Some(last) if last.0 == bound => last.1 = seen,
                _ => result.push((bound, seen)),
            }
        }
        result
    }

    pub fn zero(&self) {
        self.buckets.iter().for_each(|bucket| bucket.set(0));
    }

    pub fn add_to(&self, sum: &Self) {
        for (from, to) in self.buckets.iter().zip(&sum.buckets) {
            to.add(from.get());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_its_bucket() {
        for value in (0..5000).chain([u64::MAX, u64::MAX / 3, 1 << 40]) {
            let index = Histogram::index(value);
            assert!(value <= Histogram::highest(index), "{value}");
            assert!(
                index == 0 || value > Histogram::highest(index - 1),
                "{value}"
            );
        }
    }

    #[test]
    fn percentiles_are_within_a_sixteenth() {
        let histogram = Histogram::default();
        (1..=1000).for_each(|n| histogram.record(n * 1000));
        let median = histogram.percentile(50.0);
        assert!((500_000..=531_250).contains(&median), "{median}");
        assert!((1_000_000..=1_062_500).contains(&histogram.max()));
    }

    #[test]
    fn a_reset_is_seen_before_the_loop_has_looked() {
        let (stats, generation) = (LoopStats::new(1), AtomicU64::new(0));
        stats.expired_keys.add(3);
        stats.command(0).record(10, true);
        assert_eq!(
            sum([&stats].into_iter(), 1, &generation).expired_keys.get(),
            3
        );
        generation.fetch_add(1, Relaxed);
        assert_eq!(
            sum([&stats].into_iter(), 1, &generation).expired_keys.get(),
            0
        );
        stats.catch_up(&generation);
        stats.command(0).record(10, true);
        assert_eq!(
            sum([&stats].into_iter(), 1, &generation)
                .command(0)
                .calls
                .get(),
            1
        );
    }
}
