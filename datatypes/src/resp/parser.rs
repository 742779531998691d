//! Requests: finds the arguments of one command in the bytes of a connection.
//!
//! ```text
//! multibulk   *3\r\n $3\r\nSET\r\n $1\r\nk\r\n $5\r\nhello\r\n      any first byte but '*' begins an
//! inline      SET k "hel\x6co"\r\n                                  inline line, ended by LF or CRLF
//! ```
//!
//! A command is answered as [`Span`]s into the caller's buffer, never copied and never allocated for. Two walkers
//! share the work. [`whole`] takes a complete, well-formed multibulk command in a single pass and knows no errors:
//! nearly every command goes through it alone. Whatever it declines is [`Parser::resume`]'s, which keeps its place
//! between calls, so that a command arriving in a thousand pieces is searched once, and which alone judges faults.
//! When the last byte is there, `whole` collects the spans; until then nothing is stored per argument, so that an
//! announced count costs nothing and an idle connection holds 40 bytes.
//!
//! Stricter than Redis 8: each line and each bulk must end in CRLF exactly, as in Valkey 9.1. A NUL is an ordinary
//! byte of an inline argument (Redis 7 stops looking for the line's end there).
//!
//! The parser must never panic, whatever the bytes, nor allocate for a number that a peer announced.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::as_conversions
)]

use std::fmt;

use memchr::memchr;

use super::inline::{UnbalancedQuotes, split_args};
use crate::numbers::parse_i64;

/// Longest inline request, count line or length line in bytes, without its line end.
const MAX_LINE: usize = 64 * 1024;
/// Arguments a command may have: Redis counts them in a C int.
const MAX_ARGS: usize = 0x7fff_ffff;
/// Arguments a command may have before AUTH.
const MAX_ARGS_UNAUTHENTICATED: usize = 10;
/// Bytes an argument may have before AUTH.
const MAX_BULK_UNAUTHENTICATED: usize = 16 * 1024;

/// One argument: its place in the buffer, counted from the first byte of its command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    pub start: usize,
    pub len: usize,
}

impl Span {
    /// The argument's bytes in `command`, a buffer that begins where the one given to [`Parser::parse`] began.
    #[inline]
    pub fn of(self, command: &[u8]) -> &[u8] {
        command
            .get(self.start..)
            .and_then(|rest| rest.get(..self.len))
            .expect("a span is used with the buffer it was found in")
    }
}

/// What a connection may ask for at this moment.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    args: usize,
    bulk: usize,
    bulk_authenticated: usize,
}

impl Limits {
    /// The limits of an authenticated connection; `proto_max_bulk_len` in bytes.
    pub fn authenticated(proto_max_bulk_len: usize) -> Self {
        Self {
            args: MAX_ARGS,
            bulk: proto_max_bulk_len,
            bulk_authenticated: proto_max_bulk_len,
        }
    }

    /// The limits of a connection that has yet to authenticate: it may say AUTH and HELLO, not fill the memory.
    pub fn unauthenticated(proto_max_bulk_len: usize) -> Self {
        Self {
            args: MAX_ARGS_UNAUTHENTICATED,
            bulk: MAX_BULK_UNAUTHENTICATED.min(proto_max_bulk_len),
            bulk_authenticated: proto_max_bulk_len,
        }
    }
}

/// How far one call of [`Parser::parse`] came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A command: its spans were appended, and the next command begins `consumed` bytes on.
    Command { consumed: usize },
    /// An empty line or an array of no arguments: nothing to execute and nothing to answer.
    Empty { consumed: usize },
    /// The command goes on in bytes that have not arrived, at least `missing` of them (the rest of an argument, if
    /// one is being received). Announced, not received: reserve for it in proportion to what is there already.
    Incomplete { missing: usize },
}

/// A request that breaks the protocol. The connection is told and closed: what follows cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtocolError {
    InvalidMultibulkLength,
    InvalidBulkLength,
    /// The byte found in place of an argument's `$`.
    ExpectedDollar(u8),
    /// A line or an argument that is not followed by CRLF.
    InvalidCrlf,
    TooBigCount,
    TooBigBulkCount,
    TooBigInline,
    UnbalancedQuotes,
    UnauthenticatedMultibulkLength,
    UnauthenticatedBulkLength,
}

impl fmt::Display for ProtocolError {
    /// The text that follows `-ERR ` in the reply, in Redis' words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Protocol error: ")?;
        f.write_str(match self {
            Self::InvalidMultibulkLength => "invalid multibulk length",
            Self::InvalidBulkLength => "invalid bulk length",
            Self::ExpectedDollar(found) => {
                return write!(f, "expected '$', got '{}'", found.escape_ascii());
            }
            Self::InvalidCrlf => "invalid CRLF in request",
            Self::TooBigCount => "too big mbulk count string",
            Self::TooBigBulkCount => "too big bulk count string",
            Self::TooBigInline => "too big inline request",
            Self::UnbalancedQuotes => "unbalanced quotes in request",
            Self::UnauthenticatedMultibulkLength => "unauthenticated multibulk length",
            Self::UnauthenticatedBulkLength => "unauthenticated bulk length",
        })
    }
}

