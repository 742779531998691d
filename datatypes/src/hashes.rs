//! Hashes: values by field, each field with a deadline of its own if it is given one.
//!
//! Readers use [`HashRef`], writers [`HashMut`], over all forms:
//!
//! ```text
//!  packed           field field field ...                           inside the entry (`hashes/small.rs`)
//!  packed, timed    alarm field deadline field deadline ...         the same once a field has a deadline; 0 is none
//!  large            a table of fields (`raw/field.rs`)              [`Hash`], once it outgrows its [`Limits`]
//! ```
//! A hash goes from the left to the right only, as in Redis, whose names for these are `listpack`, `listpackex` and
//! `hashtable`.
//!
//! A field whose deadline has passed is not there for anybody who looks for it or walks; it is still counted until it is
//! taken away ([`expire`]). The database keeps one item in its expiry index for a hash with such fields: at its
//! *alarm*, which is the earliest deadline or a time before it. A hash without deadlines pays nothing for all this.

mod large;
mod small;

use crate::ahead::{self, Ahead};
use crate::collection::Collection;
use crate::hash::Seed;
use crate::packed::Element;
use crate::raw::entry::{Entry, Held, PackedMut, Type};

pub use self::large::Hash;
use self::small::{Small, SmallMut};

/// How large a packed hash may become, and the seed that the large one hashes with.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Most fields.
    pub entries: usize,
    /// Longest field or value in bytes.
    pub text: usize,
    pub seed: Seed,
}

/// A field as readers see it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FieldRef<'a> {
    pub name: Element<'a>,
    pub value: Element<'a>,
    /// Unix ms.
    pub deadline: Option<u64>,
}

impl FieldRef<'_> {
    #[inline]
    pub fn is_live(&self, now_ms: u64) -> bool {
        self.deadline.is_none_or(|deadline| deadline > now_ms)
    }
}

/// A hash to be read, at a time: fields whose deadline has passed are not there.
#[derive(Clone, Copy)]
pub struct HashRef<'a> {
    form: Form<'a>,
    now_ms: u64,
}

#[derive(Clone, Copy)]
enum Form<'a> {
    Small(Small<'a>),
    Large(&'a Hash),
}

impl<'a> HashRef<'a> {
    /// # Panics
    /// If the entry is not a hash.
    #[inline]
    pub fn of(entry: &'a Entry, now_ms: u64) -> Self {
        let form = match entry.held() {
            Held::Packed(bytes) if entry.kind() == Type::Hash => Form::Small(Small::plain(bytes)),
            Held::PackedEx(bytes) => Form::Small(Small::timed(bytes)),
            Held::Large(Collection::Hash(hash)) => Form::Large(hash),
            _ => panic!("the entry is not a hash"),
        };
        Self { form, now_ms }
    }

    /// Starts loading what lookups of some fields, the first ones, are going to read.
    pub fn load<'e>(self, names: impl Iterator<Item = &'e [u8]>) {
        if let Form::Large(hash) = self.form {
            ahead::load(hash.len(), names.map(|name| hash.spot(name)));
        }
    }

    /// A hash that lies elsewhere: one that is frozen.
    pub fn of_large(hash: &'a Hash, now_ms: u64) -> Self {
        let form = Form::Large(hash);
        Self { form, now_ms }
    }

    /// Fields, those included whose time is up and which nobody has taken away yet.
    #[inline]
    pub fn len(self) -> usize {
        match self.form {
            Form::Small(small) => small.len(),
            Form::Large(hash) => hash.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    #[inline]
    pub fn get(self, name: &[u8]) -> Option<FieldRef<'a>> {
        let field = match self.form {
            Form::Small(small) => small.get(name)?,
            Form::Large(hash) => hash.get(name)?,
        };
        field.is_live(self.now_ms).then_some(field)
    }

    /// All fields.
    pub fn iter(self) -> impl Iterator<Item = FieldRef<'a>> {
        let (small, large) = match self.form {
            Form::Small(small) => (Some(small.iter()), None),
            Form::Large(hash) => (None, Some(hash.iter())),
        };
        let fields = small
            .into_iter()
            .flatten()
            .chain(large.into_iter().flatten());
        fields.filter(move |field| field.is_live(self.now_ms))
    }

    /// Shows all fields to `see`: in less time than [`Self::iter`] takes, which has the form to look at for each.
    #[inline]
    pub fn for_each(self, see: impl FnMut(FieldRef<'a>)) {
        let is_live = |field: &FieldRef<'_>| field.is_live(self.now_ms);
        match self.form {
            Form::Small(small) => small.iter().filter(is_live).for_each(see),
            Form::Large(hash) => hash.iter().filter(is_live).for_each(see),
        }
    }

    /// Whether some field has a deadline, so that fewer may be there than are counted.
    pub fn is_timed(self) -> bool {
        match self.form {
            Form::Small(small) => small.is_timed(),
            Form::Large(hash) => hash.earliest().is_some(),
        }
    }

    /// Fields that are there.
    pub fn live(self) -> usize {
        if self.is_timed() {
            self.iter().count()
        } else {
            self.len()
        }
    }

    /// A field of a large hash by a cursor (see [`Table::scan`](crate::raw::table::Table::scan)); a small one is emitted whole.
    pub fn scan(self, cursor: u64, count: usize, mut emit: impl FnMut(FieldRef<'a>)) -> u64 {
        match self.form {
            Form::Small(_) => {
                self.for_each(emit);
                0
            }
            Form::Large(hash) => hash.scan(cursor, count, |field| {
                if field.is_live(self.now_ms) {
                    emit(field);
                }
            }),
        }
    }

    /// A field, each equally likely; `None` if none is there, or hardly any of a large hash.
    pub fn random(self, dice: &mut impl FnMut() -> u64) -> Option<FieldRef<'a>> {
        match self.form {
            Form::Small(_) => {
                let live = self.live() as u128;
                let nth = (u128::from(dice()) * live) >> 64;
                self.iter().nth(nth as usize)
            }
            Form::Large(hash) => {
                let tries = (0..100).map_while(|_| hash.random(dice));
                let mut live = tries.filter(|field| field.is_live(self.now_ms));
                live.next().or_else(|| self.iter().next())
            }
        }
    }
}

/// What a value that is set does to the field's deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldTtl {
    Clear,
    Keep,
    /// Unix ms.
    At(u64),
}

