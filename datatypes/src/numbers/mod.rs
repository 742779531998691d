//! Numbers as text, by Redis' rules: which strings are a number, and how a number is written.
//!
//! Integers are strict: the one form that Redis itself prints. Doubles are what C's `strtod` takes, hexadecimal and
//! `infinity` included, but never a NaN, nor a number too large or too small to be told from infinity or zero.
//! INCRBYFLOAT and HINCRBYFLOAT count in the 80 bits of an x87 `long double`, which is [`Extended`] here.

mod big;
mod double;
mod extended;
mod literal;

pub use double::{DoubleText, format_double, format_double_17, parse_f64, parse_f64_saturating};
pub use extended::Extended;

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

/// Writes an integer where no reply does it already.
pub fn format_i64(value: i64) -> Vec<u8> {
    itoa::Buffer::new().format(value).as_bytes().to_vec()
}

/// Reads an amount of memory from the configuration: bytes, or with a unit in any case, of which `k m g` count in
/// thousands and `kb mb gb` in 1024s.
pub fn parse_memory(text: &[u8]) -> Option<u64> {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.to_ascii_lowercase().as_slice() {
        b"" | b"b" => 1,
        b"k" => 1000,
        b"kb" => 1 << 10,
        b"m" => 1000 * 1000,
        b"mb" => 1 << 20,
        b"g" => 1000 * 1000 * 1000,
        b"gb" => 1 << 30,
        _ => return None,
    };
    let number: u64 = std::str::from_utf8(number).ok()?.parse().ok()?;
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_read_in_one_form_only() {
        for value in [
            0,
            1,
            -1,
            10,
            999_999_999_999_999_999,
            i64::MAX,
            i64::MIN,
            i64::MIN + 1,
        ] {
            assert_eq!(parse_i64(&format_i64(value)), Some(value));
        }
        let refused = [
            "",
            "-",
            "+1",
            "01",
            "-0",
            "-01",
            " 1",
            "1 ",
            "1.0",
            "1e3",
            "0x1",
            "12a",
            "a",
            "--1",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "1\u{0}",
            "99999999999999999999999",
        ];
        for text in refused {
            assert_eq!(parse_i64(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_u64(b"18446744073709551616"), None);
        assert_eq!(parse_u64(b"1844674407370955161x"), None);
    }

    #[test]
    fn memory_has_units() {
        let cases = [
            ("0", 0),
            ("100", 100),
            ("7b", 7),
            ("1k", 1000),
            ("1Kb", 1024),
            ("2M", 2_000_000),
            ("2mb", 2 << 20),
            ("3g", 3_000_000_000),
            ("3GB", 3 << 30),
            ("18446744073709551615", u64::MAX),
        ];
        for (text, bytes) in cases {
            assert_eq!(parse_memory(text.as_bytes()), Some(bytes), "{text}");
        }
        for text in [
            "",
            "kb",
            "-1",
            "1.5g",
            "1 kb",
            "1kbs",
            "18446744073709551616",
            "18446744073709551615k",
        ] {
            assert_eq!(parse_memory(text.as_bytes()), None, "{text}");
        }
    }
}
