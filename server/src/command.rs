//! The declaration of commands: one [`Command`] is everything the server knows about one command.
//!
//! A row stands beside its function in `commands/<family>.rs`. COMMAND INFO, DOCS and GETKEYS, HELP, ACL categories,
//! routing to cells and cluster slots, arity and unknown-command errors, and the README's command list derive from it;
//! nothing about a command is said a second time. A subcommand is a row of its own named `container|subcommand`;
//! an alias is a row with the same function.
//!
//! ```text
//! command! { GET =
//!     name: "get", run: get, arity: 2, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)],
//!     categories: STRING, group: Group::String, since: "1.0.0", complexity: "O(1)",
//!     summary: "Returns the string value of a key.", syntax: "key<key>",
//! }
//!
//! pub static ROWS: &[&Command] = &[&GET, &SET];
//! ```
//!
//! Rows are data: this module never executes a command, and [`command!`](crate::command!) refuses to compile an inconsistent one.
//! The sets of flags are plain integers of different widths (commands u64, categories u32, keys u16), because `|` on a
//! newtype is not const yet and the widths already keep the three kinds from being mixed up.

/// Names the bits of a set of flags; `$names` lists them as clients see them.
macro_rules! flags {
    ($type:ty, $names:ident: $($(#[$doc:meta])* $flag:ident = $bit:literal $name:literal,)*) => {
        $($(#[$doc])* pub const $flag: $type = 1 << $bit;)*
        pub static $names: &[($type, &str)] = &[$(($flag, $name)),*];
    };
}

mod check;
pub mod keys;
pub mod listing;
pub mod syntax;
pub mod table;

pub mod row {
    //! The vocabulary of rows: `use crate::command::row::*` in a family's file.
    pub use super::acl::{
        BITMAP, CONNECTION, DANGEROUS, GEO, HASH, HYPERLOGLOG, KEYSPACE, LIST, SCRIPTING, SET,
    };
    pub use super::acl::{SORTEDSET, STREAM, STRING, TRANSACTION};
    pub use super::keys::{
        ACCESS, DELETE, INCOMPLETE, INSERT, NOT_KEY, OW, RM, RO, RW, UPDATE, VARIABLE_FLAGS,
    };
    pub use super::keys::{KeyAt, KeySpec, Unclear};
    pub use super::keys::{counted_keys, key, key_after, keys_from, unknown_keys};
    pub use super::{Aim, Command, Group, Reach, Route, acl, deprecated, flag, flag::*};
    pub use crate::command;
}

use std::sync::atomic::{AtomicUsize, Ordering};

use ostraka_datatypes::list::End;

use crate::call::{Args, Call, Fault};
use keys::{KeyFinder, KeySpec};

/// Edits data and writes one reply.
pub type Handler = fn(&mut Call<'_>) -> Result<(), Fault>;

/// Everything the server knows about one command or subcommand.
pub struct Command {
    /// Lower case; `container|subcommand` for a subcommand.
    pub name: &'static str,
    pub run: Handler,
    /// Number of arguments with the name (and the subcommand) counted; `-n` means n or more.
    pub arity: i32,
    pub flags: Flags,
    pub keys: &'static [KeySpec],
    /// For commands whose keys, or the flags of their keys, depend on more than `keys` can say.
    pub find_keys: Option<KeyFinder>,
    pub route: Route,
    /// What of the collection at the first key may be loaded ahead.
    pub aim: Aim,
    /// Beyond those that follow from the flags; see [`Command::acl_categories`].
    pub categories: Categories,
    pub group: Group,
    /// First version of Redis (or Valkey) that had it.
    pub since: &'static str,
    pub complexity: &'static str,
    pub summary: &'static str,
    /// The arguments, in the notation of the module [`syntax`].
    pub syntax: &'static str,
    /// (version, what it changed), oldest first.
    pub history: &'static [(&'static str, &'static str)],
    /// Hints for clients and proxies, e.g. `request_policy:all_shards`.
    pub tips: &'static [&'static str],
    pub deprecated: Option<Deprecated>,
    pub subcommands: &'static [&'static Command],
    /// Whether an argument is not to be seen in MONITOR and the logs.
    pub is_secret: fn(Args<'_>, usize) -> bool,
    /// Given by the table of commands when it is built.
    pub id: Option<&'static Id>,
}

/// A command's position in the table of commands: what statistics are counted under.
pub struct Id(AtomicUsize);

impl Id {
    #[expect(clippy::new_without_default, reason = "for `command!` only")]
    pub const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }
}

/// Since which version a command should not be used, and what to use instead.
pub struct Deprecated {
    pub since: &'static str,
    pub replaced_by: &'static str,
}

/// Shorthand for the `deprecated` field of a row.
pub const fn deprecated(since: &'static str, replaced_by: &'static str) -> Option<Deprecated> {
    Some(Deprecated { since, replaced_by })
}

/// What a command is going to look at in a large collection, as far as its arguments tell.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    Nothing,
    /// The element that the argument at this index names.
    Element(usize),
    /// One end of a list.
    End(End),
}

/// Which cells a command needs.
#[derive(Clone, Copy)]
pub enum Route {
    /// Those of its keys; none at all if the row declares no keys.
    Keys,
    /// Every cell.
    All,
    /// It depends on the arguments.
    Custom(fn(Args<'_>) -> Reach),
}

/// The cells that one call needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    None,
    Keys,
    All,
    /// This cell only, e.g. the one that a SCAN cursor points into.
    Cell(u8),
    /// Those of the commands that the caller has queued, and of the keys that it watches.
    Transaction,
}

impl Command {
    /// The values of the fields that a row leaves out. `name`, `arity`, `since` and `summary` have no default that
    /// passes [`Command::check`]; a container of subcommands leaves out `run`.
    pub const ROW: Command = Command {
        name: "",
        run: container,
        arity: 0,
        flags: 0,
        keys: &[],
        find_keys: None,
        route: Route::Keys,
        aim: Aim::Nothing,
        categories: 0,
        group: Group::Generic,
        since: "",
        complexity: "",
        summary: "",
        syntax: "",
        history: &[],
        tips: &[],
        deprecated: None,
        subcommands: &[],
        is_secret: |_, _| false,
        id: None,
    };

    /// See [`Id`].
    #[inline]
    pub fn id(&self) -> usize {
        self.id
            .expect("a row is declared by `command!`")
            .0
            .load(Ordering::Relaxed)
    }

    /// Every table numbers the rows alike, so setting it again changes nothing.
    pub fn set_id(&self, id: usize) {
        self.id
            .expect("a row is declared by `command!`")
            .0
            .store(id, Ordering::Relaxed);
    }

    /// True if any of `flags` is set.
    pub const fn is(&self, flags: Flags) -> bool {
        self.flags & flags != 0
    }

    pub const fn accepts(&self, args: usize) -> bool {
        let fewest = self.arity.unsigned_abs() as usize;
        args == fewest || (self.arity < 0 && args > fewest)
    }

    /// The name without its container's: `get` of `config|get`.
    pub fn own_name(&self) -> &'static str {
        self.name.split_once('|').map_or(self.name, |(_, own)| own)
    }

    /// The name of a subcommand's container: `config` of `config|get`.
    pub fn container_name(&self) -> &'static str {
        self.name
            .split_once('|')
            .map_or(self.name, |(container, _)| container)
    }

    /// The arguments of a call as others may see them.
    pub fn shown<'a>(&self, args: Args<'a>) -> impl Iterator<Item = &'a [u8]> {
        args.iter().enumerate().map(move |(index, arg)| {
            if (self.is_secret)(args, index) {
                b"(redacted)"
            } else {
                arg
            }
        })
    }

    /// The cells that this call needs.
    pub fn reach(&self, args: Args<'_>) -> Reach {
        match self.route {
            Route::Custom(reach) => reach(args),
            Route::All => Reach::All,
            Route::Keys if self.keys.is_empty() => Reach::None,
            Route::Keys => Reach::Keys,
        }
    }

    /// The row's categories and those that follow from its flags. What a script reads is not known: no `read` for it.
    pub const fn acl_categories(&self) -> Categories {
        let reads = if self.categories & acl::SCRIPTING == 0 {
            acl::READ
        } else {
            0
        };
        let speed = if self.is(FAST) { acl::FAST } else { acl::SLOW };
        let derived = [
            (WRITE, acl::WRITE),
            (READONLY, reads),
            (ADMIN, acl::ADMIN | acl::DANGEROUS),
            (PUBSUB, acl::PUBSUB),
            (BLOCKING, acl::BLOCKING),
        ];
        let mut set = self.categories | speed;
        let mut i = 0;
        while i < derived.len() {
            if self.is(derived[i].0) {
                set |= derived[i].1;
            }
            i += 1;
        }
        set
    }
}

