//! Whole databases: emptying and swapping them. All cells are held, so this happens at one moment for everybody,
//! and takes constant time: what was there is freed elsewhere.

use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::executor::Executor;
use crate::fault::Fault;
use crate::task::Job;

pub static ROWS: &[&Command] = &[&FLUSHALL, &FLUSHDB, &SWAPDB];

command! { FLUSHALL =
    name: "flushall", run: flushall, arity: -1, flags: WRITE, route: Route::All,
    categories: KEYSPACE | DANGEROUS, group: Group::Server, since: "1.0.0",
    complexity: "O(N) where N is the total number of keys in all databases",
    summary: "Removes all keys from all databases.",
    syntax: "[flush-type(ASYNC@4.0.0|SYNC@6.2.0)]",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    history: &[
        ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
        ("6.2.0", "Added the `SYNC` flushing mode modifier."),
    ],
}

fn flushall(c: &mut Call<'_>) -> Outcome {
    let databases = c.db.exec.settings.databases as usize;
    flush(c, 0..databases)
}

command! { FLUSHDB =
    name: "flushdb", run: flushdb, arity: -1, flags: WRITE, route: Route::All,
    categories: KEYSPACE | DANGEROUS, group: Group::Server, since: "1.0.0",
    complexity: "O(N) where N is the number of keys in the selected database",
    summary: "Remove all keys from the current database.",
    syntax: "[flush-type(ASYNC@4.0.0|SYNC@6.2.0)]",
    tips: &["request_policy:all_shards", "response_policy:all_succeeded"],
    history: &[
        ("4.0.0", "Added the `ASYNC` flushing mode modifier."),
        ("6.2.0", "Added the `SYNC` flushing mode modifier."),
    ],
}

fn flushdb(c: &mut Call<'_>) -> Outcome {
    let selected = c.db.db();
    flush(c, selected..selected + 1)
}

fn flush(c: &mut Call<'_>, databases: std::ops::Range<usize>) -> Outcome {
    let lazily = match c.args.len() {
        1 => c.db.exec.settings.lazyfree_lazy_user_flush,
        2 if c.args.is(1, "ASYNC") => true,
        2 if c.args.is(1, "SYNC") => false,
        _ => return Err(Fault::Syntax),
    };
    for cell in c.db.held() {
        for index in databases.clone() {
            if let (keys, Some(old)) = c.db.shard(cell).flush(index) {
                c.db.exec.free_later(keys, Box::new(old));
            }
        }
    }
    if !lazily && !c.session.atomic && c.server.lazy_free.pending() > 0 {
        *c.job = Some(Box::new(Freed));
        return Ok(());
    }
    c.reply.ok();
    Ok(())
}

/// FLUSHALL SYNC: the reply tells that the memory has been given back.
struct Freed;

impl Job for Freed {
    fn step(&mut self, exec: &mut Executor) -> bool {
        exec.server.lazy_free.pending() == 0
    }

    fn reply(&mut self, reply: &mut ostraka_datatypes::resp::Reply<'_>) {
        reply.ok();
    }

    fn abandon(&mut self, _exec: &mut Executor) -> bool {
        true
    }
}

command! { SWAPDB =
    name: "swapdb", run: swapdb, arity: 3, flags: WRITE | FAST, route: Route::All,
    categories: KEYSPACE | DANGEROUS, group: Group::Server, since: "4.0.0",
    complexity: "O(N) where N is the count of clients watching or blocking on keys from both \
        databases.",
    summary: "Swaps two databases.", syntax: "index1<integer> index2<integer>",
}

fn swapdb(c: &mut Call<'_>) -> Outcome {
    let one = index(c, 1, "invalid first DB index")?;
    let other = index(c, 2, "invalid second DB index")?;
    let databases = c.db.exec.settings.databases;
    let exists = |index: i32| {
        usize::try_from(index)
            .ok()
            .filter(|_| index < databases as i32)
    };
    let (Some(one), Some(other)) = (exists(one), exists(other)) else {
        return Err(Fault::DbOutOfRange);
    };
    c.db.swap(one, other);
    c.reply.ok();
    Ok(())
}

/// Argument `at` as a number, whether or not there is such a database.
fn index(c: &Call<'_>, at: usize, complaint: &str) -> Result<i32, Fault> {
    let number = c.args.integer_or(at, Fault::err(complaint))?;
    i32::try_from(number).map_err(|_| Fault::err(complaint))
}
