//! One link of a chain: a packed block, plain or compressed, shared with copies of the list until one of them is changed.

use std::borrow::Cow;
use std::sync::Arc;

use super::buffer::Buffer;
use super::{End, Limits, cut, insert, remove};
use crate::lzf;
use crate::packed::{Both, Edit, Element, Storage};
use crate::raw::prefetch::prefetch;

#[derive(Clone)]
pub(super) struct Chunk {
    /// Number of elements, here because places are found by counting.
    count: u32,
    body: Arc<Body>,
}

#[derive(Clone)]
enum Body {
    Plain(Buffer),
    /// `len` bytes, compressed.
    Lzf {
        bytes: Box<[u8]>,
        len: usize,
    },
}

/// Blocks that are shorter are not compressed, and none that would not become so much shorter.
const MIN_COMPRESSED: usize = 48;
const MIN_GAIN: usize = 8;

/// Bytes of a cache line.
const LINE: usize = 64;

/// What an element takes beyond its text, overestimated, as Redis does.
const OVERHEAD: usize = 8;

impl Chunk {
    pub(super) fn of_block(block: &[u8]) -> Self {
        Self {
            count: Both::new(block).len() as u32,
            body: Arc::new(Body::Plain(Buffer::of(block))),
        }
    }

    pub(super) fn of(elements: &[Element<'_>]) -> Self {
        let mut edit = Edit::<_, true>::new(Buffer::default());
        edit.push_back(elements);
        Self {
            count: elements.len() as u32,
            body: Arc::new(Body::Plain(edit.storage())),
        }
    }

    /// Of one element, with room for so many bytes.
    pub(super) fn with_room(text: &[u8], room: usize) -> Self {
        let mut edit = Edit::<_, true>::new(Buffer::with_room(room));
        edit.push_back(&[Element::of(text)]);
        Self {
            count: 1,
            body: Arc::new(Body::Plain(edit.storage())),
        }
    }

    #[inline]
    pub(super) fn count(&self) -> usize {
        self.count as usize
    }

    /// Bytes of the block.
    pub(super) fn len(&self) -> usize {
        match &*self.body {
            Body::Plain(buffer) => buffer.bytes().len(),
            Body::Lzf { len, .. } => *len,
        }
    }

    pub(super) fn allocated(&self) -> usize {
        let bytes = match &*self.body {
            Body::Plain(buffer) => buffer.allocated(),
            Body::Lzf { bytes, .. } => bytes.len(),
        };
        bytes + 2 * size_of::<usize>() + size_of::<Body>()
    }

    /// The block.
    #[inline]
    pub(super) fn read(&self) -> Cow<'_, [u8]> {
        match &*self.body {
            Body::Plain(buffer) => Cow::Borrowed(buffer.bytes()),
            Body::Lzf { bytes, len } => Cow::Owned(expanded(bytes, *len)),
        }
    }

    /// Whether a text of so many bytes may be added.
    #[inline]
    pub(super) fn admits(&self, text: usize, limits: &Limits) -> bool {
        limits.admit(self.len() + text + OVERHEAD, self.count() + 1)
    }

    /// Whether one block may hold this chunk and another.
    pub(super) fn admits_all_of(&self, other: &Chunk, limits: &Limits) -> bool {
        limits.admit(self.len() + other.len(), self.count() + other.count())
    }

    pub(super) fn push(&mut self, end: End, text: &[u8]) {
        let element = [Element::of(text)];
        self.edit(|block| match end {
            End::Left => block.push_front(&element),
            End::Right => block.push_back(&element),
        });
    }

    pub(super) fn pop(&mut self, end: End) -> Option<Vec<u8>> {
        self.edit(|block| match end {
            End::Left => block.pop_front(),
            End::Right => block.pop_back(),
        })
    }

    pub(super) fn cut(&mut self, end: End, count: usize) {
        self.edit(|block| cut(block, end, count));
    }