impl std::error::Error for ProtocolError {}

impl From<UnbalancedQuotes> for ProtocolError {
    fn from(_: UnbalancedQuotes) -> Self {
        Self::UnbalancedQuotes
    }
}

/// The place in a command that has not arrived whole. One per connection, all zeros between commands.
#[derive(Debug, Default)]
pub struct Parser {
    /// Where the line or argument being received begins, from the first byte of the command.
    at: usize,
    /// Bytes from `at` on that are known not to hold the line's end.
    searched: usize,
    /// Arguments not received yet; 0 while the first line is read.
    args_left: usize,
    /// Length of the argument at `at`, once its length line is read.
    bulk: Option<usize>,
}

impl Parser {
    /// Looks for one command at the start of `command`, everything received since the last command ended.
    ///
    /// Spans are appended for a complete command only; after `Incomplete`, the same bytes with more behind them are
    /// expected. Quoted inline arguments are unescaped in place, which never makes them longer: hence `&mut`.
    #[inline]
    pub fn parse(
        &mut self,
        command: &mut [u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Progress, ProtocolError> {
        if self.is_between_commands() {
            let mark = spans.len();
            if let Some(consumed) = whole(command, limits, spans) {
                return Ok(Progress::Command { consumed });
            }
            spans.truncate(mark);
        }
        self.resume(command, limits, spans)
    }

    /// Whether nothing of a command has been seen.
    #[inline]
    pub fn is_between_commands(&self) -> bool {
        self.at == 0 && self.searched == 0
    }

    #[cold]
    fn resume(
        &mut self,
        command: &mut [u8],
        limits: &Limits,
        spans: &mut Vec<Span>,
    ) -> Result<Progress, ProtocolError> {
        if self.args_left == 0 {
            match command.first() {
                None => return Ok(Progress::Incomplete { missing: 1 }),
                Some(b'*') => {}
                Some(_) => return self.inline(command, spans),
            }
            match self.count(command, limits)? {
                None => return Ok(Progress::Incomplete { missing: 1 }),
                Some(0) => {
                    return Ok(Progress::Empty {
                        consumed: self.end_command(),
                    });
                }
                Some(count) => self.args_left = count,
            }
        }
        while self.args_left > 0 {
            if let Some(missing) = self.argument(command, limits)? {
                return Ok(Progress::Incomplete { missing });
            }
        }
        self.end_command();
        // Limits were checked as the lines came; somebody may have lowered them since.
        let consumed = whole(command, &Limits::authenticated(usize::MAX), spans)
            .expect("each line and argument was checked when it arrived");
        Ok(Progress::Command { consumed })
    }

    /// Reads the count line; none or fewer arguments are 0.
    fn count(&mut self, command: &[u8], limits: &Limits) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.line(command, ProtocolError::TooBigCount)? else {
            return Ok(None);
        };
        let count = line
            .get(1..)
            .and_then(parse_i64)
            .map(|count| usize::try_from(count).unwrap_or(0))
            .filter(|&count| count <= MAX_ARGS)
            .ok_or(ProtocolError::InvalidMultibulkLength)?;
        if count > limits.args {
            return Err(ProtocolError::UnauthenticatedMultibulkLength);
        }
        Ok(Some(count))
    }

    /// Passes over one argument; `Some` tells how many bytes of it are missing.
    fn argument(
        &mut self,
        command: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        let len = match self.bulk {
            Some(len) => len,
            None => match self.bulk_len(command, limits)? {
                Some(len) => len,
                None => return Ok(Some(1)),
            },
        };
        self.bulk = Some(len);
        let end = self.at.saturating_add(len);
        match command.get(end..).unwrap_or_default() {
            [b'\r', b'\n', ..] => {
                self.at = end.saturating_add(2);
                self.bulk = None;
                self.args_left = self.args_left.saturating_sub(1);
                Ok(None)
            }
            [] | [_] => Ok(Some(end.saturating_add(2).saturating_sub(command.len()))),
            _ => Err(ProtocolError::InvalidCrlf),
        }
    }

    /// Reads an argument's length line.
    fn bulk_len(
        &mut self,
        command: &[u8],
        limits: &Limits,
    ) -> Result<Option<usize>, ProtocolError> {
        let Some(line) = self.line(command, ProtocolError::TooBigBulkCount)? else {
            return Ok(None);
        };
        let digits = match line {
            [b'$', digits @ ..] => digits,
            [other, ..] => return Err(ProtocolError::ExpectedDollar(*other)),
            [] => return Err(ProtocolError::ExpectedDollar(b'\r')),
        };
        let len = parse_i64(digits)
            .and_then(|len| usize::try_from(len).ok())
            .filter(|&len| len <= limits.bulk_authenticated)
            .ok_or(ProtocolError::InvalidBulkLength)?;
        if len > limits.bulk {
            return Err(ProtocolError::UnauthenticatedBulkLength);
        }
        Ok(Some(len))
    }

    /// Takes the line at `self.at` without its CRLF, if it has arrived whole.
    fn line<'b>(
        &mut self,
        command: &'b [u8],
        too_big: ProtocolError,
    ) -> Result<Option<&'b [u8]>, ProtocolError> {
        let Some(end) = self.find(b'\r', command, too_big)? else {
            return Ok(None);
        };
        let pending = command.get(self.at..).unwrap_or_default();
        match pending.get(end..).unwrap_or_default() {
            [_, b'\n', ..] => {
                self.at = self.at.saturating_add(end).saturating_add(2);
                self.searched = 0;
                Ok(pending.get(..end))
            }
            [_, _, ..] => Err(ProtocolError::InvalidCrlf),
            _ => Ok(None),
        }
    }

    /// Looks for `byte` from where the last search ended; answers its distance from `self.at`.
    fn find(
        &mut self,
        byte: u8,
        command: &[u8],
        too_big: ProtocolError,
    ) -> Result<Option<usize>, ProtocolError> {
        let pending = command.get(self.at..).unwrap_or_default();
        let searchable = pending.get(..=MAX_LINE).unwrap_or(pending);
        let found = memchr(byte, searchable.get(self.searched..).unwrap_or_default());
        if found.is_none() && searchable.len() > MAX_LINE {
            return Err(too_big);
        }
        let unsearched = self.searched;
        self.searched = found.map_or(searchable.len(), |at| unsearched.saturating_add(at));
        Ok(found.map(|_| self.searched))
    }

    /// Reads an inline request.
    fn inline(
        &mut self,
        command: &mut [u8],
        spans: &mut Vec<Span>,
    ) -> Result<Progress, ProtocolError> {
        let Some(end) = self.find(b'\n', command, ProtocolError::TooBigInline)? else {
            return Ok(Progress::Incomplete { missing: 1 });
        };
        let mark = spans.len();
        split_args(command.get_mut(..end).unwrap_or_default(), spans)?;
        self.end_command();
        let consumed = end.saturating_add(1);
        if spans.len() == mark {
            return Ok(Progress::Empty { consumed });
        }
        Ok(Progress::Command { consumed })
    }

    /// Forgets the command that ended and answers its length in bytes.
    fn end_command(&mut self) -> usize {
        std::mem::take(self).at
    }
}

