//! The server: everything between a socket and the keyspace.

pub mod admission;
pub mod call;
pub mod clients;
pub mod command;
pub mod commands;
pub mod config;
pub mod duties;
pub mod engine;
pub mod executor;
pub mod fault;
pub mod gates;
pub mod keyspace;
pub mod lazy_free;
pub mod log;
pub mod monitor;
pub mod net;
pub mod os;
pub mod router;
pub mod server;
pub mod session;
pub mod shards;
pub mod start;
pub mod stats;
pub mod task;
pub mod version;
