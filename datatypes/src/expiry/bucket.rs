//! A bag of items: what the expiry index files under one stretch of time.
//!
//! Most buckets hold a few items, and some hold a million (keys loaded with one deadline). So a bucket starts as a small
//! vector that grows by a quarter, and turns into a chain of 4 KiB chunks, of which only the first is not full: no
//! insertion ever moves more than one chunk's worth of items, and memory comes back while the bucket is emptied.

use std::mem;

/// Items of a chunk: with the link to the next one it makes 4096 bytes.
const CHUNK: usize = 511;

const _: () = assert!(size_of::<Chunk>() == 4096);

pub(super) enum Bucket {
    Few(Vec<u64>),
    /// `used` items of the first of `chunks`, at least one, and every item of the others.
    Many {
        first: Box<Chunk>,
        used: u32,
        chunks: u32,
    },
}

pub(super) struct Chunk {
    items: [u64; CHUNK],
    next: Option<Box<Chunk>>,
}

impl Default for Bucket {
    fn default() -> Bucket {
        Bucket::Few(Vec::new())
    }
}

impl Bucket {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Bucket::Few(items) if items.is_empty())
    }

    /// Adds an item, and what that allocates to `bytes`.
    pub(super) fn push(&mut self, item: u64, bytes: &mut usize) {
        match self {
            Bucket::Few(items) if items.len() < CHUNK => {
                if items.len() == items.capacity() {
                    let before = items.capacity();
                    items.reserve_exact((before / 4).max(2).min(CHUNK - before));
                    *bytes += (items.capacity() - before) * size_of::<u64>();
                }
                items.push(item);
            }
            Bucket::Many { first, used, .. } if (*used as usize) < CHUNK => {
                first.items[*used as usize] = item;
                *used += 1;
            }
            _ => self.start_chunk(item, bytes),
        }
    }

    fn start_chunk(&mut self, item: u64, bytes: &mut usize) {
        let before = self.bytes();
        let (next, chunks) = match mem::take(self) {
            Bucket::Few(items) => {
                let items = items
                    .try_into()
                    .expect("a vector is kept until it fills a chunk");
                (Box::new(Chunk { items, next: None }), 1)
            }
            Bucket::Many { first, chunks, .. } => (first, chunks),
        };
        let mut first = Box::new(Chunk {
            items: [0; CHUNK],
            next: Some(next),
        });
        first.items[0] = item;
        *self = Bucket::Many {
            first,
            used: 1,
            chunks: chunks + 1,
        };
        *bytes += self.bytes() - before;
    }

    /// Takes the item out that came last, and what that frees off `bytes`.
    pub(super) fn pop(&mut self, bytes: &mut usize) -> Option<u64> {
        let (first, used, chunks) = match self {
            Bucket::Few(items) => {
                let item = items.pop();
                if items.is_empty() {
                    *bytes -= items.capacity() * size_of::<u64>();
                    *items = Vec::new();
                }
                return item;
            }
            Bucket::Many {
                first,
                used,
                chunks,
            } => (first, used, *chunks),
        };
        *used -= 1;
        let item = first.items[*used as usize];
        if *used == 0 {
            *bytes -= size_of::<Chunk>();
            *self = match first.next.take() {
                Some(first) => Bucket::Many {
                    first,
                    used: CHUNK as u32,
                    chunks: chunks - 1,
                },
                None => Bucket::default(),
            };
        }
        Some(item)
    }

    /// Any item, as `roll` has it; of a long chain, one of the first chunk.
    pub(super) fn pick(&self, roll: u64) -> Option<u64> {
        let items = match self {
            Bucket::Few(items) => items.as_slice(),
            Bucket::Many { first, used, .. } => &first.items[..*used as usize],
        };
        let place = roll.checked_rem(items.len() as u64)?;
        Some(items[place as usize])
    }

    /// Allocated for the items.
    pub(super) fn bytes(&self) -> usize {
        match self {
            Bucket::Few(items) => items.capacity() * size_of::<u64>(),
            Bucket::Many { chunks, .. } => *chunks as usize * size_of::<Chunk>(),
        }
    }
}

impl Drop for Chunk {
    /// One after the other: a chain of thousands of chunks would overflow the stack in recursion.
    fn drop(&mut self) {
        let mut next = self.next.take();
        while let Some(mut chunk) = next {
            next = chunk.next.take();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_back_what_was_put_in_and_all_memory() {
        for count in [
            0,
            1,
            2,
            3,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            3 * CHUNK,
            3 * CHUNK + 1,
        ] {
            let (mut bucket, mut bytes) = (Bucket::default(), 0);
            (0..count as u64).for_each(|item| bucket.push(item, &mut bytes));
            assert!(bytes >= 8 * count && bytes <= 12 * count + 8200);
            let mut items: Vec<u64> = std::iter::from_fn(|| bucket.pop(&mut bytes)).collect();
            items.sort_unstable();
            assert!(items.into_iter().eq(0..count as u64));
            assert!(bucket.is_empty() && bytes == 0);
        }
    }

    #[test]
    fn a_long_chain_drops_without_recursion() {
        let (mut bucket, mut bytes) = (Bucket::default(), 0);
        (0..5_000_000).for_each(|item| bucket.push(item, &mut bytes));
        drop(bucket);
    }
}
