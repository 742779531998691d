//! The shape of a row: everything the server knows about one directive, but for its current value.
//!
//! A row is made by a `const fn` chain beside its name, so the table is plain static data. Rows of built directives
//! stand in `settings` with their field, those whose feature is still to come in `reserved`.

use super::value::{Kind, Reason, Value};

pub struct Row {
    pub name: &'static str,
    /// An older or foreign name; CONFIG GET reports it as an entry of its own.
    pub alias: Option<&'static str>,
    pub section: Section,
    pub kind: Kind,
    pub default: Initial,
    pub change: Change,
    /// What the running server must do when the value changes; `None` if reading the new value is enough.
    pub effect: Option<Effect>,
    /// Reported only when asked for by name: for tests, debugging and modules.
    pub hidden: bool,
    /// Kept out of logs, MONITOR and SLOWLOG.
    pub sensitive: bool,
    /// Refused while data is being loaded.
    pub deny_loading: bool,
    /// False: the value is checked, kept and reported, but nothing reads it yet.
    pub built: bool,
    pub doc: &'static [&'static str],
}

#[derive(Clone, Copy)]
pub enum Initial {
    /// As in a configuration file.
    Is(&'static str),
    /// As many as there are cores.
    Cores,
    /// Where the server was started.
    WorkingDirectory,
}

/// When a value may change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Change {
    Live,
    /// At start only.
    Immutable,
    /// At start, or by CONFIG SET if `enable-protected-configs` allows it.
    Protected,
}

/// What a change sets off in the running server, besides new values to read. One CONFIG SET runs each at most once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Listen on other addresses.
    Bind,
    /// Listen on another port.
    Port,
    /// Make sure that the process may open that many files.
    ClientLimit,
    /// Log more or less.
    LogLevel,
    /// Work in another directory.
    Directory,
    /// Give the user `default` another password.
    Password,
    /// Evict, or say that the limit is below what is used.
    MemoryLimit,
    ProcessTitle,
    /// Report crashes or not.
    CrashLog,
    /// Tell the kernel how dispensable this process is.
    OomScore,
}

macro_rules! sections {
    ($($section:ident = $title:literal,)+) => {
        /// Groups of directives, in the order of the sample file and of CONFIG GET.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Section { $($section,)+ }

        impl Section {
            pub const ALL: &[Section] = &[$(Section::$section),+];

            pub fn title(self) -> &'static str {
                [$($title),+][self as usize]
            }
        }
    };
}

sections! {
    Network = "Network",
    Tls = "TLS",
    General = "General",
    Shards = "Shards and threads",
    Clients = "Clients",
    Security = "Security",
    Memory = "Memory",
    LazyFreeing = "Lazy freeing",
    Logs = "Slow log and command log",
    Latency = "Latency",
    Encodings = "Encodings of small values",
    Snapshots = "Snapshots",
    AppendOnly = "Append-only file",
    Replication = "Replication",
    Cluster = "Cluster",
    Scripts = "Scripts and functions",
    Events = "Keyspace events and tracking",
    Defragmentation = "Defragmentation",
    Process = "Process and kernel",
    Modules = "Modules",
    Testing = "Testing and debugging",
}

/// Starts a row: live, public, without effect, to be given its section, its doc and whether it is built.
pub(super) const fn row(name: &'static str, kind: Kind, default: &'static str) -> Row {
    Row {
        name,
        alias: None,
        section: Section::General,
        kind,
        default: Initial::Is(default),
        change: Change::Live,
        effect: None,
        hidden: false,
        sensitive: false,
        deny_loading: false,
        built: false,
        doc: &[],
    }
}

impl Row {
    pub(super) const fn alias(self, alias: &'static str) -> Row {
        Row {
            alias: Some(alias),
            ..self
        }
    }

    pub(super) const fn default(self, default: Initial) -> Row {
        Row { default, ..self }
    }

    pub(super) const fn immutable(self) -> Row {
        Row {
            change: Change::Immutable,
            ..self
        }
    }

    pub(super) const fn protected(self) -> Row {
        Row {
            change: Change::Protected,
            ..self
        }
    }

    pub(super) const fn effect(self, effect: Effect) -> Row {
        Row {
            effect: Some(effect),
            ..self
        }
    }

    pub(super) const fn hidden(self) -> Row {
        Row {
            hidden: true,
            ..self
        }
    }

    pub(super) const fn sensitive(self) -> Row {
        Row {
            sensitive: true,
            ..self
        }
    }

    pub(super) const fn deny_loading(self) -> Row {
        Row {
            deny_loading: true,
            ..self
        }
    }

    pub(super) const fn section(self, section: Section) -> Row {
        Row { section, ..self }
    }

    pub(super) const fn built(self, doc: &'static [&'static str]) -> Row {
        Row {
            built: true,
            doc,
            ..self
        }
    }

    /// The value that holds until somebody says otherwise.
    pub fn default_value(&self, machine: &Machine) -> Value {
        match self.default {
            Initial::Is(text) => {
                let parsed = self
                    .kind
                    .parse(&[text.as_bytes()], &self.kind.blank(), false);
                parsed.unwrap_or_else(|reason: Reason| panic!("default of {}: {reason}", self.name))
            }
            Initial::Cores => Value::Integer(machine.cores.clamp(1, MAX_SHARDS).into()),
            Initial::WorkingDirectory => Value::Text(machine.directory.clone()),
        }
    }

    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.alias)
    }
}

/// What the defaults need to know about the place where the server starts.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Cores this process may use.
    pub cores: u16,
    /// Absolute path of the working directory.
    pub directory: Vec<u8>,
}

pub const MAX_SHARDS: u16 = 128;
