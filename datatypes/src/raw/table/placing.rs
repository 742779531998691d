//! Putting elements into a segment and taking them out: hopscotch hashing over buckets, and chains.
//!
//! ```text
//!  home full, so are the seven after it; the nearest free lane (_) is nine buckets away:
//!   home  +1    +2    +3    +4    +5    +6    +7    +8    +9
//!  [full][full][full][full][full][full][full][full][full][ _  ]
//!                     x, at home here, may go up to seven further …
//!                     └────────── moves six further ──────►│       … so x goes to +9, away = 6,
//!                     ▲ and the new element takes x's lane, away = 3
//! ```
//! No element is rehashed for that: a slot knows how far from home it is. The invariants are those of segment.rs;
//! `place` and `vacate` keep them, and a failing `place` has at most moved elements to other lawful lanes.

use super::bucket::{LANES, Tags};
use super::element::Slot;
use super::segment::{FARTHEST, Place, Segment};

/// Buckets in a block of a chain: 1 KiB, where nothing is ordered.
const CHAIN_BUCKETS: usize = 15;

impl Segment {
    /// Puts an element in if a place within reach of its home can be had. It must not be in here yet.
    #[inline]
    pub(super) fn place(&self, hash: u64, slot: Slot) -> Option<Place> {
        let (home, bucket) = self.home_bucket(hash);
        let Some(lane) = bucket.tags().free().next() else {
            return self.place_away(home, Tags::tag(hash), slot);
        };
        bucket.put(lane, Tags::tag(hash), slot.with_away(0));
        self.add(1);
        Some(Place {
            block: *self,
            bucket: home,
            lane,
        })
    }

    /// Finds the nearest free lane and, while it is out of reach, moves an element from nearer by into it.
    #[inline(never)]
    fn place_away(&self, home: usize, tag: u8, slot: Slot) -> Option<Place> {
        let mut distance =
            (1..self.len()).find(|&far| self.free_lane(self.after(home, far)).is_some())?;
        while distance > FARTHEST {
            distance = self.hop(home, distance)?;
        }
        let index = self.after(home, distance);
        let lane = self.free_lane(index)?;
        self.bucket(index).put(lane, tag, slot.with_away(distance));
        self.raise_reach(home, distance);
        self.add(1);
        Some(Place {
            block: *self,
            bucket: index,
            lane,
        })
    }

    fn free_lane(&self, bucket: usize) -> Option<usize> {
        self.bucket(bucket).tags().free().next()
    }

    /// Moves one element into the free lane that is `distance` buckets after `home`, from as near to `home` as
    /// can be; returns the distance of the lane that became free.
    fn hop(&self, home: usize, distance: usize) -> Option<usize> {
        for step in (1..=FARTHEST).rev() {
            let from = self.bucket(self.after(home, distance - step));
            let nearest = from
                .tags()
                .used()
                .min_by_key(|&lane| from.slot(lane).away());
            let Some(lane) = nearest.filter(|&lane| from.slot(lane).away() + step <= FARTHEST)
            else {
                continue;
            };
            let (tag, slot) = (from.tags().of_lane(lane), from.slot(lane));
            let to = self.after(home, distance);
            self.bucket(to)
                .put(self.free_lane(to)?, tag, slot.with_away(slot.away() + step));
            from.clear(lane);
            self.raise_reach(self.home_of(to, slot.away() + step), slot.away() + step);
            return Some(distance - step);
        }
        None
    }

    /// The home of an element that is in `bucket`, `away` from home.
    fn home_of(self, bucket: usize, away: usize) -> usize {
        if away <= bucket {
            bucket - away
        } else {
            bucket + self.len() - away
        }
    }

    fn raise_reach(&self, home: usize, away: usize) {
        let bucket = self.bucket(home);
        bucket.set_reach(bucket.tags().reach().max(away));
    }

    /// Restores invariant 2 after an element of `home` has come nearer or left.
    fn lower_reach(&self, home: usize) {
        let reach = self.bucket(home).tags().reach();
        let farthest = (1..=reach)
            .rev()
            .find(|&away| self.guest(home, away).is_some());
        self.bucket(home).set_reach(farthest.unwrap_or(0));
    }

    /// An element of `home` that is `away` buckets from it, as bucket and lane.
    fn guest(&self, home: usize, away: usize) -> Option<(usize, usize)> {
        let index = self.after(home, away);
        Some((index, self.bucket(index).lanes_away(away).next()?))
    }

    /// Takes an element out; returns the bytes freed with it. The hole is filled with the bucket's own element
    /// that is farthest away, so that a table in which keys come and go for ever does not drift away from home.
    pub(super) fn vacate(&self, place: Place) -> usize {
        if place.block != *self {
            return self.unchain(place);
        }
        let away = place.slot().away();
        self.bucket(place.bucket).clear(place.lane);
        self.add(-1);
        let home = self.home_of(place.bucket, away);
        if away > 0 && away == self.bucket(home).tags().reach() {
            self.lower_reach(home);
        }
        let reach = self.bucket(place.bucket).tags().reach();
        if reach > 0
            && let Some((index, lane)) = self.guest(place.bucket, reach)
        {
            let guest = self.bucket(index);
            let (tag, slot) = (guest.tags().of_lane(lane), guest.slot(lane));
            guest.clear(lane);
            self.bucket(place.bucket)
                .put(place.lane, tag, slot.with_away(0));
            self.lower_reach(place.bucket);
        }
        0
    }
}

/// The chain.
impl Segment {
    /// Puts an element into the chain: the last resort for hashes that collide in more bits than can tell them apart.
    #[cold]
    pub(super) fn chain(&self, hash: u64, slot: Slot) -> Place {
        let first = self
            .next_block()
            .filter(|block| block.count() < CHAIN_BUCKETS * LANES);
        let block = first.unwrap_or_else(|| self.prepend_block());
        let free = (0..CHAIN_BUCKETS).find_map(|index| Some((index, block.free_lane(index)?)));
        let (bucket, lane) = free.expect("a block below its capacity has a free lane");
        block
            .bucket(bucket)
            .put(lane, Tags::tag(hash), slot.with_away(0));
        block.add(1);
        self.add(1);
        self.header().chained.set(self.header().chained.get() + 1);
        self.bucket(self.home(hash)).set_chained(true);
        Place {
            block,
            bucket,
            lane,
        }
    }

    fn prepend_block(&self) -> Segment {
        let block = Self::allocate(CHAIN_BUCKETS, self.depth(), 0, 0);
        block
            .header()
            .chain
            .set(self.header().chain.replace(Some(block)));
        block
    }

    #[cold]
    fn unchain(&self, place: Place) -> usize {
        let block = place.block;
        block.bucket(place.bucket).clear(place.lane);
        block.add(-1);
        self.add(-1);
        self.header().chained.set(self.header().chained.get() - 1);
        if block.count() > 0 {
            return 0;
        }
        let before = self
            .blocks()
            .find(|before| before.next_block() == Some(block));
        before
            .expect("a chain block has a predecessor")
            .header()
            .chain
            .set(block.header().chain.get());
        // SAFETY: the only link to the block is gone, and `place` ends here.
        unsafe { block.free_block() };
        if self.next_block().is_none() {
            self.buckets()
                .iter()
                .for_each(|bucket| bucket.set_chained(false));
        }
        Self::layout(CHAIN_BUCKETS).size()
    }
}
