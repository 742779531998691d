//! A search in a geospatial index under way: from the cells' members to a reply or a stored sorted set.
//!
//! ```text
//!  walk: members of the cells ─▶ inside? ─▶ hits, in runs that are sorted    write: the runs merged
//! ```
//! Both halves can be interrupted anywhere. If a count is asked for that one run can hold, no more than that is kept.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::ops::Range;
use std::sync::Arc;

use ostraka_datatypes::collection::Large;
use ostraka_datatypes::geo::{Area, Cell, Point, Unit, format_distance};
use ostraka_datatypes::resp::Reply;
use ostraka_datatypes::zset::{Limits, Zset, ZsetRef};

use super::geo::reply_point;
use super::zset_range::store;
use crate::call::{Call, Outcome};
use crate::keyspace::{Event, Keyspace};
use crate::router::Key;
use crate::slices::{AT_ONCE, Budget, Work};

/// Hits that are sorted at once.
const RUN: usize = 512;
/// Members that are looked at, or hits that are written, between two looks at the budget.
const CHUNK: usize = 32;
/// Bytes of members that are kept together.
const PAGE: usize = 16 * 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Order {
    Ascending,
    Descending,
}

/// What is said about each member beside its name.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted {
    pub distance: bool,
    pub hash: bool,
    pub point: bool,
}

/// Which hits are wanted, and how they are shown.
pub struct Terms {
    pub unit: Unit,
    pub order: Option<Order>,
    pub count: usize,
    /// The first hits do, whether they are the closest or not.
    pub any: bool,
    pub wanted: Wanted,
}

/// Where hits are stored.
pub struct Store {
    pub key: Box<[u8]>,
    /// The argument that names it.
    pub index: usize,
    /// Distances instead of positions.
    pub distances: bool,
    pub event: Event,
    pub result: Zset,
    pub limits: Limits,
}

pub struct Search {
    area: Option<Area>,
    terms: Terms,
    store: Option<Store>,
    index: Option<Arc<Large>>,
    /// Ranks that are still to be looked at, the first ones last.
    ranks: Vec<Range<usize>>,
    hits: Hits,
    merge: Option<Merge>,
}

impl Search {
    /// Without an area nothing is found.
    pub fn new(area: Option<Area>, terms: Terms, store: Option<Store>) -> Self {
        Self {
            hits: Hits::new(terms.order, terms.count),
            area,
            terms,
            store,
            index: None,
            ranks: Vec::new(),
            merge: None,
        }
    }

    pub fn run(mut self, c: &mut Call<'_>, source: Key<'_>) -> Outcome {
        let mut candidates = 0;
        if let Some(area) = &self.area
            && let Some(entry) = c.db.peek(source)
        {
            let index = ZsetRef::of(&entry);
            let cells = area.cells().into_iter().rev();
            self.ranks = cells.map(|cell| ranks(index, cell)).collect();
            candidates = self.ranks.iter().map(Range::len).sum();
            let at_once = candidates <= AT_ONCE || c.session.atomic;
            if at_once || matches!(index, ZsetRef::Packed(_)) {
                self.walk(index, &mut Budget::unlimited());
            } else {
                self.index = c.db.freeze(source)?;
            }
        }
        let pending: Vec<usize> = self.store.iter().map(|store| store.index).collect();
        c.in_slices(candidates, &pending, self)
    }

    /// Looks at the members of the cells. `true`: at all that matter.
    fn walk(&mut self, index: ZsetRef<'_>, budget: &mut Budget<'_>) -> bool {
        let Some(area) = &self.area else {
            return true;
        };
        while let Some(ranks) = self.ranks.last_mut() {
            let chunk = ranks.start..ranks.end.min(ranks.start + CHUNK);
            ranks.start = chunk.end;
            if ranks.start == ranks.end {
                self.ranks.pop();
            }
            for (member, score) in index.items(chunk.clone(), false) {
                let Some(distance) = area.distance_inside(Point::of_score(score)) else {
                    continue;
                };
                let text = &mut itoa::Buffer::new();
                self.hits.push(member.text(text), score, distance);
                if self.terms.any && self.hits.len == self.terms.count {
                    self.ranks.clear();
                    return true;
                }
            }
            if !budget.spend(chunk.len()) {
                return false;
            }
        }
        true
    }

    /// Writes the hits. `true`: all of them.
    fn write(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let merge = self.merge.get_or_insert_with(|| {
            let merge = Merge::of(&mut self.hits, self.terms.count);
            if self.store.is_none() {
                reply.array(merge.left);
            }
            merge
        });
        loop {
            for _ in 0..CHUNK {
                let Some(hit) = merge.next(&self.hits) else {
                    return true;
                };
                let member = self.hits.member(&hit);
                match &mut self.store {
                    Some(store) => store.take(&self.terms, member, &hit),
                    None => self.terms.reply(reply, member, &hit),
                }
            }
            if !budget.spend(CHUNK) {
                return false;
            }
        }
    }
}

/// The ranks of the members in a cell.
fn ranks(index: ZsetRef<'_>, cell: Cell) -> Range<usize> {
    let scores = cell.scores();
    let start = index.position_of_score(|score| score < scores.start);
    start..index.position_of_score(|score| score < scores.end)
}

impl Work for Search {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let index = self.index.take();
        let walked = match &index {
            Some(index) => self.walk(ZsetRef::of_large(index), budget),
            None => true,
        };
        self.index = index;
        walked && self.write(reply, budget)
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) -> Outcome {
        if let Some(mut into) = self.store.take() {
            let key = db.exec.server.router.key(&into.key);
            let result = into.result.take_all();
            reply.integer(store(db, key, result, into.limits, into.event));
        }
        Ok(())
    }
}

