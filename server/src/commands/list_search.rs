//! What looks for elements in lists: LPOS, LINSERT, LREM. Long lists are searched in slices, the first elements at once:
//! what is looked for is often near the end that the search begins at.

use std::sync::Arc;

use ostraka_datatypes::collection::{Collection, Large};
use ostraka_datatypes::list::{End, Limits, ListMut, ListRef, Removal};
use ostraka_datatypes::packed::Element;
use ostraka_datatypes::raw::entry::{Entry, Type};
use ostraka_datatypes::resp::Reply;

use super::list::limits;
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Changed, Keyspace, Missing};
use crate::router::Key;
use crate::slices::{AT_ONCE, Budget, Work};

pub static ROWS: &[&Command] = &[&LINSERT, &LPOS, &LREM];

/// A search under way.
struct Search {
    needle: Box<[u8]>,
    from: End,
    /// Matches to pass over.
    skip: u64,
    /// Matches wanted.
    most: usize,
    /// Elements looked at, and how many will be at most.
    seen: usize,
    end: usize,
    /// Indexes of the matches.
    found: Vec<usize>,
}

impl Search {
    /// For the first `most` elements of a list of `len` that are `needle`.
    fn new(needle: &[u8], from: End, most: usize, len: usize) -> Self {
        Self {
            needle: needle.into(),
            from,
            skip: 0,
            most,
            seen: 0,
            end: len,
            found: Vec::new(),
        }
    }

    /// Looks at up to `steps` elements. Whether there is nothing more to look for.
    fn advance(&mut self, list: ListRef<'_>, steps: usize) -> bool {
        let Self {
            skip, seen, found, ..
        } = self;
        let needle = Element::of(&self.needle);
        let last = list.len().saturating_sub(1);
        let until = self.end.min(seen.saturating_add(steps));
        let index = |seen: usize| match self.from {
            End::Left => seen,
            End::Right => last - seen,
        };
        if *seen < until {
            list.walk(index(*seen), self.from.other(), |element| {
                match (element == needle, *skip) {
                    (false, _) => {}
                    (true, 0) => found.push(index(*seen)),
                    (true, _) => *skip -= 1,
                }
                *seen += 1;
                *seen < until && found.len() < self.most
            });
        }
        *seen == self.end || found.len() >= self.most
    }

    /// The same of all elements that are looked at without slices.
    fn begin(&mut self, entry: &Entry) -> bool {
        let steps = if entry.is_large() {
            AT_ONCE
        } else {
            usize::MAX
        };
        self.advance(ListRef::of(entry), steps)
    }

    /// The same for a step of long work.
    fn step(&mut self, list: &Large, budget: &mut Budget<'_>) -> bool {
        budget.repeat(|| self.advance(ListRef::of_large(&list.body), AT_ONCE))
    }
}

// ---- LPOS

command! { LPOS =
    name: "lpos", run: lpos, arity: -3, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: LIST, group: Group::List, since: "6.0.6",
    complexity: "O(N) where N is the number of elements in the list, for the average case. When \
        searching for elements near the head or the tail of the list, or when the MAXLEN option is \
        provided, the command may run in constant time.",
    summary: "Returns the index of matching elements in a list.",
    syntax: "key<key> element<string> [RANK rank<integer>] [COUNT num-matches<integer>] \
        [MAXLEN len<integer>]",
}

/// The options of LPOS.
struct PositionOptions {
    rank: i64,
    /// All matches, if 0.
    count: Option<usize>,
    /// Elements to be looked at; all, if 0.
    max_len: usize,
}

