//! Sorted integers in chunks: a large set of nothing but integers.
//!
//! ```text
//!  chunks        base     differences to it, ascending, in the fewest bytes that hold the largest
//! ┌──────────┐  ┌─────┐ ┌────┬────┬────┬────┐
//! │ chunk 0  ├─►│ -70 │ │  0 │  3 │  4 │ 90 │   2, 4 or 8 bytes each, at most 16 KiB
//! ├──────────┤  └─────┘ └────┴────┴────┴────┘
//! │ chunk 1  │
//! └──────────┘
//! ```
//! A B+tree of two levels, the upper one a plain vector: with 10 M integers it has some 5,000 to 10,000 entries, and moving
//! them, once per thousand inserts, costs less than a third level would cost every lookup. Integers take 2 to 12 bytes
//! each where a table of texts takes 29.
//!
//! Invariants: 1. no chunk is empty, none has more than [`CHUNK_BYTES`]; 2. a chunk's base is at most its first integer
//! and above the last one of the chunk before; 3. differences ascend strictly.
//!
//! Order also makes the cursor of a scan: see [`code`].

/// Largest size of a chunk: what an insert moves at most.
const CHUNK_BYTES: usize = 16 * 1024;
/// Most integers in a chunk.
const CHUNK_MAX: usize = CHUNK_BYTES / size_of::<u16>();
/// Two neighbours that fit so many bytes become one, when one of them has fallen below a third of that.
const MERGED_BYTES: usize = CHUNK_BYTES * 3 / 4;

/// Chunks from which on a new one gets all the room that it may ever need. Where hundreds of chunks grow side by side in
/// small steps, they leave holes of every size behind.
const MANY: usize = 8;

/// Draws of a random place before integers are counted off instead.
const DRAWS: usize = 128;

/// A set of integers in ascending order.
#[derive(Clone, Debug, Default)]
pub struct Chunks {
    chunks: Vec<Chunk>,
    len: usize,
}

#[derive(Clone, Debug)]
struct Chunk {
    base: i64,
    differences: Differences,
}

#[derive(Clone, Debug)]
enum Differences {
    U16(Vec<u16>),
    U32(Vec<u32>),
    U64(Vec<u64>),
}

/// Does the same with a vector of any width.
macro_rules! any_width {
    ($differences:expr, $vec:ident => $do:expr) => {
        match $differences {
            Differences::U16($vec) => $do,
            Differences::U32($vec) => $do,
            Differences::U64($vec) => $do,
        }
    };
}

impl Chunks {
    /// Of integers that ascend strictly.
    pub fn from_sorted(values: &[i64]) -> Self {
        debug_assert!(values.is_sorted_by(|a, b| a < b));
        let mut chunks = Self {
            chunks: Vec::new(),
            len: values.len(),
        };
        chunks.replace(0..0, values);
        chunks
    }

