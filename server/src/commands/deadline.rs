//! From an argument to a deadline: units, overflow, and what counts as invalid, once for all commands that take one.

use crate::fault::Fault;

/// What the number in a request counts, and from when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds from now.
    Ex,
    /// Milliseconds from now.
    Px,
    /// Unix time in seconds.
    ExAt,
    /// Unix time in milliseconds.
    PxAt,
}

impl Unit {
    /// The unit that an option names.
    pub fn of(word: &[u8]) -> Option<Self> {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        [
            ("EX", Self::Ex),
            ("PX", Self::Px),
            ("EXAT", Self::ExAt),
            ("PXAT", Self::PxAt),
        ]
        .into_iter()
        .find_map(|(name, unit)| is(name).then_some(unit))
    }

    /// Whether the number is a time, not a distance from now.
    pub fn is_absolute(self) -> bool {
        matches!(self, Self::ExAt | Self::PxAt)
    }

    /// Unix ms, possibly in the past or before 1970; `command` is named in the complaint.
    pub fn unix_ms(self, number: i64, now_ms: i64, command: &str) -> Result<i64, Fault> {
        let factor = match self {
            Self::Ex | Self::ExAt => 1000,
            Self::Px | Self::PxAt => 1,
        };
        let start = if self.is_absolute() { 0 } else { now_ms };
        number
            .checked_mul(factor)
            .and_then(|ms| ms.checked_add(start))
            .ok_or_else(|| Fault::invalid_expire(command))
    }

    /// The deadline for options that take no number below 1.
    pub fn deadline(self, number: i64, now_ms: i64, command: &str) -> Result<u64, Fault> {
        if number <= 0 {
            return Err(Fault::invalid_expire(command));
        }
        self.unix_ms(number, now_ms, command).map(|ms| ms as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overflows() {
        let now = 1_700_000_000_000;
        for unit in [Unit::Ex, Unit::Px, Unit::ExAt, Unit::PxAt] {
            for number in [i64::MIN, i64::MIN / 1000 - 1, i64::MAX / 1000 + 1, i64::MAX] {
                let fits = match unit {
                    Unit::Ex | Unit::ExAt => false,
                    Unit::Px => number < i64::MAX - now,
                    Unit::PxAt => true,
                };
                assert_eq!(
                    unit.unix_ms(number, now, "expire").is_ok(),
                    fits,
                    "{unit:?} {number}"
                );
            }
        }
        assert_eq!(Unit::Ex.deadline(10, now, "set"), Ok(now as u64 + 10_000));
        assert_eq!(
            Unit::PxAt.deadline(0, now, "set"),
            Err(Fault::invalid_expire("set"))
        );
    }
}
