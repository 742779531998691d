//! Integers of 1 to 64 bits at any bit offset of a string.
//!
//! A field's highest bit comes first, wherever it begins:
//! ```text
//!  offset 5, width 7:   .....hhh hhhh....
//! ```

use crate::numbers::parse_i64;

/// The type of a field: `i1` to `i64`, `u1` to `u63`. All values fit an `i64`, hence no `u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    signed: bool,
    width: u8,
}

/// What becomes of a value that the field cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// Its low bits stay.
    Wrap,
    /// The nearest value that fits is taken.
    Saturate,
    /// Nothing is written.
    Fail,
}

/// Bytes that a field can touch.
const SPAN: usize = 9;

impl Field {
    pub fn parse(text: &[u8]) -> Option<Field> {
        let (sign, digits) = text.split_first()?;
        let (signed, widest) = match sign {
            b'i' => (true, 64),
            b'u' => (false, 63),
            _ => return None,
        };
        let width = parse_i64(digits).filter(|width| (1..=widest).contains(width))?;
        Some(Field {
            signed,
            width: width as u8,
        })
    }

    pub fn width(self) -> u64 {
        self.width.into()
    }

    /// Bytes of a string that holds the field at `offset`.
    pub fn end(self, offset: u64) -> u64 {
        (offset + self.width()).div_ceil(8)
    }

    fn min(self) -> i64 {
        if self.signed {
            i64::MIN >> (64 - self.width)
        } else {
            0
        }
    }

    fn max(self) -> i64 {
        if self.signed {
            i64::MAX >> (64 - self.width)
        } else {
            i64::MAX >> (63 - self.width)
        }
    }

    /// The value at `offset`; beyond the string's end there are zeros.
    pub fn read(self, bytes: &[u8], offset: u64) -> i64 {
        let rest = usize::try_from(offset / 8)
            .ok()
            .and_then(|at| bytes.get(at..));
        let rest = rest.unwrap_or_default();
        let window = (0..SPAN).fold(0_u128, |window, at| {
            window << 8 | u128::from(rest.get(at).copied().unwrap_or(0))
        });
        self.truncate((window >> self.shift(offset)) as i64)
    }

    /// Writes the low bits of `value` at `offset`. The string must be long enough.
    pub fn write(self, bytes: &mut [u8], offset: u64, value: i64) {
        let all = u128::MAX >> (128 - self.width());
        let shift = self.shift(offset);
        let mask = (all << shift).to_be_bytes();
        let bits = ((value as u128 & all) << shift).to_be_bytes();
        let window = 16 - SPAN..;
        let end = self.end(offset) as usize;
        let touched = &mut bytes[(offset / 8) as usize..end];
        for (byte, (mask, bits)) in touched
            .iter_mut()
            .zip(mask[window.clone()].iter().zip(&bits[window]))
        {
            *byte = *byte & !mask | bits;
        }
    }

    /// How far a field is from the right end of the bytes that begin with its first.
    fn shift(self, offset: u64) -> u64 {
        8 * SPAN as u64 - offset % 8 - self.width()
    }

    /// What the low bits mean.
    fn truncate(self, bits: i64) -> i64 {
        let spare = 64 - self.width;
        if self.signed {
            bits << spare >> spare
        } else {
            ((bits as u64) << spare >> spare) as i64
        }
    }

    /// The value that replaces the old one when SET asks for `value`; `None` is a failure.
    pub fn fit(self, value: i64, overflow: Overflow) -> Option<i64> {
        if !self.signed {
            return self.fit_exact((value as u64).into(), overflow);
        }
        // As in Redis, whose distance to the highest value overflows: what is this far below is taken for above.
        let far_below = self.width < 64 && self.max().checked_sub(value).is_none();
        if far_below && overflow == Overflow::Saturate {
            return Some(self.max());
        }
        self.fit_exact(value.into(), overflow)
    }

    /// The value that replaces `old` when INCRBY adds `increment`; `None` is a failure.
    pub fn add(self, old: i64, increment: i64, overflow: Overflow) -> Option<i64> {
        self.fit_exact(i128::from(old) + i128::from(increment), overflow)
    }

    fn fit_exact(self, exact: i128, overflow: Overflow) -> Option<i64> {
        let (min, max) = (self.min().into(), self.max().into());
        if (min..=max).contains(&exact) {
            return Some(exact as i64);
        }
        match overflow {
            Overflow::Wrap => Some(self.truncate(exact as i64)),
            Overflow::Saturate => Some(exact.clamp(min, max) as i64),
            Overflow::Fail => None,
        }
    }
}
