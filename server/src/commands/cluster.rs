//! CLUSTER and its kin: this server is not part of a cluster, and says so as Redis does.

use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;

pub static ROWS: &[&Command] = &[&ASKING, &CLUSTER, &READONLY, &READWRITE];

fn disabled(_: &mut Call<'_>) -> Outcome {
    Err(Fault::err("This instance has cluster support disabled"))
}

command! { ASKING =
    name: "asking", run: disabled, arity: 1, flags: FAST, categories: CONNECTION,
    group: Group::Cluster, since: "3.0.0", complexity: "O(1)",
    summary: "Signals that a cluster client is following an -ASK redirect.",
}

command! { CLUSTER =
    name: "cluster", arity: -2, group: Group::Cluster, since: "3.0.0",
    complexity: "Depends on subcommand.",
    summary: "A container for Cluster commands.",
    subcommands: &[
        &CLUSTER_ADDSLOTS, &CLUSTER_ADDSLOTSRANGE, &CLUSTER_BUMPEPOCH,
        &CLUSTER_COUNT_FAILURE_REPORTS, &CLUSTER_COUNTKEYSINSLOT, &CLUSTER_DELSLOTS,
        &CLUSTER_DELSLOTSRANGE, &CLUSTER_FAILOVER, &CLUSTER_FLUSHSLOTS, &CLUSTER_FORGET,
        &CLUSTER_GETKEYSINSLOT, &CLUSTER_HELP, &CLUSTER_INFO, &CLUSTER_KEYSLOT, &CLUSTER_LINKS,
        &CLUSTER_MEET, &CLUSTER_MYID, &CLUSTER_MYSHARDID, &CLUSTER_NODES, &CLUSTER_REPLICAS,
        &CLUSTER_REPLICATE, &CLUSTER_RESET, &CLUSTER_SAVECONFIG, &CLUSTER_SET_CONFIG_EPOCH,
        &CLUSTER_SETSLOT, &CLUSTER_SHARDS, &CLUSTER_SLAVES, &CLUSTER_SLOT_STATS, &CLUSTER_SLOTS,
    ],
}

command! { CLUSTER_ADDSLOTS =
    name: "cluster|addslots", run: disabled, arity: -3,
    flags: ADMIN | STALE | NO_ASYNC_LOADING, group: Group::Cluster, since: "3.0.0",
    complexity: "O(N) where N is the total number of hash slot arguments",
    summary: "Assigns new hash slots to a node.", syntax: "slot<integer>...",
}

command! { CLUSTER_ADDSLOTSRANGE =
    name: "cluster|addslotsrange", run: disabled, arity: -4,
    flags: ADMIN | STALE | NO_ASYNC_LOADING, group: Group::Cluster, since: "7.0.0",
    complexity: "O(N) where N is the total number of the slots between the start slot and end slot \
        arguments.",
    summary: "Assigns new hash slot ranges to a node.",
    syntax: "range{start-slot<integer> end-slot<integer>}...",
}

command! { CLUSTER_BUMPEPOCH =
    name: "cluster|bumpepoch", run: disabled, arity: 2,
    flags: ADMIN | STALE | NO_ASYNC_LOADING, group: Group::Cluster, since: "3.0.0",
    complexity: "O(1)",
    summary: "Advances the cluster config epoch.", tips: &["nondeterministic_output"],
}

command! { CLUSTER_COUNT_FAILURE_REPORTS =
    name: "cluster|count-failure-reports", run: disabled, arity: 3,
    flags: ADMIN | STALE, group: Group::Cluster, since: "3.0.0",
    complexity: "O(N) where N is the number of failure reports",
    summary: "Returns the number of active failure reports active for a node.",
    syntax: "node-id<string>", tips: &["nondeterministic_output"],
}

command! { CLUSTER_COUNTKEYSINSLOT =
    name: "cluster|countkeysinslot", run: disabled, arity: 3, flags: STALE,
    group: Group::Cluster, since: "3.0.0", complexity: "O(1)",
    summary: "Returns the number of keys in a hash slot.", syntax: "slot<integer>",
}

command! { CLUSTER_DELSLOTS =
    name: "cluster|delslots", run: disabled, arity: -3,
    flags: ADMIN | STALE | NO_ASYNC_LOADING, group: Group::Cluster, since: "3.0.0",
    complexity: "O(N) where N is the total number of hash slot arguments",
    summary: "Sets hash slots as unbound for a node.", syntax: "slot<integer>...",
}

