//! One database of one cell: the table of its entries and the index of their deadlines, kept in step.
//!
//! Everything that changes whether or when an entry expires goes through [`Found`], so that the two cannot
//! disagree: an entry with a deadline has exactly one item in the index that will reach it, either at its
//! deadline, or earlier with the entry's re-arm flag set. Items that reach nothing are stale and dropped.
//!
//! A hash whose fields have deadlines has one item for all of them, at its alarm (see [`hashes`]), which is never later
//! than the earliest of these deadlines. When it rings, what is due goes, and the alarm is set anew.

use crate::collection::Collection;
use crate::expiry::{ExpiryIndex, Verdict};
use crate::hash::Seed;
use crate::hashes;
use crate::raw::entry::{Entry, Type, Value};
use crate::raw::table::{Occupied, Ref, Spot, Table};

/// An entry to be looked at, for as long as its database is borrowed.
pub type EntryRef<'a> = Ref<'a, Entry>;

/// The part of a hash that the expiry index keeps.
#[inline]
fn position(hash: u64) -> u64 {
    hash >> 16
}

/// Entries and deadlines of one database in one cell.
pub struct Db {
    table: Table<Entry>,
    deadlines: ExpiryIndex,
    volatile: Volatile,
}

/// What has deadlines.
#[derive(Clone, Copy, Debug, Default)]
struct Volatile {
    /// Entries that have one, and the sum of these.
    count: usize,
    deadlines_ms: u128,
    /// Hashes that have fields with one, and for these an alarm.
    hashes: usize,
}

impl Volatile {
    fn add(&mut self, deadline_ms: u64) {
        self.count += 1;
        self.deadlines_ms += u128::from(deadline_ms);
    }

    fn remove(&mut self, deadline_ms: u64) {
        self.count -= 1;
        self.deadlines_ms -= u128::from(deadline_ms);
    }
}

/// How entries are drawn for eviction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    Any,
    /// One that has a deadline.
    Volatile,
    /// One whose deadline is among the earliest.
    Soonest,
}

/// From the hashes of a database to those of its successor; any odd number with as many ones as zeros would do.
const NEXT_TURN: u64 = 0xd1b5_4a32_d192_ed03;

/// Items of the index that are looked at for the earliest.
const ITEMS: usize = 256;

/// Draws in a row that may fail before something surer is tried.
const DRAWS: usize = 16;

/// What a lookup found.
pub enum Lookup<'a> {
    Live(Found<'a>),
    /// There was an entry, and its time was up: it is gone now.
    Expired,
    Missing,
}

/// What a slice of active expiry did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Entries removed because of their own deadline.
    pub entries: usize,
    /// Fields removed from hashes.
    pub fields: usize,
    /// Items of the index that were looked at.
    pub items: usize,
    /// Whether more is due already.
    pub more: bool,
}

/// What went because its time was up.
pub enum Gone<'a> {
    /// With its deadline.
    Entry(Entry, u64),
    /// The deadlines of some fields of a hash.
    Fields(&'a Entry, &'a [u64]),
    /// A hash that has lost its last field.
    Emptied(Entry),
}

impl Db {
    /// An empty database that is asked with the hashes of keys under `seed`, or under the seed that this is a turn of.
    pub fn new(seed: Seed) -> Self {
        Self {
            table: Table::new(seed),
            deadlines: ExpiryIndex::default(),
            volatile: Volatile::default(),
        }
    }

    /// Takes everything out, in constant time: what is left is an empty database. Views go with the entries. What is put
    /// in next may well be the same, in the order in which it was last read, and has another order here.
    #[must_use]
    pub fn take(&mut self) -> Self {
        Self {
            table: self.table.take_all(self.table.seed().turn(NEXT_TURN)),
            deadlines: std::mem::take(&mut self.deadlines),
            volatile: std::mem::take(&mut self.volatile),
        }
    }

    /// Entries, expired ones that nobody has met yet included.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries that have a deadline.
    pub fn volatile(&self) -> usize {
        self.volatile.count
    }

    /// Hashes that have fields with a deadline.
    pub fn timed_hashes(&self) -> usize {
        self.volatile.hashes
    }

    /// The sum of all deadlines in ms.
    pub fn deadlines_ms(&self) -> u128 {
        self.volatile.deadlines_ms
    }

    /// Bytes of the table and the index, without the entries.
    pub fn overhead(&self) -> (usize, usize) {
        (self.table.bytes(), self.deadlines.bytes())
    }

