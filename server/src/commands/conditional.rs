//! Conditions on the value that is there: those of SET, MSETEX and DELEX, the digest that some of them compare, and
//! the commands that consist of nothing else.

use ostraka_datatypes::raw::entry::{Entry, StringRef, Type};
use xxhash_rust::xxh3::xxh3_64;

use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::Keyspace;
use crate::router::Key;

pub static ROWS: &[&Command] = &[&DELEX, &DELIFEQ, &DIGEST];

/// What has to be true of the old value before a command changes it.
#[derive(Clone, Copy, Debug)]
pub enum Condition<'a> {
    /// NX: there is no key.
    Missing,
    /// XX: there is a key.
    Present,
    /// IFEQ: the value is this.
    Equal(&'a [u8]),
    /// IFNE: there is no key, or its value is not this.
    Differs(&'a [u8]),
    /// IFDEQ: the value's digest is this.
    DigestEqual(&'a [u8]),
    /// IFDNE: there is no key, or its value's digest is not this.
    DigestDiffers(&'a [u8]),
}

impl<'a> Condition<'a> {
    /// The condition on the value that an option names.
    pub fn on_value(word: &[u8], operand: &'a [u8]) -> Option<Self> {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if is("IFEQ") => Some(Self::Equal(operand)),
            () if is("IFNE") => Some(Self::Differs(operand)),
            () if is("IFDEQ") => Some(Self::DigestEqual(operand)),
            () if is("IFDNE") => Some(Self::DigestDiffers(operand)),
            () => None,
        }
    }

    /// Whether `key` meets it; an error if it asks for the value of something that is no string.
    pub fn met(self, db: &mut Keyspace<'_>, key: Key<'_>) -> Result<bool, Fault> {
        match self {
            Self::Missing => Ok(!db.exists(key)),
            Self::Present => Ok(db.exists(key)),
            Self::Equal(_) | Self::DigestEqual(_) => match db.string(key)? {
                Some(entry) => self.met_by(&entry),
                None => Ok(false),
            },
            Self::Differs(_) | Self::DigestDiffers(_) => match db.string(key)? {
                Some(entry) => self.met_by(&entry),
                None => Ok(true),
            },
        }
    }

    /// Whether a string meets it.
    fn met_by(self, entry: &Entry) -> Result<bool, Fault> {
        match self {
            Self::Missing => Ok(false),
            Self::Present => Ok(true),
            Self::Equal(operand) => Ok(with_text(entry, |text| text == operand)),
            Self::Differs(operand) => Ok(with_text(entry, |text| text != operand)),
            Self::DigestEqual(operand) => Ok(digest_of(entry) == parse_digest(operand)?),
            Self::DigestDiffers(operand) => Ok(digest_of(entry) != parse_digest(operand)?),
        }
    }
}

/// Hands the text of a string to `look`.
pub fn with_text<R>(entry: &Entry, look: impl FnOnce(&[u8]) -> R) -> R {
    match entry.string() {
        StringRef::Int(number) => look(itoa::Buffer::new().format(number).as_bytes()),
        StringRef::Bytes(bytes) => look(bytes),
    }
}

/// XXH3, 64 bits, seed 0: what Redis calls a string's digest.
fn digest_of(entry: &Entry) -> u64 {
    with_text(entry, xxh3_64)
}

/// Reads a digest as [`digest`] writes it, in any case.
fn parse_digest(text: &[u8]) -> Result<u64, Fault> {
    let well_formed = text.len() == 16 && text.iter().all(u8::is_ascii_hexdigit);
    well_formed
        .then(|| u64::from_str_radix(str::from_utf8(text).ok()?, 16).ok())
        .flatten()
        .ok_or_else(|| Fault::err("must be exactly 16 hexadecimal characters"))
}

command! { DIGEST =
    name: "digest", run: digest, arity: 2, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)],
    categories: STRING, group: Group::String, since: "8.4.0",
    complexity: "O(N) where N is the length of the string value.",
    summary: "Returns the digest of a string value in hexadecimal digits.", syntax: "key<key>",
}

fn digest(c: &mut Call<'_>) -> Outcome {
    match c.db.string(c.args.key(1))? {
        Some(entry) => c
            .reply
            .bulk(format!("{:016x}", digest_of(&entry)).as_bytes()),
        None => c.reply.null(),
    }
    Ok(())
}

command! { DELEX =
    name: "delex", run: delex, arity: -2, flags: WRITE | FAST,
    keys: &[key(1, RM | ACCESS | DELETE)],
    categories: STRING, group: Group::String, since: "8.4.0",
    complexity: "O(1) for IFEQ/IFNE, O(N) for IFDEQ/IFDNE where N is the length of the value.",
    summary: "Deletes a key if its string value or the digest of it fulfils a condition.",
    syntax: "key<key> \
        [condition(IFEQ ifeq-value<string>|IFNE ifne-value<string>|IFDEQ ifdeq-digest<string>|\
        IFDNE ifdne-digest<string>)]",
}

fn delex(c: &mut Call<'_>) -> Outcome {
    let key = c.args.key(1);
    if !matches!(c.args.len(), 2 | 4) {
        return Err(Fault::arity("delex"));
    }
    let met = match c.db.read(key) {
        None => false,
        Some(_) if c.args.len() == 2 => true,
        Some(entry) if entry.kind() != Type::String => {
            let text = "Key should be of string type if conditions are specified";
            return Err(Fault::err(text));
        }
        Some(entry) => Condition::on_value(c.args.at(2), c.args.at(3))
            .ok_or_else(|| Fault::err("Invalid condition. Use IFEQ, IFNE, IFDEQ, or IFDNE"))?
            .met_by(&entry)?,
    };
    let deleted = met && c.db.remove(key, "del");
    c.reply.integer(deleted.into());
    Ok(())
}

command! { DELIFEQ =
    name: "delifeq", run: delifeq, arity: 3, flags: WRITE | FAST,
    keys: &[key(1, RM | ACCESS | DELETE)], categories: STRING, group: Group::String,
    since: "9.0.0", complexity: "O(1)",
    summary: "Deletes a key if its string value equals the given one.",
    syntax: "key<key> value<string>",
}

fn delifeq(c: &mut Call<'_>) -> Outcome {
    let key = c.args.key(1);
    let met = Condition::Equal(c.args.at(2)).met(&mut c.db, key)?;
    let deleted = met && c.db.remove(key, "del");
    c.reply.integer(deleted.into());
    Ok(())
}
