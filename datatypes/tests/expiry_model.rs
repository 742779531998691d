//! The expiry index against a sorted multiset of (deadline, position).
//!
//! The clock of these runs creeps, leaps ahead by months, and falls back. Whatever it does: what fires is due by the
//! given time, is the earliest there is, and was filed; and a slice that says it has finished leaves nothing due.

use std::collections::{BTreeMap, BTreeSet};

use ostraka_datatypes::expiry::{ExpiryIndex, Verdict};
use proptest::collection::vec;
use proptest::prelude::*;

const START_MS: u64 = 1_700_000_000_000;
const SECOND_MS: u64 = 1000;
const HOUR_MS: u64 = 3600 * SECOND_MS;
const MONTH_MS: u64 = 30 * 24 * HOUR_MS;

#[derive(Clone, Debug)]
enum Op {
    /// Files keys at this distance from now and up to the spread later.
    Insert {
        positions: Vec<u64>,
        ttl_ms: i64,
        spread_ms: u64,
    },
    InsertAt(u64, u64),
    Clock(i64),
    Slice {
        budget: usize,
    },
    /// Leaves every n-th item behind.
    Abandon(usize),
    Compact {
        budget: usize,
    },
    Clear,
}

#[derive(Default)]
struct Model {
    /// How many items there are of each claim.
    claims: BTreeMap<(u64, u64), usize>,
    abandoned: BTreeSet<(u64, u64)>,
    len: usize,
}

impl Model {
    fn insert(&mut self, position: u64, deadline_ms: u64) {
        *self.claims.entry((deadline_ms, position)).or_default() += 1;
        self.len += 1;
    }

    fn remove(&mut self, claim: (u64, u64)) {
        let count = self
            .claims
            .get_mut(&claim)
            .expect("only what was filed comes out, and once");
        *count -= 1;
        self.len -= 1;
        if *count == 0 {
            self.claims.remove(&claim);
            self.abandoned.remove(&claim);
        }
    }

    fn first_ms(&self) -> Option<u64> {
        self.claims
            .first_key_value()
            .map(|(&(deadline_ms, _), _)| deadline_ms)
    }
}

struct Pair {
    index: ExpiryIndex,
    model: Model,
    now_ms: u64,
}

impl Pair {
    fn insert(&mut self, position: u64, deadline_ms: u64) {
        self.index.insert(position, deadline_ms);
        self.model.insert(position, deadline_ms);
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Insert {
                positions,
                ttl_ms,
                spread_ms,
            } => {
                let first_ms = self.now_ms.saturating_add_signed(*ttl_ms);
                for &position in positions {
                    self.insert(position, first_ms.saturating_add(position % spread_ms));
                }
            }
            Op::InsertAt(position, deadline_ms) => self.insert(*position, *deadline_ms),
            Op::Clock(step_ms) => self.now_ms = self.now_ms.saturating_add_signed(*step_ms),
            Op::Slice { budget } => {
                self.slice(*budget);
            }
            Op::Abandon(every) => self.abandon(*every),
            Op::Compact { budget } => self.compact(*budget),
            Op::Clear => {
                self.index.clear();
                self.model = Model::default();
            }
        }
        self.check();
    }

    fn slice(&mut self, budget: usize) -> bool {
        let (model, now_ms) = (&mut self.model, self.now_ms);
        let result = self
            .index
            .expire_slice(now_ms, budget, |position, deadline_ms| {
                assert!(deadline_ms <= now_ms, "nothing fires early");
                assert_eq!(
                    Some(deadline_ms),
                    model.first_ms(),
                    "the earliest fires first"
                );
                let abandoned = model.abandoned.contains(&(deadline_ms, position));
                model.remove((deadline_ms, position));
                if abandoned {
                    return Verdict::Stale;
                }
                // Some are put off, a few of them again and again, none for ever.
                let put_off_s = (position ^ deadline_ms) % 50;
                if put_off_s > 10 || deadline_ms == u64::MAX {
                    return Verdict::Expired;
                }
                let later_ms = deadline_ms.saturating_add(1 + put_off_s * put_off_s * SECOND_MS);
                model.insert(position, later_ms);
                Verdict::Rearm(later_ms)
            });
        assert!(result.processed <= budget);
        assert!(result.processed == budget || !(result.more_due || result.more_ahead));
        if !result.more_due {
            self.check_finished();
        }
        result.more_due
    }

    fn check_finished(&self) {
        assert!(
            self.model
                .first_ms()
                .is_none_or(|first_ms| first_ms > self.now_ms)
        );
        assert!(
            self.index
                .next_due()
                .is_none_or(|due_ms| due_ms > self.now_ms)
        );
        let this_second = self.now_ms >> 10 << 10..=self.now_ms | 1023;
        if let Some(first_ms) = self
            .model
            .first_ms()
            .filter(|first_ms| this_second.contains(first_ms))
        {
            assert_eq!(
                self.index.next_due(),
                Some(first_ms),
                "exact within the second"
            );
        }
    }

    fn abandon(&mut self, every: usize) {
        for &claim in self.model.claims.keys().step_by(every) {
            if self.model.abandoned.insert(claim) {
                (0..self.model.claims[&claim]).for_each(|_| self.index.note_stale());
            }
        }
    }

    fn compact(&mut self, budget: usize) {
        let model = &mut self.model;
        let mut asked = 0;
        self.index.compact_slice(budget, |position, deadline_ms| {
            asked += 1;
            let keep = !model.abandoned.contains(&(deadline_ms, position));
            if !keep {
                model.remove((deadline_ms, position));
            }
            keep
        });
        assert!(asked <= budget);
    }

    fn check(&self) {
        assert_eq!(self.index.len(), self.model.len);
        assert!(
            !self.index.is_empty() || self.index.bytes() < 100_000,
            "only the rings remain"
        );
        let (due, first) = (self.index.next_due(), self.model.first_ms());
        assert_eq!(due.is_some(), first.is_some());
        assert!(
            due.zip(first).is_none_or(
                |(due_ms, first_ms)| due_ms <= first_ms && due_ms >> 16 == first_ms >> 16
            )
        );
    }
}

