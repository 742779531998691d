//! `# Replication` and `# Cluster`: a primary without replicas, on its own.

use super::{Field, fields};

fields! { f =>
    "role" = "master",
    "connected_slaves" = 0,
    "replicas_waiting_psync" = 0,
    "master_failover_state" = "no-failover",
    "master_replid" = f.server.identity.replication_id,
    "master_replid2" = "0".repeat(40),
    "master_repl_offset" = 0,
    "second_repl_offset" = -1,
    "repl_backlog_active" = 0,
    "repl_backlog_size" = String::from_utf8_lossy(&f.settings.get("repl-backlog-size")),
    "repl_backlog_first_byte_offset" = 0,
    "repl_backlog_histlen" = 0,
}

pub static CLUSTER: &[Field] = &[Field {
    name: "cluster_enabled",
    write: |_, text| {
        text.push('0');
        Ok(())
    },
}];
