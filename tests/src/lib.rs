//! Drives the server from outside: a client that prints what it is answered, servers that live as long as a
//! test, and scripts of requests and replies that are replayed against ours at any number of shards and
//! against a stock redis-server as oracle.

pub mod client;
pub mod reply;
pub mod script;
pub mod server;
