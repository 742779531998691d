//! The grammar of C's `strtod`, and rounding to a binary format: what doubles and extended doubles share.

/// A number as it was written.
#[derive(Debug)]
pub(super) struct Literal<'a> {
    pub negative: bool,
    pub magnitude: Magnitude<'a>,
}

#[derive(Debug)]
pub(super) enum Magnitude<'a> {
    Infinite,
    /// `whole.fraction` times ten to the `exponent`; at least one digit.
    Decimal {
        whole: &'a [u8],
        fraction: &'a [u8],
        exponent: i32,
    },
    /// A mantissa times two to the `exponent`.
    Binary {
        mantissa: u128,
        exponent: i32,
    },
}

/// Exponents beyond this are as good as this: no format reaches them, not even behind 5,000 digits.
const EXPONENT_MAX: i32 = 1_000_000;

impl<'a> Literal<'a> {
    /// Takes all of `text` as one number; NaN is none.
    pub fn parse(text: &'a [u8]) -> Option<Self> {
        let (negative, text) = match text {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] | rest => (false, rest),
        };
        let magnitude = match text {
            [b'0', b'x' | b'X', rest @ ..] => parse_hexadecimal(rest)?,
            [b'0'..=b'9' | b'.', ..] => parse_decimal(text)?,
            _ if text.eq_ignore_ascii_case(b"inf") => Magnitude::Infinite,
            _ if text.eq_ignore_ascii_case(b"infinity") => Magnitude::Infinite,
            _ => return None,
        };
        Some(Self {
            negative,
            magnitude,
        })
    }
}

fn parse_decimal(text: &[u8]) -> Option<Magnitude<'_>> {
    let (whole, fraction, rest) = split_digits(text, u8::is_ascii_digit)?;
    let exponent = parse_exponent(rest, b'e')?;
    Some(Magnitude::Decimal {
        whole,
        fraction,
        exponent,
    })
}

fn parse_hexadecimal(text: &[u8]) -> Option<Magnitude<'_>> {
    let (whole, fraction, rest) = split_digits(text, u8::is_ascii_hexdigit)?;
    let mut exponent = parse_exponent(rest, b'p')?;
    let mut mantissa = 0_u128;
    for (digits, weight) in [(whole, 0), (fraction, -4)] {
        for &digit in digits {
            let value = char::from(digit).to_digit(16).map_or(0, u128::from);
            if mantissa.leading_zeros() > 4 {
                mantissa = mantissa << 4 | value;
                exponent += weight;
            } else {
                // Far below the last bit of any format: only whether it is there counts.
                mantissa |= u128::from(value > 0);
                exponent += weight + 4;
            }
        }
    }
    Some(Magnitude::Binary { mantissa, exponent })
}

/// Splits `12.5e3` into `12`, `5` and `e3`; one digit there must be.
fn split_digits(text: &[u8], is_digit: fn(&u8) -> bool) -> Option<(&[u8], &[u8], &[u8])> {
    let count = |text: &[u8]| text.iter().take_while(|byte| is_digit(byte)).count();
    let (whole, rest) = text.split_at(count(text));
    let (fraction, rest) = match rest {
        [b'.', rest @ ..] => rest.split_at(count(rest)),
        rest => (&rest[..0], rest),
    };
    (!whole.is_empty() || !fraction.is_empty()).then_some((whole, fraction, rest))
}

/// Reads `e-12` to the end, or nothing at all.
fn parse_exponent(text: &[u8], letter: u8) -> Option<i32> {
    let [first, rest @ ..] = text else {
        return Some(0);
    };
    if first.to_ascii_lowercase() != letter {
        return None;
    }
    let (sign, digits) = match rest {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let add = |value: i32, digit: &u8| (value * 10 + i32::from(digit - b'0')).min(EXPONENT_MAX);
    Some(sign * digits.iter().fold(0, add))
}

/// A binary floating-point format: how many bits, and which exponents of two its last bit may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Format {
    pub bits: u32,
    pub min_exponent: i32,
    pub max_exponent: i32,
}

/// Rounds `mantissa` times two to the `exponent` to the nearest value of `format`, ties to even.
///
/// Answers mantissa and exponent, the mantissa as long as the format allows (0 for what is nothing in it), or `None`
/// for what is infinite in it.
pub(super) fn round(mantissa: u128, exponent: i32, format: Format) -> Option<(u64, i32)> {
    if mantissa == 0 {
        return Some((0, format.min_exponent));
    }
    let len = 128 - mantissa.leading_zeros() as i32;
    let shift = (len - format.bits as i32).max(format.min_exponent.saturating_sub(exponent));
    let mut rounded = shift_rounded(mantissa, shift);
    let mut exponent = exponent.saturating_add(shift);
    if rounded >> format.bits != 0 {
        rounded >>= 1;
        exponent += 1;
    }
    // At most 64 bits by now.
    (exponent <= format.max_exponent).then_some((rounded as u64, exponent))
}

/// Shifts right by `shift` bits, rounding to nearest, ties to even; left if it is negative, which loses nothing.
pub(super) fn shift_rounded(mantissa: u128, shift: i32) -> u128 {
    match shift {
        ..=0 => mantissa << -shift,
        1..128 => {
            let (kept, lost) = (mantissa >> shift, mantissa & ((1 << shift) - 1));
            let half = 1 << (shift - 1);
            kept + u128::from(lost > half || (lost == half && kept & 1 == 1))
        }
        128 => u128::from(mantissa > 1 << 127),
        _ => 0,
    }
}
