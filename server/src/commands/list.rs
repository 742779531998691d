//! Lists: adding and taking at both ends, reading, and changing by index. What searches is in `list_search`, what moves
//! elements from list to list in `list_move`.

use std::ops::Range;
use std::sync::Arc;

use ostraka_datatypes::collection::{Collection, Large};
use ostraka_datatypes::list::{End, Limits, List, ListMut, ListRef};
use ostraka_datatypes::raw::entry::Type;
use ostraka_datatypes::resp::Reply;

use super::pops::MultiPop;
use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Changed, Event, Keyspace, Missing};
use crate::router::Key;
use crate::slices::{AT_ONCE, Budget, Work};

pub static ROWS: &[&Command] = &[
    &LINDEX, &LLEN, &LMPOP, &LPOP, &LPUSH, &LPUSHX, &LRANGE, &LSET, &LTRIM, &RPOP, &RPUSH, &RPUSHX,
];

/// The limits of lists' blocks, as configured now.
pub fn limits(db: &Keyspace<'_>) -> Limits {
    let settings = &db.exec.settings;
    Limits::new(
        settings.list_max_listpack_size,
        settings.list_compress_depth,
    )
}

pub fn push_event(end: End) -> Event {
    match end {
        End::Left => "lpush",
        End::Right => "rpush",
    }
}

pub fn pop_event(end: End) -> Event {
    match end {
        End::Left => "lpop",
        End::Right => "rpop",
    }
}

// ---- adding

command! { LPUSH =
    name: "lpush", run: lpush, arity: -3, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | INSERT)], aim: Aim::End(End::Left), categories: LIST, group: Group::List, since: "1.0.0",
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called \
        with multiple arguments.",
    summary: "Prepends one or more elements to a list. Creates the key if it doesn't exist.",
    syntax: "key<key> element<string>...",
    history: &[("2.4.0", "Accepts multiple `element` arguments.")],
}

fn lpush(c: &mut Call<'_>) -> Outcome {
    push(c, End::Left, Missing::Create)
}

command! { RPUSH =
    name: "rpush", run: rpush, arity: -3, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | INSERT)], aim: Aim::End(End::Right), categories: LIST, group: Group::List, since: "1.0.0",
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called \
        with multiple arguments.",
    summary: "Appends one or more elements to a list. Creates the key if it doesn't exist.",
    syntax: "key<key> element<string>...",
    history: &[("2.4.0", "Accepts multiple `element` arguments.")],
}

fn rpush(c: &mut Call<'_>) -> Outcome {
    push(c, End::Right, Missing::Create)
}

command! { LPUSHX =
    name: "lpushx", run: lpushx, arity: -3, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | INSERT)], aim: Aim::End(End::Left), categories: LIST, group: Group::List, since: "2.2.0",
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called \
        with multiple arguments.",
    summary: "Prepends one or more elements to a list only when the list exists.",
    syntax: "key<key> element<string>...",
    history: &[("4.0.0", "Accepts multiple `element` arguments.")],
}

fn lpushx(c: &mut Call<'_>) -> Outcome {
    push(c, End::Left, Missing::Skip)
}

command! { RPUSHX =
    name: "rpushx", run: rpushx, arity: -3, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | INSERT)], aim: Aim::End(End::Right), categories: LIST, group: Group::List, since: "2.2.0",
    complexity: "O(1) for each element added, so O(N) to add N elements when the command is called \
        with multiple arguments.",
    summary: "Appends an element to a list only when the list exists.",
    syntax: "key<key> element<string>...",
    history: &[("4.0.0", "Accepts multiple `element` arguments.")],
}

fn rpushx(c: &mut Call<'_>) -> Outcome {
    push(c, End::Right, Missing::Skip)
}

fn push(c: &mut Call<'_>, end: End, missing: Missing) -> Outcome {
    let (args, limits) = (c.args.from(2), limits(&c.db));
    let len = c.db.modify(c.args.key(1), Type::List, missing, |entry| {
        let mut list = ListMut::of(entry, limits);
        list.push(end, args.iter());
        Changed::many(push_event(end), args.len() as u64, list.len())
    })?;
    c.reply.integer(len.unwrap_or(0) as i64);
    Ok(())
}

// ---- taking

