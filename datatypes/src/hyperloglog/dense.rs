//! Registers of 6 bits: four in three bytes, the first in the lowest bits.

use super::Pattern;

/// Makes one register at least the pattern's count. Whether it was less.
pub fn raise(registers: &mut [u8], pattern: Pattern) -> bool {
    let at = pattern.register / 4 * 3;
    let group = &mut registers[at..at + 3];
    let shift = pattern.register % 4 * 6;
    let values = load(group);
    let old = values >> shift & 63;
    let new = u32::from(pattern.count);
    if new <= old {
        return false;
    }
    let values = values & !(63 << shift) | new << shift;
    group.copy_from_slice(&values.to_le_bytes()[..3]);
    true
}

fn load(group: &[u8]) -> u32 {
    u32::from_le_bytes([group[0], group[1], group[2], 0])
}

/// Hands over every register with its value.
#[inline]
pub fn each(registers: &[u8], mut look: impl FnMut(usize, u8)) {
    for (nth, group) in registers.chunks_exact(3).enumerate() {
        let values = load(group);
        for place in 0..4 {
            look(nth * 4 + place, (values >> (place * 6) & 63) as u8);
        }
    }
}

/// Writes all registers.
pub fn write(registers: &mut [u8], values: &[u8]) {
    for (group, values) in registers.chunks_exact_mut(3).zip(values.chunks_exact(4)) {
        let joined = values
            .iter()
            .rev()
            .fold(0, |joined, value| joined << 6 | u32::from(*value));
        group.copy_from_slice(&joined.to_le_bytes()[..3]);
    }
}
