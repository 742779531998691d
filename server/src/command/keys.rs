//! Where the keys stand among a command's arguments.
//!
//! A [`KeySpec`] says where a run of keys begins and how to step through it, in the model of Redis' COMMAND INFO.
//! [`keys_of`] is the only reader of the specs: routing, COMMAND GETKEYS, ACL and cluster slots all ask it, so they
//! cannot disagree about what a command touches. It never guesses: a call whose keys it cannot tell for certain is
//! an [`Unclear`], and the caller refuses the command.

use super::{Command, Flags, flag};
use crate::call::Args;

/// A run of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySpec {
    pub begin: Begin,
    pub find: Find,
    pub flags: KeyFlags,
    pub notes: &'static str,
}

/// Where the run begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begin {
    /// At this argument.
    Index(u8),
    /// After this word, which is looked for from argument `from` on, or if that is negative, backwards from the end.
    Keyword {
        word: &'static str,
        from: i8,
    },
    Unknown,
}

/// Which arguments of the run are keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Find {
    /// Every `step`th up to `last`: relative to the beginning, or if negative, to the end of the arguments (-1 is the
    /// last one). If `last` is -1, a `limit` of n ≥ 2 stops after the first nth of the remaining arguments.
    Range {
        last: i8,
        step: u8,
        limit: u8,
    },
    /// An argument holds the number of keys: `count` and the `first` key are relative to the beginning.
    KeyNum {
        count: u8,
        first: u8,
        step: u8,
    },
    Unknown,
}

/// One key at argument `index`.
pub const fn key(index: u8, flags: KeyFlags) -> KeySpec {
    KeySpec {
        begin: Begin::Index(index),
        find: Find::Range {
            last: 0,
            step: 1,
            limit: 0,
        },
        flags,
        notes: "",
    }
}

/// Every argument from `index` on.
pub const fn keys_from(index: u8, flags: KeyFlags) -> KeySpec {
    key(index, flags).range(-1, 1, 0)
}

/// Argument `index` is the number of the keys that follow it.
pub const fn counted_keys(index: u8, flags: KeyFlags) -> KeySpec {
    key(index, flags).counted(0, 1, 1)
}

/// One key after `word`.
pub const fn key_after(word: &'static str, from: i8, flags: KeyFlags) -> KeySpec {
    KeySpec {
        begin: Begin::Keyword { word, from },
        ..key(0, flags)
    }
}

/// Keys that only the command's own `find_keys` can tell.
pub const fn unknown_keys(flags: KeyFlags) -> KeySpec {
    KeySpec {
        begin: Begin::Unknown,
        find: Find::Unknown,
        flags,
        notes: "",
    }
}

impl KeySpec {
    pub const fn range(self, last: i8, step: u8, limit: u8) -> KeySpec {
        KeySpec {
            find: Find::Range { last, step, limit },
            ..self
        }
    }

    pub const fn counted(self, count: u8, first: u8, step: u8) -> KeySpec {
        KeySpec {
            find: Find::KeyNum { count, first, step },
            ..self
        }
    }

    pub const fn notes(self, notes: &'static str) -> KeySpec {
        KeySpec { notes, ..self }
    }

    /// True if the arguments that the spec means can be found without a `find_keys` function.
    pub const fn is_complete(&self) -> bool {
        self.flags & INCOMPLETE == 0
            && !matches!(self.begin, Begin::Unknown)
            && !matches!(self.find, Find::Unknown)
    }
}

/// What a command does to a key.
pub type KeyFlags = u16;

flags! { KeyFlags, NAMES:
    /// Reads the value, does not change it.
    RO = 0 "RO",
    /// Reads and changes.
    RW = 1 "RW",
    /// Replaces the value without looking at it.
    OW = 2 "OW",
    /// Deletes the key.
    RM = 3 "RM",
    /// Returns, copies or decides on the user's data, not only on facts about it such as its type or length.
    ACCESS = 4 "access",
    /// Changes data in dependence on what is there.
    UPDATE = 5 "update",
    /// Adds data, nothing that was there is lost.
    INSERT = 6 "insert",
    /// Removes data.
    DELETE = 7 "delete",
    /// Routed like a key, but names something else (a shard channel).
    NOT_KEY = 8 "not_key",
    /// There may be keys that the spec does not find.
    INCOMPLETE = 9 "incomplete",
    /// The actual flags depend on other arguments; the spec has the most it can be.
    VARIABLE_FLAGS = 10 "variable_flags",
}

