//! Natural numbers of any size, as far as reading and printing extended doubles needs them: thousands of digits,
//! rarely, so that the plainest methods do.

use std::cmp::Ordering;

/// Little-endian limbs, the last of them not zero.
#[derive(Clone, Debug, Default)]
pub(super) struct Natural {
    limbs: Vec<u32>,
}

const BILLION: u32 = 1_000_000_000;
const FIVE_TO_13: u32 = 1_220_703_125;

impl Natural {
    pub fn from_decimal<'a>(digits: impl Iterator<Item = &'a u8>) -> Self {
        let mut number = Self::default();
        for digit in digits {
            number.multiply_add(10, u32::from(digit - b'0'));
        }
        number
    }

    pub fn power_of_five(exponent: u32) -> Self {
        let mut number = Self::from(1);
        number.multiply_power_of_five(exponent);
        number
    }

    pub fn multiply_power_of_five(&mut self, exponent: u32) {
        for _ in 0..exponent / 13 {
            self.multiply_add(FIVE_TO_13, 0);
        }
        self.multiply_add(5_u32.pow(exponent % 13), 0);
    }

    fn multiply_add(&mut self, factor: u32, summand: u32) {
        let mut carry = u64::from(summand);
        for limb in &mut self.limbs {
            carry += u64::from(*limb) * u64::from(factor);
            *limb = carry as u32;
            carry >>= 32;
        }
        if carry > 0 {
            self.limbs.push(carry as u32);
        }
    }

    /// Length in bits.
    pub fn bits(&self) -> u32 {
        self.limbs.last().map_or(0, |last| {
            32 * self.limbs.len() as u32 - last.leading_zeros()
        })
    }

    pub fn shift_left(&mut self, shift: u32) {
        let within = shift % 32;
        if within > 0 {
            self.multiply_add(1 << within, 0);
        }
        let whole = (shift / 32) as usize;
        self.limbs.splice(0..0, std::iter::repeat_n(0, whole));
    }

    fn halve(&mut self) {
        let mut carry = 0;
        for limb in self.limbs.iter_mut().rev() {
            let low = *limb & 1;
            *limb = *limb >> 1 | carry << 31;
            carry = low;
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.limbs.last() == Some(&0) {
            self.limbs.pop();
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        let by_length = self.limbs.len().cmp(&other.limbs.len());
        by_length.then_with(|| self.limbs.iter().rev().cmp(other.limbs.iter().rev()))
    }

    /// Takes away `other`, which is not larger.
    fn subtract(&mut self, other: &Self) {
        let mut borrow = false;
        for (index, limb) in self.limbs.iter_mut().enumerate() {
            let (less, first) = limb.overflowing_sub(other.limbs.get(index).copied().unwrap_or(0));
            let (less, second) = less.overflowing_sub(u32::from(borrow));
            (*limb, borrow) = (less, first || second);
        }
        self.trim();
    }

    /// The number as 127 bits at most and the power of two that they count: the last bit is set too if a bit below it
    /// is, so that rounding to fewer bits comes out right.
    pub fn top(&self) -> (u128, u32) {
        let cut = self.bits().saturating_sub(126);
        let (whole, within) = ((cut / 32) as usize, cut % 32);
        let mut top = 0_u128;
        for (index, &limb) in self.limbs[whole..].iter().enumerate() {
            top |= match index {
                0 => u128::from(limb >> within),
                _ => u128::from(limb) << (32 * index as u32 - within),
            };
        }
        let lost = self.limbs[..whole].iter().any(|&limb| limb != 0)
            || self
                .limbs
                .get(whole)
                .is_some_and(|limb| limb & ((1 << within) - 1) != 0);
        (top << 1 | u128::from(lost), cut)
    }

    /// The quotient if it is less than 2^`bits`, and whether a remainder is left.
    pub fn divide(mut self, divisor: &Self, bits: u32) -> (u128, bool) {
        let mut divisor = divisor.clone();
        divisor.shift_left(bits);
        let mut quotient = 0;
        for _ in 0..bits {
            divisor.halve();
            let fits = self.compare(&divisor) != Ordering::Less;
            if fits {
                self.subtract(&divisor);
            }
            quotient = quotient << 1 | u128::from(fits);
        }
        (quotient, !self.limbs.is_empty())
    }

    /// The decimal digits.
    pub fn into_decimal(mut self) -> String {
        let mut billions = Vec::new();
        while !self.limbs.is_empty() {
            let mut rest = 0;
            for limb in self.limbs.iter_mut().rev() {
                let dividend = rest << 32 | u64::from(*limb);
                *limb = (dividend / u64::from(BILLION)) as u32;
                rest = dividend % u64::from(BILLION);
            }
            billions.push(rest);
            self.trim();
        }
        let Some(first) = billions.pop() else {
            return "0".to_owned();
        };
        let rest = billions.iter().rev().map(|billion| format!("{billion:09}"));
        first.to_string() + &rest.collect::<String>()
    }
}

impl From<u64> for Natural {
    fn from(value: u64) -> Self {
        let mut number = Self {
            limbs: vec![value as u32, (value >> 32) as u32],
        };
        number.trim();
        number
    }
}