impl FieldTtl {
    fn after(self, old: Option<u64>) -> Option<u64> {
        match self {
            Self::Clear => None,
            Self::Keep => old,
            Self::At(deadline) => Some(deadline.max(1)),
        }
    }
}

/// A hash to be changed.
pub struct HashMut<'a> {
    entry: &'a mut Entry,
    now_ms: u64,
    limits: Limits,
}

impl<'a> HashMut<'a> {
    /// `entry` holds a hash that nobody else reads.
    pub fn of(entry: &'a mut Entry, now_ms: u64, limits: Limits) -> Self {
        debug_assert!(entry.kind() == Type::Hash && !entry.is_shared());
        Self {
            entry,
            now_ms,
            limits,
        }
    }

    #[inline]
    pub fn read(&self) -> HashRef<'_> {
        HashRef::of(self.entry, self.now_ms)
    }

    /// Announces `fields` fields to be set, the longest text of which has `longest` bytes: what cannot stay small
    /// becomes large before it is filled.
    pub fn expect(&mut self, fields: usize, longest: usize) {
        if fields > self.limits.entries || longest > self.limits.text {
            self.enlarge();
        }
    }

    /// Sets one field. Whether it was not there.
    pub fn set(&mut self, name: &[u8], value: &[u8], ttl: FieldTtl) -> bool {
        if name.len().max(value.len()) > self.limits.text {
            self.enlarge();
        }
        let now_ms = self.now_ms;
        if matches!(ttl, FieldTtl::At(_)) {
            self.allow_deadlines();
        }
        let added = match self.form() {
            FormMut::Small(mut small) => small.set(name, value, ttl, now_ms),
            FormMut::Large(hash) => return hash.set(name, value, ttl, now_ms),
        };
        if self.read().len() > self.limits.entries {
            self.enlarge();
        }
        added
    }

    /// Sets many fields, whose deadlines go. How many of them were not there.
    pub fn set_all<'f>(
        &mut self,
        fields: impl ExactSizeIterator<Item = (&'f [u8], &'f [u8])> + Clone,
    ) -> usize {
        let lengths = fields
            .clone()
            .map(|(name, value)| name.len().max(value.len()));
        self.expect(fields.len(), lengths.max().unwrap_or(0));
        // In a vector with room the block grows without moving the entry each time.
        let (few, room) = (fields.len() <= 4, 32 * fields.len());
        let bytes = match self.entry.held() {
            Held::Packed(bytes) if !few => bytes,
            _ => {
                let (mut fields, mut added) = (Ahead::of(fields), 0);
                while let Some((name, value)) =
                    fields.next(|coming| self.read().load(coming.map(|(name, _)| name)))
                {
                    added += usize::from(self.set(name, value, FieldTtl::Clear));
                }
                return added;
            }
        };
        let mut block = Vec::with_capacity(bytes.len() + room);
        block.extend_from_slice(bytes);
        let mut small = SmallMut::plain(&mut block);
        let mut added = 0;
        for (name, value) in fields {
            added += usize::from(small.set(name, value, FieldTtl::Clear, self.now_ms));
        }
        self.entry.set_packed(&block);
        if self.read().len() > self.limits.entries {
            self.enlarge();
        }
        added
    }

    /// Takes a field away. Whether it was there.
    pub fn remove(&mut self, name: &[u8]) -> bool {
        let was_live = self.read().get(name).is_some();
        match self.form() {
            FormMut::Small(mut small) => small.remove(name),
            FormMut::Large(hash) => hash.remove(name),
        }
        was_live
    }

    /// Another deadline, or none, for a field that is there.
    pub fn set_deadline(&mut self, name: &[u8], deadline: Option<u64>) {
        let deadline = deadline.map(|ms| ms.max(1));
        if deadline.is_some() {
            self.allow_deadlines();
        }
        match self.form() {
            FormMut::Small(mut small) => small.set_deadline(name, deadline),
            FormMut::Large(hash) => hash.set_deadline(name, deadline),
        }
    }

    fn form(&mut self) -> FormMut<'_> {
        form_of(self.entry)
    }

    /// Gives a plain packed hash room for deadlines.
    fn allow_deadlines(&mut self) {
        if let Held::Packed(bytes) = self.entry.held() {
            let timed = Small::plain(bytes).with_deadlines();
            self.entry.set_packed_ex(&timed);
        }
    }

    fn enlarge(&mut self) {
        let small = match self.entry.held() {
            Held::Packed(bytes) => Small::plain(bytes),
            Held::PackedEx(bytes) => Small::timed(bytes),
            _ => return,
        };
        let mut hash = Hash::new(self.limits.seed);
        for field in small.iter() {
            hash.insert(field);
        }
        hash.set_alarm(small.alarm());
        self.entry.set_large(Collection::Hash(hash));
    }
}

