//! A field of a large hash with its value in one allocation behind a thin pointer: what the hash's table holds.
//!
//! ```text
//!  0       1           2           4
//! ┌───────┬───────────┬───────────┬──────────────┬───────┬───────┬─────────┐
//! │ flags │ field len │ value len │ deadline     │ field │ value │ padding │   sizes are multiples of 8,
//! │ u8    │ u8        │ u16       │ u64 if there │       │       │         │   alignment is 8
//! └───────┴───────────┴───────────┴──────────────┴───────┴───────┴─────────┘
//!          └─ LONG: 7 unused bytes, u64, u64 ─┘
//!
//!  flags: bit 0  DEADLINE   absolute Unix time in ms
//!         bit 1  LONG       a length that does not fit
//! ```
//! 10 bytes of field and 10 of value take 24.
//!
//! Invariants: 1. the pointer came from the global allocator with `layout(self.size())`; 2. head, deadline, field and value
//! are initialised and lie inside that size; 3. the owner of the `Field` owns the memory alone.

use std::alloc::{self, Layout};
use std::ptr::NonNull;
use std::slice;

use super::allocate;
use super::table::{Element, Ref};

const DEADLINE: u8 = 1 << 0;
const LONG: u8 = 1 << 1;

const SHORT_HEAD: usize = 4;
const LONG_HEAD: usize = 24;

pub struct Field(NonNull<u8>);

// SAFETY: a field owns its memory alone (invariant 3) and has no tie to the thread that allocated it.
unsafe impl Send for Field {}
// SAFETY: as above; a shared field is only read.
unsafe impl Sync for Field {}

/// Where the parts of a field lie.
#[derive(Clone, Copy, PartialEq)]
struct Shape {
    flags: u8,
    field_len: usize,
    value_len: usize,
}

impl Shape {
    fn new(field_len: usize, value_len: usize, has_deadline: bool) -> Self {
        let short = field_len <= usize::from(u8::MAX) && value_len <= usize::from(u16::MAX);
        let flags = if short { 0 } else { LONG } | if has_deadline { DEADLINE } else { 0 };
        Self {
            flags,
            field_len,
            value_len,
        }
    }

    #[inline]
    fn head(self) -> usize {
        if self.flags & LONG == 0 {
            SHORT_HEAD
        } else {
            LONG_HEAD
        }
    }

    #[inline]
    fn field_at(self) -> usize {
        self.head() + if self.flags & DEADLINE == 0 { 0 } else { 8 }
    }

    #[inline]
    fn value_at(self) -> usize {
        self.field_at() + self.field_len
    }

    fn size(self) -> usize {
        let end = self
            .value_at()
            .checked_add(self.value_len)
            .expect("lengths of slices add up");
        end.next_multiple_of(8)
    }
}

impl Field {
    pub fn new(field: &[u8], value: &[u8], deadline_ms: Option<u64>) -> Field {
        let shape = Shape::new(field.len(), value.len(), deadline_ms.is_some());
        // SAFETY: the layout has at least the bytes of a short head.
        let base = unsafe { allocate(layout(shape.size())) };
        // SAFETY: the memory is new and has room for the shape, so no slice overlaps it and every part is inside.
        unsafe {
            write_head(base, shape);
            if let Some(deadline) = deadline_ms {
                base.add(shape.head())
                    .cast::<u64>()
                    .write_unaligned(deadline);
            }
            base.add(shape.field_at())
                .copy_from_nonoverlapping(NonNull::from(field).cast(), field.len());
            base.add(shape.value_at())
                .copy_from_nonoverlapping(NonNull::from(value).cast(), value.len());
        }
        Field(base)
    }

    #[inline]
    fn shape(&self) -> Shape {
        // SAFETY: invariant 2: a head is there, as long as its flags say.
        unsafe {
            let flags = self.0.read();
            if flags & LONG == 0 {
                return Shape {
                    flags,
                    field_len: usize::from(self.0.add(1).read()),
                    value_len: usize::from(self.0.add(2).cast::<u16>().read()),
                };
            }
            Shape {
                flags,
                field_len: self.0.add(8).cast::<u64>().read() as usize,
                value_len: self.0.add(16).cast::<u64>().read() as usize,
            }
        }
    }

    #[inline]
    fn part(&self, at: usize, len: usize) -> &[u8] {
        // SAFETY: callers pass what the shape says, which is initialised and inside the allocation (invariant 2).
        unsafe { slice::from_raw_parts(self.0.add(at).as_ptr(), len) }
    }

    #[inline]
    pub fn name(&self) -> &[u8] {
        let shape = self.shape();
        self.part(shape.field_at(), shape.field_len)
    }

    #[inline]
    pub fn value(&self) -> &[u8] {
        let shape = self.shape();
        self.part(shape.value_at(), shape.value_len)
    }

    /// When the field expires, in Unix ms.
    #[inline]
    pub fn deadline(&self) -> Option<u64> {
        let shape = self.shape();
        (shape.flags & DEADLINE != 0).then(|| {
            let bytes = self.part(shape.head(), 8);
            u64::from_ne_bytes(bytes.try_into().expect("8 bytes"))
        })
    }

