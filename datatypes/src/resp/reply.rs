//! Replies: what a command answers, written in the version of the protocol that its connection speaks.
//!
//! The only place that knows how RESP2 and RESP3 differ, and the only one that can write a line: a text that comes
//! from a peer cannot smuggle a line end into a simple string or an error. Callers promise what types cannot say:
//! as many elements follow as an aggregate announced.
//!
//! ```text
//!            RESP2                RESP3                        RESP2               RESP3
//! null       $-1                  _              double        $3\r\n1.5           ,1.5
//! null_array *-1                  _              boolean       :1                  #t
//! map n      *2n                  %n             verbatim      $5\r\nhello         =9\r\ntxt:hello
//! set n      *n                   ~n             big_number    $2\r\n42            (42
//! push n     *n                   >n             attribute n   nothing             |n
//! ```

use memchr::memchr2;

use super::output::{Mark, Output};
use crate::blob::{BLOB_MIN, Blob};
use crate::numbers::{Extended, format_double};

/// Longest header line in bytes: a marker, 20 digits and CRLF.
const HEADER: usize = 23;
const CRLF: &[u8] = b"\r\n";

/// The version of the protocol that a connection speaks; HELLO changes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Resp2,
    Resp3,
}

/// Writes the reply to one command; see the module.
#[derive(Debug)]
pub struct Reply<'a> {
    output: &'a mut Output,
    protocol: Protocol,
}

/// An aggregate whose length is not known yet. To be closed in reverse order of opening; dropped unclosed, the reply
/// must be rolled back.
#[must_use = "close it, or roll the reply back"]
#[derive(Debug)]
pub struct Deferred {
    mark: Mark,
    marker: u8,
    per_element: usize,
}

impl<'a> Reply<'a> {
    #[inline]
    pub fn new(output: &'a mut Output, protocol: Protocol) -> Self {
        Self { output, protocol }
    }

    #[inline]
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Speaks `protocol` from here on.
    pub fn set_protocol(&mut self, protocol: Protocol) {
        self.protocol = protocol;
    }

    /// Where it is written, for a reply that is made of other commands' replies.
    pub fn output(&mut self) -> &mut Output {
        self.output
    }

    /// Bytes that wait to be sent, those of earlier commands included.
    pub fn len(&self) -> usize {
        self.output.len()
    }

    pub fn is_empty(&self) -> bool {
        self.output.is_empty()
    }

    /// The place where the next reply will begin, for [`rollback`](Self::rollback).
    #[inline]
    pub fn mark(&self) -> Mark {
        self.output.mark()
    }

    /// Takes back everything written since `mark`: a command failed half-way, or its client wants no reply.
    pub fn rollback(&mut self, mark: Mark) {
        self.output.rollback(mark);
    }

    #[inline]
    pub fn ok(&mut self) {
        self.output.room(5).extend_from_slice(b"+OK\r\n");
    }

    /// The command waits for EXEC.
    #[inline]
    pub fn queued(&mut self) {
        self.output.room(9).extend_from_slice(b"+QUEUED\r\n");
    }

