//! What one client has negotiated: database, login, protocol switches.
//!
//! The session belongs to its connection and travels with a command that waits for a cell, so that whoever
//! executes the command sees and changes the same state.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use ostraka_datatypes::resp::Protocol;

use crate::blocking::Wait;
use crate::call::Args;
use crate::clients::{ClientRecord, flag};
use crate::command::flag::{EXECUTES_QUEUE, NOT_QUEUED};
use crate::command::{Command, Flags};
use crate::config::Settings;
use crate::shards::CellSet;
use crate::transaction::{Queue, Watching};

/// Whether replies are sent (CLIENT REPLY).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplyMode {
    On,
    Off,
    /// CLIENT REPLY SKIP has run: the next command goes unheard.
    SkipNext,
    /// The command that runs is the one after CLIENT REPLY SKIP.
    Skipping,
}

/// The state of one client.
pub struct Session {
    pub record: Arc<ClientRecord>,
    db: u32,
    /// Whether AUTH succeeded, or none was needed when the client came.
    pub authenticated: bool,
    pub reply_mode: ReplyMode,
    /// The job that the last command left is not answered when it is done.
    pub job_unheard: bool,
    /// The version of RESP that replies are written in.
    pub protocol: Protocol,
    /// CLIENT NO-TOUCH: reads do not refresh the keys' access hints.
    pub no_touch: bool,
    /// Receives every command of every client (MONITOR).
    pub monitor: bool,
    /// The commands that run belong together (EXEC): none of them can wait, be tried again, or leave a job.
    pub atomic: bool,
    /// The command that runs has waited before.
    pub resumed: bool,
    /// What the command that has just run wants to wait for.
    pub wait: Option<Box<Wait>>,
    /// What has been queued since MULTI.
    pub queue: Option<Box<Queue>>,
    pub watching: Option<Box<Watching>>,
    /// Close once everything written so far has been sent.
    pub close_after_reply: bool,
}

impl Session {
    pub fn new(record: Arc<ClientRecord>, authenticated: bool) -> Self {
        Self {
            record,
            db: 0,
            authenticated,
            reply_mode: ReplyMode::On,
            job_unheard: false,
            protocol: Protocol::Resp2,
            no_touch: false,
            monitor: false,
            atomic: false,
            resumed: false,
            wait: None,
            queue: None,
            watching: None,
            close_after_reply: false,
        }
    }

    #[inline]
    pub fn id(&self) -> u64 {
        self.record.id
    }

    /// The selected database.
    #[inline]
    pub fn db(&self) -> usize {
        self.db as usize
    }

    pub fn select(&mut self, db: usize) {
        self.db = db as u32;
        self.record.db.store(db as u32, Relaxed);
    }

    /// Whether the client has yet to say AUTH. A password that is taken away sets everybody free.
    #[inline]
    pub fn must_authenticate(&self, settings: &Settings) -> bool {
        !self.authenticated && settings.requirepass.is_some()
    }

    /// Called before a command runs: how it is answered.
    #[inline]
    pub fn begin_reply(&mut self) -> ReplyMode {
        if self.reply_mode == ReplyMode::SkipNext {
            self.reply_mode = ReplyMode::Skipping;
        }
        self.reply_mode
    }

    /// Whether `command` is put off until EXEC.
    #[inline]
    pub fn puts_off(&self, command: &Command) -> bool {
        self.queue.is_some() && !command.is(NOT_QUEUED)
    }

    /// The flags of `command`; for EXEC, those of what it will run as well.
    pub fn flags_of(&self, command: &Command) -> Flags {
        match &self.queue {
            Some(queue) if command.is(EXECUTES_QUEUE) => command.flags | queue.flags(),
            _ => command.flags,
        }
    }

    /// The cells of all that has been queued and of all watched keys: what EXEC needs, and whatever else ends a
    /// transaction.
    pub fn transaction_cells(&self) -> CellSet {
        let queued = self.queue.as_ref().map_or(CellSet::EMPTY, |q| q.cells());
        let watched = self.watching.as_ref().map_or(CellSet::EMPTY, |w| w.cells());
        queued.union(watched)
    }

    /// MULTI.
    pub fn begin_queue(&mut self, queue: Box<Queue>) {
        self.queue = Some(queue);
        self.record.put(flag::MULTI, true);
    }

    /// Queues a command that needs `cells`.
    #[inline]
    pub fn put_off(&mut self, command: &'static Command, args: Args<'_>, cells: CellSet) {
        if let Some(queue) = &mut self.queue {
            queue.push(command, args, cells);
            self.record.queued.store(queue.len() as u64, Relaxed);
            let memory = queue.allocated() as u64;
            self.record.queue_memory.store(memory, Relaxed);
        }
    }

    /// EXEC and DISCARD: what has been queued.
    pub fn end_queue(&mut self) -> Option<Box<Queue>> {
        let queue = self.queue.take()?;
        self.record.put(flag::MULTI, false);
        self.record.queued.store(0, Relaxed);
        self.record.queue_memory.store(0, Relaxed);
        Some(queue)
    }

    pub fn set_monitor(&mut self, on: bool) {
        self.monitor = on;
        self.record.put(flag::MONITOR, on);
    }

    pub fn set_no_touch(&mut self, on: bool) {
        self.no_touch = on;
        self.record.put(flag::NO_TOUCH, on);
    }

    pub fn close_after_reply(&mut self) {
        self.close_after_reply = true;
        self.record.put(flag::CLOSE_AFTER_REPLY, true);
    }
}
