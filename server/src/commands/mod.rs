//! The commands, one file per family: each row beside its function.

pub mod bitfield;
pub mod bitmap;
pub mod client;
pub mod cluster;
pub mod collection_scan;
pub mod command;
pub mod conditional;
pub mod config;
pub mod connection;
pub mod counters;
pub mod deadline;
pub mod debug;
mod debug_digest;
pub mod expire;
pub mod flush;
pub mod generic;
pub mod geo;
pub mod geo_results;
pub mod geo_search;
pub mod hash;
pub mod hash_expire;
pub mod hash_scan;
pub mod hyperloglog;
pub mod info;
pub mod keys;
pub mod latency;
pub mod lcs;
pub mod list;
pub mod list_block;
pub mod list_move;
pub mod list_search;
pub mod memory;
pub mod module;
pub mod monitor;
pub mod object;
mod pops;
pub mod relocate;
pub mod scan;
pub mod server;
pub mod set;
pub mod set_algebra;
pub mod set_random;
pub mod set_walk;
pub mod sets;
pub mod slowlog;
pub mod sort;
mod sort_lookup;
mod sort_runs;
pub mod string;
pub mod transactions;
pub mod zset;
pub mod zset_algebra;
pub mod zset_pop;
pub mod zset_range;
pub mod zset_sample;

use crate::command::Command;

/// Every row, family by family.
pub static FAMILIES: &[&[&Command]] = &[
    bitfield::ROWS,
    bitmap::ROWS,
    client::ROWS,
    cluster::ROWS,
    command::ROWS,
    conditional::ROWS,
    config::ROWS,
    connection::ROWS,
    counters::ROWS,
    debug::ROWS,
    expire::ROWS,
    flush::ROWS,
    generic::ROWS,
    geo::ROWS,
    geo_search::ROWS,
    hyperloglog::ROWS,
    hash::ROWS,
    hash_expire::ROWS,
    hash_scan::ROWS,
    info::ROWS,
    keys::ROWS,
    latency::ROWS,
    lcs::ROWS,
    list::ROWS,
    list_block::ROWS,
    list_move::ROWS,
    list_search::ROWS,
    memory::ROWS,
    module::ROWS,
    monitor::ROWS,
    object::ROWS,
    relocate::ROWS,
    scan::ROWS,
    server::ROWS,
    set::ROWS,
    set_algebra::ROWS,
    set_random::ROWS,
    sets::ROWS,
    slowlog::ROWS,
    sort::ROWS,
    string::ROWS,
    zset::ROWS,
    zset_algebra::ROWS,
    zset_pop::ROWS,
    zset_range::ROWS,
    zset_sample::ROWS,
    transactions::ROWS,
];
