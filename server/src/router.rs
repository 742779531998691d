//! Where a key lives: its hash, and the cell that holds its slot.

use ostraka_datatypes::hash::{self, Seed};
use ostraka_datatypes::slot::slot;

/// A key with what routing computed for it, so that nothing is computed twice.
#[derive(Clone, Copy, Debug)]
pub struct Key<'a> {
    pub bytes: &'a [u8],
    pub hash: u64,
    pub cell: usize,
}

/// Maps keys to hashes and cells. Copied into whatever needs it: two words.
#[derive(Clone, Copy)]
pub struct Router {
    pub seed: Seed,
    cells: usize,
}

impl Router {
    /// A router over `cells` cells, 1 to 128.
    pub fn new(seed: Seed, cells: usize) -> Self {
        Self { seed, cells }
    }

    pub fn cells(&self) -> usize {
        self.cells
    }

    #[inline]
    pub fn key<'a>(&self, bytes: &'a [u8]) -> Key<'a> {
        Key {
            bytes,
            hash: hash::hash(&self.seed, bytes),
            cell: self.cell(bytes),
        }
    }

    /// The cell of a key: an equal, contiguous share of the 16384 slots each. With one cell no CRC is computed.
    #[inline]
    pub fn cell(&self, key: &[u8]) -> usize {
        if self.cells == 1 {
            0
        } else {
            self.cell_of_slot(slot(key))
        }
    }

    pub fn cell_of_slot(&self, slot: u16) -> usize {
        (usize::from(slot) * self.cells) >> 14
    }
}