command! { CLUSTER_DELSLOTSRANGE =
    name: "cluster|delslotsrange", run: disabled, arity: -4,
    flags: ADMIN | STALE | NO_ASYNC_LOADING, group: Group::Cluster, since: "7.0.0",
    complexity: "O(N) where N is the total number of the slots between the start slot and end slot \
        arguments.",
    summary: "Sets hash slot ranges as unbound for a node.",
    syntax: "range{start-slot<integer> end-slot<integer>}...",
}

command! { CLUSTER_FAILOVER =
    name: "cluster|failover", run: disabled, arity: -2,
    flags: ADMIN | STALE | NO_ASYNC_LOADING, group: Group::Cluster, since: "3.0.0",
    complexity: "O(1)",
    summary: "Forces a replica to perform a manual failover of its primary.",
    syntax: "[options(FORCE|TAKEOVER)]",
}

command! { CLUSTER_FLUSHSLOTS =
    name: "cluster|flushslots", run: disabled, arity: 2,
    flags: ADMIN | STALE | NO_ASYNC_LOADING, group: Group::Cluster, since: "3.0.0",
    complexity: "O(1)",
    summary: "Deletes all slots information from a node.",
}

command! { CLUSTER_FORGET =
    name: "cluster|forget", run: disabled, arity: 3, flags: ADMIN | STALE | NO_ASYNC_LOADING,
    group: Group::Cluster, since: "3.0.0", complexity: "O(1)",
    summary: "Removes a node from the nodes table.", syntax: "node-id<string>",
}

command! { CLUSTER_GETKEYSINSLOT =
    name: "cluster|getkeysinslot", run: disabled, arity: 4, flags: STALE,
    group: Group::Cluster, since: "3.0.0",
    complexity: "O(N) where N is the number of requested keys",
    summary: "Returns the key names in a hash slot.", syntax: "slot<integer> count<integer>",
    tips: &["nondeterministic_output"],
}

command! { CLUSTER_HELP =
    name: "cluster|help", run: disabled, arity: 2, flags: LOADING | STALE, group: Group::Cluster,
    since: "5.0.0", complexity: "O(1)",
    summary: "Returns helpful text about the different subcommands.",
}

command! { CLUSTER_INFO =
    name: "cluster|info", run: disabled, arity: 2, flags: LOADING | STALE,
    group: Group::Cluster, since: "3.0.0", complexity: "O(1)",
    summary: "Returns information about the state of a node.", tips: &["nondeterministic_output"],
}

command! { CLUSTER_KEYSLOT =
    name: "cluster|keyslot", run: disabled, arity: 3, flags: STALE, group: Group::Cluster,
    since: "3.0.0", complexity: "O(N) where N is the number of bytes in the key",
    summary: "Returns the hash slot for a key.", syntax: "key<string>",
}

command! { CLUSTER_LINKS =
    name: "cluster|links", run: disabled, arity: 2, flags: STALE, group: Group::Cluster,
    since: "7.0.0", complexity: "O(N) where N is the total number of Cluster nodes",
    summary: "Returns a list of all TCP links to and from peer nodes.",
    tips: &["nondeterministic_output"],
}

command! { CLUSTER_MEET =
    name: "cluster|meet", run: disabled, arity: -4, flags: ADMIN | STALE | NO_ASYNC_LOADING,
    group: Group::Cluster, since: "3.0.0", complexity: "O(1)",
    summary: "Forces a node to handshake with another node.",
    syntax: "ip<string> port<integer> [cluster-bus-port<integer>@4.0.0]",
    history: &[("4.0.0", "Added the optional `cluster_bus_port` argument.")],
}

command! { CLUSTER_MYID =
    name: "cluster|myid", run: disabled, arity: 2, flags: LOADING | STALE,
    group: Group::Cluster, since: "3.0.0", complexity: "O(1)",
    summary: "Returns the ID of a node.",
}

command! { CLUSTER_MYSHARDID =
    name: "cluster|myshardid", run: disabled, arity: 2, flags: LOADING | STALE,
    group: Group::Cluster, since: "7.2.0", complexity: "O(1)",
    summary: "Returns the shard ID of a node.", tips: &["nondeterministic_output"],
}

command! { CLUSTER_NODES =
    name: "cluster|nodes", run: disabled, arity: 2, flags: LOADING | STALE,
    group: Group::Cluster, since: "3.0.0",
    complexity: "O(N) where N is the total number of Cluster nodes",
    summary: "Returns the cluster configuration for a node.", tips: &["nondeterministic_output"],
}

command! { CLUSTER_REPLICAS =
    name: "cluster|replicas", run: disabled, arity: 3, flags: ADMIN | STALE,
    group: Group::Cluster, since: "5.0.0", complexity: "O(N) where N is the number of replicas.",
    summary: "Lists the replica nodes of a primary node.", syntax: "node-id<string>",
    tips: &["nondeterministic_output"],
}

