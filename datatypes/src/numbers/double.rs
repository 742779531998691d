//! Doubles: scores, coordinates, and whatever else is 64 bits wide.

use super::literal::{Format, Literal, Magnitude, round};

const DOUBLE: Format = Format {
    bits: 53,
    min_exponent: -1074,
    max_exponent: 971,
};

/// Reads a double as `strtod` would, if it takes all of `text`, and if the value is neither NaN nor out of range.
pub fn parse_f64(text: &[u8]) -> Option<f64> {
    let (value, in_range) = read_f64(text)?;
    in_range.then_some(value)
}

/// The same, but what is out of range is infinite, or too small to tell from zero.
pub fn parse_f64_saturating(text: &[u8]) -> Option<f64> {
    read_f64(text).map(|(value, _)| value)
}

/// The nearest double, and whether it is in range.
fn read_f64(text: &[u8]) -> Option<(f64, bool)> {
    let literal = Literal::parse(text)?;
    let (magnitude, in_range) = match literal.magnitude {
        Magnitude::Infinite => (f64::INFINITY, true),
        Magnitude::Decimal {
            whole, fraction, ..
        } => {
            // The standard library rounds correctly too, and its grammar of decimals is the same.
            let value: f64 = std::str::from_utf8(text).ok()?.parse().ok()?;
            let zero = whole.iter().chain(fraction).all(|&digit| digit == b'0');
            return Some((value, value.is_finite() && (value == 0.0) == zero));
        }
        Magnitude::Binary { mantissa, exponent } => match round(mantissa, exponent, DOUBLE) {
            Some((rounded, exponent)) => {
                let in_range = (rounded == 0) == (mantissa == 0);
                (compose(rounded, exponent), in_range)
            }
            None => (f64::INFINITY, false),
        },
    };
    let value = if literal.negative {
        -magnitude
    } else {
        magnitude
    };
    Some((value, in_range))
}

