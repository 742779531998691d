//! What travels between loops: commands that wait for a cell, and mail.

use std::sync::Arc;

use ostraka_datatypes::resp::{Output, Reply, Span};

use crate::blocking::{Blocked, Name};
use crate::command::Command;
use crate::executor::Executor;
use crate::net::parcel::Parcel;
use crate::os::platform::Socket;
use crate::session::Session;
use crate::shards::CellSet;
use crate::transaction::Watching;

/// A connection as others name it: the loop that owns it, its slab key there, and the client's id, which no
/// later connection at that key can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
    pub home: usize,
    pub token: usize,
    pub client: u64,
}

/// A command that could not run where it was read. It owns its arguments, and carries the session and the
/// reply; its connection does nothing else until it is back.
pub struct Task {
    pub origin: Origin,
    pub command: &'static Command,
    pub bytes: Vec<u8>,
    pub spans: Vec<Span>,
    pub session: Box<Session>,
    pub output: Output,
    /// Work that the command left to its own loop, in slices.
    pub job: Option<Box<dyn Job>>,
    /// It was not executed.
    pub bounced: Option<Bounce>,
    /// It has waited, and is still listed under its keys.
    pub listed: Option<Arc<Blocked>>,
}

/// Why a task comes back as it went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bounce {
    /// A pause began meanwhile, or its client has been killed.
    Paused,
    /// It has to wait for somebody's long work.
    Busy,
    /// It has to run with these cells.
    Straddling(CellSet),
}

/// What waits in the inbox of a cell, to be done by whoever holds it.
pub enum Errand {
    Command(Box<Task>),
    Parcel(Box<Parcel>),
    /// A client is gone that watched keys.
    Unwatch(Box<Unwatch>),
    /// The wait of a client is over that is listed in other cells, too.
    Unlist(Arc<Blocked>),
    /// A key is ready for clients that need all cells.
    Serve(Name),
}

/// The keys that a client watched until its connection ended.
pub struct Unwatch {
    pub client: u64,
    pub watching: Watching,
}

/// Work that a command has begun with its cells held and that its loop continues in slices, taking cells by
/// trying. The reply is written when it is done; until then its connection waits.
pub trait Job: Send {
    /// Works for about 100 µs. `true`: it is done.
    fn step(&mut self, exec: &mut Executor) -> bool;
    /// The reply of the finished job.
    fn reply(&mut self, reply: &mut Reply<'_>);
    /// Gives back what it holds on to, when its connection is gone before it was done. `false`: not all of it could
    /// be had by trying; ask again.
    fn abandon(&mut self, exec: &mut Executor) -> bool;
}

/// What one loop has to say to another.
pub enum Mail {
    /// A connection that loop 0 accepted for this one.
    Accepted(Box<dyn Socket>),
    /// A task has been executed.
    Done(Box<Task>),
    /// A parcel has been executed, as far as its cells allowed.
    Carried(Box<Parcel>),
    /// A task of a client waits for a key.
    Parked(Arc<Blocked>),
    /// A key is ready for somebody who needs more cells than were held.
    Ready(Name),
    /// A line for a client that runs MONITOR.
    Monitor(Origin, Arc<[u8]>),
    /// Look at the marks on the client records: CLIENT KILL, UNPAUSE.
    Review,
    /// A cell's inbox was left to its owner.
    Drain(usize),
    /// Other listeners (`CONFIG SET port`), for loop 0.
    Listen(Vec<crate::os::platform::Listener>),
}
