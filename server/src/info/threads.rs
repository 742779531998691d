//! `# Threads`: the loops, under the name that Redis 8 has for threads that serve clients.

use std::fmt::Write as _;

use super::{Facts, TO_MEMORY};

/// `io_thread_0:clients=3,reads=20,writes=20`
pub fn loops(f: &Facts<'_>, text: &mut String) {
    let mut clients = vec![0; f.server.loops.len()];
    for record in f.server.clients.all() {
        clients[record.home] += 1;
    }
    for (number, (handle, clients)) in f.server.loops.iter().zip(clients).enumerate() {
        let reads = handle.stats.reads_processed.get();
        let writes = handle.stats.writes_processed.get();
        write!(
            text,
            "io_thread_{number}:clients={clients},reads={reads},writes={writes}\r\n"
        )
        .expect(TO_MEMORY);
    }
}
