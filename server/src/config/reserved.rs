//! The directives whose feature is not built yet: one line each.
//!
//! They are checked, kept, reported by CONFIG GET and written by CONFIG REWRITE like all others, so that the files
//! and tools of Redis 8 and Valkey 9 work; nothing in the server reads them. Whoever builds a feature moves its rows
//! to `settings`. A value that asks for something is named in one warning at start.

use super::row::{Row, Section, row};
use super::value::{Kind, Reason};

macro_rules! reserved {
    ($($section:ident { $($row:expr;)+ })+) => {
        pub(super) static RESERVED: &[Row] = &[$($($row.section(Section::$section),)+)+];
    };
}

const I32: i128 = i32::MAX as i128;
const U32: i128 = u32::MAX as i128;
const I64: i128 = i64::MAX as i128;
const U64: i128 = u64::MAX as i128;

const fn yes_no(name: &'static str, default: &'static str) -> Row {
    row(name, Kind::YesNo, default)
}

const fn integer(name: &'static str, min: i128, max: i128, default: &'static str) -> Row {
    row(name, Kind::Integer { min, max }, default)
}

const fn memory(name: &'static str, min: i128, max: i128, default: &'static str) -> Row {
    row(name, Kind::Memory { min, max }, default)
}

const fn port(name: &'static str) -> Row {
    integer(name, 0, 65535, "0")
}

