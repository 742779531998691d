//! The hash table under the keyspace and under every large hash, set and sorted set.
//!
//! A directory, indexed by the top bits of the hash, leads to segments of at most 16 KiB; a segment is an
//! array of 64-byte buckets, each with seven elements and their tags (extendible hashing). So growth never
//! stops the world: one insert moves one segment at most. A lookup reads three cache lines: directory word
//! (which holds all that is needed to find the bucket), bucket, element. Elements are owned thin pointers, their
//! slots carry 16 bits for the consumer's access hint, and [`Table::scan`] walks in hash order, so that a stateless
//! cursor survives growth and shrinking.
//!
//! ```text
//!  hash   63                            40 39           18 17 16 15       0
//!        ┌─────────────────┬──────────────┴───┬───────────┬─────┬──────────┐
//!        │ directory index │ 22 bits: bucket  │           │     │ not used │
//!        └─────────────────┴──────────────────┴───────────┴─────┴──────────┘
//!         └─ SCAN's cursor: 46 bits ─────────────────────┘
//!         └─ position: 48 bits, all that an expiry index keeps ┘      tag: bits 16–23
//! ```
//!
//! | file | what |
//! |---|---|
//! | `element.rs` | what is stored: the [`Element`] contract and the slot |
//! | `bucket.rs` | seven tags compared at once |
//! | `segment.rs` | the block: layout, invariants, lookup |
//! | `placing.rs` | putting in and taking out: hopscotch hashing, chains |
//! | `grow.rs` | directory, split and merge |
//! | `sizes.rs` | which size a segment gets, and why memory does not swing |
//! | `access.rs` | what a lookup returns: [`Ref`], [`Occupied`], [`Vacant`] |
//! | `copy.rs` | a second table with the same elements |
//! | `scan.rs` | SCAN's cursor, iteration, random elements |
//! | `views.rs` | reading one moment's contents in slices while writers go on |
//! | `keepers.rs` | the same for single keys |
//! | `verify.rs` | the invariants as a program |
//!
//! Measured with 5 M keys of 16 bytes, one element allocation each (2 shared cores, AMD Zen 3): see
//! `benches/examples/table_growth.rs`.
//!
//! The table never reads a clock, draws no randomness, and asks nothing of its elements but [`Element::key`] and
//! [`Element::hash`].

mod access;
mod bucket;
mod copy;
mod element;
mod grow;
mod keepers;
mod placing;
mod scan;
mod segment;
mod sizes;
mod verify;
mod views;

pub use access::{Entry, Occupied, Ref, Vacant};
pub use element::{Element, Keyed, Owned};
pub use keepers::{Keeper, KeeperId};
pub use scan::Elements;
pub use views::{Progress, ViewId, Visitor};

use crate::hash::Seed;
use element::Slot;
use segment::{Place, Segment};
use std::marker::PhantomData;
use views::View;

/// A hash table of `E`. See the module's documentation.
///
/// Every method that takes a `hash` wants `element.hash(&seed)` of the element in question, and ignores its low
/// 16 bits. A wrong hash is harmless to memory: the element is just not found.
pub struct Table<E: Element> {
    /// Empty, or 2^bits words.
    directory: Vec<Segment>,
    bits: u32,
    /// Segments whose depth is `bits`; when none is left, half a directory will do.
    deepest: usize,
    segments: usize,
    len: usize,
    bytes: usize,
    seed: Seed,
    /// Counts views and keepers; segments are stamped with it.
    clock: u64,
    views: Vec<View<E>>,
    keepers: Vec<(KeeperId, Box<dyn Keeper<E>>)>,
    /// Whether there may be chains (there never are with honest hashes).
    chained: bool,
    owns: PhantomData<E>,
}

/// Where a table looks for a hash.
#[derive(Clone, Copy)]
pub struct Spot<'a> {
    segment: Segment,
    hash: u64,
    table: PhantomData<&'a ()>,
}

/// Spots whose elements are loaded together, at most; more are loaded in several goes.
const TOGETHER: usize = 64;

