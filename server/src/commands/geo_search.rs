//! Searches in geospatial indexes: GEOSEARCH, and the GEORADIUS family that it has replaced.

use ostraka_datatypes::geo::{Area, Point, Shape, Unit};
use ostraka_datatypes::numbers::parse_f64;
use ostraka_datatypes::raw::entry::Type;
use ostraka_datatypes::zset::{Zset, ZsetRef};

use super::geo::{point, unit};
use super::geo_results::{Order, Search, Store, Terms, Wanted};
use super::zset::limits;
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::Event;

pub static ROWS: &[&Command] = &[
    &GEORADIUS,
    &GEORADIUS_RO,
    &GEORADIUSBYMEMBER,
    &GEORADIUSBYMEMBER_RO,
    &GEOSEARCH,
    &GEOSEARCHSTORE,
];

const SEARCH_COMPLEXITY: &str = "O(N+log(M)) where N is the number of elements in the grid-aligned \
    bounding box area around the shape provided as the filter and M is the number of items inside the \
    shape";
const SEARCH_HISTORY: &[(&str, &str)] = &[
    ("7.0.0", "Added support for uppercase unit names."),
    ("9.0.0", "Added the `BYPOLYGON` option."),
];

/// The arguments of the two searches, which differ in their keys and in what comes last.
macro_rules! search_syntax {
    ($keys:literal, $last:literal) => {
        concat!(
            $keys,
            " search-type(radius-or-box{\
            from(FROMMEMBER member<string>|\
            FROMLONLAT fromlonlat{longitude<double> latitude<double>}) \
            by(circle{BYRADIUS radius<double> unit(M|KM|FT|MI)}|\
            box{BYBOX width<double> height<double> unit(M|KM|FT|MI)})}|\
            polygon{BYPOLYGON num-vertices<integer> \
            first-vertex{longitude<double> latitude<double>} \
            vertices{longitude<double> latitude<double>}...}@9.0.0) \
            [order(ASC|DESC)] [count-block{COUNT count<integer> [ANY]}] ",
            $last
        )
    };
}

command! { GEOSEARCH =
    name: "geosearch", run: geosearch, arity: -7, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: GEO, group: Group::Geo, since: "6.2.0", complexity: SEARCH_COMPLEXITY,
    summary: "Queries a geospatial index for members inside an area of a box, a circle, or a polygon.",
    syntax: search_syntax!("key<key>", "[WITHCOORD] [WITHDIST] [WITHHASH]"),
    history: SEARCH_HISTORY,
}

fn geosearch(c: &mut Call<'_>) -> Outcome {
    search(c, Dialect::Search)
}

command! { GEOSEARCHSTORE =
    name: "geosearchstore", run: geosearchstore, arity: -8, flags: WRITE | DENYOOM,
    keys: &[key(1, OW | UPDATE), key(2, RO | ACCESS)], categories: GEO, group: Group::Geo,
    since: "6.2.0", complexity: SEARCH_COMPLEXITY,
    summary: "Queries a geospatial index for members inside an area of a box, a circle, or a polygon, \
        optionally stores the result.",
    syntax: search_syntax!("destination<key> source<key:1>", "[STOREDIST]"),
    history: SEARCH_HISTORY,
}

fn geosearchstore(c: &mut Call<'_>) -> Outcome {
    search(c, Dialect::SearchStore)
}

const RADIUS_COMPLEXITY: &str = "O(N+log(M)) where N is the number of elements inside the bounding \
    box of the circular area delimited by center and radius and M is the number of items inside the \
    index.";
const RADIUS_HISTORY: &[(&str, &str)] = &[
    ("6.2.0", "Added the `ANY` option for `COUNT`."),
    ("7.0.0", "Added support for uppercase unit names."),
];

/// The arguments of the GEORADIUS family.
macro_rules! radius_syntax {
    (coordinates) => {
        radius_syntax!("longitude<double> latitude<double>", "ANY@6.2.0")
    };
    (member) => {
        radius_syntax!("member<string>", "ANY")
    };
    ($center:ident, stores) => {
        concat!(
            radius_syntax!($center),
            " [store(STORE storekey<key:1>|STOREDIST storedistkey<key:2>)]"
        )
    };
    ($center:literal, $any:literal) => {
        concat!(
            "key<key> ",
            $center,
            " radius<double> unit(M|KM|FT|MI) [WITHCOORD] [WITHDIST] [WITHHASH] \
            [count-block{COUNT count<integer> [",
            $any,
            "]}] [order(ASC|DESC)]"
        )
    };
}

