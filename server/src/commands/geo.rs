//! Geospatial indexes: sorted sets whose scores are positions.

use ostraka_datatypes::geo::{Point, Unit, format_distance};
use ostraka_datatypes::numbers::parse_f64;
use ostraka_datatypes::raw::entry::Type;
use ostraka_datatypes::resp::Reply;
use ostraka_datatypes::zset::ZsetMut;

use super::zset::{limits, read};
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Changed, Missing};

pub static ROWS: &[&Command] = &[&GEOADD, &GEODIST, &GEOHASH, &GEOPOS];

/// The longitude at argument `at` and the latitude behind it.
pub fn point(args: Args<'_>, at: usize) -> Result<Point, Fault> {
    let coordinate = |at| args.get(at).and_then(parse_f64).ok_or(Fault::NotFloat);
    let (longitude, latitude) = (coordinate(at)?, coordinate(at + 1)?);
    Point::new(longitude, latitude).ok_or_else(|| {
        Fault::err(format_args!(
            "invalid longitude,latitude pair {longitude:.6},{latitude:.6}"
        ))
    })
}

pub fn unit(args: Args<'_>, at: usize) -> Result<Unit, Fault> {
    args.get(at)
        .and_then(Unit::parse)
        .ok_or_else(|| Fault::err("unsupported unit provided. please use M, KM, FT, MI"))
}

/// Longitude and latitude.
pub fn reply_point(reply: &mut Reply<'_>, point: Point) {
    reply.array(2);
    reply.human_double(point.longitude);
    reply.human_double(point.latitude);
}

command! { GEOADD =
    name: "geoadd", run: geoadd, arity: -5, flags: WRITE | DENYOOM,
    keys: &[key(1, RW | UPDATE)], categories: GEO, group: Group::Geo, since: "3.2.0",
    complexity: "O(log(N)) for each item added, where N is the number of elements in the sorted set.",
    summary: "Adds one or more members to a geospatial index. The key is created if it doesn't exist.",
    syntax: "key<key> [condition(NX|XX)@6.2.0] [CH@6.2.0] \
        data{longitude<double> latitude<double> member<string>}...",
    history: &[("6.2.0", "Added the `CH`, `NX` and `XX` options.")],
}

fn geoadd(c: &mut Call<'_>) -> Outcome {
    let (args, limits) = (c.args, limits(c));
    let (mut missing, mut present, mut count_changed) = (false, false, false);
    let mut first = 2;
    loop {
        match () {
            () if args.is(first, "NX") => missing = true,
            () if args.is(first, "XX") => present = true,
            () if args.is(first, "CH") => count_changed = true,
            () => break,
        }
        first += 1;
    }
    if args.len() == first || !(args.len() - first).is_multiple_of(3) || (missing && present) {
        return Err(Fault::Syntax);
    }
    let members: Vec<(f64, &[u8])> = (first..args.len())
        .step_by(3)
        .map(|at| Ok((point(args, at)?.score(), args.at(at + 2))))
        .collect::<Result<_, Fault>>()?;
    let create = if present {
        Missing::Skip
    } else {
        Missing::Create
    };
    let counts = c.db.modify(args.key(1), Type::Zset, create, |entry| {
        let mut zset = ZsetMut::of(entry, limits);
        let (mut added, mut changed) = (0, 0);
        for (score, member) in members {
            zset.update(member, |old| {
                let skip = if old.is_some() { missing } else { present };
                let new = (!skip && old != Some(score)).then_some(score);
                changed += u64::from(new.is_some());
                added += u64::from(new.is_some() && old.is_none());
                (new, ())
            });
        }
        Changed::many("zadd", changed, (added, changed))
    })?;
    let (added, changed) = counts.unwrap_or_default();
    let count = if count_changed { changed } else { added };
    c.reply.integer(count as i64);
    Ok(())
}

command! { GEODIST =
    name: "geodist", run: geodist, arity: -4, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: GEO, group: Group::Geo, since: "3.2.0", complexity: "O(1)",
    summary: "Returns the distance between two members of a geospatial index.",
    syntax: "key<key> member1<string> member2<string> [unit(M|KM|FT|MI)]",
}

fn geodist(c: &mut Call<'_>) -> Outcome {
    let args = c.args;
    let unit = match args.len() {
        4 => Unit::METRES,
        5 => unit(args, 4)?,
        _ => return Err(Fault::Syntax),
    };
    let scores = read(c, 1, |zset| {
        Some((zset.score(args.at(2))?, zset.score(args.at(3))?))
    })?;
    match scores {
        Some((from, to)) => {
            let metres = Point::of_score(from).distance(Point::of_score(to));
            c.reply
                .bulk(format_distance(metres / unit.metres).as_bytes());
        }
        None => c.reply.null(),
    }
    Ok(())
}

command! { GEOHASH =
    name: "geohash", run: geohash, arity: -2, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: GEO, group: Group::Geo, since: "3.2.0",
    complexity: "O(1) for each member requested.",
    summary: "Returns members from a geospatial index as geohash strings.",
    syntax: "key<key> [member<string>...]",
}

fn geohash(c: &mut Call<'_>) -> Outcome {
    for position in positions(c)? {
        match position {
            Some(point) => c.reply.bulk(&point.geohash()),
            None => c.reply.null(),
        }
    }
    Ok(())
}

command! { GEOPOS =
    name: "geopos", run: geopos, arity: -2, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: GEO, group: Group::Geo, since: "3.2.0",
    complexity: "O(1) for each member requested.",
    summary: "Returns the longitude and latitude of members from a geospatial index.",
    syntax: "key<key> [member<string>...]",
}

fn geopos(c: &mut Call<'_>) -> Outcome {
    for position in positions(c)? {
        match position {
            Some(point) => reply_point(&mut c.reply, point),
            None => c.reply.null_array(),
        }
    }
    Ok(())
}

/// Begins an array with as many elements as there are members in the arguments, and finds their positions.
fn positions(c: &mut Call<'_>) -> Result<Vec<Option<Point>>, Fault> {
    let members = c.args.iter().skip(2);
    let positions: Vec<_> = read(c, 1, |zset| {
        members
            .map(|member| zset.score(member).map(Point::of_score))
            .collect()
    })?;
    c.reply.array(positions.len());
    Ok(positions)
}
