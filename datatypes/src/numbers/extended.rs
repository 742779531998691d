//! The 80-bit `long double` of x87, in which INCRBYFLOAT and HINCRBYFLOAT count: `10.5 + 0.1` is `10.6` in it, and
//! clients rely on that text. Reading, adding and printing are exact up to one rounding to 64 bits, as in hardware.

use super::big::Natural;
use super::literal::{Format, Literal, Magnitude, round, shift_rounded};

const EXTENDED: Format = Format {
    bits: 64,
    min_exponent: -16_445,
    max_exponent: 16_320,
};
/// Redis reads and prints up to 5 KiB; the largest finite value has 4,933 digits.
const TEXT_MAX: usize = 5 * 1024;
/// Digits printed behind the point, before trailing zeros are dropped.
const PLACES: u32 = 17;

/// An extended double; never NaN.
///
/// The value is `mantissa` times two to the `exponent`. The mantissa's highest bit is set unless the exponent is the
/// smallest one. Infinity has an exponent above the largest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Extended {
    negative: bool,
    mantissa: u64,
    exponent: i32,
}

impl Extended {
    /// Reads a number as `strtold` would, if it takes all of `text`, and if the value is neither NaN nor out of range.
    pub fn parse(text: &[u8]) -> Option<Self> {
        if text.len() >= TEXT_MAX {
            return None;
        }
        let literal = Literal::parse(text)?;
        let (mantissa, exponent) = match literal.magnitude {
            Magnitude::Infinite => return Some(Self::infinite(literal.negative)),
            Magnitude::Binary { mantissa, exponent } => (mantissa, exponent),
            Magnitude::Decimal {
                whole,
                fraction,
                exponent,
            } => binary_of_decimal(whole, fraction, exponent)?,
        };
        let value = Self::rounded(literal.negative, mantissa, exponent);
        let in_range = !value.is_infinite() && (value.mantissa == 0) == (mantissa == 0);
        in_range.then_some(value)
    }

    pub fn is_finite(self) -> bool {
        !self.is_infinite()
    }

    /// The sum, unless it is infinite or no number.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        if self.is_infinite() || other.is_infinite() {
            return None;
        }
        let (high, low) = if self.exponent >= other.exponent {
            (self, other)
        } else {
            (other, self)
        };
        // 62 bits more than the mantissa has: what `low` loses below them cannot change the rounding, it only
        // has to be known that it was there.
        let distance = (high.exponent - low.exponent).min(127) as u32;
        let (high_bits, low_bits) = (
            u128::from(high.mantissa) << 62,
            u128::from(low.mantissa) << 62,
        );
        let aligned = low_bits >> distance | u128::from(low_bits & ((1 << distance) - 1) != 0);
        let exponent = high.exponent - 62;
        let sum = if high.negative == low.negative {
            Self::rounded(high.negative, high_bits + aligned, exponent)
        } else if high_bits > aligned {
            Self::rounded(high.negative, high_bits - aligned, exponent)
        } else {
            Self::rounded(
                low.negative && high_bits != aligned,
                aligned - high_bits,
                exponent,
            )
        };
        (!sum.is_infinite()).then_some(sum)
    }

    fn rounded(negative: bool, mantissa: u128, exponent: i32) -> Self {
        match round(mantissa, exponent, EXTENDED) {
            Some((mantissa, exponent)) => Self {
                negative,
                mantissa,
                exponent,
            },
            None => Self::infinite(negative),
        }
    }

    fn infinite(negative: bool) -> Self {
        Self {
            negative,
            mantissa: 1 << 63,
            exponent: EXTENDED.max_exponent + 1,
        }
    }

    fn is_infinite(self) -> bool {
        self.exponent > EXTENDED.max_exponent
    }

    /// The number without an exponent, with up to 17 digits behind the point and no zeros at the end.
    pub fn to_text(self) -> String {
        let sign = if self.negative { "-" } else { "" };
        if self.is_infinite() {
            return format!("{sign}inf");
        }
        let text = if self.exponent >= 0 {
            let mut whole = Natural::from(self.mantissa);
            whole.shift_left(self.exponent as u32);
            whole.into_decimal()
        } else {
            self.with_fraction()
        };
        if text == "0" {
            text
        } else {
            format!("{sign}{text}")
        }
    }

    /// The magnitude as text if the exponent is negative.
    fn with_fraction(self) -> String {
        let below = -self.exponent;
        let scale = 10_u128.pow(PLACES);
        let whole = u128::from(self.mantissa)
            .checked_shr(below as u32)
            .unwrap_or(0);
        let fraction = u128::from(self.mantissa) - whole.checked_shl(below as u32).unwrap_or(0);
        // 64 and 57 bits: the product fits.
        let places = shift_rounded(fraction * scale, below);
        let (whole, places) = (whole + places / scale, places % scale);
        if places == 0 {
            return whole.to_string();
        }
        let digits = format!("{places:017}");
        format!("{whole}.{}", digits.trim_end_matches('0'))
    }
}

impl From<f64> for Extended {
    /// The same value; NaN, which no caller has, becomes infinity.
    fn from(value: f64) -> Self {
        let negative = value.is_sign_negative();
        if !value.is_finite() {
            return Self::infinite(negative);
        }
        let bits = value.to_bits();
        let (biased, fraction) = ((bits >> 52 & 0x7ff) as i32, bits & ((1 << 52) - 1));
        let hidden = u64::from(biased > 0) << 52;
        Self::rounded(
            negative,
            u128::from(hidden | fraction),
            biased.max(1) - 1075,
        )
    }
}