/// Takes a multibulk command that is there as a whole and in order, and answers its length in bytes.
///
/// One pass, no state; what it declines has left spans behind that the caller removes. 12–17 ns for a SET of three
/// short arguments.
#[inline]
fn whole(command: &[u8], limits: &Limits, spans: &mut Vec<Span>) -> Option<usize> {
    let (count, mut rest) = number_line(b'*', command)?;
    if count == 0 || count > limits.args {
        return None;
    }
    for _ in 0..count {
        let (len, body) = number_line(b'$', rest)?;
        if len > limits.bulk {
            return None;
        }
        let [b'\r', b'\n', after @ ..] = body.get(len..)? else {
            return None;
        };
        // Both are tails of `command`, so neither difference wraps.
        let start = command.len().wrapping_sub(body.len());
        spans.push(Span { start, len });
        rest = after;
    }
    Some(command.len().wrapping_sub(rest.len()))
}

/// Splits a line of `marker`, digits and CRLF off `text`; only numbers that [`parse_i64`] accepts too, and no sign.
#[inline]
fn number_line(marker: u8, text: &[u8]) -> Option<(usize, &[u8])> {
    if let Some((line, rest)) = text.split_first_chunk::<4>() {
        // Four bytes compared as one number: all but the second, which may be as much as 9 more, are what they must be.
        let least = u32::from_le_bytes([marker, b'0', b'\r', b'\n']);
        let value = (u32::from_le_bytes(*line) ^ least).rotate_right(8);
        if value <= 9 {
            return Some((usize::try_from(value).ok()?, rest));
        }
    }
    let (first, line) = text.split_first()?;
    if *first != marker {
        return None;
    }
    match line {
        [
            tens @ b'1'..=b'9',
            ones @ b'0'..=b'9',
            b'\r',
            b'\n',
            rest @ ..,
        ] => {
            let value = digit(*tens).wrapping_mul(10).wrapping_add(digit(*ones));
            Some((value, rest))
        }
        _ => long_number_line(line),
    }
}

/// [`number_line`] for three digits and more, up to 18: nothing longer can be the length of what is there.
fn long_number_line(text: &[u8]) -> Option<(usize, &[u8])> {
    let [b'1'..=b'9', ..] = text else {
        return None;
    };
    let mut value = 0_usize;
    for (at, byte) in text.iter().enumerate().take(19) {
        match byte {
            b'0'..=b'9' => value = value.wrapping_mul(10).wrapping_add(digit(*byte)),
            b'\r' => return Some((value, text.get(at..)?.strip_prefix(b"\r\n")?)),
            _ => return None,
        }
    }
    None
}

#[inline]
fn digit(byte: u8) -> usize {
    usize::from(byte.wrapping_sub(b'0'))
}
