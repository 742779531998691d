//! Registers as runs of equal ones: a string that has been shown little takes a few bytes.
//!
//! ```text
//!  00xxxxxx            x + 1 registers are 0                         ZERO
//!  01xxxxxx yyyyyyyy   xy + 1 registers are 0                        XZERO
//!  1vvvvvxx            x + 1 registers are v + 1                     VAL
//! ```
//! A register is raised in place: its run is split into up to three, and then neighbours with equal values are joined
//! if one run can hold them. Which runs come of it follows Redis step by step, so that both end up with equal bytes.

use std::fmt;

use super::{Corrupt, HEADER, Pattern, REGISTERS, SPARSE_MAX, add_dense, make_dense};

/// Longest run of ZERO and of VAL, and the largest value.
const ZERO_MAX: usize = 64;
const VALUE_RUN_MAX: usize = 4;
const VALUE_MAX: u8 = 32;
/// Runs that are looked at for neighbours to join, from the one before the change on.
const JOINED: usize = 5;

/// Registers one after the other with the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub value: u8,
    pub len: usize,
    /// Bytes that say so.
    size: usize,
}

impl Run {
    fn at(bytes: &[u8], at: usize) -> Result<Run, Corrupt> {
        let first = *bytes.get(at).ok_or(Corrupt)?;
        let low = usize::from(first & 0x3f);
        Ok(match first >> 6 {
            0 => Run {
                value: 0,
                len: low + 1,
                size: 1,
            },
            1 => {
                let second = *bytes.get(at + 1).ok_or(Corrupt)?;
                let len = (low << 8 | usize::from(second)) + 1;
                let (value, size) = (0, 2);
                Run { value, len, size }
            }
            _ => Run {
                value: (first >> 2 & 31) + 1,
                len: usize::from(first & 3) + 1,
                size: 1,
            },
        })
    }
}

/// As PFDEBUG DECODE shows it.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.value, self.size) {
            (0, 1) => write!(f, "z:{}", self.len),
            (0, _) => write!(f, "Z:{}", self.len),
            (value, _) => write!(f, "v:{value},{}", self.len),
        }
    }
}

/// The runs, which together are all registers.
pub fn runs(bytes: &[u8]) -> Result<impl Iterator<Item = Run>, Corrupt> {
    if bytes.len() > SPARSE_MAX {
        return Err(Corrupt);
    }
    let (mut at, mut registers) = (HEADER, 0);
    while at < bytes.len() {
        let run = Run::at(bytes, at)?;
        at += run.size;
        registers += run.len;
    }
    if registers != REGISTERS {
        return Err(Corrupt);
    }
    Ok(decode(bytes))
}

/// The runs up to where they make no sense.
pub fn decode(bytes: &[u8]) -> impl Iterator<Item = Run> {
    let mut at = HEADER;
    std::iter::from_fn(move || {
        let run = Run::at(bytes, at).ok()?;
        at += run.size;
        Some(run)
    })
}

/// Where to look for a register: for others behind it, the search goes on from there.
#[derive(Clone, Copy)]
pub struct Cursor {
    /// Where a run begins in the string, and its first register.
    at: usize,
    first: usize,
}

impl Cursor {
    pub fn start() -> Cursor {
        let (at, first) = (HEADER, 0);
        Cursor { at, first }
    }
}

/// Makes one register at least the pattern's count. Whether it was less. Registers may be raised with the same cursor
/// in ascending order.
pub fn raise(
    bytes: &mut Vec<u8>,
    pattern: Pattern,
    sparse_max: u64,
    cursor: &mut Cursor,
) -> Result<bool, Corrupt> {
    if bytes.len() > SPARSE_MAX {
        return Err(Corrupt);
    }
    let Pattern { register, count } = pattern;
    if count > VALUE_MAX {
        return promote(bytes, pattern);
    }
    let mut place = *cursor;
    let mut previous = place;
    let mut run = Run::at(bytes, place.at)?;
    while register >= place.first + run.len {
        *cursor = previous;
        previous = place;
        place.at += run.size;
        place.first += run.len;
        run = Run::at(bytes, place.at)?;
    }
    if run.value >= count {
        return Ok(false);
    }
    let mut parts = Parts::default();
    parts.push(run.value, register - place.first);
    parts.push(count, 1);
    parts.push(run.value, place.first + run.len - 1 - register);
    let grown = bytes.len() + parts.len - run.size;
    if parts.len > run.size && grown as u64 > sparse_max {
        return promote(bytes, pattern);
    }
    bytes.splice(place.at..place.at + run.size, parts.bytes());
    join(bytes, previous.at);
    Ok(true)
}

/// What takes the place of one run.
#[derive(Default)]
struct Parts {
    buffer: [u8; 5],
    len: usize,
}

impl Parts {
    fn push(&mut self, value: u8, run: usize) {
        match (value, run) {
            (_, 0) => {}
            (0, 1..=ZERO_MAX) => self.push_byte(run as u8 - 1),
            (0, _) => long_zero(run)
                .into_iter()
                .for_each(|byte| self.push_byte(byte)),
            _ => self.push_byte(value_run(value, run)),
        }
    }

    fn push_byte(&mut self, byte: u8) {
        self.buffer[self.len] = byte;
        self.len += 1;
    }

    fn bytes(&self) -> impl Iterator<Item = u8> {
        self.buffer[..self.len].iter().copied()
    }
}

fn long_zero(run: usize) -> [u8; 2] {
    let [high, low] = (run as u16 - 1).to_be_bytes();
    [0x40 | high, low]
}

fn value_run(value: u8, run: usize) -> u8 {
    0x80 | (value - 1) << 2 | (run as u8 - 1)
}

/// Appends `run` registers that are 0.
pub fn push_zeros(bytes: &mut Vec<u8>, run: usize) {
    bytes.extend(long_zero(run));
}

/// Joins neighbours with equal values around a change.
fn join(bytes: &mut Vec<u8>, mut at: usize) {
    for _ in 0..JOINED {
        let Ok(run) = Run::at(bytes, at) else {
            return;
        };
        if run.value > 0
            && let Ok(next) = Run::at(bytes, at + 1)
            && next.value == run.value
            && run.len + next.len <= VALUE_RUN_MAX
        {
            bytes[at + 1] = value_run(run.value, run.len + next.len);
            bytes.remove(at);
        } else {
            at += run.size;
        }
    }
}

/// Goes on with dense registers.
fn promote(bytes: &mut Vec<u8>, pattern: Pattern) -> Result<bool, Corrupt> {
    make_dense(bytes)?;
    Ok(add_dense(bytes, pattern))
}
