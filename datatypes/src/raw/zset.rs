//! The large sorted set: a table that finds members, and a tree that keeps them in order.
//!
//! Each member lies in one allocation behind its score ([`Scored`]), which the table owns; the tree holds its address and
//! a copy of the score, so that a search by score reads nothing but the tree. Order is by score, then by member as
//! bytes. Scores are never NaN; 0 and -0 are equal in order and kept as they came.
//!
//! With 1 M members of 10 bytes: 24 bytes each for the member, 12 in the table, 20 in the tree.
//!
//! Invariant: the tree holds exactly one handle per element of the table, under that element's score. So every handle's
//! member is alive as long as the `Zset` is borrowed, which is what each call of `Handle::text` rests on.

mod tree;

use std::cmp::Ordering;
use std::ops::Range;

use self::tree::{Key, Tree};
use crate::hash::Seed;
use crate::raw::entry::Encoding;
use crate::raw::table::{self, Spot, Table};
use crate::raw::text::{Handle, Text};

/// A member with its score in front.
type Scored = Text<f64>;

pub struct Zset {
    table: Table<Scored>,
    tree: Tree<Handle>,
    /// Bytes that all members take.
    bytes: usize,
    seed: Seed,
}

impl Zset {
    #[must_use]
    pub const fn new(seed: Seed) -> Self {
        Self {
            table: Table::new(seed),
            tree: Tree::new(),
            bytes: 0,
            seed,
        }
    }

    /// A sorted set for [`copy_part`](Self::copy_part) to fill.
    #[must_use]
    pub fn begin_copy(&self) -> Self {
        Self::new(self.seed)
    }

    /// Adds the next elements to a copy of this sorted set, which has not changed since the copy was begun. Whether there
    /// were any.
    pub fn copy_part(&self, copy: &mut Self) -> bool {
        /// Elements that are copied at once: some 30 µs.
        const PART: usize = 64;
        let rank = copy.len();
        for (member, score) in self.items(rank..rank + PART) {
            let element = Scored::new(score, member);
            let last = Key {
                score,
                tie: |_| Ordering::Less,
            };
            copy.tree.insert(&last, element.handle());
            let hash = copy.table.hash(member);
            copy.table.insert_new(hash, element, 0);
            copy.bytes += Scored::bytes(member.len());
        }
        copy.len() > rank
    }

