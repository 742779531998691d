//! What SORT looks up by its BY and GET patterns, now or as of the moment of the command.
//!
//! A sort of many elements looks values up batch by batch, while others write. So it leaves a keeper in every cell:
//! whoever changes a key that a pattern may name has the value kept that the key had ([`Before`]). A value that was kept
//! counts; a key of which none was is as it was at the moment.

use std::any::Any;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use ostraka_datatypes::hashes::HashRef;
use ostraka_datatypes::numbers;
use ostraka_datatypes::raw::entry::{Entry, StringRef, Type};
use ostraka_datatypes::raw::table::{Keeper, KeeperId};

use crate::executor::Executor;
use crate::keyspace::Keyspace;
use crate::router::Key;
use crate::server::{DbId, Shard};
use crate::shards::CellSet;

/// What is looked up; `None` is nothing.
pub type Value = Option<Box<[u8]>>;

/// What a pattern makes of an element.
pub enum Pattern {
    /// `#`: the element.
    Itself,
    /// No `*`: nothing.
    Nothing,
    /// The string at the key `prefix element suffix`, or a field of the hash there.
    Key {
        prefix: Box<[u8]>,
        suffix: Box<[u8]>,
        field: Option<Box<[u8]>>,
    },
}

impl Pattern {
    pub fn parse(pattern: &[u8]) -> Self {
        if pattern == b"#" {
            return Self::Itself;
        }
        let Some(star) = pattern.iter().position(|byte| *byte == b'*') else {
            return Self::Nothing;
        };
        let (prefix, rest) = (&pattern[..star], &pattern[star + 1..]);
        let arrow = rest.windows(2).position(|two| two == b"->");
        let arrow = arrow.filter(|at| at + 2 < rest.len());
        Self::Key {
            prefix: prefix.into(),
            suffix: rest[..arrow.unwrap_or(rest.len())].into(),
            field: arrow.map(|at| rest[at + 2..].into()),
        }
    }

    pub fn looks_up(&self) -> bool {
        matches!(self, Self::Key { .. })
    }

    /// Whether there may be an element that it makes this key of.
    fn may_name(&self, key: &[u8]) -> bool {
        match self {
            Self::Key { prefix, suffix, .. } => key
                .strip_prefix(&**prefix)
                .is_some_and(|rest| rest.ends_with(suffix)),
            _ => false,
        }
    }

    /// What the entry at the key holds for it.
    fn value(&self, entry: &Entry, now_ms: u64) -> Value {
        let expired = entry.deadline().is_some_and(|deadline| deadline <= now_ms);
        match self {
            _ if expired => None,
            Self::Key { field: None, .. } if entry.kind() == Type::String => {
                Some(match entry.string() {
                    StringRef::Int(number) => numbers::format_i64(number).into(),
                    StringRef::Bytes(text) => text.into(),
                })
            }
            Self::Key {
                field: Some(name), ..
            } if entry.kind() == Type::Hash => {
                let field = HashRef::of(entry, now_ms).get(name)?;
                Some(field.value.to_vec().into())
            }
            _ => None,
        }
    }
}

/// Values of keys that have changed since the moment.
struct Before {
    patterns: Arc<[Pattern]>,
    now_ms: u64,
    /// For each pattern, by key. Trees, because a hash table that grows moves everything at once.
    values: Vec<BTreeMap<Box<[u8]>, Value>>,
}

impl Keeper<Entry> for Before {
    fn keep(&mut self, key: &[u8], old: Option<&Entry>) {
        for (pattern, values) in self.patterns.iter().zip(&mut self.values) {
            if pattern.may_name(key) && !values.contains_key(key) {
                let value = old.and_then(|entry| pattern.value(entry, self.now_ms));
                values.insert(key.into(), value);
            }
        }
    }
}

/// The keyspace at one moment, as far as patterns look it up.
pub struct Moment {
    patterns: Arc<[Pattern]>,
    now_ms: u64,
    /// One in each cell. Those that are left, once the moment is being given back.
    keepers: Vec<(usize, (DbId, KeeperId))>,
}

impl Moment {
    /// Now. All cells are held.
    pub fn begin(db: &mut Keyspace<'_>, patterns: &Arc<[Pattern]>) -> Self {
        let (now_ms, index) = (db.now_ms() as u64, db.db());
        let keepers = db.held().iter().map(|cell| {
            let before = Before {
                patterns: Arc::clone(patterns),
                now_ms,
                values: patterns.iter().map(|_| BTreeMap::new()).collect(),
            };
            let shard = db.shard(cell);
            (cell, shard.begin_keeping(index, Box::new(before)))
        });
        Self {
            patterns: Arc::clone(patterns),
            now_ms,
            keepers: keepers.collect(),
        }
    }

