//! The expiry index of one cell and database: every volatile key once, by deadline.
//!
//! An item is a claim, not a link: 48 bits of the key's hash and 16 of its deadline, in 8 bytes. Nobody looks for an item
//! when its key is deleted or gets another deadline; the item stays, and whoever fires it asks the keyspace whether
//! the claim still holds. Items lie in buckets by deadline, on three levels that become finer as the time comes near:
//!
//! ```text
//!   level      far                      near                    now
//!   span       65.536 s                 1.024 s                 1 ms
//!   knows      window = deadline >> 16  second = deadline >> 10 deadline
//!              ───────── cascade ─────────▶ ────── cascade ──────▶ fire, in order
//! ```
//!
//! A span is opened (its items moved one level down) ahead of its time if the caller has time to spare, else when it
//! comes. Where an item lies is a matter of speed only: the next thing to do is always found by comparing the first spans
//! of all levels. So the clock may jump either way: nothing is lost, nothing fires early, and what fires is the earliest
//! that has been filed.
//!
//! Every call works in slices that the caller bounds; no insertion moves more than 4 KiB. The index reads no clock and does
//! not know what a key is. What it must never do: hold an item back beyond its deadline when offered a budget.

mod bucket;
mod level;
mod ring;

use self::level::Level;

/// Span lengths of the levels as powers of two, in ms, finest first.
const SHIFTS: [u32; 3] = [0, 10, 16];
const FINEST: usize = 0;
/// The span that is being sifted counts as one more source of items.
const SIFTING: usize = SHIFTS.len();

/// Spans of each level that come next are found without a search: two seconds of milliseconds and two windows of
/// seconds, which is what may be open, and 18 hours of windows.
const RINGS: [usize; 3] = [2048, 128, 1024];

/// How long before its time a span of each level is opened if there is leisure, in ms: one span.
const AHEAD_MS: [u64; 3] = [0, 1 << 10, 1 << 16];

/// Items of a coarse span that are compared when the earliest is wanted.
const SOONEST: usize = 5;

/// Stale items that are not worth a compaction.
const STALE_MIN: usize = 1024;

/// What the keyspace found under a due item's position and deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A key, and it has been deleted.
    Expired,
    /// A key whose deadline has been put off to this time (ms), as its re-arm flag said: file it again.
    Rearm(u64),
    /// No such key with this deadline: the item was left behind.
    Stale,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SliceResult {
    /// Items fired or moved between levels.
    pub processed: usize,
    /// The budget ended before everything due had fired: come again soon.
    pub more_due: bool,
    /// Spans that are near could be opened in idle time: come again before anything is due.
    pub more_ahead: bool,
}

pub struct ExpiryIndex {
    levels: [Level; 3],
    /// A span on its way through compaction, taken out of its level.
    sifting: Option<Level>,
    /// Where compaction goes on: a level, and the start (ms) of the next span to sift there.
    cursor: (usize, u64),
    /// Spans of each level are opened up to these times (ms), and those of the finest level fired: by the clock of the
    /// latest slice.
    horizons: [u64; 3],
    len: usize,
    /// Items believed to be stale: noted, minus those met since.
    stale: usize,
    /// Stale items noted since compaction last began a round.
    stale_this_round: usize,
}

impl Default for ExpiryIndex {
    fn default() -> ExpiryIndex {
        ExpiryIndex {
            levels: [FINEST, 1, 2].map(|level| Level::new(SHIFTS[level], RINGS[level])),
            sifting: None,
            cursor: (FINEST, 0),
            horizons: [0; 3],
            len: 0,
            stale: 0,
            stale_this_round: 0,
        }
    }
}

impl ExpiryIndex {
    /// Files a key. `position` is the top 48 bits of its hash, as a number below 2^48; `deadline_ms` is absolute
    /// Unix time.
    pub fn insert(&mut self, position: u64, deadline_ms: u64) {
        assert!(position < 1 << 48, "a position is 48 bits");
        self.len += 1;
        self.place(deadline_ms, position << 16 | deadline_ms & 0xffff);
    }

    /// To the coarsest level in which this deadline's span is not to be opened yet, or the finest.
    fn place(&mut self, deadline_ms: u64, item: u64) {
        let closed =
            |level: usize| deadline_ms >> SHIFTS[level] << SHIFTS[level] > self.horizons[level];
        let level = if closed(2) { 2 } else { usize::from(closed(1)) };
        self.levels[level].push(deadline_ms, item);
    }

    /// Does what is due at `now_ms`, in the order of deadlines: opens spans and fires items, at most `budget` of both
    /// together. `fire` gets position and deadline, and says what it found there. What is left of the budget opens spans
    /// ahead of their time.
    pub fn expire_slice(
        &mut self,
        now_ms: u64,
        budget: usize,
        mut fire: impl FnMut(u64, u64) -> Verdict,
    ) -> SliceResult {
        self.horizons = AHEAD_MS.map(|ahead_ms| now_ms.saturating_add(ahead_ms));
        self.levels
            .iter_mut()
            .for_each(|level| level.turn_to(now_ms));
        let mut processed = 0;
        while processed < budget
            && let Some((source, start_ms)) = self.next_span()
        {
            // Nothing comes before this span any more, unless a key is put off to a time that is past.
            while processed < budget
                && let Some((deadline_ms, item)) = self.take(source, start_ms)
            {
                processed += 1;
                if source == FINEST {
                    self.fire(deadline_ms, item, &mut fire);
                } else {
                    self.place(deadline_ms, item);
                }
            }
        }
        let more_due = self.next_due().is_some_and(|due_ms| due_ms <= now_ms);
        SliceResult {
            processed,
            more_due,
            more_ahead: !more_due && self.next_span().is_some(),
        }
    }