    /// Adds the next chunk to a copy of these, which was empty once. Whether there was one.
    pub fn copy_part(&self, copy: &mut Self) -> bool {
        let Some(chunk) = self.chunks.get(copy.chunks.len()) else {
            return false;
        };
        if copy.chunks.is_empty() {
            copy.chunks.reserve_exact(self.chunks.len());
        }
        copy.chunks.push(chunk.clone());
        copy.len += chunk.len();
        true
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Allocated bytes.
    pub fn memory_usage(&self) -> usize {
        let chunks = self.chunks.iter().map(Chunk::memory_usage);
        self.chunks.capacity() * size_of::<Chunk>() + chunks.sum::<usize>()
    }

    pub fn contains(&self, value: i64) -> bool {
        let chunk = self.chunks.get(self.chunk_of(value));
        chunk.is_some_and(|chunk| chunk.find(value).is_ok())
    }

    /// Whether it was not there.
    pub fn insert(&mut self, value: i64) -> bool {
        let (at, count) = (self.chunk_of(value), self.chunks.len());
        let Some(chunk) = self.chunks.get_mut(at) else {
            self.replace(0..0, &[value]);
            self.len = 1;
            return true;
        };
        let Err(place) = chunk.find(value) else {
            return false;
        };
        let is_last = at + 1 == count && place == chunk.len();
        if !chunk.insert(place, value) {
            if is_last && chunk.is_full() {
                // Integers that come in ascending order leave full chunks behind.
                self.replace(at + 1..at + 1, &[value]);
            } else {
                let mut values = chunk.to_vec();
                values.insert(place, value);
                self.replace(at..at + 1, &values);
            }
        }
        self.len += 1;
        true
    }

    /// Whether it was there.
    pub fn remove(&mut self, value: i64) -> bool {
        let at = self.chunk_of(value);
        let Some(chunk) = self.chunks.get_mut(at) else {
            return false;
        };
        let Ok(place) = chunk.find(value) else {
            return false;
        };
        chunk.remove(place);
        self.len -= 1;
        if chunk.len() == 0 {
            self.chunks.remove(at);
        } else if chunk.bytes() < MERGED_BYTES / 3 {
            self.merge(at);
        }
        true
    }

    /// Puts a sparse chunk together with a neighbour if both fit one.
    fn merge(&mut self, at: usize) {
        let fit = |left: usize| {
            let (left, right) = (self.chunks.get(left)?, self.chunks.get(left + 1)?);
            let width = width_of(left.at(0), right.last());
            (width * (left.len() + right.len()) <= MERGED_BYTES).then_some(())
        };
        let left = match (fit(at), at.checked_sub(1)) {
            (Some(()), _) => at,
            (None, Some(before)) if fit(before).is_some() => before,
            _ => return,
        };
        let mut values = self.chunks[left].to_vec();
        values.extend(self.chunks[left + 1].iter());
        self.replace(left..left + 2, &values);
    }

    /// The integer at `index` in ascending order.
    pub fn nth(&self, mut index: usize) -> Option<i64> {
        for chunk in &self.chunks {
            if index < chunk.len() {
                return Some(chunk.at(index));
            }
            index -= chunk.len();
        }
        None
    }

    /// One of them, each with the same chance; `random` yields uniform 64-bit numbers.
    ///
    /// Draws a place among as many as fit a chunk, in any chunk, until there is an integer in it.
    pub fn random(&self, random: &mut impl FnMut() -> u64) -> Option<i64> {
        if self.chunks.is_empty() {
            return None;
        }
        let longest = if self.chunks.len() == 1 {
            self.len
        } else {
            CHUNK_MAX
        };
        for _ in 0..DRAWS {
            let place = super::below(self.chunks.len() * longest, random());
            let (chunk, index) = (&self.chunks[place / longest], place % longest);
            if index < chunk.len() {
                return Some(chunk.at(index));
            }
        }
        self.nth(super::below(self.len, random()))
    }

    pub fn iter(&self) -> impl Iterator<Item = i64> {
        self.chunks.iter().flat_map(Chunk::iter)
    }

    /// Those from `start` on.
    pub fn iter_from(&self, start: i64) -> impl Iterator<Item = i64> {
        let at = self.chunk_of(start);
        let chunks = self.chunks.get(at..).unwrap_or_default();
        let place = |chunk: &Chunk| chunk.find(start).unwrap_or_else(|place| place);
        let mut skip = chunks.first().map_or(0, place);
        chunks
            .iter()
            .flat_map(move |chunk| chunk.iter_from(std::mem::take(&mut skip)))
    }

    /// Emits about `count` integers whose [`code`] is `cursor` or more, and answers the code of the next one.
    pub fn scan(&self, cursor: u64, count: usize, mut emit: impl FnMut(i64)) -> Option<u64> {
        let mut last = None;
        for (nth, value) in self.iter_from(least_with(cursor)).enumerate() {
            let code = code(value);
            if nth >= count && last != Some(code) {
                return Some(code);
            }
            emit(value);
            last = Some(code);
        }
        None
    }

    /// The chunk in which an integer is or belongs.
    #[inline]
    fn chunk_of(&self, value: i64) -> usize {
        let after = self.chunks.partition_point(|chunk| chunk.base <= value);
        after.saturating_sub(1)
    }

    /// Puts chunks of `values` in the place of others.
    fn replace(&mut self, range: std::ops::Range<usize>, values: &[i64]) {
        let before = range.start.checked_sub(1).map(|at| self.chunks[at].last());
        let mut floor = before.map_or(i64::MIN, |last| last + 1);
        let room = if self.chunks.len() < MANY {
            0
        } else {
            CHUNK_BYTES
        };
        let mut new = Vec::new();
        divide(values, &mut |part| {
            new.push(Chunk::of(part, floor, room));
            floor = part[part.len() - 1].saturating_add(1);
        });
        if self.chunks.len() == self.chunks.capacity() {
            self.chunks.reserve_exact(self.chunks.len() / 8 + 1);
        }
        self.chunks.splice(range, new);
    }
}

/// Cuts sorted integers into halves until each part fits a chunk.
fn divide(values: &[i64], each: &mut impl FnMut(&[i64])) {
    let (Some(&first), Some(&last)) = (values.first(), values.last()) else {
        return;
    };
    if values.len() * width_of(first, last) <= CHUNK_BYTES {
        return each(values);
    }
    let (low, high) = values.split_at(values.len() / 2);
    divide(low, each);
    divide(high, each);
}

/// Bytes that a difference takes between `first` and `last`.
fn width_of(first: i64, last: i64) -> usize {
    match difference(first, last) {
        0..=0xffff => 2,
        0x1_0000..=0xffff_ffff => 4,
        _ => 8,
    }
}

/// `value - base` for a value that is not less.
#[inline]
fn difference(base: i64, value: i64) -> u64 {
    value.wrapping_sub(base) as u64
}

impl Chunk {
    /// Of sorted integers that fit one. What the width leaves to spare goes to both sides alike, but the base stays at or
    /// above `floor`, so that neither ascending nor descending integers widen a chunk one by one. It can hold `room` bytes
    /// before it has to grow.
    fn of(values: &[i64], floor: i64, room: usize) -> Self {
        let (first, last) = (values[0], values[values.len() - 1]);
        let width = width_of(first, last);
        let reach = u64::MAX >> (64 - 8 * width);
        let spare = (reach - difference(first, last)) / 2;
        let base = first.saturating_sub_unsigned(spare).max(floor);
        let each = values.iter().map(|&value| difference(base, value));
        let differences = match width {
            2 => Differences::U16(with_room(each.map(|difference| difference as u16), room)),
            4 => Differences::U32(with_room(each.map(|difference| difference as u32), room)),
            _ => Differences::U64(with_room(each, room)),
        };
        Self { base, differences }
    }