/// `run` of a container: its arity asks for a subcommand, and looking that up yields the subcommand's row or an error.
fn container(_: &mut Call<'_>) -> Result<(), Fault> {
    unreachable!("a container is never executed itself")
}

/// A set of command flags.
pub type Flags = u64;

pub mod flag {
    //! What the engine has to know before it runs a command. The names are those of COMMAND INFO.
    use super::Flags;

    flags! { Flags, NAMES:
        WRITE = 0 "write",
        READONLY = 1 "readonly",
        /// Refused while used memory is over `maxmemory`.
        DENYOOM = 2 "denyoom",
        ADMIN = 3 "admin",
        PUBSUB = 4 "pubsub",
        /// Refused inside scripts.
        NOSCRIPT = 5 "noscript",
        /// May park its connection.
        BLOCKING = 6 "blocking",
        /// Allowed while the data set is being loaded.
        LOADING = 7 "loading",
        /// Allowed on a replica that has lost its primary and must not serve stale data.
        STALE = 8 "stale",
        SKIP_MONITOR = 9 "skip_monitor",
        SKIP_SLOWLOG = 10 "skip_slowlog",
        /// Accepted for slots that are being imported.
        ASKING = 11 "asking",
        /// Constant or logarithmic time.
        FAST = 12 "fast",
        /// Allowed before AUTH.
        NO_AUTH = 13 "no_auth",
        /// A call without any key is fine.
        NO_MANDATORY_KEYS = 14 "no_mandatory_keys",
        /// Refused while loading asynchronously even if LOADING is set.
        NO_ASYNC_LOADING = 15 "no_async_loading",
        /// Refused inside MULTI.
        NO_MULTI = 16 "no_multi",
        /// Derived from the key specs, see [`Command::all_flags`](super::Command::all_flags); not for rows.
        MOVABLE_KEYS = 17 "movablekeys",
        /// Allowed while a script runs longer than `busy-reply-threshold`.
        ALLOW_BUSY = 18 "allow_busy",
    }

