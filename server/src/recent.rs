//! The last commands of a loop, for its crash report: one store per command, read by nobody but a dying process.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Commands remembered per loop.
const REMEMBERED: usize = 16;

/// Bits of a note that hold the command's id; the number of the call is above them.
const ID_BITS: u32 = 16;

/// Notes of one loop, which is the only writer.
#[derive(Default)]
pub struct Recent {
    notes: [AtomicU64; REMEMBERED],
}

impl Recent {
    /// Notes that call `number` of this loop, counted from 1, is of command `id`.
    #[inline]
    pub fn note(&self, number: u64, id: usize) {
        let note = number << ID_BITS | id as u64 & ((1 << ID_BITS) - 1);
        self.notes[number as usize % REMEMBERED].store(note, Relaxed);
    }

    /// Ids from the latest call to the earliest, without allocating.
    pub fn latest_first(&self) -> impl Iterator<Item = usize> {
        let notes = self.notes.each_ref().map(|note| note.load(Relaxed));
        let last = notes.iter().max().map_or(0, |note| note >> ID_BITS);
        (0..REMEMBERED as u64)
            .filter_map(move |back| last.checked_sub(back).filter(|number| *number > 0))
            .map(move |number| notes[number as usize % REMEMBERED])
            .map(|note| (note & ((1 << ID_BITS) - 1)) as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_come_first_and_old_ones_are_forgotten() {
        let recent = Recent::default();
        assert_eq!(recent.latest_first().count(), 0);
        (1..=3).for_each(|n| recent.note(n, n as usize * 10));
        assert!(recent.latest_first().eq([30, 20, 10]));
        (4..=100).for_each(|n| recent.note(n, n as usize));
        assert!(recent.latest_first().eq((85..=100).rev()));
    }
}
