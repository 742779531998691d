//! SORT and SORT_RO.
//!
//! A sort of many elements goes on in slices: elements are gathered and sorted in short runs, the runs are merged as the
//! reply is written (`sort_runs`). Values of other keys, which may be in any cell, are looked up in batches between two
//! steps, as of the moment of the command (`sort_lookup`).

use std::ops::Range;
use std::sync::Arc;

use ostraka_datatypes::list::{End, Limits, ListMut, ListRef};
use ostraka_datatypes::numbers;
use ostraka_datatypes::packed::Element;
use ostraka_datatypes::raw::entry::{Entry, Type};
use ostraka_datatypes::resp::Reply;
use ostraka_datatypes::set::SetRef;
use ostraka_datatypes::zset::ZsetRef;

use super::list::limits;
use super::sort_lookup::{Batch, Moment, Pattern};
use super::sort_runs::{Item, Order, Runs};
use crate::call::{Args, Call, Outcome};
use crate::command::Reach;
use crate::command::row::*;
use crate::executor::Executor;
use crate::fault::Fault;
use crate::keyspace::Keyspace;
use crate::slices::{AT_ONCE, Budget, Work};

pub static ROWS: &[&Command] = &[&SORT, &SORT_RO];

const BY_GET_NOTES: &str = "For the optional BY/GET keyword. It is marked 'unknown' because the \
    key names derive from the content of the key we sort";

command! { SORT =
    name: "sort", run: sort, arity: -2, flags: WRITE | DENYOOM,
    keys: &[
        key(1, RO | ACCESS),
        unknown_keys(RO | ACCESS).notes(BY_GET_NOTES),
        unknown_keys(OW | UPDATE).notes("For the optional STORE keyword. It is marked 'unknown' \
            because the keyword can appear anywhere in the argument array"),
    ],
    find_keys: Some(sort_keys), route: Route::Custom(reach), categories: SET | SORTEDSET | LIST | DANGEROUS,
    group: Group::Generic, since: "1.0.0",
    complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M \
        the number of returned elements. When the elements are not sorted, complexity is O(N).",
    summary: "Sorts the elements in a list, a set, or a sorted set, optionally storing the result.",
    syntax: "key<key> [BY by-pattern:pattern<pattern:1>] \
        [LIMIT limit{offset<integer> count<integer>}] [GET... get-pattern:pattern<pattern:1>] \
        [order(ASC|DESC)] [sorting<ALPHA>] [STORE destination<key:2>]",
}

command! { SORT_RO =
    name: "sort_ro", run: sort, arity: -2, flags: READONLY,
    keys: &[key(1, RO | ACCESS), unknown_keys(RO | ACCESS).notes(BY_GET_NOTES)],
    find_keys: Some(sort_ro_keys), route: Route::Custom(reach),
    categories: SET | SORTEDSET | LIST | DANGEROUS, group: Group::Generic, since: "7.0.0",
    complexity: "O(N+M*log(M)) where N is the number of elements in the list or set to sort, and M \
        the number of returned elements. When the elements are not sorted, complexity is O(N).",
    summary: "Returns the sorted elements of a list, a set, or a sorted set.",
    syntax: "key<key> [BY by-pattern:pattern<pattern:1>] \
        [LIMIT limit{offset<integer> count<integer>}] [GET... get-pattern:pattern<pattern:1>] \
        [order(ASC|DESC)] [sorting<ALPHA>]",
}

fn sort_keys(args: Args<'_>, n: usize) -> Result<Option<KeyAt>, Unclear> {
    let (mut at, mut stored) = (2, None);
    while at < args.len() {
        if args.is(at, "STORE") && at + 1 < args.len() {
            stored = Some(at + 1);
        }
        at += 1 + operands(args, at);
    }
    Ok(match (n, stored) {
        (0, _) => Some(KeyAt {
            index: 1,
            flags: RO | ACCESS,
        }),
        (1, Some(index)) => Some(KeyAt {
            index,
            flags: OW | UPDATE,
        }),
        _ => None,
    })
}

