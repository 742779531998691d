//! Lists: values in order, added and taken at both ends.
//!
//! A short list is one packed block inside its entry ("listpack"). A long one is a [`List`]: a chain of such blocks, each
//! limited by `list-max-listpack-size` ("quicklist"). A list leaves the short form when it outgrows the limit of one
//! block, and comes back when it has shrunk to half of it, so that one at the edge does not change form with every push
//! and pop; when exactly is as Redis 7.2 does it. What is called "listpack" is a chain, too, while it is over a KiB.
//!
//! [`ListRef`] reads and [`ListMut`] changes a list in either form; they are all that commands see.

mod buffer;
mod chain;
mod chunk;

pub use chain::{LIST_STEPS, List, Removal};

use std::ops::Range;

use crate::collection::Collection;
use crate::packed::{Both, Edit, Element, Storage};
use crate::raw::entry::{Entry, Held, PackedMut};

/// One of a list's two ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Left,
    Right,
}

impl End {
    pub fn other(self) -> End {
        match self {
            End::Left => End::Right,
            End::Right => End::Left,
        }
    }
}

/// How large a block may grow, and which blocks of a chain are compressed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    bytes: usize,
    count: usize,
    /// Blocks at each end that stay uncompressed; 0 compresses none.
    compress_depth: usize,
}

impl Limits {
    /// From `list-max-listpack-size`, elements or -1 to -5 for 4 to 64 KiB, and `list-compress-depth`. A block limited in
    /// elements does not grow over 8 KiB either, unless a single element does.
    pub fn new(list_max_listpack_size: i32, list_compress_depth: u32) -> Self {
        let (bytes, count) = match list_max_listpack_size {
            count @ 0.. => (8192, (count as usize).max(1)),
            class => (2048 << class.unsigned_abs().min(5), usize::MAX),
        };
        Self {
            bytes,
            count,
            compress_depth: list_compress_depth as usize,
        }
    }

    /// Whether a block may have so many bytes and elements.
    #[inline]
    fn admit(&self, bytes: usize, count: usize) -> bool {
        bytes <= self.bytes && count <= self.count
    }

    /// Whether a chain of one block is short enough to become a block inside the entry again.
    fn admit_shrunk(&self, bytes: usize, count: usize) -> bool {
        match self.count {
            usize::MAX => bytes <= self.bytes / 2,
            most => bytes <= self.bytes && count <= most / 2,
        }
    }
}

/// What Redis' blocks have more of than ours, so that both outgrow a limit at the same time.
const FRAME: usize = 5;

/// Bytes over which a block leaves its entry: there it has room at both ends and moves little with a push to the left.
/// Short blocks stay where they are, for less memory.
const OUTSIDE: usize = 1024;

