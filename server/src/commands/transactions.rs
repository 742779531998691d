//! Transactions: commands that are queued and then executed as one, and keys that must not change until then.

use std::sync::atomic::Ordering::Relaxed;

use crate::call::{Args, Call, Fault, Outcome};
use crate::clients::flag;
use crate::command::row::*;
use crate::engine;
use crate::transaction;

pub static ROWS: &[&Command] = &[&DISCARD, &EXEC, &MULTI, &UNWATCH, &WATCH];

/// What has been queued and what is watched.
const fn transaction(_: Args<'_>) -> Reach {
    Reach::Transaction
}

command! { MULTI =
    name: "multi", run: multi, arity: 1,
    flags: NOT_QUEUED | NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, categories: TRANSACTION,
    group: Group::Transactions, since: "1.2.0", complexity: "O(1)",
    summary: "Starts a transaction.",
}

fn multi(c: &mut Call<'_>) -> Outcome {
    if c.session.queue.is_some() {
        return Err(Fault::NestedMulti);
    }
    let queue = c.db.exec.lend_queue();
    c.session.begin_queue(queue);
    c.reply.ok();
    Ok(())
}

command! { EXEC =
    name: "exec", run: exec, arity: 1, route: Route::Custom(transaction),
    flags: EXECUTES_QUEUE | NOT_QUEUED | NOSCRIPT | LOADING | STALE | SKIP_SLOWLOG,
    categories: TRANSACTION, group: Group::Transactions, since: "1.2.0",
    complexity: "Depends on commands in the transaction",
    summary: "Executes all commands in a transaction.",
}

/// Nothing is executed if a command was refused, or if a watched key is not what it was.
fn exec(c: &mut Call<'_>) -> Outcome {
    if !c.command.accepts(c.args.len()) {
        // What is refused as well ends the transaction, for which its cells are needed.
        discard_transaction(c);
        return Err(Fault::transaction_discarded(&Fault::arity("exec")));
    }
    let Some(queue) = c.session.end_queue() else {
        return Err(Fault::ExecWithoutMulti);
    };
    let touched = is_touched(c);
    unwatch_all(c);
    let outcome = if queue.spoilt {
        Err(Fault::ExecAborted)
    } else if touched {
        c.reply.null_array();
        Ok(())
    } else {
        c.reply.array(queue.len());
        engine::run_queue(c, &queue);
        Ok(())
    };
    c.db.exec.take_queue(queue);
    outcome
}

/// Whether a watched key has been changed, or its time is up.
fn is_touched(c: &mut Call<'_>) -> bool {
    if let Some(watching) = &c.session.watching {
        let selected = c.db.db();
        for (db, key) in watching.keys() {
            c.db.select(db);
            // One whose time is up is removed by this, and touched.
            c.db.exists(key);
        }
        c.db.select(selected);
    }
    c.session.record.touched.load(Relaxed)
}

command! { DISCARD =
    name: "discard", run: discard, arity: 1, route: Route::Custom(transaction),
    flags: NOT_QUEUED | NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, categories: TRANSACTION,
    group: Group::Transactions, since: "2.0.0",
    complexity: "O(N), when N is the number of queued commands",
    summary: "Discards a transaction.",
}

fn discard(c: &mut Call<'_>) -> Outcome {
    if c.session.queue.is_none() {
        return Err(Fault::DiscardWithoutMulti);
    }
    discard_transaction(c);
    c.reply.ok();
    Ok(())
}

/// Forgets what has been queued and what is watched.
pub fn discard_transaction(c: &mut Call<'_>) {
    let (exec, access) = c.db.parts();
    transaction::discard(exec, access, c.session);
}

command! { WATCH =
    name: "watch", run: watch, arity: -2,
    flags: NOT_QUEUED | NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, keys: &[keys_from(1, RO)],
    categories: TRANSACTION, group: Group::Transactions, since: "2.2.0",
    complexity: "O(1) for every key.",
    summary: "Monitors changes to keys to determine the execution of a transaction.",
    syntax: "key<key>...",
}

fn watch(c: &mut Call<'_>) -> Outcome {
    if c.session.queue.is_some() {
        return Err(Fault::WatchInsideMulti);
    }
    for key in c.args.keys(1, 1) {
        // One whose time is up is not there, and its removal changes nothing.
        c.db.exists(key);
        let watching = c.session.watching.get_or_insert_default();
        let (db, (_, access)) = (c.db.db(), c.db.parts());
        watching.begin(access, db, key, &c.session.record);
    }
    c.session.record.put(flag::WATCHING, true);
    c.reply.ok();
    Ok(())
}

command! { UNWATCH =
    name: "unwatch", run: unwatch, arity: 1, route: Route::Custom(transaction),
    flags: NOSCRIPT | LOADING | STALE | FAST | ALLOW_BUSY, categories: TRANSACTION,
    group: Group::Transactions, since: "2.2.0", complexity: "O(1)",
    summary: "Forgets about watched keys of a transaction.",
}

fn unwatch(c: &mut Call<'_>) -> Outcome {
    unwatch_all(c);
    c.reply.ok();
    Ok(())
}

fn unwatch_all(c: &mut Call<'_>) {
    let (_, access) = c.db.parts();
    transaction::unwatch_all(access, c.session);
}
