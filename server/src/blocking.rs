//! Clients that wait for a key: BLPOP and its kin.
//!
//! ```text
//!   handler finds nothing: c.block(keys)         a change of a key that somebody waits for: noted as ready
//!          │                                                        │
//!          ▼                                                        ▼
//!   park: the command becomes a task, listed    serve: after the command (after all of EXEC), with its cells still
//!   in the cells of its keys                    held, the waiting tasks run again, first come first served
//! ```
//! A waiting client is its task. Whoever takes the task out of its [`Blocked`] decides how the wait ends, and nobody
//! else can: a command that made a key ready, the home loop when the time is up or the connection is gone, CLIENT
//! UNBLOCK. While the task runs again it is out; who wants to end the wait meanwhile leaves word of it ([`Slot`]).
//!
//! A task that runs again needs the cells of all its keys. A command that changes a key with waiters whose cells it does
//! not hold is therefore run with these as well, or with all if a waiter may wake others ([`missing_cells`]), so that
//! they are served in the turn that made the key ready. Where that cannot be told beforehand, they are served by an
//! errand right after.
//!
//! What a wait leaves in cells that nobody holds (the key was served in another one, or the time is up) is taken back by
//! the home loop when the task comes home.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ostraka_datatypes::db::Lookup;
use ostraka_datatypes::numbers::{self, Extended};
use ostraka_datatypes::raw::entry::Type;
use ostraka_datatypes::resp::Reply;

use crate::call::{Args, Call, Fault};
use crate::command::flag::{EXECUTES_QUEUE, WRITE};
use crate::command::keys::keys_of;
use crate::command::{Command, Group, Reach};
use crate::engine::{self, Ended};
use crate::executor::Executor;
use crate::server::{Access, Server, gate};
use crate::session::Session;
use crate::shards::CellSet;
use crate::slices;
use crate::task::{Errand, Mail, Origin, Task};

/// What a client is told that cannot wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nil {
    Array,
    Bulk,
}

impl Nil {
    fn write(self, reply: &mut Reply<'_>) {
        match self {
            Self::Array => reply.null_array(),
            Self::Bulk => reply.null(),
        }
    }
}

/// What a handler has left in the session: for which keys it wants to wait, and how long.
pub struct Wait {
    keys: Vec<Name>,
    timeout_ms: Option<u64>,
}

/// A key of any database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    pub db: usize,
    pub hash: u64,
    pub cell: usize,
}

impl Call<'_> {
    /// Has the caller wait until one of the arguments `keys` is changed; then the whole command runs again. `None` waits
    /// for ever. A caller that cannot wait is answered `nil` at once.
    pub fn block(&mut self, keys: Range<usize>, timeout_ms: Option<u64>, nil: Nil) {
        if self.session.atomic && !self.session.resumed {
            return nil.write(&mut self.reply);
        }
        let db = self.db.db();
        let mut names = Vec::with_capacity(keys.len());
        for index in keys {
            let key = self.args.key(index);
            let (hash, cell) = (key.hash, key.cell);
            let name = Name { db, hash, cell };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        self.session.wait = Some(Box::new(Wait {
            keys: names,
            timeout_ms,
        }));
    }

    /// Argument `index` as the time that a command waits, in seconds with a fraction; `None` is for ever.
    pub fn timeout_ms(&self, index: usize) -> Result<Option<u64>, Fault> {
        let no_float = || Fault::err("timeout is not a float or out of range");
        let too_long = || Fault::err("timeout is out of range");
        let text = self.args.at(index);
        Extended::parse(text).ok_or_else(no_float)?;
        let seconds = numbers::parse_f64(text).unwrap_or(f64::INFINITY);
        let ms = (seconds * 1000.0).ceil();
        if ms < 0.0 {
            return Err(Fault::err("timeout is negative"));
        }
        if ms >= (i64::MAX - self.db.now_ms()) as f64 {
            return Err(too_long());
        }
        Ok((ms > 0.0).then_some(ms as u64))
    }
}

/// A client that waits.
pub struct Blocked {
    pub origin: Origin,
    /// Unix ms.
    pub deadline_ms: Option<i64>,
    /// What wakes it.
    keys: Vec<Name>,
    /// The cells of these keys.
    cells: CellSet,
    /// The cells of all its keys: what it needs to run.
    need: CellSet,
    /// It changes other keys than it waits for, which may wake others.
    moves: bool,
    slot: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    /// `None` while it runs again, and once the wait is over.
    task: Option<Box<Task>>,
    /// How the wait is to end if the task finds nothing once more.
    ending: Option<Ending>,
}

/// How a wait ends, but for an element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As if its time were up.
    Nil,
    /// CLIENT UNBLOCK id ERROR.
    Error,
    /// The connection is closed: nobody hears of it.
    Gone,
}

impl Blocked {
    pub fn cells(&self) -> CellSet {
        self.cells
    }