/// A list to be read.
#[derive(Clone, Copy)]
pub enum ListRef<'a> {
    Short(Both<'a>),
    Long(&'a List),
}

impl<'a> ListRef<'a> {
    /// The list in `entry`.
    ///
    /// # Panics
    /// If it is something else.
    pub fn of(entry: &'a Entry) -> Self {
        match entry.held() {
            Held::Packed(bytes) => Self::Short(Both::new(bytes)),
            Held::Large(body) => Self::of_large(body),
            _ => not_a_list(),
        }
    }

    /// The same of a collection outside its entry.
    pub fn of_large(body: &'a Collection) -> Self {
        match body {
            Collection::List(list) => Self::Long(list),
            _ => not_a_list(),
        }
    }

    #[expect(clippy::len_without_is_empty, reason = "an empty list is no key")]
    #[inline]
    pub fn len(self) -> usize {
        match self {
            Self::Short(block) => block.len(),
            Self::Long(list) => list.len(),
        }
    }

    /// Shows `visit` the elements from the one with index `from` on, towards the right end or the left, as long as it
    /// answers true.
    pub fn walk(self, from: usize, towards: End, mut visit: impl FnMut(Element<'_>) -> bool) {
        match self {
            Self::Short(block) => {
                walk_block(block, from, towards, &mut visit);
            }
            Self::Long(list) => list.walk(from, towards, &mut visit),
        }
    }

    /// Shows `visit` the elements with the indexes of `range`.
    pub fn each(self, range: Range<usize>, mut visit: impl FnMut(Element<'_>)) {
        let mut left = range.len();
        if left > 0 {
            self.walk(range.start, End::Right, |element| {
                visit(element);
                left -= 1;
                left > 0
            });
        }
    }

    /// Index of the first element that is `text`.
    pub fn find(self, text: &[u8]) -> Option<usize> {
        let needle = Element::of(text);
        let (mut at, mut found) = (0, false);
        self.walk(0, End::Right, |element| {
            found = element == needle;
            at += usize::from(!found);
            !found
        });
        found.then_some(at)
    }

    /// A copy of the element with this index.
    pub fn get(self, index: usize) -> Option<Vec<u8>> {
        let mut text = None;
        self.walk(index, End::Right, |element| {
            text = Some(element.to_vec());
            false
        });
        text
    }
}

#[cold]
fn not_a_list() -> ! {
    panic!("something else is taken for a list")
}

/// Walks one block from the element with index `from` on. Whether `visit` always answered true.
fn walk_block(
    block: Both<'_>,
    from: usize,
    towards: End,
    visit: &mut impl FnMut(Element<'_>) -> bool,
) -> bool {
    match towards {
        End::Right if from == 0 => block.iter().all(|item| visit(item.element)),
        End::Right => match block.get(from) {
            Some(first) => block
                .iter_from(first.range.start)
                .all(|item| visit(item.element)),
            None => true,
        },
        End::Left => {
            let behind = block.len().saturating_sub(from.saturating_add(1));
            let mut items = block.iter().rev().skip(behind);
            items.all(|item| visit(item.element))
        }
    }
}

/// A list to be changed. It may change its form with every change.
pub struct ListMut<'a> {
    entry: &'a mut Entry,
    limits: Limits,
}

impl<'a> ListMut<'a> {
    /// The list in `entry`, which nobody reads meanwhile.
    pub fn of(entry: &'a mut Entry, limits: Limits) -> Self {
        Self { entry, limits }
    }

    #[inline]
    pub fn read(&self) -> ListRef<'_> {
        ListRef::of(self.entry)
    }

    #[expect(clippy::len_without_is_empty, reason = "an empty list is no key")]
    pub fn len(&self) -> usize {
        self.read().len()
    }

    /// Adds one value after the other at `end`.
    pub fn push<'t>(
        &mut self,
        end: End,
        texts: impl DoubleEndedIterator<Item = &'t [u8]> + ExactSizeIterator + Clone,
    ) {
        let bytes = texts.clone().map(<[u8]>::len).sum();
        let limits = self.limits;
        match self.grow(bytes, texts.len()) {
            Form::Short(mut block) => {
                let mut elements: Vec<_> = texts.map(Element::of).collect();
                match end {
                    End::Left => {
                        elements.reverse();
                        block.push_front(&elements);
                    }
                    End::Right => block.push_back(&elements),
                }
            }
            Form::Long(list) => texts.for_each(|text| list.push(end, text, &limits)),
        }
    }

    /// Takes one value from `end`.
    pub fn pop(&mut self, end: End) -> Option<Vec<u8>> {
        let text = self.take(end);
        self.shrink();
        text
    }

    /// Moves one value from an end to an end. The form is looked at in the end only: it is that of the whole list.
    pub fn rotate(&mut self, from: End, to: End) -> Option<Vec<u8>> {
        let text = self.take(from)?;
        self.push(to, [&text[..]].into_iter());
        self.shrink();
        Some(text)
    }

    fn take(&mut self, end: End) -> Option<Vec<u8>> {
        let limits = self.limits;
        match self.form() {
            Form::Short(mut block) => match end {
                End::Left => block.pop_front(),
                End::Right => block.pop_back(),
            },
            Form::Long(list) => list.pop(end, &limits),
        }
    }

    /// Takes `count` values away from `end`.
    pub fn cut(&mut self, end: End, count: usize) {
        let limits = self.limits;
        match self.form() {
            Form::Short(mut block) => cut(&mut block, end, count),
            Form::Long(list) => list.cut(end, count, &limits),
        }
        self.shrink();
    }

    /// The same for more values than a chunk holds: they come as a list of their own, to be read or freed at leisure.
    /// `None`, and nothing is done, if this list is short.
    pub fn split(&mut self, end: End, count: usize) -> Option<List> {
        let limits = self.limits;
        let off = match self.form() {
            Form::Short(_) => return None,
            Form::Long(list) => list.split(end, count, &limits),
        };
        self.shrink();
        Some(off)
    }

    /// Makes room for `text`, which changes the form of a list that has none even if nothing comes of it.
    pub fn expect(&mut self, text: &[u8]) {
        self.grow(text.len(), 1);
    }

    /// Puts a value before the element with this index, or behind the last one.
    pub fn insert(&mut self, index: usize, text: &[u8]) {
        let limits = self.limits;
        match self.grow(text.len(), 1) {
            Form::Short(mut block) => insert(&mut block, index, text),
            Form::Long(list) => list.insert(index, text, &limits),
        }
    }

    /// Another value in the place of the element with this index, which there has to be.
    pub fn set(&mut self, index: usize, text: &[u8]) {
        let limits = self.limits;
        match self.grow(text.len(), 1) {
            Form::Short(mut block) => {
                let old = block.read().get(index).expect("the index was looked at");
                block.replace(old.range, Element::of(text));
            }
            Form::Long(list) => list.set(index, text, &limits),
        }
        self.shrink();
    }

    /// Removes elements that are `text`, the first `most` from the left or from the right. How many it were.
    pub fn remove(&mut self, text: &[u8], from: End, most: usize) -> usize {
        let limits = self.limits;
        let removed = match self.form() {
            Form::Short(mut block) => remove(&mut block, Element::of(text), from, most),
            Form::Long(list) => {
                let mut removal = Removal::new(std::mem::take(list), text, from, most, limits);
                while removal.advance() {}
                let (rest, removed) = removal.finish();
                *list = rest;
                removed
            }
        };
        if removed > 0 {
            self.shrink();
        }
        removed
    }

    /// Another list in the place of this one.
    pub fn replace(&mut self, list: List) {
        self.entry.set_large(Collection::List(list));
        self.shrink();
    }

    fn form(&mut self) -> Form<'_> {
        match self.entry.large_mut() {
            None => {}
            // The borrow checker does not see that the other branch has no use for this borrow.
            Some(_) => match self.entry.large_mut() {
                Some(Collection::List(list)) => return Form::Long(list),
                _ => not_a_list(),
            },
        }
        Form::Short(Edit::new(self.entry.packed_mut()))
    }

    /// The form that has room for so many bytes of text and elements more.
    fn grow(&mut self, bytes: usize, count: usize) -> Form<'_> {
        let limits = self.limits;
        let is_listpack = |block: usize, len| limits.admit(block + FRAME + bytes, len + count);
        if let ListRef::Short(block) = self.read() {
            let is_listpack = is_listpack(block.total_bytes(), block.len());
            if !is_listpack || block.total_bytes() + bytes > OUTSIDE {
                let list = List::of_block(self.bytes(), is_listpack);
                self.entry.set_large(Collection::List(list));
            }
        }
        let mut form = self.form();
        if let Form::Long(list) = &mut form
            && list.is_listpack()
            && !is_listpack(list.total_bytes(), list.len())
        {
            list.call_quicklist();
        }
        form
    }

    fn bytes(&self) -> &[u8] {
        match self.entry.held() {
            Held::Packed(bytes) => bytes,
            _ => not_a_list(),
        }
    }

    /// Goes back to the short form if the list has become short.
    fn shrink(&mut self) {
        let limits = self.limits;
        let Form::Long(list) = self.form() else {
            return;
        };
        if list.has_shrunk(&limits) {
            list.call_listpack();
        }
        if list.is_listpack() && list.total_bytes() <= OUTSIDE / 2 {
            let block = list.to_block();
            self.entry.set_packed(&block);
        }
    }
}

