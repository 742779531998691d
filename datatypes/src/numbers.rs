//! Numbers as text, by Redis' rules: which strings are a number, and how a number is written.

/// Reads a signed integer in the one form that Redis itself would print: no `+`, no blanks, no leading zeros, no `-0`.
#[inline]
pub fn parse_i64(text: &[u8]) -> Option<i64> {
    match text {
        [b'-', digits @ ..] => {
            let magnitude = parse_u64(digits).filter(|&magnitude| magnitude > 0)?;
            0_i64.checked_sub_unsigned(magnitude)
        }
        digits => i64::try_from(parse_u64(digits)?).ok(),
    }
}

/// Reads an unsigned integer without sign, blanks or leading zeros.
#[inline]
pub fn parse_u64(text: &[u8]) -> Option<u64> {
    match text {
        [b'0'] => Some(0),
        [b'1'..=b'9', ..] if text.len() <= 19 => {
            // 19 nines are less than 2^64: no step can overflow.
            text.iter().try_fold(0_u64, |value, &byte| {
                let digit = byte.wrapping_sub(b'0');
                (digit <= 9).then(|| value * 10 + u64::from(digit))
            })
        }
        [b'1'..=b'9', ..] if text.len() == 20 => std::str::from_utf8(text).ok()?.parse().ok(),
        _ => None,
    }
}

/// Reads a run of at most 19 decimal digits.
fn small_decimal(digits: &[u8]) -> u64 {
    digits
        .iter()
        .fold(0, |value, digit| value * 10 + u64::from(digit - b'0'))
}

/// A double as text, on the stack. The longest is 24 digits, a sign, a point and a zero before it.
#[derive(Clone, Copy, Debug)]
pub struct DoubleText {
    bytes: [u8; 32],
    len: usize,
}

impl DoubleText {
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    fn empty() -> Self {
        Self {
            bytes: [0; 32],
            len: 0,
        }
    }

    fn push(&mut self, text: &[u8]) {
        self.bytes[self.len..][..text.len()].copy_from_slice(text);
        self.len += text.len();
    }

    fn push_zeros(&mut self, count: usize) {
        self.push(&[b'0'; 24][..count]);
    }
}

/// Largest double that is printed as an integer for being one: half the range of an i64.
const INTEGER_MAX: f64 = (i64::MAX / 2) as f64;

/// Writes a double as Redis 7.2 and later do: the fewest digits that read back as the same value.
///
/// Integers up to 2^62 are plain; then, with `d` digits and the point `k` places behind the last (before, if
/// negative): plain with zeros while the value has less than `d + 8` places, with a point while k > -7 or the
/// value is within 10^-3 and 10^4, and otherwise `1.5e-7` with a signed exponent.
pub fn format_double(value: f64) -> DoubleText {
    let mut text = DoubleText::empty();
    if value.is_nan() {
        text.push(b"nan");
    } else if value.is_infinite() {
        text.push(if value < 0.0 { b"-inf" } else { b"inf" });
    } else if value == 0.0 {
        text.push(if value.is_sign_negative() {
            b"-0"
        } else {
            b"0"
        });
    } else if value.abs() <= INTEGER_MAX && value as i64 as f64 == value {
        text.push(itoa::Buffer::new().format(value as i64).as_bytes());
    } else {
        format_finite(value, &mut text);
    }
    text
}

fn format_finite(value: f64, text: &mut DoubleText) {
    let mut buffer = zmij::Buffer::new();
    let printed = buffer.format_finite(value).as_bytes();
    if is_plain(value.abs(), printed) {
        text.push(printed);
    } else {
        let unsigned = printed.strip_prefix(b"-").unwrap_or(printed);
        text.push(&printed[..printed.len() - unsigned.len()]);
        arrange(&Shortest::of(unsigned), text);
    }
}

/// Whether zmij printed digits and a point where Redis does too; nearly every score is such a one.
fn is_plain(magnitude: f64, printed: &[u8]) -> bool {
    let places = printed
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let has_point = printed.len() > places && printed[printed.len() - places - 1] == b'.';
    has_point && (places <= 6 || (1e-3..1e4).contains(&magnitude))
}

/// Writes digits and their power of ten in the one of three forms that [`format_double`] tells.
fn arrange(shortest: &Shortest, text: &mut DoubleText) {
    let digits = shortest.digits();
    let count = digits.len() as i32;
    let power = shortest.power;
    let leading = (power + count - 1).abs();
    if power >= 0 && leading < count + 7 {
        text.push(digits);
        text.push_zeros(power as usize);
    } else if power < 0 && (power > -7 || leading < 4) {
        let point = count + power;
        if point > 0 {
            text.push(&digits[..point as usize]);
            text.push(b".");
            text.push(&digits[point as usize..]);
        } else {
            text.push(b"0.");
            text.push_zeros(-point as usize);
            text.push(digits);
        }
    } else {
        text.push(&digits[..1]);
        if count > 1 {
            text.push(b".");
            text.push(&digits[1..]);
        }
        text.push(if power + count - 1 < 0 { b"e-" } else { b"e+" });
        text.push(itoa::Buffer::new().format(leading).as_bytes());
    }
}

/// The digits of a positive double, the first and the last not zero, times a power of ten.
struct Shortest {
    bytes: [u8; 24],
    len: usize,
    power: i32,
}

impl Shortest {
    /// Takes `12.5`, `0.03`, `1e21` or `1.5e-7` apart.
    fn of(text: &[u8]) -> Self {
        let (mantissa, mut power) = match text.iter().position(|&byte| byte == b'e') {
            Some(at) => (&text[..at], exponent(&text[at + 1..])),
            None => (text, 0),
        };
        let (mut bytes, mut len, mut fraction) = ([0; 24], 0, false);
        for &byte in mantissa {
            if byte == b'.' {
                fraction = true;
                continue;
            }
            power -= i32::from(fraction);
            if len > 0 || byte != b'0' {
                bytes[len] = byte;
                len += 1;
            }
        }
        while len > 1 && bytes[len - 1] == b'0' {
            len -= 1;
            power += 1;
        }
        Self { bytes, len, power }
    }

    fn digits(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The exponent of a printed double: at most three digits and a sign.
fn exponent(text: &[u8]) -> i32 {
    match text {
        [b'-', digits @ ..] => -(small_decimal(digits) as i32),
        [b'+', digits @ ..] | digits => small_decimal(digits) as i32,
    }
}