    /// Another value, and deadline or none; in place if the allocation is the one that would be made.
    pub fn set(&mut self, value: &[u8], deadline_ms: Option<u64>) {
        let old = self.shape();
        let new = Shape::new(old.field_len, value.len(), deadline_ms.is_some());
        if new.flags != old.flags || new.size() != old.size() {
            *self = Field::new(self.name(), value, deadline_ms);
            return;
        }
        // SAFETY: head, deadline and field stay where they are, as the flags are the same; the value ends inside the
        // allocation, whose size is the new shape's; `value` cannot overlap memory that `&mut self` guards.
        unsafe {
            write_head(self.0, new);
            if let Some(deadline) = deadline_ms {
                let at = self.0.add(new.head()).cast::<u64>();
                at.write_unaligned(deadline);
            }
            self.0
                .add(new.value_at())
                .copy_from_nonoverlapping(NonNull::from(value).cast(), value.len());
        }
    }

    /// Another deadline or none.
    pub fn set_deadline(&mut self, deadline_ms: Option<u64>) {
        match (self.deadline(), deadline_ms) {
            (None, None) => {}
            (Some(_), Some(deadline)) => {
                // SAFETY: the deadline's bytes are there, as there is one.
                unsafe {
                    let at = self.0.add(self.shape().head()).cast::<u64>();
                    at.write_unaligned(deadline);
                }
            }
            _ => *self = Field::new(self.name(), self.value(), deadline_ms),
        }
    }

    /// Allocated bytes.
    pub fn memory_usage(&self) -> usize {
        self.shape().size()
    }
}

impl<'a> Ref<'a, Field> {
    /// Name, value and deadline, for as long as the table is borrowed.
    #[inline]
    pub fn into_parts(self) -> (&'a [u8], &'a [u8], Option<u64>) {
        let (name, value) = (self.name(), self.value());
        // SAFETY: both lie behind the field's pointer, in memory that the borrow of the table keeps alive and unchanged
        // for 'a; the reference to the pointer itself is not needed any more.
        unsafe {
            (
                slice::from_raw_parts(name.as_ptr(), name.len()),
                slice::from_raw_parts(value.as_ptr(), value.len()),
                self.deadline(),
            )
        }
    }
}

/// # Safety
/// `base` is the beginning of an allocation, owned by the caller, with room for `shape`.
unsafe fn write_head(base: NonNull<u8>, shape: Shape) {
    // SAFETY: the caller's promise; 8-byte parts lie at multiples of 8 from an 8-aligned base.
    unsafe {
        if shape.flags & LONG == 0 {
            base.write(shape.flags);
            base.add(1).write(shape.field_len as u8);
            base.add(2).cast::<u16>().write(shape.value_len as u16);
        } else {
            base.cast::<u64>().write(0);
            base.write(shape.flags);
            base.add(8).cast::<u64>().write(shape.field_len as u64);
            base.add(16).cast::<u64>().write(shape.value_len as u64);
        }
    }
}

impl Clone for Field {
    fn clone(&self) -> Field {
        Field::new(self.name(), self.value(), self.deadline())
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        // SAFETY: invariant 1; nothing borrows a field that is being dropped.
        unsafe { alloc::dealloc(self.0.as_ptr(), layout(self.memory_usage())) }
    }
}

// SAFETY: 1. the alignment is 8, and user space ends below 2^48; 2. a field is a bare pointer, so copies are harmless
// until one of them is dropped or writes; 3. the name lies behind the pointer; 4. no method that borrows a field as
// shared changes the pointer.
unsafe impl Element for Field {
    #[inline]
    fn into_raw(self) -> NonNull<u8> {
        std::mem::ManuallyDrop::new(self).0
    }

    #[inline]
    unsafe fn from_raw(raw: NonNull<u8>) -> Field {
        Field(raw)
    }

    #[inline]
    fn key(&self) -> &[u8] {
        self.name()
    }
}

fn layout(size: usize) -> Layout {
    Layout::from_size_align(size, 8).expect("a field is far smaller than the address space")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_keep_what_they_are_given_through_every_change_of_shape() {
        let lengths = [0, 1, 9, 10, 255, 256, 65_535, 65_536];
        let deadlines = [None, Some(0), Some(u64::MAX)];
        for (&name_len, &value_len) in lengths
            .iter()
            .flat_map(|a| lengths.iter().map(move |b| (a, b)))
        {
            let name = vec![b'n'; name_len];
            let mut field = Field::new(&name, &vec![b'v'; value_len], None);
            for deadline in deadlines.into_iter().chain(deadlines) {
                for &len in &lengths {
                    let value = vec![len as u8; len];
                    field.set(&value, deadline);
                    assert_eq!((field.name(), field.value()), (&name[..], &value[..]));
                    assert_eq!(field.deadline(), deadline);
                }
                field.set_deadline(Some(7));
                field.set_deadline(Some(8));
                assert_eq!(field.clone().deadline(), Some(8));
                field.set_deadline(deadline);
                assert_eq!((field.name(), field.deadline()), (&name[..], deadline));
            }
        }
    }

    #[test]
    fn survives_the_way_through_a_slot() {
        let raw = Field::new(b"field", b"value", Some(5)).into_raw();
        // SAFETY: taken back once, right away.
        let field = unsafe { Field::from_raw(raw) };
        assert_eq!((field.key(), field.value()), (&b"field"[..], &b"value"[..]));
        assert_eq!(
            Field::new(b"field:1234", b"value:1234", None).memory_usage(),
            24
        );
    }
}
