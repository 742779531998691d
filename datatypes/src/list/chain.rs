//! A long list: a chain of chunks of up to 8 KiB, or what the limits say.
//!
//! A million elements are some 1,500 chunks, whose counts and addresses lie side by side in one ring of 16 bytes each: a
//! place in the middle is found in less than a microsecond by adding counts up from the nearer end, a chunk is put in or
//! taken out by moving a few KiB, and both ends are at hand. An element of 10 bytes takes 12.1 bytes all told.
//!
//! A copy of a list shares its chunks; whoever changes one then copies that chunk. So a list that is being read can be
//! changed at the cost of a copied ring.
//!
//! Between two commands no chunk is empty. What is inserted where there is no room splits its chunk; what has become small
//! joins a neighbour, if one chunk has room for both.

use std::collections::VecDeque;

use super::chunk::Chunk;
use super::{End, Limits, walk_block};
use crate::packed::{Both, Element, HEAD};
use crate::raw::entry::Encoding;
use crate::raw::prefetch::prefetch;

/// Chunks from which on a new one gets room for as much as the last has: one chunk more or less is little by then.
const LONG: usize = 8;

/// The ring's item, the chunk, its bytes.
pub const LIST_STEPS: usize = 3;

#[derive(Clone, Default)]
pub struct List {
    chunks: VecDeque<Chunk>,
    len: usize,
    /// OBJECT ENCODING must say `listpack`: it has not outgrown one block.
    is_listpack: bool,
}

impl List {
    /// From a short list's block.
    pub fn of_block(block: &[u8], is_listpack: bool) -> Self {
        let chunk = Some(Chunk::of_block(block)).filter(|chunk| chunk.count() > 0);
        Self {
            len: chunk.iter().map(Chunk::count).sum(),
            chunks: chunk.into_iter().collect(),
            is_listpack,
        }
    }

    /// A copy, which costs little: it is whole from the beginning.
    pub fn begin_copy(&self) -> Self {
        self.clone()
    }

    /// Nothing is left to be copied.
    pub fn copy_part(&self, _copy: &mut Self) -> bool {
        false
    }

    #[expect(clippy::len_without_is_empty, reason = "an empty list is no key")]
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn encoding(&self) -> Encoding {
        match self.is_listpack {
            true => Encoding::Listpack,
            false => Encoding::Quicklist,
        }
    }

    pub(super) fn is_listpack(&self) -> bool {
        self.is_listpack
    }

    pub(super) fn call_listpack(&mut self) {
        self.is_listpack = true;
    }

    pub(super) fn call_quicklist(&mut self) {
        self.is_listpack = false;
    }

    /// Bytes of a block that has all elements.
    pub(super) fn total_bytes(&self) -> usize {
        let chunks = self.chunks.iter();
        chunks.map(|chunk| chunk.len() - HEAD).sum::<usize>() + HEAD
    }

    pub fn memory_usage(&self) -> usize {
        let chunks: usize = self.chunks.iter().map(Chunk::allocated).sum();
        chunks + self.chunks.capacity() * size_of::<Chunk>()
    }

    /// Whether it is short enough to be called a listpack, whatever it is called.
    pub(super) fn has_shrunk(&self, limits: &Limits) -> bool {
        match self.chunks.len() {
            0 => true,
            1 => limits.admit_shrunk(self.chunks[0].len() + super::FRAME, self.len),
            _ => false,
        }
    }

    /// All elements in one block; no bytes if there are none.
    pub(super) fn to_block(&self) -> Vec<u8> {
        let mut chunks = self.chunks.iter();
        let Some(mut block) = chunks.next().cloned() else {
            return Vec::new();
        };
        chunks.for_each(|chunk| block.join(chunk));
        block.read().into_owned()
    }

