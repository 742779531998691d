//! Ranges of scores and of members, as ZRANGE and its kin name them.

use std::ops::{Bound, Range};

use super::ZsetRef;
use crate::numbers::parse_f64_saturating;

/// From one score to another: `1.5`, `(1.5`, `-inf`, `+inf`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreRange {
    pub min: Bound<f64>,
    pub max: Bound<f64>,
}

impl ScoreRange {
    pub fn parse(min: &[u8], max: &[u8]) -> Option<Self> {
        Some(Self {
            min: score(min)?,
            max: score(max)?,
        })
    }

    /// The ranks of the members within.
    pub fn ranks(&self, zset: ZsetRef<'_>) -> Range<usize> {
        let start = zset.position_of_score(|score| match self.min {
            Bound::Included(min) => score < min,
            Bound::Excluded(min) => score <= min,
            Bound::Unbounded => false,
        });
        let end = zset.position_of_score(|score| match self.max {
            Bound::Included(max) => score <= max,
            Bound::Excluded(max) => score < max,
            Bound::Unbounded => true,
        });
        start..end.max(start)
    }
}

/// As C's `strtod` reads a score: nothing at all is zero, blanks may lead, and what is out of range is infinite.
fn score(text: &[u8]) -> Option<Bound<f64>> {
    let number = |text: &[u8]| match text.trim_ascii_start() {
        [] if text.is_empty() => Some(0.0),
        digits => parse_f64_saturating(digits),
    };
    match text {
        [b'(', text @ ..] => number(text).map(Bound::Excluded),
        text => number(text).map(Bound::Included),
    }
}

/// From one member to another, where all scores are equal: `[a`, `(a`, `-`, `+`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LexRange<'t> {
    pub min: LexEdge<'t>,
    pub max: LexEdge<'t>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LexEdge<'t> {
    /// `-`
    Lowest,
    /// `+`
    Highest,
    Included(&'t [u8]),
    Excluded(&'t [u8]),
}

impl<'t> LexEdge<'t> {
    fn parse(text: &'t [u8]) -> Option<Self> {
        match text {
            b"-" => Some(Self::Lowest),
            b"+" => Some(Self::Highest),
            [b'[', text @ ..] => Some(Self::Included(text)),
            [b'(', text @ ..] => Some(Self::Excluded(text)),
            _ => None,
        }
    }
}

impl<'t> LexRange<'t> {
    pub fn parse(min: &'t [u8], max: &'t [u8]) -> Option<Self> {
        Some(Self {
            min: LexEdge::parse(min)?,
            max: LexEdge::parse(max)?,
        })
    }

    /// The ranks of the members within.
    pub fn ranks(&self, zset: ZsetRef<'_>) -> Range<usize> {
        let start = zset.position(|member, _| match self.min {
            LexEdge::Lowest => false,
            LexEdge::Highest => true,
            LexEdge::Included(min) => member < min,
            LexEdge::Excluded(min) => member <= min,
        });
        let end = zset.position(|member, _| match self.max {
            LexEdge::Lowest => false,
            LexEdge::Highest => true,
            LexEdge::Included(max) => member <= max,
            LexEdge::Excluded(max) => member < max,
        });
        start..end.max(start)
    }
}
