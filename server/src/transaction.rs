//! What a client has said since MULTI and has not been done yet, and which keys it watches meanwhile.
//!
//! Both belong to the session, so that they travel with an EXEC that has to wait for its cells. What EXEC needs is
//! known before it runs: the cells of all queued commands and those of all watched keys.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ostraka_datatypes::resp::Span;

use crate::call::Args;
use crate::clients::{ClientRecord, flag};
use crate::command::{Command, Flags};
use crate::executor::Executor;
use crate::router::{Key, Router};
use crate::server::Access;
use crate::session::Session;
use crate::shards::CellSet;

/// A larger queue's memory is given back rather than kept for the next transaction.
const KEPT_BYTES: usize = 64 * 1024;

/// The commands since MULTI, one behind the other in one piece of memory.
#[derive(Default)]
pub struct Queue {
    bytes: Vec<u8>,
    spans: Vec<Span>,
    commands: Vec<Queued>,
    cells: CellSet,
    /// Of all queued commands.
    flags: Flags,
    /// A command was refused, so EXEC will run none.
    pub spoilt: bool,
}

struct Queued {
    command: &'static Command,
    /// Where its bytes and spans end; they begin where those of the one before end.
    bytes_end: usize,
    spans_end: usize,
    /// What routing computed for the first key: argument, hash, cell.
    first: Option<(usize, u64, usize)>,
}

impl Queue {
    /// Copies a command that needs `cells`.
    pub fn push(&mut self, command: &'static Command, args: Args<'_>, cells: CellSet) {
        self.bytes.extend_from_slice(args.bytes());
        self.spans.extend_from_slice(args.spans());
        self.commands.push(Queued {
            command,
            bytes_end: self.bytes.len(),
            spans_end: self.spans.len(),
            first: args.first().map(|(index, key)| (index, key.hash, key.cell)),
        });
        self.cells = self.cells.union(cells);
        self.flags |= command.flags;
    }

    pub fn len(&self) -> usize {
        self.commands.len()
    }

    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Bytes of all queued requests.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Bytes of memory held.
    pub fn allocated(&self) -> usize {
        self.bytes.capacity()
            + self.spans.capacity() * size_of::<Span>()
            + self.commands.capacity() * size_of::<Queued>()
    }

    /// The cells of all queued commands.
    pub fn cells(&self) -> CellSet {
        self.cells
    }

    /// The flags that any of the queued commands has.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// The commands in the order in which they came.
    pub fn iter(&self, router: Router) -> impl Iterator<Item = (&'static Command, Args<'_>)> {
        let (mut bytes_start, mut spans_start) = (0, 0);
        self.commands.iter().map(move |queued| {
            let bytes = &self.bytes[bytes_start..queued.bytes_end];
            let spans = &self.spans[spans_start..queued.spans_end];
            (bytes_start, spans_start) = (queued.bytes_end, queued.spans_end);
            let first = queued.first.map(|(index, hash, cell)| {
                let bytes = spans[index].of(bytes);
                (index, Key { bytes, hash, cell })
            });
            (queued.command, Args::new(bytes, spans, router, first))
        })
    }

    /// An empty queue that keeps the memory, unless that is a lot.
    pub fn emptied(mut self: Box<Self>) -> Option<Box<Self>> {
        if self.allocated() > KEPT_BYTES {
            return None;
        }
        self.bytes.clear();
        self.spans.clear();
        self.commands.clear();
        self.cells = CellSet::EMPTY;
        self.flags = 0;
        self.spoilt = false;
        Some(self)
    }
}

/// Forgets what has been queued and what is watched. The cells of the transaction are held.
pub fn discard(exec: &mut Executor, access: &mut Access<'_>, session: &mut Session) {
    if let Some(queue) = session.end_queue() {
        exec.take_queue(queue);
    }
    unwatch_all(access, session);
}

/// Forgets what is watched.
pub fn unwatch_all(access: &mut Access<'_>, session: &mut Session) {
    let Some(watching) = session.watching.take() else {
        return;
    };
    watching.end(access, session.id());
    let record = &session.record;
    record.touched.store(false, Relaxed);
    record.put(flag::WATCHING, false);
}

/// The keys that a client watches. Each is registered in its cell under the client's record, and somebody has to take
/// all of them back: [`Watching::end`].
#[derive(Default)]
pub struct Watching {
    keys: Vec<WatchedKey>,
    cells: CellSet,
}

struct WatchedKey {
    db: usize,
    hash: u64,
    cell: usize,
    bytes: Box<[u8]>,
}

impl Watching {
    /// Watches a key whose cell is held, unless it is watched already.
    pub fn begin(
        &mut self,
        access: &mut Access<'_>,
        db: usize,
        key: Key<'_>,
        client: &Arc<ClientRecord>,
    ) {
        let observers = &mut access.data(key.cell).ledger.observers;
        if observers.watch(db, key, client) {
            self.cells.insert(key.cell);
            self.keys.push(WatchedKey {
                db,
                hash: key.hash,
                cell: key.cell,
                bytes: key.bytes.into(),
            });
        }
    }

    /// The cells of all keys.
    pub fn cells(&self) -> CellSet {
        self.cells
    }

    /// The keys, each with its database.
    pub fn keys(&self) -> impl Iterator<Item = (usize, Key<'_>)> {
        self.keys.iter().map(|key| {
            let (bytes, hash, cell) = (&*key.bytes, key.hash, key.cell);
            (key.db, Key { bytes, hash, cell })
        })
    }

    /// Takes all registrations of `client` back.
    pub fn end(&self, access: &mut Access<'_>, client: u64) {
        for key in &self.keys {
            let observers = &mut access.data(key.cell).ledger.observers;
            observers.unwatch(key.db, key.hash, client);
        }
    }
}
