//! The table against std's: a cached size and one that is not.

use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use ostraka_datatypes::hash::Seed;
use ostraka_datatypes::raw::table::{Entry, Keyed, Owned, Table, prefetch};
use std::collections::HashMap;
use std::hint::black_box;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const BATCH: usize = 16;

struct Item {
    key: [u8; 16],
}

impl Keyed for Item {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

fn key(number: u64) -> [u8; 16] {
    u128::from(number.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes()
}

fn filled(size: u64) -> Table<Owned<Item>> {
    let mut table = Table::new(Seed::new(1));
    for number in 0..size {
        let key = key(number);
        table.insert_new(table.hash(&key), Owned::new(Item { key }), 0);
    }
    table
}

/// Keys of a table of `size`, in another order than they were inserted in.
fn order(size: u64) -> impl Iterator<Item = [u8; 16]> {
    (0..).map(move |number: u64| key(number.wrapping_mul(0x2545_f491_4f6c_dd1d) % size))
}

fn lookups(criterion: &mut Criterion) {
    for (name, size) in [("10 k", 10_000), ("2 M", 2_000_000)] {
        let table = filled(size);
        let std: HashMap<[u8; 16], Box<Item>> = (0..size)
            .map(|number| (key(number), Box::new(Item { key: key(number) })))
            .collect();
        let mut group = criterion.benchmark_group(format!("16 lookups in {name}"));
        let mut keys = order(size);
        let mut batch = move || -> [[u8; 16]; BATCH] {
            std::array::from_fn(|_| keys.next().unwrap_or_default())
        };
        group.bench_function("one by one", |bencher| {
            bencher.iter_batched(
                &mut batch,
                |keys| {
                    keys.iter()
                        .filter(|key| table.get(table.hash(*key), *key).is_some())
                        .count()
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function("prefetched", |bencher| {
            bencher.iter_batched(
                &mut batch,
                |keys| {
                    let hashes = keys.map(|key| table.hash(&key));
                    prefetch(&hashes.map(|hash| table.spot(hash)));
                    keys.iter()
                        .zip(hashes)
                        .filter(|(key, hash)| table.get(*hash, *key).is_some())
                        .count()
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function("std HashMap", |bencher| {
            bencher.iter_batched(
                &mut batch,
                |keys| {
                    keys.iter()
                        .filter(|key| std.get(*key).is_some_and(|item| item.key == **key))
                        .count()
                },
                BatchSize::SmallInput,
            );
        });
        group.finish();
    }
}

fn edits(criterion: &mut Criterion) {
    let size = 100_000;
    let mut table = filled(size);
    let mut keys = order(size);
    criterion.bench_function("replace by entry in 100 k", |bencher| {
        bencher.iter(|| {
            let key = keys.next().unwrap_or_default();
            match table.entry(table.hash(&key), &key) {
                Entry::Occupied(mut entry) => {
                    drop(black_box(entry.replace(Owned::new(Item { key }))))
                }
                Entry::Vacant(entry) => drop(black_box(entry.insert(Owned::new(Item { key }), 0))),
            }
        });
    });
    let mut next = size;
    criterion.bench_function("insert and remove in 100 k", |bencher| {
        bencher.iter(|| {
            let (new, old) = (key(next), key(next - size));
            table.insert_new(table.hash(&new), Owned::new(Item { key: new }), 0);
            next += 1;
            table.remove(table.hash(&old), &old)
        });
    });
}

criterion_group!(benches, lookups, edits);
criterion_main!(benches);
