//! The server: everything between a socket and the keyspace.
