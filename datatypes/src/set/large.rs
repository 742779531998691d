//! A set outside its entry: integers in chunks, everything else in a table of texts.
//!
//! Both parts at once, so that a text which joins a million integers finds its place without turning them into texts,
//! and so that a scan never has to change from one order to another.
//!
//! ```text
//!  cursor   52                     0
//!          ┌───┬────────────────────┐   0: position in the table, 46 bits    texts come first
//!          │   │                    │   1: code of an integer                then integers, ascending
//!          └───┴────────────────────┘   below 2^53: clients keep cursors in doubles
//! ```

use crate::hash::Seed;
use crate::packed::Element;
use crate::raw::entry::Encoding;
use crate::raw::table::{Entry, Ref, Spot, Table};
use crate::raw::text::Text;

use super::below;
use super::chunks::Chunks;

/// A large set.
pub struct Set {
    ints: Chunks,
    texts: Table<Text>,
    /// Memory of the table's members.
    text_bytes: usize,
    /// OBJECT ENCODING must say `intset`: it has neither had a text nor more than `set-max-intset-entries` yet.
    is_intset: bool,
}

/// Marks the cursors that are codes of integers.
const AMONG_INTS: u64 = 1 << 52;

impl Set {
    /// An empty `hashtable`.
    pub fn new(seed: Seed) -> Self {
        Self {
            ints: Chunks::default(),
            texts: Table::new(seed),
            text_bytes: 0,
            is_intset: false,
        }
    }

    /// Of integers that ascend strictly.
    pub fn of_sorted(values: &[i64], is_intset: bool, seed: Seed) -> Self {
        Self {
            ints: Chunks::from_sorted(values),
            is_intset,
            ..Self::new(seed)
        }
    }

    /// See [`Table::begin_copy`].
    pub fn begin_copy(&self) -> Self {
        Self {
            ints: Chunks::default(),
            texts: self.texts.begin_copy(),
            text_bytes: self.text_bytes,
            is_intset: self.is_intset,
        }
    }

    /// See [`Table::copy_part`].
    pub fn copy_part(&self, copy: &mut Self) -> bool {
        self.texts.copy_part(&mut copy.texts) || self.ints.copy_part(&mut copy.ints)
    }

    pub fn len(&self) -> usize {
        self.ints.len() + self.texts.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn encoding(&self) -> Encoding {
        if self.is_intset {
            Encoding::Intset
        } else {
            Encoding::Hashtable
        }
    }

    pub fn is_intset(&self) -> bool {
        self.is_intset
    }

    /// From here on OBJECT ENCODING says `hashtable`.
    pub fn call_hashtable(&mut self) {
        self.is_intset = false;
    }

    /// Allocated bytes.
    pub fn memory_usage(&self) -> usize {
        self.ints.memory_usage() + self.texts.bytes() + self.text_bytes
    }

    /// Where a member is looked for that is no integer.
    #[inline]
    pub fn spot(&self, member: &[u8]) -> Option<Spot<'_>> {
        let is_text = matches!(Element::of(member), Element::Bytes(_));
        if !is_text {
            return None;
        }
        self.texts.spot(self.texts.hash(member))
    }

    #[inline]
    pub fn contains(&self, member: Element<'_>) -> bool {
        match canonical(member) {
            Element::Int(value) => self.ints.contains(value),
            Element::Bytes(text) => self.texts.get(self.texts.hash(text), text).is_some(),
        }
    }

    /// Whether it was not there.
    pub fn add(&mut self, member: Element<'_>) -> bool {
        let text = match canonical(member) {
            Element::Int(value) => return self.ints.insert(value),
            Element::Bytes(text) => text,
        };
        match self.texts.entry(self.texts.hash(text), text) {
            Entry::Occupied(_) => false,
            Entry::Vacant(place) => {
                self.text_bytes += Text::<()>::bytes(text.len());
                place.insert(Text::new((), text), 0);
                true
            }
        }
    }

    /// Whether it was there.
    pub fn remove(&mut self, member: Element<'_>) -> bool {
        let text = match canonical(member) {
            Element::Int(value) => return self.ints.remove(value),
            Element::Bytes(text) => text,
        };
        let removed = self.texts.remove(self.texts.hash(text), text).is_some();
        if removed {
            self.text_bytes -= Text::<()>::bytes(text.len());
        }
        removed
    }

    /// All members: integers in ascending order, then texts in none.
    pub fn iter(&self) -> impl Iterator<Item = Element<'_>> {
        let texts = self.texts.iter().map(Ref::into_key);
        let ints = self.ints.iter().map(Element::Int);
        ints.chain(texts.map(Element::Bytes))
    }

    /// One of the members, each with the same chance; `random` yields uniform 64-bit numbers.
    pub fn random(&self, random: &mut impl FnMut() -> u64) -> Option<Element<'_>> {
        let among_ints = self.texts.is_empty()
            || !self.ints.is_empty() && below(self.len(), random()) < self.ints.len();
        if among_ints {
            return self.ints.random(random).map(Element::Int);
        }
        let text = self.texts.random(random).map(Ref::into_key);
        text.map(Element::Bytes)
    }

    /// Emits about `count` members from `cursor` on and answers the next cursor, below 2^53; 0 begins and 0 ends.
    ///
    /// A member that is there from the first call to the last is emitted at least once, whatever comes and goes
    /// meanwhile; if nothing does, each is emitted exactly once.
    pub fn scan(&self, cursor: u64, count: usize, mut emit: impl FnMut(Element<'_>)) -> u64 {
        let (mut code, mut left) = (cursor & (AMONG_INTS - 1), count);
        if cursor & AMONG_INTS == 0 {
            let next = self.texts.scan(code, count, |member| {
                left = left.saturating_sub(1);
                emit(Element::Bytes(member.text()));
            });
            if next != 0 {
                return next;
            }
            code = 0;
        }
        match self
            .ints
            .scan(code, left, |value| emit(Element::Int(value)))
        {
            Some(code) => code | AMONG_INTS,
            None => 0,
        }
    }
}

/// An integer that comes as a text is an integer.
#[inline]
fn canonical(member: Element<'_>) -> Element<'_> {
    match member {
        Element::Bytes(text) => Element::of(text),
        int => int,
    }
}
