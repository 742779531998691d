//! Sorted sets: members in order of their scores, and of their bytes where scores are equal.
//!
//! Readers use [`ZsetRef`], writers [`ZsetMut`], over both forms: the packed block inside the entry (`zset/packed.rs`),
//! and the large [`Zset`] (`raw/zset.rs`), which a set becomes when it outgrows its [`Limits`] and then remains. Ranges
//! are ranks: [`ScoreRange`] and [`LexRange`] say which ranks they mean, and all else works by rank, in either
//! direction.
//!
//! Scores are exact in both forms (but that the packed one has no -0) and never NaN; whoever computes one checks it before it gets here.

mod packed;
mod range;

use std::iter::Rev;
use std::ops::Range;
use std::vec;

pub use self::range::{LexEdge, LexRange, ScoreRange};
use crate::ahead;
use crate::collection::{Collection, Large};
use crate::hash::Seed;
use crate::packed::{Edit, Element, Forward};
use crate::raw::entry::{Entry, Held, Type};
pub use crate::raw::zset::Zset;

use self::packed::Pairs;

/// How large a packed sorted set may become, and the seed that the large one hashes with.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Most members.
    pub entries: usize,
    /// Longest member in bytes.
    pub text: usize,
    pub seed: Seed,
}

/// A sorted set to be read.
#[derive(Clone, Copy)]
pub enum ZsetRef<'a> {
    Packed(Forward<'a>),
    Large(&'a Zset),
}

impl<'a> ZsetRef<'a> {
    /// A sorted set without members: what a key that is not there amounts to.
    pub const EMPTY: ZsetRef<'static> = ZsetRef::Packed(Forward::new(&[]));

    /// Starts loading what lookups of some members, the first ones, are going to read.
    pub fn load<'e>(self, members: impl Iterator<Item = &'e [u8]>) {
        if let Self::Large(zset) = self {
            ahead::load(zset.len(), members.map(|member| zset.spot(member)));
        }
    }

    /// # Panics
    /// If the entry is not a sorted set.
    #[inline]
    pub fn of(entry: &'a Entry) -> Self {
        match entry.held() {
            Held::Packed(bytes) if entry.kind() == Type::Zset => {
                ZsetRef::Packed(Forward::new(bytes))
            }
            Held::Large(Collection::Zset(zset)) => ZsetRef::Large(zset),
            _ => panic!("the entry is not a sorted set"),
        }
    }

    /// # Panics
    /// If it is not a sorted set.
    #[inline]
    pub fn of_large(large: &'a Large) -> Self {
        match Held::Large(&large.body) {
            Held::Large(Collection::Zset(zset)) => ZsetRef::Large(zset),
            _ => panic!("the collection is not a sorted set"),
        }
    }

    #[inline]
    pub fn len(self) -> usize {
        match self {
            ZsetRef::Packed(block) => packed::len(block),
            ZsetRef::Large(zset) => zset.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn score(self, member: &[u8]) -> Option<f64> {
        match self {
            ZsetRef::Packed(block) => packed::find(block, member).map(|pair| pair.score),
            ZsetRef::Large(zset) => zset.score(member),
        }
    }

    /// How many members come before this one, and its score.
    pub fn rank(self, member: &[u8]) -> Option<(usize, f64)> {
        match self {
            ZsetRef::Packed(block) => Pairs::of(block)
                .enumerate()
                .find(|(_, pair)| pair.member.is(member))
                .map(|(rank, pair)| (rank, pair.score)),
            ZsetRef::Large(zset) => zset.rank(member),
        }
    }

    /// The member with this rank.
    pub fn get(self, rank: usize) -> Option<(Element<'a>, f64)> {
        match self {
            ZsetRef::Packed(block) => Pairs::of(block)
                .nth(rank)
                .map(|pair| (pair.member, pair.score)),
            ZsetRef::Large(zset) => zset
                .get(rank)
                .map(|(member, score)| (Element::Bytes(member), score)),
        }
    }

    /// The members with these ranks, in ascending or descending order.
    pub fn items(self, ranks: Range<usize>, reverse: bool) -> Items<'a> {
        let end = ranks.end.min(self.len());
        let ranks = ranks.start.min(end)..end;
        Items(match self {
            ZsetRef::Packed(block) if reverse => {
                let pairs = Pairs::of(block).skip(ranks.start).take(ranks.len());
                let pairs = pairs.map(|pair| (pair.member, pair.score));
                Walk::Turned(pairs.collect::<Vec<_>>().into_iter().rev())
            }
            ZsetRef::Packed(block) => {
                let mut pairs = Pairs::of(block);
                for _ in 0..ranks.start {
                    pairs.next();
                }
                Walk::Packed(pairs, ranks.len())
            }
            ZsetRef::Large(zset) if reverse => Walk::Descending(zset.items(ranks).rev()),
            ZsetRef::Large(zset) => Walk::Ascending(zset.items(ranks)),
        })
    }

    /// All members in ascending order.
    pub fn iter(self) -> Items<'a> {
        self.items(0..self.len(), false)
    }

    /// How many members there are, from the first on, of which `below` is true.
    pub fn position(self, below: impl Fn(&[u8], f64) -> bool) -> usize {
        match self {
            ZsetRef::Packed(block) => Pairs::of(block)
                .take_while(|pair| {
                    let mut digits = itoa::Buffer::new();
                    below(pair.member.text(&mut digits), pair.score)
                })
                .count(),
            ZsetRef::Large(zset) => zset.position(below),
        }
    }

    /// The same where scores alone decide.
    pub fn position_of_score(self, below: impl Fn(f64) -> bool) -> usize {
        match self {
            ZsetRef::Packed(block) => Pairs::of(block)
                .take_while(|pair| below(pair.score))
                .count(),
            ZsetRef::Large(zset) => zset.position_of_score(below),
        }
    }

    /// One call of a ZSCAN: a packed sorted set comes whole, a large one by [`Zset::scan`].
    pub fn scan(self, cursor: u64, count: usize, mut emit: impl FnMut(Element<'_>, f64)) -> u64 {
        match self {
            ZsetRef::Packed(_) => {
                self.iter().for_each(|(member, score)| emit(member, score));
                0
            }
            ZsetRef::Large(zset) => zset.scan(cursor, count, |member, score| {
                emit(Element::Bytes(member), score);
            }),
        }
    }
}

/// Iterator over members and scores.
pub struct Items<'a>(Walk<'a>);

