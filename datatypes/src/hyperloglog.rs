//! HyperLogLog: how many different elements a string has been shown, to 0.81 %, in at most 12 KB.
//!
//! A string like any other, byte for byte as Redis has it, so that GET and SET carry it from server to server. Each of
//! 16384 registers holds the longest run of zeros, plus one, that a hash which falls to it began with; the estimate
//! follows from how often each length occurs (Otmar Ertl, "New cardinality estimation algorithms for HyperLogLog
//! sketches", arXiv:1702.01284).
//!
//! ```text
//!  0        4          5        8                    16
//! +--------+----------+--------+--------------------+-----------
//! | "HYLL" | encoding | unused | cached cardinality | registers
//! |        | 0 dense  |        | u64, little endian |
//! |        | 1 sparse |        | top bit: is stale  |
//! +--------+----------+--------+--------------------+-----------
//! ```
//! Dense registers are 6 bits each, from the lowest bit of a byte up. Sparse ones are runs (see [`sparse`]). What a
//! client has written there may be anything: what does not add up to 16384 registers is [`Corrupt`].

mod dense;
mod estimate;
mod selftest;
pub mod sparse;

use std::ops::Range;

use estimate::Histogram;
pub use selftest::SelfTest;

/// Registers, and bits of a hash that choose one.
pub const REGISTERS: usize = 1 << REGISTER_BITS;
const REGISTER_BITS: u32 = 14;
/// Bits of a hash in which zeros are counted.
const PATTERN_BITS: u32 = 64 - REGISTER_BITS;
/// Bytes before the registers.
const HEADER: usize = 16;
pub const DENSE_LEN: usize = HEADER + REGISTERS * 6 / 8;
/// No sparse string is longer: a run takes two bytes at most.
const SPARSE_MAX: usize = HEADER + 2 * REGISTERS;

const MAGIC: &[u8] = b"HYLL";
const ENCODING_AT: usize = 4;
const CARDINALITY: Range<usize> = 8..16;
const STALE_AT: usize = 15;
const STALE: u8 = 0x80;

/// A sparse string whose runs do not cover the registers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Corrupt;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Dense,
    Sparse,
}

/// How a string holds its registers, if its header is one of ours. Sparse runs are not looked at.
pub fn encoding(bytes: &[u8]) -> Option<Encoding> {
    if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
        return None;
    }
    match bytes[ENCODING_AT] {
        0 if bytes.len() == DENSE_LEN => Some(Encoding::Dense),
        1 => Some(Encoding::Sparse),
        _ => None,
    }
}

fn is_sparse(bytes: &[u8]) -> bool {
    bytes[ENCODING_AT] == 1
}

/// The string that has been shown nothing.
pub fn empty() -> Vec<u8> {
    let mut bytes = vec![0; HEADER];
    bytes[..MAGIC.len()].copy_from_slice(MAGIC);
    bytes[ENCODING_AT] = 1;
    sparse::push_zeros(&mut bytes, REGISTERS);
    bytes
}

/// What an element says about one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub register: usize,
    /// 1 to 51.
    pub count: u8,
}

impl Pattern {
    pub fn of(element: &[u8]) -> Pattern {
        let hash = murmur(element, 0xadc8_3b19);
        let zeros = (hash >> REGISTER_BITS | 1 << PATTERN_BITS).trailing_zeros();
        Pattern {
            register: hash as usize % REGISTERS,
            count: zeros as u8 + 1,
        }
    }
}

/// MurmurHash64A.
fn murmur(bytes: &[u8], seed: u64) -> u64 {
    const M: u64 = 0xc6a4_a793_5bd1_e995;
    const R: u32 = 47;
    let mut hash = seed ^ (bytes.len() as u64).wrapping_mul(M);
    let mut words = bytes.chunks_exact(8);
    for word in words.by_ref() {
        let word = u64::from_le_bytes(word.try_into().expect("a word has eight bytes"));
        let mixed = word.wrapping_mul(M);
        hash ^= (mixed ^ mixed >> R).wrapping_mul(M);
        hash = hash.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        let word = rest
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u64::from(*byte));
        hash = (hash ^ word).wrapping_mul(M);
    }
    hash = (hash ^ hash >> R).wrapping_mul(M);
    hash ^ hash >> R
}