fn sort_ro_keys(_: Args<'_>, n: usize) -> Result<Option<KeyAt>, Unclear> {
    Ok((n == 0).then_some(KeyAt {
        index: 1,
        flags: RO | ACCESS,
    }))
}

/// How many arguments belong to the option at `at`.
fn operands(args: Args<'_>, at: usize) -> usize {
    match () {
        () if args.is(at, "LIMIT") => 2,
        () if ["BY", "GET", "STORE"].iter().any(|word| args.is(at, word)) => 1,
        () => 0,
    }
}

/// Patterns make keys that may be anywhere.
fn reach(args: Args<'_>) -> Reach {
    let mut at = 2;
    while at < args.len() {
        let looks_up = args.is(at, "BY") || args.is(at, "GET");
        if looks_up
            && args
                .get(at + 1)
                .is_some_and(|pattern| pattern.contains(&b'*'))
        {
            return Reach::All;
        }
        at += 1 + operands(args, at);
    }
    Reach::Keys
}

/// What is asked for.
struct Options<'a> {
    /// Not sorted at all if this has no `*`.
    by: Option<&'a [u8]>,
    sorted: bool,
    get: Vec<&'a [u8]>,
    offset: i64,
    count: i64,
    descending: bool,
    alpha: bool,
    /// The argument that is the key to store the result at.
    store: Option<usize>,
}

impl<'a> Options<'a> {
    fn parse(args: Args<'a>, may_store: bool) -> Result<Self, Fault> {
        let mut options = Self {
            by: None,
            sorted: true,
            get: Vec::new(),
            offset: 0,
            count: -1,
            descending: false,
            alpha: false,
            store: None,
        };
        let mut at = 2;
        while at < args.len() {
            let operands = operands(args, at);
            let complete = at + operands < args.len();
            match () {
                () if args.is(at, "ASC") => options.descending = false,
                () if args.is(at, "DESC") => options.descending = true,
                () if args.is(at, "ALPHA") => options.alpha = true,
                () if args.is(at, "LIMIT") && complete => {
                    options.offset = args.integer(at + 1)?;
                    options.count = args.integer(at + 2)?;
                }
                () if args.is(at, "STORE") && complete && may_store => options.store = Some(at + 1),
                () if args.is(at, "BY") && complete => {
                    options.by = Some(args.at(at + 1));
                    options.sorted &= args.at(at + 1).contains(&b'*');
                }
                () if args.is(at, "GET") && complete => options.get.push(args.at(at + 1)),
                () => return Err(Fault::Syntax),
            }
            at += 1 + operands;
        }
        Ok(options)
    }

    /// What elements are compared by, if not by themselves, and then what is answered; and which of these are answered.
    fn patterns(&self) -> (Arc<[Pattern]>, Range<usize>) {
        let by = self.by.filter(|_| self.sorted);
        let get: &[&[u8]] = match &self.get[..] {
            [] => &[b"#"],
            get => get,
        };
        let all = by.iter().chain(get).map(|pattern| Pattern::parse(pattern));
        let first = usize::from(by.is_some());
        (all.collect(), first..first + get.len())
    }

    /// The elements to look at, of `len`, and the places that are wanted among them once they are in order. Of elements
    /// that stay in the order they have, only those that are wanted are looked at.
    fn window(&self, len: usize, ordered: bool) -> (Range<usize>, Range<usize>) {
        let first = usize::try_from(self.offset).unwrap_or(0).min(len);
        let end = match usize::try_from(self.count) {
            Ok(count) => first.saturating_add(count).min(len),
            Err(_) => len,
        };
        match (!self.sorted && ordered, self.descending) {
            (true, false) => (first..end, 0..end - first),
            (true, true) => (len - end..len - first, 0..end - first),
            (false, _) => (0..len, first..end),
        }
    }
}

