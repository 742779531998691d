//! The invariants of the table as a program: for tests, simulations and DEBUG.

use super::Table;
use super::bucket::Tags;
use super::element::Element;
use super::segment::Segment;

/// Turns a broken invariant into a message.
fn check(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

impl<E: Element> Table<E> {
    /// Checks every invariant that the files of this module state; takes time in proportion to the table.
    ///
    /// # Errors
    /// Says which one does not hold, and where.
    pub fn verify(&self) -> Result<(), String> {
        let words = if self.directory.is_empty() {
            0
        } else {
            1usize << self.bits
        };
        check(self.directory.len() == words, || {
            format!("{} words, {} bits", self.directory.len(), self.bits)
        })?;
        let (mut index, mut len, mut segments, mut bytes) = (0, 0, 0, words * size_of::<Segment>());
        while let Some(&segment) = self.directory.get(index) {
            let span = index..index + self.width(segment);
            let filled = self.directory[span.clone()]
                .iter()
                .all(|word| *word == segment);
            check(filled, || format!("the words {span:?} differ"))?;
            self.verify_segment(segment, index)?;
            (len, segments, bytes) = (len + segment.count(), segments + 1, bytes + segment.bytes());
            index = span.end;
        }
        let deepest = self
            .directory
            .iter()
            .filter(|segment| segment.depth() == self.bits)
            .count();
        let counted = (len, segments, bytes, deepest);
        let kept = (self.len, self.segments, self.bytes, self.deepest);
        check(counted == kept, || {
            format!("(len, segments, bytes, deepest) is {counted:?}, kept {kept:?}")
        })
    }

    fn verify_segment(&self, segment: Segment, index: usize) -> Result<(), String> {
        check(segment.stamp() <= self.clock, || {
            format!("segment {index} is stamped ahead of time")
        })?;
        let mut reach = vec![0; segment.len()];
        let (mut in_buckets, mut in_chain) = (0, 0);
        for (number, bucket) in segment.buckets().iter().enumerate() {
            for lane in bucket.tags().used() {
                let slot = bucket.slot(lane);
                let hash = self.hash_of(slot);
                let home = segment.home(hash);
                let here = (home + slot.away()) % segment.len() == number
                    && self.segment(hash) == Some(segment);
                check(here, || {
                    format!("segment {index}: an element is astray in bucket {number}")
                })?;
                check(bucket.tags().of_lane(lane) == Tags::tag(hash), || {
                    format!("segment {index}: wrong tag")
                })?;
                reach[home] = reach[home].max(slot.away());
                in_buckets += 1;
            }
        }
        for slot in segment.slots_in_chain() {
            let home = segment.bucket(segment.home(self.hash_of(slot)));
            check(home.tags().chained() && slot.away() == 0, || {
                format!("segment {index}: astray in the chain")
            })?;
            in_chain += 1;
        }
        for (number, bucket) in segment.buckets().iter().enumerate() {
            check(bucket.tags().reach() == reach[number], || {
                format!("segment {index}: reach of bucket {number}")
            })?;
            check(in_chain > 0 || !bucket.tags().chained(), || {
                format!("segment {index}: stale chain flag")
            })?;
        }
        let empty = segment.blocks().skip(1).any(|block| block.count() == 0);
        check(!empty, || {
            format!("segment {index}: an empty block in the chain")
        })?;
        check(in_chain == 0 || self.chained, || {
            "a chain that the table does not know of".to_string()
        })?;
        let counted = (in_buckets + in_chain, in_chain);
        let kept = (segment.count(), segment.chained());
        check(counted == kept, || {
            format!("segment {index}: (count, chained) is {counted:?}, kept {kept:?}")
        })
    }
}
