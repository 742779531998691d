//! One key with its value in one allocation: what the keyspace table's slots point to.
//!
//! Five million keys are five million of these, so every byte counts: 16 bytes of key and 32 of value take 56 bytes, 64
//! with a deadline. A lookup touches the cache line that holds header and key, and has the value with it. What is large
//! (`Blob`, from [`BLOB_MIN`] bytes) lies outside, counted, so that a reply may outlive the command. `block` draws
//! the bytes.
//!
//! An entry never knows where in the table it is, and never reads a clock: a deadline is a number to it. Deadlines are
//! `u64`, absolute Unix time in milliseconds; an instant before 1970 is simply past, and callers make it 0.
//!
//! The encoding is stored, not derived: `APPEND` leaves `raw` however short the result, as clients of Redis expect.

mod block;
mod collections;

use std::fmt;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use self::block::Block;
pub use self::collections::{Held, PackedMut};
use crate::blob::{BLOB_MIN, Blob};
use crate::collection::Large;
use crate::numbers::parse_i64;
use crate::raw::table::Element;

/// Longest string that Redis embeds in its object, hence the longest that reports `embstr`.
pub const EMBSTR_MAX: usize = 44;

/// A key's type as `TYPE` names it; the low half of an entry's tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Type {
    String,
    List,
    Set,
    Zset,
    Hash,
    Stream,
}

impl Type {
    const ALL: [Type; 6] = [
        Type::String,
        Type::List,
        Type::Set,
        Type::Zset,
        Type::Hash,
        Type::Stream,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Type::String => "string",
            Type::List => "list",
            Type::Set => "set",
            Type::Zset => "zset",
            Type::Hash => "hash",
            Type::Stream => "stream",
        }
    }
}

/// How a value is held, as `OBJECT ENCODING` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Int,
    Embstr,
    Raw,
    Listpack,
    /// A listpack of fields with deadlines.
    ListpackEx,
    Intset,
    Hashtable,
    Quicklist,
    Skiplist,
}

impl Encoding {
    pub fn name(self) -> &'static str {
        match self {
            Encoding::Int => "int",
            Encoding::Embstr => "embstr",
            Encoding::Raw => "raw",
            Encoding::Listpack => "listpack",
            Encoding::ListpackEx => "listpackex",
            Encoding::Intset => "intset",
            Encoding::Hashtable => "hashtable",
            Encoding::Quicklist => "quicklist",
            Encoding::Skiplist => "skiplist",
        }
    }
}

/// What the payload's bytes are; the high half of an entry's tag.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Form {
    /// 8 bytes: an `i64`.
    Int,
    /// The string itself, at most [`EMBSTR_MAX`] bytes, never changed in place.
    Embstr,
    /// The string itself, below [`BLOB_MIN`] bytes.
    Raw,
    /// 8 bytes: the address that `Arc::into_raw` gave for a [`Blob`], one reference of which is the entry's.
    Blob,
    /// A small collection, in its type's packed block.
    Packed,
    /// The same of a hash whose fields have deadlines.
    PackedEx,
    /// A small set of integers.
    Ints,
    /// 8 bytes: the address that `Arc::into_raw` gave for a [`Large`], one reference of which is the entry's.
    Large,
}

impl Form {
    const ALL: [Form; 8] = [
        Form::Int,
        Form::Embstr,
        Form::Raw,
        Form::Blob,
        Form::Packed,
        Form::PackedEx,
        Form::Ints,
        Form::Large,
    ];

    /// The tag of a string in this form.
    fn tag(self) -> u8 {
        self.tag_of(Type::String)
    }

    fn tag_of(self, kind: Type) -> u8 {
        (self as u8) << 4 | kind as u8
    }
}

