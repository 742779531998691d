//! Who we say we are: the version of Redis whose behaviour we promise, and our own.

/// Clients and tools choose their dialect by this one.
pub const REDIS: &str = "7.2.4";
pub const OSTRAKA: &str = env!("CARGO_PKG_VERSION");