    /// A status such as `PONG`; line ends in it become blanks.
    pub fn simple(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'+', text.as_ref());
    }

    /// An error, `text` beginning with its code (`ERR no such key`); line ends in it become blanks.
    pub fn error(&mut self, text: impl AsRef<[u8]>) {
        self.line(b'-', text.as_ref());
    }

    fn line(&mut self, marker: u8, text: &[u8]) {
        let out = self.output.room(text.len() + HEADER);
        out.push(marker);
        match memchr2(b'\r', b'\n', text) {
            None => out.extend_from_slice(text),
            Some(_) => out.extend(without_line_ends(text).iter().map(|&byte| match byte {
                b'\r' | b'\n' => b' ',
                other => other,
            })),
        }
        out.extend_from_slice(CRLF);
    }

    #[inline]
    pub fn integer(&mut self, value: i64) {
        let out = self.output.room(HEADER);
        match u64::try_from(value) {
            Ok(value) => header(out, b':', value),
            Err(_) => negative_integer(out, value),
        }
    }

    #[inline]
    pub fn bulk(&mut self, value: &[u8]) {
        let out = self.output.room(value.len() + HEADER + CRLF.len());
        header(out, b'$', value.len() as u64);
        out.extend_from_slice(value);
        out.extend_from_slice(CRLF);
    }

    /// Elements that were written elsewhere, in this protocol or in what is the same in both.
    pub fn append(&mut self, elements: Output) {
        self.output.append(elements);
    }

    /// An integer in the form of a string, as GET answers a counter.
    pub fn bulk_integer(&mut self, value: i64) {
        self.bulk(itoa::Buffer::new().format(value).as_bytes());
    }

    /// A large value, sent from where it lies; from [`BLOB_MIN`] bytes on, the reply keeps a reference.
    pub fn blob(&mut self, value: &Blob) {
        if value.len() < BLOB_MIN {
            return self.bulk(value);
        }
        header(self.output.room(HEADER), b'$', value.len() as u64);
        self.output.push_blob(value.clone());
        self.output.room(CRLF.len()).extend_from_slice(CRLF);
    }

    /// No value.
    #[inline]
    pub fn null(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.output.room(5).extend_from_slice(b"$-1\r\n"),
            Protocol::Resp3 => self.output.room(3).extend_from_slice(b"_\r\n"),
        }
    }

    /// No array where one was possible.
    #[inline]
    pub fn null_array(&mut self) {
        match self.protocol {
            Protocol::Resp2 => self.output.room(5).extend_from_slice(b"*-1\r\n"),
            Protocol::Resp3 => self.output.room(3).extend_from_slice(b"_\r\n"),
        }
    }

    /// Opens an array; `len` elements follow.
    #[inline]
    pub fn array(&mut self, len: usize) {
        header(self.output.room(HEADER), b'*', len as u64);
    }

    /// Opens a map; `len` pairs of key and value follow.
    pub fn map(&mut self, len: usize) {
        self.aggregate(b'%', len);
    }

    /// Opens a set; `len` elements follow.
    pub fn set(&mut self, len: usize) {
        self.aggregate(b'~', len);
    }

    /// Opens an array of pairs, each of which begins with [`pair`](Self::pair): RESP2 has no arrays in the array, but all
    /// elements in a row.
    pub fn pairs(&mut self, len: usize) {
        match self.protocol {
            Protocol::Resp2 => self.array(len * 2),
            Protocol::Resp3 => self.array(len),
        }
    }

    /// Opens one of several [`pairs`](Self::pairs); two elements follow.
    #[inline]
    pub fn pair(&mut self) {
        if self.protocol == Protocol::Resp3 {
            self.array(2);
        }
    }

    /// Opens an out-of-band message; `len` elements follow.
    pub fn push(&mut self, len: usize) {
        self.aggregate(b'>', len);
    }

    fn aggregate(&mut self, marker: u8, len: usize) {
        let (marker, per_element) = in_protocol(marker, self.protocol);
        header(self.output.room(HEADER), marker, (len * per_element) as u64);
    }

    /// Opens attributes of the reply that follows, if the protocol has them: only after `true`, `len` pairs follow.
    #[must_use = "the pairs follow only if the protocol has attributes"]
    pub fn attribute(&mut self, len: usize) -> bool {
        let known = self.protocol == Protocol::Resp3;
        if known {
            header(self.output.room(HEADER), b'|', len as u64);
        }
        known
    }

    /// Opens an array whose length [`close`](Self::close) tells.
    pub fn deferred_array(&mut self) -> Deferred {
        self.deferred(b'*')
    }

    /// Opens a map whose number of pairs [`close`](Self::close) tells.
    pub fn deferred_map(&mut self) -> Deferred {
        self.deferred(b'%')
    }

    /// Opens a set whose length [`close`](Self::close) tells.
    pub fn deferred_set(&mut self) -> Deferred {
        self.deferred(b'~')
    }

    fn deferred(&mut self, marker: u8) -> Deferred {
        let (marker, per_element) = in_protocol(marker, self.protocol);
        Deferred {
            mark: self.output.mark(),
            marker,
            per_element,
        }
    }

    /// Writes the length of `aggregate` where it began. Whatever its size, at most one chunk of it moves.
    pub fn close(&mut self, aggregate: Deferred, len: usize) {
        let mut line = Vec::with_capacity(HEADER);
        header(
            &mut line,
            aggregate.marker,
            (len * aggregate.per_element) as u64,
        );
        self.output.insert(aggregate.mark, &line);
    }

    /// A score, distance or other double, in its shortest form.
    pub fn double(&mut self, value: f64) {
        let text = format_double(value);
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    /// A coordinate: a double without an exponent, with up to 17 digits behind the point.
    pub fn human_double(&mut self, value: f64) {
        let text = Extended::from(value).to_text();
        match self.protocol {
            Protocol::Resp2 => self.bulk(text.as_bytes()),
            Protocol::Resp3 => self.line(b',', text.as_bytes()),
        }
    }

    pub fn boolean(&mut self, value: bool) {
        let text = match (self.protocol, value) {
            (Protocol::Resp2, false) => b":0\r\n",
            (Protocol::Resp2, true) => b":1\r\n",
            (Protocol::Resp3, false) => b"#f\r\n",
            (Protocol::Resp3, true) => b"#t\r\n",
        };
        self.output.room(text.len()).extend_from_slice(text);
    }

    /// A text for humans; `format` is `b"txt"` or `b"mkd"`.
    pub fn verbatim(&mut self, format: &[u8; 3], text: &[u8]) {
        if self.protocol == Protocol::Resp2 {
            return self.bulk(text);
        }
        let len = format.len() + 1 + text.len();
        let out = self.output.room(len + HEADER + CRLF.len());
        header(out, b'=', len as u64);
        out.extend_from_slice(format);
        out.push(b':');
        out.extend_from_slice(text);
        out.extend_from_slice(CRLF);
    }

    /// An integer of any size, as its digits.
    pub fn big_number(&mut self, digits: &str) {
        match self.protocol {
            Protocol::Resp2 => self.bulk(digits.as_bytes()),
            Protocol::Resp3 => self.line(b'(', digits.as_bytes()),
        }
    }
}

