//! What HSCAN, SSCAN and ZSCAN share: the cursor, the options, the reply.
//!
//! A small collection is one page, whatever COUNT says. The cursor of a large one is its table's place in hash order, so
//! there is nothing to remember between two calls.
//!
//! As in Redis, the cursor is looked at before the key, and the options only if there is something to scan:
//! ```text
//!  let cursor = collection_scan::cursor(c.args)?;       ERR invalid cursor
//!  let Some(entry) = c.db.read_as(..)? else { .. };     WRONGTYPE, or Page::empty(c)
//!  let options = Options::parse(c.args, ..)?;           syntax
//! ```

use ostraka_datatypes::glob::Pattern;
use ostraka_datatypes::resp::{Output, Protocol, Reply};

use crate::call::{Args, Outcome};
use crate::fault::Fault;

/// Elements that a call looks for if it is not told otherwise.
pub const COUNT: usize = 10;

/// The cursor that a client sent back, argument 2.
pub fn cursor(args: Args<'_>) -> Result<u64, Fault> {
    parse_cursor(args.at(2))
}

/// Digits, whether or not they are a place that exists.
pub fn parse_cursor(text: &[u8]) -> Result<u64, Fault> {
    let number = text.iter().try_fold(0_u64, |number, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    });
    number.ok_or(Fault::InvalidCursor)
}

/// Which elements are wanted, and how many.
pub struct Options<'a> {
    pub count: usize,
    pub pattern: Pattern<'a>,
    /// NOVALUES or NOSCORES: fields or members only.
    pub no_values: bool,
}

impl<'a> Options<'a> {
    /// Reads the options from argument 3 on; only elements that `have_values` can leave them out.
    pub fn parse(args: Args<'a>, have_values: bool) -> Result<Self, Fault> {
        Self::parse_with(args, if have_values { "NOVALUES" } else { "" })
    }

    /// The same, where `without` is the word that leaves out what comes with an element, if there is one.
    pub fn parse_with(args: Args<'a>, without: &str) -> Result<Self, Fault> {
        let mut options = Self {
            count: COUNT,
            pattern: Pattern::new(b"*"),
            no_values: false,
        };
        let mut at = 3;
        while at < args.len() {
            if args.is(at, "COUNT") && at + 1 < args.len() {
                options.count = count(args, at + 1)?;
                at += 2;
            } else if args.is(at, "MATCH") && at + 1 < args.len() {
                options.pattern = Pattern::new(args.at(at + 1));
                at += 2;
            } else if !without.is_empty() && args.is(at, without) {
                options.no_values = true;
                at += 1;
            } else if args.is(at, "NOVALUES") {
                return Err(Fault::err("NOVALUES option can only be used in HSCAN"));
            } else if args.is(at, "NOSCORES") {
                return Err(Fault::err("NOSCORES option can only be used in ZSCAN"));
            } else {
                return Err(Fault::Syntax);
            }
        }
        Ok(options)
    }
}

/// The number behind COUNT.
pub fn count(args: Args<'_>, at: usize) -> Result<usize, Fault> {
    let count = usize::try_from(args.integer(at)?);
    count.ok().filter(|count| *count > 0).ok_or(Fault::Syntax)
}

/// The elements of one call, gathered until it is known how many they are and where the next call goes on.
pub struct Page {
    output: Output,
    protocol: Protocol,
    len: usize,
}

impl Page {
    pub fn new(protocol: Protocol) -> Self {
        Self {
            output: Output::new(),
            protocol,
            len: 0,
        }
    }

    /// Adds what `write` writes: one item of the reply.
    pub fn push(&mut self, write: impl FnOnce(&mut Reply<'_>)) {
        write(&mut Reply::new(&mut self.output, self.protocol));
        self.len += 1;
    }

    /// Replies the page, and `next`: 0 when there is no more.
    pub fn reply(self, next: u64, reply: &mut Reply<'_>) -> Outcome {
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(next).as_bytes());
        reply.array(self.len);
        reply.append(self.output);
        Ok(())
    }

    /// Replies that there is nothing.
    pub fn empty(reply: &mut Reply<'_>) -> Outcome {
        Self::new(reply.protocol()).reply(0, reply)
    }
}
