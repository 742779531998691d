//! The door to the data: what handlers read and change goes through here.
//!
//! A lookup expires what is due, counts hits and misses, and refreshes the access hint. A change is recorded as
//! an event with its key, in one place, so that no handler can forget what must follow from it.

use std::sync::Arc;

use ostraka_datatypes::access;
use ostraka_datatypes::blob::{Blob, Reading};
use ostraka_datatypes::collection::{Collection, Large, WANTED_MS};
use ostraka_datatypes::db::{Db, EntryRef, Found, Lookup};
use ostraka_datatypes::hash::Seed;
use ostraka_datatypes::hashes;
use ostraka_datatypes::raw::entry::{Entry, Type, Value};
use ostraka_datatypes::raw::table::prefetch;

use crate::blocking::Name;
use crate::config::settings::EvictionPolicy;
use crate::executor::Executor;
use crate::fault::Fault;
use crate::lazy_free;
use crate::observers::Ledger;
use crate::router::Key;
use crate::server::{Access, Shard, gate};
use crate::session::Session;
use crate::shards::CellSet;

/// What becomes of the deadline when a value is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ttl {
    Clear,
    Keep,
    /// Unix ms.
    At(u64),
}

/// Bytes of a string that takes longer to copy than it is worth while it is being read.
const LONG_STRING: usize = 1024 * 1024;

/// Keys whose entries are loaded together.
const GROUP: usize = 16;

/// What a change is called in keyspace events.
pub type Event = &'static str;

/// A change that nobody is notified of.
pub const SILENT: Event = "";

/// What a change of a collection came to.
pub struct Changed<R> {
    result: R,
    event: Option<Event>,
    /// Another event of the same change.
    then: Option<Event>,
    count: u64,
}

impl<R> Changed<R> {
    /// Nothing has changed.
    pub fn nothing(result: R) -> Self {
        Self {
            result,
            event: None,
            then: None,
            count: 0,
        }
    }

    /// One change.
    pub fn one(event: Event, result: R) -> Self {
        Self::many(event, 1, result)
    }

    /// As many changes as `count` says, possibly none.
    pub fn many(event: Event, count: u64, result: R) -> Self {
        Self {
            result,
            event: (count > 0).then_some(event),
            then: None,
            count,
        }
    }

    /// The same change, told even if it counts for nothing.
    pub fn in_any_case(self, event: Event) -> Self {
        Self {
            event: Some(event),
            ..self
        }
    }

    /// The same change under another event besides.
    pub fn and(self, then: Event) -> Self {
        Self {
            then: Some(then),
            ..self
        }
    }
}

/// What to do about a key that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    Skip,
    /// Begin with an empty collection, which is kept if something is put into it.
    Create,
}

/// One caller's view of the keyspace: the cells that are held, and a database selected.
pub struct Keyspace<'a> {
    /// The cells of all databases that the command holds.
    access: Access<'a>,
    pub exec: &'a mut Executor,
    db: usize,
    touches: bool,
    /// CLIENT PAUSE: entries whose time is up are not there, but stay until it is over.
    paused: bool,
    /// The caller cannot be tried again: it has changed something already, or is part of something that has.
    committed: bool,
}

impl<'a> Keyspace<'a> {
    #[inline]
    pub fn new(access: Access<'a>, exec: &'a mut Executor, session: &Session) -> Self {
        Self {
            access,
            paused: exec.raised() & gate::PAUSE != 0,
            exec,
            db: session.db(),
            touches: !session.no_touch,
            committed: session.atomic,
        }
    }

    /// The keyspace as a job sees it that a command with the caller's database has left behind.
    pub fn of_job(access: Access<'a>, exec: &'a mut Executor, db: usize) -> Self {
        Self {
            access,
            paused: exec.raised() & gate::PAUSE != 0,
            exec,
            db,
            touches: true,
            committed: true,
        }
    }

    /// Unix time in ms, as this command sees it.
    #[inline]
    pub fn now_ms(&self) -> i64 {
        self.exec.now_ms
    }