command! { GEORADIUS =
    name: "georadius", run: georadius, arity: -6, flags: WRITE | DENYOOM,
    keys: &[
        key(1, RO | ACCESS),
        key_after("STORE", 6, OW | UPDATE),
        key_after("STOREDIST", 6, OW | UPDATE),
    ],
    categories: GEO, group: Group::Geo, since: "3.2.0", complexity: RADIUS_COMPLEXITY,
    summary: "Queries a geospatial index for members within a distance from a coordinate, \
        optionally stores the result.",
    syntax: radius_syntax!(coordinates, stores),
    history: RADIUS_HISTORY,
    deprecated: deprecated(
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` argument",
    ),
}

fn georadius(c: &mut Call<'_>) -> Outcome {
    search(c, Dialect::Radius { stores: true })
}

command! { GEORADIUS_RO =
    name: "georadius_ro", run: georadius_ro, arity: -6, flags: READONLY,
    keys: &[key(1, RO | ACCESS)], categories: GEO, group: Group::Geo, since: "3.2.10",
    complexity: RADIUS_COMPLEXITY,
    summary: "Returns members from a geospatial index that are within a distance from a coordinate.",
    syntax: radius_syntax!(coordinates),
    history: RADIUS_HISTORY,
    deprecated: deprecated("6.2.0", "`GEOSEARCH` with the `BYRADIUS` argument"),
}

fn georadius_ro(c: &mut Call<'_>) -> Outcome {
    search(c, Dialect::Radius { stores: false })
}

command! { GEORADIUSBYMEMBER =
    name: "georadiusbymember", run: georadiusbymember, arity: -5, flags: WRITE | DENYOOM,
    keys: &[
        key(1, RO | ACCESS),
        key_after("STORE", 5, OW | UPDATE),
        key_after("STOREDIST", 5, OW | UPDATE),
    ],
    categories: GEO, group: Group::Geo, since: "3.2.0", complexity: RADIUS_COMPLEXITY,
    summary: "Queries a geospatial index for members within a distance from a member, optionally \
        stores the result.",
    syntax: radius_syntax!(member, stores),
    history: RADIUS_HISTORY,
    deprecated: deprecated(
        "6.2.0",
        "`GEOSEARCH` and `GEOSEARCHSTORE` with the `BYRADIUS` and `FROMMEMBER` arguments",
    ),
}

fn georadiusbymember(c: &mut Call<'_>) -> Outcome {
    search(c, Dialect::RadiusByMember { stores: true })
}

command! { GEORADIUSBYMEMBER_RO =
    name: "georadiusbymember_ro", run: georadiusbymember_ro, arity: -5, flags: READONLY,
    keys: &[key(1, RO | ACCESS)], categories: GEO, group: Group::Geo, since: "3.2.10",
    complexity: RADIUS_COMPLEXITY,
    summary: "Returns members from a geospatial index that are within a distance from a member.",
    syntax: radius_syntax!(member),
    history: RADIUS_HISTORY,
    deprecated: deprecated(
        "6.2.0",
        "`GEOSEARCH` with the `BYRADIUS` and `FROMMEMBER` arguments",
    ),
}

fn georadiusbymember_ro(c: &mut Call<'_>) -> Outcome {
    search(c, Dialect::RadiusByMember { stores: false })
}

/// Whose options a call has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Dialect {
    Search,
    SearchStore,
    Radius { stores: bool },
    RadiusByMember { stores: bool },
}

impl Dialect {
    fn is_radius(self) -> bool {
        !matches!(self, Self::Search | Self::SearchStore)
    }

    fn may_store(self) -> bool {
        matches!(
            self,
            Self::Radius { stores: true } | Self::RadiusByMember { stores: true }
        )
    }

    fn event(self) -> Event {
        if self.is_radius() {
            "georadiusstore"
        } else {
            "geosearchstore"
        }
    }

    /// The argument that holds the index.
    fn source(self) -> usize {
        if self == Self::SearchStore { 2 } else { 1 }
    }
}

/// How a shape is said, before it is known where it is.
enum By {
    Radius(f64),
    Box { width: f64, height: f64 },
    Polygon(Box<[Point]>),
}

/// Where a shape's centre comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Member,
    Coordinates,
}

/// The options of a call as far as they have been read.
struct Options {
    origin: Option<Origin>,
    center: Point,
    by: Option<By>,
    unit: Unit,
    order: Option<Order>,
    /// 0: all.
    count: usize,
    any: bool,
    wanted: Wanted,
    /// The argument with the key to store at, and whether distances are stored.
    store: Option<(usize, bool)>,
}

fn search(c: &mut Call<'_>, dialect: Dialect) -> Outcome {
    let source = c.args.key(dialect.source());
    let exists = c.db.read_as(source, Type::Zset)?.is_some();
    let options = Options::parse(c, dialect, exists)?;
    let store = options.store.map(|(index, distances)| Store {
        index,
        distances,
        key: c.args.at(index).into(),
        event: dialect.event(),
        result: Zset::new(c.db.new_seed()),
        limits: limits(c),
    });
    let terms = Terms {
        unit: options.unit,
        order: options.order(),
        count: match options.count {
            0 => usize::MAX,
            count => count,
        },
        any: options.any,
        wanted: options.wanted,
    };
    let area = options.area().filter(|_| exists);
    Search::new(area, terms, store).run(c, source)
}

impl Options {
    fn parse(c: &mut Call<'_>, dialect: Dialect, exists: bool) -> Result<Self, Fault> {
        let mut options = Self {
            origin: None,
            center: Point::ORIGIN,
            by: None,
            unit: Unit::METRES,
            order: None,
            count: 0,
            any: false,
            wanted: Wanted::default(),
            store: (dialect == Dialect::SearchStore).then_some((1, false)),
        };
        let mut at = options.take_fixed(c, dialect, exists)?;
        while at < c.args.len() {
            at += 1 + match options.take_word(c.args, dialect, at)? {
                Some(operands) => operands,
                None if dialect.is_radius() => return Err(Fault::Syntax),
                None => options.take_shape(c, dialect, at, exists)?,
            };
        }
        options.check(c, dialect)?;
        Ok(options)
    }

    /// Reads the arguments that have their places; answers where the others begin.
    fn take_fixed(
        &mut self,
        c: &mut Call<'_>,
        dialect: Dialect,
        exists: bool,
    ) -> Result<usize, Fault> {
        let radius_at = match dialect {
            Dialect::Search | Dialect::SearchStore => return Ok(dialect.source() + 1),
            Dialect::Radius { .. } => {
                self.center = point(c.args, 2)?;
                4
            }
            // What cannot be found is not looked at.
            Dialect::RadiusByMember { .. } if !exists => return Ok(5),
            Dialect::RadiusByMember { .. } => {
                self.center = position_of(c, dialect, 2)?;
                3
            }
        };
        self.take_radius(c.args, radius_at)?;
        Ok(radius_at + 2)
    }

    /// Reads an option that does not say where to search; answers how many operands it has.
    fn take_word(
        &mut self,
        args: Args<'_>,
        dialect: Dialect,
        at: usize,
    ) -> Result<Option<usize>, Fault> {
        let is = |word: &str| args.is(at, word);
        let has_operand = at + 1 < args.len();
        match () {
            () if is("WITHDIST") => self.wanted.distance = true,
            () if is("WITHHASH") => self.wanted.hash = true,
            () if is("WITHCOORD") => self.wanted.point = true,
            () if is("ANY") => self.any = true,
            () if is("ASC") => self.order = Some(Order::Ascending),
            () if is("DESC") => self.order = Some(Order::Descending),
            () if is("COUNT") && has_operand => {
                let count = args.integer(at + 1)?;
                if count <= 0 {
                    return Err(Fault::err("COUNT must be > 0"));
                }
                self.count = count as usize;
                return Ok(Some(1));
            }
            () if dialect.may_store() && has_operand && (is("STORE") || is("STOREDIST")) => {
                self.store = Some((at + 1, is("STOREDIST")));
                return Ok(Some(1));
            }
            () if dialect == Dialect::SearchStore && is("STOREDIST") => {
                self.store = Some((1, true));
            }
            () => return Ok(None),
        }
        Ok(Some(0))
    }

    /// Reads an option of GEOSEARCH that says where to search; answers how many operands it has.
    fn take_shape(
        &mut self,
        c: &mut Call<'_>,
        dialect: Dialect,
        at: usize,
        exists: bool,
    ) -> Result<usize, Fault> {
        let args = c.args;
        let is = |word: &str, fewest: usize| at + fewest < args.len() && args.is(at, word);
        let is_polygon = matches!(self.by, Some(By::Polygon(_)));
        match () {
            () if is("FROMMEMBER", 1)
                && self.origin != Some(Origin::Coordinates)
                && !is_polygon =>
            {
                if exists {
                    self.center = position_of(c, dialect, at + 1)?;
                }
                self.origin = Some(Origin::Member);
                Ok(1)
            }
            () if is("FROMLONLAT", 2) && self.origin != Some(Origin::Member) && !is_polygon => {
                self.center = point(args, at + 1)?;
                self.origin = Some(Origin::Coordinates);
                Ok(2)
            }
            () if is("BYRADIUS", 2) && matches!(self.by, None | Some(By::Radius(_))) => {
                self.take_radius(args, at + 1)?;
                Ok(2)
            }
            () if is("BYBOX", 3) && matches!(self.by, None | Some(By::Box { .. })) => {
                self.take_box(args, at + 1)?;
                Ok(3)
            }
            () if is("BYPOLYGON", 2)
                && (self.by.is_none() || is_polygon)
                && self.origin != Some(Origin::Member) =>
            {
                self.take_polygon(args, at + 1)
            }
            () => Err(Fault::Syntax),
        }
    }

    fn take_radius(&mut self, args: Args<'_>, at: usize) -> Outcome {
        let radius = length(args, at, "need numeric radius")?;
        if radius < 0.0 {
            return Err(Fault::err("radius cannot be negative"));
        }
        self.unit = unit(args, at + 1)?;
        self.by = Some(By::Radius(radius));
        Ok(())
    }

    fn take_box(&mut self, args: Args<'_>, at: usize) -> Outcome {
        let width = length(args, at, "need numeric width")?;
        let height = length(args, at + 1, "need numeric height")?;
        if width < 0.0 || height < 0.0 {
            return Err(Fault::err("height or width cannot be negative"));
        }
        self.unit = unit(args, at + 2)?;
        self.by = Some(By::Box { width, height });
        Ok(())
    }

    fn take_polygon(&mut self, args: Args<'_>, at: usize) -> Result<usize, Fault> {
        let count = args.integer_or(at, Fault::err("invalid number of vertices"))?;
        let there = (args.len() - at - 1) / 2;
        let count = usize::try_from(count)
            .ok()
            .filter(|count| (3..=there).contains(count));
        let count =
            count.ok_or_else(|| Fault::err("GEOSEARCH BYPOLYGON must have at least 3 vertices"))?;
        let vertices = (0..count).map(|nth| point(args, at + 1 + 2 * nth));
        self.by = Some(By::Polygon(vertices.collect::<Result<_, _>>()?));
        self.unit = Unit::METRES;
        Ok(1 + 2 * count)
    }

    /// What the options have to say together.
    fn check(&self, c: &Call<'_>, dialect: Dialect) -> Outcome {
        if self.store.is_some() && self.wanted != Wanted::default() {
            let who = if dialect.is_radius() {
                "STORE option in GEORADIUS"
            } else {
                "GEOSEARCHSTORE"
            };
            return Err(Fault::err(format_args!(
                "{who} is not compatible with WITHDIST, WITHHASH and WITHCOORD options"
            )));
        }
        let missing = match (&self.by, self.origin) {
            _ if dialect.is_radius() => None,
            (Some(By::Polygon(_)), _) => None,
            (_, None) => Some("exactly one of FROMMEMBER or FROMLONLAT"),
            (None, _) => Some("exactly one of BYRADIUS and BYBOX"),
            _ => None,
        };
        if let Some(missing) = missing {
            let name = c.args.at(0).escape_ascii();
            return Err(Fault::err(format_args!(
                "{missing} can be specified for {name}"
            )));
        }
        if self.any && self.count == 0 {
            return Err(Fault::err("the ANY argument requires COUNT argument"));
        }
        Ok(())
    }

    /// The closest ones are meant by a count, unless any will do.
    fn order(&self) -> Option<Order> {
        let closest = self.count > 0 && !self.any;
        self.order.or(closest.then_some(Order::Ascending))
    }

    fn area(self) -> Option<Area> {
        let (center, metres) = (self.center, self.unit.metres);
        Some(Area::of(match self.by? {
            By::Radius(radius) => Shape::Circle {
                center,
                radius: radius * metres,
            },
            By::Box { width, height } => Shape::Box {
                center,
                width: width * metres,
                height: height * metres,
            },
            By::Polygon(vertices) => Shape::Polygon { vertices },
        }))
    }
}

fn length(args: Args<'_>, at: usize, complaint: &str) -> Result<f64, Fault> {
    args.get(at)
        .and_then(parse_f64)
        .ok_or_else(|| Fault::err(complaint))
}

/// Where the member at argument `at` of an index that exists is.
fn position_of(c: &mut Call<'_>, dialect: Dialect, at: usize) -> Result<Point, Fault> {
    let (source, member) = (c.args.key(dialect.source()), c.args.at(at));
    let entry = c.db.peek(source);
    entry
        .and_then(|entry| ZsetRef::of(&entry).score(member))
        .map(Point::of_score)
        .ok_or_else(|| Fault::err("could not decode requested zset member"))
}
