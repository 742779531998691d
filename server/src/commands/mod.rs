//! The commands, one file per family: each row beside its function.

pub mod client;
pub mod command;
pub mod conditional;
pub mod connection;
pub mod counters;
pub mod deadline;
pub mod expire;
pub mod flush;
pub mod generic;
pub mod keys;
pub mod lcs;
pub mod monitor;
pub mod object;
pub mod relocate;
pub mod scan;
pub mod set;
pub mod string;

use crate::command::Command;

/// Every row, family by family.
pub static FAMILIES: &[&[&Command]] = &[
    client::ROWS,
    command::ROWS,
    conditional::ROWS,
    connection::ROWS,
    counters::ROWS,
    expire::ROWS,
    flush::ROWS,
    generic::ROWS,
    keys::ROWS,
    lcs::ROWS,
    monitor::ROWS,
    object::ROWS,
    relocate::ROWS,
    scan::ROWS,
    set::ROWS,
    string::ROWS,
];
