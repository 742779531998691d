//! What the keyspace does to an entry once per command: make it, read it, set it in place, count it up.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ostraka_datatypes::raw::entry::{Entry, StringRef, Value};

/// The server's allocator: its size classes are part of what is measured.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const KEY: &[u8] = b"key:000000000042";
const VALUE: &[u8] = &[b'v'; 32];

fn entries(bench: &mut Criterion) {
    let mut group = bench.benchmark_group("entry");
    group.bench_function("create and drop", |bench| {
        bench.iter(|| Entry::new(black_box(KEY), Value::of(black_box(VALUE)), None));
    });
    group.bench_function("create and drop with a deadline", |bench| {
        bench.iter(|| Entry::new(black_box(KEY), Value::of(black_box(VALUE)), Some(1)));
    });
    let mut entry = Entry::new(KEY, Value::of(VALUE), None);
    group.bench_function("compare the key and read the value", |bench| {
        bench.iter(|| match black_box(&entry).string() {
            StringRef::Bytes(bytes) if entry.key() == black_box(KEY) => bytes.len(),
            _ => 0,
        });
    });
    group.bench_function("set in place", |bench| {
        bench.iter(|| entry.replace(Value::of(black_box(VALUE)), None));
    });
    let mut counter = Entry::new(KEY, Value::Int(0), None);
    group.bench_function("increment", |bench| {
        bench.iter(|| {
            let StringRef::Int(number) = black_box(&counter).string() else {
                return;
            };
            counter.set_int(number + 1);
        });
    });
    group.finish();
}

criterion_group!(benches, entries);
criterion_main!(benches);
