//! The directives that are built: one row each, beside the field of `Settings` that the rest of the server reads.
//!
//! `settings!` yields the struct, the static table and the way from the one to the other, so a directive is declared
//! once. Fields are plain and checked already; units stand at the end of their names. A row says: field and its
//! type, name, kind with range, default as in a file, what else there is to say. Its doc comment goes into the
//! sample file as it is.

use std::path::PathBuf;
use std::sync::Arc;

use super::lists::{BindAddress, OutputLimits, ShutdownOptions};
use super::row::{Effect, Initial, MAX_SHARDS, Row, Section, row};
use super::value::{Field, Kind, MemoryShare, Reason, Value, choice};

choice! {
    /// Who may do what is dangerous.
    Access { No = "no", Yes = "yes", Local = "local", }

    /// From chatty to silent; a line is logged if its level is at least this one.
    LogLevel { Debug = "debug", Verbose = "verbose", Notice = "notice", Warning = "warning", Nothing = "nothing", }

    /// How the process says what the kernel shall kill first.
    OomScore { No = "no", Yes = "yes", Relative = "relative", Absolute = "absolute", }

    Supervision { Upstart = "upstart", Systemd = "systemd", Auto = "auto", No = "no", }

    SyslogFacility {
        User = "user", Local0 = "local0", Local1 = "local1", Local2 = "local2", Local3 = "local3",
        Local4 = "local4", Local5 = "local5", Local6 = "local6", Local7 = "local7",
    }

    /// What goes first when memory runs out.
    EvictionPolicy {
        VolatileLru = "volatile-lru", VolatileLfu = "volatile-lfu", VolatileRandom = "volatile-random",
        VolatileTtl = "volatile-ttl", AllkeysLru = "allkeys-lru", AllkeysLfu = "allkeys-lfu",
        AllkeysRandom = "allkeys-random", NoEviction = "noeviction",
    }
}

impl EvictionPolicy {
    /// Whether any key is as good as another.
    pub fn is_random(self) -> bool {
        matches!(self, Self::AllkeysRandom | Self::VolatileRandom)
    }

    /// Whether only keys with a deadline are evicted.
    pub fn is_volatile(self) -> bool {
        use EvictionPolicy::*;
        matches!(
            self,
            VolatileLru | VolatileLfu | VolatileRandom | VolatileTtl
        )
    }
}

