//! Grows a table from nothing to 16 M keys and prints what it costs: bytes per key along the way, the longest insert,
//! lookups one by one and in batches. `cargo run --profile fast -p ostraka-benches --example table_growth [keys]`
#![expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]

use ostraka_datatypes::hash::Seed;
use ostraka_datatypes::raw::table::{Elements, Keyed, Owned, Progress, Table, Visitor, prefetch};
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const MILLION: u64 = 1_000_000;
const LOOKUPS: u64 = 2 * MILLION;
const BATCH: usize = 16;

/// 16 bytes of key and 32 of value, as in the memory budget.
struct Item {
    key: [u8; 16],
    _value: [u8; 32],
}

impl Keyed for Item {
    fn key(&self) -> &[u8] {
        &self.key
    }
}

type Items = Table<Owned<Item>>;

fn key(number: u64) -> [u8; 16] {
    let mut key = *b"key:000000000000";
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

/// Scatters 0.. over the whole range, so that lookups follow no order of allocation.
fn scattered(number: u64, range: u64) -> u64 {
    number
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(31)
        .wrapping_mul(0xd6e8_feb8_6659_fd93)
        % range
}

/// Durations of single operations.
#[derive(Default)]
struct Pauses {
    count: u64,
    total: u64,
    /// Those of 50 µs and more, in ns.
    long: Vec<u64>,
}

impl Pauses {
    fn add(&mut self, nanoseconds: u64) {
        self.count += 1;
        self.total += nanoseconds;
        if nanoseconds > 50_000 {
            self.long.push(nanoseconds);
        }
    }

    /// The machine interrupts a program now and then, so the very longest are to be taken with care.
    fn report(&mut self, what: &str) {
        self.long.sort_unstable_by(|a, b| b.cmp(a));
        let longest: Vec<u64> = self
            .long
            .iter()
            .step_by(4)
            .take(8)
            .map(|ns| ns / 1000)
            .collect();
        let over = |limit| self.long.iter().filter(|&&ns| ns > limit).count();
        println!("{what}: mean {} ns", self.total / self.count.max(1));
        println!(
            "    over 0.1 / 0.2 / 0.5 / 1 ms: {} / {} / {} / {}",
            over(100_000),
            over(200_000),
            over(500_000),
            over(1_000_000)
        );
        println!("    longest, every fourth: {longest:?} µs");
    }
}

fn allocated() -> f64 {
    tikv_jemalloc_ctl::epoch::advance().expect("statistics are on");
    tikv_jemalloc_ctl::stats::allocated::read().expect("statistics are on") as f64
}

fn grow(table: &mut Items, to: u64, pauses: &mut Pauses) {
    while (table.len() as u64) < to {
        let key = key(table.len() as u64);
        let item = Owned::new(Item {
            key,
            _value: [0; 32],
        });
        let begin = Instant::now();
        table.insert_new(table.hash(&key), item, 0);
        pauses.add(begin.elapsed().as_nanos() as u64);
    }
}

fn look_up(table: &Items, name: &str) {
    let range = table.len() as u64;
    let keys: Vec<[u8; 16]> = (0..LOOKUPS)
        .map(|number| key(scattered(number, range)))
        .collect();
    let begin = Instant::now();
    let found = keys
        .iter()
        .filter(|key| table.get(table.hash(*key), *key).is_some())
        .count();
    let single = begin.elapsed().as_nanos() as u64 / LOOKUPS;
    let begin = Instant::now();
    let mut found_batched = 0;
    for batch in keys.chunks(BATCH) {
        let mut hashes = [0; BATCH];
        for (hash, key) in hashes.iter_mut().zip(batch) {
            *hash = table.hash(key);
        }
        prefetch(&hashes.map(|hash| table.spot(hash))[..batch.len()]);
        found_batched += batch
            .iter()
            .zip(hashes)
            .filter(|(key, hash)| table.get(*hash, *key).is_some())
            .count();
    }
    let batched = begin.elapsed().as_nanos() as u64 / LOOKUPS;
    assert_eq!((found, found_batched), (keys.len(), keys.len()));
    let begin = Instant::now();
    let absent = (0..LOOKUPS).filter(|number| {
        let key = key(range + number);
        table.get(table.hash(&key), &key).is_some()
    });
    assert_eq!(absent.count(), 0);
    let miss = begin.elapsed().as_nanos() as u64 / LOOKUPS;
    println!(
        "{name}: lookup {single} ns, in batches of 16 {batched} ns, miss {miss} ns (with making the key)"
    );
}

/// Reads what it is shown.
struct Reader(u64);

impl Visitor<Owned<Item>> for Reader {
    fn visit(&mut self, elements: Elements<'_, Owned<Item>>) {
        self.0 += elements.map(|item| u64::from(item.key()[15])).sum::<u64>();
    }
}

fn walk(table: &mut Items) {
    let view = table.begin_view(Box::new(Reader(0)));
    let mut pauses = Pauses::default();
    loop {
        let begin = Instant::now();
        let progress = table.step_view(view, 1);
        pauses.add(begin.elapsed().as_nanos() as u64);
        if progress == Progress::Done {
            break;
        }
    }
    drop(table.end_view(view));
    pauses.report("view, per segment");
    let begin = Instant::now();
    let (mut cursor, mut emitted) = (0, 0u64);
    loop {
        cursor = table.scan(cursor, 10, |item| emitted += u64::from(item.key()[0] > 0));
        if cursor == 0 {
            break;
        }
    }
    println!(
        "scan by tens: {} ns per element",
        begin.elapsed().as_nanos() as u64 / emitted
    );
}

fn shrink(table: &mut Items) {
    let mut pauses = Pauses::default();
    let mut worst_bytes = 0.0f64;
    let range = table.len() as u64;
    for number in 0..range - MILLION {
        let key = key(number);
        let hash = table.hash(&key);
        let begin = Instant::now();
        let removed = table.remove(hash, &key);
        pauses.add(begin.elapsed().as_nanos() as u64);
        assert!(removed.is_some());
        worst_bytes = worst_bytes.max(table.bytes() as f64 / table.len() as f64);
    }
    pauses.report("remove");
    println!("while shrinking to 1 M: at most {worst_bytes:.1} B per key");
}

fn main() {
    let keys: u64 = std::env::args()
        .nth(1)
        .map_or(16 * MILLION, |text| text.parse().expect("a number"));
    let mut table = Items::new(Seed::new(1));
    let mut pauses = Pauses::default();
    grow(&mut table, MILLION.min(keys), &mut pauses);
    pauses.report("insert up to 1 M");
    let (mut pauses, mut least, mut most) = (Pauses::default(), f64::MAX, 0.0f64);
    let mut next = MILLION;
    while next < keys {
        next = (next + next / 25).min(keys);
        grow(&mut table, next, &mut pauses);
        let per_key = table.bytes() as f64 / table.len() as f64;
        (least, most) = (least.min(per_key), most.max(per_key));
        let elements = 48.0 * table.len() as f64;
        println!(
            "{:10} keys: {per_key:5.2} B per key, {:5.2} as the allocator counts",
            table.len(),
            (allocated() - elements) / table.len() as f64
        );
        if next / (5 * MILLION) == 1 && (next - next / 26) < 5 * MILLION {
            look_up(&table, "5 M keys");
        }
    }
    pauses.report("insert from 1 M on");
    println!("from 1 M on: {least:.1} to {most:.1} B per key");
    look_up(&table, "all keys");
    walk(&mut table);
    shrink(&mut table);
    table.verify().expect("the invariants hold");
}