enum Form<'a> {
    Short(Edit<PackedMut<'a>, true>),
    Long(&'a mut List),
}

/// Takes `count` elements away from one end of a block.
fn cut<S: Storage>(block: &mut Edit<S, true>, end: End, count: usize) {
    let read = block.read();
    let len = read.len();
    let Some(last) = count.min(len).checked_sub(1) else {
        return;
    };
    let at = match end {
        End::Left => last,
        End::Right => len - 1 - last,
    };
    let Some(edge) = read.get(at) else { return };
    let range = match end {
        End::Left => {
            let first = read.first().map_or(0, |first| first.range.start);
            first..edge.range.end
        }
        End::Right => edge.range.start..read.total_bytes(),
    };
    block.remove(range, last + 1);
}

/// Puts a value before the element of a block with this index.
fn insert<S: Storage>(block: &mut Edit<S, true>, index: usize, text: &[u8]) {
    let at = match block.read().get(index) {
        Some(item) => item.range.start,
        None => block.read().total_bytes(),
    };
    block.insert(at, &[Element::of(text)]);
}

/// Removes up to `most` elements of a block that are `needle`. How many it were.
fn remove<S: Storage>(
    block: &mut Edit<S, true>,
    needle: Element<'_>,
    from: End,
    most: usize,
) -> usize {
    let items = block.read().iter();
    let found = items.filter(|item| item.element == needle).count();
    let first = match from {
        End::Left => 0,
        End::Right => found.saturating_sub(most),
    };
    let gone = first..first.saturating_add(most);
    let mut nth = 0;
    block.retain(|element| {
        let is = element == needle;
        nth += usize::from(is);
        !(is && gone.contains(&(nth - 1)))
    })
}
