//! Searches by cells against looking at every point, and positions against their own rounding.

use ostraka_datatypes::geo::{Area, Point, Shape, Unit, format_distance};
use proptest::prelude::*;

fn place(latitude: f64) -> impl Strategy<Value = Point> {
    (-180.0..=180.0, -latitude..=latitude).prop_map(|(longitude, latitude)| {
        Point::new(longitude, latitude).expect("it is not a pole")
    })
}

fn near(center: Point, degrees: f64) -> impl Strategy<Value = Point> {
    (-degrees..degrees, -degrees..degrees).prop_filter_map("a pole", move |(east, north)| {
        Point::new(center.longitude + east, center.latitude + north)
    })
}

fn shape() -> impl Strategy<Value = (Point, f64, Shape)> {
    (place(60.0), 0.0..6.0_f64, any::<bool>(), 0.2..5.0_f64).prop_map(
        |(center, size, circle, narrow)| {
            let radius = 10_f64.powf(size);
            let shape = if circle {
                Shape::Circle { center, radius }
            } else {
                let (width, height) = (radius, radius / narrow);
                Shape::Box {
                    center,
                    width,
                    height,
                }
            };
            (center, radius, shape)
        },
    )
}

fn is_covered(area: &Area, point: Point) -> bool {
    let score = point.score();
    area.cells()
        .iter()
        .any(|cell| cell.scores().contains(&score))
}

proptest! {
    #[test]
    fn a_position_is_at_most_half_a_cell_away(point in place(85.0)) {
        let found = Point::of_score(point.score());
        prop_assert!(point.distance(found) < 0.6, "{point:?} {found:?}");
        prop_assert_eq!(Point::of_score(found.score()), found);
    }

    #[test]
    fn cells_cover_what_is_inside(
        (area, points) in shape().prop_flat_map(|(center, radius, shape)| {
            let degrees = radius / 60_000.0;
            (Just(Area::of(shape)), prop::collection::vec(near(center, degrees), 50))
        })
    ) {
        for point in points {
            let point = Point::of_score(point.score());
            prop_assert!(area.distance_inside(point).is_none() || is_covered(&area, point), "{area:?} {point:?}");
        }
    }

    #[test]
    fn triangles_contain_their_middle(center in place(60.0), offsets in prop::array::uniform3((0.1..3.0_f64, 0.1..3.0_f64))) {
        let [a, b, c] = offsets;
        let at = |east: f64, north: f64| Point::new(center.longitude + east, center.latitude + north);
        let vertices = [at(a.0, a.1), at(-b.0, b.1), at(c.0 - 1.5, -c.1)];
        let Some(vertices) = vertices.into_iter().collect::<Option<Vec<Point>>>() else {
            return Ok(());
        };
        let third = |of: fn(&Point) -> f64| vertices.iter().map(of).sum::<f64>() / 3.0;
        let middle = Point::new(third(|p| p.longitude), third(|p| p.latitude)).unwrap();
        let area = Area::of(Shape::Polygon { vertices: vertices.into() });
        prop_assert!(area.distance_inside(middle).is_some());
        prop_assert!(is_covered(&area, middle));
        let outside = Point { latitude: middle.latitude + 7.0, ..middle };
        prop_assert!(area.distance_inside(outside).is_none());
    }

    #[test]
    fn anything_is_a_score(bits: u64) {
        let point = Point::of_score(f64::from_bits(bits));
        prop_assert!(Point::new(point.longitude, point.latitude).is_some());
        prop_assert_eq!(point.geohash()[10], b'0');
    }
}

#[test]
fn distances_have_four_digits() {
    let cases = [
        (0.0, "0.0000"),
        (0.00004, "0.0000"),
        (0.00005, "0.0000"),
        (0.00025, "0.0002"),
        (166274.15156960033, "166274.1516"),
        (1e7, "10000000.0000"),
    ];
    for (distance, text) in cases {
        assert_eq!(format_distance(distance), text);
    }
}

#[test]
fn units_have_names_in_any_case() {
    for (name, metres) in [("m", 1.0), ("KM", 1000.0), ("Ft", 0.3048), ("mi", 1609.34)] {
        assert_eq!(Unit::parse(name.as_bytes()), Some(Unit { metres }));
    }
    assert_eq!(Unit::parse(b"parsec"), None);
}
