//! The sorting behind SORT, in small steps: elements are gathered in runs that are sorted one by one, and the runs are
//! merged, one element at a time, as the reply is written. A million elements are some 4,000 runs.

use std::cmp::Ordering;
use std::ops::Range;

/// What an element is compared by.
pub enum Weight {
    Itself,
    Number(f64),
    /// The value of another key, which may be missing.
    Text(Option<Box<[u8]>>),
}

pub struct Item {
    pub text: Box<[u8]>,
    pub weight: Weight,
}

impl Item {
    /// Equal numbers are in the order of the texts, as Redis has it.
    fn compare(&self, other: &Item) -> Ordering {
        match (&self.weight, &other.weight) {
            (Weight::Number(one), Weight::Number(other_one)) => one
                .partial_cmp(other_one)
                .unwrap_or(Ordering::Equal)
                .then_with(|| self.text.cmp(&other.text)),
            (Weight::Text(one), Weight::Text(other)) => one.cmp(other),
            _ => self.text.cmp(&other.text),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
    /// As they were gathered, or the other way round.
    AsTheyCome,
    Reversed,
}

/// Elements being sorted.
pub struct Runs {
    order: Order,
    items: Vec<Item>,
    /// Sorted runs, less what was taken; once merging has begun, a heap of those that are not empty, by their first items.
    runs: Vec<Range<usize>>,
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
            (Order::Ascending | Order::Descending, _) => {
                let descending = self.order == Order::Descending;
                self.items[run.clone()].sort_by(|one, other| ordered(one, other, descending));
                self.runs.push(run);
            }
            (_, Some(all)) => all.end = run.end,
            (_, None) => self.runs.push(run),
        }
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
                first.end -= 1;
                first.end
            }
            _ => {
                first.start += 1;
                first.start - 1
            }
        };
        if Range::is_empty(first) {
            self.runs.swap_remove(0);
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

    /// Equal items are in the order in which they were gathered.
    fn precedes(&self, one: usize, other: usize) -> bool {
        let (one, other) = (self.runs[one].start, self.runs[other].start);
        let descending = self.order == Order::Descending;
        let order = ordered(&self.items[one], &self.items[other], descending);
        order.then(one.cmp(&other)).is_lt()
    }
}

fn ordered(one: &Item, other: &Item, descending: bool) -> Ordering {
    if descending {
        other.compare(one)
    } else {
        one.compare(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(order: Order, run: usize, numbers: &[i64]) -> Vec<i64> {
        let mut runs = Runs::new(order, 0);
        for chunk in numbers.chunks(run) {
            for number in chunk {
                runs.push(Item {
                    text: number.to_string().into_bytes().into(),
                    weight: Weight::Number(*number as f64),
                });
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
