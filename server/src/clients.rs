//! The registry of clients: what CLIENT LIST, INFO, KILL and PAUSE see of connections on every loop.
//!
//! A connection belongs to one loop; its [`ClientRecord`] is shared. The loop is the only writer of the
//! atomics and everybody may read them, so that CLIENT LIST on one loop shows the clients of all without
//! asking them. Killing is a mark on the record and a wake-up: the owner frees the connection at the end of
//! its turn, nobody else does.

mod eviction;
mod filter;
mod line;
mod pause;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use eviction::evict;
pub use filter::{Filter, Purpose};
pub use line::{RequestSize, line, memory};
pub use pause::Pause;

use crate::blocking::Blocked;
use crate::os::platform::Socket;
use crate::task::Origin;

/// The only user there is.
pub const DEFAULT_USER: &str = "default";

/// Who a connection is, for everybody.
pub struct ClientRecord {
    pub id: u64,
    pub address: Box<str>,
    pub local_address: Box<str>,
    pub descriptor: i32,
    /// The loop that owns the connection, and its slab key there.
    pub home: usize,
    pub token: usize,
    pub created_ms: i64,
    pub last_active_ms: AtomicI64,
    pub db: AtomicU32,
    /// RESP version, 2 or 3.
    pub protocol: AtomicU32,
    pub flags: AtomicU32,
    /// Id of the last command in the command table, `u32::MAX` before the first.
    pub command: AtomicU32,
    pub query_bytes: AtomicU64,
    pub query_capacity: AtomicU64,
    /// Bytes that the socket did not take at the last try, in how many pieces, and the memory that holds them.
    pub output_bytes: AtomicU64,
    pub output_pieces: AtomicU64,
    pub output_memory: AtomicU64,
    pub net_in: AtomicU64,
    pub net_out: AtomicU64,
    pub commands: AtomicU64,
    /// Commands queued since MULTI, and the memory that holds them.
    pub queued: AtomicU64,
    pub queue_memory: AtomicU64,
    /// A watched key has been changed. Set by whoever changes it, with its cell held.
    pub touched: AtomicBool,
    /// Set by CLIENT KILL; the owner closes the connection at the end of its turn.
    pub doomed: AtomicBool,
    /// Waits for a key.
    parked: Mutex<Option<Arc<Blocked>>>,
    names: Mutex<Option<Box<Names>>>,
}

/// What a client calls itself.
#[derive(Clone, Default)]
pub struct Names {
    pub name: Box<str>,
    pub library: Box<str>,
    pub library_version: Box<str>,
}

/// Bits of [`ClientRecord::flags`].
pub mod flag {
    pub const MONITOR: u32 = 1 << 0;
    pub const NO_EVICT: u32 = 1 << 1;
    pub const NO_TOUCH: u32 = 1 << 2;
    pub const UNIX_SOCKET: u32 = 1 << 3;
    pub const CLOSE_AFTER_REPLY: u32 = 1 << 4;
    pub const CLOSE_ASAP: u32 = 1 << 5;
    /// Waits for a key or for the end of CLIENT PAUSE: one of INFO's `blocked_clients`.
    pub const WAITING: u32 = 1 << 6;
    /// Between MULTI and EXEC.
    pub const MULTI: u32 = 1 << 7;
    pub const WATCHING: u32 = 1 << 8;
}

impl ClientRecord {
    /// The record of a connection at `token` of loop `home`.
    pub fn new(id: u64, home: usize, token: usize, socket: &dyn Socket, now_ms: i64) -> Self {
        let unix = if socket.is_unix() {
            flag::UNIX_SOCKET
        } else {
            0
        };
        Self {
            id,
            address: socket.peer().into(),
            local_address: socket.local().into(),
            descriptor: socket.descriptor(),
            home,
            token,
            created_ms: now_ms,
            last_active_ms: AtomicI64::new(now_ms),
            db: AtomicU32::new(0),
            protocol: AtomicU32::new(2),
            flags: AtomicU32::new(unix),
            command: AtomicU32::new(u32::MAX),
            query_bytes: AtomicU64::new(0),
            query_capacity: AtomicU64::new(0),
            output_bytes: AtomicU64::new(0),
            output_pieces: AtomicU64::new(0),
            output_memory: AtomicU64::new(0),
            net_in: AtomicU64::new(0),
            net_out: AtomicU64::new(0),
            commands: AtomicU64::new(0),
            queued: AtomicU64::new(0),
            queue_memory: AtomicU64::new(0),
            touched: AtomicBool::new(false),
            doomed: AtomicBool::new(false),
            parked: Mutex::default(),
            names: Mutex::default(),
        }
    }

