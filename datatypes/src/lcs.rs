//! LCS: the longest common subsequence of two strings, and where its pieces lie.
//!
//! The textbook fills a table with the length for each pair of prefixes. Lengths of neighbours in a row differ by 0 or
//! 1, so that a row is a string of bits, and 64 of its cells follow from the row above in one addition (Hyyrö, "Bit-
//! parallel LCS-length computation revisited", 2004). The largest pair that Redis allows, 512 MB of its table, takes
//! 16 MB here, and milliseconds where it took half a second.
//!
//! Of several longest subsequences, Redis' is found: on the way back from the ends, equal bytes are taken, and else
//! the second string is shortened unless that costs length.

use std::fmt;

/// The computation, which may be interrupted between rows. `a` and `b` are lent to each call and must not change.
#[derive(Debug)]
pub struct Lcs {
    columns: usize,
    /// For each byte value, where its bits in `masks` begin: where the byte stands in `b`. Bytes that only `b` has,
    /// or only `a`, share an empty mask.
    mask_of: Box<[usize; 256]>,
    masks: Vec<u64>,
    /// A bit per column, 0 where the length grows from the column before: the current row, or all rows so far.
    rows: Vec<u64>,
    rows_kept: bool,
    rows_done: usize,
}

/// Two strings that are too long to be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// One of them alone.
    String,
    /// Both together, by the table that Redis would need.
    Table,
}

impl fmt::Display for TooLong {
    /// The text that follows `-ERR ` in the reply.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "String too long for LCS",
            Self::Table => {
                "Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len"
            }
        })
    }
}

impl std::error::Error for TooLong {}

/// Equal bytes in a row: `len` of them from `a_start` in the one string and from `b_start` in the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Match {
    pub a_start: usize,
    pub b_start: usize,
    pub len: usize,
}

impl Lcs {
    /// Prepares to compare `a` and `b`. Only the length can be told in the end unless `with_matches`.
    pub fn new(
        a: &[u8],
        b: &[u8],
        with_matches: bool,
        proto_max_bulk_len: u64,
    ) -> Result<Self, TooLong> {
        let longest = u64::from(u32::MAX) - 1;
        if a.len() as u64 >= longest || b.len() as u64 >= longest {
            return Err(TooLong::String);
        }
        let cells = (a.len() as u128 + 1) * (b.len() as u128 + 1);
        if cells * size_of::<u32>() as u128 > u128::from(proto_max_bulk_len) {
            return Err(TooLong::Table);
        }
        let words = b.len().div_ceil(64);
        let mut lcs = Self {
            columns: b.len(),
            mask_of: Box::new([0; 256]),
            masks: vec![0; words],
            rows: vec![u64::MAX; words],
            rows_kept: with_matches,
            rows_done: 0,
        };
        lcs.set_masks(a, b);
        if with_matches {
            lcs.rows.reserve_exact(a.len() * words);
        }
        Ok(lcs)
    }

    fn set_masks(&mut self, a: &[u8], b: &[u8]) {
        let mut in_a = [false; 256];
        for &byte in a {
            in_a[usize::from(byte)] = true;
        }
        for (column, &byte) in b
            .iter()
            .enumerate()
            .filter(|&(_, &byte)| in_a[usize::from(byte)])
        {
            let mask = &mut self.mask_of[usize::from(byte)];
            if *mask == 0 {
                *mask = self.masks.len();
                self.masks.resize(*mask + self.columns.div_ceil(64), 0);
            }
            self.masks[*mask + column / 64] |= 1 << (column % 64);
        }
    }

    /// Fills the table by about `cells` cells more, one row at least; answers whether it is complete.
    pub fn advance(&mut self, a: &[u8], cells: usize) -> bool {
        let rows = (cells / self.columns.max(1)).max(1);
        for &byte in a.iter().skip(self.rows_done).take(rows) {
            self.add_row(byte);
        }
        self.rows_done == a.len()
    }

    fn add_row(&mut self, byte: u8) {
        let words = self.columns.div_ceil(64);
        if self.rows_kept {
            let last = self.rows.len() - words;
            self.rows.extend_from_within(last..);
        }
        let last = self.rows.len() - words;
        let mask = &self.masks[self.mask_of[usize::from(byte)]..][..words];
        let mut carry = false;
        for (bits, mask) in self.rows[last..].iter_mut().zip(mask) {
            // The lowest growing column moves to the first match behind the growing column before it.
            let (sum, over) = bits.carrying_add(*bits & mask, carry);
            *bits = sum | (*bits & !mask);
            carry = over;
        }
        self.rows_done += 1;
    }

    /// The length of the subsequence, once [`advance`](Self::advance) has come to the end.
    pub fn length(&self) -> usize {
        let last = self.rows.len() - self.columns.div_ceil(64);
        // Bits behind the last column are never matched and stay set.
        self.rows[last..]
            .iter()
            .map(|bits| bits.count_zeros() as usize)
            .sum()
    }

    /// The pieces that the subsequence consists of, the last one first.
    pub fn matches(&self, a: &[u8], b: &[u8]) -> Vec<Match> {
        assert!(
            self.rows_kept && self.rows_done == a.len(),
            "asked for with the rows, at the end"
        );
        let (mut row, mut column) = (a.len(), b.len());
        let mut matches: Vec<Match> = Vec::new();
        let mut adjacent = false;
        while row > 0 && column > 0 {
            if a[row - 1] == b[column - 1] {
                (row, column) = (row - 1, column - 1);
                match matches.last_mut().filter(|_| adjacent) {
                    Some(last) => {
                        (last.a_start, last.b_start, last.len) = (row, column, last.len + 1)
                    }
                    None => matches.push(Match {
                        a_start: row,
                        b_start: column,
                        len: 1,
                    }),
                }
                adjacent = true;
            } else {
                adjacent = false;
                if self.grows(row, column) {
                    row -= 1
                } else {
                    column -= 1
                }
            }
        }
        matches
    }

    /// Whether the length for the first `row` and `column` bytes is one more than for a column less.
    fn grows(&self, row: usize, column: usize) -> bool {
        let word = row * self.columns.div_ceil(64) + (column - 1) / 64;
        self.rows[word] >> ((column - 1) % 64) & 1 == 0
    }
}

/// The subsequence itself, from the pieces of `a` that [`Lcs::matches`] found.
pub fn text(a: &[u8], matches: &[Match]) -> Vec<u8> {
    let pieces = matches
        .iter()
        .rev()
        .map(|piece| &a[piece.a_start..][..piece.len]);
    pieces.flatten().copied().collect()
}