    // What COMMAND INFO does not list.
    /// Needs `enable-*-command` in the configuration.
    pub const PROTECTED: Flags = 1 << 32;
    /// Looks at keys that its arguments do not name.
    pub const TOUCHES_ARBITRARY_KEYS: Flags = 1 << 33;
    /// Not a write, yet may have effects to replicate.
    pub const MAY_REPLICATE: Flags = 1 << 34;
    /// Runs at once even between MULTI and EXEC.
    pub const NOT_QUEUED: Flags = 1 << 36;
    /// EXEC.
    pub const EXECUTES_QUEUE: Flags = 1 << 37;
    /// Spoken between servers only; COMMAND DOCS says `syscmd`.
    pub const SYSCMD: Flags = 1 << 35;
}
use flag::*;

/// A set of ACL categories.
pub type Categories = u32;

pub mod acl {
    //! ACL categories, in the order of ACL CAT. Rows name those that do not follow from their flags.
    use super::Categories;

    flags! { Categories, NAMES:
        KEYSPACE = 0 "keyspace",
        READ = 1 "read",
        WRITE = 2 "write",
        SET = 3 "set",
        SORTEDSET = 4 "sortedset",
        LIST = 5 "list",
        HASH = 6 "hash",
        STRING = 7 "string",
        BITMAP = 8 "bitmap",
        HYPERLOGLOG = 9 "hyperloglog",
        GEO = 10 "geo",
        STREAM = 11 "stream",
        PUBSUB = 12 "pubsub",
        ADMIN = 13 "admin",
        FAST = 14 "fast",
        SLOW = 15 "slow",
        BLOCKING = 16 "blocking",
        DANGEROUS = 17 "dangerous",
        CONNECTION = 18 "connection",
        TRANSACTION = 19 "transaction",
        SCRIPTING = 20 "scripting",
    }
}

macro_rules! groups {
    ($($group:ident $name:literal,)*) => {
        /// The chapter of the documentation that a command belongs to.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Group {
            $($group,)*
        }

        impl Group {
            pub const ALL: [Group; [$($name),*].len()] = [$(Group::$group),*];

            /// As COMMAND DOCS writes it.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Group::$group => $name,)*
                }
            }
        }
    };
}

groups! {
    String "string",
    Generic "generic",
    List "list",
    Set "set",
    SortedSet "sorted-set",
    Hash "hash",
    Stream "stream",
    Bitmap "bitmap",
    Hyperloglog "hyperloglog",
    Geo "geo",
    Pubsub "pubsub",
    Transactions "transactions",
    Scripting "scripting",
    Connection "connection",
    Server "server",
    Cluster "cluster",
}