    /// What a pattern found at a key of this cell.
    fn value(&self, shard: &mut Shard, key: Key<'_>, pattern: usize) -> Value {
        let (_, keeper) = self.keepers[key.cell];
        let (keeper, table) = shard.keeper(keeper);
        let before = (keeper as &dyn Any).downcast_ref::<Before>();
        let before = before.expect("the keeper of a SORT keeps values");
        match before.values[pattern].get(key.bytes) {
            Some(value) => value.clone(),
            None => {
                let entry = table.get(table.seed().turned(key.hash), key.bytes)?;
                self.patterns[pattern].value(&entry, self.now_ms)
            }
        }
    }

    /// Takes the keepers back. `false`: some cells are busy; ask again.
    pub fn give_back(&mut self, exec: &mut Executor) -> bool {
        self.keepers.retain(|&(cell, keeper)| {
            let Some(mut held) = exec.server.cells.try_take(CellSet::single(cell), exec) else {
                return true;
            };
            let (before, flushed) = held.access().data(cell).end_keeping(keeper);
            held.release(exec);
            exec.free_later(0, Box::new(before));
            if let Some(flushed) = flushed {
                exec.free_later(flushed.len(), Box::new(flushed));
            }
            false
        });
        self.keepers.is_empty()
    }
}

/// Values being looked up: of some elements by some patterns.
pub struct Batch {
    pub elements: Vec<Box<[u8]>>,
    /// For each element one by each pattern.
    pub values: Vec<Value>,
    wanted: Vec<Wanted>,
}

/// A value that is not there yet.
struct Wanted {
    key: Box<[u8]>,
    pattern: usize,
    /// Where it belongs.
    place: usize,
}

impl Batch {
    /// Of `elements` by the patterns with the indexes `chosen`.
    pub fn new(elements: Vec<Box<[u8]>>, patterns: &[Pattern], chosen: Range<usize>) -> Self {
        let (mut values, mut wanted) = (Vec::new(), Vec::new());
        for element in &elements {
            for pattern in chosen.clone() {
                let value = match &patterns[pattern] {
                    Pattern::Itself => Some(element.clone()),
                    Pattern::Nothing => None,
                    Pattern::Key { prefix, suffix, .. } => {
                        wanted.push(Wanted {
                            key: [prefix, element, suffix]
                                .map(|part| &**part)
                                .concat()
                                .into(),
                            pattern,
                            place: values.len(),
                        });
                        None
                    }
                };
                values.push(value);
            }
        }
        Self {
            elements,
            values,
            wanted,
        }
    }

    /// Looks all up in the keyspace as it is now.
    pub fn look_up(&mut self, db: &mut Keyspace<'_>, patterns: &[Pattern]) {
        let now_ms = db.now_ms() as u64;
        for wanted in self.wanted.drain(..) {
            let key = db.exec.server.router.key(&wanted.key);
            let value = db.read(key);
            self.values[wanted.place] =
                value.and_then(|entry| patterns[wanted.pattern].value(&entry, now_ms));
        }
    }

    /// Looks up as of `moment` what it can, cell by cell. `true`: that was all.
    pub fn look_back(&mut self, moment: &Moment, exec: &mut Executor) -> bool {
        let router = exec.server.router;
        let cell = |wanted: &Wanted| router.cell(&wanted.key);
        self.wanted.sort_by_cached_key(cell);
        let mut busy = Vec::new();
        while let Some(last) = self.wanted.last() {
            let last = cell(last);
            let from = self.wanted.partition_point(|wanted| cell(wanted) < last);
            let group = self.wanted.split_off(from);
            let Some(mut held) = exec.server.cells.try_take(CellSet::single(last), exec) else {
                busy.extend(group);
                continue;
            };
            let mut access = held.access();
            for wanted in group {
                let key = router.key(&wanted.key);
                let value = moment.value(access.data(last), key, wanted.pattern);
                let stats = exec.stats();
                match value {
                    Some(_) => stats.keyspace_hits.add(1),
                    None => stats.keyspace_misses.add(1),
                }
                self.values[wanted.place] = value;
            }
            held.release(exec);
        }
        self.wanted = busy;
        self.wanted.is_empty()
    }
}
