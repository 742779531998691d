//! What a table holds: owned thin pointers, packed with an access hint into the eight bytes of a slot.
//!
//! ```text
//!  bit 63        48 47                              3 2    0
//!     ┌────────────┬──────────────────────────────────┬──────┐
//!     │ hint (16)  │ address of the element           │ away │   away = buckets between home and here
//!     └────────────┴──────────────────────────────────┴──────┘
//! ```
//! The address is a multiple of 8 below 2^48, so its own low and high bits are free. The hint belongs to the
//! consumer (LRU or LFU bits): it is read and written without touching the element's memory.

use crate::hash::{self, Seed};
use crate::raw::prefetch::prefetch;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};

const HINT_SHIFT: u32 = 48;
const AWAY: u64 = 0b111;
const ADDRESS: u64 = (1 << HINT_SHIFT) - 1 - AWAY;

/// An owned pointer that a table can hold: `E` is this pointer and nothing else.
///
/// # Safety
/// 1. `into_raw` returns a multiple of 8 below 2^48, and `from_raw` turns it back into the same element.
/// 2. Bitwise copies of an element may exist side by side as long as only one of them is dropped, and none is
///    read while another is borrowed mutably. (So it wraps a `NonNull`, not a `Box`.)
/// 3. What `key` returns lives behind the pointer, so moving the element does not move the key.
/// 4. A shared borrow never changes what `into_raw` would return.
pub unsafe trait Element: Sized + 'static {
    /// Gives up ownership for the bare address.
    fn into_raw(self) -> NonNull<u8>;

    /// Takes the element back.
    ///
    /// # Safety
    /// `raw` came from `into_raw` of this type, and of all elements made from it at most one is dropped.
    unsafe fn from_raw(raw: NonNull<u8>) -> Self;

    /// The bytes that the element is found by; they never change while it is in a table.
    fn key(&self) -> &[u8];

    /// The hash of the key, for a table that moves the element. An element that remembers its hash may say so.
    #[inline]
    fn hash(&self, seed: &Seed) -> u64 {
        hash::hash(seed, self.key())
    }
}

/// One element and its hint, as drawn above.
#[derive(Clone, Copy)]
pub(super) struct Slot(u64);

impl Slot {
    #[inline]
    pub(super) fn new<E: Element>(element: E, hint: u16) -> Self {
        Self(u64::from(hint) << HINT_SHIFT | Self::address_bits(element))
    }

    #[inline]
    fn address_bits<E: Element>(element: E) -> u64 {
        let address = element.into_raw().as_ptr().expose_provenance() as u64;
        assert!(
            address & !ADDRESS == 0,
            "an element's address breaks the contract of `Element`"
        );
        address
    }

    #[inline(always)]
    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    #[inline(always)]
    pub(super) fn bits(self) -> u64 {
        self.0
    }

    /// A bitwise copy of the element; the table stays the owner unless the caller has taken the slot out.
    ///
    /// # Safety
    /// The slot was made from an `E` that is still alive, and the rules of [`Element`] about copies are kept.
    #[inline(always)]
    pub(super) unsafe fn element<E: Element>(self) -> ManuallyDrop<E> {
        let address = ptr::with_exposed_provenance_mut::<u8>((self.0 & ADDRESS) as usize);
        // SAFETY: 1. the address came from a `NonNull`, so it is not null; 2. it came from `E::into_raw`, and
        // `ManuallyDrop` keeps this copy from being dropped (caller's obligation).
        unsafe { ManuallyDrop::new(E::from_raw(NonNull::new_unchecked(address))) }
    }

    /// The same slot for an element that has moved in memory.
    #[inline]
    pub(super) fn with_element<E: Element>(self, element: E) -> Self {
        Self(self.0 & !ADDRESS | Self::address_bits(element))
    }

    #[inline(always)]
    pub(super) fn hint(self) -> u16 {
        (self.0 >> HINT_SHIFT) as u16
    }

    #[inline(always)]
    pub(super) fn with_hint(self, hint: u16) -> Self {
        Self(self.0 & (ADDRESS | AWAY) | u64::from(hint) << HINT_SHIFT)
    }

    /// Buckets between the element's home and where it is.
    #[inline(always)]
    pub(super) fn away(self) -> usize {
        (self.0 & AWAY) as usize
    }

    #[inline(always)]
    pub(super) fn with_away(self, away: usize) -> Self {
        debug_assert!(away as u64 <= AWAY);
        Self(self.0 & !AWAY | away as u64 & AWAY)
    }

    #[inline(always)]
    pub(super) fn prefetch(self) {
        // A key and a short value are two cache lines; the processor's own prefetchers do not see the second coming.
        let start = ptr::without_provenance::<u8>((self.0 & ADDRESS) as usize);
        prefetch(start);
        prefetch(start.wrapping_add(64));
    }
}

/// A value that knows its key, for use with [`Owned`].
pub trait Keyed: 'static {
    /// The bytes that the value is found by.
    fn key(&self) -> &[u8];

    /// See [`Element::hash`].
    #[inline]
    fn hash(&self, seed: &Seed) -> u64 {
        hash::hash(seed, self.key())
    }
}

/// The plain element: any Rust value in an allocation of its own.
pub struct Owned<T> {
    cell: NonNull<Aligned<T>>,
    owns: PhantomData<T>,
}

/// Brings small types up to the alignment that [`Element`] promises.
#[repr(align(8))]
struct Aligned<T>(T);

impl<T> Owned<T> {
    /// Moves `value` to the heap.
    pub fn new(value: T) -> Self {
        let cell = NonNull::from(Box::leak(Box::new(Aligned(value))));
        Self {
            cell,
            owns: PhantomData,
        }
    }
}

impl<T: Clone> Clone for Owned<T> {
    fn clone(&self) -> Self {
        Self::new(T::clone(self))
    }
}

// SAFETY: an `Owned<T>` owns its `T` as a `Box<T>` does.
unsafe impl<T: Send> Send for Owned<T> {}
// SAFETY: a shared `Owned<T>` gives out nothing but `&T`.
unsafe impl<T: Sync> Sync for Owned<T> {}

impl<T> Deref for Owned<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `cell` came from a `Box` that only `Drop` takes back.
        unsafe { &self.cell.as_ref().0 }
    }
}

impl<T> DerefMut for Owned<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; `&mut self` is the only access by rule 2 of `Element`.
        unsafe { &mut self.cell.as_mut().0 }
    }
}

impl<T> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: `cell` came from `Box::leak`, and of all bitwise copies only one is dropped.
        drop(unsafe { Box::from_raw(self.cell.as_ptr()) });
    }
}

// SAFETY: 1. a Box of an 8-aligned type has such an address, below 2^47 in user space; 2. nothing but a `NonNull`
// is copied; 3. key and value live in the box; 4. only `&mut` reaches `cell`.
unsafe impl<T: Keyed> Element for Owned<T> {
    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        ManuallyDrop::new(self).cell.cast()
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Self {
        Self {
            cell: raw.cast(),
            owns: PhantomData,
        }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        T::key(self)
    }

    #[inline]
    fn hash(&self, seed: &Seed) -> u64 {
        T::hash(self, seed)
    }
}