fn op() -> impl Strategy<Value = Op> {
    let position = || 0..1u64 << 48;
    let ttl_ms = prop_oneof![
        -50i64..3000,
        0i64..200 * SECOND_MS as i64,
        0i64..2 * HOUR_MS as i64,
        -(HOUR_MS as i64)..MONTH_MS as i64,
    ];
    let spread_ms = prop_oneof![
        Just(1),
        Just(1000),
        Just(100 * SECOND_MS),
        Just(HOUR_MS),
        Just(MONTH_MS)
    ];
    let step_ms = prop_oneof![
        8 => 0i64..2000,
        2 => 0i64..100 * SECOND_MS as i64,
        1 => -2000i64..0,
        1 => -(MONTH_MS as i64)..MONTH_MS as i64,
    ];
    let budget = || prop_oneof![0usize..20, 100usize..5000];
    let few = vec(position(), 1..8);
    let many = vec(position(), 500..1600);
    prop_oneof![
        8 => (prop_oneof![6 => few, 1 => many], ttl_ms, spread_ms)
            .prop_map(|(positions, ttl_ms, spread_ms)| Op::Insert { positions, ttl_ms, spread_ms }),
        1 => (position(), prop_oneof![Just(i64::MAX as u64), Just(u64::MAX), Just(0), any::<u64>()])
            .prop_map(|(position, deadline_ms)| Op::InsertAt(position, deadline_ms)),
        6 => step_ms.prop_map(Op::Clock),
        8 => budget().prop_map(|budget| Op::Slice { budget }),
        1 => (1usize..4).prop_map(Op::Abandon),
        2 => budget().prop_map(|budget| Op::Compact { budget }),
    ]
}

proptest! {
    #[test]
    fn fires_what_is_due_in_order_whatever_the_clock_does(ops in vec(op(), 0..120), cleared in any::<bool>()) {
        let mut pair = Pair { index: ExpiryIndex::default(), model: Model::default(), now_ms: START_MS };
        ops.iter().for_each(|op| pair.apply(op));
        if cleared {
            pair.apply(&Op::Clear);
        }
        // At the end of time everything fires.
        pair.now_ms = u64::MAX;
        while pair.slice(1000) {}
        prop_assert!(pair.model.len == 0);
        pair.check();
    }
}

/// A small deterministic stream of numbers (an LCG's upper bits): where a test needs a million of them.
fn numbers(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed;
    move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 16
    }
}

fn filled(count: usize, ttl_max_ms: u64) -> ExpiryIndex {
    let (mut index, mut number) = (ExpiryIndex::default(), numbers(1));
    index.expire_slice(START_MS, 1, |_, _| Verdict::Expired);
    (0..count).for_each(|_| index.insert(number(), START_MS + number() % ttl_max_ms));
    index
}

#[test]
fn an_item_takes_twelve_bytes_at_most() {
    let per_item = |ttl_max_ms| filled(1_000_000, ttl_max_ms).bytes() as f64 / 1e6;
    for (ttl_max_ms, limit) in [
        (SECOND_MS, 12.0),
        (60 * SECOND_MS, 12.0),
        (HOUR_MS, 12.0),
        (MONTH_MS, 13.0),
    ] {
        assert!(
            per_item(ttl_max_ms) <= limit,
            "{} bytes over {ttl_max_ms} ms",
            per_item(ttl_max_ms)
        );
    }
}

#[test]
fn spans_are_opened_ahead_of_their_time() {
    let mut index = filled(50_000, SECOND_MS);
    let mut now_ms = START_MS - 10 * HOUR_MS;
    while index
        .expire_slice(now_ms, 1000, |_, _| unreachable!("nothing is due"))
        .more_ahead
    {}
    now_ms = START_MS - 100;
    while index
        .expire_slice(now_ms, 1000, |_, _| unreachable!("nothing is due"))
        .more_ahead
    {}
    assert!(
        index
            .next_due()
            .is_some_and(|due_ms| (START_MS..START_MS + 50).contains(&due_ms)),
        "exact already"
    );
}

#[test]
fn compaction_ends_although_the_count_of_stale_items_was_wrong() {
    let mut index = filled(10_000, MONTH_MS);
    (0..50_000).for_each(|_| index.note_stale());
    let mut slices = 0;
    while index.wants_compaction() {
        index.compact_slice(500, |position, _| position % 4 == 0);
        slices += 1;
        assert!(slices < 200, "compaction must end");
    }
    assert!((2000..3000).contains(&index.len()));
}
