//! What a search looks for: a circle, a box or a polygon, and the cells that cover it.

use super::cell::Way;
use super::{Bounds, Cell, EARTH_RADIUS_M, Point, STEPS, WORLD, degrees, radians};

/// An area on the earth. Lengths are in metres.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    Circle {
        center: Point,
        radius: f64,
    },
    /// So far to each side that the point's own latitude and the centre's longitude decide.
    Box {
        center: Point,
        width: f64,
        height: f64,
    },
    /// At least three vertices; edges are straight in degrees.
    Polygon {
        vertices: Box<[Point]>,
    },
}

/// Half the circumference of the projected world, in metres.
const MERCATOR_MAX_M: f64 = 20_037_726.37;

/// The order in which a cell's neighbours are searched.
const WAYS: [Way; 8] = [
    Way { east: 0, north: 1 },
    Way { east: 0, north: -1 },
    Way { east: 1, north: 0 },
    Way { east: -1, north: 0 },
    Way { east: 1, north: 1 },
    Way { east: -1, north: 1 },
    Way { east: 1, north: -1 },
    Way {
        east: -1,
        north: -1,
    },
];

/// A shape with what is computed of it once.
#[derive(Clone, Debug)]
pub struct Area {
    shape: Shape,
    center: Point,
    bounds: Bounds,
}

impl Area {
    pub fn of(shape: Shape) -> Area {
        let center = match &shape {
            Shape::Circle { center, .. } | Shape::Box { center, .. } => *center,
            Shape::Polygon { vertices } => centroid(vertices),
        };
        let bounds = match &shape {
            Shape::Circle { radius, .. } => bounds_of(center, *radius, *radius),
            Shape::Box { width, height, .. } => bounds_of(center, width / 2.0, height / 2.0),
            Shape::Polygon { vertices } => bounds_of_vertices(vertices),
        };
        Area {
            shape,
            center,
            bounds,
        }
    }

    /// The distance in metres of a point from the centre, if the point is inside.
    pub fn distance_inside(&self, point: Point) -> Option<f64> {
        match &self.shape {
            Shape::Circle { radius, .. } => {
                let distance = self.center.distance(point);
                let is_far = distance > *radius;
                (!is_far).then_some(distance)
            }
            Shape::Box { width, height, .. } => {
                if point.latitude_distance(self.center) > height / 2.0 {
                    return None;
                }
                let beside = Point {
                    longitude: self.center.longitude,
                    ..point
                };
                let is_far = point.distance(beside) > width / 2.0;
                (!is_far).then(|| self.center.distance(point))
            }
            Shape::Polygon { vertices } => {
                is_within(point, vertices).then(|| self.center.distance(point))
            }
        }
    }

    /// The radius in metres of a circle around the centre that covers the shape.
    fn reach(&self) -> f64 {
        match &self.shape {
            Shape::Circle { radius, .. } => *radius,
            Shape::Box { width, height, .. } => {
                ((width / 2.0) * (width / 2.0) + (height / 2.0) * (height / 2.0)).sqrt()
            }
            Shape::Polygon { .. } => {
                let bounds = self.bounds;
                let corners = [
                    (bounds.west, bounds.north),
                    (bounds.east, bounds.north),
                    (bounds.west, bounds.south),
                    (bounds.east, bounds.south),
                ];
                let distances = corners.map(|(longitude, latitude)| {
                    let corner = Point {
                        longitude,
                        latitude,
                    };
                    self.center.distance(corner)
                });
                distances.into_iter().fold(0.0, f64::max)
            }
        }
    }

    /// The cells whose positions can be inside, in the order of the search.
    pub fn cells(&self) -> Vec<Cell> {
        let mut steps = steps_for(self.reach(), self.center.latitude);
        if steps > 1 && !self.is_covered_by(Cell::of(self.center, steps)) {
            steps -= 1;
        }
        let middle = Cell::of(self.center, steps);
        let inner = middle.bounds();
        let is_needless = |way: &Way| {
            let north_or_south = match way.north {
                0 => false,
                1 => inner.north > self.bounds.north,
                _ => inner.south < self.bounds.south,
            };
            let east_or_west = match way.east {
                0 => false,
                1 => inner.east > self.bounds.east,
                _ => inner.west < self.bounds.west,
            };
            steps >= 2 && (north_or_south || east_or_west)
        };
        let mut cells = vec![middle];
        for way in WAYS.iter().filter(|way| !is_needless(way)) {
            let cell = middle.neighbour(*way);
            // Where cells are large, neighbours on both sides are the same one.
            if cells.len() == 1 || cells.last() != Some(&cell) {
                cells.push(cell);
            }
        }
        cells
    }

