//! The commands, one file per family: each row beside its function.

pub mod client;
pub mod command;
pub mod connection;
pub mod monitor;
pub mod string;

use crate::command::Command;

/// Every row, family by family.
pub static FAMILIES: &[&[&Command]] = &[
    client::ROWS,
    command::ROWS,
    connection::ROWS,
    monitor::ROWS,
    string::ROWS,
];
