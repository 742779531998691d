//! Small collections: all elements one after the other in one block of bytes, mostly inside the key's entry.
//!
//! An element costs one byte more than its text; an integer costs less than its digits. What is looked for is found by
//! walking, which is why collections leave this form when they grow (`hash-max-listpack-entries` and its like). Hashes
//! have blocks of their own (`hashes/small.rs`), in which a field's texts share a head (`pair.rs`).
//!
//! ```text
//!  ┌───────┬─────────┬─────────┬─────
//!  │ count │ element │ element │ ...      no bytes at all: no elements
//!  └───────┴─────────┴─────────┴─────
//!   u16, little-endian; 65535: that many or more, walk to know
//!
//!  element: 0vvvvvvv                          integer 0–127
//!           10llllll text                     text of 0–63 bytes
//!           11000001 l text                   text, length in 1 byte     (1100 0010: in 2,  1100 0100: in 4)
//!           111vvvvv v                        integer of 13 bits, signed
//!           11010010 v                        integer in 2 bytes, signed  (1101 0011: in 3,  0100: 4,  1000: 8)
//!  and in blocks that are walked from both ends ([`Both`]), behind each:
//!           its bytes in groups of 7 bits, the lowest group last; the high bit of a group: another one lies before it
//! ```
//!
//! A text that is exactly how an integer is printed is put in as that integer ([`Element::of`]), in the shortest form,
//! so that equal texts have equal bytes, and looking for one compares bytes. No bytes, however wrong, make a reader
//! leave the block: it comes to an end instead; [`Packed::is_valid`] says whether foreign bytes are a block.

mod edit;
mod element;
mod pair;

pub(crate) use edit::exchange;
pub use edit::{Edit, Storage};
pub use element::Element;
pub(crate) use element::{HEAD_MAX, decode, size_at};
pub(crate) use pair::{Needle, Pair};

use std::ops::Range;

use element::back_len;

/// Bytes of the count.
pub const HEAD: usize = 2;

/// A block that is walked from the front only: sets and sorted sets.
pub type Forward<'a> = Packed<'a, false>;
/// A block that is walked from both ends, for one byte more per element: lists.
pub type Both<'a> = Packed<'a, true>;

/// A block to be read. See the module.
#[derive(Clone, Copy, Debug)]
pub struct Packed<'a, const BACK: bool> {
    bytes: &'a [u8],
}

/// An element and where it lies.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<'a> {
    pub element: Element<'a>,
    /// All its bytes in the block; the next element begins where they end.
    pub range: Range<usize>,
}

impl<'a, const BACK: bool> Packed<'a, BACK> {
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// All bytes of the block.
    pub fn total_bytes(self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(self) -> bool {
        self.bytes.len() <= HEAD
    }

    /// Number of elements.
    #[inline]
    pub fn len(self) -> usize {
        self.stored_count().unwrap_or_else(|| self.iter().count())
    }

    /// The number that the block begins with; `None` if there are too many to be counted there.
    #[inline]
    fn stored_count(self) -> Option<usize> {
        match self.bytes {
            [low, high, ..] => match u16::from_le_bytes([*low, *high]) {
                u16::MAX => None,
                count => Some(usize::from(count)),
            },
            _ => Some(0),
        }
    }

    /// The elements in order.
    #[inline]
    pub fn iter(self) -> Items<'a, BACK> {
        self.iter_from(HEAD)
    }

    /// The elements from the one that begins at `start` on.
    #[inline]
    pub fn iter_from(self, start: usize) -> Items<'a, BACK> {
        Items {
            bytes: self.bytes,
            front: start,
            back: self.bytes.len(),
        }
    }

    /// The element with this index; walks from the nearer end where it can.
    pub fn get(self, index: usize) -> Option<Item<'a>> {
        let mut items = self.iter();
        let count = self.len();
        if BACK && index >= count / 2 {
            let from_back = count.checked_sub(index + 1)?;
            for _ in 0..from_back {
                items.step_back()?;
            }
            return items.step_back();
        }
        items.nth(index)
    }

    pub fn first(self) -> Option<Item<'a>> {
        self.iter().next()
    }

    /// The first element equal to `text`, if the elements counted in `step`s are looked at: with 2, members and not scores.
    /// Finds what was put in by [`Element::of`].
    #[inline]
    pub fn find(self, text: &[u8], step: usize) -> Option<Item<'a>> {
        let needle = Element::of(text);
        let (head, len) = needle.head();
        self.find_encoded(&head[..len], needle.tail(), step)
    }

    fn find_encoded(self, head: &[u8], tail: &[u8], step: usize) -> Option<Item<'a>> {
        let mut at = HEAD;
        loop {
            let rest = self.bytes.get(at..)?;
            if rest.starts_with(head) && rest[head.len()..].starts_with(tail) {
                return self.iter_from(at).next();
            }
            for _ in 0..step {
                at = self.after(at)?;
            }
        }
    }

    /// Where the element at `at` ends.
    #[inline]
    fn after(self, at: usize) -> Option<usize> {
        let size = size_at(self.bytes, at)?;
        Some(at + size + if BACK { back_len(size) } else { 0 })
    }

    /// Whether these bytes are a block from beginning to end, as those that come from outside may not be.
    pub fn is_valid(self) -> bool {
        if self.bytes.is_empty() {
            return true;
        }
        let mut items = self.iter();
        let count = items.by_ref().count();
        count > 0
            && items.front == self.bytes.len()
            && self
                .stored_count()
                .map_or(count >= usize::from(u16::MAX), |stored| stored == count)
            && (!BACK || self.leads_back(count))
    }
}

impl<const BACK: bool> Packed<'_, BACK> {
    /// Whether `count` elements are met from the end, and nothing is left before them.
    fn leads_back(self, count: usize) -> bool {
        let mut items = self.iter();
        (0..count).all(|_| items.step_back().is_some()) && items.back == HEAD
    }
}

impl<'a, const BACK: bool> IntoIterator for Packed<'a, BACK> {
    type Item = Item<'a>;
    type IntoIter = Items<'a, BACK>;

    fn into_iter(self) -> Items<'a, BACK> {
        self.iter()
    }
}

/// Walks a block.
#[derive(Clone, Debug)]
pub struct Items<'a, const BACK: bool> {
    bytes: &'a [u8],
    front: usize,
    back: usize,
}

impl<'a, const BACK: bool> Items<'a, BACK> {
    fn step_back(&mut self) -> Option<Item<'a>> {
        let size = element::size_before(self.bytes.get(..self.back)?)?;
        let start = self.back.checked_sub(size + back_len(size))?;
        if start < self.front {
            return None;
        }
        let (element, own) = decode(self.bytes, start)?;
        if own != size {
            return None;
        }
        let range = start..self.back;
        self.back = start;
        Some(Item { element, range })
    }
}

impl<'a, const BACK: bool> Iterator for Items<'a, BACK> {
    type Item = Item<'a>;

    #[inline]
    fn next(&mut self) -> Option<Item<'a>> {
        if self.front >= self.back {
            return None;
        }
        let (element, size) = decode(self.bytes, self.front)?;
        let end = self.front + size + if BACK { back_len(size) } else { 0 };
        if end > self.back {
            return None;
        }
        let range = self.front..end;
        self.front = end;
        Some(Item { element, range })
    }
}

impl<'a> DoubleEndedIterator for Items<'a, true> {
    fn next_back(&mut self) -> Option<Item<'a>> {
        if self.back <= self.front {
            return None;
        }
        self.step_back()
    }
}
