//! A small set of integers inside its key's entry: a sorted array, looked up by halving.
//!
//! ```text
//! ┌───────┬─────────┬─────────┬─────
//! │ width │ integer │ integer │ ...     ascending, little-endian, all of the width that the widest needs: 2, 4 or 8;
//! └───────┴─────────┴─────────┴─────    no bytes at all: no integers
//! ```
//! As in Redis, whose `intset` this is but for its head: widening is for good, removing does not narrow it again.

use crate::packed::Storage;

/// The array to be read.
#[derive(Clone, Copy, Debug)]
pub struct Intset<'a> {
    width: usize,
    array: &'a [u8],
}

impl<'a> Intset<'a> {
    /// Foreign bytes that are no such array count as empty, or are cut.
    pub fn new(bytes: &'a [u8]) -> Self {
        match bytes {
            [width @ (2 | 4 | 8), array @ ..] => Self {
                width: usize::from(*width),
                array,
            },
            _ => Self {
                width: 2,
                array: &[],
            },
        }
    }

    pub fn len(self) -> usize {
        self.array.len() / self.width
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// # Panics
    /// If there are not so many.
    #[inline]
    pub fn at(self, index: usize) -> i64 {
        let bytes = &self.array[index * self.width..][..self.width];
        match *bytes {
            [a, b] => i16::from_le_bytes([a, b]).into(),
            [a, b, c, d] => i32::from_le_bytes([a, b, c, d]).into(),
            _ => i64::from_le_bytes(bytes.try_into().expect("the width is 2, 4 or 8")),
        }
    }

    pub fn iter(self) -> impl DoubleEndedIterator<Item = i64> + ExactSizeIterator + 'a {
        (0..self.len()).map(move |index| self.at(index))
    }

    pub fn contains(self, value: i64) -> bool {
        self.find(value).is_ok()
    }

    /// Where it is, or where it belongs.
    fn find(self, value: i64) -> Result<usize, usize> {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.at(middle) < value {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        if low < self.len() && self.at(low) == value {
            Ok(low)
        } else {
            Err(low)
        }
    }

    /// Whether these are the bytes of an array, as those that come from outside may not be.
    pub fn is_valid(bytes: &[u8]) -> bool {
        let array = Intset::new(bytes);
        let whole = 1 + array.len() * array.width == bytes.len() && !array.is_empty();
        (bytes.is_empty() || whole) && array.iter().is_sorted_by(|a, b| a < b)
    }
}

/// The bytes of an array of integers that ascend.
pub fn encode(values: impl Iterator<Item = i64> + Clone) -> Vec<u8> {
    let width = values.clone().map(width_of).max();
    let mut bytes: Vec<u8> = width.iter().map(|&width| width as u8).collect();
    for value in values {
        bytes.extend_from_slice(&value.to_le_bytes()[..width.unwrap_or(2)]);
    }
    bytes
}

/// Whether it was not there.
pub fn insert(storage: &mut impl Storage, value: i64) -> bool {
    let bytes = storage.bytes();
    let array = Intset::new(bytes);
    let Err(place) = array.find(value) else {
        return false;
    };
    if bytes.is_empty() || width_of(value) > array.width {
        // It is wider than all the others, so it goes to one end.
        let mut values: Vec<i64> = array.iter().collect();
        values.insert(place, value);
        let wider = encode(values.iter().copied());
        storage.splice(0..storage.bytes().len(), &wider);
        return true;
    }
    let (at, width) = (1 + place * array.width, array.width);
    storage.splice(at..at, &value.to_le_bytes()[..width]);
    true
}

/// Whether it was there. An array without integers is left without bytes.
pub fn remove(storage: &mut impl Storage, value: i64) -> bool {
    let array = Intset::new(storage.bytes());
    let Ok(place) = array.find(value) else {
        return false;
    };
    let (at, width) = (1 + place * array.width, array.width);
    let all = array.len() == 1;
    if all {
        storage.splice(0..storage.bytes().len(), &[]);
    } else {
        storage.splice(at..at + width, &[]);
    }
    true
}

fn width_of(value: i64) -> usize {
    if i16::try_from(value).is_ok() {
        2
    } else if i32::try_from(value).is_ok() {
        4
    } else {
        8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn integers_of_all_widths_come_and_go() {
        let values = [0, -1, 300, i64::MIN, 32768, -32769, i64::MAX, 1 << 31, 7];
        let (mut bytes, mut model) = (Vec::new(), BTreeSet::new());
        for value in values {
            assert!(insert(&mut bytes, value) && model.insert(value));
            assert!(!insert(&mut bytes, value));
            assert!(Intset::is_valid(&bytes));
            assert!(Intset::new(&bytes).iter().eq(model.iter().copied()));
        }
        for value in values {
            assert!(remove(&mut bytes, value) && model.remove(&value));
            assert!(!remove(&mut bytes, value));
            assert!(Intset::is_valid(&bytes));
            assert!(Intset::new(&bytes).iter().eq(model.iter().copied()));
        }
        assert!(bytes.is_empty());
        for wrong in [&[2, 1][..], &[3, 1, 1, 1], &[2, 1, 0, 1, 0], &[2]] {
            assert!(!Intset::is_valid(wrong));
        }
    }
}