    fn straddles(&self) -> bool {
        self.need.len() > 1
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn claim(&self) -> Option<Box<Task>> {
        self.slot().task.take()
    }

    /// The task waits on. Returns it if the wait was ended meanwhile, and how.
    fn put_back(&self, task: Box<Task>) -> Option<(Box<Task>, Ending)> {
        let mut slot = self.slot();
        match slot.ending {
            Some(ending) => Some((task, ending)),
            None => {
                slot.task = Some(task);
                None
            }
        }
    }

    /// Takes it off the lists of the cells held.
    pub fn unlist(&self, access: &mut Access<'_>) {
        for name in &self.keys {
            if access.set().contains(name.cell) {
                let observers = &mut access.data(name.cell).ledger.observers;
                observers.unlist(*name, self.origin.client, self.straddles());
            }
        }
    }
}

// ---- beginning to wait

/// Has a task wait that has found nothing. Its cells are held.
pub fn park(exec: &mut Executor, access: &mut Access<'_>, mut task: Box<Task>) -> Arc<Blocked> {
    let wait = task.session.wait.take();
    let wait = wait.expect("a task that is parked has said what it waits for");
    let args = Args::new(&task.bytes, &task.spans, exec.server.router, None);
    let (need, keys) = needs(exec.server, task.command, args);
    let record = Arc::clone(&task.session.record);
    let blocked = Arc::new(Blocked {
        origin: task.origin,
        deadline_ms: wait.timeout_ms.map(|timeout| exec.now_ms + timeout as i64),
        cells: wait.keys.iter().map(|name| name.cell).collect(),
        need,
        moves: keys > wait.keys.len(),
        keys: wait.keys,
        slot: Mutex::default(),
    });
    for name in &blocked.keys {
        let observers = &mut access.data(name.cell).ledger.observers;
        observers.list(*name, Arc::clone(&blocked), blocked.straddles());
    }
    if blocked.straddles() {
        exec.server.straddling.change(exec.server, 1);
    }
    record.set_parked(Some(Arc::clone(&blocked)));
    blocked.slot().task = Some(task);
    blocked
}

/// The cells of all keys of a call, and how many keys there are.
fn needs(server: &Server, command: &'static Command, args: Args<'_>) -> (CellSet, usize) {
    let mut need = CellSet::EMPTY;
    let mut keys = 0;
    for key in keys_of(command, args) {
        let Ok(at) = key else {
            return (server.cells.all(), usize::MAX);
        };
        need.insert(server.router.cell(args.at(at.index)));
        keys += 1;
    }
    (need, keys)
}

// ---- serving

/// The cells that a command has to be run with, if those held are not enough, because it may make a key ready for somebody
/// who needs others. Called if anybody needs more than one cell.
#[cold]
pub fn missing_cells(
    server: &Server,
    access: &Access<'_>,
    session: &Session,
    command: &'static Command,
    args: Args<'_>,
) -> Option<CellSet> {
    let (held, all) = (access.set(), server.cells.all());
    let observers = |cell: usize| &access.peek(cell).ledger.observers;
    let writes = session.flags_of(command) & WRITE != 0;
    if !writes || held == all || !held.iter().any(|cell| observers(cell).has_straddling()) {
        return None;
    }
    if command.is(EXECUTES_QUEUE) {
        return Some(all);
    }
    if command.reach(args) != Reach::Keys {
        return None;
    }
    let mut need = held;
    for at in keys_of(command, args).flatten() {
        let key = server.router.key(args.at(at.index));
        let (db, hash, cell) = (session.db(), key.hash, key.cell);
        for blocked in observers(cell).waiting_for(Name { db, hash, cell }) {
            if blocked.moves {
                return Some(all);
            }
            need = need.union(blocked.need);
        }
    }
    (need != held).then_some(need)
}

/// Runs the tasks that wait for keys which have become ready, and those that wait for what these make ready.
#[cold]
pub fn serve(exec: &mut Executor, access: &mut Access<'_>) {
    while let Some(name) = exec.ready.pop_front() {
        serve_key(exec, access, name);
    }
}

fn serve_key(exec: &mut Executor, access: &mut Access<'_>, name: Name) {
    let mut position = 0;
    loop {
        let observers = &access.data(name.cell).ledger.observers;
        let Some(blocked) = observers.waiting_for(name).nth(position).map(Arc::clone) else {
            return;
        };
        if !blocked.need.is_subset(access.set()) {
            exec.post(exec.home, Mail::Ready(name));
            return;
        }
        match serve_one(exec, access, name, &blocked) {
            Served::Removed => {}
            Served::Stays => position += 1,
            Served::HeldUp => {
                exec.post(exec.home, Mail::Ready(name));
                return;
            }
            Served::NothingThere => return,
        }
    }
}

enum Served {
    /// Off the list: its wait is over.
    Removed,
    Stays,
    /// It would write where long work is going to: it is tried again.
    HeldUp,
    /// There is nothing at the key any more, for nobody.
    NothingThere,
}

fn serve_one(
    exec: &mut Executor,
    access: &mut Access<'_>,
    name: Name,
    blocked: &Arc<Blocked>,
) -> Served {
    let Some(mut task) = blocked.claim() else {
        // Its wait is over, and its home loop will take it off.
        return Served::Stays;
    };
    let kind = type_at(exec, access, name, &task);
    let fits = kind == Some(type_of(task.command.group)) && !task.session.record.is_doomed();
    let held_up = fits && exec.raised() & gate::PENDING != 0 && {
        let args = Args::new(&task.bytes, &task.spans, exec.server.router, None);
        slices::is_pending(exec.server, access, task.command, args)
    };
    let ready = fits && !held_up;
    if ready && engine::resume(exec, access, &mut task) == Ended::Answered {
        blocked.unlist(access);
        come_home(exec, blocked, task);
        return Served::Removed;
    }
    if let Some((task, ending)) = blocked.put_back(task) {
        blocked.unlist(access);
        let task = end_task(exec, blocked, task, ending);
        exec.post(task.origin.home, Mail::Done(task));
        return Served::Removed;
    }
    match kind {
        None => Served::NothingThere,
        Some(_) if held_up => Served::HeldUp,
        Some(_) => Served::Stays,
    }
}

/// Posts a task whose wait is over, and which is listed nowhere any more.
fn come_home(exec: &mut Executor, blocked: &Blocked, task: Box<Task>) {
    close(exec, blocked, &task);
    exec.post(task.origin.home, Mail::Done(task));
}

/// The type of what is at the key that a task waits for.
fn type_at(exec: &Executor, access: &mut Access<'_>, name: Name, task: &Task) -> Option<Type> {
    let args = Args::new(&task.bytes, &task.spans, exec.server.router, None);
    let keys = keys_of(task.command, args).flatten();
    let mut keys = keys.map(|at| exec.server.router.key(args.at(at.index)));
    let key = keys.find(|key| key.hash == name.hash)?;
    let db = access.data(name.cell).db_mut(name.db);
    match db.find(key.hash, key.bytes, 0) {
        Lookup::Live(found) => {
            let entry = found.entry();
            let lives = entry.deadline().is_none_or(|at| at > exec.now_ms as u64);
            lives.then(|| entry.kind())
        }
        _ => None,
    }
}

/// What the commands of a group wait for.
fn type_of(group: Group) -> Type {
    match group {
        Group::List => Type::List,
        Group::SortedSet => Type::Zset,
        Group::Stream => Type::Stream,
        other => unreachable!("nobody waits for a {}", other.name()),
    }
}

// ---- ending

/// Ends a wait. The task, answered and still listed; `None` if it is being served right now: then that, or whoever finds
/// that there is nothing for it, ends the wait.
pub fn end(exec: &mut Executor, blocked: &Arc<Blocked>, ending: Ending) -> Option<Box<Task>> {
    let task = {
        let mut slot = blocked.slot();
        let task = slot.task.take();
        if task.is_none() {
            slot.ending.get_or_insert(ending);
        }
        task?
    };
    let mut task = end_task(exec, blocked, task, ending);
    task.listed = Some(Arc::clone(blocked));
    Some(task)
}

fn end_task(
    exec: &mut Executor,
    blocked: &Blocked,
    mut task: Box<Task>,
    ending: Ending,
) -> Box<Task> {
    close(exec, blocked, &task);
    let fault = Fault::Unblocked;
    let (session, output) = (&mut task.session, &mut task.output);
    match ending {
        // Whatever the command: all who wait in vain are told the same.
        Ending::Nil => engine::answer_late(exec, task.command, session, output, |reply| {
            reply.null_array();
        }),
        Ending::Error => engine::fail_late(exec, task.command, session, output, &fault),
        Ending::Gone => {}
    }
    task
}

fn close(exec: &Executor, blocked: &Blocked, task: &Task) {
    task.session.record.set_parked(None);
    if blocked.straddles() {
        exec.server.straddling.change(exec.server, -1);
    }
}

/// How many clients wait that need several cells; the gate is raised while there are any.
#[derive(Default)]
pub struct Straddling(Mutex<isize>);

impl Straddling {
    fn change(&self, server: &Server, by: isize) {
        let mut count = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *count += by;
        if *count > 0 {
            server.raise(gate::STRADDLING);
        } else {
            server.lower(gate::STRADDLING);
        }
    }
}

impl Executor {
    /// Takes a client whose wait is over off the lists of all cells; those that are busy see to it themselves.
    pub fn unlist(&mut self, blocked: Arc<Blocked>) {
        match self.server.cells.try_take(blocked.cells, self) {
            Some(mut held) => {
                blocked.unlist(&mut held.access());
                held.release(self);
            }
            None => {
                let cells = blocked.cells;
                let errand = Errand::Unlist(blocked);
                self.server
                    .cells
                    .submit(cells, CellSet::EMPTY, errand, self);
            }
        }
    }

    /// Serves those who wait for a key that became ready while not all of their cells were held.
    pub fn serve_with_all_cells(&mut self, name: Name) {
        let all = self.server.cells.all();
        let (none, errand) = (CellSet::EMPTY, Errand::Serve(name));
        self.server.cells.submit(all, none, errand, self);
    }
}
