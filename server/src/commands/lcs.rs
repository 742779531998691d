//! LCS.

use std::sync::Arc;

use ostraka_datatypes::blob::Blob;
use ostraka_datatypes::lcs::{self, Lcs};
use ostraka_datatypes::raw::entry::Type;

use super::conditional::with_text;
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;

pub static ROWS: &[&Command] = &[&LCS];

command! { LCS =
    name: "lcs", run: lcs, arity: -3, flags: READONLY, keys: &[key(1, RO | ACCESS).range(1, 1, 0)],
    categories: STRING, group: Group::String, since: "7.0.0",
    complexity: "O(N*M) where N and M are the lengths of s1 and s2, respectively",
    summary: "Finds the longest common substring.",
    syntax: "key1<key> key2<key> [LEN] [IDX] [MINMATCHLEN min-match-len<integer>] [WITHMATCHLEN]",
}

/// What is asked about the common subsequence.
#[derive(Default)]
struct Options {
    len: bool,
    idx: bool,
    with_match_len: bool,
    min_match_len: usize,
}

impl Options {
    fn parse(args: Args<'_>) -> Result<Self, Fault> {
        let mut options = Self::default();
        let mut at = 3;
        while at < args.len() {
            match () {
                () if args.is(at, "IDX") => options.idx = true,
                () if args.is(at, "LEN") => options.len = true,
                () if args.is(at, "WITHMATCHLEN") => options.with_match_len = true,
                () if args.is(at, "MINMATCHLEN") && at + 1 < args.len() => {
                    at += 1;
                    options.min_match_len = args.integer(at)?.max(0) as usize;
                }
                () => return Err(Fault::Syntax),
            }
            at += 1;
        }
        if options.len && options.idx {
            let text = "If you want both the length and indexes, please just use IDX.";
            return Err(Fault::err(text));
        }
        Ok(options)
    }
}

/// The largest pair of strings that is allowed takes some milliseconds, so this is not done in slices.
fn lcs(c: &mut Call<'_>) -> Outcome {
    let (a, b) = (text(c, 1)?, text(c, 2)?);
    let options = Options::parse(c.args)?;
    let longest = c.db.exec.settings.proto_max_bulk_len;
    let mut work = Lcs::new(&a, &b, !options.len, longest).map_err(Fault::err)?;
    while !work.advance(&a, usize::MAX) {}
    if options.len {
        c.reply.integer(work.length() as i64);
        return Ok(());
    }
    let matches = work.matches(&a, &b);
    if !options.idx {
        c.reply.bulk(&lcs::text(&a, &matches));
        return Ok(());
    }
    let length: usize = matches.iter().map(|run| run.len).sum();
    let shown = || {
        matches
            .iter()
            .filter(|run| run.len >= options.min_match_len)
    };
    c.reply.map(2);
    c.reply.bulk(b"matches");
    c.reply.array(shown().count());
    for run in shown() {
        c.reply.array(2 + usize::from(options.with_match_len));
        for start in [run.a_start, run.b_start] {
            c.reply.array(2);
            c.reply.integer(start as i64);
            c.reply.integer((start + run.len - 1) as i64);
        }
        if options.with_match_len {
            c.reply.integer(run.len as i64);
        }
    }
    c.reply.bulk(b"len");
    c.reply.integer(length as i64);
    Ok(())
}

/// The string at argument `index`, empty if there is no key.
fn text(c: &mut Call<'_>, index: usize) -> Result<Blob, Fault> {
    match c.db.read(c.args.key(index)) {
        None => Ok(Blob::default()),
        Some(entry) if entry.kind() != Type::String => {
            Err(Fault::err("The specified keys must contain string values"))
        }
        Some(entry) => Ok(entry
            .blob()
            .unwrap_or_else(|| with_text(&entry, |text| Arc::new(text.to_vec())))),
    }
}
