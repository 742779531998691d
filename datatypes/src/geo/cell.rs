//! Cells: the rectangles that prefixes of a position's bits stand for.

use std::ops::Range;

use super::{Bounds, Point, STEPS, WORLD};

/// `steps` bits of each coordinate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cell {
    bits: u64,
    steps: u32,
}

/// The places of the latitude's bits; the longitude's are between them.
const LATITUDE: u64 = 0x5555_5555_5555_5555;

/// Which way to a neighbour: -1, 0 or 1.
#[derive(Clone, Copy)]
pub struct Way {
    pub east: i8,
    pub north: i8,
}

impl Cell {
    pub(super) fn at(bits: u64, steps: u32) -> Cell {
        Cell { bits, steps }
    }

    /// The cell that a place lies in.
    pub(super) fn of(point: Point, steps: u32) -> Cell {
        Cell::at(interleave(point, WORLD, steps), steps)
    }

    /// The scores of the positions in it.
    pub fn scores(self) -> Range<f64> {
        let spare = 2 * (STEPS - self.steps);
        (self.bits << spare) as f64..((self.bits + 1) << spare) as f64
    }

    pub(super) fn bounds(self) -> Bounds {
        let (longitude, latitude) = (gather(self.bits >> 1), gather(self.bits));
        let cells = (1_u64 << self.steps) as f64;
        let edge =
            |index: u32, low: f64, high: f64| low + (f64::from(index) / cells) * (high - low);
        Bounds {
            west: edge(longitude, WORLD.west, WORLD.east),
            east: edge(longitude.wrapping_add(1), WORLD.west, WORLD.east),
            south: edge(latitude, WORLD.south, WORLD.north),
            north: edge(latitude.wrapping_add(1), WORLD.south, WORLD.north),
        }
    }

    /// The cell beside this one; behind the edge of the world it goes on at the other side.
    pub(super) fn neighbour(self, way: Way) -> Cell {
        let used = u64::MAX >> (64 - 2 * self.steps);
        let bits =
            go(self.bits, !LATITUDE, used, way.east) | go(self.bits, LATITUDE, used, way.north);
        Cell::at(bits, self.steps)
    }
}

/// One coordinate, whose bits are those of `mask`, a step further: the bits between are set to carry, or clear to
/// borrow. Only a coordinate at the very edge of the world has bits beyond `used`, which it loses when it moves.
fn go(bits: u64, mask: u64, used: u64, step: i8) -> u64 {
    let moved = match step {
        0 => return bits & mask,
        1 => (bits | !mask).wrapping_add(1),
        _ => (bits & mask).wrapping_sub(lowest(mask)),
    };
    moved & mask & used
}

fn lowest(mask: u64) -> u64 {
    mask & mask.wrapping_neg()
}

/// Where a place lies in `bounds`, in `steps` bits for each coordinate.
pub(super) fn interleave(point: Point, bounds: Bounds, steps: u32) -> u64 {
    let cells = (1_u64 << steps) as f64;
    let latitude = (point.latitude - bounds.south) / (bounds.north - bounds.south) * cells;
    let longitude = (point.longitude - bounds.west) / (bounds.east - bounds.west) * cells;
    scatter(latitude as u32) | scatter(longitude as u32) << 1
}

/// Puts a bit of nothing above each bit.
fn scatter(value: u32) -> u64 {
    let mut bits = u64::from(value);
    bits = (bits | bits << 16) & 0x0000_ffff_0000_ffff;
    bits = (bits | bits << 8) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333_3333_3333;
    (bits | bits << 1) & LATITUDE
}

/// Takes every other bit.
fn gather(bits: u64) -> u32 {
    let mut bits = bits & LATITUDE;
    bits = (bits | bits >> 1) & 0x3333_3333_3333_3333;
    bits = (bits | bits >> 2) & 0x0f0f_0f0f_0f0f_0f0f;
    bits = (bits | bits >> 4) & 0x00ff_00ff_00ff_00ff;
    bits = (bits | bits >> 8) & 0x0000_ffff_0000_ffff;
    (bits | bits >> 16) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_are_scattered_and_gathered() {
        for value in [0, 1, 2, 0x0155_5555, 0x03ff_ffff, 0x8000_0001, u32::MAX] {
            let naive = (0..32).fold(0, |bits, nth| {
                bits | u64::from(value >> nth & 1) << (2 * nth)
            });
            assert_eq!(scatter(value), naive);
            assert_eq!(gather(naive | naive << 1), value);
        }
    }

    #[test]
    fn neighbours_are_next_to_a_cell_and_wrap_around() {
        for steps in [1, 2, 5, 26] {
            let last = (1_u64 << steps) - 1;
            for (x, y) in [
                (0, 0),
                (last, 0),
                (0, last),
                (last / 2, last / 2),
                (last, last),
            ] {
                let at =
                    |x: u64, y: u64| Cell::at(scatter(x as u32) << 1 | scatter(y as u32), steps);
                for (east, north) in [
                    (1, 0),
                    (-1, 0),
                    (0, 1),
                    (0, -1),
                    (1, 1),
                    (-1, 1),
                    (1, -1),
                    (-1, -1),
                ] {
                    let go = |from: u64, step: i8| from.wrapping_add_signed(step.into()) & last;
                    let expected = at(go(x, east), go(y, north));
                    assert_eq!(at(x, y).neighbour(Way { east, north }), expected);
                }
            }
        }
    }
}
