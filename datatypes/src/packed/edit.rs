//! Changing a block, wherever its bytes are kept.

use std::ops::Range;

use super::element::Element;
use super::{HEAD, Item, Packed};

/// Where a block's bytes are kept: a vector, or an entry.
pub trait Storage {
    fn bytes(&self) -> &[u8];

    /// The bytes, to be overwritten by as many.
    fn bytes_mut(&mut self) -> &mut [u8];

    /// Puts `with` in the place of the bytes `range`.
    fn splice(&mut self, range: Range<usize>, with: &[u8]);
}

impl Storage for Vec<u8> {
    fn bytes(&self) -> &[u8] {
        self
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        self
    }

    fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        drop(Vec::splice(self, range, with.iter().copied()));
    }
}

impl<S: Storage> Storage for &mut S {
    fn bytes(&self) -> &[u8] {
        (**self).bytes()
    }

    fn bytes_mut(&mut self) -> &mut [u8] {
        (**self).bytes_mut()
    }

    fn splice(&mut self, range: Range<usize>, with: &[u8]) {
        (**self).splice(range, with);
    }
}

/// Bytes that are put in without an allocation.
const SHORT_EDIT: usize = 128;

/// A block to be changed. Places are the beginnings of elements, as [`Item::range`] tells them, or the block's end.
///
/// Each change moves the bytes behind it once. Several elements that belong together go in at once: a field with its
/// value, a member with its score.
pub struct Edit<S, const BACK: bool> {
    storage: S,
}

impl<S: Storage, const BACK: bool> Edit<S, BACK> {
    pub fn new(storage: S) -> Self {
        Self { storage }
    }

    pub fn storage(self) -> S {
        self.storage
    }

    /// The block, to be read.
    #[inline]
    pub fn read(&self) -> Packed<'_, BACK> {
        Packed::new(self.storage.bytes())
    }

    pub fn push_back(&mut self, elements: &[Element<'_>]) {
        self.insert(self.storage.bytes().len(), elements);
    }

    pub fn push_front(&mut self, elements: &[Element<'_>]) {
        self.insert(HEAD, elements);
    }

    /// Puts elements before the one that begins at `at`.
    pub fn insert(&mut self, at: usize, elements: &[Element<'_>]) {
        let at = at.max(HEAD);
        self.exchange(at..at, 0, elements);
    }

    /// Takes out the `count` elements that fill `range`. A block without elements is left without bytes.
    pub fn remove(&mut self, range: Range<usize>, count: usize) {
        self.exchange(range, count, &[]);
    }

    /// Another element in the place of the one that fills `range`. Answers where it lies now.
    pub fn replace(&mut self, range: Range<usize>, element: Element<'_>) -> Range<usize> {
        let start = range.start;
        let size = self.exchange(range, 1, &[element]);
        start..start + size
    }

    /// Keeps the elements for which `keep` answers true, in one go. How many went.
    pub fn retain(&mut self, mut keep: impl FnMut(Element<'_>) -> bool) -> usize {
        let block = self.read();
        let (mut kept, mut bytes) = (0_usize, vec![0; HEAD]);
        for item in block.iter().filter(|item| keep(item.element)) {
            kept += 1;
            bytes.extend_from_slice(&block.bytes[item.range]);
        }
        let gone = block.len() - kept;
        if kept == 0 {
            bytes.clear();
        } else {
            let count = u16::try_from(kept).unwrap_or(u16::MAX);
            bytes[..HEAD].copy_from_slice(&count.to_le_bytes());
        }
        if gone > 0 {
            let all = self.storage.bytes().len();
            self.storage.splice(0..all, &bytes);
        }
        gone
    }

    /// Takes out the first element and answers it.
    pub fn pop_front(&mut self) -> Option<Vec<u8>> {
        let Item { element, range } = self.read().first()?;
        let text = element.to_vec();
        self.remove(range, 1);
        Some(text)
    }

    /// Puts `elements` in the place of the `count` ones that fill `range`; answers how many bytes they take.
    pub fn exchange(
        &mut self,
        range: Range<usize>,
        count: usize,
        elements: &[Element<'_>],
    ) -> usize {
        let after = self.read().len() + elements.len() - count;
        let head = (after > 0).then(|| u16::try_from(after).unwrap_or(u16::MAX).to_le_bytes());
        exchange(&mut self.storage, range, head, room(elements), |out| {
            let mut end = 0;
            for element in elements {
                end += element.write(&mut out[end..], BACK);
            }
            end
        })
    }
}

/// Puts what `write` writes, which answers how many bytes that is and is given `room`, in the place of the bytes `range` of
/// a block that begins with `head` then, or that goes as a whole because nothing is left in it. Answers how many bytes it
/// was.
#[inline]
pub(crate) fn exchange<const HEAD: usize>(
    storage: &mut impl Storage,
    range: Range<usize>,
    head: Option<[u8; HEAD]>,
    room: usize,
    write: impl FnOnce(&mut [u8]) -> usize,
) -> usize {
    let old = storage.bytes().len();
    let fresh = old == 0;
    assert!(!fresh || range.is_empty(), "there is nothing to take out");
    let Some(head) = head else {
        if !fresh {
            storage.splice(0..old, &[]);
        }
        return 0;
    };
    // Nearly all that goes in is short, and this is no place to allocate.
    let (mut short, mut long) = ([0; SHORT_EDIT], Vec::new());
    let bytes = match HEAD + room {
        room @ 0..=SHORT_EDIT => &mut short[..room],
        room => {
            long.resize(room, 0);
            &mut long[..]
        }
    };
    let end = HEAD + write(&mut bytes[HEAD..]);
    match fresh {
        true => storage.splice(0..0, &bytes[..end]),
        false => storage.splice(range, &bytes[HEAD..end]),
    }
    storage.bytes_mut()[..HEAD].copy_from_slice(&head);
    end - HEAD
}

impl<S: Storage> Edit<S, true> {
    /// Takes out the last element and answers it.
    pub fn pop_back(&mut self) -> Option<Vec<u8>> {
        let Item { element, range } = self.read().iter().next_back()?;
        let text = element.to_vec();
        self.remove(range, 1);
        Some(text)
    }
}

/// Enough for `elements`.
fn room(elements: &[Element<'_>]) -> usize {
    elements.iter().map(|element| element.size() + 5).sum()
}
