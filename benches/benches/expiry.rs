//! The expiry index under many keys: the mean and the worst insertion, and what one item costs until it fires.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::{Measurement, WallTime};
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ostraka_datatypes::expiry::{ExpiryIndex, Verdict};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const START_MS: u64 = 1_700_000_000_000;
const ITEMS: usize = 1_000_000;
const MINUTE_MS: u64 = 60_000;
const MONTH_MS: u64 = 30 * 24 * 60 * MINUTE_MS;

/// A stream of numbers that repeats itself in every run.
fn numbers() -> impl FnMut() -> u64 {
    let mut state = 1u64;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 16
    }
}

fn empty() -> ExpiryIndex {
    let mut index = ExpiryIndex::default();
    index.expire_slice(START_MS, 1, |_, _| Verdict::Expired);
    index
}

/// Files keys while the loop's ticks go on, at a clock that stands still.
fn filled(ttl_max_ms: u64) -> ExpiryIndex {
    let (mut index, mut number) = (empty(), numbers());
    for count in 0..ITEMS {
        index.insert(number(), START_MS + number() % ttl_max_ms);
        tick(&mut index, count);
    }
    index
}

fn tick(index: &mut ExpiryIndex, count: usize) {
    if count.is_multiple_of(1000) {
        index.expire_slice(START_MS - 1, 0, |_, _| Verdict::Expired);
    }
}

/// Prints what criterion's means hide.
fn worst_insertion(ttl_max_ms: u64) {
    let (mut index, mut number, clock) = (empty(), numbers(), WallTime);
    let mut slowest = [Duration::ZERO; 4];
    for count in 0..ITEMS {
        let (position, deadline_ms) = (number(), START_MS + number() % ttl_max_ms);
        let start = clock.start();
        index.insert(position, deadline_ms);
        let took = clock.end(start);
        if took > slowest[0] {
            slowest[0] = took;
            slowest.sort_unstable();
        }
        tick(&mut index, count);
    }
    println!("expiry/slowest insertions of {ITEMS} within {ttl_max_ms} ms: {slowest:?}");
}

/// Lets the time pass in ten thousand steps, as an event loop does.
fn drain(mut index: ExpiryIndex, ttl_max_ms: u64) -> ExpiryIndex {
    for step in 1..=10_000 {
        let now_ms = START_MS + ttl_max_ms * step / 10_000;
        while index.expire_slice(now_ms, 1000, fire).more_due {}
    }
    assert!(index.is_empty());
    index
}

fn fire(position: u64, deadline_ms: u64) -> Verdict {
    black_box((position, deadline_ms));
    Verdict::Expired
}

fn expiry(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("expiry");
    group.sample_size(10);
    for (name, ttl_max_ms) in [
        ("a second", 1000),
        ("a minute", MINUTE_MS),
        ("an hour", 60 * MINUTE_MS),
        ("a month", MONTH_MS),
    ] {
        worst_insertion(ttl_max_ms);
        group.bench_function(format!("insert a million within {name}"), |bench| {
            bench.iter_batched(|| (), |()| filled(ttl_max_ms), BatchSize::PerIteration);
        });
        group.bench_function(format!("fire a million within {name}"), |bench| {
            bench.iter_batched(
                || filled(ttl_max_ms),
                |index| drain(index, ttl_max_ms),
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, expiry);
criterion_main!(benches);
