//! Keepers: what single keys held at one moment, whatever becomes of them afterwards.
//!
//! The view of somebody who looks for some keys out of many. A view (`views.rs`) is shown a whole segment before the first
//! change in it; a keeper is told of one element before each change of that element, and keeps what it wants of it. A key
//! that a keeper was never told of is as it was when the keeper began. So a write costs what keeping one value costs, and
//! nothing but one branch without a keeper.

use super::Table;
use super::element::{Element, Slot};
use std::any::Any;

/// Who keeps something of elements that change. (`Any`, so that the owner gets her own type back from [`Table::keeper`].)
pub trait Keeper<E: Element>: Any + Send + Sync {
    /// The element of `key` is about to change or to go, or one is about to come, and there was none. Comes with every
    /// change, not with the first one only.
    fn keep(&mut self, key: &[u8], old: Option<&E>);
}

/// Names a living keeper of one table; never used twice.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct KeeperId(u64);

impl<E: Element> Table<E> {
    /// From now on `keeper` is told of changes.
    pub fn begin_keeping(&mut self, keeper: Box<dyn Keeper<E>>) -> KeeperId {
        self.clock += 1;
        let id = KeeperId(self.clock);
        self.keepers.push((id, keeper));
        id
    }

    /// A living keeper.
    pub fn keeper(&self, id: KeeperId) -> Option<&dyn Keeper<E>> {
        let (_, keeper) = self.keepers.iter().find(|(other, _)| *other == id)?;
        Some(&**keeper)
    }

    /// Ends a keeper, and returns it; `None` if it was ended before.
    pub fn end_keeping(&mut self, id: KeeperId) -> Option<Box<dyn Keeper<E>>> {
        let at = self.keepers.iter().position(|(other, _)| *other == id)?;
        Some(self.keepers.swap_remove(at).1)
    }

    /// Whether somebody has to know what the table held: there is a view or a keeper.
    #[must_use]
    pub fn is_looked_at(&self) -> bool {
        !self.views.is_empty() || !self.keepers.is_empty()
    }

    /// Must precede every change of an element.
    #[inline(always)]
    pub(super) fn before_change(&mut self, old: &E) {
        if !self.keepers.is_empty() {
            self.tell(old.key(), Some(old));
        }
    }

    /// Must precede the coming of an element.
    #[inline(always)]
    pub(super) fn before_insert(&mut self, slot: Slot) {
        if !self.keepers.is_empty() {
            // SAFETY: the slot has been made of a living element that is about to become this table's; this copy is only
            // read, and not dropped.
            let new = unsafe { slot.element::<E>() };
            self.tell(new.key(), None);
        }
    }

    #[cold]
    #[inline(never)]
    fn tell(&mut self, key: &[u8], old: Option<&E>) {
        for (_, keeper) in &mut self.keepers {
            keeper.keep(key, old);
        }
    }
}
