//! Patterns of KEYS, SCAN, PSUBSCRIBE, CONFIG GET and ACL rules.
//!
//! ```text
//! *        any bytes, none included       [abc]  one of these        \x   x itself, whatever it means elsewhere
//! ?        any one byte                   [a-z]  one of a range      [^a-z]  any byte but these
//! ```
//!
//! Patterns come from peers: no recursion, and only one place to go back to. If what follows a star cannot match from
//! some byte on, an earlier star cannot help, because it has only ever given bytes to the part between the two.
//! The time is at most pattern times subject.
//!
//! As Redis does it, byte for byte: an unclosed class ends with the pattern, bounds of a range may come in either
//! order and are signed bytes, an escaped byte in a class keeps its case, and an empty subject is matched by no
//! pattern but the empty one and `*` (to which Redis' KEYS and SCAN give everything, its PSUBSCRIBE all but that).
#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used
)]

use memchr::memchr;

/// A pattern looked at once, to be held against many subjects.
#[derive(Clone, Copy, Debug)]
pub struct Pattern<'a> {
    text: &'a [u8],
    shape: Shape<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Shape<'a> {
    All,
    Exact,
    Prefix(&'a [u8]),
    General,
}

impl<'a> Pattern<'a> {
    pub fn new(text: &'a [u8]) -> Self {
        let plain = text.iter().take_while(|byte| !is_special(**byte)).count();
        let shape = match text.split_at_checked(plain) {
            Some((_, [])) => Shape::Exact,
            Some(([], b"*")) => Shape::All,
            Some((prefix, b"*")) => Shape::Prefix(prefix),
            _ => Shape::General,
        };
        Self { text, shape }
    }

    /// Whether every subject matches, so that none has to be looked at.
    pub fn is_all(&self) -> bool {
        matches!(self.shape, Shape::All)
    }

    /// The only subject that matches, if there is just one.
    pub fn exact(&self) -> Option<&'a [u8]> {
        matches!(self.shape, Shape::Exact).then_some(self.text)
    }

    #[inline]
    pub fn matches(&self, subject: &[u8]) -> bool {
        match self.shape {
            Shape::All => true,
            Shape::Exact => subject == self.text,
            Shape::Prefix(prefix) => subject.starts_with(prefix),
            Shape::General => matches_general(self.text, subject, false),
        }
    }
}

/// Whether all of `subject` matches `pattern`.
pub fn matches(pattern: &[u8], subject: &[u8]) -> bool {
    Pattern::new(pattern).matches(subject)
}

/// [`matches`] without regard to the case of ASCII letters.
pub fn matches_nocase(pattern: &[u8], subject: &[u8]) -> bool {
    pattern == b"*" || matches_general(pattern, subject, true)
}

fn is_special(byte: u8) -> bool {
    matches!(byte, b'*' | b'?' | b'[' | b'\\')
}

fn matches_general(pattern: &[u8], subject: &[u8], nocase: bool) -> bool {
    if subject.is_empty() {
        return pattern.is_empty();
    }
    let (mut pattern, mut subject) = (pattern, subject);
    // What follows the last star, and the bytes that star has not swallowed yet.
    let mut last_star: Option<(&[u8], &[u8])> = None;
    loop {
        if let [b'*', after @ ..] = pattern {
            if after.is_empty() {
                return true;
            }
            pattern = after;
            last_star = Some((after, subject));
            continue;
        }
        let Some((&byte, rest)) = subject.split_first() else {
            return pattern.is_empty();
        };
        if let Some(after) = matches_one(pattern, byte, nocase) {
            (pattern, subject) = (after, rest);
            continue;
        }
        let Some((after_star, [_, unswallowed @ ..])) = last_star else {
            return false;
        };
        let Some(candidates) = from_first_candidate(after_star, unswallowed, nocase) else {
            return false;
        };
        (pattern, subject) = (after_star, candidates);
        last_star = Some((after_star, candidates));
    }
}

/// The rest of `subject` from the first byte on that `pattern` may begin to match at.
fn from_first_candidate<'s>(pattern: &[u8], subject: &'s [u8], nocase: bool) -> Option<&'s [u8]> {
    match pattern {
        [first, ..] if !nocase && !is_special(*first) => subject.get(memchr(*first, subject)?..),
        _ => Some(subject),
    }
}

/// Matches one byte against what `pattern` begins with, which is no star; answers the rest of the pattern.
fn matches_one(pattern: &[u8], byte: u8, nocase: bool) -> Option<&[u8]> {
    match pattern {
        [b'?', rest @ ..] => Some(rest),
        [b'[', class @ ..] => matches_class(class, byte, nocase),
        [b'\\', literal, rest @ ..] | [literal, rest @ ..] => {
            same(*literal, byte, nocase).then_some(rest)
        }
        [] => None,
    }
}

/// Matches one byte against a class, given from behind its bracket; answers what follows the closing one.
fn matches_class(class: &[u8], byte: u8, nocase: bool) -> Option<&[u8]> {
    let (negated, mut class) = match class {
        [b'^', rest @ ..] => (true, rest),
        rest => (false, rest),
    };
    let mut found = false;
    loop {
        class = match class {
            [b'\\', literal, rest @ ..] => {
                found |= *literal == byte;
                rest
            }
            [b']', rest @ ..] => {
                class = rest;
                break;
            }
            [] => break,
            [first, b'-', last, rest @ ..] => {
                found |= in_range(*first, *last, byte, nocase);
                rest
            }
            [literal, rest @ ..] => {
                found |= same(*literal, byte, nocase);
                rest
            }
        };
    }
    (found != negated).then_some(class)
}

fn same(literal: u8, byte: u8, nocase: bool) -> bool {
    literal == byte || (nocase && literal.eq_ignore_ascii_case(&byte))
}

fn in_range(first: u8, last: u8, byte: u8, nocase: bool) -> bool {
    let signed = |byte: u8| {
        let byte = if nocase {
            byte.to_ascii_lowercase()
        } else {
            byte
        };
        byte.cast_signed()
    };
    let ordered = first.cast_signed() <= last.cast_signed();
    let (low, high) = if ordered {
        (first, last)
    } else {
        (last, first)
    };
    (signed(low)..=signed(high)).contains(&signed(byte))
}