    pub fn origin(&self) -> Origin {
        Origin {
            home: self.home,
            token: self.token,
            client: self.id,
        }
    }

    /// Its wait for a key, if it is waiting.
    pub fn parked(&self) -> Option<Arc<Blocked>> {
        self.lock_parked().clone()
    }

    /// Begins or ends a wait. Called by whoever has the session only.
    pub fn set_parked(&self, parked: Option<Arc<Blocked>>) {
        self.put(flag::WAITING, parked.is_some());
        *self.lock_parked() = parked;
    }

    fn lock_parked(&self) -> MutexGuard<'_, Option<Arc<Blocked>>> {
        self.parked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn names(&self) -> Names {
        self.lock_names().as_deref().cloned().unwrap_or_default()
    }

    /// Changes what the client is called.
    pub fn rename(&self, change: impl FnOnce(&mut Names)) {
        change(self.lock_names().get_or_insert_default());
    }

    pub fn is_named(&self) -> bool {
        self.lock_names()
            .as_ref()
            .is_some_and(|names| !names.name.is_empty())
    }

    fn lock_names(&self) -> MutexGuard<'_, Option<Box<Names>>> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the other end is on this machine.
    pub fn is_local(&self) -> bool {
        let address = self.address.parse::<SocketAddr>();
        self.has(flag::UNIX_SOCKET)
            || address.is_ok_and(|address| address.ip().to_canonical().is_loopback())
    }

    pub fn has(&self, bit: u32) -> bool {
        self.flags.load(Relaxed) & bit != 0
    }

    /// Sets or clears a bit. Called by whoever has the session only.
    pub fn put(&self, bit: u32, on: bool) {
        let flags = self.flags.load(Relaxed);
        self.flags
            .store(if on { flags | bit } else { flags & !bit }, Relaxed);
    }

    pub fn is_doomed(&self) -> bool {
        self.doomed.load(Relaxed)
    }
}

/// All clients of all loops, by id (ids are never used twice).
#[derive(Default)]
pub struct Registry {
    next_id: AtomicU64,
    clients: Mutex<BTreeMap<u64, Arc<ClientRecord>>>,
    /// Clients that are to be closed and have not been yet: what they hold is about to be freed.
    leaving: AtomicU64,
}

impl Registry {
    /// The id of the next client, from 1.
    pub fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed) + 1
    }

    /// Lets a client in, unless there are `limit` already.
    #[must_use = "a client that is not registered must be turned away"]
    pub fn admit(&self, record: &Arc<ClientRecord>, limit: usize) -> bool {
        let mut clients = self.lock();
        let room = clients.len() < limit;
        if room {
            clients.insert(record.id, Arc::clone(record));
        }
        room
    }

    /// Marks a client as to be closed. From now on nobody counts or lists it; its loop has to be told to look
    /// ([`Mail::Review`](crate::task::Mail::Review)). Answers whether it was a client until now: others may have marked
    /// it, or freed its connection.
    pub fn doom(&self, record: &ClientRecord) -> bool {
        record.doomed.store(true, Relaxed);
        let mut clients = self.lock();
        let was_there = clients.remove(&record.id).is_some();
        self.leaving.fetch_add(was_there.into(), Relaxed);
        was_there
    }

    /// A connection has been freed.
    pub fn gone(&self, record: &ClientRecord) {
        let mut clients = self.lock();
        let was_doomed = clients.remove(&record.id).is_none();
        self.leaving.fetch_sub(was_doomed.into(), Relaxed);
    }

    /// Whether clients that are to be closed have still to be freed.
    pub fn any_leaving(&self) -> bool {
        self.leaving.load(Relaxed) > 0
    }

    pub fn len(&self) -> usize {
        self.lock().len()
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub fn get(&self, id: u64) -> Option<Arc<ClientRecord>> {
        self.lock().get(&id).cloned()
    }

    /// All records in the order of their ids.
    pub fn all(&self) -> Vec<Arc<ClientRecord>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Arc<ClientRecord>>> {
        self.clients.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
