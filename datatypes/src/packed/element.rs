//! One element of a block: its meaning, and its bytes.

use std::borrow::Cow;

use crate::numbers::parse_i64;
use crate::resp::Reply;

const TEXT: u8 = 0x80;
const LONG_TEXT: u8 = 0xc0;
const INTEGER: u8 = 0xd0;
const SHORT_INTEGER: u8 = 0xe0;
/// Texts from here on have their length behind the head.
const SHORT: usize = 64;
/// Longest head: a byte and an integer of 8.
pub(crate) const HEAD_MAX: usize = 9;

/// What an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Element<'a> {
    Int(i64),
    Bytes(&'a [u8]),
}

impl<'a> Element<'a> {
    /// As a text is kept: an integer if the text is exactly how one is printed.
    #[inline]
    pub fn of(text: &'a [u8]) -> Self {
        match text {
            [b'-' | b'0'..=b'9', ..] => parse_i64(text).map_or(Self::Bytes(text), Self::Int),
            _ => Self::Bytes(text),
        }
    }

    /// Length of the text.
    pub fn len(self) -> usize {
        match self {
            Self::Int(number) => itoa::Buffer::new().format(number).len(),
            Self::Bytes(text) => text.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether its text is `text`.
    #[inline]
    pub fn is(self, text: &[u8]) -> bool {
        match self {
            Self::Int(number) => parse_i64(text) == Some(number),
            Self::Bytes(own) => own == text,
        }
    }

    /// The text; an integer's lies in `digits`.
    #[inline]
    pub fn text<'b>(self, digits: &'b mut itoa::Buffer) -> &'b [u8]
    where
        'a: 'b,
    {
        match self {
            Self::Int(number) => digits.format(number).as_bytes(),
            Self::Bytes(text) => text,
        }
    }

    pub fn to_cow(self) -> Cow<'a, [u8]> {
        match self {
            Self::Int(number) => Cow::Owned(crate::numbers::format_i64(number)),
            Self::Bytes(text) => Cow::Borrowed(text),
        }
    }

    pub fn to_vec(self) -> Vec<u8> {
        self.to_cow().into_owned()
    }

    /// The integer, if it is one.
    pub fn int(self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(number),
            Self::Bytes(text) => parse_i64(text),
        }
    }

    /// Answers the text.
    #[inline]
    pub fn reply(self, reply: &mut Reply<'_>) {
        match self {
            Self::Int(number) => reply.bulk_integer(number),
            Self::Bytes(text) => reply.bulk(text),
        }
    }

    /// Bytes that it takes, without what blocks for both directions add.
    pub(super) fn size(self) -> usize {
        self.head().1 + self.tail().len()
    }

    /// The bytes before the text, and how many of them there are.
    #[inline]
    pub(super) fn head(self) -> ([u8; HEAD_MAX], usize) {
        let mut head = [0; HEAD_MAX];
        let width = match self {
            Self::Int(number @ 0..=127) => {
                head[0] = number as u8;
                0
            }
            Self::Int(number @ -0x1000..=0xfff) => {
                head[0] = SHORT_INTEGER | (number >> 8) as u8 & 0x1f;
                head[1] = number as u8;
                1
            }
            Self::Int(number) => {
                let width = int_width(number);
                head[0] = INTEGER | width as u8;
                head[1..].copy_from_slice(&number.to_le_bytes());
                width
            }
            Self::Bytes(text) if text.len() < SHORT => {
                head[0] = TEXT | text.len() as u8;
                0
            }
            Self::Bytes(text) => {
                let width = match text.len() {
                    0..=0xff => 1,
                    0x100..=0xffff => 2,
                    _ => 4,
                };
                head[0] = LONG_TEXT | width as u8;
                head[1..].copy_from_slice(&(text.len() as u64).to_le_bytes());
                width
            }
        };
        (head, 1 + width)
    }

    /// The text behind the head.
    #[inline]
    pub(super) fn tail(self) -> &'a [u8] {
        match self {
            Self::Int(_) => &[],
            Self::Bytes(text) => text,
        }
    }

    /// Writes its bytes to the start of `out`, with what leads back over them if `back`, and answers how many they are.
    #[inline]
    pub(crate) fn write(self, out: &mut [u8], back: bool) -> usize {
        if let Self::Bytes(text) = self {
            assert!(text.len() < 1 << 32, "a packed text has less than 4 GiB");
        }
        let ((head, len), tail) = (self.head(), self.tail());
        let size = len + tail.len();
        out[..len].copy_from_slice(&head[..len]);
        out[len..size].copy_from_slice(tail);
        if !back {
            return size;
        }
        let groups = back_len(size);
        for (byte, group) in out[size..size + groups].iter_mut().zip((0..groups).rev()) {
            let more = if group + 1 < groups { 0x80 } else { 0 };
            *byte = (size >> (7 * group)) as u8 & 0x7f | more;
        }
        size + groups
    }
}

