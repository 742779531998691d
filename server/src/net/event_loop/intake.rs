//! Bytes come in: connections that are ready are read from in small groups, and what they ask for is loaded into the
//! cache while the next of them is read. One request per round trip would otherwise wait twice for memory, for its
//! bucket and for its entry.

use super::EventLoop;
use crate::net::batch::{self, Batch};
use crate::net::connection::{Received, Waiting};
use crate::os::platform::{LISTENER_TOKEN, Ready};

/// Bytes read from a socket at a time: first of all as many as most senders send at once, and more of those who sent that
/// much.
const FIRST_READ: usize = 16 * 1024;
const READ: usize = 64 * 1024;

/// Connections that are read from before the first of them is served. What they ask for is loaded meanwhile: about as
/// many misses of the cache as the processor can have under way.
pub const SEATS: usize = 8;

/// Input of up to so many bytes is parsed ahead: a longer one is a pipeline, and hides its misses by itself.
const AHEAD_MAX: usize = 256;

/// Reads of one connection per turn, so that a fast sender does not keep the others waiting.
const READS_PER_TURN: u32 = 4;

/// What a connection is read and served with; any connection's.
pub struct Seat {
    buffer: Vec<u8>,
    batch: Batch,
}

/// A connection that has been read from and not served.
#[derive(Clone, Copy)]
struct Seated {
    token: usize,
    fresh: usize,
    drained: bool,
}

impl Seat {
    /// A seat for each connection of a group.
    pub fn row() -> Box<[Self]> {
        let seat = |at| Self {
            buffer: vec![0; if at == 0 { READ } else { FIRST_READ }],
            batch: Batch::default(),
        };
        (0..SEATS).map(seat).collect()
    }
}

impl EventLoop {
    /// Reads from all connections of a group, has what they ask for loaded, and serves them.
    pub(super) fn serve_group(&mut self, group: &[Ready]) {
        let mut seated = [None; SEATS];
        for (at, event) in group.iter().enumerate() {
            if event.token >= LISTENER_TOKEN {
                self.accept(event.token - LISTENER_TOKEN);
                continue;
            }
            if event.writable {
                self.writable(event.token);
            }
            if event.closed {
                self.peer_closed(event.token);
            }
            if event.readable {
                seated[at] = self.seat(event.token, at);
            }
        }
        let seats = self.seats.iter();
        let batches = seats.map(|seat| (&seat.batch, &seat.buffer[..]));
        batch::load_ahead(batches, &mut self.exec);
        for (at, seated) in seated.into_iter().enumerate() {
            if let Some(seated) = seated {
                self.serve_seat(seated, at);
            }
        }
    }

    /// Reads once from a connection that may be served, and parses what is short.
    fn seat(&mut self, token: usize, at: usize) -> Option<Seated> {
        let connection = self.connections.get_mut(token)?;
        if connection.waiting != Waiting::Nothing
            || connection.is_choked(&self.exec)
            || connection.is_closing()
        {
            connection.readable = true;
            return None;
        }
        let seat = &mut self.seats[at];
        match connection.receive(&mut seat.buffer, &self.exec) {
            Received::Nothing => {
                connection.readable = false;
                None
            }
            Received::Closed => {
                self.doom(token);
                None
            }
            Received::Bytes { fresh, drained } => {
                let drained = drained && !connection.peer_closed;
                connection.readable = !drained;
                // What was acknowledged before these bytes were sent must be in force for them.
                self.exec.catch_up();
                if (1..=AHEAD_MAX).contains(&fresh) {
                    let input = &mut seat.buffer[..fresh];
                    seat.batch.parse_ahead(connection, input, &self.exec);
                }
                Some(Seated {
                    token,
                    fresh,
                    drained,
                })
            }
        }
    }

    /// Serves a connection that has been read from, and goes on reading as long as its share lasts.
    fn serve_seat(&mut self, seated: Seated, at: usize) {
        self.serve(seated.token, seated.fresh, at);
        if !seated.drained {
            self.read_on(seated.token, READS_PER_TURN - 1);
        }
    }

    pub(super) fn readable(&mut self, token: usize) {
        self.read_on(token, READS_PER_TURN);
    }

    /// Reads with the first seat, whose connection has been served if it had one.
    fn read_on(&mut self, token: usize, reads: u32) {
        for _ in 0..reads {
            let Some(seated) = self.seat(token, 0) else {
                return;
            };
            self.serve(token, seated.fresh, 0);
            if seated.drained {
                return;
            }
        }
        self.hunger(token);
    }

    /// Executes what the connection has received: its own buffer, or the first `fresh` bytes of the read buffer. The
    /// caller has caught up with the settings.
    pub(super) fn serve(&mut self, token: usize, fresh: usize, at: usize) {
        let Some(connection) = self.connections.get_mut(token) else {
            return;
        };
        let Seat { buffer, batch } = &mut self.seats[at];
        let served = if fresh > 0 {
            let (consumed, served) = batch.serve(connection, &mut buffer[..fresh], &mut self.exec);
            connection.keep(&buffer[consumed..fresh]);
            served
        } else {
            let mut input = std::mem::take(&mut connection.input);
            let (consumed, served) = batch.serve(connection, &mut input, &mut self.exec);
            connection.give_back(input, consumed);
            served
        };
        self.exec.wake();
        self.settle(token, served);
    }
}
