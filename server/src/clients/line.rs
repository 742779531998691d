//! One client as CLIENT LIST and CLIENT INFO print it.

use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use super::{ClientRecord, DEFAULT_USER, flag};
use crate::command::table::Table;
use crate::net::connection::Connection;
use crate::session::Session;

/// Unsent bytes up to which a reply counts as `obl`; where Redis' own fixed buffer ends.
const SMALL_REPLY: u64 = 16 * 1024;

/// `id=3 addr=127.0.0.1:50123 ... tot-cmds=7`, without a line end.
///
/// `request` is set in the line of the client that asks: the length of its request, which is its query buffer as
/// far as it can see.
pub fn line(
    record: &ClientRecord,
    now_ms: i64,
    commands: &Table,
    request: Option<RequestSize>,
) -> String {
    let seconds = |since_ms: i64| (now_ms - since_ms).max(0) / 1000;
    let read = |number: &AtomicU64| number.load(Relaxed);
    let names = record.names();
    let own = request.unwrap_or_default();
    let query = read(&record.query_bytes).max(own.bytes);
    let unsent = read(&record.output_bytes);
    let (obl, oll, omem) = if unsent <= SMALL_REPLY {
        (unsent, 0, 0)
    } else {
        (0, read(&record.output_pieces), read(&record.output_memory))
    };
    let command = usize::try_from(record.command.load(Relaxed))
        .ok()
        .and_then(|id| commands.rows().get(id))
        .map_or("NULL", |row| row.name);
    format!(
        "id={} addr={} laddr={} fd={} name={} age={} idle={} flags={} db={} sub=0 psub=0 ssub=0 multi={} \
         qbuf={query} qbuf-free={} argv-mem={} multi-mem={} rbs=0 rbp=0 obl={obl} oll={oll} omem={omem} \
         tot-mem={} events={} cmd={command} user={DEFAULT_USER} redir=-1 resp={} lib-name={} lib-ver={} \
         tot-net-in={} tot-net-out={} tot-cmds={}",
        record.id,
        record.address,
        record.local_address,
        record.descriptor,
        names.name,
        seconds(record.created_ms),
        seconds(record.last_active_ms.load(Relaxed)),
        flags(record),
        record.db.load(Relaxed),
        queued(record),
        read(&record.query_capacity).saturating_sub(query),
        own.arguments,
        read(&record.queue_memory),
        memory(record),
        if unsent > 0 { "rw" } else { "r" },
        record.protocol.load(Relaxed),
        names.library,
        names.library_version,
        read(&record.net_in),
        read(&record.net_out),
        read(&record.commands),
    )
}

/// A request as its own client sees it while it runs.
#[derive(Clone, Copy, Default)]
pub struct RequestSize {
    /// With the protocol's framing.
    pub bytes: u64,
    /// Of the arguments alone.
    pub arguments: u64,
}

/// Bytes of memory that a client takes: its buffers, and what a connection costs at least.
pub fn memory(record: &ClientRecord) -> u64 {
    const IDLE: usize = size_of::<Connection>() + size_of::<Session>() + size_of::<ClientRecord>();
    IDLE as u64
        + record.query_capacity.load(Relaxed)
        + record.queue_memory.load(Relaxed)
        + record.output_memory.load(Relaxed)
}

/// Commands that wait for EXEC; -1 outside of MULTI.
fn queued(record: &ClientRecord) -> i64 {
    if record.has(flag::MULTI) {
        record.queued.load(Relaxed) as i64
    } else {
        -1
    }
}

/// The letters of `flags=`; `N` if there are none.
pub fn flags(record: &ClientRecord) -> String {
    let mut letters: String = [
        (flag::MONITOR, 'O'),
        (flag::MULTI, 'x'),
        (flag::WAITING, 'b'),
        (flag::CLOSE_AFTER_REPLY, 'c'),
        (flag::CLOSE_ASAP, 'A'),
        (flag::UNIX_SOCKET, 'U'),
        (flag::NO_EVICT, 'e'),
        (flag::NO_TOUCH, 'T'),
    ]
    .into_iter()
    .filter(|(bit, _)| record.has(*bit))
    .map(|(_, letter)| letter)
    .collect();
    if record.touched.load(Relaxed) {
        letters.push('d');
    }
    if letters.is_empty() {
        "N".to_owned()
    } else {
        letters
    }
}
