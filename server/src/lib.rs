//! The server: everything between a socket and the keyspace.

pub mod call;
pub mod command;
pub mod os;
pub mod shards;
