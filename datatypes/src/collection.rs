//! Large collections: what an entry refers to once its value has outgrown the packed block inside the entry.
//!
//! A large collection is counted, so that a command which reads all of it can do so in slices, without any cell: it
//! holds a reference, and what it reads does not change meanwhile. Deleting, expiring or overwriting the key drops
//! the entry's reference and leaves the reader its own. Only a change in place has to wait for the reader, and while
//! somebody waits no new reader begins; whoever cannot wait copies.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use crate::ahead::WORTH_LOADING;
use crate::hashes::Hash;
pub use crate::list::LIST_STEPS;
use crate::list::{End, List};
use crate::raw::entry::{Encoding, Type};
use crate::raw::prefetch::prefetch;
use crate::raw::table::Spot;
use crate::raw::zset::Zset;
use crate::set::Set;

/// Declares [`Collection`]: one line per type, whose structure says `len`, `encoding` and `memory_usage`, and copies itself
/// with `begin_copy` and `copy_part`.
macro_rules! collections {
    ($($variant:ident($structure:ty) = $kind:path,)*) => {
        /// A collection of any type in its large form.
        pub enum Collection {
            $($variant($structure),)*
        }

        impl Collection {
            pub fn kind(&self) -> Type {
                match *self {
                    $(Self::$variant(_) => $kind,)*
                }
            }

            /// Number of elements.
            pub fn len(&self) -> usize {
                match *self {
                    $(Self::$variant(ref body) => body.len(),)*
                }
            }

            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// What OBJECT ENCODING calls it.
            pub fn encoding(&self) -> Encoding {
                match *self {
                    $(Self::$variant(ref body) => body.encoding(),)*
                }
            }

            /// A collection for [`copy_part`](Self::copy_part) to fill. Until that is through it is good for nothing but
            /// being dropped.
            fn begin_copy(&self) -> Self {
                match *self {
                    $(Self::$variant(ref body) => Self::$variant(body.begin_copy()),)*
                }
            }

            /// Adds a part, of some thousand elements at most, to a copy of this collection, which has not changed since the
            /// copy was begun. Whether there was any.
            fn copy_part(&self, copy: &mut Self) -> bool {
                match (self, copy) {
                    $((Self::$variant(body), Self::$variant(copy)) => body.copy_part(copy),)*
                    _ => unreachable!("a copy is of the same type"),
                }
            }

            /// Allocated bytes, more or less.
            pub fn memory_usage(&self) -> usize {
                match *self {
                    $(Self::$variant(ref body) => body.memory_usage(),)*
                }
            }
        }
    };
}

collections! {
    Hash(Hash) = Type::Hash,
    List(List) = Type::List,
    Set(Set) = Type::Set,
    Zset(Zset) = Type::Zset,
}

impl Collection {
    /// Where `element` is looked for: what may be loaded before it is needed. `None` if that would gain nothing.
    #[inline]
    pub fn spot(&self, element: &[u8]) -> Option<Spot<'_>> {
        if self.len() < WORTH_LOADING {
            return None;
        }
        match self {
            Self::Hash(hash) => hash.spot(element),
            Self::Set(set) => set.spot(element),
            Self::Zset(zset) => zset.spot(element),
            Self::List(_) => None,
        }
    }

    /// Starts loading what is read of it first.
    #[inline]
    pub fn load(&self) {
        prefetch(self);
    }

    /// Starts loading what lies at one end of a list: one thing after the other, in [`LIST_STEPS`] steps, each of which
    /// needs what the one before has brought.
    #[inline]
    pub fn load_end(&self, end: End, step: usize) {
        if let Self::List(list) = self {
            list.load_end(end, step);
        }
    }
}

/// A large collection as entries and readers refer to it.
pub struct Large {
    /// Until when, in Unix ms, somebody is known to wait for the readers to finish.
    wanted_until_ms: AtomicI64,
    pub body: Collection,
}

/// How long a waiting writer keeps new readers from beginning. It asks again much sooner, as long as it waits.
pub const WANTED_MS: i64 = 20;

impl Large {
    pub fn new(body: Collection) -> Self {
        Self {
            wanted_until_ms: AtomicI64::new(0),
            body,
        }
    }

    /// A copy that nobody waits for.
    pub fn copy(&self) -> Self {
        let mut copy = self.body.begin_copy();
        while self.body.copy_part(&mut copy) {}
        Self::new(copy)
    }

    /// Says that somebody waits to change it.
    pub fn want(&self, now_ms: i64) {
        self.wanted_until_ms.store(now_ms + WANTED_MS, Relaxed);
    }

    /// Whether somebody waits to change it.
    pub fn is_wanted(&self, now_ms: i64) -> bool {
        self.wanted_until_ms.load(Relaxed) > now_ms
    }
}

/// A copy of a frozen collection, made in steps.
pub struct Copying {
    source: Arc<Large>,
    copy: Collection,
}

impl Copying {
    pub fn new(source: Arc<Large>) -> Self {
        let copy = source.body.begin_copy();
        Self { source, copy }
    }

    /// Copies some thousand elements at most. `false`: that was all.
    pub fn advance(&mut self) -> bool {
        self.source.body.copy_part(&mut self.copy)
    }

    /// The copy, which is complete.
    pub fn finish(self) -> Large {
        debug_assert_eq!(self.copy.len(), self.source.body.len());
        Large::new(self.copy)
    }
}