    fn fire(&mut self, deadline_ms: u64, item: u64, fire: &mut impl FnMut(u64, u64) -> Verdict) {
        self.len -= 1;
        match fire(item >> 16, deadline_ms) {
            Verdict::Expired => {}
            Verdict::Rearm(later_ms) => self.insert(item >> 16, later_ms),
            Verdict::Stale => self.stale = self.stale.saturating_sub(1),
        }
    }

    /// The levels, finest first, and the span that is being sifted.
    fn sources(&self) -> impl Iterator<Item = &Level> {
        self.levels.iter().chain(&self.sifting)
    }

    /// The earliest span that is to be opened or fired: its source, and when it begins. Of two that begin together either
    /// may come first, since only a span of 1 ms fires, and no item is earlier than its span.
    fn next_span(&self) -> Option<(usize, u64)> {
        let horizons = self.horizons.into_iter().chain([self.horizons[FINEST]]);
        let starts = self
            .sources()
            .map(Level::first_start)
            .zip(horizons)
            .enumerate();
        starts
            .filter_map(|(source, (start, horizon))| {
                Some((source, start.filter(|&start| start <= horizon)?))
            })
            .min_by_key(|&(_, start)| start)
    }

    fn take(&mut self, source: usize, start_ms: u64) -> Option<(u64, u64)> {
        match self.levels.get_mut(source) {
            Some(level) => level.pop(start_ms),
            None => self.sifting.as_mut()?.pop(start_ms),
        }
    }

    /// The earliest time (ms) at which an item may be due: exact when that is within the current second, else the
    /// beginning of the first item's span. Later than the latest slice's time, if that slice finished.
    pub fn next_due(&self) -> Option<u64> {
        self.sources().filter_map(Level::first_start).min()
    }

    /// Tells that an item has been left behind: its key was deleted, lost its deadline, or got an earlier one.
    pub fn note_stale(&mut self) {
        self.stale += 1;
        self.stale_this_round += 1;
    }

    /// Whether most of the memory goes to items that were left behind.
    pub fn wants_compaction(&self) -> bool {
        self.stale > self.len.saturating_sub(self.stale) + STALE_MIN
    }

    /// Drops items that `keep` (position, deadline) disowns, looking at `budget` items at most, and goes on in the next
    /// call where this one ended, round and round through all buckets.
    pub fn compact_slice(&mut self, budget: usize, mut keep: impl FnMut(u64, u64) -> bool) {
        for _ in 0..budget {
            let start = self.sifting.as_ref().and_then(Level::first_start);
            let Some((deadline_ms, item)) = start.and_then(|start_ms| self.take(SIFTING, start_ms))
            else {
                self.sift_next_span();
                continue;
            };
            if keep(item >> 16, deadline_ms) {
                self.place(deadline_ms, item);
            } else {
                self.len -= 1;
                self.stale = self.stale.saturating_sub(1);
            }
        }
    }

    fn sift_next_span(&mut self) {
        let (level, from_ms) = self.cursor;
        self.sifting = self.levels[level].split_off(from_ms);
        let start = self.sifting.as_ref().and_then(Level::first_start);
        // The last span that time has is followed by none.
        match start.and_then(|start| start.checked_add(1 << SHIFTS[level])) {
            Some(next_ms) => self.cursor = (level, next_ms),
            None if level + 1 < SHIFTS.len() => self.cursor = (level + 1, 0),
            None => {
                self.cursor = (FINEST, 0);
                // What was stale when the round began is gone, whatever the count believed.
                self.stale = self.stale.min(self.stale_this_round);
                self.stale_this_round = 0;
            }
        }
    }

    /// The position of any item, which may be stale. Spans with few items are drawn as often as those with many.
    pub fn pick(&self, roll: u64) -> Option<u64> {
        let levels = self.levels.len();
        let first = (roll >> 60) as usize % levels;
        let items = (0..levels).map(|nth| self.levels[(first + nth) % levels].pick(roll));
        items.flatten().next().map(|item| item >> 16)
    }

    /// The position of an item that is among the earliest. `filed` (position, deadline) says which deadline the key has by
    /// now, if there is a key: on the way, items are filed again or dropped as they would be in their time. Looks at
    /// `budget` items at most.
    pub fn draw_soonest(
        &mut self,
        budget: usize,
        mut filed: impl FnMut(u64, u64) -> Option<u64>,
    ) -> Option<u64> {
        let mut drawn: Vec<(u64, u64)> = Vec::new();
        for _ in 0..budget {
            let starts = self.levels.iter().map(Level::first_start).enumerate();
            let starts = starts.filter_map(|(level, start)| Some((start?, level)));
            let Some((start, level)) = starts.min() else {
                break;
            };
            if drawn.len() == SOONEST || drawn.iter().any(|(deadline, _)| *deadline < start) {
                break;
            }
            let item = self.levels[level].pop(start);
            let (deadline, item) = item.expect("a span that begins holds an item");
            match filed(item >> 16, deadline) {
                Some(same) if same == deadline => drawn.push((deadline, item)),
                Some(later) => {
                    self.len -= 1;
                    self.insert(item >> 16, later);
                }
                None => {
                    self.len -= 1;
                    self.stale = self.stale.saturating_sub(1);
                }
            }
        }
        for (deadline, item) in &drawn {
            self.place(*deadline, *item);
        }
        drawn.into_iter().min().map(|(_, item)| item >> 16)
    }

    /// Items, stale ones included.
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Memory held for items, in bytes.
    pub fn bytes(&self) -> usize {
        self.sources().map(Level::bytes).sum()
    }

    pub fn clear(&mut self) {
        *self = ExpiryIndex::default();
    }
}
