//! The server: everything between a socket and the keyspace.

pub mod os;
pub mod shards;
