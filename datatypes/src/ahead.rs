//! A command that names many elements of a large collection has them loaded into the cache some at a time, before it
//! looks the first of these up: one after the other, each lookup would wait for memory two or three times.

use crate::raw::table::{Spot, prefetch};

/// Lookups whose memory is loaded together. More gain nothing: the processor can have about 16 misses under way.
pub const GROUP: usize = 32;

/// Elements from which on a collection is not likely to be in the cache as a whole.
pub const WORTH_LOADING: usize = 4096;

/// Elements that are looked up one by one. Whoever takes them is asked now and then to load those that come next.
pub struct Ahead<I> {
    coming: I,
    loaded: usize,
}

impl<I: Iterator + Clone> Ahead<I> {
    /// The first element counts as loaded: before a command is executed, what it names first is.
    pub fn of(elements: I) -> Self {
        Self {
            coming: elements,
            loaded: 1,
        }
    }

    /// The next element; `load` is given it and all behind it, if it is time to load some of them.
    #[inline]
    pub fn next(&mut self, load: impl FnOnce(I)) -> Option<I::Item> {
        if self.loaded == 0 {
            load(self.coming.clone());
            self.loaded = GROUP;
        }
        self.loaded -= 1;
        self.coming.next()
    }
}

/// Loads a [`GROUP`] of lookups in a collection of `len` elements, if that gains anything.
pub fn load<'t>(len: usize, lookups: impl Iterator<Item = Option<Spot<'t>>>) {
    if len < WORTH_LOADING {
        return;
    }
    let mut spots = [None; GROUP];
    let mut count = 0;
    for (spot, lookup) in spots.iter_mut().zip(lookups) {
        *spot = lookup;
        count += 1;
    }
    prefetch(&spots[..count]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_elements_come_and_are_announced_in_groups() {
        let mut announced = Vec::new();
        let mut ahead = Ahead::of(0..100);
        let mut taken = Vec::new();
        while let Some(element) = ahead.next(|coming| announced.push(coming.start)) {
            taken.push(element);
        }
        assert_eq!(taken, (0..100).collect::<Vec<_>>());
        assert_eq!(announced, [1, 33, 65, 97]);
    }

    #[test]
    fn one_element_is_not_loaded_again() {
        let mut ahead = Ahead::of(std::iter::once(7));
        let first = ahead.next(|_| panic!("there is nothing to load"));
        assert_eq!(first, Some(7));
    }
}
