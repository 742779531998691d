//! The commands, one file per family: each row beside its function.

pub mod command;
pub mod connection;
pub mod string;

use crate::command::Command;

/// Every row, family by family.
pub static FAMILIES: &[&[&Command]] = &[command::ROWS, connection::ROWS, string::ROWS];