    fn len(&self) -> usize {
        any_width!(&self.differences, vec => vec.len())
    }

    fn width(&self) -> usize {
        match self.differences {
            Differences::U16(_) => 2,
            Differences::U32(_) => 4,
            Differences::U64(_) => 8,
        }
    }

    fn bytes(&self) -> usize {
        self.len() * self.width()
    }

    fn is_full(&self) -> bool {
        self.bytes() >= CHUNK_BYTES
    }

    fn memory_usage(&self) -> usize {
        self.width() * any_width!(&self.differences, vec => vec.capacity())
    }

    #[inline]
    fn at(&self, index: usize) -> i64 {
        let difference = match &self.differences {
            Differences::U16(vec) => vec[index].into(),
            Differences::U32(vec) => vec[index].into(),
            Differences::U64(vec) => vec[index],
        };
        self.base.wrapping_add(difference as i64)
    }

    fn last(&self) -> i64 {
        self.at(self.len() - 1)
    }

    fn iter(&self) -> impl Iterator<Item = i64> {
        self.iter_from(0)
    }

    fn iter_from(&self, start: usize) -> impl Iterator<Item = i64> {
        (start..self.len()).map(|index| self.at(index))
    }

    fn to_vec(&self) -> Vec<i64> {
        self.iter().collect()
    }

    /// Where it is, or where it belongs.
    #[inline]
    fn find(&self, value: i64) -> Result<usize, usize> {
        if value < self.base {
            return Err(0);
        }
        let wanted = difference(self.base, value);
        match &self.differences {
            Differences::U16(vec) => find(vec, wanted),
            Differences::U32(vec) => find(vec, wanted),
            Differences::U64(vec) => find(vec, wanted),
        }
    }

    /// `false`: the chunk is full, or too narrow.
    fn insert(&mut self, place: usize, value: i64) -> bool {
        if value < self.base || self.is_full() {
            return false;
        }
        let wanted = difference(self.base, value);
        match &mut self.differences {
            Differences::U16(vec) => insert(vec, place, wanted),
            Differences::U32(vec) => insert(vec, place, wanted),
            Differences::U64(vec) => insert(vec, place, wanted),
        }
    }