    /// Whether a cell's neighbours reach as far as the shape does.
    fn is_covered_by(&self, cell: Cell) -> bool {
        let beside = |east: i8, north: i8| cell.neighbour(Way { east, north }).bounds();
        !(beside(0, 1).north < self.bounds.north
            || beside(0, -1).south > self.bounds.south
            || beside(1, 0).east < self.bounds.east
            || beside(-1, 0).west > self.bounds.west)
    }
}

/// How fine the cells may be for nine of them to cover a circle.
fn steps_for(mut radius: f64, latitude: f64) -> u32 {
    if radius == 0.0 {
        return STEPS;
    }
    let mut steps = 1;
    while radius < MERCATOR_MAX_M {
        radius *= 2.0;
        steps += 1;
    }
    // Two for the cases at the edge of a cell; degrees of longitude get shorter towards the poles.
    steps -= 2;
    steps -= i32::from(latitude.abs() > 66.0) + i32::from(latitude.abs() > 80.0);
    steps.clamp(1, STEPS as i32) as u32
}

/// The degrees that are less than `width` to the east or west and `height` to the north or south of a point. Its left
/// and right edges bend towards the near pole; the longer of top and bottom is that one.
fn bounds_of(center: Point, width: f64, height: f64) -> Bounds {
    let latitude_delta = degrees(height / EARTH_RADIUS_M);
    let away = if center.latitude < 0.0 {
        center.latitude - latitude_delta
    } else {
        center.latitude + latitude_delta
    };
    let longitude_delta = degrees(width / EARTH_RADIUS_M / radians(away).cos());
    Bounds {
        west: center.longitude - longitude_delta,
        east: center.longitude + longitude_delta,
        south: center.latitude - latitude_delta,
        north: center.latitude + latitude_delta,
    }
}

fn bounds_of_vertices(vertices: &[Point]) -> Bounds {
    let nothing = Bounds {
        west: WORLD.east,
        east: WORLD.west,
        south: WORLD.north,
        north: WORLD.south,
    };
    vertices.iter().fold(nothing, |bounds, vertex| Bounds {
        west: bounds.west.min(vertex.longitude),
        east: bounds.east.max(vertex.longitude),
        south: bounds.south.min(vertex.latitude),
        north: bounds.north.max(vertex.latitude),
    })
}

/// The middle of the vertices as points in space, where vertices around a pole would have it beyond the projection.
fn centroid(vertices: &[Point]) -> Point {
    let (mut x, mut y, mut z) = (0.0, 0.0, 0.0);
    for vertex in vertices {
        let (longitude, latitude) = (radians(vertex.longitude), radians(vertex.latitude));
        x += EARTH_RADIUS_M * latitude.cos() * longitude.cos();
        y += EARTH_RADIUS_M * latitude.cos() * longitude.sin();
        z += EARTH_RADIUS_M * latitude.sin();
    }
    let count = vertices.len() as f64;
    let (x, y, z) = (x / count, y / count, z / count);
    let latitude = degrees(z.atan2((x * x + y * y).sqrt()));
    Point {
        longitude: degrees(y.atan2(x)),
        latitude: latitude.clamp(WORLD.south, WORLD.north),
    }
}

/// Whether a ray from the point crosses the polygon's edges an odd number of times (W. Randolph Franklin's PNPOLY).
fn is_within(point: Point, vertices: &[Point]) -> bool {
    let before = vertices.iter().cycle().skip(vertices.len() - 1);
    let crossed = vertices.iter().zip(before).filter(|(a, b)| {
        let edge_at = || {
            (b.longitude - a.longitude) * (point.latitude - a.latitude) / (b.latitude - a.latitude)
                + a.longitude
        };
        (a.latitude > point.latitude) != (b.latitude > point.latitude)
            && point.longitude < edge_at()
    });
    crossed.count() % 2 == 1
}