macro_rules! settings {
    ($($section:ident { $($(#[doc = $doc:literal])+ $field:ident: $type:ty = $row:expr;)+ })+) => {
        /// Every value of the configuration at one moment. Immutable: a change makes a new one.
        #[derive(Clone)]
        pub struct Settings {
            $($($(#[doc = $doc])+ pub $field: $type,)+)+
            /// One per row of the whole table, built or not, in its order.
            pub(super) values: Vec<Value>,
            /// The same without any configuration.
            pub(super) defaults: Arc<[Value]>,
        }

        pub(super) static BUILT: &[Row] =
            &[$($($row.section(Section::$section).built(&[$($doc),+]),)+)+];

        /// Where the value of a field is found.
        #[allow(non_camel_case_types, reason = "named after the fields")]
        enum At { $($($field,)+)+ }

        impl Settings {
            pub(super) fn new(values: Vec<Value>, defaults: Arc<[Value]>) -> Settings {
                Settings { $($($field: Field::of(&values[At::$field as usize]),)+)+ values, defaults }
            }
        }
    };
}

const YES_NO: Kind = Kind::YesNo;
const TEXT: Kind = Kind::Text(|_| Ok(()));
const TEMPLATE: Kind = Kind::Text(proc_title_template);
const U32: i128 = u32::MAX as i128;
const I32: i128 = i32::MAX as i128;
const I64: i128 = i64::MAX as i128;
const U64: i128 = u64::MAX as i128;

const fn integer(min: i128, max: i128) -> Kind {
    Kind::Integer { min, max }
}

const fn memory(min: i128, max: i128) -> Kind {
    Kind::Memory { min, max }
}

settings! {
    Network {
        /// Addresses to listen on. An address prefixed with `-` may be missing on this host; `*` stands for
        /// every IPv4 address and `::*` for every IPv6 address. An empty list closes the TCP port.
        ///   bind 192.168.1.100 10.0.0.1
        ///   bind 127.0.0.1 -::1
        bind: Vec<BindAddress> = row("bind", Kind::Bind, "127.0.0.1 -::1").effect(Effect::Bind);
        /// TCP port; 0 closes it.
        port: u16 = row("port", integer(0, 65535), "6379").effect(Effect::Port);
        /// Refuse clients from other hosts as long as the default user has no password.
        protected_mode: bool = row("protected-mode", YES_NO, "yes");
        /// Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn.
        tcp_backlog: u32 = row("tcp-backlog", integer(0, I32), "511").immutable();
        /// Path of a Unix socket to listen on as well. There is none by default.
        unixsocket: Option<PathBuf> = row("unixsocket", TEXT, "").immutable();
        /// Permissions of the Unix socket, octal; 0 leaves them to the umask.
        unixsocketperm: u32 = row("unixsocketperm", Kind::Octal { max: 0o777 }, "0").immutable();
        /// Close a connection that is idle for so many seconds; 0 never does.
        timeout_s: u32 = row("timeout", integer(0, I32), "0");
        /// Probe silent peers after so many seconds; 0 never does.
        tcp_keepalive_s: u32 = row("tcp-keepalive", integer(0, I32), "300");
    }
    General {
        /// Run in the background.
        daemonize: bool = row("daemonize", YES_NO, "no").immutable();
        /// Tell a supervisor when the server is ready: upstart, systemd, or auto to ask the environment.
        supervised: Supervision = row("supervised", Kind::Choice(Supervision::NAMES), "no").immutable();
        /// File to keep the process id in. In the background it is /var/run/redis.pid unless it is named here.
        pidfile: Option<PathBuf> = row("pidfile", TEXT, "").immutable();
        /// How much to log: debug, verbose, notice, warning or nothing.
        loglevel: LogLevel = row("loglevel", Kind::Choice(LogLevel::NAMES), "notice").effect(Effect::LogLevel);
        /// File to log to; standard output if empty.
        logfile: Option<PathBuf> = row("logfile", TEXT, "").immutable();
        /// Log to the system logger as well.
        syslog_enabled: bool = row("syslog-enabled", YES_NO, "no").immutable();
        /// Name in the system log.
        syslog_ident: String = row("syslog-ident", TEXT, "redis").immutable();
        /// Facility of the system log: user or local0 to local7.
        syslog_facility: SyslogFacility =
            row("syslog-facility", Kind::Choice(SyslogFacility::NAMES), "local0").immutable();
        /// Write a report to the log when the server crashes.
        crash_log_enabled: bool = row("crash-log-enabled", YES_NO, "yes").effect(Effect::CrashLog);
        /// Number of databases; SELECT takes 0 to one less.
        databases: u32 = row("databases", integer(1, I32), "16").immutable();
        /// Show the logo at start even if the log is not a terminal.
        always_show_logo: bool = row("always-show-logo", YES_NO, "no").immutable();
        /// Show addresses and mode in the process list.
        set_proc_title: bool = row("set-proc-title", YES_NO, "yes").immutable();
        /// What the process list shows. Known: {title} {listen-addr} {server-mode} {port} {tls-port}
        /// {unixsocket} {config-file}.
        proc_title_template: String = row("proc-title-template", TEMPLATE, "{title} {listen-addr} {server-mode}")
            .effect(Effect::ProcessTitle);
        /// What SIGINT asks for: default, or words out of save, nosave, now and force.
        shutdown_on_sigint: ShutdownOptions = row("shutdown-on-sigint", Kind::Shutdown, "default");
        /// What SIGTERM asks for.
        shutdown_on_sigterm: ShutdownOptions = row("shutdown-on-sigterm", Kind::Shutdown, "default");
        /// Rounds of background work per second, 1 to 500.
        hz: u32 = row("hz", Kind::Clamped { min: 1, max: 500 }, "10");
        /// More rounds when there are many clients.
        dynamic_hz: bool = row("dynamic-hz", YES_NO, "yes");
    }
    Shards {
        /// Threads that execute commands, 1 to 128; as many as there are cores unless said otherwise. A client
        /// cannot tell how many there are.
        shards: u16 = row("shards", integer(1, MAX_SHARDS as i128), "").default(Initial::Cores).immutable();
    }
    Clients {
        /// Clients that may be connected at once.
        maxclients: u32 = row("maxclients", integer(1, U32), "10000").effect(Effect::ClientLimit);
        /// Memory that all clients' buffers may take, in bytes or as a share of maxmemory ("5%"); the greediest
        /// clients are closed beyond it. 0 sets no limit.
        maxmemory_clients: MemoryShare = row("maxmemory-clients", Kind::Share, "0");
        /// The longest string a client may send in one piece.
        proto_max_bulk_len: u64 = row("proto-max-bulk-len", memory(1 << 20, I64), "512mb");
        /// The longest unprocessed input of a client.
        client_query_buffer_limit: u64 = row("client-query-buffer-limit", memory(1 << 20, I64), "1gb");
        /// Close clients that do not read their replies: class, hard limit, soft limit, seconds over the soft
        /// limit. Classes: normal, replica, pubsub.
        client_output_buffer_limit: OutputLimits = row(
            "client-output-buffer-limit",
            Kind::OutputLimits,
            "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60",
        );
    }
    Security {
        /// Password of the default user.
        requirepass: Option<Vec<u8>> = row("requirepass", TEXT, "").sensitive().effect(Effect::Password);
        /// Allow CONFIG SET of protected directives such as dir: no, yes, or local for clients of this host.
        enable_protected_configs: Access =
            row("enable-protected-configs", Kind::Choice(Access::NAMES), "no").immutable();
        /// Allow DEBUG: no, yes or local.
        enable_debug_command: Access =
            row("enable-debug-command", Kind::Choice(Access::NAMES), "no").immutable();
    }
    Memory {
        /// Memory for data, in bytes; 0 sets no limit.
        maxmemory: u64 = row("maxmemory", memory(0, U64), "0").effect(Effect::MemoryLimit);
        /// What to evict at the limit: volatile-lru, allkeys-lru, volatile-lfu, allkeys-lfu, volatile-random,
        /// allkeys-random, volatile-ttl, or noeviction to refuse writes.
        maxmemory_policy: EvictionPolicy =
            row("maxmemory-policy", Kind::Choice(EvictionPolicy::NAMES), "noeviction");
        /// Keys looked at for each one evicted: more is closer to true LRU and costs more.
        maxmemory_samples: u32 = row("maxmemory-samples", integer(1, 64), "5");
        /// How slowly the access counter of LFU saturates.
        lfu_log_factor: u32 = row("lfu-log-factor", integer(0, I32), "10");
        /// Minutes after which the access counter of LFU falls by one; 0 never lets it fall.
        lfu_decay_time_min: u32 = row("lfu-decay-time", integer(0, I32), "1");
        /// Effort spent on expired keys that nobody asks for, 1 to 10.
        active_expire_effort: u32 = row("active-expire-effort", integer(1, 10), "1");
    }
    LazyFreeing {
        /// Free evicted values in the background.
        lazyfree_lazy_eviction: bool = row("lazyfree-lazy-eviction", YES_NO, "yes");
        /// Free expired values in the background.
        lazyfree_lazy_expire: bool = row("lazyfree-lazy-expire", YES_NO, "yes");
        /// Free values that commands such as RENAME replace in the background.
        lazyfree_lazy_server_del: bool = row("lazyfree-lazy-server-del", YES_NO, "yes");
        /// Let DEL behave as UNLINK.
        lazyfree_lazy_user_del: bool = row("lazyfree-lazy-user-del", YES_NO, "yes");
        /// Let FLUSHALL, FLUSHDB and SCRIPT FLUSH work in the background unless they say SYNC.
        lazyfree_lazy_user_flush: bool = row("lazyfree-lazy-user-flush", YES_NO, "yes");
    }
    Logs {
        /// Log commands that run for so many microseconds; 0 logs every command, -1 none.
        slowlog_log_slower_than_us: i64 = row("slowlog-log-slower-than", integer(-1, I64), "10000")
            .alias("commandlog-execution-slower-than");
        /// Commands that the slow log remembers.
        slowlog_max_len: u64 =
            row("slowlog-max-len", integer(0, I64), "128").alias("commandlog-slow-execution-max-len");
        /// Log commands of so many bytes; -1 logs none.
        commandlog_request_larger_than: i64 = row("commandlog-request-larger-than", integer(-1, I64), "1048576");
        /// Large commands that the log remembers.
        commandlog_large_request_max_len: u64 =
            row("commandlog-large-request-max-len", integer(0, I64), "128");
        /// Log commands with a reply of so many bytes; -1 logs none.
        commandlog_reply_larger_than: i64 = row("commandlog-reply-larger-than", integer(-1, I64), "1048576");
        /// Commands with a large reply that the log remembers.
        commandlog_large_reply_max_len: u64 = row("commandlog-large-reply-max-len", integer(0, I64), "128");
    }
    Latency {
        /// Record events that take so many milliseconds; 0 records none.
        latency_monitor_threshold_ms: u64 = row("latency-monitor-threshold", integer(0, I64), "0");
        /// Keep a histogram of the latency of each command.
        latency_tracking: bool = row("latency-tracking", YES_NO, "yes");
        /// Percentiles that INFO latencystats shows.
        latency_tracking_info_percentiles: Vec<f64> =
            row("latency-tracking-info-percentiles", Kind::Percentiles, "50 99 99.9");
    }
    Encodings {
        /// Fields up to which a hash is one packed block,
        hash_max_listpack_entries: u64 =
            row("hash-max-listpack-entries", integer(0, I64), "512").alias("hash-max-ziplist-entries");
        /// and the longest field or value in it.
        hash_max_listpack_value: u64 =
            row("hash-max-listpack-value", memory(0, I64), "64").alias("hash-max-ziplist-value");
        /// Size of a block of a list: elements, or -1 to -5 for 4, 8, 16, 32 or 64 kB.
        list_max_listpack_size: i32 =
            row("list-max-listpack-size", integer(-I32 - 1, I32), "-2").alias("list-max-ziplist-size");
        /// Blocks at each end of a list that stay uncompressed; 0 compresses none.
        list_compress_depth: u32 = row("list-compress-depth", integer(0, I32), "0");
        /// Members up to which a set of integers is a sorted array,
        set_max_intset_entries: u64 = row("set-max-intset-entries", integer(0, I64), "512");
        /// members up to which another set is one packed block,
        set_max_listpack_entries: u64 = row("set-max-listpack-entries", integer(0, I64), "128");
        /// and the longest member in it.
        set_max_listpack_value: u64 = row("set-max-listpack-value", memory(0, I64), "64");
        /// Members up to which a sorted set is one packed block,
        zset_max_listpack_entries: u64 =
            row("zset-max-listpack-entries", integer(0, I64), "128").alias("zset-max-ziplist-entries");
        /// and the longest member in it.
        zset_max_listpack_value: u64 =
            row("zset-max-listpack-value", memory(0, I64), "64").alias("zset-max-ziplist-value");
        /// Bytes up to which a HyperLogLog is sparse.
        hll_sparse_max_bytes: u64 = row("hll-sparse-max-bytes", memory(0, I64), "3000");
        /// Bytes of one block of a stream; 0 sets no limit.
        stream_node_max_bytes: u64 = row("stream-node-max-bytes", memory(0, I64), "4096");
        /// Entries of one block of a stream; 0 sets no limit.
        stream_node_max_entries: u64 = row("stream-node-max-entries", integer(0, I64), "100");
    }
    Snapshots {
        /// Working directory: files without a path are found and written here.
        dir: PathBuf = row("dir", Kind::Directory, "")
            .default(Initial::WorkingDirectory)
            .protected()
            .deny_loading()
            .effect(Effect::Directory);
    }
    Process {
        /// Tell the kernel whom to kill when memory runs out: no; relative (or yes) adds the score to that of the
        /// process that started the server, absolute takes it as it is.
        oom_score_adj: OomScore =
            row("oom-score-adj", Kind::Choice(OomScore::NAMES), "no").effect(Effect::OomScore);
        /// Scores of a primary, a replica and a background child.
        oom_score_adj_values: [i32; 3] =
            row("oom-score-adj-values", Kind::OomScores, "0 200 800").effect(Effect::OomScore);
        /// Ask the kernel for no huge pages: they make a fork slow and memory grow.
        disable_thp: bool = row("disable-thp", YES_NO, "yes").immutable();
    }
}

const TEMPLATE_VARIABLES: [&str; 7] = [
    "title",
    "listen-addr",
    "server-mode",
    "port",
    "tls-port",
    "unixsocket",
    "config-file",
];

/// Every `{` opens the name of a known variable.
fn proc_title_template(text: &[u8]) -> Result<(), Reason> {
    let refusal = Reason::Borrowed("template format is invalid or contains unknown variables");
    let text = std::str::from_utf8(text).map_err(|_| refusal.clone())?;
    let mut parts = text.split('{').skip(1);
    let known = parts.all(|part| {
        part.split_once('}')
            .is_some_and(|(variable, _)| TEMPLATE_VARIABLES.contains(&variable))
    });
    if known && !text.is_empty() {
        Ok(())
    } else {
        Err(refusal)
    }
}
