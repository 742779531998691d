//! Strings as arrays of bits: counting, searching, combining, and integers of any width in them.
//!
//! Bit 0 is the highest bit of byte 0, as SETBIT numbers them. Everything here is arithmetic on slices; strings of
//! 512 MB are worked on in the order of memory, in blocks that the compiler turns into vector instructions, so that
//! memory is what limits the speed. The slow, obvious version of each function is in `tests/bits_model.rs`.

mod field;

use std::ops::Range;

pub use field::{Field, Overflow};

/// Words of a block in which bits are counted.
const COUNT_WORDS: usize = 64;
/// Bytes of a block in which strings are combined: input, output and temporary bits stay in the first-level cache.
const COMBINE_BYTES: usize = 4096;
/// Bytes that a search looks at together.
const SEARCH_BYTES: usize = 64;

/// The bit at `offset`; beyond the end there are zeros.
pub fn get(bytes: &[u8], offset: u64) -> bool {
    let byte = usize::try_from(offset / 8)
        .ok()
        .and_then(|at| bytes.get(at));
    byte.is_some_and(|byte| byte & mask(offset) != 0)
}

/// Writes the bit at `offset`, which must be inside.
pub fn set(bytes: &mut [u8], offset: u64, on: bool) {
    let byte = &mut bytes[(offset / 8) as usize];
    *byte = if on {
        *byte | mask(offset)
    } else {
        *byte & !mask(offset)
    };
}

fn mask(offset: u64) -> u8 {
    0x80 >> (offset % 8)
}

/// Bits that are set.
pub fn count(bytes: &[u8]) -> u64 {
    let mut blocks = bytes.chunks_exact(8 * COUNT_WORDS);
    let whole: u64 = blocks.by_ref().map(count_block).sum();
    let mut words = blocks.remainder().chunks_exact(8);
    let rest: u64 = words.by_ref().map(|word| ones(load(word))).sum();
    let tail: u64 = words
        .remainder()
        .iter()
        .map(|byte| ones((*byte).into()))
        .sum();
    whole + rest + tail
}

/// Counts in bytes, eight to a word, as long as no byte can overflow: the plain population count of a word takes a
/// multiplication, which vectors of words do not have on every processor.
fn count_block(block: &[u8]) -> u64 {
    const PAIRS: u64 = 0x5555_5555_5555_5555;
    const FOURS: u64 = 0x3333_3333_3333_3333;
    const NIBBLES: u64 = 0x0f0f_0f0f_0f0f_0f0f;
    const BYTES: u64 = 0x00ff_00ff_00ff_00ff;
    /// Words side by side.
    const LANES: usize = 4;
    const { assert!(COUNT_WORDS / LANES * 8 <= u8::MAX as usize) };
    let mut sums = [0_u64; LANES];
    for words in block.chunks_exact(8 * LANES) {
        for (sum, word) in sums.iter_mut().zip(words.chunks_exact(8)) {
            let word = load(word);
            let word = word - (word >> 1 & PAIRS);
            let word = (word & FOURS) + (word >> 2 & FOURS);
            *sum += (word + (word >> 4)) & NIBBLES;
        }
    }
    sums.iter()
        .map(|sum| {
            let halves = (sum & BYTES) + (sum >> 8 & BYTES);
            halves.wrapping_mul(0x0001_0001_0001_0001) >> 48
        })
        .sum()
}

fn load(word: &[u8]) -> u64 {
    u64::from_be_bytes(word.try_into().expect("a word has eight bytes"))
}

fn ones(word: u64) -> u64 {
    word.count_ones().into()
}

/// Bits that are set in a range, which must be inside.
pub fn count_in(bytes: &[u8], range: Range<u64>) -> u64 {
    if range.is_empty() {
        return 0;
    }
    let (first, last) = ((range.start / 8) as usize, ((range.end - 1) / 8) as usize);
    let before = bytes[first] & !from_bit(range.start);
    let behind = bytes[last] & !to_bit(range.end);
    count(&bytes[first..=last]) - ones(before.into()) - ones(behind.into())
}

/// In the byte that holds bit `start`: this bit and those behind it.
fn from_bit(start: u64) -> u8 {
    0xff >> (start % 8)
}

/// In the byte that holds bit `end - 1`: this bit and those before it.
fn to_bit(end: u64) -> u8 {
    !(0x7f >> ((end - 1) % 8))
}