    /// Takes all elements out, in constant time.
    #[must_use]
    pub fn take_all(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.seed))
    }

    #[inline]
    pub fn len(&self) -> usize {
        self.tree.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What OBJECT ENCODING calls it.
    pub fn encoding(&self) -> Encoding {
        Encoding::Skiplist
    }

    /// Allocated bytes.
    pub fn memory_usage(&self) -> usize {
        self.bytes + self.table.bytes() + self.tree.memory_usage()
    }

    /// Where a member is looked for.
    #[inline]
    pub fn spot(&self, member: &[u8]) -> Option<Spot<'_>> {
        self.table.spot(self.table.hash(member))
    }

    #[inline]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        let found = self.table.get(self.table.hash(member), member)?;
        Some(found.front())
    }

    /// Looks `member` up once, and gives it the score that `new` makes of the one that it has, if it has one; no score
    /// leaves all as it is.
    pub fn update<R>(
        &mut self,
        member: &[u8],
        new: impl FnOnce(Option<f64>) -> (Option<f64>, R),
    ) -> R {
        let hash = self.table.hash(member);
        match self.table.entry(hash, member) {
            table::Entry::Vacant(vacant) => {
                let (score, result) = new(None);
                if let Some(score) = score {
                    assert!(!score.is_nan(), "a score is a number");
                    let element = Scored::new(score, member);
                    let handle = element.handle();
                    vacant.insert(element, 0);
                    self.bytes += Scored::bytes(member.len());
                    self.tree.insert(&key(score, member), handle);
                }
                result
            }
            table::Entry::Occupied(mut occupied) => {
                let old = occupied.get().front();
                let (score, result) = new(Some(old));
                if let Some(score) = score.filter(|score| score.to_bits() != old.to_bits()) {
                    assert!(!score.is_nan(), "a score is a number");
                    let found = self.tree.remove(&key(old, member));
                    let handle = found.expect("the tree has what the table has");
                    occupied.update(|element| element.set_front(score));
                    self.tree.insert(&key(score, member), handle);
                }
                result
            }
        }
    }

    /// Adds a member or changes its score; answers the score that it had.
    pub fn insert(&mut self, member: &[u8], score: f64) -> Option<f64> {
        self.update(member, |old| (Some(score), old))
    }

    /// Takes a member out; answers its score.
    pub fn remove(&mut self, member: &[u8]) -> Option<f64> {
        let score = self.score(member)?;
        let removed = self.tree.remove(&key(score, member));
        assert!(removed.is_some(), "the tree has what the table has");
        self.table.remove(self.table.hash(member), member);
        self.bytes -= Scored::bytes(member.len());
        Some(score)
    }

    /// Takes the elements with these ranks out, and shows each.
    pub fn remove_range(&mut self, ranks: Range<usize>, mut removed: impl FnMut(&[u8], f64)) {
        let mut left = ranks.end.min(self.len()).saturating_sub(ranks.start);
        let mut cut = Vec::new();
        while left > 0 {
            self.tree.cut(ranks.start, left, &mut cut);
            left -= cut.len();
            for handle in cut.drain(..) {
                // SAFETY: the tree has had this handle until now, and the table has its element.
                let text = unsafe { handle.text() };
                self.bytes -= Scored::bytes(text.len());
                let element = self.table.remove(self.table.hash(text), text);
                let element = element.expect("the table has what the tree has");
                removed(element.text(), element.front());
            }
        }
    }

    /// How many members come before this one, and its score.
    pub fn rank(&self, member: &[u8]) -> Option<(usize, f64)> {
        let score = self.score(member)?;
        Some((self.tree.position_of(&key(score, member)), score))
    }

    /// How many members there are, from the first on, of which `below` is true.
    pub fn position(&self, below: impl Fn(&[u8], f64) -> bool) -> usize {
        self.tree.position(|score, handle| {
            // SAFETY: by the invariant of `Zset`.
            below(unsafe { handle.text() }, score)
        })
    }

    /// The same where scores alone decide: reads no member.
    pub fn position_of_score(&self, below: impl Fn(f64) -> bool) -> usize {
        self.tree.position(|score, _| below(score))
    }

    pub fn get(&self, rank: usize) -> Option<(&[u8], f64)> {
        let (score, handle) = self.tree.get(rank)?;
        // SAFETY: by the invariant of `Zset`, as long as `self` is borrowed.
        Some((unsafe { handle.text() }, score))
    }

    /// The elements with these ranks, from either end.
    pub fn items(&self, ranks: Range<usize>) -> Items<'_> {
        Items(self.tree.items(ranks))
    }

    /// See [`Table::scan`].
    pub fn scan(&self, cursor: u64, count: usize, mut emit: impl FnMut(&[u8], f64)) -> u64 {
        self.table.scan(cursor, count, |element| {
            emit(element.text(), element.front());
        })
    }

    /// Checks the invariants, for tests.
    pub fn verify(&self) -> Result<(), String> {
        self.table.verify()?;
        if self.table.len() != self.tree.len() {
            return Err("table and tree differ in length".into());
        }
        let mut last: Option<(&[u8], f64)> = None;
        for (rank, (member, score)) in self.items(0..self.len()).enumerate() {
            let ascends = last.is_none_or(|(before, lower)| (lower, before) < (score, member));
            if !ascends || self.rank(member) != Some((rank, score)) {
                return Err(format!("rank {rank} is out of order"));
            }
            last = Some((member, score));
        }
        Ok(())
    }
}

/// Where a member with this score belongs.
#[inline]
fn key(score: f64, member: &[u8]) -> Key<impl Fn(Handle) -> Ordering> {
    // SAFETY: this is only called by the tree of the `Zset` that is being used; by the invariant its handles are alive.
    let tie = move |handle: Handle| unsafe { handle.text() }.cmp(member);
    Key { score, tie }
}

/// Iterator over members and scores by rank.
pub struct Items<'a>(tree::Items<'a, Handle>);

impl<'a> Items<'a> {
    #[inline]
    fn read((score, handle): (f64, Handle)) -> (&'a [u8], f64) {
        // SAFETY: the `Zset` is borrowed for 'a; by its invariant the member is alive.
        (unsafe { handle.text() }, score)
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = (&'a [u8], f64);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(Self::read)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl DoubleEndedIterator for Items<'_> {
    #[inline]
    fn next_back(&mut self) -> Option<Self::Item> {
        self.0.next_back().map(Self::read)
    }
}

impl ExactSizeIterator for Items<'_> {}
