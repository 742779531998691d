//! The server as a whole: its time and role, saving and stopping it, and a piece of art.

use ostraka_datatypes::numbers;

use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::config::lists::ShutdownOptions;
use crate::fault::Fault;
use crate::os::entropy::Dice;
use crate::version;

pub static ROWS: &[&Command] = &[
    &BGREWRITEAOF,
    &BGSAVE,
    &LASTSAVE,
    &LOLWUT,
    &ROLE,
    &SAVE,
    &SHUTDOWN,
    &TIME,
];

command! { TIME =
    name: "time", run: time, arity: 1, flags: LOADING | STALE | FAST, group: Group::Server,
    since: "2.6.0", complexity: "O(1)",
    summary: "Returns the server time.", tips: &["nondeterministic_output"],
}

fn time(c: &mut Call<'_>) -> Outcome {
    let now_us = c.db.exec.clock.unix_ns_at(c.db.exec.now_ns) / 1000;
    c.reply.array(2);
    c.reply.bulk_integer(now_us / 1_000_000);
    c.reply.bulk_integer(now_us % 1_000_000);
    Ok(())
}

command! { ROLE =
    name: "role", run: role, arity: 1, flags: NOSCRIPT | LOADING | STALE | FAST,
    categories: acl::ADMIN | DANGEROUS, group: Group::Server, since: "2.8.12", complexity: "O(1)",
    summary: "Returns the replication role.",
}

/// A primary that has written nothing to replicas, of which it has none.
fn role(c: &mut Call<'_>) -> Outcome {
    c.reply.array(3);
    c.reply.bulk(b"master");
    c.reply.integer(0);
    c.reply.array(0);
    Ok(())
}

command! { LASTSAVE =
    name: "lastsave", run: lastsave, arity: 1, flags: LOADING | STALE | FAST,
    categories: acl::ADMIN | DANGEROUS, group: Group::Server, since: "1.0.0", complexity: "O(1)",
    summary: "Returns the Unix timestamp of the last successful save to disk.",
    tips: &["nondeterministic_output"],
}

/// As long as nothing is saved, the time of the start.
fn lastsave(c: &mut Call<'_>) -> Outcome {
    c.reply.integer(c.server.identity.started_ms / 1000);
    Ok(())
}

command! { SAVE =
    name: "save", run: save, arity: 1, flags: ADMIN | NOSCRIPT | NO_ASYNC_LOADING | NO_MULTI,
    group: Group::Server, since: "1.0.0",
    complexity: "O(N) where N is the total number of keys in all databases",
    summary: "Synchronously saves the database(s) to disk.",
}

fn save(_: &mut Call<'_>) -> Outcome {
    Err(Fault::NoPersistence)
}

command! { BGSAVE =
    name: "bgsave", run: bgsave, arity: -1, flags: ADMIN | NOSCRIPT | NO_ASYNC_LOADING,
    group: Group::Server, since: "1.0.0", complexity: "O(1)",
    summary: "Asynchronously saves the database(s) to disk.", syntax: "[SCHEDULE@3.2.2]",
    history: &[("3.2.2", "Added the `SCHEDULE` option.")],
}

fn bgsave(c: &mut Call<'_>) -> Outcome {
    let scheduled = c.args.len() == 2 && c.args.is(1, "schedule");
    if c.args.len() > 1 && !scheduled {
        return Err(Fault::Syntax);
    }
    Err(Fault::NoPersistence)
}

command! { BGREWRITEAOF =
    name: "bgrewriteaof", run: bgrewriteaof, arity: 1, flags: ADMIN | NOSCRIPT | NO_ASYNC_LOADING,
    group: Group::Server, since: "1.0.0", complexity: "O(1)",
    summary: "Asynchronously rewrites the append-only file to disk.",
}

fn bgrewriteaof(_: &mut Call<'_>) -> Outcome {
    Err(Fault::NoPersistence)
}

command! { SHUTDOWN =
    name: "shutdown", run: shutdown, arity: -1,
    flags: ADMIN | NOSCRIPT | LOADING | STALE | NO_MULTI | ALLOW_BUSY, group: Group::Server,
    since: "1.0.0",
    complexity: "O(N) when saving, where N is the total number of keys in all databases when \
        saving data, otherwise O(1)",
    summary: "Synchronously saves the database(s) to disk and shuts down the server.",
    syntax: "[abort-selector(save-selector-block{[save-selector(NOSAVE|\
        SAVE)] [NOW@7.0.0] [FORCE@7.0.0]}|ABORT@7.0.0)]",
    history: &[("7.0.0", "Added the `NOW`, `FORCE` and `ABORT` modifiers.")],
}

/// Ends every loop after its turn. The caller is not answered: it sees its connection closed.
fn shutdown(c: &mut Call<'_>) -> Outcome {
    let words = c.args.from(1);
    let given = |word| (0..words.len()).any(|index| words.is(index, word));
    let known = ["save", "nosave", "now", "force", "abort"];
    let all_known =
        (0..words.len()).all(|index| known.into_iter().any(|word| words.is(index, word)));
    if !all_known || given("save") && given("nosave") || given("abort") && words.len() > 1 {
        return Err(Fault::Syntax);
    }
    if given("abort") {
        return Err(Fault::err("No shutdown in progress."));
    }
    let options = ShutdownOptions {
        save: given("save"),
        nosave: given("nosave"),
        now: given("now"),
        force: given("force"),
    };
    crate::shutdown::begin(c.server, options)?;
    c.session.close_after_reply();
    Ok(())
}

command! { LOLWUT =
    name: "lolwut", run: lolwut, arity: -1, flags: READONLY | FAST, group: Group::Server,
    since: "5.0.0",
    summary: "Displays computer art and the server version",
    syntax: "[VERSION version<integer>]",
}

fn lolwut(c: &mut Call<'_>) -> Outcome {
    if c.args.len() > 2 && c.args.is(1, "version") {
        numbers::parse_i64(c.args.at(2)).ok_or(Fault::NotInteger)?;
    }
    let mut text = shard(&mut c.db.exec.dice);
    text.push_str(&format!(
        "\nRedis ver. {} (Ostraka {})\n",
        version::REDIS,
        version::OSTRAKA
    ));
    c.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// A painted shard of a pot: bands of ornament within a broken outline.
fn shard(dice: &mut Dice) -> String {
    const ORNAMENTS: [&str; 6] = ["/\\", "~-", "<>", "[]_", ".:", "=o"];
    const HEIGHT: usize = 12;
    let (mut left, mut right) = (12 + dice.below(6) as usize, 30 + dice.below(8) as usize);
    let mut text = String::new();
    let mut ornament = ORNAMENTS[0];
    for line in 0..HEIGHT {
        if line % 2 == 0 {
            ornament = ORNAMENTS[dice.below(ORNAMENTS.len() as u64) as usize];
        }
        // The break runs outwards above and inwards below.
        let step = dice.below(4) as usize;
        if line < HEIGHT / 2 {
            left = left.saturating_sub(step);
            right = (right + dice.below(4) as usize).min(64);
        } else {
            left = (left + step).min(30);
            right = right.saturating_sub(dice.below(5) as usize).max(left + 4);
        }
        let band = ornament.chars().cycle().skip(left % ornament.len());
        text.push_str(&" ".repeat(left));
        text.push('(');
        text.extend(band.take(right - left));
        text.push_str(")\n");
    }
    text
}