const fn choice(name: &'static str, names: &'static [&'static str], default: &'static str) -> Row {
    row(name, Kind::Choice(names), default)
}

const fn text(name: &'static str, default: &'static str) -> Row {
    row(name, Kind::Text(|_| Ok(())), default)
}

const fn hostname(name: &'static str) -> Row {
    row(name, Kind::Text(check_hostname), "")
}

reserved! {
    Network {
        text("bind-source-addr", "");
        yes_no("mptcp", "no").immutable();
        integer("socket-mark-id", 0, U32, "0").immutable();
        text("unixsocketgroup", "").immutable();
        row("rdma-bind", Kind::Bind, "");
        port("rdma-port");
        integer("rdma-completion-vector", -1, 1024, "-1").immutable();
        integer("rdma-rx-size", 64 << 10, 16 << 20, "1048576").immutable();
    }
    Tls {
        port("tls-port");
        text("tls-cert-file", "");
        text("tls-key-file", "");
        text("tls-key-file-pass", "").sensitive();
        text("tls-client-cert-file", "");
        text("tls-client-key-file", "");
        text("tls-client-key-file-pass", "").sensitive();
        text("tls-dh-params-file", "");
        text("tls-ca-cert-file", "");
        text("tls-ca-cert-dir", "");
        choice("tls-auth-clients", &["no", "yes", "optional"], "yes");
        choice("tls-auth-clients-user", &["off", "CN", "URI"], "off");
        integer("tls-auto-reload-interval", 0, I32, "0");
        yes_no("tls-replication", "no");
        yes_no("tls-cluster", "no");
        text("tls-protocols", "");
        text("tls-ciphers", "");
        text("tls-ciphersuites", "");
        yes_no("tls-prefer-server-ciphers", "no");
        yes_no("tls-session-caching", "yes");
        integer("tls-session-cache-size", 0, I32, "20480");
        integer("tls-session-cache-timeout", 0, I32, "300");
    }
    General {
        text("availability-zone", "");
        yes_no("crash-memcheck-enabled", "yes");
        yes_no("extended-redis-compatibility", "no");
        text("hash-seed", "").immutable();
        yes_no("hide-user-data-from-log", "no");
        text("locale-collate", "");
        choice("log-format", &["legacy", "logfmt", "json"], "legacy");
        choice("log-timestamp-format", &["legacy", "iso8601", "milliseconds"], "legacy");
        integer("shutdown-timeout", 0, I32, "10");
        text("ignore-warnings", "");
        yes_no("activerehashing", "yes");
    }
    Shards {
        integer("io-threads", 1, 128, "1").immutable();
        integer("prefetch-batch-max-size", 0, 128, "16");
        text("server-cpulist", "").alias("server_cpulist").immutable();
        text("bio-cpulist", "").alias("bio_cpulist").immutable();
        text("aof-rewrite-cpulist", "").alias("aof_rewrite_cpulist").immutable();
        text("bgsave-cpulist", "").alias("bgsave_cpulist").immutable();
    }
    Clients {
        integer("max-new-connections-per-cycle", 1, 1000, "10");
        integer("max-new-tls-connections-per-cycle", 1, 1000, "1");
    }
    Security {
        text("aclfile", "").immutable();
        integer("acllog-max-len", 0, I64, "128");
        choice("acl-pubsub-default", &["allchannels", "resetchannels"], "resetchannels");
        choice("enable-module-command", &["no", "yes", "local"], "no").immutable();
    }
    Memory {
        integer("maxmemory-eviction-tenacity", 0, 100, "10");
        yes_no("replica-ignore-maxmemory", "yes").alias("slave-ignore-maxmemory");
    }
    LazyFreeing {
        yes_no("replica-lazy-flush", "no").alias("slave-lazy-flush");
    }
    Snapshots {
        row("save", Kind::Save, "3600 1 300 100 60 10000");
        row("dbfilename", Kind::Text(check_dbfilename), "dump.rdb").protected();
        yes_no("stop-writes-on-bgsave-error", "yes");
        yes_no("rdbcompression", "yes");
        yes_no("rdbchecksum", "yes").immutable();
        choice("sanitize-dump-payload", &["no", "yes", "clients"], "no");
        choice("rdb-version-check", &["strict", "relaxed"], "strict");
        yes_no("rdb-save-incremental-fsync", "yes");
        yes_no("rdb-del-sync-files", "no");
    }
    AppendOnly {
        yes_no("appendonly", "no").deny_loading();
        row("appendfilename", Kind::Text(check_appendfilename), "appendonly.aof").immutable();
        row("appenddirname", Kind::Text(check_appenddirname), "appendonlydir").immutable();
        choice("appendfsync", &["everysec", "always", "no"], "everysec");
        yes_no("no-appendfsync-on-rewrite", "no");
        integer("auto-aof-rewrite-percentage", 0, I32, "100");
        memory("auto-aof-rewrite-min-size", 0, I64, "64mb");
        yes_no("aof-load-truncated", "yes");
        yes_no("aof-use-rdb-preamble", "yes");
        yes_no("aof-timestamp-enabled", "no");
        yes_no("aof-rewrite-incremental-fsync", "yes");
    }
    Replication {
        row("replicaof", Kind::ReplicaOf, "").alias("slaveof").immutable();
        text("masterauth", "").alias("primaryauth").sensitive();
        text("masteruser", "").alias("primaryuser").sensitive();
        yes_no("replica-serve-stale-data", "yes").alias("slave-serve-stale-data");
        yes_no("replica-read-only", "yes").alias("slave-read-only");
        integer("replica-priority", 0, I32, "100").alias("slave-priority");
        yes_no("replica-announced", "yes");
        text("replica-announce-ip", "").alias("slave-announce-ip");
        port("replica-announce-port").alias("slave-announce-port");
        yes_no("replica-ignore-disk-write-errors", "no");
        memory("replica-full-sync-buffer-limit", 0, I64, "0");
        integer("min-replicas-to-write", 0, I32, "0").alias("min-slaves-to-write");
        integer("min-replicas-max-lag", 0, I32, "10").alias("min-slaves-max-lag");
        yes_no("repl-diskless-sync", "yes");
        integer("repl-diskless-sync-delay", 0, I32, "5");
        integer("repl-diskless-sync-max-replicas", 0, I32, "0");
        choice("repl-diskless-load", &["disabled", "on-empty-db", "swapdb", "flush-before-load"], "disabled")
            .deny_loading();
        integer("repl-ping-replica-period", 1, I32, "10").alias("repl-ping-slave-period");
        integer("repl-timeout", 1, I32, "60");
        yes_no("repl-disable-tcp-nodelay", "no");
        memory("repl-backlog-size", 1, I64, "1mb");
        integer("repl-backlog-ttl", 0, I64, "3600");
        yes_no("repl-mptcp", "no").immutable();
        yes_no("dual-channel-replication-enabled", "no");
        yes_no("import-mode", "no");
        choice("propagation-error-behavior", &["ignore", "panic", "panic-on-replicas"], "ignore");
    }
    Cluster {
        yes_no("cluster-enabled", "no").immutable();
        text("cluster-config-file", "nodes.conf").immutable();
        port("cluster-port").immutable();
        integer("cluster-node-timeout", 0, I64, "15000");
        integer("cluster-replica-validity-factor", 0, I32, "10").alias("cluster-slave-validity-factor");
        integer("cluster-migration-barrier", 0, I32, "1");
        yes_no("cluster-allow-replica-migration", "yes");
        yes_no("cluster-require-full-coverage", "yes");
        yes_no("cluster-replica-no-failover", "no").alias("cluster-slave-no-failover");
        yes_no("cluster-allow-reads-when-down", "no");
        yes_no("cluster-allow-pubsubshard-when-down", "yes");
        memory("cluster-link-sendbuf-limit", 0, U64, "0");
        hostname("cluster-announce-hostname");
        text("cluster-announce-human-nodename", "");
        choice("cluster-preferred-endpoint-type", &["ip", "hostname", "unknown-endpoint"], "ip");
        text("cluster-announce-ip", "");
        port("cluster-announce-port");
        port("cluster-announce-tls-port");
        port("cluster-announce-bus-port");
        text("cluster-announce-client-ipv4", "");
        text("cluster-announce-client-ipv6", "");
        port("cluster-announce-client-port");
        port("cluster-announce-client-tls-port");
        integer("cluster-databases", 1, I32, "1").immutable();
        integer("cluster-blacklist-ttl", 0, U64, "60");
        integer("cluster-manual-failover-timeout", 1, I32, "5000");
        choice("cluster-config-save-behavior", &["sync", "best-effort"], "sync");
        yes_no("cluster-slot-stats-enabled", "no");
        integer("cluster-slot-migration-log-max-len", 0, I64, "1000");
        memory("slot-migration-max-failover-repl-bytes", -1, I64, "0");
        integer("cluster-compatibility-sample-ratio", 0, 100, "0");
    }
    Scripts {
        integer("busy-reply-threshold", 0, I64, "5000").alias("lua-time-limit");
        yes_no("lua-enable-deprecated-api", "no").alias("lua-enable-insecure-api").protected().hidden();
    }
    Events {
        row("notify-keyspace-events", Kind::Canonical(event_classes), "");
        integer("tracking-table-max-keys", 0, I64, "1000000");
    }
    Defragmentation {
        row("activedefrag", Kind::NeverYes(NO_DEFRAGMENTATION), "no");
        memory("active-defrag-ignore-bytes", 1, I64, "100mb");
        integer("active-defrag-threshold-lower", 0, 1000, "10");
        integer("active-defrag-threshold-upper", 0, 1000, "100");
        integer("active-defrag-cycle-min", 1, 99, "1");
        integer("active-defrag-cycle-max", 1, 99, "25");
        integer("active-defrag-cycle-us", 0, 100_000, "500");
        integer("active-defrag-max-scan-fields", 1, I64, "1000");
        yes_no("jemalloc-bg-thread", "yes");
    }
    Modules {
        integer("search-_numeric-ranges-parents", 0, I64, "0").hidden();
        integer("search-bg-index-sleep-gap", 0, I64, "100").hidden();
        integer("search-default-dialect", 0, I64, "1").hidden();
        integer("search-fork-gc-clean-threshold", 0, I64, "100").hidden();
        integer("search-fork-gc-retry-interval", 0, I64, "5").hidden();
        integer("search-fork-gc-run-interval", 0, I64, "30").hidden();
        integer("search-fork-gc-sleep-before-exit", 0, I64, "0").hidden();
        integer("search-gc-scan-size", 0, I64, "100").hidden();
        integer("search-index-cursor-limit", 0, I64, "128").hidden();
        integer("search-max-aggregate-results", 0, I64, "2147483648").hidden();
        integer("search-max-prefix-expansions", 0, I64, "200").hidden();
        integer("search-max-doctablesize", 0, I64, "1000000").hidden();
        integer("search-cursor-max-idle", 0, I64, "300000").hidden();
        integer("search-max-search-results", 0, I64, "1000000").hidden();
        integer("search-min-operation-workers", 0, I64, "4").hidden();
        integer("search-min-phonetic-term-len", 0, I64, "3").hidden();
        integer("search-min-prefix", 0, I64, "2").hidden();
        integer("search-min-stem-len", 0, I64, "4").hidden();
        integer("search-multi-text-slop", 0, I64, "100").hidden();
        integer("search-tiered-hnsw-buffer-limit", 0, I64, "1024").hidden();
        integer("search-timeout", 0, I64, "500").hidden();
        integer("search-union-iterator-heap", 0, I64, "20").hidden();
        integer("search-vss-max-resize", 0, I64, "0").hidden();
        integer("search-workers", 0, I64, "0").hidden();
        integer("search-workers-priority-bias-threshold", 0, I64, "1").hidden();
        text("search-ext-load", "").immutable().hidden();
        text("search-friso-ini", "").immutable().hidden();
        choice("search-on-timeout", &["return", "fail"], "fail").hidden();
        yes_no("search-_free-resource-on-thread", "yes").hidden();
        yes_no("search-_numeric-compress", "no").hidden();
        yes_no("search-_print-profile-clock", "yes").hidden();
        yes_no("search-_prioritize-intersect-union-children", "no").hidden();
        yes_no("search-no-mem-pools", "no").immutable().hidden();
        yes_no("search-no-gc", "no").immutable().hidden();
        yes_no("search-partial-indexed-docs", "no").hidden();
        yes_no("search-raw-docid-encoding", "no").hidden();
        integer("search-threads", 0, I64, "20").hidden();
        integer("search-topology-validation-timeout", 0, I64, "30000").hidden();
        integer("ts-num-threads", 1, 16, "3").hidden();
        text("ts-compaction-policy", "").hidden();
        choice("ts-encoding", &["COMPRESSED", "UNCOMPRESSED"], "COMPRESSED").hidden();
        integer("ts-retention-policy", 0, I64, "0").hidden();
        choice("ts-duplicate-policy", &["BLOCK", "FIRST", "LAST", "MIN", "MAX", "SUM"], "BLOCK").hidden();
        integer("ts-chunk-size-bytes", 48, 1 << 20, "4096").hidden();
        integer("ts-ignore-max-time-diff", 0, I64, "0").hidden();
        text("ts-ignore-max-val-diff", "0").hidden();
        text("bf-error-rate", "0.01").hidden();
        integer("bf-initial-size", 1, I64, "100").hidden();
        integer("bf-expansion-factor", 0, 32768, "2").hidden();
        integer("cf-initial-size", 1, I64, "1024").hidden();
        integer("cf-bucket-size", 1, 255, "2").hidden();
        integer("cf-max-iterations", 1, 65535, "20").hidden();
        integer("cf-expansion-factor", 0, 32768, "1").hidden();
        integer("cf-max-expansions", 1, 65535, "32").hidden();
    }
    Testing {
        yes_no("aof-disable-auto-gc", "no").hidden();
        integer("client-default-resp", 2, 3, "2").immutable().hidden();
        integer("cluster-message-gossip-perc", 1, 100, "10").hidden();
        integer("cluster-ping-interval", 0, I64, "0").hidden();
        text("debug-context", "").hidden();
        yes_no("enable-debug-assert", "no").immutable().hidden();
        yes_no("io-threads-always-active", "no").hidden();
        integer("key-load-delay", -I32 - 1, I32, "0").hidden();
        integer("loading-process-events-interval-bytes", 1024, I32, "524288").hidden();
        integer("min-io-threads-avoid-copy-reply", 0, I32, "7").hidden();
        integer("min-string-size-avoid-copy-reply", 0, I32, "16384").hidden();
        integer("min-string-size-avoid-copy-reply-threaded", 0, I32, "65536").hidden();
        integer("rdb-key-save-delay", -I32 - 1, I32, "0").hidden();
        yes_no("repl-rdb-channel", "yes").hidden();
        text("req-res-logfile", "").immutable().hidden();
        yes_no("use-exit-on-panic", "no").hidden();
        integer("watchdog-period", 0, I32, "0").hidden();
    }
}

/// As Redis answers where its allocator cannot defragment: suites and tools recognise it and go on without.
const NO_DEFRAGMENTATION: &str = "Active defragmentation cannot be enabled: it requires a Redis server compiled with \
     a modified Jemalloc like the one shipped by default with the Redis source distribution";

fn check_dbfilename(text: &[u8]) -> Result<(), Reason> {
    file_name("dbfilename", text)
}

fn check_appendfilename(text: &[u8]) -> Result<(), Reason> {
    some_file_name("appendfilename", text)
}

fn check_appenddirname(text: &[u8]) -> Result<(), Reason> {
    some_file_name("appenddirname", text)
}

fn some_file_name(name: &str, text: &[u8]) -> Result<(), Reason> {
    match text {
        b"" => Err(format!("{name} can't be empty").into()),
        text => file_name(name, text),
    }
}

fn file_name(name: &str, text: &[u8]) -> Result<(), Reason> {
    let what = if name.ends_with("dirname") {
        "dirname"
    } else {
        "filename"
    };
    match text.contains(&b'/') {
        true => Err(format!("{name} can't be a path, just a {what}").into()),
        false => Ok(()),
    }
}

fn check_hostname(text: &[u8]) -> Result<(), Reason> {
    if text.len() >= 256 {
        return Err("Hostnames must be less than 256 characters".into());
    }
    match text
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
    {
        true => Ok(()),
        false => Err("Hostnames may only contain alphanumeric characters, hyphens or dots".into()),
    }
}

/// Classes that `A` stands for, in the order in which they are reported; the others follow them. Redis 8 added `o`
/// and `c`, the text of the refusal is that of 7.2.
const ALL_CLASSES: &[u8] = b"g$lshzxetd";
const MORE_CLASSES: &[u8] = b"KEmnoc";

fn event_classes(text: &[u8]) -> Result<Vec<u8>, Reason> {
    let known =
        |byte: &u8| *byte == b'A' || ALL_CLASSES.contains(byte) || MORE_CLASSES.contains(byte);
    if !text.iter().all(known) {
        return Err("Invalid event class character. Use 'Ag$lshzxeKEtmdn'.".into());
    }
    let given = |class: &&u8| text.contains(class);
    let all = text.contains(&b'A') || ALL_CLASSES.iter().all(|class| given(&class));
    let first: Vec<u8> = match all {
        true => vec![b'A'],
        false => ALL_CLASSES.iter().filter(given).copied().collect(),
    };
    Ok(first
        .into_iter()
        .chain(MORE_CLASSES.iter().filter(given).copied())
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_classes_are_reported_in_one_order() {
        for (given, reported) in [
            ("KEA", "AKE"),
            ("lKs$e", "$lseK"),
            ("g$lshzxetdKEmn", "AKEmn"),
            ("zzz", "z"),
            ("", ""),
        ] {
            assert_eq!(
                event_classes(given.as_bytes()).unwrap(),
                reported.as_bytes()
            );
        }
        assert!(event_classes(b"Kq").is_err());
    }
}