    /// Where an entry would be.
    #[inline]
    pub fn spot(&self, hash: u64) -> Option<Spot<'_>> {
        self.table.spot(self.table.seed().turned(hash))
    }

    /// The large collection that `key` holds.
    #[inline]
    pub fn large(&self, hash: u64, key: &[u8]) -> Option<&Collection> {
        self.table
            .get(self.table.seed().turned(hash), key)?
            .into_large()
    }

    /// The entry of `key`, unless its deadline is at or before `now_ms`.
    #[inline]
    pub fn find(&mut self, hash: u64, key: &[u8], now_ms: u64) -> Lookup<'_> {
        let hash = self.table.seed().turned(hash);
        let Some(slot) = self.table.get_mut(hash, key) else {
            return Lookup::Missing;
        };
        let found = Found {
            slot,
            deadlines: &mut self.deadlines,
            volatile: &mut self.volatile,
            hash,
        };
        if found
            .entry()
            .deadline()
            .is_some_and(|deadline| deadline <= now_ms)
        {
            drop(found.remove());
            return Lookup::Expired;
        }
        Lookup::Live(found)
    }

    /// Adds an entry whose key is not here.
    pub fn insert(&mut self, hash: u64, mut entry: Entry, hint: u16) {
        let hash = self.table.seed().turned(hash);
        entry.set_rearm(false);
        if let Some(deadline) = entry.deadline() {
            self.deadlines.insert(position(hash), deadline);
            self.volatile.add(deadline);
        }
        if entry.kind() == Type::Hash {
            let earliest = hashes::earliest(&entry);
            hashes::set_alarm(&mut entry, earliest);
            if let Some(earliest) = earliest {
                self.deadlines.insert(position(hash), earliest);
                self.volatile.hashes += 1;
            }
        }
        self.table.insert_new(hash, entry, hint);
    }

    /// Removes entries, and fields of hashes, whose deadline is at or before `now_ms`, in the order of their deadlines,
    /// after looking at no more than `budget` items. What goes is shown to `gone`.
    pub fn expire(
        &mut self,
        now_ms: u64,
        budget: usize,
        mut gone: impl FnMut(Gone<'_>),
    ) -> Expired {
        let Self {
            table,
            deadlines,
            volatile,
        } = self;
        let (mut entries, mut fields) = (0, 0);
        let slice = deadlines.expire_slice(now_ms, budget, |position, deadline| {
            let due = |entry: &Entry| entry.deadline() == Some(deadline);
            if let Some(slot) = table.find_by(position, due) {
                volatile.remove(deadline);
                volatile.hashes -= usize::from(hashes::alarm(slot.get()).is_some());
                entries += 1;
                gone(Gone::Entry(slot.remove(), deadline));
                return Verdict::Expired;
            }
            let rings = |entry: &Entry| hashes::alarm(entry) == Some(deadline);
            if let Some(slot) = table.find_by(position, rings) {
                return expire_fields(slot, volatile, now_ms, &mut |expired| {
                    if let Gone::Fields(_, deadlines) = &expired {
                        fields += deadlines.len();
                    }
                    gone(expired);
                });
            }
            let Some(mut slot) = table.find_by(position, |entry| entry.rearm()) else {
                return Verdict::Stale;
            };
            let later = slot.get().deadline();
            slot.update(|entry| entry.set_rearm(false));
            later.map_or(Verdict::Stale, Verdict::Rearm)
        });
        if deadlines.wants_compaction() {
            deadlines.compact_slice(budget, |position, deadline| {
                table
                    .find_by(position, |entry| {
                        entry.deadline() == Some(deadline)
                            || entry.rearm()
                            || hashes::alarm(entry) == Some(deadline)
                    })
                    .is_some()
            });
        }
        Expired {
            entries,
            fields,
            items: slice.processed,
            more: slice.more_due,
        }
    }

    /// The earliest time in Unix ms at which something may expire; early rather than late.
    pub fn next_due(&self) -> Option<u64> {
        self.deadlines.next_due()
    }

    /// See [`Table::scan`].
    pub fn scan(&self, cursor: u64, count: usize, emit: impl FnMut(EntryRef<'_>)) -> u64 {
        self.table.scan(cursor, count, emit)
    }

    /// Any entry, each equally likely, expired ones included.
    pub fn random(&self, dice: &mut impl FnMut() -> u64) -> Option<EntryRef<'_>> {
        self.table.random(dice)
    }

    /// An entry that may be evicted; `None` if there is none of the kind. Expired ones are drawn like others.
    pub fn draw(&mut self, way: Draw, dice: &mut impl FnMut() -> u64) -> Option<Found<'_>> {
        let position = match way {
            Draw::Any => {
                let entry = self.table.random(dice)?;
                self.position_of(&entry)
            }
            _ if self.volatile.count == 0 => return None,
            Draw::Soonest => self
                .draw_soonest()
                .or_else(|| self.draw_volatile(dice))
                .or_else(|| self.any_volatile())?,
            Draw::Volatile => self
                .draw_volatile(dice)
                .or_else(|| self.draw_filed(|index| index.pick(dice())))
                .or_else(|| self.any_volatile())?,
        };
        let fits = |entry: &Entry| way == Draw::Any || entry.deadline().is_some();
        Some(Found {
            slot: self.table.find_by(position, fits)?,
            deadlines: &mut self.deadlines,
            volatile: &mut self.volatile,
            hash: position << 16,
        })
    }

    /// Draws until an entry with a deadline comes, if that is likely.
    fn draw_volatile(&self, dice: &mut impl FnMut() -> u64) -> Option<u64> {
        let draws = if self.volatile.count * 4 >= self.len() {
            DRAWS
        } else {
            0
        };
        let mut drawn = (0..draws).filter_map(|_| self.table.random(dice));
        let volatile = drawn.find(|entry| entry.deadline().is_some())?;
        Some(self.position_of(&volatile))
    }

    /// Draws the earliest from the index.
    fn draw_soonest(&mut self) -> Option<u64> {
        let Self {
            table, deadlines, ..
        } = self;
        deadlines.draw_soonest(ITEMS, |position, deadline| {
            let due = |entry: &Entry| entry.deadline() == Some(deadline);
            if table.find_by(position, due).is_some() {
                return Some(deadline);
            }
            let mut slot = table.find_by(position, |entry| entry.rearm())?;
            let later = slot.get().deadline();
            slot.update(|entry| entry.set_rearm(false));
            later
        })
    }

    /// Draws from the index until an item comes that is not stale.
    fn draw_filed(&mut self, mut draw: impl FnMut(&ExpiryIndex) -> Option<u64>) -> Option<u64> {
        let mut drawn = (0..DRAWS).filter_map(|_| draw(&self.deadlines));
        drawn.find(|position| {
            let found = self
                .table
                .find_by(*position, |entry| entry.deadline().is_some());
            found.is_some()
        })
    }

    /// The first one in the table: for an index that is mostly stale.
    fn any_volatile(&self) -> Option<u64> {
        let mut entries = self.table.iter();
        let volatile = entries.find(|entry| entry.deadline().is_some())?;
        Some(self.position_of(&volatile))
    }

    fn position_of(&self, entry: &Entry) -> u64 {
        position(self.table.hash(entry.key()))
    }

    /// All entries, in no order, expired ones included.
    pub fn iter(&self) -> impl Iterator<Item = EntryRef<'_>> {
        self.table.iter()
    }

    /// The table itself, for its views.
    pub fn table(&mut self) -> &mut Table<Entry> {
        &mut self.table
    }
}

