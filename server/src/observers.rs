//! Who has to hear of a change in one cell: the clients that watch a key, and those that wait for it.
//!
//! A key is found by its database and hash alone. Two keys with the same hash would be taken for one, which here does
//! no harm: a transaction is given up that need not be, a waiting client finds nothing. The hash is keyed, so nobody can bring that about.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ostraka_datatypes::db::{Db, Lookup};

use crate::blocking::{Blocked, Name};
use crate::clients::ClientRecord;
use crate::executor::Executor;
use crate::keyspace::Event;
use crate::router::Key;

/// What a cell writes down of its changes.
#[derive(Default)]
pub struct Ledger {
    /// Changes since the server started, as INFO's `rdb_changes_since_last_save` counts them.
    pub changes: u64,
    pub observers: Observers,
    /// The last long string that somebody was seen waiting to change, by hash, and until when in Unix ms that keeps new
    /// readers from beginning.
    pub wanted: Option<(u64, i64)>,
}

impl Ledger {
    /// A key has been changed.
    #[inline]
    pub fn changed(&self, exec: &mut Executor, name: Name) {
        if self.observers.is_any() {
            self.observers.changed(exec, name);
        }
    }

    /// A key was found past its deadline by somebody who looked it up.
    #[inline]
    pub fn expired(&self, exec: &Executor, db: usize, hash: u64) {
        exec.stats().expired_keys.add(1);
        self.lost("expired", db, hash);
    }

    /// A key, or fields of it, went unasked: `event` says why. Nobody who waits for a key finds it then.
    #[inline]
    pub fn lost(&self, _event: Event, db: usize, hash: u64) {
        if self.observers.is_any() {
            self.observers.touch(db, hash);
        }
    }
}

/// A key of any database: the number of the database and the key's hash.
type Place = (usize, u64);

/// By name; the hash in it is good enough to be used as it is.
type ByName<V> = HashMap<Place, V, BuildHasherDefault<Fold>>;

/// The observers of one cell's keys.
#[derive(Default)]
pub struct Observers {
    watched: ByName<Watched>,
    /// In the order in which they came.
    waiting: ByName<VecDeque<Arc<Blocked>>>,
    /// Waiting clients that need other cells as well; once for every key.
    straddling: usize,
}

struct Watched {
    bytes: Box<[u8]>,
    clients: Vec<Arc<ClientRecord>>,
}

impl Observers {
    /// Whether anybody has to hear of anything.
    #[inline]
    pub fn is_any(&self) -> bool {
        !self.watched.is_empty() || !self.waiting.is_empty()
    }

    /// Keys that somebody watches.
    pub fn watched(&self) -> usize {
        self.watched.len()
    }

    /// Has `client` told of changes. `false`: it is told already.
    pub fn watch(&mut self, db: usize, key: Key<'_>, client: &Arc<ClientRecord>) -> bool {
        let watched = self.watched.entry((db, key.hash));
        let watched = watched.or_insert_with(|| Watched {
            bytes: key.bytes.into(),
            clients: Vec::new(),
        });
        let new = watched.clients.iter().all(|other| other.id != client.id);
        if new {
            watched.clients.push(Arc::clone(client));
        }
        new
    }

    pub fn unwatch(&mut self, db: usize, hash: u64, client: u64) {
        let Slot::Occupied(mut slot) = self.watched.entry((db, hash)) else {
            return;
        };
        slot.get_mut().clients.retain(|other| other.id != client);
        if slot.get().clients.is_empty() {
            slot.remove();
        }
    }

    /// Has a client wait for a key, behind those that do already.
    pub fn list(&mut self, name: Name, blocked: Arc<Blocked>, straddles: bool) {
        let waiting = self.waiting.entry((name.db, name.hash)).or_default();
        waiting.push_back(blocked);
        self.straddling += usize::from(straddles);
    }

    pub fn unlist(&mut self, name: Name, client: u64, straddles: bool) {
        let Slot::Occupied(mut slot) = self.waiting.entry((name.db, name.hash)) else {
            return;
        };
        let mut waiting = slot.get().iter();
        if let Some(at) = waiting.position(|blocked| blocked.origin.client == client) {
            slot.get_mut().remove(at);
            self.straddling -= usize::from(straddles);
        }
        if slot.get().is_empty() {
            slot.remove();
        }
    }

    /// Who waits for a key, first come first.
    pub fn waiting_for(&self, name: Name) -> impl Iterator<Item = &Arc<Blocked>> {
        let waiting = self.waiting.get(&(name.db, name.hash));
        waiting.into_iter().flatten()
    }

    /// Keys that somebody waits for.
    pub fn waited_for(&self) -> usize {
        self.waiting.len()
    }

    /// Whether somebody waits who needs other cells as well.
    pub fn has_straddling(&self) -> bool {
        self.straddling > 0
    }

    /// Database `db` of cell `cell` has other keys: any that somebody waits for may be there now.
    pub fn renewed(&self, exec: &mut Executor, db: usize, cell: usize) {
        for &(db, hash) in self.waiting.keys().filter(|(of, _)| *of == db) {
            exec.note_ready(Name { db, hash, cell });
        }
    }

    #[cold]
    fn changed(&self, exec: &mut Executor, name: Name) {
        self.touch(name.db, name.hash);
        if self.waiting.contains_key(&(name.db, name.hash)) {
            exec.note_ready(name);
        }
    }

    #[cold]
    fn touch(&self, db: usize, hash: u64) {
        if let Some(watched) = self.watched.get(&(db, hash)) {
            watched.touch();
        }
    }

    /// Database `index` is about to be emptied: every watched key in it is touched.
    pub fn emptied(&self, dbs: &mut [Db], index: usize) {
        self.touch_all(dbs, index, index, 0);
    }

    /// Two databases are about to be swapped: every watched key is touched that is there before or after. One whose time
    /// is up by then is not there after, and is removed so that nobody is told of its end.
    pub fn swapped(&self, dbs: &mut [Db], one: usize, other: usize, now_ms: u64) {
        self.touch_all(dbs, one, one, 0);
        self.touch_all(dbs, other, other, 0);
        self.touch_all(dbs, one, other, now_ms);
        self.touch_all(dbs, other, one, now_ms);
    }

    /// Touches the watched keys of database `watched` that are in database `there`.
    fn touch_all(&self, dbs: &mut [Db], watched: usize, there: usize, now_ms: u64) {
        for ((db, hash), key) in &self.watched {
            if *db == watched {
                let found = dbs[there].find(*hash, &key.bytes, now_ms);
                if matches!(found, Lookup::Live(_)) {
                    key.touch();
                }
            }
        }
    }
}

impl Watched {
    fn touch(&self) {
        for client in &self.clients {
            client.touched.store(true, Relaxed);
        }
    }
}

/// Folds a name into one word.
#[derive(Default)]
struct Fold(u64);

impl Hasher for Fold {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a name is made of numbers");
    }

    fn write_usize(&mut self, db: usize) {
        self.0 ^= (db as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 ^= hash;
    }
}
