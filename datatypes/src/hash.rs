//! The one keyed hash of the process: every table, filter and index hashes a key through here.
//!
//! A command hashes its key once and hands the 64 bits on: the top bits are the key's position (which segment,
//! which bucket, where SCAN meets it), the bits below give the table's tag. The expiry index keeps the top 48
//! bits only, so nothing may depend on the other 16. Nothing in here draws a seed: whoever builds a [`Seed`]
//! brings the entropy, so that a test or a simulation can repeat a run.

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;
use std::hash::Hasher;

/// Secret key of the hash; two seeds agree on nothing.
///
/// foldhash multiplies the input with the words of its shared seed, so these must be secret too: with the
/// crate's fixed ones anybody can write down keys that collide under every per-hasher seed.
#[derive(Clone, Copy)]
pub struct Seed {
    accumulator: u64,
    shared: &'static SharedSeed,
    /// What every hash is multiplied with; odd.
    turn: u64,
}

impl Seed {
    /// Derives all secret words from `entropy`.
    ///
    /// A process makes one at its start: each call leaks 48 bytes, which buys a `Seed` of three words that
    /// is copied into every table.
    #[must_use]
    pub fn new(entropy: u64) -> Self {
        let shared: &'static SharedSeed = Box::leak(Box::new(SharedSeed::from_u64(entropy)));
        let mut expand = FoldHasher::with_seed(entropy, shared);
        expand.write(b"accumulator");
        Self {
            accumulator: expand.finish(),
            shared,
            turn: 1,
        }
    }
}

impl Seed {
    /// Another seed of the same process, whose order has nothing to do with this one's.
    ///
    /// A table that is filled in the hash order of another one under the same seed does nothing but split its first
    /// segment, and ends in chains: what may be filled from the elements of its like needs a seed of its own.
    #[must_use]
    pub fn vary(self, salt: u64) -> Self {
        Self {
            accumulator: self.accumulator ^ salt,
            ..self
        }
    }

    /// The same for tables that are all asked with one hash, that of the key under the seed that this one comes from:
    /// [`turned`](Self::turned) makes of it the hash under this one. `by` is odd and large.
    #[must_use]
    pub fn turn(self, by: u64) -> Self {
        Self {
            turn: self.turn.wrapping_mul(by),
            ..self
        }
    }

    /// The hash under this seed of a key whose hash was `hash` before the seed was turned.
    ///
    /// A product's top bits depend on all bits of the hash, so that what is in order before is in none after.
    #[inline]
    #[must_use]
    pub fn turned(&self, hash: u64) -> u64 {
        hash.wrapping_mul(self.turn)
    }
}

/// Hashes `key` under `seed`: 2–3 ns for up to 16 bytes, then about 16 bytes per ns.
#[inline]
#[must_use]
pub fn hash(seed: &Seed, key: &[u8]) -> u64 {
    let mut hasher = FoldHasher::with_seed(seed.accumulator, seed.shared);
    hasher.write(key);
    seed.turned(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn same_seed_repeats_and_other_seeds_differ() {
        let (a, again, b) = (Seed::new(7), Seed::new(7), Seed::new(8));
        for key in [&b""[..], b"k", b"user:1000", &[0; 16], &[0; 17], &[9; 300]] {
            assert_eq!(hash(&a, key), hash(&again, key));
            assert_ne!(hash(&a, key), hash(&b, key));
        }
    }

    #[test]
    fn neighbouring_keys_flip_about_half_of_every_bit() {
        let seed = Seed::new(3);
        let mut flips = [0u32; 64];
        for n in 0..4096u32 {
            let (a, b) = (format!("key:{}", 2 * n), format!("key:{}", 2 * n + 1));
            let difference = hash(&seed, a.as_bytes()) ^ hash(&seed, b.as_bytes());
            for (bit, count) in flips.iter_mut().enumerate() {
                *count += (difference >> bit) as u32 & 1;
            }
        }
        assert!(
            flips.iter().all(|count| (1888..2208).contains(count)),
            "{flips:?}"
        );
    }
}
