//! What a lookup returns. A slot is not an `E` in memory (its bits carry more than the pointer), so each guard
//! holds a bitwise copy of the element that is never dropped; writes go back into the slot.

use super::Table;
use super::element::{Element, Slot};
use super::segment::{Place, Segment};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};

/// A shared borrow of an element, with its access hint.
pub struct Ref<'a, E: Element> {
    element: ManuallyDrop<E>,
    hint: u16,
    table: PhantomData<&'a E>,
}

impl<'a, E: Element> Ref<'a, E> {
    /// `slot` belongs to a table that is borrowed for the lifetime of the result.
    #[inline(always)]
    pub(super) fn new(slot: Slot) -> Self {
        // SAFETY: callers in this module tie the lifetime to a borrow of the table, which keeps the element alive
        // and unmodified.
        let element = unsafe { slot.element() };
        Self {
            element,
            hint: slot.hint(),
            table: PhantomData,
        }
    }

    /// The element's key, for as long as the table is borrowed.
    #[inline]
    #[must_use]
    pub fn into_key(self) -> &'a [u8] {
        let key = NonNull::from(self.element.key());
        // SAFETY: the key lives behind the element's pointer (rule 3 of `Element`), and the table, which keeps the
        // element alive and unmodified, is borrowed for 'a.
        unsafe { key.as_ref() }
    }

    /// The 16 bits beside the pointer; reading them does not touch the element's memory.
    #[inline]
    #[must_use]
    pub fn hint(&self) -> u16 {
        self.hint
    }
}

impl<E: Element> Deref for Ref<'_, E> {
    type Target = E;

    #[inline]
    fn deref(&self) -> &E {
        &self.element
    }
}

/// The place of a key that is in the table.
pub struct Occupied<'a, E: Element> {
    table: &'a mut Table<E>,
    segment: Segment,
    place: Place,
    hash: u64,
    element: ManuallyDrop<E>,
}

impl<'a, E: Element> Occupied<'a, E> {
    #[inline(always)]
    pub(super) fn new(table: &'a mut Table<E>, segment: Segment, place: Place, hash: u64) -> Self {
        // SAFETY: the place was just found in this table, which is borrowed exclusively for 'a.
        let element = unsafe { place.slot().element() };
        Self {
            table,
            segment,
            place,
            hash,
            element,
        }
    }

    /// The element.
    #[inline]
    #[must_use]
    pub fn get(&self) -> &E {
        &self.element
    }

    /// The element, for as long as the table was borrowed.
    #[inline]
    #[must_use]
    pub fn into_ref(self) -> Ref<'a, E> {
        Ref::new(self.place.slot())
    }

    /// The 16 bits beside the pointer.
    #[inline]
    #[must_use]
    pub fn hint(&self) -> u16 {
        self.place.slot().hint()
    }

    /// Sets the hint. This does not count as a write: views do not look.
    #[inline]
    pub fn set_hint(&mut self, hint: u16) {
        self.place.set_slot(self.place.slot().with_hint(hint));
    }

    /// Changes the element, which may move to another address meanwhile. Its key must stay the same.
    #[inline]
    pub fn update<R>(&mut self, change: impl FnOnce(&mut E) -> R) -> R {
        self.table.before_write(self.segment);
        self.table.before_change(&self.element);
        let guard = WriteBack {
            place: self.place,
            element: &mut self.element,
        };
        change(guard.element)
    }

    /// Exchanges the element for another one with the same key; the hint stays.
    #[inline]
    pub fn replace(&mut self, element: E) -> E {
        self.update(|old| std::mem::replace(old, element))
    }

    /// Takes the element out of the table.
    #[inline]
    pub fn remove(self) -> E {
        self.table.before_write(self.segment);
        self.table.before_change(&self.element);
        self.table.take(self.segment, self.place, self.hash);
        ManuallyDrop::into_inner(self.element)
    }
}

/// Puts the element's address back into its slot, even if the change panics half-way.
struct WriteBack<'a, E: Element> {
    place: Place,
    element: &'a mut ManuallyDrop<E>,
}

impl<E: Element> Drop for WriteBack<'_, E> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: a bitwise copy by rule 2 of `Element`; `with_element` consumes it without dropping it.
        let copy = unsafe { ptr::read(&raw const **self.element) };
        self.place.set_slot(self.place.slot().with_element(copy));
    }
}

/// The place of a key that is not in the table.
pub struct Vacant<'a, E: Element> {
    table: &'a mut Table<E>,
    hash: u64,
}

impl<'a, E: Element> Vacant<'a, E> {
    #[inline(always)]
    pub(super) fn new(table: &'a mut Table<E>, hash: u64) -> Self {
        Self { table, hash }
    }

    /// Inserts an element with the key that was looked up.
    #[inline]
    pub fn insert(self, element: E, hint: u16) -> Occupied<'a, E> {
        let (segment, place) = self.table.insert_slot(self.hash, Slot::new(element, hint));
        Occupied::new(self.table, segment, place, self.hash)
    }
}

/// The outcome of [`Table::entry`].
pub enum Entry<'a, E: Element> {
    /// The key is in the table.
    Occupied(Occupied<'a, E>),
    /// It is not.
    Vacant(Vacant<'a, E>),
}