/// Starts loading what lookups at these places, of any tables, are going to read: all buckets, then, when they have
/// arrived, the elements that are most likely the ones, and last those that lie away from home. A batch of 16 hides most
/// of the memory's latency.
#[inline]
pub fn prefetch(spots: &[Option<Spot<'_>>]) {
    for spots in spots.chunks(TOGETHER) {
        for spot in spots.iter().flatten() {
            spot.segment.prefetch_home(spot.hash);
        }
        let mut away = 0_u64;
        for (nth, spot) in spots.iter().enumerate() {
            let is_away = spot.is_some_and(|spot| spot.segment.prefetch_element(spot.hash));
            away |= u64::from(is_away) << nth;
        }
        while away != 0 {
            if let Some(spot) = spots[away.trailing_zeros() as usize] {
                spot.segment.prefetch_away(spot.hash);
            }
            away &= away - 1;
        }
    }
}

impl<E: Element> Table<E> {
    /// An empty table, which allocates nothing. `seed` must be the one that its users hash with.
    #[must_use]
    pub const fn new(seed: Seed) -> Self {
        Self {
            directory: Vec::new(),
            bits: 0,
            deepest: 0,
            segments: 0,
            len: 0,
            bytes: 0,
            seed,
            clock: 0,
            views: Vec::new(),
            keepers: Vec::new(),
            chained: false,
            owns: PhantomData,
        }
    }

    /// Takes everything out, living views and keepers included, in constant time; what comes in next is hashed under
    /// `seed`.
    #[must_use]
    pub fn take_all(&mut self, seed: Seed) -> Self {
        std::mem::replace(self, Self::new(seed))
    }

    /// What this table hashes with.
    #[inline]
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.seed
    }

    /// Number of elements.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no element.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes of the directory and the segments, without the elements.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The hash under this table's seed.
    #[inline]
    #[must_use]
    pub fn hash(&self, key: &[u8]) -> u64 {
        crate::hash::hash(&self.seed, key)
    }

    /// Looks an element up for reading.
    #[inline]
    #[must_use]
    pub fn get(&self, hash: u64, key: &[u8]) -> Option<Ref<'_, E>> {
        let place = self.segment(hash)?.find(hash, Self::has_key(key))?;
        Some(self.read(place.slot()))
    }

    /// Looks an element up for reading or writing.
    #[inline]
    pub fn get_mut(&mut self, hash: u64, key: &[u8]) -> Option<Occupied<'_, E>> {
        let segment = self.segment(hash)?;
        let place = segment.find(hash, Self::has_key(key))?;
        Some(Occupied::new(self, segment, place, hash))
    }

    /// Looks up the place of `key`, taken or not: read, update, replace, remove or insert with one probe.
    #[inline]
    pub fn entry(&mut self, hash: u64, key: &[u8]) -> Entry<'_, E> {
        if let Some(segment) = self.segment(hash)
            && let Some(place) = segment.find(hash, Self::has_key(key))
        {
            return Entry::Occupied(Occupied::new(self, segment, place, hash));
        }
        Entry::Vacant(Vacant::new(self, hash))
    }

    /// Finds an element by the top 48 bits of its hash (`position`) and a predicate: the way of an expiry index,
    /// which does not keep keys.
    pub fn find_by(
        &mut self,
        position: u64,
        mut is: impl FnMut(&E) -> bool,
    ) -> Option<Occupied<'_, E>> {
        let hash = position << 16;
        let segment = self.segment(hash)?;
        let place = segment.find(hash, |slot| {
            // SAFETY: the slot is in this table, so its element is alive; it is only read.
            let element = unsafe { slot.element::<E>() };
            element.hash(&self.seed) >> 16 == position && is(&element)
        })?;
        Some(Occupied::new(self, segment, place, hash))
    }

    /// Inserts an element whose key is known to be absent.
    #[inline]
    pub fn insert_new(&mut self, hash: u64, element: E, hint: u16) {
        self.insert_slot(hash, Slot::new(element, hint));
    }

    /// Looks an element up and takes it out.
    #[inline]
    pub fn remove(&mut self, hash: u64, key: &[u8]) -> Option<E> {
        Some(self.get_mut(hash, key)?.remove())
    }

    /// Where an element would be: `None` in an empty table.
    #[inline]
    pub fn spot(&self, hash: u64) -> Option<Spot<'_>> {
        let segment = self.segment(hash)?;
        Some(Spot {
            segment,
            hash,
            table: PhantomData,
        })
    }

    #[inline(always)]
    fn has_key(key: &[u8]) -> impl Fn(Slot) -> bool {
        // SAFETY: slots in a segment hold living elements of type `E`; this copy is only read, and not dropped.
        move |slot| unsafe { slot.element::<E>() }.key() == key
    }

    /// Reads a slot of this table for as long as the table is borrowed.
    #[inline(always)]
    fn read(&self, slot: Slot) -> Ref<'_, E> {
        Ref::new(slot)
    }

    #[inline]
    fn hash_of(&self, slot: Slot) -> u64 {
        // SAFETY: as in `has_key`.
        unsafe { slot.element::<E>() }.hash(&self.seed)
    }

    #[inline]
    fn insert_slot(&mut self, hash: u64, slot: Slot) -> (Segment, Place) {
        self.before_insert(slot);
        let (segment, place) = match self.place(hash, slot) {
            Some(placed) => placed,
            None => self.insert_growing(hash, slot),
        };
        self.len += 1;
        (segment, place)
    }

    /// Puts an element where there is room for it; the segment is shown to the views in any case.
    #[inline]
    fn place(&mut self, hash: u64, slot: Slot) -> Option<(Segment, Place)> {
        let segment = self.segment(hash)?;
        self.before_write(segment);
        let place = if segment.below_limit() {
            segment.place(hash, slot)
        } else {
            None
        }?;
        Some((segment, place))
    }

    /// Takes an element out; the segment has been shown to the views.
    #[inline]
    fn take(&mut self, segment: Segment, place: Place, hash: u64) {
        self.bytes -= segment.vacate(place);
        self.len -= 1;
        if segment.is_sparse() || self.len == 0 {
            self.shrink(segment, hash);
        }
    }
}

impl<E: Element> Drop for Table<E> {
    fn drop(&mut self) {
        let segments: Vec<Segment> = self.segments().collect();
        self.directory = Vec::new();
        for segment in segments {
            for slot in segment.slots() {
                // SAFETY: the directory is gone, so this is the only use of the slot from now on.
                drop(std::mem::ManuallyDrop::into_inner(unsafe {
                    slot.element::<E>()
                }));
            }
            // SAFETY: as above, for the segment.
            unsafe { segment.free() };
        }
    }
}
