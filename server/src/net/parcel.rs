//! The rest of a batch whose cells are busy, left to whoever holds them: one task for all its commands.
//!
//! It waits for the cells of its first command only, so that nothing is lent to it for long; of the others it gets those
//! that its runner holds or that are free just then, and it is executed as far as they go. What may have to wait, and
//! transactions, travel one by one, as a [`Task`](crate::task::Task).

use ostraka_datatypes::resp::Output;

use super::batch::Batch;
use super::loading::GROUP;
use crate::engine::{self, Ended};
use crate::executor::Executor;
use crate::gates;
use crate::server::Access;
use crate::session::Session;
use crate::task::{Job, Origin};

/// Commands with the bytes that they lie in, and the session and unsent replies of their connection, which does
/// nothing else until they are back.
pub struct Parcel {
    pub origin: Origin,
    pub(super) batch: Batch,
    pub(super) bytes: Vec<u8>,
    pub session: Box<Session>,
    pub(super) output: Output,
    /// Commands executed so far.
    pub(super) executed: usize,
    /// Work that the last one left to its own loop, in slices.
    pub job: Option<Box<dyn Job>>,
}

impl Parcel {
    /// Executes as much as `access` allows, and up to the first command that its own loop has to see to.
    pub fn run(&mut self, exec: &mut Executor, access: &mut Access<'_>) {
        exec.begin_job();
        // What the sender saw acknowledged must be in force here, too.
        exec.catch_up();
        let (session, output) = (&mut self.session, &mut self.output);
        for (number, request) in self.batch.requests.iter().enumerate() {
            let stops = session.record.is_doomed() || session.close_after_reply;
            if stops || !request.need.is_subset(access.set()) {
                return;
            }
            let Some(command) = request.command else {
                return;
            };
            let args = self.batch.args(request, &self.bytes, exec.server.router);
            if gates::is_paused(exec, session, command, args) {
                return;
            }
            if number.is_multiple_of(GROUP) {
                let router = exec.server.router;
                self.batch
                    .load(number, &self.bytes, session.db(), router, access);
            }
            let job = &mut self.job;
            match engine::execute(exec, access, command, args, session, output, job) {
                Ended::Answered => self.executed = number + 1,
                Ended::Busy | Ended::Straddling(_) => return,
                Ended::Blocked => unreachable!("what may wait for a key is no part of a parcel"),
            }
            if self.job.is_some() {
                return;
            }
        }
    }

    /// What has not been executed.
    pub(super) fn rest(&self) -> &[u8] {
        let executed = self.batch.requests[..self.executed].last();
        &self.bytes[executed.map_or(0, |last| last.end)..]
    }
}
