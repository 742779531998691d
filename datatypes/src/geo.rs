//! Positions on the earth as scores of a sorted set, and searches for those inside a shape.
//!
//! A position is 52 bits that interleave longitude and latitude, highest bits first, so that a prefix names a rectangle
//! ([`Cell`]) and the positions in it have neighbouring scores:
//! ```text
//!  longitude  x25 x24 ... x0        score  x25 y25 x24 y24 ... x0 y0      an integer, exact in a double
//!  latitude   y25 y24 ... y0
//! ```
//! A search reads the score ranges of at most nine cells around the shape's centre and looks at each position in them.
//! All arithmetic is that of Redis, operation by operation: replies agree to the last digit, and the cells come in the
//! same order.

mod cell;
mod shape;

pub use cell::Cell;
pub use shape::{Area, Shape};

/// Bits of each coordinate.
const STEPS: u32 = 26;
const EARTH_RADIUS_M: f64 = 6_372_797.560856;

/// Where positions can be: the square of the Mercator projection.
const WORLD: Bounds = Bounds {
    west: -180.0,
    east: 180.0,
    south: -85.05112878,
    north: 85.05112878,
};
/// What the rest of the world interleaves.
const WHOLE_WORLD: Bounds = Bounds {
    south: -90.0,
    north: 90.0,
    ..WORLD
};

/// A place, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    pub longitude: f64,
    pub latitude: f64,
}

/// A rectangle, in degrees.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    pub west: f64,
    pub east: f64,
    pub south: f64,
    pub north: f64,
}

impl Bounds {
    fn contains(&self, point: Point) -> bool {
        (self.west..=self.east).contains(&point.longitude)
            && (self.south..=self.north).contains(&point.latitude)
    }
}

impl Point {
    pub const ORIGIN: Point = Point {
        longitude: 0.0,
        latitude: 0.0,
    };

    /// `None` for what lies outside the projection: the poles.
    pub fn new(longitude: f64, latitude: f64) -> Option<Point> {
        let point = Point {
            longitude,
            latitude,
        };
        WORLD.contains(point).then_some(point)
    }

    pub fn score(self) -> f64 {
        self.bits() as f64
    }

    fn bits(self) -> u64 {
        cell::interleave(self, WORLD, STEPS)
    }

    /// The position that a score stands for. Scores that ZADD has put there give one too, but no sense.
    pub fn of_score(score: f64) -> Point {
        let bounds = Cell::at(to_bits(score), STEPS).bounds();
        Point {
            longitude: middle(bounds.west, bounds.east).clamp(WORLD.west, WORLD.east),
            latitude: middle(bounds.south, bounds.north).clamp(WORLD.south, WORLD.north),
        }
    }

    /// The name of the place on geohash.org: its last letter has no bits left.
    pub fn geohash(self) -> [u8; 11] {
        const LETTERS: &[u8; 32] = b"0123456789bcdefghjkmnpqrstuvwxyz";
        let bits = cell::interleave(self, WHOLE_WORLD, STEPS);
        std::array::from_fn(|nth| match 52_usize.checked_sub(5 * (nth + 1)) {
            Some(shift) => LETTERS[(bits >> shift & 31) as usize],
            None => LETTERS[0],
        })
    }

    /// Metres on the great circle, by the haversine formula.
    pub fn distance(self, other: Point) -> f64 {
        let half_longitude = ((radians(other.longitude) - radians(self.longitude)) / 2.0).sin();
        if half_longitude == 0.0 {
            return self.latitude_distance(other);
        }
        let (from, to) = (radians(self.latitude), radians(other.latitude));
        let half_latitude = ((to - from) / 2.0).sin();
        let a =
            half_latitude * half_latitude + from.cos() * to.cos() * half_longitude * half_longitude;
        2.0 * EARTH_RADIUS_M * a.sqrt().asin()
    }

    /// Metres along a meridian.
    fn latitude_distance(self, other: Point) -> f64 {
        EARTH_RADIUS_M * (radians(other.latitude) - radians(self.latitude)).abs()
    }
}

fn middle(low: f64, high: f64) -> f64 {
    (low + high) / 2.0
}

fn radians(degrees: f64) -> f64 {
    degrees * (std::f64::consts::PI / 180.0)
}

fn degrees(radians: f64) -> f64 {
    radians / (std::f64::consts::PI / 180.0)
}

/// A score as an integer, as C converts it on x86, negative and huge ones included.
fn to_bits(score: f64) -> u64 {
    const TOP: f64 = (1_u64 << 63) as f64;
    match score {
        _ if score < TOP => score as i64 as u64,
        _ if score < 2.0 * TOP => score as u64,
        _ => 0,
    }
}

/// A distance with four digits behind the point.
pub fn format_distance(distance: f64) -> String {
    let scaled = (distance * 10_000.0).round_ties_even() as i64;
    let (sign, scaled) = (if scaled < 0 { "-" } else { "" }, scaled.unsigned_abs());
    format!("{sign}{}.{:04}", scaled / 10_000, scaled % 10_000)
}

/// In which unit distances are said.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Unit {
    pub metres: f64,
}

impl Unit {
    pub const METRES: Unit = Unit { metres: 1.0 };

    pub fn parse(name: &[u8]) -> Option<Unit> {
        const UNITS: [(&str, f64); 4] =
            [("m", 1.0), ("km", 1000.0), ("ft", 0.3048), ("mi", 1609.34)];
        let found = UNITS
            .iter()
            .find(|(unit, _)| name.eq_ignore_ascii_case(unit.as_bytes()))?;
        Some(Unit { metres: found.1 })
    }
}