/// The first bit of a range, which must be inside, that is `bit`.
pub fn position(bytes: &[u8], bit: bool, range: Range<u64>) -> Option<u64> {
    if range.is_empty() {
        return None;
    }
    let (first, last) = ((range.start / 8) as usize, ((range.end - 1) / 8) as usize);
    // The byte at `index` with the bits that are looked for set, outside of the range none.
    let wanted = |index: usize| {
        let byte = if bit { bytes[index] } else { !bytes[index] };
        let from = if index == first {
            from_bit(range.start)
        } else {
            0xff
        };
        let to = if index == last {
            to_bit(range.end)
        } else {
            0xff
        };
        byte & from & to
    };
    let inner = || {
        let skipped = if bit { 0 } else { 0xff };
        Some(first + 1 + other_than(skipped, bytes.get(first + 1..last)?)?)
    };
    let index = if wanted(first) != 0 {
        first
    } else {
        inner().unwrap_or(last)
    };
    let byte = wanted(index);
    (byte != 0).then(|| index as u64 * 8 + u64::from(byte.leading_zeros()))
}

/// The first byte that is not `skipped`.
fn other_than(skipped: u8, bytes: &[u8]) -> Option<usize> {
    let differs = |block: &[u8]| block.iter().fold(0, |all, byte| all | (byte ^ skipped)) != 0;
    let block = bytes
        .chunks_exact(SEARCH_BYTES)
        .position(differs)
        .unwrap_or(bytes.len() / SEARCH_BYTES);
    let start = block * SEARCH_BYTES;
    let inside = bytes[start..].iter().position(|byte| *byte != skipped)?;
    Some(start + inside)
}

/// What BITOP makes of its sources. The first of them is X, the others are Y.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    And,
    Or,
    Xor,
    /// Of a single source.
    Not,
    /// In X, but in no Y.
    Diff,
    /// In some Y, but not in X.
    Diff1,
    /// In X and in some Y.
    AndOr,
    /// In exactly one source.
    One,
}

/// Writes the bytes from `start` on of the combined sources to `output`; a source that ends is followed by zeros.
pub fn combine(operation: Operation, sources: &[&[u8]], start: usize, output: &mut [u8]) {
    for (nth, output) in output.chunks_mut(COMBINE_BYTES).enumerate() {
        let (start, len) = (start + nth * COMBINE_BYTES, output.len());
        let parts = sources.iter().map(|source| part(source, start, len));
        combine_block(operation, parts, output);
    }
}

/// The bytes of a source in a block: fewer than `len` where it ends.
fn part(source: &[u8], start: usize, len: usize) -> &[u8] {
    let rest = source.get(start..).unwrap_or_default();
    &rest[..len.min(rest.len())]
}

fn combine_block<'a>(
    operation: Operation,
    mut parts: impl Iterator<Item = &'a [u8]>,
    output: &mut [u8],
) {
    let first = parts.next().unwrap_or_default();
    match operation {
        Operation::And => {
            copy(output, first);
            parts.for_each(|part| and(output, part));
        }
        Operation::Or => {
            copy(output, first);
            parts.for_each(|part| each(output, part, |a, b| a | b));
        }
        Operation::Xor => {
            copy(output, first);
            parts.for_each(|part| each(output, part, |a, b| a ^ b));
        }
        Operation::Not => {
            copy(output, first);
            output.iter_mut().for_each(|byte| *byte = !*byte);
        }
        Operation::Diff => {
            any(output, parts);
            output.iter_mut().for_each(|byte| *byte = !*byte);
            and(output, first);
        }
        Operation::Diff1 => {
            any(output, parts);
            each(output, first, |others, x| others & !x);
        }
        Operation::AndOr => {
            any(output, parts);
            and(output, first);
        }
        Operation::One => {
            let mut seen_twice = [0; COMBINE_BYTES];
            copy(output, first);
            for part in parts {
                for ((once, twice), byte) in output.iter_mut().zip(&mut seen_twice).zip(part) {
                    *twice |= *once & byte;
                    *once |= byte;
                }
            }
            each(output, &seen_twice, |once, twice| once & !twice);
        }
    }
}

fn copy(output: &mut [u8], part: &[u8]) {
    let (head, tail) = output.split_at_mut(part.len());
    head.copy_from_slice(part);
    tail.fill(0);
}

fn each(output: &mut [u8], part: &[u8], join: impl Fn(u8, u8) -> u8) {
    for (byte, other) in output.iter_mut().zip(part) {
        *byte = join(*byte, *other);
    }
}

fn and(output: &mut [u8], part: &[u8]) {
    each(output, part, |a, b| a & b);
    output[part.len()..].fill(0);
}

/// What is in some of the parts.
fn any<'a>(output: &mut [u8], parts: impl Iterator<Item = &'a [u8]>) {
    output.fill(0);
    parts.for_each(|part| each(output, part, |a, b| a | b));
}