enum FormMut<'a> {
    Small(SmallMut<PackedMut<'a>>),
    Large(&'a mut Hash),
}

fn form_of(entry: &mut Entry) -> FormMut<'_> {
    match entry.held() {
        Held::Packed(_) => FormMut::Small(SmallMut::plain(entry.packed_mut())),
        Held::PackedEx(_) => FormMut::Small(SmallMut::timed(entry.packed_mut())),
        _ => FormMut::Large(large_of(entry)),
    }
}

fn large_of(entry: &mut Entry) -> &mut Hash {
    match entry.large_mut() {
        Some(Collection::Hash(hash)) => hash,
        _ => panic!("the entry is no hash of one's own"),
    }
}

/// Takes away up to `budget` fields of a hash whose time is up, and shows the deadline of each to `gone`.
pub fn expire(entry: &mut Entry, now_ms: u64, budget: usize, gone: impl FnMut(u64)) {
    match form_of(entry) {
        FormMut::Small(mut small) => small.expire(now_ms, budget, gone),
        FormMut::Large(hash) => hash.expire(now_ms, budget, gone),
    }
}

/// When the database's index is to look at this hash: the earliest deadline of a field, or a time before it.
#[inline]
pub fn alarm(entry: &Entry) -> Option<u64> {
    if entry.kind() != Type::Hash {
        return None;
    }
    match entry.held() {
        Held::PackedEx(bytes) => Small::timed(bytes).alarm(),
        Held::Large(Collection::Hash(hash)) => hash.alarm(),
        _ => None,
    }
}

/// The earliest deadline of a field; `None` for all else, too.
#[inline]
pub fn earliest(entry: &Entry) -> Option<u64> {
    if entry.kind() != Type::Hash {
        return None;
    }
    match entry.held() {
        Held::PackedEx(bytes) => Small::timed(bytes)
            .iter()
            .filter_map(|field| field.deadline)
            .min(),
        Held::Large(Collection::Hash(hash)) => hash.earliest(),
        _ => None,
    }
}

/// Notes when the index will look. A hash may be read by others meanwhile.
pub fn set_alarm(entry: &mut Entry, alarm: Option<u64>) {
    match entry.held() {
        Held::PackedEx(_) => SmallMut::timed(entry.packed_mut()).set_alarm(alarm),
        Held::Large(Collection::Hash(hash)) => hash.set_alarm(alarm),
        _ => {}
    }
}