enum Walk<'a> {
    /// So many more.
    Packed(Pairs<'a>, usize),
    Turned(Rev<vec::IntoIter<(Element<'a>, f64)>>),
    Ascending(crate::raw::zset::Items<'a>),
    Descending(Rev<crate::raw::zset::Items<'a>>),
}

impl<'a> Iterator for Items<'a> {
    type Item = (Element<'a>, f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let text = |(member, score)| (Element::Bytes(member), score);
        match &mut self.0 {
            Walk::Packed(pairs, left) => {
                *left = left.checked_sub(1)?;
                pairs.next().map(|pair| (pair.member, pair.score))
            }
            Walk::Turned(items) => items.next(),
            Walk::Ascending(items) => items.next().map(text),
            Walk::Descending(items) => items.next().map(text),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match &self.0 {
            Walk::Packed(_, left) => (*left, Some(*left)),
            Walk::Turned(items) => items.size_hint(),
            Walk::Ascending(items) => items.size_hint(),
            Walk::Descending(items) => items.size_hint(),
        }
    }
}

impl ExactSizeIterator for Items<'_> {}

/// A sorted set to be changed.
pub struct ZsetMut<'a> {
    entry: &'a mut Entry,
    limits: Limits,
}

impl<'a> ZsetMut<'a> {
    /// The entry is a sorted set, and nobody else reads it.
    pub fn of(entry: &'a mut Entry, limits: Limits) -> Self {
        debug_assert!(entry.kind() == Type::Zset);
        Self { entry, limits }
    }

    /// To be read.
    pub fn read(&self) -> ZsetRef<'_> {
        ZsetRef::of(self.entry)
    }

    fn large(&mut self) -> Option<&mut Zset> {
        match self.entry.large_mut() {
            Some(Collection::Zset(zset)) => Some(zset),
            _ => None,
        }
    }

    /// Prepares for `count` members of up to `longest` bytes, of which at least one will be inserted if there are none yet:
    /// a sorted set that they would make too large becomes large at once.
    pub fn expect(&mut self, count: usize, longest: usize) {
        let beyond = count > self.limits.entries || longest > self.limits.text;
        if beyond && self.large().is_none() {
            self.enlarge();
        }
    }

    /// Looks `member` up once, and gives it the score that `new` makes of the one that it has, if it has one; no score
    /// leaves all as it is.
    pub fn update<R>(
        &mut self,
        member: &[u8],
        new: impl FnOnce(Option<f64>) -> (Option<f64>, R),
    ) -> R {
        if let Some(zset) = self.large() {
            return zset.update(member, new);
        }
        let limits = self.limits;
        let mut block = Edit::<_, false>::new(self.entry.packed_mut());
        let found = packed::find(block.read(), member).map(|pair| (pair.score, pair.range));
        let old = found.as_ref().map(|found| found.0);
        let (score, result) = new(old);
        let Some(score) = score.filter(|score| old.map(f64::to_bits) != Some(score.to_bits()))
        else {
            return result;
        };
        assert!(!score.is_nan(), "a score is a number");
        match found {
            Some((_, range)) => block.remove(range, 2),
            None if member.len() > limits.text || packed::len(block.read()) >= limits.entries => {
                self.enlarge().insert(member, score);
                return result;
            }
            None => {}
        }
        packed::put(&mut block, member, score);
        result
    }

    /// Adds a member or changes its score; answers the score that it had.
    pub fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        self.update(member, |old| (Some(score), old))
    }

    /// Takes a member out; answers its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        if let Some(zset) = self.large() {
            return zset.remove(member);
        }
        let mut block = Edit::<_, false>::new(self.entry.packed_mut());
        let (score, range) =
            packed::find(block.read(), member).map(|pair| (pair.score, pair.range))?;
        block.remove(range, 2);
        Some(score)
    }

    /// Takes the members with these ranks out.
    pub fn remove_range(&mut self, ranks: Range<usize>) {
        if let Some(zset) = self.large() {
            zset.remove_range(ranks, |_, _| {});
            return;
        }
        let mut block = Edit::<_, false>::new(self.entry.packed_mut());
        let mut pairs = Pairs::of(block.read()).skip(ranks.start).take(ranks.len());
        let Some(first) = pairs.next() else {
            return;
        };
        let (mut end, mut count) = (first.range.end, 1);
        for pair in pairs {
            end = pair.range.end;
            count += 1;
        }
        block.remove(first.range.start..end, 2 * count);
    }

    /// Turns a packed sorted set into a large one.
    fn enlarge(&mut self) -> &mut Zset {
        let mut zset = Zset::new(self.limits.seed);
        for (member, score) in self.read().iter() {
            zset.insert(member.text(&mut itoa::Buffer::new()), score);
        }
        self.entry.set_large(Collection::Zset(zset));
        self.large().expect("it has just become large")
    }
}

/// The entry of a sorted set that was put together apart: packed if it is within the limits.
pub fn into_entry(key: &[u8], zset: Zset, limits: Limits) -> Entry {
    let fits = zset.len() <= limits.entries
        && (zset.items(0..zset.len())).all(|(member, _)| member.len() <= limits.text);
    let packed = if fits {
        packed::of(zset.items(0..zset.len()))
    } else {
        Vec::new()
    };
    let mut entry = Entry::packed(Type::Zset, key, &packed, None);
    if !fits {
        entry.set_large(Collection::Zset(zset));
    }
    entry
}