/// The flags of which every spec has exactly one.
pub const MODES: KeyFlags = RO | RW | OW | RM;

/// A key's place among the arguments of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyAt {
    pub index: usize,
    pub flags: KeyFlags,
}

/// The `n`th key of a call (0 is the first), `None` after the last.
pub type KeyFinder = fn(args: Args<'_>, n: usize) -> Result<Option<KeyAt>, Unclear>;

/// The arguments do not say what the keys are: a number of keys that is none or too large, a word that is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unclear;

/// The argument that is the only key of every call, if the row says so.
#[inline]
pub fn only_key(command: &Command) -> Option<usize> {
    match command.keys {
        [
            KeySpec {
                begin: Begin::Index(index),
                find: Find::Range { last: 0, .. },
                flags,
                ..
            },
        ] if flags & INCOMPLETE == 0
            // A function beside it tells no other place then, only what becomes of the key.
            && (command.find_keys.is_none() || flags & VARIABLE_FLAGS != 0) =>
        {
            Some(usize::from(*index))
        }
        _ => None,
    }
}

/// The keys of a call whose arity has been checked, in the order of the specs; the iterator ends after an error.
#[inline]
pub fn keys_of<'a>(command: &'static Command, args: Args<'a>) -> Keys<'a> {
    let specs = if command.find_keys.is_some() {
        &[]
    } else {
        command.keys
    };
    Keys {
        args,
        specs,
        run: Run::EMPTY,
        find: command.find_keys,
        found: 0,
    }
}

/// See [`keys_of`].
#[derive(Clone)]
pub struct Keys<'a> {
    args: Args<'a>,
    /// Specs not looked at yet; none if a function finds the keys.
    specs: &'static [KeySpec],
    run: Run,
    find: Option<KeyFinder>,
    /// Keys that the function found.
    found: usize,
}

impl Iterator for Keys<'_> {
    type Item = Result<KeyAt, Unclear>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(key) = self.run.next() {
                return Some(Ok(key));
            }
            let Some((spec, others)) = self.specs.split_first() else {
                return self.next_of_function();
            };
            self.specs = others;
            match keys_of_spec(spec, self.args) {
                Ok(run) => self.run = run,
                Err(unclear) => {
                    self.specs = &[];
                    return Some(Err(unclear));
                }
            }
        }
    }
}

impl Keys<'_> {
    fn next_of_function(&mut self) -> Option<Result<KeyAt, Unclear>> {
        let key = self.find?(self.args, self.found).transpose();
        self.found += 1;
        if !matches!(key, Some(Ok(_))) {
            self.find = None;
        }
        key
    }
}

/// The part of one spec's keys that is still to come: every `step`th argument from `index` up to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    index: usize,
    end: usize,
    step: usize,
    flags: KeyFlags,
}

impl Run {
    const EMPTY: Run = Run {
        index: 0,
        end: 0,
        step: 1,
        flags: 0,
    };

    #[inline]
    fn next(&mut self) -> Option<KeyAt> {
        let key = KeyAt {
            index: self.index,
            flags: self.flags,
        };
        self.index += self.step;
        (key.index < self.end).then_some(key)
    }
}

/// An absent keyword means that there are no such keys; anything else that does not fit is unclear.
#[inline]
fn keys_of_spec(spec: &KeySpec, args: Args<'_>) -> Result<Run, Unclear> {
    if spec.flags & INCOMPLETE != 0 {
        return Err(Unclear);
    }
    let begin = match spec.begin {
        Begin::Index(index) => usize::from(index),
        Begin::Keyword { word, from } => match after_word(args, word, from) {
            Some(index) => index,
            None => return Ok(Run::EMPTY),
        },
        Begin::Unknown => return Err(Unclear),
    };
    let (index, end, step) = match spec.find {
        Find::Range { last, step, limit } => {
            (begin, end_of_range(args.len(), begin, last, limit)?, step)
        }
        Find::KeyNum { count, first, step } => {
            let keys = args
                .get(begin + usize::from(count))
                .and_then(number_of_keys)
                .ok_or(Unclear)?;
            let index = begin + usize::from(first);
            (index, end_of_count(args.len(), index, keys, step)?, step)
        }
        Find::Unknown => return Err(Unclear),
    };
    Ok(Run {
        index,
        end,
        step: usize::from(step),
        flags: spec.flags,
    })
}