/// A string value on its way into an entry.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    Int(i64),
    /// At most [`EMBSTR_MAX`] bytes.
    Embstr(&'a [u8]),
    /// Becomes a blob from [`BLOB_MIN`] bytes.
    Raw(&'a [u8]),
    Blob(Blob),
}

impl<'a> Value<'a> {
    /// What `SET` makes of its argument: an integer if the text is exactly how one is printed, else by length.
    pub fn of(text: &'a [u8]) -> Value<'a> {
        match parse_i64(text) {
            Some(number) => Value::Int(number),
            None => Value::text(text),
        }
    }

    /// By length only: what `INCRBYFLOAT` leaves is text although it looks like a number.
    pub fn text(text: &'a [u8]) -> Value<'a> {
        if text.len() <= EMBSTR_MAX {
            Value::Embstr(text)
        } else {
            Value::Raw(text)
        }
    }

    /// Hands the form and the payload bytes to `store`, which takes over a blob's reference with its address.
    fn lower<R>(self, store: impl FnOnce(Form, &[u8]) -> R) -> R {
        match self {
            Value::Int(number) => store(Form::Int, &number.to_ne_bytes()),
            Value::Embstr(text) => {
                assert!(text.len() <= EMBSTR_MAX, "embstr ends at 44 bytes");
                store(Form::Embstr, text)
            }
            Value::Raw(text) if text.len() < BLOB_MIN => store(Form::Raw, text),
            Value::Raw(text) => store(Form::Blob, &disown(Arc::new(text.to_vec()))),
            Value::Blob(blob) => store(Form::Blob, &disown(blob)),
        }
    }
}

/// A string value as a reader sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StringRef<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

/// A key, its value, and its deadline if it has one: a pointer of 8 bytes to all of it.
pub struct Entry {
    block: Block,
}

const _: () = assert!(size_of::<Option<Entry>>() == 8);

impl Entry {
    pub fn new(key: &[u8], value: Value<'_>, deadline_ms: Option<u64>) -> Entry {
        value.lower(|form, payload| Entry {
            block: Block::new(form.tag(), deadline_ms, key, payload),
        })
    }

    #[inline]
    pub fn key(&self) -> &[u8] {
        self.block.key()
    }

    pub fn kind(&self) -> Type {
        Type::ALL[usize::from(self.block.tag() & 15)]
    }

    #[inline]
    fn form(&self) -> Form {
        Form::ALL[usize::from(self.block.tag() >> 4)]
    }

    pub fn encoding(&self) -> Encoding {
        match self.form() {
            Form::Int => Encoding::Int,
            Form::Embstr => Encoding::Embstr,
            Form::Raw | Form::Blob => Encoding::Raw,
            Form::Packed => Encoding::Listpack,
            Form::PackedEx => Encoding::ListpackEx,
            Form::Ints => Encoding::Intset,
            Form::Large => self.borrow_large().body.encoding(),
        }
    }

    /// The value of a string.
    ///
    /// # Panics
    /// If the entry is not a string.
    #[inline]
    pub fn string(&self) -> StringRef<'_> {
        match self.form() {
            Form::Int => StringRef::Int(self.word() as i64),
            Form::Embstr | Form::Raw => StringRef::Bytes(self.block.payload()),
            // SAFETY: the entry holds a reference, and lends the bytes no longer than itself is borrowed.
            Form::Blob => StringRef::Bytes(unsafe { &*self.blob_at() }),
            Form::Packed | Form::PackedEx | Form::Ints | Form::Large => not_a_string(),
        }
    }

    /// Bytes of the value as text.
    pub fn string_len(&self) -> usize {
        match self.string() {
            StringRef::Int(number) => itoa::Buffer::new().format(number).len(),
            StringRef::Bytes(bytes) => bytes.len(),
        }
    }

    /// Another reference to a value that lies outside the entry.
    pub fn blob(&self) -> Option<Blob> {
        (self.form() == Form::Blob).then(|| Blob::clone(&self.borrow_blob()))
    }

    /// Another reference to a value of at least `min_len` bytes, and of [`BLOB_MIN`].
    #[inline]
    pub fn large_blob(&self, min_len: usize) -> Option<Blob> {
        if self.form() != Form::Blob {
            return None;
        }
        self.blob().filter(|blob| blob.len() >= min_len)
    }

    /// Whether it holds a value of at least `min_len` bytes outside the entry that somebody reads in slices.
    pub fn is_being_read(&self, min_len: usize) -> bool {
        self.form() == Form::Blob && {
            let blob = self.borrow_blob();
            // Nothing else holds weak references to a blob.
            Arc::weak_count(&blob) > 0 && blob.len() >= min_len
        }
    }

    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        self.block.deadline()
    }

    /// Allocates anew when a deadline comes or goes; going takes the re-arm flag with it.
    pub fn set_deadline(&mut self, deadline_ms: Option<u64>) {
        match (self.deadline(), deadline_ms) {
            (Some(_), Some(later)) => self.block.move_deadline(later),
            (None, None) => {}
            _ => {
                self.block = self.transplant(self.key(), deadline_ms);
            }
        }
    }

    /// Set while the expiry index still holds this key under an earlier deadline: when that item fires, the key is
    /// filed again under its real one instead of expiring.
    pub fn rearm(&self) -> bool {
        self.block.rearm()
    }

    pub fn set_rearm(&mut self, on: bool) {
        self.block.set_rearm(on);
    }

    /// Another value under the same key and deadline.
    pub fn set_string(&mut self, value: Value<'_>) {
        self.replace(value, self.deadline());
    }

    /// Another value and deadline, as `SET` asks for; in place if both are of a size with the old ones. The re-arm flag
    /// stays as long as there is a deadline.
    pub fn replace(&mut self, value: Value<'_>, deadline_ms: Option<u64>) {
        self.let_go();
        value.lower(|form, payload| {
            if self.deadline().is_some() == deadline_ms.is_some()
                && self.block.overwrite(form.tag(), payload)
            {
                self.set_deadline(deadline_ms);
                return;
            }
            let rearm = self.rearm() && deadline_ms.is_some();
            self.block = Block::new(form.tag(), deadline_ms, self.block.key(), payload);
            self.block.set_rearm(rearm);
        });
    }

    #[inline]
    pub fn set_int(&mut self, number: i64) {
        if self.form() == Form::Int {
            self.block
                .payload_mut()
                .copy_from_slice(&number.to_ne_bytes());
        } else {
            self.set_string(Value::Int(number));
        }
    }

    /// Adds to the end and answers the new length.
    pub fn append(&mut self, tail: &[u8]) -> usize {
        self.set_range(self.string_len(), tail)
    }

    /// Overwrites from `offset` on, zeros between the old end and there, and answers the new length.
    pub fn set_range(&mut self, offset: usize, bytes: &[u8]) -> usize {
        let all = self.bytes_mut(offset + bytes.len());
        all[offset..offset + bytes.len()].copy_from_slice(bytes);
        all.len()
    }

    /// The whole string to be written to, at least `min_len` bytes of it: zeros are added at the end. An integer turns
    /// into its text, a shared blob into a copy, and the encoding is `raw` from here on. Callers refuse lengths beyond
    /// `proto-max-bulk-len` before they come here.
    pub fn bytes_mut(&mut self, min_len: usize) -> &mut [u8] {
        if let StringRef::Int(number) = self.string() {
            self.set_string(Value::Raw(itoa::Buffer::new().format(number).as_bytes()));
        }
        if self.form() == Form::Blob || min_len >= BLOB_MIN {
            return self.blob_mut(min_len);
        }
        self.block.set_tag(Form::Raw.tag());
        self.block.grow(min_len.max(self.block.payload().len()));
        self.block.payload_mut()
    }

    /// A blob of at least `min_len` bytes that nobody else holds, made of whatever bytes are there.
    fn blob_mut(&mut self, min_len: usize) -> &mut Vec<u8> {
        let mine = self.form() == Form::Blob && Arc::get_mut(&mut self.borrow_blob()).is_some();
        let StringRef::Bytes(old) = self.string() else {
            unreachable!("an integer has been turned into text")
        };
        // New pages come as zeros for free; writing 512 MiB of them would hold up everybody.
        if !mine || min_len / 2 > old.len() {
            let length = min_len.max(old.len());
            // What was nothing before may never grow again.
            let room = if old.is_empty() {
                length
            } else {
                room_for(length)
            };
            let mut copy = vec![0; room];
            copy[..old.len()].copy_from_slice(old);
            copy.truncate(length);
            self.set_string(Value::Blob(Arc::new(copy)));
        }
        // SAFETY: the entry's reference is the only one: it was found so, or the blob was made here. The borrow of
        // `self` keeps it that way.
        let blob = unsafe { &mut *self.blob_at().cast_mut() };
        if min_len > blob.len() {
            if min_len > blob.capacity() {
                blob.reserve_exact(room_for(min_len) - blob.len());
            }
            blob.resize(min_len, 0);
        }
        blob
    }

    /// Allocated bytes, a blob's included even if it is shared.
    pub fn memory_usage(&self) -> usize {
        /// The two counters of an `Arc` and the vector in it.
        const BLOB_HEAD: usize = 2 * size_of::<usize>() + size_of::<Vec<u8>>();
        let outside = match self.form() {
            Form::Blob => BLOB_HEAD + self.borrow_blob().capacity(),
            Form::Large => size_of::<Large>() + self.borrow_large().body.memory_usage(),
            _ => 0,
        };
        self.block.size() + outside
    }

    /// The same value and deadline under another key, not re-armed: the expiry index knows nothing of that key yet.
    pub fn rename(mut self, key: &[u8]) -> Entry {
        self.block = self.transplant(key, self.deadline());
        self
    }

    /// A copy of value and deadline under another key; a blob is shared until one of the two is written to, a large
    /// collection is copied.
    pub fn duplicate(&self, key: &[u8]) -> Entry {
        if self.form() == Form::Large {
            return Entry::large(key, Arc::new(self.borrow_large().copy()), self.deadline());
        }
        let block = self.transplant(key, self.deadline());
        if self.form() == Form::Blob {
            // SAFETY: the address is of an `Arc` that `self` holds; the new block becomes the owner of the added count.
            unsafe { Arc::increment_strong_count(self.blob_at()) };
        }
        Entry { block }
    }

    /// A block with the same payload bytes under another key or deadline. If they are an address, what is there belongs
    /// to the new block where it takes the old one's place, and must be counted once more where both stay.
    fn transplant(&self, key: &[u8], deadline_ms: Option<u64>) -> Block {
        Block::new(self.block.tag(), deadline_ms, key, self.block.payload())
    }

    /// The payload of the forms that are 8 bytes.
    #[inline]
    fn word(&self) -> u64 {
        u64::from_ne_bytes(
            self.block
                .payload()
                .try_into()
                .expect("this form's payload is 8 bytes"),
        )
    }

    /// Where the blob of an entry in that form is.
    fn blob_at(&self) -> *const Vec<u8> {
        debug_assert!(self.form() == Form::Blob);
        ptr::with_exposed_provenance(self.word() as usize)
    }

    /// The entry's own reference, to be looked at.
    fn borrow_blob(&self) -> ManuallyDrop<Blob> {
        assert!(self.form() == Form::Blob, "only this form holds an address");
        // SAFETY: `disown` made the address of a reference that the entry still holds; not dropping this one keeps it.
        ManuallyDrop::new(unsafe { Arc::from_raw(self.blob_at()) })
    }

    /// Drops the entry's reference to what lies outside, if there is one, and leaves some string behind.
    fn let_go(&mut self) {
        match self.form() {
            Form::Blob => {
                let blob = ManuallyDrop::into_inner(self.borrow_blob());
                self.block.set_tag(Form::Raw.tag());
                drop(blob);
            }
            Form::Large => {
                let large = ManuallyDrop::into_inner(self.borrow_large());
                self.block.set_tag(Form::Raw.tag());
                drop(large);
            }
            _ => {}
        }
    }
}

// SAFETY:
// 1. A block is allocated with an alignment of 8 in user space, below 2^48; `from_raw` takes the same address back.
// 2. A block is a bare pointer, so copies are harmless until one of them is dropped or writes.
// 3. The key lies in the block, behind the pointer.
// 4. No method that borrows an entry as shared replaces its block.
unsafe impl Element for Entry {
    fn into_raw(self) -> NonNull<u8> {
        ManuallyDrop::new(self).block.as_raw()
    }

    unsafe fn from_raw(raw: NonNull<u8>) -> Entry {
        // SAFETY: the caller's promise is the one that the block asks for.
        let block = unsafe { Block::from_raw(raw) };
        Entry { block }
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.block.key()
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.let_go();
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = match self.held() {
            Held::String(StringRef::Int(number)) => number.to_string(),
            Held::String(StringRef::Bytes(bytes)) => bytes.escape_ascii().to_string(),
            _ => self.kind().name().to_string(),
        };
        write!(
            f,
            "{} = {value} ({}, {:?})",
            self.key().escape_ascii(),
            self.encoding().name(),
            self.deadline()
        )
    }
}

#[cold]
fn not_a_string() -> ! {
    panic!("a collection is asked for its text")
}

/// Turns a reference into the address that stands for it in a payload.
fn disown(blob: Blob) -> [u8; 8] {
    (Arc::into_raw(blob).expose_provenance() as u64).to_ne_bytes()
}

/// Capacity of a blob that has grown to `length` bytes: half as much again, so that appends copy each byte a few times
/// only. Pages that were never written cost address space, not memory.
fn room_for(length: usize) -> usize {
    length + length / 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn survives_the_way_through_a_slot() {
        for value in [
            Value::Int(-1),
            Value::of(b"text"),
            Value::Raw(&[7; BLOB_MIN]),
        ] {
            let raw = Entry::new(b"key", value.clone(), Some(1)).into_raw();
            // SAFETY: taken back once, right away.
            let entry = unsafe { Entry::from_raw(raw) };
            let expected = Entry::new(b"key", value, Some(1));
            assert_eq!(
                (entry.key(), entry.string()),
                (expected.key(), expected.string())
            );
        }
    }
}