/// Turns a decimal into a mantissa and an exponent of two that round as the decimal itself would; `None` if no format
/// has a value that large or that small.
fn binary_of_decimal(whole: &[u8], fraction: &[u8], exponent: i32) -> Option<(u128, i32)> {
    let digits = || {
        whole
            .iter()
            .chain(fraction)
            .skip_while(|&&digit| digit == b'0')
    };
    let count = digits().count() as i32;
    let power = exponent - fraction.len() as i32;
    if count == 0 {
        return Some((0, 0));
    }
    if !(-5_000..5_000).contains(&(count + power)) {
        return None;
    }
    if count <= 19 && power.unsigned_abs() <= 27 {
        let value = digits().fold(0_u64, |value, digit| value * 10 + u64::from(digit - b'0'));
        return Some(small(value, power));
    }
    let mut number = Natural::from_decimal(digits());
    if power >= 0 {
        number.multiply_power_of_five(power.unsigned_abs());
        let (mantissa, cut) = number.top();
        return Some((mantissa, power + cut as i32 - 1));
    }
    // As many bits of the quotient as rounding needs, and a last one for all that follow.
    let mut divisor = Natural::power_of_five(power.unsigned_abs());
    let shift = 67 + divisor.bits() as i32 - number.bits() as i32;
    if shift >= 0 {
        number.shift_left(shift as u32)
    } else {
        divisor.shift_left(shift.unsigned_abs())
    }
    let (quotient, rest) = number.divide(&divisor, 69);
    Some((quotient << 1 | u128::from(rest), power - shift - 1))
}

/// [`binary_of_decimal`] where the power of five fits 63 bits: nearly always.
fn small(value: u64, power: i32) -> (u128, i32) {
    let scale = 5_u128.pow(power.unsigned_abs());
    if power >= 0 {
        return (u128::from(value) * scale, power);
    }
    let shift = 64 + value.leading_zeros() as i32;
    let shifted = u128::from(value) << shift;
    let (quotient, rest) = (shifted / scale, shifted % scale);
    (quotient << 1 | u128::from(rest != 0), power - shift - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(number: &str, increment: &str, sum: &str) {
        let read = |text: &str| Extended::parse(text.as_bytes()).expect("a number");
        let text = read(number)
            .checked_add(read(increment))
            .map(Extended::to_text);
        assert_eq!(text.as_deref(), Some(sum), "{number} + {increment}");
    }

    #[test]
    fn everyday_sums() {
        check("10.5", "0.1", "10.6");
        check("5.0e3", "2.0e2", "5200");
        check("3.0", "1.1", "4.1");
        check("0.1", "0.2", "0.3");
        check("1", "-1", "0");
        check("-1.5", "0.5", "-1");
        check("0", "-1e-30", "0");
        check("1.23456789e-5", "0", "0.0000123456789");
        check("10", "1.0e20", "100000000000000000008");
        check("0x1p3", "0x.8", "8.5");
        check("1e19", "1e-19", "10000000000000000000");
    }

    #[test]
    fn extremes() {
        let largest = format!("0x{}p16320", "f".repeat(16));
        let read = |text: &str| Extended::parse(text.as_bytes());
        let max = read(&largest).expect("the largest finite value");
        assert_eq!(max.checked_add(max), None);
        assert_eq!(max.to_text().len(), 4933);
        assert!(
            max.to_text()
                .starts_with("118973149535723176502126385303097020516906332229462420044032373")
        );
        assert_eq!(read(&max.to_text()), Some(max));
        assert_eq!(max.checked_add(read("inf").expect("infinity")), None);
        for text in [
            "1e4933",
            "-1e4933",
            "1e-4966",
            "0x1p-16447",
            "nan",
            "",
            "1e999999999999",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read("0x1p-16445").map(|least| least.mantissa), Some(1));
        assert_eq!(read("1e-4950").map(Extended::to_text).as_deref(), Some("0"));
        assert_eq!(read(&"1".repeat(TEXT_MAX)), None);
        assert!(read(&format!("0.{}", "1".repeat(TEXT_MAX - 3))).is_some());
    }

    #[test]
    fn both_ways_to_read_a_decimal_agree() {
        for text in [
            "1",
            "123456789",
            "9999999999999999999",
            "18446744073709551557",
        ] {
            for power in -27..=27_i32 {
                let long = format!("{text}{}e{}", "0".repeat(40), power - 40);
                assert_eq!(
                    Extended::parse(format!("{text}e{power}").as_bytes()),
                    Extended::parse(long.as_bytes())
                );
            }
        }
    }

    #[test]
    fn doubles_are_contained() {
        for (value, text) in [
            (0.1, "0.10000000000000001"),
            (-2.5, "-2.5"),
            (0.0, "0"),
            (-0.0, "0"),
            (5e-324, "0"),
            (1e15, "1000000000000000"),
        ] {
            assert_eq!(Extended::from(value).to_text(), text);
        }
        assert_eq!(Extended::from(f64::NEG_INFINITY).to_text(), "-inf");
    }
}