command! { LPOP =
    name: "lpop", run: lpop, arity: -2, flags: WRITE | FAST,
    keys: &[key(1, RW | ACCESS | DELETE)], aim: Aim::End(End::Left), categories: LIST, group: Group::List, since: "1.0.0",
    complexity: "O(N) where N is the number of elements returned",
    summary: "Returns the first elements in a list after removing it. Deletes the list if the last \
        element was popped.",
    syntax: "key<key> [count<integer>@6.2.0]",
    history: &[("6.2.0", "Added the `count` argument.")],
}

fn lpop(c: &mut Call<'_>) -> Outcome {
    pop(c, End::Left)
}

command! { RPOP =
    name: "rpop", run: rpop, arity: -2, flags: WRITE | FAST,
    keys: &[key(1, RW | ACCESS | DELETE)], aim: Aim::End(End::Right), categories: LIST, group: Group::List, since: "1.0.0",
    complexity: "O(N) where N is the number of elements returned",
    summary: "Returns and removes the last elements of a list. Deletes the list if the last \
        element was popped.",
    syntax: "key<key> [count<integer>@6.2.0]",
    history: &[("6.2.0", "Added the `count` argument.")],
}

fn rpop(c: &mut Call<'_>) -> Outcome {
    pop(c, End::Right)
}

fn pop(c: &mut Call<'_>, end: End) -> Outcome {
    if c.args.len() > 3 {
        return Err(Fault::arity(c.command.name));
    }
    let key = c.args.key(1);
    if c.args.len() == 2 {
        match take(&mut c.db, key, end)? {
            Some(text) => c.reply.bulk(&text),
            None => c.reply.null(),
        }
        return Ok(());
    }
    let count = c.args.natural(2, || Fault::NotPositive)?;
    match length(&mut c.db, key)? {
        None => c.reply.null_array(),
        Some(len) => reply_popped(c, key, end, count.min(len))?,
    }
    Ok(())
}

/// Takes one element.
pub fn take(db: &mut Keyspace<'_>, key: Key<'_>, end: End) -> Result<Option<Vec<u8>>, Fault> {
    let limits = limits(db);
    let popped = db.modify(key, Type::List, Missing::Skip, |entry| {
        let popped = ListMut::of(entry, limits).pop(end);
        Changed::one(pop_event(end), popped)
    })?;
    Ok(popped.flatten())
}

/// Takes `count` elements, as many as there are at least, and answers them as an array. Many are taken at once and answered
/// in slices.
fn reply_popped(c: &mut Call<'_>, key: Key<'_>, end: End, count: usize) -> Outcome {
    let (limits, reply) = (limits(&c.db), &mut c.reply);
    let many = c.db.modify(key, Type::List, Missing::Skip, |entry| {
        let mut list = ListMut::of(entry, limits);
        let many = cut_many(&mut list, end, count);
        if many.is_none() {
            reply_from(end, list.read(), count, reply);
            list.cut(end, count);
        }
        Changed::many(pop_event(end), count as u64, many)
    })?;
    match many.flatten() {
        Some(list) => {
            let list = Arc::new(Large::new(Collection::List(list)));
            c.in_slices(count, &[], ReadRange::new(list, 0..count, end.other()))
        }
        None => Ok(()),
    }
}

/// Takes `count` elements away as a list of their own, if they are many.
fn cut_many(list: &mut ListMut<'_>, end: End, count: usize) -> Option<List> {
    if count > AT_ONCE {
        list.split(end, count)
    } else {
        None
    }
}

/// Replies the first `count` elements from `end` on as an array.
fn reply_from(end: End, list: ListRef<'_>, count: usize, reply: &mut Reply<'_>) {
    reply.array(count);
    let first = match end {
        End::Left => 0,
        End::Right => list.len() - 1,
    };
    let mut left = count;
    if left > 0 {
        list.walk(first, end.other(), |element| {
            element.reply(reply);
            left -= 1;
            left > 0
        });
    }
}

command! { LMPOP =
    name: "lmpop", run: lmpop, arity: -4, flags: WRITE,
    keys: &[counted_keys(1, RW | ACCESS | DELETE)], categories: LIST, group: Group::List,
    since: "7.0.0",
    complexity: "O(N+M) where N is the number of provided keys and M is the number of elements \
        returned.",
    summary: "Returns multiple elements from a list after removing them. Deletes the list if the \
        last element was popped.",
    syntax: "numkeys<integer> key<key>... where(LEFT|RIGHT) [COUNT count<integer>]",
}