    fn remove(&mut self, place: usize) {
        any_width!(&mut self.differences, vec => {
            vec.remove(place);
            if vec.len() * 3 < vec.capacity() {
                vec.shrink_to(vec.len() + vec.len() / 4);
            }
        });
    }
}

#[inline]
fn find<T: Copy + Ord + TryFrom<u64>>(vec: &[T], wanted: u64) -> Result<usize, usize> {
    match T::try_from(wanted) {
        Ok(wanted) => vec.binary_search(&wanted),
        Err(_) => Err(vec.len()),
    }
}

fn with_room<T>(differences: impl ExactSizeIterator<Item = T>, bytes: usize) -> Vec<T> {
    let room = bytes / size_of::<T>();
    let mut vec = Vec::with_capacity(differences.len().max(room));
    vec.extend(differences);
    vec
}

fn insert<T: TryFrom<u64>>(vec: &mut Vec<T>, place: usize, difference: u64) -> bool {
    let Ok(difference) = T::try_from(difference) else {
        return false;
    };
    if vec.len() == vec.capacity() {
        // A step of the allocator's at a time: doubling would leave a quarter of the memory unused.
        let longest = CHUNK_BYTES / size_of::<T>();
        let more = (vec.len() / 8).max(8);
        vec.reserve_exact(more.min(longest - vec.len()));
    }
    vec.insert(place, difference);
    true
}

/// Integers from here on, in either direction from 0, share their codes with neighbours.
const EXACT: u64 = 1 << 50;
/// How many there share one, in bits.
const SHARED_BITS: u32 = 14;
const MIDDLE: u64 = 1 << 63;
/// The lowest of those with a code of their own.
const EXACT_FROM: u64 = MIDDLE - EXACT;
const CODE_OF_EXACT: u64 = EXACT_FROM >> SHARED_BITS;
const CODE_BEYOND: u64 = CODE_OF_EXACT + 2 * EXACT;

/// An integer's place in the order of a scan, below 2^52: clients keep cursors in doubles, so not all integers can have
/// one of their own. A scan goes on from a code, not from a count, and therefore misses nothing that stays.
fn code(value: i64) -> u64 {
    let ordered = value as u64 ^ MIDDLE;
    match ordered {
        ..EXACT_FROM => ordered >> SHARED_BITS,
        _ if ordered - EXACT_FROM < 2 * EXACT => CODE_OF_EXACT + (ordered - EXACT_FROM),
        _ => CODE_BEYOND + ((ordered - EXACT_FROM - 2 * EXACT) >> SHARED_BITS),
    }
}

/// The least integer with this code or a greater one.
fn least_with(code: u64) -> i64 {
    let ordered = match code {
        ..CODE_OF_EXACT => code << SHARED_BITS,
        CODE_OF_EXACT..CODE_BEYOND => code - CODE_OF_EXACT + EXACT_FROM,
        _ => ((code - CODE_BEYOND) << SHARED_BITS).saturating_add(EXACT_FROM + 2 * EXACT),
    };
    (ordered ^ MIDDLE) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_with_integers_and_lead_back() {
        let edges = [
            i64::MIN,
            -(1 << 51),
            -(1 << 50),
            -1,
            0,
            1,
            1 << 50,
            1 << 51,
            i64::MAX,
        ];
        let mut values: Vec<i64> = edges
            .iter()
            .flat_map(|&edge: &i64| (-3..=3).map(move |off| edge.saturating_add(off)))
            .collect();
        values.sort_unstable();
        assert!(values.is_sorted_by_key(|&value| code(value)));
        for value in values {
            let code = code(value);
            assert!(code < 1 << 52);
            let least = least_with(code);
            assert!(least <= value && self::code(least) == code, "{value}");
        }
    }

    fn check(chunks: &Chunks) {
        for pair in chunks.chunks.windows(2) {
            assert!(pair[0].last() < pair[1].base);
        }
        for chunk in &chunks.chunks {
            assert!(chunk.len() > 0 && chunk.bytes() <= CHUNK_BYTES);
            assert!(chunk.base <= chunk.at(0));
            assert!(chunk.to_vec().is_sorted_by(|a, b| a < b));
        }
        let sum: usize = chunks.chunks.iter().map(Chunk::len).sum();
        assert_eq!(sum, chunks.len());
    }

    #[test]
    fn every_order_of_insertion_leaves_sound_chunks_that_are_well_filled() {
        let count = 30_000_i64;
        let scattered = |index: i64| index.wrapping_mul(0x9e37_79b9_7f4a_7c15_u64 as i64);
        let orders: [(usize, &dyn Fn(i64) -> i64); 6] = [
            (3, &|index| index),
            (4, &|index| -index),
            (5, &|index| index * 1_000_003),
            (7, &|index| if index % 2 == 0 { index } else { -index }),
            (9, &|index| scattered(index) >> 32),
            (14, &scattered),
        ];
        for (nth, (bytes, order)) in orders.into_iter().enumerate() {
            let mut chunks = Chunks::default();
            for index in 0..count {
                assert!(chunks.insert(order(index)));
                assert!(!chunks.insert(order(index)));
            }
            check(&chunks);
            let used = chunks.memory_usage();
            assert!(used <= bytes * count as usize, "order {nth}: {used}");
            for index in (0..count).filter(|index| index % 16 != 3) {
                assert!(chunks.remove(order(index)));
                assert!(!chunks.remove(order(index)));
            }
            check(&chunks);
            let used = chunks.memory_usage();
            assert!(
                used <= 4 * bytes * count as usize / 16,
                "order {nth}: {used}"
            );
        }
    }
}
