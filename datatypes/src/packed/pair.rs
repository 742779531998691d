//! Two texts that belong together, a name and its value, under one head.
//!
//! ```text
//!  ┌──────┬──────┬───────┐
//!  │ head │ name │ value │      head: nnnnvvvv   of the name, and of the value:
//!  └──────┴──────┴───────┘            0–14       a text of so many bytes, which lie there as they are
//!                                     15         an element with a head of its own: an integer, or a longer text
//! ```
//!
//! So a pair of short texts costs one byte more than these, where two elements cost two. An integer is never kept as
//! a short text ([`Element::of`]), so that equal names have equal nibbles and equal bytes here, too.

use super::element::{Element, HEAD_MAX, decode, size_at};

/// The nibble of what has a head of its own; those below are the lengths of texts.
const OWN_HEAD: u8 = 15;

/// See the module.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pair<'a> {
    pub name: Element<'a>,
    pub value: Element<'a>,
}

impl<'a> Pair<'a> {
    /// The pair at `at`, and where it ends. In line: on its way back through memory it costs a walk a twelfth more.
    #[inline(always)]
    pub(crate) fn decode(bytes: &'a [u8], at: usize) -> Option<(Self, usize)> {
        let head = *bytes.get(at)?;
        let (name, name_end) = decode_half(bytes, at + 1, head >> 4)?;
        let (value, end) = decode_half(bytes, name_end, head & 15)?;
        Some((Self { name, value }, end))
    }

    /// Where the pair at `at` ends, as far as its heads tell; that may be beyond the block.
    #[inline]
    pub(crate) fn end(bytes: &[u8], at: usize) -> Option<usize> {
        let head = *bytes.get(at)?;
        let name_end = half_end(bytes, at + 1, head >> 4)?;
        half_end(bytes, name_end, head & 15)
    }

    /// Enough for its bytes.
    pub(crate) fn room(self) -> usize {
        1 + self.name.size() + self.value.size()
    }

    /// Writes its bytes to the start of `out` and answers how many they are.
    #[inline]
    pub(crate) fn write(self, out: &mut [u8]) -> usize {
        out[0] = nibble(self.name) << 4 | nibble(self.value);
        let name_end = 1 + write_half(self.name, &mut out[1..]);
        name_end + write_half(self.value, &mut out[name_end..])
    }
}

/// The bytes by which a pair with a certain name is recognised.
pub(crate) struct Needle<'a> {
    nibble: u8,
    head: [u8; HEAD_MAX],
    head_len: usize,
    text: &'a [u8],
}

impl<'a> Needle<'a> {
    #[inline]
    pub(crate) fn of(name: Element<'a>) -> Self {
        let nibble = nibble(name);
        let (head, head_len) = match nibble {
            OWN_HEAD => name.head(),
            _ => ([0; HEAD_MAX], 0),
        };
        Self {
            nibble,
            head,
            head_len,
            text: name.tail(),
        }
    }

    /// Whether a pair with this name begins where `bytes` do.
    #[inline]
    pub(crate) fn begins(&self, bytes: &[u8]) -> bool {
        let [head, name @ ..] = bytes else {
            return false;
        };
        head >> 4 == self.nibble
            && name.starts_with(&self.head[..self.head_len])
            && name[self.head_len..].starts_with(self.text)
    }
}

#[inline]
fn nibble(half: Element<'_>) -> u8 {
    match half {
        Element::Bytes(text) if text.len() < usize::from(OWN_HEAD) => text.len() as u8,
        _ => OWN_HEAD,
    }
}

#[inline(always)]
fn decode_half(bytes: &[u8], at: usize, nibble: u8) -> Option<(Element<'_>, usize)> {
    if nibble == OWN_HEAD {
        let (element, size) = decode(bytes, at)?;
        return Some((element, at + size));
    }
    let end = at + usize::from(nibble);
    Some((Element::Bytes(bytes.get(at..end)?), end))
}

#[inline]
fn half_end(bytes: &[u8], at: usize, nibble: u8) -> Option<usize> {
    match nibble {
        OWN_HEAD => Some(at + size_at(bytes, at)?),
        len => Some(at + usize::from(len)),
    }
}

#[inline]
fn write_half(half: Element<'_>, out: &mut [u8]) -> usize {
    match half {
        Element::Bytes(text) if text.len() < usize::from(OWN_HEAD) => {
            out[..text.len()].copy_from_slice(text);
            text.len()
        }
        _ => half.write(out, false),
    }
}
