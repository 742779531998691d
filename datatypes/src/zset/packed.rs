//! The small sorted set: members and scores in turn in a packed block, in order.
//!
//! ```text
//!  member  score  member  score ...        score: an integer, if it is one of up to 53 bits,
//!                                                 else the 8 bytes of the double, little-endian
//! ```

use std::cmp::Ordering;
use std::ops::Range;

use crate::packed::{Edit, Element, Forward, Items, Storage};

/// Largest magnitude of a score that is kept as an integer.
const INTEGER_MAX: f64 = (1_i64 << 53) as f64;

/// A member with its score, and the bytes that both take.
#[derive(Clone, Debug)]
pub(super) struct Pair<'a> {
    pub(super) member: Element<'a>,
    pub(super) score: f64,
    pub(super) range: Range<usize>,
}

/// Walks over pairs.
#[derive(Clone, Debug)]
pub(super) struct Pairs<'a>(Items<'a, false>);

impl<'a> Pairs<'a> {
    pub(super) fn of(block: Forward<'a>) -> Self {
        Self(block.iter())
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'a>> {
        let (member, score) = (self.0.next()?, self.0.next()?);
        Some(Pair {
            member: member.element,
            score: read_score(score.element),
            range: member.range.start..score.range.end,
        })
    }
}

/// Whatever the bytes are, the result is a number.
fn read_score(element: Element<'_>) -> f64 {
    match element {
        Element::Int(number) => number as f64,
        Element::Bytes(bytes) => {
            let score = bytes.try_into().map_or(0.0, f64::from_le_bytes);
            if score.is_nan() { 0.0 } else { score }
        }
    }
}

/// The score in its element; `bytes` is room for one.
fn score_element(score: f64, bytes: &mut [u8; 8]) -> Element<'_> {
    // So -0 becomes 0, as it does in Redis' listpack.
    if score.abs() <= INTEGER_MAX && score.fract() == 0.0 {
        return Element::Int(score as i64);
    }
    *bytes = score.to_le_bytes();
    Element::Bytes(bytes)
}

pub(super) fn len(block: Forward<'_>) -> usize {
    block.len() / 2
}

pub(super) fn find<'a>(block: Forward<'a>, member: &[u8]) -> Option<Pair<'a>> {
    let start = block.find(member, 2)?.range.start;
    Pairs(block.iter_from(start)).next()
}

/// How a pair relates to this key.
pub(super) fn order(pair: &Pair<'_>, score: f64, member: &[u8]) -> Ordering {
    let by_score = pair.score.partial_cmp(&score);
    let by_score = by_score.expect("scores are never NaN");
    by_score.then_with(|| pair.member.text(&mut itoa::Buffer::new()).cmp(member))
}

/// Puts a pair that is not there in its place.
pub(super) fn put<S: Storage>(block: &mut Edit<S, false>, member: &[u8], score: f64) {
    let mut pairs = Pairs::of(block.read());
    let after = pairs.find(|pair| order(pair, score, member) == Ordering::Greater);
    let at = after.map_or(block.read().total_bytes(), |pair| pair.range.start);
    let mut bytes = [0; 8];
    block.insert(at, &[Element::of(member), score_element(score, &mut bytes)]);
}

/// The bytes of a block with these pairs, which are in order.
pub(super) fn of<'a>(pairs: impl Iterator<Item = (&'a [u8], f64)>) -> Vec<u8> {
    let mut block = Edit::<_, false>::new(Vec::new());
    for (member, score) in pairs {
        let mut bytes = [0; 8];
        block.push_back(&[Element::of(member), score_element(score, &mut bytes)]);
    }
    block.storage()
}
