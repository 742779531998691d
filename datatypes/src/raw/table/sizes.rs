//! Which size a segment gets.
//!
//! A segment climbs the rungs of its ladder and then splits into two of about half its size. Uniform hashing fills all
//! segments at the same time: were they all of one size that only splits, a table would cost 10 bytes per key just
//! before the splits and 20 after. So there are two steps per doubling (fill between 60 % and 90 %), and the lower and
//! the upper half of the hashes climb different ladders, whose steps interleave evenly on the logarithmic scale
//! of key counts:
//!
//! ```text
//!  lower half   12          16            24          32           KiB per 16 KiB that were full once,
//!  upper half         14           20           28           40    doubling for ever
//! ```
//! Measured from 1 M to 16 M keys: 11.6 to 13.4 bytes per key, 12.2 at 5 M; on the way down at most 17.9. More steps
//! would save a byte at the most; two steps already rehash 2.3 elements per insert where one would rehash 1.

use super::segment::{MAX_BUCKETS, limit};

const RUNGS: usize = 9;

/// Bucket counts from tiny to full, by which half of the hashes a segment serves: powers of two of lines,
/// then 12 and 16 KiB for the lower half (and for an undivided table), 10 and 14 KiB for the upper.
/// With the header's line all of them are jemalloc's own size classes.
const LADDERS: [[usize; RUNGS]; 2] = [
    [1, 3, 7, 15, 31, 63, 127, 191, 255],
    [1, 3, 7, 15, 31, 63, 127, 159, 223],
];

const _: () = assert!(LADDERS[0][RUNGS - 1] <= MAX_BUCKETS && LADDERS[1][RUNGS - 1] <= MAX_BUCKETS);

/// The sizes open to the segments of one half of the hashes.
#[derive(Clone, Copy)]
pub(super) struct Ladder(&'static [usize; RUNGS]);

impl Ladder {
    /// The ladder of the segment with this depth to which `hash` belongs.
    pub(super) fn of(depth: u32, hash: u64) -> Self {
        let upper_half = depth > 0 && hash >> 63 == 1;
        Self(&LADDERS[usize::from(upper_half)])
    }

    pub(super) fn smallest(self) -> usize {
        self.0[0]
    }

    pub(super) fn largest(self) -> usize {
        self.0[RUNGS - 1]
    }

    /// The rungs that suit this many elements, smallest first.
    pub(super) fn suiting(self, count: usize) -> &'static [usize] {
        &self.0[self.0.partition_point(|&rung| comfort(rung) < count)..]
    }

    /// Those of them that are smaller than a segment of `buckets`.
    pub(super) fn suiting_below(self, buckets: usize, count: usize) -> &'static [usize] {
        let suiting = self.suiting(count);
        &suiting[..suiting.partition_point(|&rung| rung < buckets)]
    }

    /// Those of them that are larger.
    pub(super) fn suiting_above(self, buckets: usize, count: usize) -> &'static [usize] {
        let suiting = self.suiting(count);
        &suiting[suiting.partition_point(|&rung| rung <= buckets)..]
    }

    /// Buddies that have together no more than this become one: what suits the rung below the largest, which is
    /// 60 % of what made them split.
    pub(super) fn merge_mark(self) -> usize {
        comfort(self.0[RUNGS - 2])
    }
}

/// Below so many elements a segment looks for something smaller: when the rung below suits it, or, if it has a
/// buddy, when both have half of what makes them merge.
pub(super) fn low_mark(buckets: usize, depth: u32, hash: u64) -> usize {
    let ladder = Ladder::of(depth, hash);
    let below = ladder.0.iter().rev().find(|&&rung| rung < buckets);
    let suits_below = below.map_or(0, |&rung| comfort(rung));
    if depth == 0 {
        return suits_below;
    }
    suits_below.max((ladder.merge_mark() / 2).min(comfort(buckets) * 4 / 5))
}

/// Elements that a segment of this size takes with 25 % to spare before it must grow again.
const fn comfort(buckets: usize) -> usize {
    limit(buckets) as usize * 4 / 5
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_and_shrinking_do_not_chase_each_other() {
        for (depth, hash) in [(0, 0), (1, 0), (1, u64::MAX)] {
            let ladder = Ladder::of(depth, hash);
            // Halves of a split start near the top of their ladders.
            let lowest = if depth == 0 { 0 } else { RUNGS - 3 };
            for rungs in ladder.0[lowest..].windows(2) {
                let grown = limit(rungs[0]) as usize;
                assert_eq!(ladder.suiting_above(rungs[0], grown)[0], rungs[1]);
                assert!(
                    low_mark(rungs[1], depth, hash) * 5 <= grown * 4,
                    "{rungs:?}"
                );
            }
            let (split, merged) = (limit(ladder.largest()) as usize, ladder.merge_mark());
            assert!(merged * 10 <= split * 6);
            let half = ladder.suiting(split / 2 + split / 25)[0];
            assert!(low_mark(half, 1, hash) * 20 <= split / 2 * 19);
        }
    }
}