/// Shows a dense string an element. Whether that made a difference.
pub fn add_dense(bytes: &mut [u8], pattern: Pattern) -> bool {
    dense::raise(&mut bytes[HEADER..], pattern)
}

/// Shows a string an element. Whether that made a difference. A sparse string becomes dense when it would grow beyond
/// `sparse_max` bytes, or has to hold a count beyond 32.
pub fn add(bytes: &mut Vec<u8>, pattern: Pattern, sparse_max: u64) -> Result<bool, Corrupt> {
    if !is_sparse(bytes) {
        return Ok(add_dense(bytes, pattern));
    }
    sparse::raise(bytes, pattern, sparse_max, &mut sparse::Cursor::start())
}

/// Turns a sparse string into a dense one. Whether it was sparse.
pub fn make_dense(bytes: &mut Vec<u8>) -> Result<bool, Corrupt> {
    if !is_sparse(bytes) {
        return Ok(false);
    }
    let registers = Registers::of(bytes)?;
    bytes.truncate(HEADER);
    bytes[ENCODING_AT] = 0;
    bytes.resize(DENSE_LEN, 0);
    dense::write(&mut bytes[HEADER..], registers.0.as_slice());
    Ok(true)
}

/// The cardinality that was estimated before, unless something was added since.
pub fn cached(bytes: &[u8]) -> Option<u64> {
    let field = bytes[CARDINALITY]
        .try_into()
        .expect("the field has eight bytes");
    (bytes[STALE_AT] & STALE == 0).then_some(u64::from_le_bytes(field))
}

pub fn cache(bytes: &mut [u8], cardinality: u64) {
    bytes[CARDINALITY].copy_from_slice(&cardinality.to_le_bytes());
}

/// Says that something was added.
pub fn make_stale(bytes: &mut [u8]) {
    bytes[STALE_AT] |= STALE;
}

/// The estimate. It counts elements, hence is below 2^63, unless a client has written registers that nothing leads to.
pub fn cardinality(bytes: &[u8]) -> Result<u64, Corrupt> {
    let mut histogram = Histogram::new();
    if is_sparse(bytes) {
        for run in sparse::runs(bytes)? {
            histogram.count(run.value, run.len as u32);
        }
    } else {
        dense::each(&bytes[HEADER..], |_, value| histogram.count(value, 1));
    }
    Ok(histogram.cardinality())
}

/// The registers, a byte each: a union being made.
pub struct Registers(Box<[u8; REGISTERS]>);

impl Default for Registers {
    fn default() -> Self {
        Self(Box::new([0; REGISTERS]))
    }
}

impl Registers {
    pub fn of(bytes: &[u8]) -> Result<Registers, Corrupt> {
        let mut registers = Registers::default();
        registers.merge(bytes)?;
        Ok(registers)
    }

    /// Takes in what a string has been shown.
    pub fn merge(&mut self, bytes: &[u8]) -> Result<(), Corrupt> {
        if !is_sparse(bytes) {
            dense::each(&bytes[HEADER..], |register, value| {
                self.raise(register, value)
            });
            return Ok(());
        }
        let mut register = 0;
        for run in sparse::runs(bytes)? {
            if run.value > 0 {
                (register..register + run.len).for_each(|register| self.raise(register, run.value));
            }
            register += run.len;
        }
        Ok(())
    }

    #[inline]
    fn raise(&mut self, register: usize, value: u8) {
        let old = &mut self.0[register];
        *old = value.max(*old);
    }

    pub fn iter(&self) -> impl Iterator<Item = u8> {
        self.0.iter().copied()
    }

    pub fn cardinality(&self) -> u64 {
        let mut histogram = Histogram::new();
        self.iter().for_each(|value| histogram.count(value, 1));
        histogram.cardinality()
    }

    /// Shows all of it to a string.
    pub fn add_to(&self, bytes: &mut Vec<u8>, sparse_max: u64) -> Result<(), Corrupt> {
        let mut cursor = sparse::Cursor::start();
        for (register, count) in self.iter().enumerate().filter(|(_, count)| *count > 0) {
            let pattern = Pattern { register, count };
            if is_sparse(bytes) {
                sparse::raise(bytes, pattern, sparse_max, &mut cursor)?;
            } else {
                add_dense(bytes, pattern);
            }
        }
        Ok(())
    }
}
