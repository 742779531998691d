//! HSCAN, SSCAN and ZSCAN, which are one command but for the type; and the options that HRANDFIELD and ZRANDMEMBER share.
//!
//! A small collection is one page, whatever COUNT says. The cursor of a large one is its table's place in hash order, so
//! there is nothing to remember between two calls. A page of many elements is gathered in slices.
//!
//! As in Redis, the cursor is looked at before the key, and the options only if there is something to scan.

use ostraka_datatypes::glob::Pattern;
use ostraka_datatypes::hashes::HashRef;
use ostraka_datatypes::numbers::{format_double, format_double_17};
use ostraka_datatypes::packed::Element;
use ostraka_datatypes::raw::entry::{Entry, Type};
use ostraka_datatypes::resp::{Output, Protocol, Reply};
use ostraka_datatypes::set::SetRef;
use ostraka_datatypes::zset::ZsetRef;

use crate::call::{Args, Call, Outcome};
use crate::fault::Fault;
use crate::slices::{AT_ONCE, Budget, Work};

/// Elements that a call looks for if it is not told otherwise.
pub const COUNT: usize = 10;

/// Elements between two questions to the budget.
const PART: usize = 64;

/// Scans the collection of type `kind` at argument 1. `without` is the word that leaves out what comes with an element, if
/// anything does.
pub fn scan(c: &mut Call<'_>, kind: Type, without: &str) -> Outcome {
    let (cursor, key, now_ms) = (
        parse_cursor(c.args.at(2))?,
        c.args.key(1),
        c.db.now_ms() as u64,
    );
    let mut page = Page::new(c.reply.protocol());
    let Some(entry) = c.db.read_as(key, kind)? else {
        page.reply(0, &mut c.reply);
        return Ok(());
    };
    let (count, choice) = Choice::parse(c.args, without)?;
    if count <= AT_ONCE || entry.share().is_none() {
        let next = choice.gather(&entry, now_ms, cursor, count, &mut page);
        page.reply(next, &mut c.reply);
        return Ok(());
    }
    let frozen = c.db.frozen(key)?.expect("it has just been there");
    let scanning = Scanning {
        frozen,
        now_ms,
        choice,
        cursor,
        left: count,
        page,
    };
    c.in_slices(count, &[], scanning)
}

/// A call for many elements.
struct Scanning {
    frozen: Entry,
    now_ms: u64,
    choice: Choice,
    cursor: u64,
    /// Elements still to be looked for.
    left: usize,
    page: Page,
}

impl Work for Scanning {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        loop {
            let count = self.left.min(PART);
            let (frozen, cursor) = (&self.frozen, self.cursor);
            let page = &mut self.page;
            self.cursor = self.choice.gather(frozen, self.now_ms, cursor, count, page);
            self.left -= count;
            if self.cursor == 0 || self.left == 0 {
                page.reply(self.cursor, reply);
                return true;
            }
            if !budget.spend(PART) {
                return false;
            }
        }
    }
}

/// Digits, whether or not they are a place that exists.
pub fn parse_cursor(text: &[u8]) -> Result<u64, Fault> {
    let number = text.iter().try_fold(0_u64, |number, byte| {
        let digit = char::from(*byte).to_digit(10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    });
    number.ok_or(Fault::InvalidCursor)
}

/// Which elements are wanted, and what of them.
struct Choice {
    pattern: Box<[u8]>,
    /// NOVALUES or NOSCORES: fields or members only.
    bare: bool,
}

impl Choice {
    /// Reads the options from argument 3 on: COUNT, and the rest.
    fn parse(args: Args<'_>, without: &str) -> Result<(usize, Self), Fault> {
        let (mut number, mut pattern, mut bare) = (COUNT, &b"*"[..], false);
        let mut at = 3;
        while at < args.len() {
            if args.is(at, "COUNT") && at + 1 < args.len() {
                number = count(args, at + 1)?;
                at += 2;
            } else if args.is(at, "MATCH") && at + 1 < args.len() {
                pattern = args.at(at + 1);
                at += 2;
            } else if !without.is_empty() && args.is(at, without) {
                bare = true;
                at += 1;
            } else if args.is(at, "NOVALUES") {
                return Err(Fault::err("NOVALUES option can only be used in HSCAN"));
            } else if args.is(at, "NOSCORES") {
                return Err(Fault::err("NOSCORES option can only be used in ZSCAN"));
            } else {
                return Err(Fault::Syntax);
            }
        }
        let pattern = pattern.into();
        Ok((number, Self { pattern, bare }))
    }

    /// Puts about `count` elements from `cursor` on into the page, if they match. Answers the next cursor, or 0.
    fn gather(
        &self,
        source: &Entry,
        now_ms: u64,
        cursor: u64,
        count: usize,
        page: &mut Page,
    ) -> u64 {
        let pattern = Pattern::new(&self.pattern);
        let mut push = |name: Element<'_>, value: Option<&dyn Fn(&mut Reply<'_>)>| {
            let mut digits = itoa::Buffer::new();
            if pattern.matches(name.text(&mut digits)) {
                page.push(|reply| name.reply(reply));
                if let Some(value) = value.filter(|_| !self.bare) {
                    page.push(value);
                }
            }
        };
        match source.kind() {
            Type::Hash => HashRef::of(source, now_ms).scan(cursor, count, |field| {
                push(field.name, Some(&|reply| field.value.reply(reply)));
            }),
            Type::Zset => {
                let zset = ZsetRef::of(source);
                // The two forms differ in Redis, too.
                let text = match zset {
                    ZsetRef::Packed(_) => format_double,
                    ZsetRef::Large(_) => format_double_17,
                };
                zset.scan(cursor, count, |member, score| {
                    push(member, Some(&|reply| reply.bulk(text(score).as_bytes())));
                })
            }
            _ => SetRef::of(source).scan(cursor, count, |member| push(member, None)),
        }
    }
}

/// The options of HRANDFIELD and ZRANDMEMBER: how many elements, negative if one may come more than once, and whether with
/// what comes with an element, for which the word is `with`.
pub fn sample_options(args: Args<'_>, with: &str) -> Result<(i64, bool), Fault> {
    let (count, pairs) = (args.symmetric(2)?, args.is(3, with));
    if args.len() > 4 || args.len() == 4 && !pairs {
        return Err(Fault::Syntax);
    }
    if pairs && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(Fault::OutOfRange);
    }
    Ok((count, pairs))
}

/// The number behind COUNT.
pub fn count(args: Args<'_>, at: usize) -> Result<usize, Fault> {
    let count = usize::try_from(args.integer(at)?);
    count.ok().filter(|count| *count > 0).ok_or(Fault::Syntax)
}

/// The elements of one call, gathered until it is known how many they are and where the next call goes on.
struct Page {
    output: Output,
    protocol: Protocol,
    len: usize,
}

impl Page {
    fn new(protocol: Protocol) -> Self {
        Self {
            output: Output::new(),
            protocol,
            len: 0,
        }
    }

    /// Adds what `write` writes: one item of the reply.
    fn push(&mut self, write: impl FnOnce(&mut Reply<'_>)) {
        write(&mut Reply::new(&mut self.output, self.protocol));
        self.len += 1;
    }

    /// Replies the page, and `next`: 0 when there is no more.
    fn reply(&mut self, next: u64, reply: &mut Reply<'_>) {
        reply.array(2);
        reply.bulk(itoa::Buffer::new().format(next).as_bytes());
        reply.array(self.len);
        reply.append(std::mem::take(&mut self.output));
    }
}