    /// What a collection that becomes large hashes with: unlike all others, since they are made of each other's elements.
    pub fn new_seed(&mut self) -> Seed {
        let salt = self.exec.dice.roll();
        self.exec.server.router.seed.vary(salt)
    }

    /// The selected database.
    pub fn db(&self) -> usize {
        self.db
    }

    /// Goes on in another database.
    pub fn select(&mut self, db: usize) {
        self.db = db;
    }

    // ---- reading

    /// The entry of `key`: counted as a hit or miss, and touched.
    #[inline]
    pub fn read(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        let touch = self.touches.then(|| self.touch());
        self.look_up(key, touch)
    }

    /// The entry of `key`: counted as a hit or miss, but not touched, as by commands that ask about a key only.
    pub fn inspect(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        self.look_up(key, None)
    }

    #[inline]
    fn look_up(&mut self, key: Key<'_>, touch: Option<Touch>) -> Option<EntryRef<'_>> {
        let stats = self.exec.stats();
        let (now, paused) = (self.exec.now_ms as u64, self.paused);
        let index = self.db;
        let (ledger, db) = self.access.data(key.cell).parts(index);
        match lookup(db, key, now, paused) {
            Lookup::Live(mut found) => {
                stats.keyspace_hits.add(1);
                if let Some(touch) = touch {
                    touch.apply(&mut found);
                }
                Some(found.into_entry())
            }
            lookup => {
                stats.keyspace_misses.add(1);
                if matches!(lookup, Lookup::Expired) {
                    ledger.expired(self.exec, index, key.hash);
                }
                None
            }
        }
    }

    /// The entry of `key`, neither counted nor touched.
    pub fn peek(&mut self, key: Key<'_>) -> Option<EntryRef<'_>> {
        self.find(key).map(Found::into_entry)
    }

    pub fn exists(&mut self, key: Key<'_>) -> bool {
        self.find(key).is_some()
    }

    /// The entry at `key` if it holds a string.
    #[inline]
    pub fn string(&mut self, key: Key<'_>) -> Result<Option<EntryRef<'_>>, Fault> {
        self.read_as(key, Type::String)
    }

    /// The entry at `key` if it is of type `kind`.
    #[inline]
    pub fn read_as(&mut self, key: Key<'_>, kind: Type) -> Result<Option<EntryRef<'_>>, Fault> {
        of_kind(self.read(key), kind)
    }

    /// The entry at `key` if it is of type `kind`, neither counted nor touched.
    pub fn peek_as(&mut self, key: Key<'_>, kind: Type) -> Result<Option<EntryRef<'_>>, Fault> {
        of_kind(self.peek(key), kind)
    }

    /// A large collection to be read in slices, with no cell held: it does not change meanwhile. Nobody who waits to
    /// change it is kept waiting by newcomers.
    pub fn freeze(&mut self, key: Key<'_>) -> Result<Option<Arc<Large>>, Fault> {
        let (now_ms, waits) = (self.exec.now_ms, !self.committed);
        let large = self.peek(key).and_then(|entry| entry.share());
        match large {
            Some(large) if waits && large.is_wanted(now_ms) => Err(Fault::Busy),
            large => Ok(large),
        }
    }

    /// The value of `key` as it is now, to be read in slices as above: an entry of the reader's own, with a small value's bytes or a
    /// reference to a large collection that is frozen.
    pub fn frozen(&mut self, key: Key<'_>) -> Result<Option<Entry>, Fault> {
        Ok(match self.freeze(key)? {
            Some(large) => Some(Entry::large(b"", large, None)),
            None => self.peek(key).map(|entry| entry.duplicate(b"")),
        })
    }

    /// The same for a string that lies outside the entry of `key`.
    pub fn reading(&mut self, key: Key<'_>, blob: Blob) -> Result<Reading, Fault> {
        match self.access.data(key.cell).ledger.wanted {
            Some((hash, until_ms))
                if !self.committed && hash == key.hash && until_ms > self.exec.now_ms =>
            {
                Err(Fault::Busy)
            }
            _ => Ok(Reading::of(blob)),
        }
    }

    /// Hands every key to `each`, in order, with its place among the keys; the entries of a group of keys are being
    /// loaded together before the first of the group is looked at.
    pub fn each_key<'k>(
        &mut self,
        mut keys: impl Iterator<Item = Key<'k>>,
        mut each: impl FnMut(&mut Self, usize, Key<'k>),
    ) {
        let mut nth = 0;
        let mut group = [None; GROUP];
        loop {
            let mut size = 0;
            for (place, key) in group.iter_mut().zip(keys.by_ref()) {
                *place = Some(key);
                size += 1;
            }
            if size > 1 {
                let spot = |key: Key<'_>| self.access.peek(key.cell).db(self.db).spot(key.hash);
                prefetch(&group.map(|key| key.and_then(spot))[..size]);
            }
            for key in group[..size].iter().flatten() {
                each(self, nth, *key);
                nth += 1;
            }
            if size < GROUP {
                return;
            }
        }
    }

    // ---- writing

    /// Stores a string, whatever was there.
    #[inline]
    pub fn set(&mut self, key: Key<'_>, value: Value<'_>, ttl: Ttl, event: Event) {
        let hint = self.touch().fresh();
        let (now, index) = (self.exec.now_ms as u64, self.db);
        let shard = self.access.data(key.cell);
        let (ledger, db) = shard.parts(index);
        ledger.changes += 1;
        let deadline = match db.find(key.hash, key.bytes, now) {
            Lookup::Live(mut found) => {
                let deadline = match ttl {
                    Ttl::Clear => None,
                    Ttl::Keep => found.entry().deadline(),
                    Ttl::At(deadline) => Some(deadline),
                };
                let entry = found.entry();
                if lazy_free::is_worth_it(entry) {
                    // Its key is the same, so the new entry can take its place.
                    let new = Entry::new(key.bytes, value, deadline);
                    let old = found.exchange(new);
                    self.exec.discard(old);
                } else {
                    found.replace(value, deadline);
                }
                found.set_hint(hint);
                deadline
            }
            lookup => {
                if matches!(lookup, Lookup::Expired) {
                    ledger.expired(self.exec, index, key.hash);
                }
                let deadline = if let Ttl::At(deadline) = ttl {
                    Some(deadline)
                } else {
                    None
                };
                db.insert(key.hash, Entry::new(key.bytes, value, deadline), hint);
                deadline
            }
        };
        if let Some(deadline) = deadline {
            self.exec.expect(key.cell, deadline as i64);
        }
        self.record(event, key);
        if matches!(ttl, Ttl::At(_)) {
            self.record("expire", key);
        }
    }

    /// The entry at `key`, to be changed.
    #[inline]
    pub fn edit(&mut self, key: Key<'_>) -> Option<Edit<'_>> {
        let touch = self.touch();
        let (now, db) = (self.exec.now_ms as u64, self.db);
        let index = self.db;
        let (ledger, db) = self.access.data(key.cell).parts(db);
        match db.find(key.hash, key.bytes, now) {
            Lookup::Live(mut found) => {
                touch.apply(&mut found);
                Some(Edit {
                    found,
                    ledger,
                    exec: self.exec,
                    name: name(index, key),
                })
            }
            Lookup::Expired => {
                ledger.expired(self.exec, index, key.hash);
                None
            }
            Lookup::Missing => None,
        }
    }

    /// Changes the collection of type `kind` at `key`: the one door for all types. `change` gets an entry that it may
    /// change at will but for key and deadline; a collection that it leaves empty is removed.
    ///
    /// A collection that somebody reads in slices makes this [`Fault::Busy`], unless the caller has changed something
    /// already, or a copy costs little: then the collection is copied.
    #[inline]
    pub fn modify<R>(
        &mut self,
        key: Key<'_>,
        kind: Type,
        missing: Missing,
        change: impl FnOnce(&mut Entry) -> Changed<R>,
    ) -> Result<Option<R>, Fault> {
        let touch = self.touch();
        let (now, now_ms) = (self.exec.now_ms as u64, self.exec.now_ms);
        let index = self.db;
        let (ledger, db) = self.access.data(key.cell).parts(index);
        let (changed, emptied, due) = match db.find(key.hash, key.bytes, now) {
            Lookup::Live(mut found) => {
                if found.entry().kind() != kind {
                    return Err(Fault::WrongType);
                }
                if found.entry().is_shared() {
                    if !self.committed && !found.entry().is_cheap_to_copy() {
                        found.entry().want(now_ms);
                        return Err(Fault::Busy);
                    }
                    found.update(Entry::unshare);
                }
                touch.apply(&mut found);
                let changed = found.update(change);
                let emptied = found.entry().is_empty_collection();
                let mut due = None;
                if emptied {
                    let entry = found.remove();
                    self.exec.discard(entry);
                } else {
                    due = found.file_fields();
                }
                (changed, emptied, due)
            }
            lookup => {
                if matches!(lookup, Lookup::Expired) {
                    ledger.expired(self.exec, index, key.hash);
                }
                if missing == Missing::Skip {
                    return Ok(None);
                }
                let mut entry = Entry::packed(kind, key.bytes, &[], None);
                let changed = change(&mut entry);
                let due = hashes::earliest(&entry);
                if !entry.is_empty_collection() {
                    db.insert(key.hash, entry, touch.fresh());
                }
                (changed, false, due)
            }
        };
        if let Some(due) = due {
            self.exec.expect(key.cell, due as i64);
        }
        self.record_change(key, &changed, emptied);
        Ok(Some(changed.result))
    }

    /// Takes the large collection at `key` out of its entry, to be changed in slices: `key` must be pending until
    /// [`give_back`](Self::give_back). Busy as with [`modify`](Self::modify); `None` if there is no large collection.
    pub fn lend(&mut self, key: Key<'_>) -> Result<Option<Collection>, Fault> {
        let (now_ms, committed) = (self.exec.now_ms, self.committed);
        let Some(mut found) = self.find(key) else {
            return Ok(None);
        };
        if found.entry().is_shared() {
            if !committed {
                found.entry().want(now_ms);
                return Err(Fault::Busy);
            }
            found.update(Entry::unshare);
        }
        let large = found.update(Entry::take_large).and_then(Arc::into_inner);
        Ok(large.map(|large| large.body))
    }

    /// Puts a collection back from which `count` elements have been taken, unless its key is gone meanwhile; an empty
    /// collection goes with its key.
    pub fn give_back(&mut self, key: Key<'_>, body: Collection, event: Event, count: u64) {
        let emptied = body.is_empty();
        let Some(mut found) = self.find(key) else {
            self.exec.free_later(1, Box::new(body));
            return;
        };
        if emptied {
            found.remove();
        } else {
            found.update(|entry| entry.set_large(body));
        }
        self.record_change(key, &Changed::many(event, count, ()), emptied);
    }

    /// What follows from a change of a collection.
    #[inline]
    fn record_change<R>(&mut self, key: Key<'_>, changed: &Changed<R>, emptied: bool) {
        self.access.data(key.cell).ledger.changes += changed.count;
        for event in changed.event.into_iter().chain(changed.then) {
            self.record(event, key);
        }
        if emptied {
            self.record("del", key);
        }
    }

    /// The string at `key`, to be changed, if there is a key and if it holds a string. A long one that somebody reads in
    /// slices is busy, as in [`modify`](Self::modify); one that is shared with a reply or a copy of it will be copied.
    #[inline]
    pub fn edit_string(&mut self, key: Key<'_>) -> Result<Option<Edit<'_>>, Fault> {
        let (until_ms, waits) = (self.exec.now_ms + WANTED_MS, !self.committed);
        match self.edit(key) {
            Some(edit) if edit.entry().kind() != Type::String => Err(Fault::WrongType),
            Some(edit) if waits && edit.entry().is_being_read(LONG_STRING) => {
                edit.ledger.wanted = Some((edit.name.hash, until_ms));
                Err(Fault::Busy)
            }
            edit => Ok(edit),
        }
    }

    /// Puts a whole entry, whose key is `key`, in the place of whatever was there.
    pub fn put(&mut self, key: Key<'_>, entry: Entry, event: Event) {
        let hint = self.touch().fresh();
        if let Some(found) = self.find(key) {
            let old = found.remove();
            self.exec.discard(old);
        }
        let deadlines = entry.deadline().into_iter();
        for deadline in deadlines.chain(hashes::earliest(&entry)) {
            self.exec.expect(key.cell, deadline as i64);
        }
        let (ledger, db) = self.access.data(key.cell).parts(self.db);
        ledger.changes += 1;
        db.insert(key.hash, entry, hint);
        self.record(event, key);
    }

    /// Takes the entry of `key` out.
    pub fn take(&mut self, key: Key<'_>, event: Event) -> Option<Entry> {
        let entry = self.find(key)?.remove();
        self.access.data(key.cell).ledger.changes += 1;
        self.record(event, key);
        Some(entry)
    }

    /// Deletes `key`. Whether it was there.
    pub fn remove(&mut self, key: Key<'_>, event: Event) -> bool {
        let entry = self.take(key, event);
        let was_there = entry.is_some();
        entry.into_iter().for_each(|entry| self.exec.discard(entry));
        was_there
    }

    /// What follows from a change, beyond the counter: who watches the key is told. Persistence, notifications and
    /// tracking hang on here.
    #[inline]
    pub fn record(&mut self, _event: Event, key: Key<'_>) {
        self.committed = true;
        let ledger = &self.access.data(key.cell).ledger;
        ledger.changed(self.exec, name(self.db, key));
    }

    fn find(&mut self, key: Key<'_>) -> Option<Found<'_>> {
        let (now, paused) = (self.exec.now_ms as u64, self.paused);
        let index = self.db;
        let (ledger, db) = self.access.data(key.cell).parts(index);
        match lookup(db, key, now, paused) {
            Lookup::Live(found) => Some(found),
            Lookup::Expired => {
                ledger.expired(self.exec, index, key.hash);
                None
            }
            Lookup::Missing => None,
        }
    }

    #[inline]
    fn touch(&mut self) -> Touch {
        Touch::new(self.exec)
    }

    // ---- the whole

    /// What another command needs to be run with, within this one.
    pub fn parts(&mut self) -> (&mut Executor, &mut Access<'a>) {
        (self.exec, &mut self.access)
    }

    /// Cells that the command holds.
    pub fn held(&self) -> CellSet {
        self.access.set()
    }

    /// Keys of the selected database in the cells held: all of them, if the command holds all.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks that")]
    pub fn len(&self) -> usize {
        let shares = self.held().iter();
        shares
            .map(|cell| self.access.peek(cell).db(self.db).len())
            .sum()
    }

    /// The selected database's share in one cell.
    pub fn share(&mut self, cell: usize) -> &mut Db {
        let db = self.db;
        self.access.data(cell).db_mut(db)
    }

    /// Any entry of the selected database in one cell, each equally likely, expired ones included.
    pub fn random(&mut self, cell: usize) -> Option<EntryRef<'_>> {
        let dice = &mut self.exec.dice;
        let shard = self.access.data(cell);
        shard.db_mut(self.db).random(&mut || dice.roll())
    }

    /// Swaps two databases; all cells are held. A database that is swapped with itself changes for nobody.
    pub fn swap(&mut self, one: usize, other: usize) {
        let cells = if one == other {
            CellSet::EMPTY
        } else {
            self.held()
        };
        for cell in cells {
            let shard = self.access.data(cell);
            shard.swap(one, other, self.exec.now_ms as u64);
            for db in [one, other] {
                shard.ledger.observers.renewed(self.exec, db, cell);
            }
        }
        self.access.data(0).ledger.changes += 1;
    }

    /// One cell's share of everything.
    pub fn shard(&mut self, cell: usize) -> &mut Shard {
        self.access.data(cell)
    }
}

#[inline]
fn of_kind(entry: Option<EntryRef<'_>>, kind: Type) -> Result<Option<EntryRef<'_>>, Fault> {
    match entry {
        Some(entry) if entry.kind() != kind => Err(Fault::WrongType),
        entry => Ok(entry),
    }
}

/// The key as those who observe it name it.
fn name(db: usize, key: Key<'_>) -> Name {
    let (hash, cell) = (key.hash, key.cell);
    Name { db, hash, cell }
}

/// Finds a live entry. One whose time is up is deleted, or during a pause only passed over.
#[inline]
fn lookup<'d>(db: &'d mut Db, key: Key<'_>, now: u64, paused: bool) -> Lookup<'d> {
    if !paused {
        return db.find(key.hash, key.bytes, now);
    }
    match db.find(key.hash, key.bytes, 0) {
        Lookup::Live(found) if found.entry().deadline().is_some_and(|at| at <= now) => {
            Lookup::Missing
        }
        lookup => lookup,
    }
}

/// An entry that may be changed. Every change names its event.
pub struct Edit<'a> {
    found: Found<'a>,
    ledger: &'a mut Ledger,
    exec: &'a mut Executor,
    name: Name,
}

impl Edit<'_> {
    #[inline]
    pub fn entry(&self) -> &Entry {
        self.found.entry()
    }

    /// Changes the value.
    #[inline]
    pub fn change<R>(&mut self, event: Event, change: impl FnOnce(&mut Entry) -> R) -> R {
        self.record(event);
        self.found.update(change)
    }

    /// Changes the value if need be; `change` answers how many changes it counts as, possibly none.
    pub fn change_some<R>(
        &mut self,
        event: Event,
        change: impl FnOnce(&mut Entry) -> (u64, R),
    ) -> R {
        let (count, result) = self.found.update(change);
        if count > 0 {
            self.record(event);
            self.ledger.changes += count - 1;
        }
        result
    }

    /// Another value and deadline.
    pub fn replace(&mut self, event: Event, value: Value<'_>, deadline: Option<u64>) {
        self.record(event);
        self.found.replace(value, deadline);
        self.expect(deadline);
    }

    /// Another deadline, or none.
    pub fn set_deadline(&mut self, event: Event, deadline: Option<u64>) {
        self.record(event);
        self.found.set_deadline(deadline);
        self.expect(deadline);
    }

    /// See [`Keyspace::record`].
    #[inline]
    fn record(&mut self, _event: Event) {
        self.ledger.changes += 1;
        self.ledger.changed(self.exec, self.name);
    }

    fn expect(&mut self, deadline: Option<u64>) {
        if let Some(deadline) = deadline {
            self.exec.expect(self.name.cell, deadline as i64);
        }
    }

    pub fn remove(mut self, event: Event) -> Entry {
        self.record(event);
        self.found.remove()
    }
}

/// How the access hint of a key that is used changes.
#[derive(Clone, Copy)]
enum Touch {
    /// To this coarse clock.
    Lru(u16),
    /// By a logarithmic counter, with a roll of the dice.
    Lfu {
        minutes: u16,
        decay_minutes: u32,
        log_factor: u32,
        roll: u64,
    },
}

impl Touch {
    #[inline]
    fn new(exec: &mut Executor) -> Self {
        match exec.settings.maxmemory_policy {
            EvictionPolicy::AllkeysLfu | EvictionPolicy::VolatileLfu => Self::Lfu {
                minutes: access::lfu_minutes(exec.now_ms as u64),
                decay_minutes: exec.settings.lfu_decay_time_min,
                log_factor: exec.settings.lfu_log_factor,
                roll: exec.dice.roll(),
            },
            _ => Self::Lru(access::lru_clock(exec.now_ms as u64)),
        }
    }

    /// The hint of a key just made.
    fn fresh(self) -> u16 {
        match self {
            Self::Lru(clock) => clock,
            Self::Lfu { minutes, .. } => access::lfu_new(minutes),
        }
    }

    #[inline]
    fn apply(self, found: &mut Found<'_>) {
        let old = found.hint();
        let new = match self {
            Self::Lru(clock) => clock,
            Self::Lfu {
                minutes,
                decay_minutes,
                log_factor,
                roll,
            } => access::lfu_touch(old, minutes, decay_minutes, log_factor, roll),
        };
        if new != old {
            found.set_hint(new);
        }
    }
}