/// The double of a mantissa of at most 53 bits, rounded to [`DOUBLE`].
fn compose(mantissa: u64, exponent: i32) -> f64 {
    let hidden = 1 << (DOUBLE.bits - 1);
    if mantissa < hidden {
        return f64::from_bits(mantissa);
    }
    let biased = (exponent - DOUBLE.min_exponent + 1) as u64;
    f64::from_bits(biased << (DOUBLE.bits - 1) | (mantissa - hidden))
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
///
/// Redis' Grisu2 misses the fewest digits, or the nearest of equally few, for one in 700 doubles of 16 digits and more
/// (none of 20,000 with four places or less): the last digit differs there, the value read back does not.
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

/// Writes a double with up to 17 significant digits, as C's `%.17g` does: how Redis shows the scores of large sorted sets
/// in ZSCAN.
pub fn format_double_17(value: f64) -> DoubleText {
    if !value.is_finite() || value == 0.0 {
        return format_double(value);
    }
    let mut text = DoubleText::empty();
    let scientific = format!("{value:.16e}");
    let (digits, exponent) = scientific.split_once('e').expect("it is scientific");
    let exponent: i32 = exponent.parse().expect("an exponent is an integer");
    let stripped = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..17).contains(&exponent) {
        let places = (16 - exponent) as usize;
        text.push(stripped(&format!("{value:.places$}")).as_bytes());
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        text.push(format!("{}e{sign}{:02}", stripped(digits), exponent.abs()).as_bytes());
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

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_read(text: &str, expected: Option<f64>) {
        let value = parse_f64(text.as_bytes());
        assert_eq!(
            value.map(f64::to_bits),
            expected.map(f64::to_bits),
            "{text:?}: {value:?}"
        );
    }

    #[test]
    fn decimals_are_read() {
        for value in [
            0.0,
            -0.0,
            1.0,
            -1.5,
            0.1,
            1e308,
            5e-324,
            1.797_693_134_862_315_7e308,
        ] {
            check_read(&format!("{value}"), Some(value));
            check_read(&format!("{value:e}"), Some(value));
        }
        check_read("+1", Some(1.0));
        check_read(".5", Some(0.5));
        check_read("5.", Some(5.0));
        check_read("1E+2", Some(100.0));
        check_read("007", Some(7.0));
        check_read("0e99999999999", Some(0.0));
        check_read("1e-320", Some(1e-320));
    }

    #[test]
    fn infinity_and_hexadecimals_are_read() {
        for text in ["inf", "+Inf", "INFINITY"] {
            check_read(text, Some(f64::INFINITY));
        }
        check_read("-infinity", Some(f64::NEG_INFINITY));
        check_read("0x10", Some(16.0));
        check_read("-0X1.8p-1", Some(-0.75));
        check_read("0x.8P+1", Some(1.0));
        check_read("0x0p99999", Some(0.0));
        check_read(
            "0x1.fffffffffffff7ffffffffffffffffffffffffffffp0",
            Some(2.0_f64.next_down()),
        );
        check_read("0x1.fffffffffffff8", Some(2.0));
        check_read("0x1.00000000000008", Some(1.0));
        check_read(
            "0x1.000000000000080000000000000000000000001",
            Some(1.0_f64.next_up()),
        );
        check_read("0x1p-1074", Some(5e-324));
        check_read("0x1.8p-1074", Some(1e-323));
        check_read("0x1p1023", Some(2.0_f64.powi(1023)));
    }

    #[test]
    fn what_is_no_number_or_out_of_range_is_refused() {
        let refused = [
            "",
            "-",
            "+",
            ".",
            "e5",
            "1e",
            "1e+",
            "1 ",
            " 1",
            "1_0",
            "1.2.3",
            "+-1",
            "nan",
            "-nan",
            "nan(1)",
            "infin",
            "0x",
            "0x.",
            "0x1p",
            "0xp1",
            "1e400",
            "-1e400",
            "1e-400",
            "0x1p1024",
            "0x1p-1075",
            "1e99999999999",
            "1\0",
            "1,5",
            "\u{661}",
        ];
        for text in refused {
            check_read(text, None);
        }
    }

    #[test]
    fn what_is_out_of_range_may_be_taken_for_the_nearest_double() {
        for text in ["1e400", "0x1p1024", "inf"] {
            assert_eq!(parse_f64_saturating(text.as_bytes()), Some(f64::INFINITY));
            let negative = format!("-{text}");
            let value = parse_f64_saturating(negative.as_bytes());
            assert_eq!(value, Some(f64::NEG_INFINITY));
        }
        for text in ["1e-400", "0x1p-1075"] {
            assert_eq!(parse_f64_saturating(text.as_bytes()), Some(0.0));
        }
        assert_eq!(parse_f64_saturating(b"1.5"), Some(1.5));
        assert_eq!(parse_f64_saturating(b"nan"), None);
    }

    #[test]
    fn doubles_are_written_as_redis_does() {
        let cases = [
            (0.0, "0"),
            (-0.0, "-0"),
            (1.0, "1"),
            (-120.0, "-120"),
            (0.1, "0.1"),
            (1e17, "100000000000000000"),
            (4_611_686_018_427_387_904.0, "4611686018427387904"),
            (4_611_686_018_427_388_928.0, "4611686018427389000"),
            (1e19, "1e+19"),
            (1e21, "1e+21"),
            (1.234_567_8e22, "1.2345678e+22"),
            (123_456.123_456_789, "1.23456123456789e+5"),
            (1_234.123_456_789, "1234.123456789"),
            (123_456_789_012.5, "123456789012.5"),
            (0.0001, "0.0001"),
            (1e-6, "0.000001"),
            (1e-7, "1e-7"),
            (1.5e-6, "1.5e-6"),
            (-1.5e-10, "-1.5e-10"),
            (5e-324, "5e-324"),
            (1e100, "1e+100"),
            (-0.001_234_567_89, "-0.00123456789"),
            (0.000_123_456_789, "1.23456789e-4"),
            (f64::MAX, "1.7976931348623157e+308"),
            (f64::INFINITY, "inf"),
            (f64::NEG_INFINITY, "-inf"),
            (f64::NAN, "nan"),
        ];
        for (value, text) in cases {
            assert_eq!(
                String::from_utf8_lossy(format_double(value).as_bytes()),
                text
            );
        }
    }
}
