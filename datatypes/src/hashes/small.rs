//! Small hashes: all fields one after the other in one block of bytes inside the key's entry.
//!
//! ```text
//!  ┌───────┬───────┬───────┬───────┬─────
//!  │ count │ field │ field │ field │ ...                        no bytes at all: no fields
//!  └───────┴───────┴───────┴───────┴─────
//!  ┌───────┬───────┬───────┬──────────┬───────┬──────────┬─────
//!  │ count │ alarm │ field │ deadline │ field │ deadline │ ...   timed
//!  └───────┴───────┴───────┴──────────┴───────┴──────────┴─────
//!   of fields, u8; 255: that many or more, walk to know
//!
//!  field             a pair of name and value (`packed/pair.rs`)
//!  alarm, deadline   integer elements (`packed.rs`), Unix ms; 0 is none
//! ```
//!
//! As in all packed blocks, no bytes, however wrong, make a reader leave the block: it comes to an end instead.

use std::ops::Range;

use super::{FieldRef, FieldTtl};
use crate::packed::{self, Element, Needle, Pair, Storage};

/// Bytes of the count.
const HEAD: usize = 1;

/// A packed hash to be read.
#[derive(Clone, Copy)]
pub(super) struct Small<'a> {
    bytes: &'a [u8],
    timed: bool,
}

/// Where a field lies.
struct Place {
    /// All its bytes.
    whole: Range<usize>,
    /// Empty, at the end, in a block without deadlines.
    deadline: Range<usize>,
}

impl<'a> Small<'a> {
    #[inline]
    pub fn plain(bytes: &'a [u8]) -> Self {
        let timed = false;
        Self { bytes, timed }
    }

    #[inline]
    pub fn timed(bytes: &'a [u8]) -> Self {
        let timed = true;
        Self { bytes, timed }
    }

    pub fn is_timed(self) -> bool {
        self.timed
    }

    /// Where the first field begins.
    #[inline]
    fn start(self) -> usize {
        HEAD + self.alarm_place().len()
    }

    /// Empty in a block without deadlines.
    #[inline]
    fn alarm_place(self) -> Range<usize> {
        HEAD..HEAD + self.alarm_element().map_or(0, |(_, size)| size)
    }

    pub fn alarm(self) -> Option<u64> {
        deadline_of(self.alarm_element()?.0)
    }

    #[inline]
    fn alarm_element(self) -> Option<(Element<'a>, usize)> {
        if !self.timed {
            return None;
        }
        packed::decode(self.bytes, HEAD)
    }

    #[inline]
    pub fn len(self) -> usize {
        match self.bytes {
            [] => 0,
            [u8::MAX, ..] => self.iter().count(),
            [count, ..] => usize::from(*count),
        }
    }

    #[inline]
    pub fn iter(self) -> Fields<'a> {
        self.iter_from(self.start())
    }

    #[inline]
    fn iter_from(self, at: usize) -> Fields<'a> {
        Fields { block: self, at }
    }

    #[inline]
    pub fn get(self, name: &[u8]) -> Option<FieldRef<'a>> {
        Some(self.find(Element::of(name))?.0)
    }

    #[inline]
    fn find(self, name: Element<'_>) -> Option<(FieldRef<'a>, Place)> {
        let (needle, mut at) = (Needle::of(name), self.start());
        while !needle.begins(self.bytes.get(at..)?) {
            at = Pair::end(self.bytes, at)?;
            if self.timed {
                at += packed::size_at(self.bytes, at)?;
            }
        }
        self.iter_from(at).step()
    }

    /// The same fields in a block with room for deadlines.
    pub fn with_deadlines(self) -> Vec<u8> {
        let mut timed = SmallMut::timed(Vec::new());
        for FieldRef { name, value, .. } in self.iter() {
            timed.push(Pair { name, value }, None);
        }
        timed.storage
    }
}

/// Walks over a packed hash.
pub(super) struct Fields<'a> {
    block: Small<'a>,
    at: usize,
}

impl<'a> Fields<'a> {
    #[inline(always)]
    fn step(&mut self) -> Option<(FieldRef<'a>, Place)> {
        let (start, Small { bytes, timed }) = (self.at, self.block);
        let (Pair { name, value }, pair_end) = Pair::decode(bytes, start)?;
        let (deadline, end) = match timed {
            true => {
                let (element, size) = packed::decode(bytes, pair_end)?;
                (deadline_of(element), pair_end + size)
            }
            false => (None, pair_end),
        };
        self.at = end;
        let field = FieldRef {
            name,
            value,
            deadline,
        };
        let place = Place {
            whole: start..end,
            deadline: pair_end..end,
        };
        Some((field, place))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = FieldRef<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<FieldRef<'a>> {
        Some(self.step()?.0)
    }
}