fn int_width(number: i64) -> usize {
    if i16::try_from(number).is_ok() {
        2
    } else if (-0x80_0000..0x80_0000).contains(&number) {
        3
    } else if i32::try_from(number).is_ok() {
        4
    } else {
        8
    }
}

/// Bytes that lead back over an element of `size` bytes.
#[inline]
pub(super) fn back_len(size: usize) -> usize {
    match size {
        0..0x80 => 1,
        0x80..0x4000 => 2,
        0x4000..0x20_0000 => 3,
        0x20_0000..0x1000_0000 => 4,
        _ => 5,
    }
}

/// Size of the element that ends, with its way back, where `bytes` end.
pub(super) fn size_before(bytes: &[u8]) -> Option<usize> {
    let mut size = 0;
    for (group, byte) in bytes.iter().rev().take(5).enumerate() {
        size |= usize::from(byte & 0x7f) << (7 * group);
        if byte & 0x80 == 0 {
            return Some(size);
        }
    }
    None
}

/// Size of the element at `at`, as far as its head tells; it may reach beyond the block.
#[inline]
pub(crate) fn size_at(bytes: &[u8], at: usize) -> Option<usize> {
    let head = *bytes.get(at)?;
    match head {
        ..TEXT => Some(1),
        TEXT..LONG_TEXT => Some(1 + usize::from(head & 0x3f)),
        SHORT_INTEGER.. => Some(2),
        _ => {
            let width = usize::from(head & 15);
            match head & 0xf0 {
                INTEGER => Some(1 + width),
                LONG_TEXT => Some(1 + width + long_len(bytes, at + 1, width)?),
                _ => None,
            }
        }
    }
}

fn long_len(bytes: &[u8], at: usize, width: usize) -> Option<usize> {
    if !matches!(width, 1 | 2 | 4) {
        return None;
    }
    let mut len = [0; 8];
    len[..width].copy_from_slice(bytes.get(at..at + width)?);
    Some(u64::from_le_bytes(len) as usize)
}

/// The element at `at` and its size.
#[inline(always)]
pub(crate) fn decode(bytes: &[u8], at: usize) -> Option<(Element<'_>, usize)> {
    match *bytes.get(at)? {
        // Most are short texts, and in line they come back in registers; all else would be too much there.
        head @ TEXT..LONG_TEXT => {
            let size = 1 + usize::from(head & 0x3f);
            let text = bytes.get(at + 1..at + size)?;
            Some((Element::Bytes(text), size))
        }
        head => decode_other(head, bytes, at),
    }
}

fn decode_other(head: u8, bytes: &[u8], at: usize) -> Option<(Element<'_>, usize)> {
    let size = size_at(bytes, at)?;
    let own = bytes.get(at..at + size)?;
    let element = match head {
        small @ ..TEXT => Element::Int(i64::from(small)),
        SHORT_INTEGER.. => {
            // The sign is the highest of 13 bits.
            let high = ((head << 3) as i8) >> 3;
            Element::Int(i64::from(high) << 8 | i64::from(own[1]))
        }
        _ if head & 0xf0 == LONG_TEXT => Element::Bytes(&own[1 + usize::from(head & 15)..]),
        _ => Element::Int(integer(&own[1..])?),
    };
    Some((element, size))
}

/// A signed integer of 2, 3, 4 or 8 bytes.
fn integer(bytes: &[u8]) -> Option<i64> {
    let unused = match bytes.len() {
        2..=4 | 8 => 64 - 8 * bytes.len() as u32,
        _ => return None,
    };
    let mut wide = [0; 8];
    wide[8 - bytes.len()..].copy_from_slice(bytes);
    Some(i64::from_le_bytes(wide) >> unused)
}