impl Terms {
    fn distance(&self, hit: &Hit) -> f64 {
        hit.distance / self.unit.metres
    }

    fn reply(&self, reply: &mut Reply<'_>, member: &[u8], hit: &Hit) {
        let Wanted {
            distance,
            hash,
            point,
        } = self.wanted;
        let parts = [distance, hash, point].iter().filter(|part| **part).count();
        if parts > 0 {
            reply.array(1 + parts);
        }
        reply.bulk(member);
        if distance {
            reply.bulk(format_distance(self.distance(hit)).as_bytes());
        }
        if hash {
            reply.integer(hit.score as i64);
        }
        if point {
            reply_point(reply, Point::of_score(hit.score));
        }
    }
}

impl Store {
    fn take(&mut self, terms: &Terms, member: &[u8], hit: &Hit) {
        let score = if self.distances {
            terms.distance(hit)
        } else {
            hit.score
        };
        self.result.insert(member, score);
    }
}

/// A member inside the area.
#[derive(Clone)]
struct Hit {
    distance: f64,
    score: f64,
    /// The page that holds the member's bytes, and where.
    page: usize,
    bytes: Range<usize>,
}

impl Hit {
    fn compare(&self, other: &Hit, order: Order) -> Ordering {
        let ascending = self.distance.total_cmp(&other.distance);
        match order {
            Order::Ascending => ascending,
            Order::Descending => ascending.reverse(),
        }
    }
}

/// The hits so far: runs of them, all but the last one sorted if there is an order.
struct Hits {
    order: Option<Order>,
    /// If no more than this many hits are wanted, there is one run that is cut back to them.
    kept: Option<usize>,
    runs: Vec<Vec<Hit>>,
    /// The worst of as many hits as are kept.
    threshold: Option<Hit>,
    pages: Vec<Vec<u8>>,
    len: usize,
}

impl Hits {
    fn new(order: Option<Order>, count: usize) -> Self {
        Self {
            order,
            kept: Some(count).filter(|count| order.is_some() && *count <= RUN),
            runs: Vec::new(),
            threshold: None,
            pages: Vec::new(),
            len: 0,
        }
    }

    fn push(&mut self, member: &[u8], score: f64, distance: f64) {
        self.len += 1;
        let mut hit = Hit {
            distance,
            score,
            page: 0,
            bytes: 0..0,
        };
        if let (Some(order), Some(threshold)) = (self.order, &self.threshold)
            && hit.compare(threshold, order).is_ge()
        {
            return;
        }
        (hit.page, hit.bytes) = self.keep(member);
        let capacity = RUN + self.kept.unwrap_or(0);
        match self.runs.last_mut() {
            Some(run) if run.len() < capacity => run.push(hit),
            _ => {
                let mut run = Vec::with_capacity(capacity);
                run.push(hit);
                self.runs.push(run);
            }
        }
        if self.runs.last().is_some_and(|run| run.len() == capacity) {
            self.close_run();
        }
    }

    /// Sorts the last run, and cuts it back if it is the only one.
    fn close_run(&mut self) {
        let (Some(order), Some(run)) = (self.order, self.runs.last_mut()) else {
            return;
        };
        run.sort_by(|a, b| a.compare(b, order));
        if let Some(kept) = self.kept
            && run.len() >= kept
        {
            run.truncate(kept);
            self.threshold = run.last().cloned();
        }
    }

    fn keep(&mut self, member: &[u8]) -> (usize, Range<usize>) {
        let fits = |page: &Vec<u8>| page.capacity() - page.len() >= member.len();
        if !self.pages.last().is_some_and(fits) {
            self.pages.push(Vec::with_capacity(PAGE.max(member.len())));
        }
        let last = self.pages.len() - 1;
        let page = &mut self.pages[last];
        let start = page.len();
        page.extend_from_slice(member);
        (last, start..page.len())
    }

    fn member(&self, hit: &Hit) -> &[u8] {
        &self.pages[hit.page][hit.bytes.clone()]
    }
}

/// The runs being merged.
struct Merge {
    /// The next hit of each run: its distance, the run and the place in it. Without an order, of one run after the other.
    heads: BinaryHeap<Reverse<Head>>,
    left: usize,
}

/// The first of several heads is the next hit; of equal ones, that of the earlier run.
struct Head {
    key: Option<(f64, Order)>,
    run: usize,
    at: usize,
}

impl Merge {
    fn of(hits: &mut Hits, count: usize) -> Merge {
        hits.close_run();
        let runs = 0..hits.runs.len();
        Merge {
            heads: runs
                .filter_map(|run| Head::of(hits, run, 0))
                .map(Reverse)
                .collect(),
            left: hits.len.min(count),
        }
    }

    fn next(&mut self, hits: &Hits) -> Option<Hit> {
        self.left = self.left.checked_sub(1)?;
        let Reverse(Head { run, at, .. }) = self.heads.pop()?;
        self.heads.extend(Head::of(hits, run, at + 1).map(Reverse));
        Some(hits.runs[run][at].clone())
    }
}

impl Head {
    fn of(hits: &Hits, run: usize, at: usize) -> Option<Head> {
        let hit = hits.runs[run].get(at)?;
        let key = hits.order.map(|order| (hit.distance, order));
        Some(Head { key, run, at })
    }
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_key = match (self.key, other.key) {
            (Some((a, Order::Ascending)), Some((b, _))) => a.total_cmp(&b),
            (Some((a, Order::Descending)), Some((b, _))) => b.total_cmp(&a),
            _ => Ordering::Equal,
        };
        by_key.then(self.run.cmp(&other.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Head {}