fn lmpop(c: &mut Call<'_>) -> Outcome {
    let request = ListPop::parse(c.args, 1, end_at)?;
    if !request.pop(c)? {
        c.reply.null_array();
    }
    Ok(())
}

/// What LMPOP and BLMPOP are asked for.
pub type ListPop = MultiPop<End>;

impl ListPop {
    /// Pops from the first list that is there, and answers its key and the elements. `false`: there is none.
    pub fn pop(&self, c: &mut Call<'_>) -> Result<bool, Fault> {
        for index in self.keys.clone() {
            let key = c.args.key(index);
            if let Some(len) = length(&mut c.db, key)? {
                c.reply.array(2);
                c.reply.bulk(key.bytes);
                reply_popped(c, key, self.end, self.count.min(len))?;
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Argument `index` as LEFT or RIGHT.
pub fn end_at(args: Args<'_>, index: usize) -> Result<End, Fault> {
    match () {
        () if args.is(index, "LEFT") => Ok(End::Left),
        () if args.is(index, "RIGHT") => Ok(End::Right),
        () => Err(Fault::Syntax),
    }
}

// ---- reading

/// Length of the list that is about to be changed, if there is one.
pub fn length(db: &mut Keyspace<'_>, key: Key<'_>) -> Result<Option<usize>, Fault> {
    let entry = db.peek_as(key, Type::List)?;
    Ok(entry.map(|entry| ListRef::of(&entry).len()))
}

command! { LLEN =
    name: "llen", run: llen, arity: 2, flags: READONLY | FAST, keys: &[key(1, RO)],
    categories: LIST, group: Group::List, since: "1.0.0", complexity: "O(1)",
    summary: "Returns the length of a list.", syntax: "key<key>",
}

fn llen(c: &mut Call<'_>) -> Outcome {
    c.reply_len(Type::List, |list| ListRef::of(list).len())
}

command! { LINDEX =
    name: "lindex", run: lindex, arity: 3, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: LIST, group: Group::List, since: "1.0.0",
    complexity: "O(N) where N is the number of elements to traverse to get to the element at \
        index. This makes asking for the first or the last element of the list O(1).",
    summary: "Returns an element from a list by its index.", syntax: "key<key> index<integer>",
}

fn lindex(c: &mut Call<'_>) -> Outcome {
    let Some(entry) = c.db.read_as(c.args.key(1), Type::List)? else {
        c.reply.null();
        return Ok(());
    };
    let list = ListRef::of(&entry);
    match place(c.args.integer(2)?, list.len()) {
        Some(index) => {
            let reply = &mut c.reply;
            list.each(index..index + 1, |element| element.reply(reply));
        }
        None => c.reply.null(),
    }
    Ok(())
}

/// The element that an index means; negative ones count from the end.
fn place(index: i64, len: usize) -> Option<usize> {
    let index = match usize::try_from(index) {
        Ok(index) => index,
        Err(_) => len.checked_sub(usize::try_from(index.unsigned_abs()).ok()?)?,
    };
    (index < len).then_some(index)
}

/// The elements that a first and a last index mean.
fn span(first: i64, last: i64, len: usize) -> Range<usize> {
    let len = len as i64;
    let from_end = |index: i64| {
        if index < 0 {
            index.saturating_add(len)
        } else {
            index
        }
    };
    let (first, last) = (from_end(first).max(0), from_end(last).min(len - 1));
    if first > last {
        0..0
    } else {
        first as usize..last as usize + 1
    }
}

command! { LRANGE =
    name: "lrange", run: lrange, arity: 4, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: LIST, group: Group::List, since: "1.0.0",
    complexity: "O(S+N) where S is the distance of start offset from HEAD for small lists, from \
        nearest end (HEAD or TAIL) for large lists; and N is the number of elements in the \
        specified range.",
    summary: "Returns a range of elements from a list.",
    syntax: "key<key> start<integer> stop<integer>",
}

fn lrange(c: &mut Call<'_>) -> Outcome {
    let (key, first, last) = (c.args.key(1), c.args.integer(2)?, c.args.integer(3)?);
    let Some(entry) = c.db.read_as(key, Type::List)? else {
        c.reply.array(0);
        return Ok(());
    };
    let list = ListRef::of(&entry);
    let range = span(first, last, list.len());
    let reply = &mut c.reply;
    if range.len() <= AT_ONCE || !entry.is_large() {
        reply.array(range.len());
        list.each(range, |element| element.reply(reply));
        return Ok(());
    }
    let list = c.db.freeze(key)?.expect("it is large");
    let work = ReadRange::new(list, range.clone(), End::Right);
    c.in_slices(range.len(), &[], work)
}

/// A reply of many elements.
struct ReadRange {
    list: Arc<Large>,
    /// What is still to be answered.
    range: Range<usize>,
    /// The order.
    towards: End,
    /// The reply's header is written.
    opened: bool,
}

impl ReadRange {
    fn new(list: Arc<Large>, range: Range<usize>, towards: End) -> Self {
        Self {
            list,
            range,
            towards,
            opened: false,
        }
    }
}

impl Work for ReadRange {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        let range = &mut self.range;
        if !std::mem::replace(&mut self.opened, true) {
            reply.array(range.len());
        }
        let first = match self.towards {
            End::Right => range.start,
            End::Left => range.end - 1,
        };
        let list = ListRef::of_large(&self.list.body);
        list.walk(first, self.towards, |element| {
            element.reply(reply);
            match self.towards {
                End::Right => range.start += 1,
                End::Left => range.end -= 1,
            }
            !Range::is_empty(range) && budget.spend(1)
        });
        Range::is_empty(range)
    }
}

// ---- changing by index

command! { LSET =
    name: "lset", run: lset, arity: 4, flags: WRITE | DENYOOM, keys: &[key(1, RW | UPDATE)],
    categories: LIST, group: Group::List, since: "1.0.0",
    complexity: "O(N) where N is the length of the list. Setting either the first or the last \
        element of the list is O(1).",
    summary: "Sets the value of an element in a list by its index.",
    syntax: "key<key> index<integer> element<string>",
}

fn lset(c: &mut Call<'_>) -> Outcome {
    let key = c.args.key(1);
    let Some(len) = length(&mut c.db, key)? else {
        return Err(Fault::NoSuchKey);
    };
    let index = place(c.args.integer(2)?, len);
    let (text, limits) = (c.args.at(3), limits(&c.db));
    let found = c.db.modify(key, Type::List, Missing::Skip, |entry| {
        let mut list = ListMut::of(entry, limits);
        match index {
            Some(index) => {
                list.set(index, text);
                Changed::one("lset", true)
            }
            None => {
                list.expect(text);
                Changed::nothing(false)
            }
        }
    })?;
    if found != Some(true) {
        return Err(Fault::IndexOutOfRange);
    }
    c.reply.ok();
    Ok(())
}

command! { LTRIM =
    name: "ltrim", run: ltrim, arity: 4, flags: WRITE, keys: &[key(1, RW | DELETE)],
    categories: LIST, group: Group::List, since: "1.0.0",
    complexity: "O(N) where N is the number of elements to be removed by the operation.",
    summary: "Removes elements from both ends a list. Deletes the list if all elements were \
        trimmed.",
    syntax: "key<key> start<integer> stop<integer>",
}

fn ltrim(c: &mut Call<'_>) -> Outcome {
    let (first, last, limits) = (c.args.integer(2)?, c.args.integer(3)?, limits(&c.db));
    let many =
        c.db.modify(c.args.key(1), Type::List, Missing::Skip, |entry| {
            let mut list = ListMut::of(entry, limits);
            let before = list.len();
            let kept = span(first, last, before);
            let ends = [(End::Right, before - kept.end), (End::Left, kept.start)];
            let many = ends.map(|(end, count)| {
                let many = cut_many(&mut list, end, count);
                if many.is_none() {
                    list.cut(end, count);
                }
                many
            });
            // As in Redis, who watches the list is told even if it stays as it is.
            let gone = (before - list.len()) as u64;
            Changed::many("ltrim", gone, many).in_any_case("ltrim")
        })?;
    for list in many.into_iter().flatten().flatten() {
        c.db.exec.free_later(0, Box::new(list));
    }
    c.reply.ok();
    Ok(())
}