impl PositionOptions {
    fn parse(args: Args<'_>) -> Result<Self, Fault> {
        let (mut rank, mut count, mut max_len) = (1, None, 0);
        for at in (3..args.len()).step_by(2) {
            match () {
                () if at + 1 == args.len() => return Err(Fault::Syntax),
                () if args.is(at, "RANK") => rank = args.symmetric(at + 1)?,
                () if args.is(at, "COUNT") => {
                    let negative = || Fault::err("COUNT can't be negative");
                    count = Some(args.natural(at + 1, negative)?);
                }
                () if args.is(at, "MAXLEN") => {
                    let negative = || Fault::err("MAXLEN can't be negative");
                    max_len = args.natural(at + 1, negative)?;
                }
                () => return Err(Fault::Syntax),
            }
            if rank == 0 {
                return Err(Fault::err(
                    "RANK can't be zero: use 1 to start from the first match, 2 from the second \
                     ... or use negative to start from the end of the list",
                ));
            }
        }
        Ok(Self {
            rank,
            count,
            max_len,
        })
    }
}

fn lpos(c: &mut Call<'_>) -> Outcome {
    let options = PositionOptions::parse(c.args)?;
    let all = options.count.is_some();
    let Some(entry) = c.db.read_as(c.args.key(1), Type::List)? else {
        reply_positions(&mut c.reply, &[], all);
        return Ok(());
    };
    let len = ListRef::of(&entry).len();
    let from = if options.rank > 0 {
        End::Left
    } else {
        End::Right
    };
    let most = match options.count {
        Some(0) => usize::MAX,
        count => count.unwrap_or(1),
    };
    let mut search = Search::new(c.args.at(2), from, most, len);
    search.skip = options.rank.unsigned_abs() - 1;
    if options.max_len > 0 {
        search.end = search.end.min(options.max_len);
    }
    if search.begin(&entry) {
        reply_positions(&mut c.reply, &search.found, all);
        return Ok(());
    }
    let left = search.end - search.seen;
    let list = c.db.freeze(c.args.key(1))?.expect("it is large");
    c.in_slices(left.max(AT_ONCE + 1), &[], Position { list, search, all })
}

fn reply_positions(reply: &mut Reply<'_>, found: &[usize], all: bool) {
    if all {
        reply.array(found.len());
        found.iter().for_each(|at| reply.integer(*at as i64));
    } else {
        match found {
            [] => reply.null(),
            [first, ..] => reply.integer(*first as i64),
        }
    }
}

struct Position {
    list: Arc<Large>,
    search: Search,
    all: bool,
}

impl Work for Position {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let through = self.search.step(&self.list, budget);
        if through {
            reply_positions(reply, &self.search.found, self.all);
        }
        through
    }
}

// ---- LINSERT

command! { LINSERT =
    name: "linsert", run: linsert, arity: 5, flags: WRITE | DENYOOM, keys: &[key(1, RW | INSERT)],
    categories: LIST, group: Group::List, since: "2.2.0",
    complexity: "O(N) where N is the number of elements to traverse before seeing the value pivot. \
        This means that inserting somewhere on the left end on the list (head) can be considered \
        O(1) and inserting somewhere on the right end (tail) is O(N).",
    summary: "Inserts an element before or after another element in a list.",
    syntax: "key<key> where(BEFORE|AFTER) pivot<string> element<string>",
}

fn linsert(c: &mut Call<'_>) -> Outcome {
    let behind = match () {
        () if c.args.is(2, "AFTER") => true,
        () if c.args.is(2, "BEFORE") => false,
        () => return Err(Fault::Syntax),
    };
    let (key, pivot, text) = (c.args.key(1), c.args.at(3), c.args.at(4));
    let Some(entry) = c.db.peek_as(key, Type::List)? else {
        c.reply.integer(0);
        return Ok(());
    };
    let len = ListRef::of(&entry).len();
    let mut search = Search::new(pivot, End::Left, 1, len);
    if search.begin(&entry) {
        return insert(&mut c.db, &mut c.reply, key, &search, behind, text);
    }
    let work = Insert {
        list: c.db.freeze(key)?,
        search,
        behind,
        key: key.bytes.into(),
        text: text.into(),
    };
    c.in_slices(AT_ONCE + 1, &[1], work)
}