/// The index after the last key of a range: `begin ≤ end ≤ len`. Only a range up to the last argument may be empty.
fn end_of_range(len: usize, begin: usize, last: i8, limit: u8) -> Result<usize, Unclear> {
    let back = usize::from(last.unsigned_abs());
    let (end, fewest) = match (last, limit) {
        (0.., _) => (begin + back + 1, 1),
        (-1, 2..) => (begin + len.saturating_sub(begin) / usize::from(limit), 1),
        (-1, _) => (len, 0),
        _ => ((len + 1).saturating_sub(back), 1),
    };
    if begin + fewest <= end && end <= len {
        Ok(end)
    } else {
        Err(Unclear)
    }
}

/// The index after the last of a number of keys: `end ≤ len`.
fn end_of_count(len: usize, index: usize, keys: usize, step: u8) -> Result<usize, Unclear> {
    let Some(others) = keys.checked_sub(1) else {
        return Ok(index);
    };
    let end = index + others * usize::from(step) + 1;
    if end <= len { Ok(end) } else { Err(Unclear) }
}

/// The index after `word`.
fn after_word(args: Args<'_>, word: &str, from: i8) -> Option<usize> {
    let is_word = |&i: &usize| {
        args.get(i)
            .is_some_and(|arg| arg.eq_ignore_ascii_case(word.as_bytes()))
    };
    let back = usize::from(from.unsigned_abs());
    let found = match from {
        0.. => (back..args.len()).find(is_word),
        _ => (1..=args.len().checked_sub(back)?).rev().find(is_word),
    };
    found.map(|i| i + 1)
}

/// A plain decimal number, at most the number of arguments that one call can have.
fn number_of_keys(text: &[u8]) -> Option<usize> {
    let canonical = matches!(text, [b'0'] | [b'1'..=b'9', ..]) && text.len() < 10;
    canonical.then(|| str::from_utf8(text).ok()?.parse().ok())?
}

impl Command {
    /// The flags of COMMAND INFO: the row's and those that follow from its key specs.
    pub const fn all_flags(&self) -> Flags {
        if self.movable_keys() {
            self.flags | flag::MOVABLE_KEYS
        } else {
            self.flags
        }
    }
}

/// The keys as Redis 2.8 described them: first, last (negative: from the end), step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyRange {
    pub first: i32,
    pub last: i32,
    pub step: i32,
}

impl KeyRange {
    const NONE: KeyRange = KeyRange {
        first: 0,
        last: 0,
        step: 0,
    };
}

impl Command {
    /// The range that old clients read: it covers the specs that are plain neighbouring ranges and no others.
    pub const fn key_range(&self) -> KeyRange {
        self.legacy_keys().0
    }

    /// True if [`key_range`](Command::key_range) does not say it all.
    pub const fn movable_keys(&self) -> bool {
        self.legacy_keys().1
    }

    const fn legacy_keys(&self) -> (KeyRange, bool) {
        let (mut range, mut movable) = (KeyRange::NONE, false);
        let mut i = 0;
        while i < self.keys.len() {
            match self.keys[i].as_range() {
                Some(next) if range.step == 0 && (next.step == 1 || self.keys.len() == 1) => {
                    range = next
                }
                Some(next) if next.step == 1 && next.first == range.last + 1 => {
                    range.last = next.last
                }
                _ => movable = true,
            }
            i += 1;
        }
        (range, movable)
    }
}

impl KeySpec {
    const fn as_range(&self) -> Option<KeyRange> {
        match (self.begin, self.find) {
            (Begin::Index(first), Find::Range { last, step, .. }) => {
                let (first, last) = (first as i32, last as i32);
                let last = if last < 0 { last } else { first + last };
                Some(KeyRange {
                    first,
                    last,
                    step: step as i32,
                })
            }
            _ => None,
        }
    }
}
