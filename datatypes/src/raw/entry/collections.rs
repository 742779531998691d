//! Entries that hold collections: packed blocks inside the entry, or a reference to a [`Large`] one.
//!
//! What the bytes of a packed block mean is the business of the type's own module; here they are bytes that can be
//! spliced, and turn into a large collection when that module finds them too many.

use std::mem::ManuallyDrop;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::block::Block;
use super::{Entry, Form, StringRef, Type};
use crate::collection::{Collection, Large};
use crate::packed::Storage;
use crate::raw::table::Ref;

/// What an entry holds.
pub enum Held<'a> {
    String(StringRef<'a>),
    /// A small collection in its type's packed block.
    Packed(&'a [u8]),
    /// The same of a hash whose fields have deadlines.
    PackedEx(&'a [u8]),
    /// A small set of integers.
    Ints(&'a [u8]),
    Large(&'a Collection),
}

impl Entry {
    /// A small collection of type `kind`, whose packed block is `bytes`; an empty one, from which the first change has to
    /// make something, is an empty block.
    pub fn packed(kind: Type, key: &[u8], bytes: &[u8], deadline_ms: Option<u64>) -> Entry {
        let tag = Form::Packed.tag_of(kind);
        Entry {
            block: Block::new(tag, deadline_ms, key, bytes),
        }
    }

    /// A large collection.
    pub fn large(key: &[u8], large: Arc<Large>, deadline_ms: Option<u64>) -> Entry {
        let tag = Form::Large.tag_of(large.body.kind());
        Entry {
            block: Block::new(tag, deadline_ms, key, &disown(large)),
        }
    }

    #[inline]
    pub fn held(&self) -> Held<'_> {
        match self.form() {
            Form::Packed => Held::Packed(self.block.payload()),
            Form::PackedEx => Held::PackedEx(self.block.payload()),
            Form::Ints => Held::Ints(self.block.payload()),
            // SAFETY: the entry holds a reference, and lends the collection no longer than itself is borrowed.
            Form::Large => Held::Large(unsafe { &(*self.large_at()).body }),
            Form::Int | Form::Embstr | Form::Raw | Form::Blob => Held::String(self.string()),
        }
    }

    /// Whether it holds a collection without elements, which must not be kept. A packed block without elements has to be
    /// left without bytes.
    #[inline]
    pub fn is_empty_collection(&self) -> bool {
        match self.held() {
            Held::String(_) => false,
            Held::Packed(bytes) | Held::PackedEx(bytes) | Held::Ints(bytes) => bytes.is_empty(),
            Held::Large(body) => body.is_empty(),
        }
    }

    /// The bytes of a collection inside the entry, to be changed.
    ///
    /// # Panics
    /// If the value is not inside the entry.
    #[inline]
    pub fn packed_mut(&mut self) -> PackedMut<'_> {
        let inside = matches!(self.form(), Form::Packed | Form::PackedEx | Form::Ints);
        assert!(inside, "only a packed block can be spliced");
        PackedMut {
            block: &mut self.block,
        }
    }

    /// The large collection, to be changed; `None` if the value is something else, or if somebody reads it.
    #[inline]
    pub fn large_mut(&mut self) -> Option<&mut Collection> {
        if self.form() != Form::Large || self.is_shared() {
            return None;
        }
        // SAFETY: the entry's reference is the only one, and the borrow of `self` keeps it that way.
        Some(unsafe { &mut (*self.large_at().cast_mut()).body })
    }

    /// Another reference to a large collection.
    pub fn share(&self) -> Option<Arc<Large>> {
        (self.form() == Form::Large).then(|| Arc::clone(&self.borrow_large()))
    }

    /// Whether it holds a large collection: only one of these can be read in slices, however many elements the limits
    /// let a packed one have.
    #[inline]
    pub fn is_large(&self) -> bool {
        self.form() == Form::Large
    }

    /// Whether somebody reads the large collection that it holds.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.form() == Form::Large && Arc::get_mut(&mut self.borrow_large()).is_none()
    }

    /// Whether a copy costs little: what is small is copied at once, a long string is shared, and so are a list's chunks.
    pub fn is_cheap_to_copy(&self) -> bool {
        match self.held() {
            Held::Large(body) => matches!(body, Collection::List(_)),
            _ => true,
        }
    }

    /// Says that somebody waits to change a large collection.
    pub fn want(&self, now_ms: i64) {
        if self.form() == Form::Large {
            self.borrow_large().want(now_ms);
        }
    }

    /// Exchanges a large collection that somebody reads for a copy.
    pub fn unshare(&mut self) {
        if self.is_shared() {
            let copy = Arc::new(self.borrow_large().copy());
            self.put_large(copy);
        }
    }

    /// Takes a large collection out and leaves an empty packed block.
    pub fn take_large(&mut self) -> Option<Arc<Large>> {
        let large = self.share()?;
        self.set_packed(&[]);
        Some(large)
    }

    /// Another packed block for the same type of collection; key and deadline stay.
    pub fn set_packed(&mut self, bytes: &[u8]) {
        self.put(Form::Packed, bytes);
    }

    /// The same for a hash whose fields have deadlines.
    pub fn set_packed_ex(&mut self, bytes: &[u8]) {
        self.put(Form::PackedEx, bytes);
    }

    /// The same for a small set of integers.
    pub fn set_ints(&mut self, bytes: &[u8]) {
        self.put(Form::Ints, bytes);
    }

    /// The same type of collection in its large form; key and deadline stay.
    pub fn set_large(&mut self, body: Collection) {
        assert!(body.kind() == self.kind(), "a collection stays of its type");
        self.put_large(Arc::new(Large::new(body)));
    }

    fn put_large(&mut self, large: Arc<Large>) {
        self.put(Form::Large, &disown(large));
    }

    fn put(&mut self, form: Form, payload: &[u8]) {
        let tag = form.tag_of(self.kind());
        self.let_go();
        let rearm = self.rearm();
        self.block = Block::new(tag, self.deadline(), self.block.key(), payload);
        self.block.set_rearm(rearm);
    }

    /// Where the large collection of an entry in that form is.
    fn large_at(&self) -> *const Large {
        debug_assert!(self.form() == Form::Large);
        ptr::with_exposed_provenance(self.word() as usize)
    }

    /// The entry's own reference, to be looked at.
    pub(super) fn borrow_large(&self) -> ManuallyDrop<Arc<Large>> {
        assert!(
            self.form() == Form::Large,
            "only this form holds an address"
        );
        // SAFETY: `disown` made the address of a reference that the entry still holds; not dropping this one keeps it.
        ManuallyDrop::new(unsafe { Arc::from_raw(self.large_at()) })
    }
}

impl<'a> Ref<'a, Entry> {
    /// The large collection that the entry holds, for as long as the table is borrowed.
    #[inline]
    pub fn into_large(self) -> Option<&'a Collection> {
        let Held::Large(collection) = self.held() else {
            return None;
        };
        let collection = NonNull::from(collection);
        // SAFETY: the entry refers to the collection, and the table, which keeps the entry alive and unmodified, is
        // borrowed for 'a.
        Some(unsafe { collection.as_ref() })
    }
}

/// Turns a reference into the address that stands for it in a payload.
fn disown(large: Arc<Large>) -> [u8; 8] {
    (Arc::into_raw(large).expose_provenance() as u64).to_ne_bytes()
}

/// The packed block inside an entry. It can be shared by nobody else.
pub struct PackedMut<'a> {
    block: &'a mut Block,
}

impl Storage for PackedMut<'_> {
    fn bytes(&self) -> &[u8] {
        self.block.payload()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self.block.payload_mut()
    }

    fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        self.block.splice(range, with);
    }
}
