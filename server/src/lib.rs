//! The server: everything between a socket and the keyspace.

pub mod call;
pub mod command;
pub mod config;
pub mod os;
pub mod shards;
pub mod version;
