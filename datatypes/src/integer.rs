//! Integers in the text of requests and values.
//!
//! Redis holds a string as an integer only if printing that integer gives the very same bytes back, and takes the same
//! texts as integer arguments. So: no sign but a minus, no leading zeros, no spaces, no `-0`.

/// Longest text of an `i64`: `-9223372036854775808`.
const DIGITS_MAX: usize = 20;

/// The integer whose canonical text this is.
pub fn parse(text: &[u8]) -> Option<i64> {
    let (negative, digits) = match text {
        [b'0'] => return Some(0),
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if text.len() > DIGITS_MAX || !matches!(digits.first(), Some(b'1'..=b'9')) {
        return None;
    }
    // At most 20 digits: the first 19 fit a u64, the last may overflow it.
    let magnitude = digits.iter().try_fold(0u64, |value, byte| {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return None;
        }
        value.checked_mul(10)?.checked_add(u64::from(digit))
    })?;
    match negative {
        true => 0i64.checked_sub_unsigned(magnitude),
        false => i64::try_from(magnitude).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn takes_exactly_what_an_integer_prints_as() {
        for number in [
            0,
            1,
            -1,
            9,
            10,
            -10,
            12345,
            i64::MAX,
            i64::MIN,
            i64::MAX - 1,
            i64::MIN + 1,
        ] {
            assert_eq!(parse(number.to_string().as_bytes()), Some(number));
        }
        let others = [
            "",
            "-",
            "+1",
            "-0",
            "00",
            "01",
            "-01",
            " 1",
            "1 ",
            "1a",
            "a",
            "0x1",
            "1.0",
            "--1",
            "9223372036854775808",
            "-9223372036854775809",
            "18446744073709551616",
            "99999999999999999999",
            "100000000000000000000",
        ];
        for text in others {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
