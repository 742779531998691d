//! Between sockets and the engine: event loops, connections, and the batches in which commands are served.
//!
//! Nothing in here knows what a command does.

pub mod batch;
pub mod connection;
pub mod event_loop;
mod loading;
pub mod parcel;