    pub(super) fn walk(
        &self,
        from: usize,
        towards: End,
        visit: &mut impl FnMut(Element<'_>) -> bool,
    ) {
        let Some((first, within)) = self.place(from) else {
            return;
        };
        let mut start = Some(within);
        let mut show = |chunk: &Chunk| {
            let bytes = chunk.read();
            let edge = match towards {
                End::Right => 0,
                End::Left => chunk.count() - 1,
            };
            let from = start.take().unwrap_or(edge);
            walk_block(Both::new(&bytes), from, towards, visit)
        };
        match towards {
            End::Right => self.chunks.range(first..).all(&mut show),
            End::Left => self.chunks.range(..=first).rev().all(&mut show),
        };
    }

    /// The chunk that holds the element with this index, and the element's index in there.
    fn place(&self, index: usize) -> Option<(usize, usize)> {
        if index >= self.len {
            return None;
        }
        if index < self.len / 2 {
            let mut before = 0;
            for (nth, chunk) in self.chunks.iter().enumerate() {
                if index < before + chunk.count() {
                    return Some((nth, index - before));
                }
                before += chunk.count();
            }
        } else {
            let mut end = self.len;
            for (nth, chunk) in self.chunks.iter().enumerate().rev() {
                end -= chunk.count();
                if index >= end {
                    return Some((nth, index - end));
                }
            }
        }
        unreachable!("the chunks hold as many elements as the list")
    }

    // ---- the ends

    pub(super) fn push(&mut self, end: End, text: &[u8], limits: &Limits) {
        self.len += 1;
        let is_long = self.chunks.len() >= LONG;
        let mut room = 0;
        match self.end(end) {
            Some(chunk) if chunk.admits(text.len(), limits) => return chunk.push(end, text),
            Some(chunk) => {
                chunk.close();
                room = if is_long { chunk.len() } else { 0 };
            }
            None => {}
        }
        let chunk = Chunk::with_room(text, room);
        match end {
            End::Left => self.chunks.push_front(chunk),
            End::Right => self.chunks.push_back(chunk),
        }
        self.settle_ends(limits);
    }

    pub(super) fn pop(&mut self, end: End, limits: &Limits) -> Option<Vec<u8>> {
        let chunk = self.end(end)?;
        let text = chunk.pop(end);
        let emptied = chunk.count() == 0;
        self.len -= usize::from(text.is_some());
        if emptied {
            self.drop_end(end);
            self.settle_ends(limits);
        }
        text
    }

    /// Takes `count` elements away from one end.
    pub(super) fn cut(&mut self, end: End, count: usize, limits: &Limits) {
        let mut left = count.min(self.len);
        self.len -= left;
        while left > 0
            && let Some(chunk) = self.end(end)
        {
            if chunk.count() > left {
                chunk.cut(end, left);
                break;
            }
            left -= chunk.count();
            self.drop_end(end);
        }
        self.settle_ends(limits);
    }

    /// Takes many elements away from one end: they become a list of their own, for which whole chunks move.
    pub(super) fn split(&mut self, end: End, count: usize, limits: &Limits) -> List {
        let seam = match end {
            End::Left => count.min(self.len),
            End::Right => self.len.saturating_sub(count),
        };
        let behind = self.split_off(seam);
        let off = match end {
            End::Left => std::mem::replace(self, behind),
            End::Right => behind,
        };
        self.settle_ends(limits);
        off
    }

    /// Keeps the elements before `index`; the others become a list of their own.
    fn split_off(&mut self, index: usize) -> List {
        let Some((mut nth, within)) = self.place(index) else {
            return List::default();
        };
        if within > 0 {
            let behind = self.chunks[nth].split_off(within);
            nth += 1;
            self.chunks.insert(nth, behind);
        }
        let behind = List {
            chunks: self.chunks.split_off(nth),
            len: self.len - index,
            is_listpack: self.is_listpack,
        };
        self.len = index;
        behind
    }

    /// See [`Collection::load_end`](crate::collection::Collection::load_end).
    #[inline]
    pub fn load_end(&self, end: End, step: usize) {
        let chunk = match end {
            End::Left => self.chunks.front(),
            End::Right => self.chunks.back(),
        };
        match (chunk, step) {
            (Some(chunk), 0) => prefetch(chunk),
            (Some(chunk), 1) => chunk.load(),
            (Some(chunk), _) => chunk.load_end(end),
            (None, _) => {}
        }
    }

    fn end(&mut self, end: End) -> Option<&mut Chunk> {
        match end {
            End::Left => self.chunks.front_mut(),
            End::Right => self.chunks.back_mut(),
        }
    }

    fn drop_end(&mut self, end: End) {
        match end {
            End::Left => self.chunks.pop_front(),
            End::Right => self.chunks.pop_back(),
        };
    }

    // ---- in between

    /// Puts a value before the element with this index, or behind the last one.
    pub(super) fn insert(&mut self, index: usize, text: &[u8], limits: &Limits) {
        let Some((mut nth, within)) = self.place(index).filter(|_| index > 0) else {
            let end = if index == 0 { End::Left } else { End::Right };
            return self.push(end, text, limits);
        };
        self.len += 1;
        if self.chunks[nth].admits(text.len(), limits) {
            self.chunks[nth].insert(within, text);
            return self.settle(nth, limits);
        }
        if within > 0 {
            let behind = self.chunks[nth].split_off(within);
            nth += 1;
            self.chunks.insert(nth, behind);
        }
        if self.chunks[nth - 1].admits(text.len(), limits) {
            self.chunks[nth - 1].push(End::Right, text);
        } else if self.chunks[nth].admits(text.len(), limits) {
            self.chunks[nth].push(End::Left, text);
        } else {
            self.chunks.insert(nth, Chunk::of(&[Element::of(text)]));
        }
        // The later ones first: joining moves what is behind.
        for at in (nth.saturating_sub(2)..=nth + 1).rev() {
            self.join(at, limits);
        }
        for at in nth.saturating_sub(2)..=nth + 1 {
            self.settle(at, limits);
        }
        self.settle_ends(limits);
    }

    /// Another value in the place of the element with this index.
    pub(super) fn set(&mut self, index: usize, text: &[u8], limits: &Limits) {
        let (nth, within) = self.place(index).expect("the index was looked at");
        if self.chunks[nth].set(within, text, limits) {
            return self.settle_around(nth, limits);
        }
        self.take(nth, within, limits);
        self.insert(index, text, limits);
    }

    /// Takes one element out.
    fn take(&mut self, nth: usize, within: usize, limits: &Limits) {
        let behind = self.chunks[nth].split_off(within + 1);
        self.chunks[nth].cut(End::Right, 1);
        self.len -= 1;
        if self.chunks[nth].count() == 0 {
            self.chunks[nth] = behind;
        } else if behind.count() > 0 {
            self.chunks[nth].join(&behind);
        }
        if self.chunks[nth].count() == 0 {
            self.chunks.remove(nth);
            self.settle_ends(limits);
        }
    }

    /// Joins a chunk with the next one, if one chunk has room for both.
    fn join(&mut self, nth: usize, limits: &Limits) {
        if let (Some(one), Some(next)) = (self.chunks.get(nth), self.chunks.get(nth + 1))
            && one.admits_all_of(next, limits)
            && let Some(next) = self.chunks.remove(nth + 1)
        {
            self.chunks[nth].join(&next);
        }
    }

    // ---- compression

    /// After a change within a chunk that may have become small.
    fn settle_around(&mut self, nth: usize, limits: &Limits) {
        self.join(nth, limits);
        let nth = match nth.checked_sub(1) {
            Some(before) => {
                self.join(before, limits);
                before
            }
            None => nth,
        };
        self.settle(nth, limits);
        self.settle(nth + 1, limits);
        self.settle_ends(limits);
    }

    /// Compresses a chunk that was changed, or leaves it plain near the ends.
    fn settle(&mut self, nth: usize, limits: &Limits) {
        let depth = limits.compress_depth;
        if depth == 0 || nth >= self.chunks.len() {
            return;
        }
        let from_end = nth.min(self.chunks.len() - 1 - nth);
        let chunk = &mut self.chunks[nth];
        if from_end < depth {
            chunk.expand();
        } else {
            chunk.compress();
        }
    }

    /// After chunks came or went: those that come near an end become plain, those that no longer are, compressed.
    fn settle_ends(&mut self, limits: &Limits) {
        let depth = limits.compress_depth;
        if depth == 0 {
            return;
        }
        let count = self.chunks.len();
        for from_end in 0..=depth.min(count.saturating_sub(1) / 2) {
            self.settle(from_end, limits);
            self.settle((count).wrapping_sub(1 + from_end), limits);
        }
    }
}

/// Removing elements from a list, one chunk at a time.
///
/// The chunks wander from one ring to another, so that however many are emptied or joined, each is moved once.
pub struct Removal {
    list: List,
    /// Chunks that are through.
    done: VecDeque<Chunk>,
    needle: Box<[u8]>,
    /// The end to begin at.
    from: End,
    /// Elements that may still be removed.
    most: usize,
    removed: usize,
    limits: Limits,
}

impl Removal {
    /// Of the first `most` elements from one end that are `text`.
    pub fn new(list: List, text: &[u8], from: End, most: usize, limits: Limits) -> Self {
        Self {
            list,
            done: VecDeque::new(),
            needle: text.into(),
            from,
            most,
            removed: 0,
            limits,
        }
    }