/// What a block of so many fields begins with, if it is one.
fn head(count: usize) -> Option<[u8; HEAD]> {
    (count > 0).then(|| [u8::try_from(count).unwrap_or(u8::MAX)])
}

/// 0 stands for none: nothing expires in the first millisecond of 1970.
fn deadline_of(element: Element<'_>) -> Option<u64> {
    let Element::Int(ms) = element else {
        return None;
    };
    u64::try_from(ms).ok().filter(|ms| *ms > 0)
}

fn element_of(deadline: Option<u64>) -> Element<'static> {
    Element::Int(deadline.map_or(0, |ms| i64::try_from(ms.max(1)).unwrap_or(i64::MAX)))
}

/// A packed hash to be changed. Its limits are the caller's business.
pub(super) struct SmallMut<S> {
    storage: S,
    timed: bool,
}

impl<S: Storage> SmallMut<S> {
    pub fn plain(storage: S) -> Self {
        let timed = false;
        Self { storage, timed }
    }

    pub fn timed(storage: S) -> Self {
        let timed = true;
        Self { storage, timed }
    }

    #[inline]
    fn read(&self) -> Small<'_> {
        Small {
            bytes: self.storage.bytes(),
            timed: self.timed,
        }
    }

    /// Whether there was no such field, or one whose time was up.
    pub fn set(&mut self, name: &[u8], value: &[u8], ttl: FieldTtl, now_ms: u64) -> bool {
        let (name, value) = (Element::of(name), Element::of(value));
        let pair = Pair { name, value };
        let Some((old, place)) = self.read().find(name) else {
            self.push(pair, ttl.after(None));
            return true;
        };
        let live = old.is_live(now_ms);
        let deadline = ttl.after(old.deadline.filter(|_| live));
        let count = self.read().len();
        self.put(place.whole, count, pair, deadline);
        !live
    }

    /// Adds a field that is not there.
    fn push(&mut self, pair: Pair<'_>, deadline: Option<u64>) {
        let (end, count) = (self.storage.bytes().len(), self.read().len() + 1);
        self.put(end..end, count, pair, deadline);
    }

    /// Puts a field in the place of the bytes `range`, in a block that has `count` of them then. With the first one comes
    /// the alarm.
    fn put(&mut self, range: Range<usize>, count: usize, pair: Pair<'_>, deadline: Option<u64>) {
        let (timed, first) = (self.timed, self.storage.bytes().is_empty());
        let room = pair.room() + 2 * packed::HEAD_MAX;
        packed::exchange(&mut self.storage, range, head(count), room, |out| {
            let mut end = 0;
            if timed && first {
                end += element_of(None).write(out, false);
            }
            end += pair.write(&mut out[end..]);
            if timed {
                end += element_of(deadline).write(&mut out[end..], false);
            }
            end
        });
    }

    pub fn remove(&mut self, name: &[u8]) {
        if let Some((_, place)) = self.read().find(Element::of(name)) {
            self.remove_at(place.whole);
        }
    }

    /// Takes a field out; with the last one, all that is left.
    fn remove_at(&mut self, whole: Range<usize>) {
        let left = self.read().len().saturating_sub(1);
        packed::exchange(&mut self.storage, whole, head(left), 0, |_| 0);
    }

    pub fn set_deadline(&mut self, name: &[u8], deadline: Option<u64>) {
        if let Some((_, place)) = self.read().find(Element::of(name))
            && self.timed
        {
            self.set_time(place.deadline, deadline);
        }
    }

    pub fn set_alarm(&mut self, alarm: Option<u64>) {
        let place = self.read().alarm_place();
        if !place.is_empty() {
            self.set_time(place, alarm);
        }
    }

    fn set_time(&mut self, range: Range<usize>, ms: Option<u64>) {
        let mut element = [0; packed::HEAD_MAX];
        let size = element_of(ms).write(&mut element, false);
        self.storage.splice(range, &element[..size]);
    }

    pub fn expire(&mut self, now_ms: u64, budget: usize, mut gone: impl FnMut(u64)) {
        for _ in 0..budget {
            let mut fields = self.read().iter();
            let due = std::iter::from_fn(|| fields.step()).find_map(|(field, place)| {
                Some((field.deadline.filter(|at| *at <= now_ms)?, place))
            });
            let Some((deadline, place)) = due else {
                return;
            };
            self.remove_at(place.whole);
            gone(deadline);
        }
    }
}
