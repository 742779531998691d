//! From the registers' values to the number of elements.

use super::{PATTERN_BITS, REGISTERS};

/// How many registers have each value.
pub struct Histogram([u32; 64]);

/// 1 / (2 ln 2)
const ALPHA: f64 = 0.721_347_520_444_481_7;

impl Histogram {
    pub fn new() -> Self {
        Self([0; 64])
    }

    #[inline]
    pub fn count(&mut self, value: u8, registers: u32) {
        self.0[usize::from(value & 63)] += registers;
    }

    /// Ertl's improved estimator, in the order of operations that Redis has, for the same last digit.
    pub fn cardinality(&self) -> u64 {
        let m = REGISTERS as f64;
        let q = PATTERN_BITS as usize;
        let of = |value: usize| f64::from(self.0[value]);
        let mut z = m * tau((m - of(q + 1)) / m);
        for value in (1..=q).rev() {
            z += of(value);
            z *= 0.5;
        }
        z += m * sigma(of(0) / m);
        let estimate = (ALPHA * m * m / z).round();
        if estimate < i64::MAX as f64 {
            estimate as u64
        } else {
            // What no element leads to: C's conversion of infinity.
            1 << 63
        }
    }
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if before == z {
            return z / 3.0;
        }
    }
}