    /// Goes through one more chunk. `false`: there is nothing more to do.
    pub fn advance(&mut self) -> bool {
        if self.removed == self.most {
            return false;
        }
        let chunk = match self.from {
            End::Left => self.list.chunks.pop_front(),
            End::Right => self.list.chunks.pop_back(),
        };
        let Some(mut chunk) = chunk else {
            return false;
        };
        let (needle, left) = (Element::of(&self.needle), self.most - self.removed);
        self.removed += chunk.remove(needle, self.from, left);
        if chunk.count() > 0 {
            self.put(chunk);
        }
        true
    }

    /// Puts a chunk to those that are through, or into the last one if that has room.
    fn put(&mut self, mut chunk: Chunk) {
        let compressed = self.limits.compress_depth > 0;
        let last = match self.from {
            End::Left => self.done.back_mut(),
            End::Right => self.done.front_mut(),
        };
        match (last, self.from) {
            (Some(last), End::Left) if last.admits_all_of(&chunk, &self.limits) => {
                return last.join(&chunk);
            }
            (Some(last), End::Right) if last.admits_all_of(&chunk, &self.limits) => {
                chunk.join(last);
                *last = chunk;
                return;
            }
            (Some(last), _) if compressed => last.compress(),
            _ => {}
        }
        match self.from {
            End::Left => self.done.push_back(chunk),
            End::Right => self.done.push_front(chunk),
        }
    }

    /// The list without the elements, and how many they were.
    pub fn finish(self) -> (List, usize) {
        let Self {
            mut list,
            mut done,
            removed,
            limits,
            ..
        } = self;
        let seam = match self.from {
            End::Left => done.len(),
            End::Right => list.chunks.len(),
        };
        let few = done.len() < list.chunks.len();
        match self.from {
            End::Left if few => done
                .into_iter()
                .rev()
                .for_each(|chunk| list.chunks.push_front(chunk)),
            End::Left => {
                done.append(&mut list.chunks);
                list.chunks = done;
            }
            End::Right if few => list.chunks.extend(done),
            End::Right => {
                let rest = list.chunks.drain(..).rev();
                rest.for_each(|chunk| done.push_front(chunk));
                list.chunks = done;
            }
        }
        list.len -= removed;
        if let Some(seam) = seam.checked_sub(1) {
            list.settle_around(seam, &limits);
        }
        list.settle_ends(&limits);
        (list, removed)
    }
}
