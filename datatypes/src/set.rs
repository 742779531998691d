//! Sets: members without order, each once.
//!
//! ```text
//!  intset      sorted integers in the entry                    up to set-max-intset-entries
//!  listpack    a packed block in the entry                     up to set-max-listpack-entries and -value
//!  hashtable   chunks of sorted integers and a table of texts   beyond
//! ```
//! [`SetRef`] reads a set in any of its forms, [`SetMut`] changes it and moves it from one form to the next exactly when
//! Redis does, [`Set`] is what lies outside the entry. Members are [`Element`]s: one that is printed as an integer is an
//! integer, wherever it comes from.

pub mod chunks;
pub mod intset;
mod large;

pub use self::large::Set;
use crate::ahead;
use crate::collection::Collection;
use crate::hash::Seed;
use crate::packed::{self, Element, Forward};
use crate::raw::entry::{Entry, Held, PackedMut};
use intset::Intset;

/// Integers that an entry holds at most, whatever the limits: an insert moves half of them.
const INTS_IN_ENTRY: usize = 2048;

/// When a set takes another form.
#[derive(Clone, Copy)]
pub struct Limits {
    /// `set-max-intset-entries`
    pub ints: usize,
    /// `set-max-listpack-entries`
    pub packed: usize,
    /// `set-max-listpack-value`, in bytes
    pub packed_value: usize,
    /// What tables hash with.
    pub seed: Seed,
}

impl Limits {
    /// Redis caps the first one, for reasons of its own structure.
    fn ints(&self) -> usize {
        self.ints.min(1 << 30)
    }
}

/// A set to be read, in whatever form it is.
#[derive(Clone, Copy)]
pub enum SetRef<'a> {
    Ints(Intset<'a>),
    Packed(Forward<'a>),
    Large(&'a Set),
}

impl<'a> SetRef<'a> {
    /// # Panics
    /// If the entry holds something else.
    #[inline]
    pub fn of(entry: &'a Entry) -> Self {
        match entry.held() {
            Held::Ints(bytes) => Self::Ints(Intset::new(bytes)),
            Held::Packed(bytes) => Self::Packed(Forward::new(bytes)),
            Held::Large(Collection::Set(set)) => Self::Large(set),
            _ => panic!("another type is asked for its members"),
        }
    }

    pub fn len(self) -> usize {
        match self {
            Self::Ints(array) => array.len(),
            Self::Packed(block) => block.len(),
            Self::Large(set) => set.len(),
        }
    }

    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Whether OBJECT ENCODING says `intset`.
    pub fn is_intset(self) -> bool {
        match self {
            Self::Ints(_) => true,
            Self::Packed(_) => false,
            Self::Large(set) => set.is_intset(),
        }
    }

    #[inline]
    pub fn contains(self, member: Element<'_>) -> bool {
        match self {
            Self::Ints(array) => member.int().is_some_and(|value| array.contains(value)),
            Self::Packed(block) => {
                let mut digits = itoa::Buffer::new();
                block.find(member.text(&mut digits), 1).is_some()
            }
            Self::Large(set) => set.contains(member),
        }
    }

    /// Starts loading what lookups of some members, the first ones, are going to read.
    pub fn load<'e>(self, members: impl Iterator<Item = &'e [u8]>) {
        if let Self::Large(set) = self {
            ahead::load(set.len(), members.map(|member| set.spot(member)));
        }
    }

    /// All members, in the order of the form.
    pub fn iter(self) -> Box<dyn Iterator<Item = Element<'a>> + 'a> {
        match self {
            Self::Ints(array) => Box::new(array.iter().map(Element::Int)),
            Self::Packed(block) => Box::new(block.iter().map(|item| item.element)),
            Self::Large(set) => Box::new(set.iter()),
        }
    }

    /// One of the members, each with the same chance; `random` yields uniform 64-bit numbers.
    pub fn random(self, random: &mut impl FnMut() -> u64) -> Option<Element<'a>> {
        match self {
            Self::Large(set) => set.random(random),
            _ if self.is_empty() => None,
            Self::Ints(array) => Some(Element::Int(array.at(below(array.len(), random())))),
            Self::Packed(block) => {
                let item = block.get(below(block.len(), random()));
                item.map(|item| item.element)
            }
        }
    }

    /// One call of SSCAN: see [`Set::scan`]. A small set comes whole, whatever the cursor.
    pub fn scan(self, cursor: u64, count: usize, mut emit: impl FnMut(Element<'_>)) -> u64 {
        if let Self::Large(set) = self {
            return set.scan(cursor, count, emit);
        }
        self.iter().for_each(&mut emit);
        0
    }
}

/// A set to be changed.
pub struct SetMut<'a> {
    entry: &'a mut Entry,
    limits: Limits,
}