/// Puts `text` beside what was found, and answers the length.
fn insert(
    db: &mut Keyspace<'_>,
    reply: &mut Reply<'_>,
    key: Key<'_>,
    search: &Search,
    behind: bool,
    text: &[u8],
) -> Outcome {
    let limits = limits(db);
    let len = db.modify(key, Type::List, Missing::Skip, |entry| {
        let mut list = ListMut::of(entry, limits);
        match search.found.first() {
            Some(at) => {
                list.insert(at + usize::from(behind), text);
                Changed::one("linsert", list.len() as i64)
            }
            None => {
                list.expect(text);
                Changed::nothing(-1)
            }
        }
    })?;
    reply.integer(len.unwrap_or(0));
    Ok(())
}

struct Insert {
    list: Option<Arc<Large>>,
    search: Search,
    behind: bool,
    key: Box<[u8]>,
    text: Box<[u8]>,
}

impl Work for Insert {
    fn step(&mut self, _: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let list = self.list.as_ref();
        list.is_none_or(|list| self.search.step(list, budget))
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) -> Outcome {
        // The list is the key's alone again.
        self.list = None;
        let key = db.exec.server.router.key(&self.key);
        insert(db, reply, key, &self.search, self.behind, &self.text)
    }
}

// ---- LREM

command! { LREM =
    name: "lrem", run: lrem, arity: 4, flags: WRITE, keys: &[key(1, RW | DELETE)],
    categories: LIST, group: Group::List, since: "1.0.0",
    complexity: "O(N+M) where N is the length of the list and M is the number of elements removed.",
    summary: "Removes elements from a list. Deletes the list if the last element was removed.",
    syntax: "key<key> count<integer> element<string>",
}

fn lrem(c: &mut Call<'_>) -> Outcome {
    let (key, count, text) = (c.args.key(1), c.args.symmetric(2)?, c.args.at(3));
    let from = if count < 0 { End::Right } else { End::Left };
    let most = match count.unsigned_abs() as usize {
        0 => usize::MAX,
        most => most,
    };
    let limits = limits(&c.db);
    let Some(entry) = c.db.peek_as(key, Type::List)? else {
        c.reply.integer(0);
        return Ok(());
    };
    let len = ListRef::of(&entry).len();
    let mut search = Search::new(text, from, most, len);
    if search.begin(&entry) {
        let removed = c.db.modify(key, Type::List, Missing::Skip, |entry| {
            let removed = ListMut::of(entry, limits).remove(text, from, most);
            Changed::many("lrem", removed as u64, removed)
        })?;
        c.reply.integer(removed.unwrap_or(0) as i64);
        return Ok(());
    }
    let large = c.db.freeze(key)?;
    let Some(Collection::List(list)) = large.as_deref().map(|large| &large.body) else {
        unreachable!("it is large");
    };
    let work = Remove {
        removal: Some(Removal::new(list.clone(), text, from, most, limits)),
        limits,
        key: key.bytes.into(),
    };
    c.in_slices(AT_ONCE + 1, &[1], work)
}

/// LREM from a long list: a copy, which shares all that stays the same, becomes the list in the end.
struct Remove {
    removal: Option<Removal>,
    limits: Limits,
    key: Box<[u8]>,
}

impl Work for Remove {
    fn step(&mut self, _: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let Some(removal) = &mut self.removal else {
            return true;
        };
        budget.repeat(|| !removal.advance())
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) -> Outcome {
        let Some((list, removed)) = self.removal.take().map(Removal::finish) else {
            return Ok(());
        };
        if removed > 0 {
            let (key, limits) = (db.exec.server.router.key(&self.key), self.limits);
            db.modify(key, Type::List, Missing::Skip, |entry| {
                ListMut::of(entry, limits).replace(list);
                Changed::many("lrem", removed as u64, ())
            })?;
        }
        reply.integer(removed as i64);
        Ok(())
    }
}