/// Takes what is due out of a hash whose alarm has rung. A hash that is being read has to be left alone, and tried again.
fn expire_fields(
    mut slot: Occupied<'_, Entry>,
    volatile: &mut Volatile,
    now_ms: u64,
    gone: &mut impl FnMut(Gone<'_>),
) -> Verdict {
    /// Fields that one item of the budget pays for.
    const AT_ONCE: usize = 8;
    /// How long a hash that is being read is left alone.
    const AGAIN_MS: u64 = 1;
    if slot.get().is_shared() {
        let again = Some(now_ms + AGAIN_MS);
        slot.update(|entry| hashes::set_alarm(entry, again));
        return Verdict::Rearm(now_ms + AGAIN_MS);
    }
    let (mut late, mut count) = ([0; AT_ONCE], 0);
    let next = slot.update(|entry| {
        hashes::expire(entry, now_ms, AT_ONCE, |deadline| {
            late[count] = deadline;
            count += 1;
        });
        let next = hashes::earliest(entry);
        hashes::set_alarm(entry, next);
        next
    });
    if next.is_none() {
        volatile.hashes -= 1;
    }
    if count > 0 {
        gone(Gone::Fields(slot.get(), &late[..count]));
    }
    if slot.get().is_empty_collection() {
        if let Some(deadline) = slot.get().deadline() {
            volatile.remove(deadline);
        }
        gone(Gone::Emptied(slot.remove()));
        return Verdict::Expired;
    }
    next.map_or(Verdict::Stale, Verdict::Rearm)
}

/// An entry in its place.
pub struct Found<'a> {
    slot: Occupied<'a, Entry>,
    deadlines: &'a mut ExpiryIndex,
    volatile: &'a mut Volatile,
    hash: u64,
}

