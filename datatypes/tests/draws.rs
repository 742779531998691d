//! Drawing entries for eviction: which ones come, and that one always comes if there is any.

use ostraka_datatypes::db::{Db, Draw, Lookup};
use ostraka_datatypes::hash::{Seed, hash};
use ostraka_datatypes::raw::entry::{Entry, Value};

const NOW_MS: u64 = 1_700_000_000_000;

struct Keys {
    db: Db,
    seed: Seed,
    state: u64,
}

impl Keys {
    fn new() -> Self {
        let seed = Seed::new(7);
        Self {
            db: Db::new(seed),
            seed,
            state: 1,
        }
    }

    fn add(&mut self, n: u64, deadline: Option<u64>) {
        let key = n.to_string();
        let hash = hash(&self.seed, key.as_bytes());
        let entry = Entry::new(key.as_bytes(), Value::Embstr(b"value"), deadline);
        self.db.insert(hash, entry, 0);
    }

    fn remove(&mut self, n: u64) {
        let key = n.to_string();
        let hash = hash(&self.seed, key.as_bytes());
        match self.db.find(hash, key.as_bytes(), NOW_MS) {
            Lookup::Live(found) => drop(found.remove()),
            _ => panic!("{n} is not there"),
        }
    }

    /// The number that the key drawn is, taken out.
    fn draw(&mut self, way: Draw) -> Option<u64> {
        let state = &mut self.state;
        let mut dice = || {
            *state ^= *state << 13;
            *state ^= *state >> 7;
            *state ^= *state << 17;
            state.wrapping_mul(0x2545_f491_4f6c_dd1d)
        };
        let entry = self.db.draw(way, &mut dice)?.remove();
        Some(
            String::from_utf8_lossy(entry.key())
                .parse()
                .expect("a number"),
        )
    }
}

#[test]
fn the_soonest_come_first() {
    let mut keys = Keys::new();
    for n in 0..2000 {
        keys.add(
            n * 7919 % 2000,
            Some(NOW_MS + 1 + n * 7919 % 2000 * 1_000_000),
        );
    }
    keys.db.expire(NOW_MS, 10_000, |_| panic!("nothing is due"));
    for n in 0..2000 {
        assert_eq!(keys.draw(Draw::Soonest), Some(n));
    }
    assert_eq!(keys.draw(Draw::Soonest), None);
}

#[test]
fn all_come_in_the_end_and_only_those_that_may() {
    for (way, expected) in [(Draw::Any, 3000), (Draw::Volatile, 30), (Draw::Soonest, 30)] {
        for ahead_ms in [10, 60_000, 100_000_000] {
            let mut keys = Keys::new();
            for n in 0..3000 {
                let volatile = n % 100 == 0;
                keys.add(n, volatile.then_some(NOW_MS + 1 + n * ahead_ms));
            }
            let drawn: Vec<u64> = std::iter::from_fn(|| keys.draw(way)).collect();
            assert_eq!(drawn.len(), expected, "{way:?}");
            assert_eq!(keys.db.len(), 3000 - expected);
        }
    }
}

#[test]
fn an_index_that_is_mostly_stale_hides_nothing() {
    let mut keys = Keys::new();
    for n in 0..20_000 {
        keys.add(n, Some(NOW_MS + 1 + n));
    }
    keys.add(20_000, Some(NOW_MS + 1_000_000_000));
    for n in 0..20_000 {
        keys.remove(n);
        keys.add(n, None);
    }
    assert_eq!(keys.draw(Draw::Soonest), Some(20_000));
    keys.add(20_000, Some(NOW_MS + 1_000_000_000));
    assert_eq!(keys.draw(Draw::Volatile), Some(20_000));
    assert_eq!(keys.draw(Draw::Volatile), None);
}