impl<'a> SetMut<'a> {
    /// The entry holds a set, or an empty packed block of that type, and nobody else refers to it.
    pub fn of(entry: &'a mut Entry, limits: Limits) -> Self {
        Self { entry, limits }
    }

    pub fn read(&self) -> SetRef<'_> {
        SetRef::of(self.entry)
    }

    /// Prepares for `count` members, of which `first` is the first, to come at once: a new set begins in the form that
    /// suits them, one that is there goes over to a table if they would be too many.
    pub fn expect(&mut self, first: Element<'_>, count: usize) {
        let Limits { ints, packed, .. } = self.limits;
        match self.entry.held() {
            Held::Packed([]) if first.int().is_some() && count <= ints => self.entry.set_ints(&[]),
            Held::Packed([]) if count <= packed => {}
            Held::Packed(_) if count > packed => self.become_hashtable(),
            Held::Ints(_) if count > ints => self.become_hashtable(),
            Held::Large(_) if self.read().is_intset() && count > ints => self.become_hashtable(),
            _ => {}
        }
    }

    /// Makes an empty set begin as an intset, as the results of set operations do.
    pub fn begin_as_intset(&mut self) {
        if self.read().is_empty() {
            self.entry.set_ints(&[]);
        }
    }

    /// Whether it was not there.
    pub fn add(&mut self, member: Element<'_>) -> bool {
        match self.entry.held() {
            Held::Ints(_) => self.add_to_intset(member),
            Held::Packed(_) => self.add_to_packed(member),
            _ => self.add_to_large(member),
        }
    }

    /// Whether it was there.
    pub fn remove(&mut self, member: Element<'_>) -> bool {
        match self.entry.held() {
            Held::Ints(_) => {
                let value = member.int();
                value.is_some_and(|value| intset::remove(&mut self.entry.packed_mut(), value))
            }
            Held::Packed(bytes) => {
                let mut digits = itoa::Buffer::new();
                let found = Forward::new(bytes).find(member.text(&mut digits), 1);
                let range = found.map(|item| item.range);
                range.map(|range| self.packed().remove(range, 1)).is_some()
            }
            _ => self.large().remove(member),
        }
    }

    /// Takes out one of the members, each with the same chance.
    pub fn pop(&mut self, random: &mut impl FnMut() -> u64) -> Option<Vec<u8>> {
        let member = self.read().random(random)?.to_vec();
        self.remove(Element::of(&member));
        Some(member)
    }

    /// Makes it an intset if it has integers only and not too many, as SINTERSTORE does.
    pub fn prefer_intset(&mut self) {
        let set = self.read();
        if set.is_intset() || set.len() > self.limits.ints() {
            return;
        }
        let values: Option<Vec<i64>> = set.iter().map(|member| member.int()).collect();
        if let Some(mut values) = values {
            values.sort_unstable();
            self.put_ints(&values, true);
        }
    }

    /// Begins anew with the packed block of what is left in a hashtable, if that may hold it: SPOP does so when it has
    /// taken most members.
    pub fn pack(&mut self) {
        let set = self.read();
        if set.is_intset() || set.len() > self.limits.packed {
            return;
        }
        let members: Vec<Vec<u8>> = set.iter().map(Element::to_vec).collect();
        self.entry.set_packed(&[]);
        for member in members {
            self.add(Element::of(&member));
        }
    }

    fn add_to_intset(&mut self, member: Element<'_>) -> bool {
        let Some(value) = member.int() else {
            self.leave_intset(member);
            return true;
        };
        let added = intset::insert(&mut self.entry.packed_mut(), value);
        let len = self.read().len();
        if added && (len > self.limits.ints() || len > INTS_IN_ENTRY) {
            let values = self.ints();
            self.put_ints(&values, len <= self.limits.ints());
        }
        added
    }

    /// A text joins integers: all go to a packed block, if that may hold them, or else to a table.
    fn leave_intset(&mut self, member: Element<'_>) {
        let set = self.read();
        let mut longest = member.len();
        if let (Some(least), Some(greatest)) = (set.iter().next(), greatest(set)) {
            longest = longest.max(least.len()).max(greatest.len());
        }
        if set.len() < self.limits.packed && longest <= self.limits.packed_value {
            let mut block = packed::Edit::<Vec<u8>, false>::new(Vec::new());
            for member in set.iter().chain([member]) {
                block.push_back(&[member]);
            }
            self.entry.set_packed(&block.storage());
        } else {
            self.become_hashtable();
            self.large().add(member);
        }
    }

    fn add_to_packed(&mut self, member: Element<'_>) -> bool {
        let SetRef::Packed(block) = self.read() else {
            unreachable!("the form was looked at")
        };
        let mut digits = itoa::Buffer::new();
        let text = member.text(&mut digits);
        if block.find(text, 1).is_some() {
            return false;
        }
        if block.len() < self.limits.packed && text.len() <= self.limits.packed_value {
            self.packed().push_back(&[Element::of(text)]);
        } else {
            self.become_hashtable();
            self.large().add(member);
        }
        true
    }

    fn add_to_large(&mut self, member: Element<'_>) -> bool {
        let ints = self.limits.ints();
        let set = self.large();
        if set.is_intset() && member.int().is_none() {
            self.leave_intset(member);
            return true;
        }
        let added = set.add(member);
        if set.len() > ints {
            set.call_hashtable();
        }
        added
    }

    fn become_hashtable(&mut self) {
        match self.read() {
            SetRef::Large(_) => self.large().call_hashtable(),
            SetRef::Ints(_) => {
                let values = self.ints();
                self.put_large(Set::of_sorted(&values, false, self.limits.seed));
            }
            SetRef::Packed(block) => {
                let mut set = Set::new(self.limits.seed);
                for item in block {
                    set.add(item.element);
                }
                self.put_large(set);
            }
        }
    }

    /// All members of an intset.
    fn ints(&self) -> Vec<i64> {
        self.read().iter().filter_map(Element::int).collect()
    }

    /// Makes it a set of these integers, which ascend.
    fn put_ints(&mut self, values: &[i64], is_intset: bool) {
        if is_intset && values.len() <= INTS_IN_ENTRY {
            self.entry.set_ints(&intset::encode(values.iter().copied()));
        } else {
            self.put_large(Set::of_sorted(values, is_intset, self.limits.seed));
        }
    }

    fn put_large(&mut self, set: Set) {
        self.entry.set_large(Collection::Set(set));
    }

    fn packed(&mut self) -> packed::Edit<PackedMut<'_>, false> {
        packed::Edit::new(self.entry.packed_mut())
    }

    fn large(&mut self) -> &mut Set {
        match self.entry.large_mut() {
            Some(Collection::Set(set)) => set,
            _ => panic!("a set that is changed is a set, and nobody reads it"),
        }
    }
}

/// Chooses `wanted` of `left` members in one walk over them, each combination with the same chance.
pub struct Selection {
    wanted: usize,
    left: usize,
}

impl Selection {
    pub fn new(wanted: usize, left: usize) -> Self {
        Self { wanted, left }
    }

    /// Whether the next member is among them; `random` is a uniform number.
    pub fn takes(&mut self, random: u64) -> bool {
        let takes = below(self.left.max(1), random) < self.wanted;
        self.left = self.left.saturating_sub(1);
        self.wanted -= usize::from(takes);
        takes
    }
}

/// The greatest of integers.
fn greatest(set: SetRef<'_>) -> Option<Element<'_>> {
    match set {
        SetRef::Ints(array) => array.iter().next_back().map(Element::Int),
        _ => set.iter().last(),
    }
}

/// A number below `bound` from a uniform one.
fn below(bound: usize, random: u64) -> usize {
    ((u128::from(random) * bound as u128) >> 64) as usize
}