/// The marker of a RESP3 aggregate in `protocol`, and how many elements one of its elements takes there.
fn in_protocol(marker: u8, protocol: Protocol) -> (u8, usize) {
    match (protocol, marker) {
        (Protocol::Resp3, _) => (marker, 1),
        (Protocol::Resp2, b'%') => (b'*', 2),
        (Protocol::Resp2, _) => (b'*', 1),
    }
}

/// `text` without the line ends behind it.
fn without_line_ends(text: &[u8]) -> &[u8] {
    let end = text.iter().rposition(|byte| !matches!(byte, b'\r' | b'\n'));
    &text[..end.map_or(0, |last| last + 1)]
}

/// Writes a marker, a number and CRLF. Up to three digits are a constant-size store; longer ones go through `itoa`.
#[inline]
fn header(out: &mut Vec<u8>, marker: u8, value: u64) {
    let digit = |unit: u64| b'0' + (value / unit % 10) as u8;
    match value {
        0..10 => out.extend_from_slice(&[marker, digit(1), b'\r', b'\n']),
        10..100 => out.extend_from_slice(&[marker, digit(10), digit(1), b'\r', b'\n']),
        100..1000 => {
            out.extend_from_slice(&[marker, digit(100), digit(10), digit(1), b'\r', b'\n']);
        }
        _ => long_header(out, marker, value),
    }
}

fn long_header(out: &mut Vec<u8>, marker: u8, value: u64) {
    out.push(marker);
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(CRLF);
}

fn negative_integer(out: &mut Vec<u8>, value: i64) {
    out.push(b':');
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    out.extend_from_slice(CRLF);
}
