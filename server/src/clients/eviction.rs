//! `maxmemory-clients`: closes the greediest clients while the buffers of all are over the limit.

use std::cmp::Reverse;

use super::{flag, line};
use crate::config::value::MemoryShare;
use crate::executor::Executor;
use crate::task::Mail;

/// One look at all clients, by the first loop about every tenth of a second, and by whoever is short of memory.
pub fn evict(exec: &mut Executor) {
    let limit = match exec.settings.maxmemory_clients {
        MemoryShare::Bytes(bytes) => bytes,
        MemoryShare::Percent(percent) => exec.settings.maxmemory / 100 * u64::from(percent),
    };
    if limit == 0 {
        return;
    }
    let server = exec.server;
    let mut clients: Vec<_> = server
        .clients
        .all()
        .into_iter()
        .map(|record| (line::memory(&record), record))
        .collect();
    let mut used: u64 = clients.iter().map(|(memory, _)| memory).sum();
    if used <= limit {
        return;
    }
    clients.retain(|(_, record)| !record.has(flag::NO_EVICT));
    clients.sort_unstable_by_key(|(memory, _)| Reverse(*memory));
    for (memory, record) in clients {
        if used <= limit {
            break;
        }
        crate::log::notice(format_args!(
            "Evicting client: id={} addr={} tot-mem={memory}",
            record.id, record.address
        ));
        exec.stats()
            .evicted_clients
            .add(server.clients.doom(&record).into());
        exec.post(record.home, Mail::Review);
        used -= memory;
    }
    exec.wake();
}