fn sort(c: &mut Call<'_>) -> Outcome {
    let options = Options::parse(c.args, c.command.is(WRITE))?;
    let mut sorting = Sorting::new(c, &options)?;
    let effort = sorting.effort();
    if sorting.looks_up() {
        if effort <= AT_ONCE || c.session.atomic {
            return sorting.at_once(c);
        }
        sorting.moment = Some(Moment::begin(&mut c.db, &sorting.patterns));
    }
    let pending: Vec<usize> = options.store.into_iter().collect();
    c.in_slices(effort, &pending, sorting)
}

/// A list, set or sorted set.
#[derive(Clone, Copy)]
enum View<'a> {
    List(ListRef<'a>),
    Set(SetRef<'a>),
    Zset(ZsetRef<'a>),
}

impl<'a> View<'a> {
    fn of(entry: &'a Entry) -> Result<Self, Fault> {
        match entry.kind() {
            Type::List => Ok(Self::List(ListRef::of(entry))),
            Type::Set => Ok(Self::Set(SetRef::of(entry))),
            Type::Zset => Ok(Self::Zset(ZsetRef::of(entry))),
            _ => Err(Fault::WrongType),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::List(list) => list.len(),
            Self::Set(set) => set.len(),
            Self::Zset(zset) => zset.len(),
        }
    }

    /// Whether the elements have an order of their own.
    fn is_ordered(self) -> bool {
        match self {
            Self::List(_) | Self::Zset(_) => true,
            Self::Set(_) => false,
        }
    }

    /// Hands some elements of `window` to `emit`, beginning at `cursor`, which is moved on. `false`: that was all.
    fn gather(
        self,
        window: &Range<usize>,
        cursor: &mut u64,
        mut emit: impl FnMut(Element<'_>),
    ) -> bool {
        let start = window.start + *cursor as usize;
        let end = window.end.min(start + RUN);
        match self {
            Self::Set(set) => {
                *cursor = set.scan(*cursor, RUN, emit);
                return *cursor != 0;
            }
            Self::List(list) => list.each(start..end, &mut emit),
            Self::Zset(zset) => {
                let members = zset.items(start..end, false);
                members.for_each(|(member, _)| emit(member));
            }
        }
        *cursor += (end - start) as u64;
        end < window.end
    }
}

/// Elements of a run that is gathered and sorted at once: some 40 µs.
const RUN: usize = 256;

/// What is sorted.
enum Source {
    Texts(std::vec::IntoIter<Box<[u8]>>),
    Frozen(Entry),
}

/// Where the result goes.
enum Target {
    Reply,
    Store { list: Box<Entry>, limits: Limits },
}

/// A sort under way.
struct Sorting {
    source: Source,
    /// The elements of the source that are gathered, and how far that is.
    window: Range<usize>,
    cursor: u64,
    source_is_through: bool,
    all_gathered: bool,
    by_number: bool,
    /// An element is no number.
    failed: bool,
    runs: Runs,
    /// Places that are wanted among the sorted elements, and how many elements have passed.
    chosen: Range<usize>,
    passed: usize,
    /// What the elements are compared by, if not by themselves, and then what is answered per element.
    patterns: Arc<[Pattern]>,
    /// Which of the patterns are answered.
    get: Range<usize>,
    /// What is being looked up: weights before all are gathered, answers after.
    batch: Option<Batch>,
    /// When it is looked up, if not now.
    moment: Option<Moment>,
    target: Target,
}

impl Sorting {
    fn new(c: &mut Call<'_>, options: &Options<'_>) -> Result<Self, Fault> {
        let key = c.args.key(1);
        let target = match options.store {
            None => Target::Reply,
            Some(index) => Target::Store {
                list: Box::new(Entry::packed(Type::List, c.args.at(index), &[], None)),
                limits: limits(&c.db),
            },
        };
        let mut texts = Vec::new();
        let (mut window, mut chosen, mut ordered) = (0..0, 0..0, true);
        if let Some(entry) = c.db.read(key) {
            let view = View::of(&entry)?;
            ordered = view.is_ordered();
            (window, chosen) = options.window(view.len(), ordered);
            let (mut cursor, mut more) = (0, !window.is_empty());
            let at_once = window.len() <= AT_ONCE || !entry.is_large();
            while more && at_once {
                more = view.gather(&window, &mut cursor, |element| {
                    texts.push(element.to_cow().into());
                });
            }
        }
        let source = match texts.len() < window.len() {
            true => c.db.frozen(key)?.map(Source::Frozen),
            false => None,
        };
        let forced = !options.sorted && !ordered && options.store.is_some();
        let order = match (options.sorted || forced, options.descending) {
            (true, false) => Order::Ascending,
            (true, true) => Order::Descending,
            (false, true) if ordered => Order::Reversed,
            (false, _) => Order::AsTheyCome,
        };
        let (patterns, get) = options.patterns();
        Ok(Self {
            source: source.unwrap_or(Source::Texts(texts.into_iter())),
            by_number: options.sorted && !options.alpha,
            runs: Runs::new(order, window.len()),
            source_is_through: window.is_empty(),
            window,
            cursor: 0,
            all_gathered: false,
            failed: false,
            chosen,
            passed: 0,
            patterns,
            get,
            batch: None,
            moment: None,
            target,
        })
    }

    /// Whether the elements are compared by the values of other keys.
    fn is_weighed(&self) -> bool {
        self.get.start > 0
    }

    /// Whether the values of other keys are answered.
    fn answers_others(&self) -> bool {
        self.patterns[self.get.clone()]
            .iter()
            .any(Pattern::looks_up)
    }

    fn looks_up(&self) -> bool {
        self.is_weighed() || self.answers_others()
    }

    /// How many elements are gathered or values looked up, whichever is more.
    fn effort(&self) -> usize {
        let answers = match self.answers_others() {
            true => self.chosen.len() * self.get.len(),
            false => 0,
        };
        self.window.len().max(answers)
    }

    /// Does everything now. All cells are held, if values are looked up.
    fn at_once(mut self, c: &mut Call<'_>) -> Outcome {
        while !self.step(&mut c.reply, &mut Budget::unlimited()) {
            if let Some(batch) = &mut self.batch {
                batch.look_up(&mut c.db, &self.patterns);
            }
        }
        self.finish(&mut c.db, &mut c.reply)
    }

    /// Gathers until all is there (`true`), weights have to be looked up, or the budget is spent.
    fn gather(&mut self, budget: &mut Budget<'_>) -> bool {
        if let Some(batch) = self.batch.take() {
            for (text, weight) in batch.elements.into_iter().zip(batch.values) {
                let item = match (self.by_number, weight) {
                    (true, None) => Item::by_number(text, 0.0),
                    (true, Some(weight)) => Item::by_number(text, self.number(&weight)),
                    (false, weight) => Item::by_weight(text, weight),
                };
                self.runs.push(item);
            }
            self.runs.close_run();
        }
        while !self.source_is_through {
            let texts = self.next_texts();
            if self.is_weighed() {
                self.batch = Some(Batch::new(texts, &self.patterns, 0..1));
                return false;
            }
            for text in texts {
                let item = match self.by_number {
                    true => {
                        let number = self.number(&text);
                        Item::by_number(text, number)
                    }
                    false => Item::by_text(text),
                };
                self.runs.push(item);
            }
            self.runs.close_run();
            if !budget.spend(RUN) {
                break;
            }
        }
        self.source_is_through
    }

    /// Some more texts of the source.
    fn next_texts(&mut self) -> Vec<Box<[u8]>> {
        let mut texts = Vec::with_capacity(RUN);
        let more = match &mut self.source {
            Source::Texts(source) => {
                texts.extend(source.take(RUN));
                source.len() > 0
            }
            Source::Frozen(entry) => {
                let view = View::of(entry).expect("the type was looked at");
                view.gather(&self.window, &mut self.cursor, |element| {
                    texts.push(element.to_cow().into());
                })
            }
        };
        self.source_is_through = !more;
        texts
    }

    /// The number to sort by; the sort fails if the text is none.
    fn number(&mut self, text: &[u8]) -> f64 {
        let number = number(text);
        self.failed |= number.is_none();
        number.unwrap_or(0.0)
    }

    /// Opens the reply, if it is one.
    fn open(&self, reply: &mut Reply<'_>) {
        if let Target::Reply = self.target {
            reply.array(self.chosen.len() * self.get.len());
        }
    }

    /// Answers elements until all are through (`true`), values have to be looked up, or the budget is spent.
    fn answer(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        if let Some(batch) = self.batch.take() {
            for value in &batch.values {
                self.target.put(reply, value.as_deref());
            }
        }
        let others = self.answers_others();
        let most = (RUN / self.get.len()).max(1);
        let mut texts = Vec::new();
        while self.passed < self.chosen.end
            && texts.len() < most
            && let Some(item) = self.runs.next()
        {
            let chosen = self.passed >= self.chosen.start;
            self.passed += 1;
            match others {
                _ if !chosen => {}
                true => texts.push(item.text.clone()),
                false => {
                    for pattern in &self.patterns[self.get.clone()] {
                        let itself = matches!(pattern, Pattern::Itself);
                        self.target.put(reply, itself.then_some(&*item.text));
                    }
                }
            }
            if !budget.spend(1) {
                break;
            }
        }
        if !texts.is_empty() {
            self.batch = Some(Batch::new(texts, &self.patterns, self.get.clone()));
        }
        self.passed >= self.chosen.end && self.batch.is_none()
    }
}

impl Work for Sorting {
    fn look(&mut self, exec: &mut Executor) -> bool {
        match (&mut self.batch, &self.moment) {
            (Some(batch), Some(moment)) => batch.look_back(moment, exec),
            _ => true,
        }
    }

    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        if !self.all_gathered {
            self.all_gathered = self.gather(budget);
            if self.failed {
                return true;
            }
            if !self.all_gathered {
                return false;
            }
            self.runs.begin();
            self.open(reply);
        }
        self.answer(reply, budget)
    }

    fn finish(&mut self, db: &mut Keyspace<'_>, reply: &mut Reply<'_>) -> Outcome {
        if self.failed {
            return Err(Fault::err(
                "One or more scores can't be converted into double",
            ));
        }
        let Target::Store { list, .. } = std::mem::replace(&mut self.target, Target::Reply) else {
            return Ok(());
        };
        let key = list.key().to_vec();
        let key = db.exec.server.router.key(&key);
        if list.is_empty_collection() {
            db.remove(key, "del");
            reply.integer(0);
        } else {
            reply.integer(ListRef::of(&list).len() as i64);
            db.put(key, *list, "sortstore");
        }
        Ok(())
    }

    fn give_back(&mut self, exec: &mut Executor) -> bool {
        let moment = self.moment.as_mut();
        moment.is_none_or(|moment| moment.give_back(exec))
    }
}

impl Target {
    fn put(&mut self, reply: &mut Reply<'_>, value: Option<&[u8]>) {
        match (self, value) {
            (Self::Reply, Some(value)) => reply.bulk(value),
            (Self::Reply, None) => reply.null(),
            (Self::Store { list, limits }, value) => {
                let value = value.unwrap_or_default();
                ListMut::of(list, *limits).push(End::Right, [value].into_iter());
            }
        }
    }
}

/// The number that a text is, by the rules of C's `strtod`, to which a zero byte is the end.
fn number(text: &[u8]) -> Option<f64> {
    let end = text.iter().position(|byte| *byte == 0);
    let text = text[..end.unwrap_or(text.len())].trim_ascii_start();
    match text {
        [] => Some(0.0),
        text => numbers::parse_f64(text),
    }
}