    pub(super) fn insert(&mut self, index: usize, text: &[u8]) {
        self.edit(|block| insert(block, index, text));
    }

    /// Another text in the place of the element with this index, if the block may grow so much.
    pub(super) fn set(&mut self, index: usize, text: &[u8], limits: &Limits) -> bool {
        let alone = self.count() == 1;
        let len = self.len();
        self.edit(|block| {
            let old = block.read().get(index).expect("the place was looked up");
            let len = len - old.range.len() + text.len() + OVERHEAD;
            let fits = alone || limits.admit(len, 1);
            if fits {
                block.replace(old.range, Element::of(text));
            }
            fits
        })
    }

    /// Removes up to `most` elements that are `needle`. How many it were.
    pub(super) fn remove(&mut self, needle: Element<'_>, from: End, most: usize) -> usize {
        let bytes = self.read();
        let mut items = Both::new(&bytes).iter();
        if items.all(|item| item.element != needle) {
            return 0;
        }
        self.edit(|block| remove(block, needle, from, most))
    }

    /// Keeps the elements before `index`; the others become a chunk of their own.
    pub(super) fn split_off(&mut self, index: usize) -> Chunk {
        let behind = {
            let bytes = self.read();
            let items = Both::new(&bytes).iter().skip(index);
            let elements: Vec<_> = items.map(|item| item.element).collect();
            Chunk::of(&elements)
        };
        self.cut(End::Right, behind.count());
        behind
    }

    /// Adds the elements of the chunk behind this one.
    pub(super) fn join(&mut self, next: &Chunk) {
        let bytes = next.read();
        let items = Both::new(&bytes).iter();
        let elements: Vec<_> = items.map(|item| item.element).collect();
        self.edit(|block| block.push_back(&elements));
    }

    /// Starts loading what says where the bytes are.
    #[inline]
    pub(super) fn load(&self) {
        prefetch(Arc::as_ptr(&self.body));
    }

    /// Starts loading the bytes at one end, and those that the next element there is written to.
    #[inline]
    pub(super) fn load_end(&self, end: End) {
        let Body::Plain(buffer) = &*self.body else {
            return;
        };
        let bytes = buffer.bytes().as_ptr_range();
        let (edge, beyond) = match end {
            End::Left => (bytes.start, bytes.start.wrapping_sub(LINE)),
            End::Right => (bytes.end, bytes.end.wrapping_add(LINE)),
        };
        prefetch(edge);
        prefetch(beyond);
    }

    /// Nothing will be added for a while.
    pub(super) fn close(&mut self) {
        if let Some(Body::Plain(buffer)) = Arc::get_mut(&mut self.body) {
            buffer.shrink();
        }
    }

    pub(super) fn compress(&mut self) {
        if let Body::Plain(buffer) = &*self.body {
            let block = buffer.bytes();
            let limit = block.len().saturating_sub(MIN_GAIN);
            if block.len() < MIN_COMPRESSED {
                return;
            }
            if let Some(bytes) = lzf::compress(block, limit) {
                let (bytes, len) = (bytes.into(), block.len());
                self.body = Arc::new(Body::Lzf { bytes, len });
            }
        }
    }

    pub(super) fn expand(&mut self) {
        if let Body::Lzf { bytes, len } = &*self.body {
            let block = expanded(bytes, *len);
            self.body = Arc::new(Body::Plain(Buffer::of(&block)));
        }
    }

    /// Changes the block, plain from here on, and of this list alone.
    fn edit<R>(&mut self, change: impl FnOnce(&mut Edit<&mut Buffer, true>) -> R) -> R {
        self.expand();
        let Body::Plain(buffer) = Arc::make_mut(&mut self.body) else {
            unreachable!("it was expanded");
        };
        let mut edit = Edit::new(buffer);
        let result = change(&mut edit);
        self.count = edit.read().len() as u32;
        result
    }
}

fn expanded(bytes: &[u8], len: usize) -> Vec<u8> {
    lzf::decompress(bytes, len).expect("a chunk was compressed here")
}
