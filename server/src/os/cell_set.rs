//! A set of cells: one bit per cell, 128 at most, so that a set is a value that is copied, compared and handed
//! around without allocation. Iteration ascends, which is the order in which cells have to be taken.

use std::fmt;

/// The most cells that a server can have.
pub const MAX_CELLS: usize = 128;

#[derive(Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct CellSet(u128);

impl CellSet {
    pub const EMPTY: CellSet = CellSet(0);

    /// The cells 0 to `n - 1`.
    pub const fn all(n: usize) -> CellSet {
        assert!(n <= MAX_CELLS, "at most 128 cells");
        match n {
            0 => CellSet::EMPTY,
            n => CellSet(u128::MAX >> (MAX_CELLS - n)),
        }
    }

    #[inline]
    pub const fn single(cell: usize) -> CellSet {
        assert!(cell < MAX_CELLS, "at most 128 cells");
        CellSet(1 << cell)
    }

    #[inline]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    #[inline]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    #[inline]
    pub const fn contains(self, cell: usize) -> bool {
        cell < MAX_CELLS && self.0 >> cell & 1 == 1
    }

    #[inline]
    pub const fn is_subset(self, of: CellSet) -> bool {
        self.0 & !of.0 == 0
    }

    #[inline]
    pub const fn union(self, other: CellSet) -> CellSet {
        CellSet(self.0 | other.0)
    }

    #[inline]
    pub const fn intersection(self, other: CellSet) -> CellSet {
        CellSet(self.0 & other.0)
    }

    /// The cells of this set that `other` does not have.
    #[inline]
    pub const fn minus(self, other: CellSet) -> CellSet {
        CellSet(self.0 & !other.0)
    }

    /// The cells of this set that are lower than `cell`.
    #[inline]
    pub const fn below(self, cell: usize) -> CellSet {
        assert!(cell < MAX_CELLS, "at most 128 cells");
        CellSet(self.0 & ((1 << cell) - 1))
    }

    #[inline]
    pub fn insert(&mut self, cell: usize) {
        *self = self.union(CellSet::single(cell));
    }

    #[inline]
    pub fn remove(&mut self, cell: usize) {
        *self = self.minus(CellSet::single(cell));
    }

    #[inline]
    pub const fn lowest(self) -> Option<usize> {
        match self.0 {
            0 => None,
            bits => Some(bits.trailing_zeros() as usize),
        }
    }

    /// The cells in ascending order.
    #[inline]
    pub const fn iter(self) -> Iter {
        Iter(self)
    }
}

/// The cells of a set in ascending order.
#[derive(Clone, Debug)]
pub struct Iter(CellSet);

impl Iterator for Iter {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        let cell = self.0.lowest()?;
        self.0.0 &= self.0.0 - 1;
        Some(cell)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.len(), Some(self.0.len()))
    }
}

impl ExactSizeIterator for Iter {}

impl IntoIterator for CellSet {
    type Item = usize;
    type IntoIter = Iter;

    #[inline]
    fn into_iter(self) -> Iter {
        self.iter()
    }
}

impl FromIterator<usize> for CellSet {
    fn from_iter<I: IntoIterator<Item = usize>>(cells: I) -> CellSet {
        cells
            .into_iter()
            .fold(CellSet::EMPTY, |set, cell| set.union(CellSet::single(cell)))
    }
}

/// `{0,1,5}`
impl fmt::Display for CellSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (nth, cell) in self.iter().enumerate() {
            write!(f, "{}{cell}", if nth == 0 { "" } else { "," })?;
        }
        f.write_str("}")
    }
}

impl fmt::Debug for CellSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