command! { CLUSTER_REPLICATE =
    name: "cluster|replicate", run: disabled, arity: 3,
    flags: ADMIN | STALE | NO_ASYNC_LOADING, group: Group::Cluster, since: "3.0.0",
    complexity: "O(1)",
    summary: "Configure a node as replica of a primary node.", syntax: "node-id<string>",
}

command! { CLUSTER_RESET =
    name: "cluster|reset", run: disabled, arity: -2, flags: ADMIN | NOSCRIPT | STALE,
    group: Group::Cluster, since: "3.0.0",
    complexity: "O(N) where N is the number of known nodes. The command may execute a FLUSHALL as \
        a side effect.",
    summary: "Resets a node.", syntax: "[reset-type(HARD|SOFT)]",
}

command! { CLUSTER_SAVECONFIG =
    name: "cluster|saveconfig", run: disabled, arity: 2,
    flags: ADMIN | STALE | NO_ASYNC_LOADING, group: Group::Cluster, since: "3.0.0",
    complexity: "O(1)",
    summary: "Forces a node to save the cluster configuration to disk.",
}

command! { CLUSTER_SET_CONFIG_EPOCH =
    name: "cluster|set-config-epoch", run: disabled, arity: 3,
    flags: ADMIN | STALE | NO_ASYNC_LOADING, group: Group::Cluster, since: "3.0.0",
    complexity: "O(1)",
    summary: "Sets the configuration epoch for a new node.", syntax: "config-epoch<integer>",
}

command! { CLUSTER_SETSLOT =
    name: "cluster|setslot", run: disabled, arity: -4,
    flags: ADMIN | STALE | NO_ASYNC_LOADING, group: Group::Cluster, since: "3.0.0",
    complexity: "O(1)",
    summary: "Binds a hash slot to a node.",
    syntax: "slot<integer> subcommand(IMPORTING importing:node-id<string>|\
        MIGRATING migrating:node-id<string>|NODE node:node-id<string>|STABLE) \
        [TIMEOUT timeout<integer>@8.0.0]",
    history: &[("8.0.0", "Added the `TIMEOUT` option.")],
}

command! { CLUSTER_SHARDS =
    name: "cluster|shards", run: disabled, arity: 2, flags: LOADING | STALE,
    group: Group::Cluster, since: "7.0.0",
    complexity: "O(N) where N is the total number of cluster nodes",
    summary: "Returns the mapping of cluster slots to shards.", tips: &["nondeterministic_output"],
}

command! { CLUSTER_SLAVES =
    name: "cluster|slaves", run: disabled, arity: 3, flags: ADMIN | STALE,
    group: Group::Cluster, since: "3.0.0", complexity: "O(N) where N is the number of replicas.",
    summary: "Lists the replica nodes of a primary node.", syntax: "node-id<string>",
    deprecated: deprecated("5.0.0", "`CLUSTER REPLICAS`"), tips: &["nondeterministic_output"],
}

command! { CLUSTER_SLOT_STATS =
    name: "cluster|slot-stats", run: disabled, arity: -4, flags: LOADING | STALE,
    group: Group::Cluster, since: "8.0.0",
    complexity: "O(N) where N is the total number of slots based on arguments. O(N*log(N)) with \
        ORDERBY subcommand.",
    summary: "Return an array of slot usage statistics for slots assigned to the current node.",
    syntax: "filter(SLOTSRANGE slotsrange{start-slot<integer> end-slot<integer>}|\
        ORDERBY orderby{metric<string> [LIMIT limit<integer>] [order(ASC|DESC)]})",
    tips: &["nondeterministic_output", "request_policy:all_shards"],
}

command! { CLUSTER_SLOTS =
    name: "cluster|slots", run: disabled, arity: 2, flags: LOADING | STALE,
    group: Group::Cluster, since: "3.0.0",
    complexity: "O(N) where N is the total number of Cluster nodes",
    summary: "Returns the mapping of cluster slots to nodes.", tips: &["nondeterministic_output"],
    history: &[
        ("4.0.0", "Added node IDs."),
        ("7.0.0", "Added additional networking metadata field."),
    ],
}

command! { READONLY =
    name: "readonly", run: disabled, arity: 1, flags: LOADING | STALE | FAST,
    categories: CONNECTION, group: Group::Cluster, since: "3.0.0", complexity: "O(1)",
    summary: "Enables read-only queries for a connection to a Redis replica node.",
}

command! { READWRITE =
    name: "readwrite", run: disabled, arity: 1, flags: LOADING | STALE | FAST,
    categories: CONNECTION, group: Group::Cluster, since: "3.0.0", complexity: "O(1)",
    summary: "Enables read-write queries for a connection to a Redis replica node.",
}