impl<'a> Found<'a> {
    #[inline]
    pub fn entry(&self) -> &Entry {
        self.slot.get()
    }

    /// The entry for as long as the database is borrowed.
    #[inline]
    pub fn into_entry(self) -> EntryRef<'a> {
        self.slot.into_ref()
    }

    #[inline]
    pub fn hint(&self) -> u16 {
        self.slot.hint()
    }

    #[inline]
    pub fn set_hint(&mut self, hint: u16) {
        self.slot.set_hint(hint);
    }

    /// Changes the value; the deadline must stay.
    #[inline]
    pub fn update<R>(&mut self, change: impl FnOnce(&mut Entry) -> R) -> R {
        let had_alarm = hashes::alarm(self.entry()).is_some();
        let result = self.slot.update(change);
        // A small hash that has lost all fields has no place for its alarm either.
        if had_alarm && hashes::alarm(self.entry()).is_none() {
            self.deadlines.note_stale();
            self.volatile.hashes -= 1;
        }
        result
    }

    /// Another value and deadline.
    #[inline]
    pub fn replace(&mut self, value: Value<'_>, deadline: Option<u64>) {
        let old = self.entry().deadline();
        self.forget_alarm();
        self.slot.update(|entry| entry.replace(value, deadline));
        if old.is_some() || deadline.is_some() {
            self.file(old, deadline);
        }
    }

    /// Another entry under the same key, whose deadline it brings. Returns the old one.
    pub fn exchange(&mut self, mut new: Entry) -> Entry {
        let (old_deadline, deadline) = (self.entry().deadline(), new.deadline());
        new.set_rearm(self.entry().rearm() && deadline.is_some());
        self.forget_alarm();
        hashes::set_alarm(&mut new, None);
        let old = self.slot.replace(new);
        self.file_fields();
        if old_deadline.is_some() || deadline.is_some() {
            self.file(old_deadline, deadline);
        }
        old
    }

    /// Another deadline, or none.
    pub fn set_deadline(&mut self, deadline: Option<u64>) {
        let old = self.entry().deadline();
        self.slot.update(|entry| entry.set_deadline(deadline));
        self.file(old, deadline);
    }

    /// Tells the index that the deadline went from `old` to `new`, which the entry has already.
    fn file(&mut self, old: Option<u64>, new: Option<u64>) {
        if let Some(old) = old {
            self.volatile.remove(old);
        }
        if let Some(new) = new {
            self.volatile.add(new);
        }
        match (old, new) {
            (None, None) => {}
            (None, Some(new)) => {
                self.deadlines.insert(position(self.hash), new);
            }
            (Some(_), None) => self.deadlines.note_stale(),
            (Some(old), Some(new)) if new == old => {}
            // The old item stays and will file the entry again when it fires: no cost for keys refreshed often.
            (Some(old), Some(new)) if new > old => self.slot.update(|entry| entry.set_rearm(true)),
            (Some(_), Some(new)) => {
                self.deadlines.note_stale();
                self.deadlines.insert(position(self.hash), new);
                self.slot.update(|entry| entry.set_rearm(false));
            }
        }
    }

    /// Tells the index about the earliest deadline of a hash's fields, after a change, and answers it if it is sooner than all
    /// that the index knew. A later one it finds out by itself, but not that there is none any more.
    #[inline]
    pub fn file_fields(&mut self) -> Option<u64> {
        let (alarm, earliest) = (hashes::alarm(self.entry()), hashes::earliest(self.entry()));
        let Some(earliest) = earliest else {
            if alarm.is_some() {
                self.forget_alarm();
                self.slot.update(|entry| hashes::set_alarm(entry, None));
            }
            return None;
        };
        if alarm.is_some_and(|alarm| alarm <= earliest) {
            return None;
        }
        self.forget_alarm();
        self.slot
            .update(|entry| hashes::set_alarm(entry, Some(earliest)));
        self.deadlines.insert(position(self.hash), earliest);
        self.volatile.hashes += 1;
        Some(earliest)
    }

    /// The entry's item for its fields is of no use any more. The entry gets another alarm next, or none, or goes.
    #[inline]
    fn forget_alarm(&mut self) {
        if hashes::alarm(self.entry()).is_some() {
            self.deadlines.note_stale();
            self.volatile.hashes -= 1;
        }
    }

    /// Takes the entry out.
    pub fn remove(mut self) -> Entry {
        self.forget_alarm();
        if let Some(deadline) = self.entry().deadline() {
            self.volatile.remove(deadline);
            self.deadlines.note_stale();
        }
        self.slot.remove()
    }
}
