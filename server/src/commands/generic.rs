//! Commands on keys whatever they hold: deleting, asking whether and what.

use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::keyspace::Keyspace;
use crate::router::Key;

pub static ROWS: &[&Command] = &[&DBSIZE, &DEL, &EXISTS, &RANDOMKEY, &TOUCH, &TYPE, &UNLINK];

/// Replies to how many of the keys, repeated ones as often as they are named, `test` applies.
fn count(c: &mut Call<'_>, mut test: impl FnMut(&mut Keyspace<'_>, Key<'_>) -> bool) -> Outcome {
    let mut count = 0;
    c.db.each_key(c.args.keys(1, 1), |db, _, key| {
        count += i64::from(test(db, key));
    });
    c.reply.integer(count);
    Ok(())
}

command! { DEL =
    name: "del", run: del, arity: -2, flags: WRITE, keys: &[keys_from(1, RM | DELETE)],
    categories: KEYSPACE, group: Group::Generic, since: "1.0.0",
    complexity: "O(N) where N is the number of keys that will be removed. When a key to remove \
        holds a value other than a string, the individual complexity for this key is O(M) where M \
        is the number of elements in the list, set, sorted set or hash. Removing a single key that \
        holds a string value is O(1).",
    summary: "Deletes one or more keys.", syntax: "key<key>...",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
}

command! { UNLINK =
    name: "unlink", run: del, arity: -2, flags: WRITE | FAST, keys: &[keys_from(1, RM | DELETE)],
    categories: KEYSPACE, group: Group::Generic, since: "4.0.0",
    complexity: "O(1) for each key removed regardless of its size. Then the command does O(N) work \
        in a different thread in order to reclaim memory, where N is the number of allocations the \
        deleted objects where composed of.",
    summary: "Asynchronously deletes one or more keys.", syntax: "key<key>...",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
}

fn del(c: &mut Call<'_>) -> Outcome {
    count(c, |db, key| db.remove(key, "del"))
}

command! { EXISTS =
    name: "exists", run: exists, arity: -2, flags: READONLY | FAST, keys: &[keys_from(1, RO)],
    categories: KEYSPACE, group: Group::Generic, since: "1.0.0",
    complexity: "O(N) where N is the number of keys to check.",
    summary: "Determines whether one or more keys exist.", syntax: "key<key>...",
    tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
    history: &[("3.0.3", "Accepts multiple `key` arguments.")],
}

fn exists(c: &mut Call<'_>) -> Outcome {
    count(c, |db, key| db.inspect(key).is_some())
}

command! { TOUCH =
    name: "touch", run: touch, arity: -2, flags: READONLY | FAST, keys: &[keys_from(1, RO)],
    categories: KEYSPACE, group: Group::Generic, since: "3.2.1",
    complexity: "O(N) where N is the number of keys that will be touched.",
    summary: "Returns the number of existing keys out of those specified after updating the time \
        they were last accessed.",
    syntax: "key<key>...", tips: &["request_policy:multi_shard", "response_policy:agg_sum"],
}

fn touch(c: &mut Call<'_>) -> Outcome {
    count(c, |db, key| db.read(key).is_some())
}

command! { TYPE =
    name: "type", run: type_, arity: 2, flags: READONLY | FAST, keys: &[key(1, RO)],
    categories: KEYSPACE, group: Group::Generic, since: "1.0.0", complexity: "O(1)",
    summary: "Determines the type of value stored at a key.", syntax: "key<key>",
}

fn type_(c: &mut Call<'_>) -> Outcome {
    let kind = c.db.inspect(c.args.key(1)).map(|entry| entry.kind());
    c.reply.simple(kind.map_or("none", |kind| kind.name()));
    Ok(())
}

command! { DBSIZE =
    name: "dbsize", run: dbsize, arity: 1, flags: READONLY | FAST, route: Route::All,
    categories: KEYSPACE, group: Group::Server, since: "1.0.0", complexity: "O(1)",
    summary: "Returns the number of keys in the database.",
    tips: &["request_policy:all_shards", "response_policy:agg_sum"],
}

fn dbsize(c: &mut Call<'_>) -> Outcome {
    let keys = c.db.len();
    c.reply.integer(keys as i64);
    Ok(())
}

command! { RANDOMKEY =
    name: "randomkey", run: randomkey, arity: 1, flags: READONLY | TOUCHES_ARBITRARY_KEYS,
    route: Route::All, categories: KEYSPACE, group: Group::Generic, since: "1.0.0",
    complexity: "O(1)",
    summary: "Returns a random key name from the database.",
    tips: &["request_policy:all_shards", "response_policy:special", "nondeterministic_output"],
}

/// A cell is drawn with the weight of its keys. A key that turns out to be expired is deleted and another one drawn, so
/// this comes to an end.
fn randomkey(c: &mut Call<'_>) -> Outcome {
    loop {
        let keys = c.db.len();
        if keys == 0 {
            c.reply.null();
            return Ok(());
        }
        let mut nth = c.db.exec.dice.roll() as usize % keys;
        let mut cells = c.db.held().iter();
        let drawn = cells.find(|&cell| {
            let len = c.db.share(cell).len();
            let here = nth < len;
            nth -= if here { 0 } else { len };
            here
        });
        let entry = drawn.and_then(|cell| c.db.random(cell));
        let Some(name) = entry.map(|entry| entry.key().to_vec()) else {
            continue;
        };
        let key = c.server.router.key(&name);
        if c.db.exists(key) {
            c.reply.bulk(&name);
            return Ok(());
        }
    }
}
