//! The sorting behind SORT, in small steps: elements are gathered in runs that are sorted one by one, and the runs are
//! merged, one element at a time, as the reply is written. A million elements are some 4,000 runs.

use std::ops::Range;

/// An element, and what it is compared by: the key, then the weight, then the text.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
pub struct Item {
    /// Tells most elements apart without a look at texts, which lie elsewhere: merging 4,000 runs reads little else.
    key: u64,
    /// The value of another key, which may be missing.
    weight: Option<Box<[u8]>>,
    pub text: Box<[u8]>,
}

impl Item {
    pub fn by_text(text: Box<[u8]>) -> Self {
        Self {
            key: beginning(&text),
            weight: None,
            text,
        }
    }

    /// Equal numbers are in the order of the texts, as Redis has it.
    pub fn by_number(text: Box<[u8]>, number: f64) -> Self {
        // Adding zero makes a negative zero positive.
        let bits = (number + 0.0).to_bits();
        let key = match number < 0.0 {
            true => !bits,
            false => bits | 1 << 63,
        };
        Self {
            key,
            weight: None,
            text,
        }
    }

    pub fn by_weight(text: Box<[u8]>, weight: Option<Box<[u8]>>) -> Self {
        Self {
            key: weight.as_deref().map_or(0, beginning),
            weight,
            text,
        }
    }
}

/// The first bytes of a text as a number that is smaller for a smaller text.
fn beginning(text: &[u8]) -> u64 {
    let mut first = [0; 8];
    let len = text.len().min(8);
    first[..len].copy_from_slice(&text[..len]);
    u64::from_be_bytes(first)
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
    /// As they were gathered, or the other way round.
    AsTheyCome,
    Reversed,
}

/// A run, and the key of its first item, so that the heap is most often ordered by what lies in it.
struct Run {
    key: u64,
    items: Range<usize>,
}

/// Elements being sorted.
pub struct Runs {
    order: Order,
    items: Vec<Item>,
    /// Sorted runs, less what was taken; once merging has begun, a heap of those that are not empty, by their first items.
    runs: Vec<Run>,
    /// Where the run begins that is being gathered.
    open: usize,
}

impl Runs {
    pub fn new(order: Order, expected: usize) -> Self {
        Self {
            order,
            items: Vec::with_capacity(expected),
            runs: Vec::new(),
            open: 0,
        }
    }

    pub fn push(&mut self, item: Item) {
        self.items.push(item);
    }

    /// Sorts what was pushed since the last time.
    pub fn close_run(&mut self) {
        let run = self.open..self.items.len();
        self.open = run.end;
        if run.is_empty() {
            return;
        }
        match (self.order, self.runs.first_mut()) {
            (Order::Ascending, _) => self.items[run.clone()].sort(),
            (Order::Descending, _) => self.items[run.clone()].sort_by(|one, other| other.cmp(one)),
            (_, Some(all)) => {
                all.items.end = run.end;
                return;
            }
            (_, None) => {}
        }
        let key = self.items[run.start].key;
        self.runs.push(Run { key, items: run });
    }

    /// Makes a heap of the runs: afterwards they are merged.
    pub fn begin(&mut self) {
        for at in (0..self.runs.len() / 2).rev() {
            self.sift(at);
        }
    }

    /// The next item of all.
    pub fn next(&mut self) -> Option<&Item> {
        let first = self.runs.first_mut()?;
        let at = match self.order {
            Order::Reversed => {
                first.items.end -= 1;
                first.items.end
            }
            _ => {
                first.items.start += 1;
                first.items.start - 1
            }
        };
        if Range::is_empty(&first.items) {
            self.runs.swap_remove(0);
        } else {
            first.key = self.items[first.items.start].key;
        }
        self.sift(0);
        self.items.get(at)
    }

    /// Lets a run sink below those that come before it.
    fn sift(&mut self, mut at: usize) {
        loop {
            let (left, right) = (2 * at + 1, 2 * at + 2);
            let mut first = at;
            if left < self.runs.len() && self.precedes(left, first) {
                first = left;
            }
            if right < self.runs.len() && self.precedes(right, first) {
                first = right;
            }
            if first == at {
                return;
            }
            self.runs.swap(at, first);
            at = first;
        }
    }

    fn precedes(&self, one: usize, other: usize) -> bool {
        let (one, other) = (&self.runs[one], &self.runs[other]);
        let order = one.key.cmp(&other.key).then_with(|| {
            let (one, other) = (one.items.start, other.items.start);
            self.items[one].cmp(&self.items[other])
        });
        match self.order {
            Order::Descending => order.is_gt(),
            _ => order.is_lt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(order: Order, run: usize, numbers: &[i64]) -> Vec<i64> {
        let mut runs = Runs::new(order, 0);
        for chunk in numbers.chunks(run) {
            for number in chunk {
                let text = number.to_string().into_bytes().into();
                runs.push(Item::by_number(text, *number as f64));
            }
            runs.close_run();
        }
        runs.begin();
        let mut out = Vec::new();
        while let Some(item) = runs.next() {
            out.push(std::str::from_utf8(&item.text).unwrap().parse().unwrap());
        }
        out
    }

    #[test]
    fn runs_of_any_length_merge_into_one_order() {
        let numbers: Vec<i64> = (0..1000).map(|n| n * 7919 % 613 - 300).collect();
        let mut expected = numbers.clone();
        expected.sort_unstable();
        for run in [1, 2, 3, 7, 256, 2000] {
            assert_eq!(sorted(Order::Ascending, run, &numbers), expected);
            assert_eq!(sorted(Order::AsTheyCome, run, &numbers), numbers);
            let mut turned = numbers.clone();
            turned.reverse();
            assert_eq!(sorted(Order::Reversed, run, &numbers), turned);
        }
        expected.reverse();
        for run in [1, 5, 999] {
            assert_eq!(sorted(Order::Descending, run, &numbers), expected);
        }
        assert_eq!(sorted(Order::Ascending, 3, &[]), [0_i64; 0]);
    }
}
