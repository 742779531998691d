//! Hashes in a packed block, with room for deadlines or without.

use std::ops::Range;

use super::{FieldRef, FieldTtl};
use crate::packed::{Edit, Element, Forward, Item, Items, Storage};

/// A packed hash to be read.
#[derive(Clone, Copy)]
pub(super) struct Small<'a> {
    block: Forward<'a>,
    timed: bool,
}

/// The places of a field's elements.
struct Place {
    name: Range<usize>,
    value: Range<usize>,
    /// Empty, at the value's end, in a block without deadlines.
    deadline: Range<usize>,
}

impl Place {
    fn whole(&self) -> Range<usize> {
        self.name.start..self.deadline.end
    }
}

impl<'a> Small<'a> {
    #[inline]
    pub fn plain(bytes: &'a [u8]) -> Self {
        let block = Forward::new(bytes);
        Self {
            block,
            timed: false,
        }
    }

    #[inline]
    pub fn timed(bytes: &'a [u8]) -> Self {
        let block = Forward::new(bytes);
        Self { block, timed: true }
    }

    pub fn is_timed(self) -> bool {
        self.timed
    }

    /// Elements that make a field.
    #[inline]
    fn step(self) -> usize {
        if self.timed { 3 } else { 2 }
    }

    /// Where the first field begins.
    #[inline]
    fn start(self) -> usize {
        let alarm = self.timed.then(|| self.block.first()).flatten();
        alarm.map_or(self.block.start(), |alarm| alarm.range.end)
    }

    #[inline]
    pub fn len(self) -> usize {
        self.block.len() / self.step()
    }

    #[inline]
    pub fn iter(self) -> Fields<'a> {
        Fields {
            items: self.block.iter_from(self.start()),
            timed: self.timed,
        }
    }

    #[inline]
    pub fn get(self, name: &[u8]) -> Option<FieldRef<'a>> {
        let found = self.block.find_from(self.start(), name, self.step())?;
        let items = self.block.iter_from(found.range.start);
        let timed = self.timed;
        Some(Fields { items, timed }.step()?.0)
    }

    fn find(self, name: &[u8]) -> Option<(FieldRef<'a>, Place)> {
        let found = self.block.find_from(self.start(), name, self.step())?;
        let items = self.block.iter_from(found.range.start);
        let timed = self.timed;
        Fields { items, timed }.step()
    }

    pub fn alarm(self) -> Option<u64> {
        let first = self.timed.then(|| self.block.first()).flatten()?;
        deadline_of(first.element)
    }

    /// The same fields in a block with room for deadlines.
    pub fn with_deadlines(self) -> Vec<u8> {
        let mut timed = SmallMut::timed(Vec::new());
        for field in self.iter() {
            timed.push(field.name, field.value, None);
        }
        timed.edit.storage()
    }
}

/// Walks over a packed hash.
pub(super) struct Fields<'a> {
    items: Items<'a, false>,
    timed: bool,
}

impl<'a> Fields<'a> {
    #[inline]
    fn step(&mut self) -> Option<(FieldRef<'a>, Place)> {
        let (name, value) = (self.items.next()?, self.items.next()?);
        let end = value.range.end;
        let deadline = if self.timed {
            self.items.next()?
        } else {
            let element = Element::Int(0);
            let range = end..end;
            Item { element, range }
        };
        let field = FieldRef {
            name: name.element,
            value: value.element,
            deadline: deadline_of(deadline.element),
        };
        let place = Place {
            name: name.range,
            value: value.range,
            deadline: deadline.range,
        };
        Some((field, place))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = FieldRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<FieldRef<'a>> {
        Some(self.step()?.0)
    }
}

/// 0 stands for none: nothing expires in the first millisecond of 1970.
fn deadline_of(element: Element<'_>) -> Option<u64> {
    let ms = element.int().unwrap_or(0);
    u64::try_from(ms).ok().filter(|ms| *ms > 0)
}

fn element_of(deadline: Option<u64>) -> Element<'static> {
    Element::Int(deadline.map_or(0, |ms| i64::try_from(ms.max(1)).unwrap_or(i64::MAX)))
}

/// A packed hash to be changed. Its limits are the caller's business.
pub(super) struct SmallMut<S> {
    edit: Edit<S, false>,
    timed: bool,
}

impl<S: Storage> SmallMut<S> {
    pub fn plain(storage: S) -> Self {
        let edit = Edit::new(storage);
        Self { edit, timed: false }
    }

    pub fn timed(storage: S) -> Self {
        let edit = Edit::new(storage);
        Self { edit, timed: true }
    }

    #[inline]
    fn read(&self) -> Small<'_> {
        Small {
            block: self.edit.read(),
            timed: self.timed,
        }
    }

    /// Whether there was no such field, or one whose time was up.
    pub fn set(&mut self, name: &[u8], value: &[u8], ttl: FieldTtl, now_ms: u64) -> bool {
        let value = Element::of(value);
        let Some((old, place)) = self.read().find(name) else {
            self.push(Element::of(name), value, ttl.after(None));
            return true;
        };
        let live = old.is_live(now_ms);
        let deadline = ttl.after(old.deadline.filter(|_| live));
        if self.timed {
            let range = place.value.start..place.deadline.end;
            self.edit.exchange(range, 2, &[value, element_of(deadline)]);
        } else {
            self.edit.replace(place.value, value);
        }
        !live
    }

    /// Adds a field that is not there.
    fn push(&mut self, name: Element<'_>, value: Element<'_>, deadline: Option<u64>) {
        if !self.timed {
            self.edit.push_back(&[name, value]);
            return;
        }
        if self.edit.read().is_empty() {
            self.edit.push_back(&[element_of(None)]);
        }
        self.edit.push_back(&[name, value, element_of(deadline)]);
    }

    pub fn remove(&mut self, name: &[u8]) {
        if let Some((_, place)) = self.read().find(name) {
            self.remove_at(place.whole());
        }
    }

    /// Takes a field out; with the last one, all that is left.
    fn remove_at(&mut self, whole: Range<usize>) {
        let block = self.read();
        match block.len() {
            1 => {
                let all = block.block.start()..block.block.total_bytes();
                let count = block.block.len();
                self.edit.remove(all, count);
            }
            _ => {
                let step = block.step();
                self.edit.remove(whole, step);
            }
        }
    }

    pub fn set_deadline(&mut self, name: &[u8], deadline: Option<u64>) {
        if let Some((_, place)) = self.read().find(name)
            && self.timed
        {
            self.edit.replace(place.deadline, element_of(deadline));
        }
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
            self.remove_at(place.whole());
            gone(deadline);
        }
    }

    pub fn set_alarm(&mut self, alarm: Option<u64>) {
        if let Some(first) = self.edit.read().first() {
            let range = first.range;
            self.edit.replace(range, element_of(alarm));
        }
    }
}
