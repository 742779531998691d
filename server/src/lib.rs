//! The server: everything between a socket and the keyspace.

pub mod config;
pub mod os;
pub mod version;
