//! Commands on one string or a part of it.

use ostraka_datatypes::raw::entry::{Entry, StringRef, Type, Value};
use ostraka_datatypes::resp::Reply;

use super::conditional::with_text;
use super::set::{Dialect, Expiration, Options};
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::Ttl;
use crate::router::Key;

pub static ROWS: &[&Command] = &[
    &APPEND, &GET, &GETDEL, &GETEX, &GETRANGE, &MGET, &SETRANGE, &STRLEN, &SUBSTR,
];

/// Replies a string value: large ones by reference.
fn reply_string(reply: &mut Reply<'_>, entry: &Entry) {
    if let Some(blob) = entry.blob() {
        return reply.blob(&blob);
    }
    match entry.string() {
        StringRef::Int(number) => reply.bulk_integer(number),
        StringRef::Bytes(bytes) => reply.bulk(bytes),
    }
}

command! { GET =
    name: "get", run: get, arity: 2, flags: READONLY | FAST, keys: &[key(1, RO | ACCESS)],
    categories: STRING, group: Group::String, since: "1.0.0", complexity: "O(1)",
    summary: "Returns the string value of a key.", syntax: "key<key>",
}

fn get(c: &mut Call<'_>) -> Outcome {
    reply_value(c, c.args.key(1))?;
    Ok(())
}

/// Replies the string at `key`, or that there is none. Whether there is one.
#[inline]
pub fn reply_value(c: &mut Call<'_>, key: Key<'_>) -> Result<bool, Fault> {
    let Some(entry) = c.db.string(key)? else {
        c.reply.null();
        return Ok(false);
    };
    reply_string(&mut c.reply, &entry);
    Ok(true)
}

command! { MGET =
    name: "mget", run: mget, arity: -2, flags: READONLY | FAST, keys: &[keys_from(1, RO | ACCESS)],
    categories: STRING, group: Group::String, since: "1.0.0",
    complexity: "O(N) where N is the number of keys to retrieve.",
    summary: "Atomically returns the string values of one or more keys.", syntax: "key<key>...",
    tips: &["request_policy:multi_shard"],
}

fn mget(c: &mut Call<'_>) -> Outcome {
    c.reply.array(c.args.len() - 1);
    let reply = &mut c.reply;
    c.db.each_key(c.args.keys(1, 1), |db, _, key| match db.read(key) {
        Some(entry) if entry.kind() == Type::String => reply_string(reply, &entry),
        _ => reply.null(),
    });
    Ok(())
}

command! { GETDEL =
    name: "getdel", run: getdel, arity: 2, flags: WRITE | FAST,
    keys: &[key(1, RW | ACCESS | DELETE)], categories: STRING, group: Group::String, since: "6.2.0",
    complexity: "O(1)",
    summary: "Returns the string value of a key after deleting the key.", syntax: "key<key>",
}

fn getdel(c: &mut Call<'_>) -> Outcome {
    let key = c.args.key(1);
    if reply_value(c, key)? {
        c.db.remove(key, "del");
    }
    Ok(())
}

command! { GETEX =
    name: "getex", run: getex, arity: -2, flags: WRITE | FAST,
    keys: &[key(1, RW | ACCESS | UPDATE).notes("RW and UPDATE because it changes the TTL")],
    categories: STRING, group: Group::String, since: "6.2.0", complexity: "O(1)",
    summary: "Returns the string value of a key after setting its expiration time.",
    syntax: "key<key> [expiration(EX seconds<integer>|PX milliseconds<integer>|\
        EXAT unix-time-seconds<unix-time>|PXAT unix-time-milliseconds<unix-time>|PERSIST)]",
}

fn getex(c: &mut Call<'_>) -> Outcome {
    let key = c.args.key(1);
    let options = Options::parse(c.args, 2, Dialect::Getex)?;
    if !reply_value(c, key)? {
        return Ok(());
    }
    match (options.ttl(c)?, options.expiration) {
        (Ttl::At(deadline), Some(Expiration::At(unit, _))) => {
            if unit.is_absolute() && deadline <= c.db.now_ms() as u64 {
                c.db.remove(key, "del");
            } else if let Some(mut edit) = c.db.edit(key) {
                edit.set_deadline("expire", Some(deadline));
            }
        }
        (_, Some(Expiration::Persist)) => {
            if let Some(mut edit) = c.db.edit(key)
                && edit.entry().deadline().is_some()
            {
                edit.set_deadline("persist", None);
            }
        }
        _ => {}
    }
    Ok(())
}

command! { STRLEN =
    name: "strlen", run: strlen, arity: 2, flags: READONLY | FAST, keys: &[key(1, RO)],
    categories: STRING, group: Group::String, since: "2.2.0", complexity: "O(1)",
    summary: "Returns the length of a string value.", syntax: "key<key>",
}

fn strlen(c: &mut Call<'_>) -> Outcome {
    c.reply_len(Type::String, Entry::string_len)
}

command! { GETRANGE =
    name: "getrange", run: getrange, arity: 4, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: STRING, group: Group::String, since: "2.4.0",
    complexity: "O(N) where N is the length of the returned string. The complexity is ultimately \
        determined by the returned length, but because creating a substring from an existing \
        string is very cheap, it can be considered O(1) for small strings.",
    summary: "Returns a substring of the string stored at a key.",
    syntax: "key<key> start<integer> end<integer>",
}

command! { SUBSTR =
    name: "substr", run: getrange, arity: 4, flags: READONLY, keys: &[key(1, RO | ACCESS)],
    categories: STRING, group: Group::String, since: "1.0.0",
    complexity: "O(N) where N is the length of the returned string. The complexity is ultimately \
        determined by the returned length, but because creating a substring from an existing \
        string is very cheap, it can be considered O(1) for small strings.",
    summary: "Returns a substring from a string value.",
    syntax: "key<key> start<integer> end<integer>", deprecated: deprecated("2.0.0", "`GETRANGE`"),
}

fn getrange(c: &mut Call<'_>) -> Outcome {
    let (start, end) = (c.args.integer(2)?, c.args.integer(3)?);
    match c.db.string(c.args.key(1))? {
        Some(entry) => {
            let reply = &mut c.reply;
            with_text(&entry, |text| {
                reply.bulk(&text[range(start, end, text.len())])
            });
        }
        None => c.reply.bulk(b""),
    }
    Ok(())
}

/// The bytes from `start` to `end`, the latter included; negative ones count from the end.
fn range(start: i64, end: i64, len: usize) -> std::ops::Range<usize> {
    let place = |index: i64| {
        let from_end = index.checked_add_unsigned(len as u64).unwrap_or(0).max(0);
        if index < 0 {
            from_end as usize
        } else {
            index as usize
        }
    };
    let (first, behind) = (place(start), place(end).saturating_add(1).min(len));
    if first >= behind || (start < 0 && end < 0 && start > end) {
        return 0..0;
    }
    first..behind
}

command! { APPEND =
    name: "append", run: append, arity: 3, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | INSERT)], categories: STRING, group: Group::String, since: "2.0.0",
    complexity: "O(1). The amortized time complexity is O(1) assuming the appended value is small \
        and the already present value is of any size, since the dynamic string library used by the \
        server will double the free space available on every reallocation.",
    summary: "Appends a string to the value of a key. Creates the key if it doesn't exist.",
    syntax: "key<key> value<string>",
}

fn append(c: &mut Call<'_>) -> Outcome {
    let (key, tail) = (c.args.key(1), c.args.at(2));
    let longest = c.db.exec.settings.proto_max_bulk_len;
    let len = match c.db.edit_string(key)? {
        Some(mut edit) => {
            check_length(edit.entry().string_len() as u64, tail.len(), longest)?;
            edit.change("append", |entry| entry.append(tail))
        }
        None => {
            c.db.set(key, Value::of(tail), Ttl::Clear, "append");
            tail.len()
        }
    };
    c.reply.integer(len as i64);
    Ok(())
}

command! { SETRANGE =
    name: "setrange", run: setrange, arity: 4, flags: WRITE | DENYOOM, keys: &[key(1, RW | UPDATE)],
    categories: STRING, group: Group::String, since: "2.2.0",
    complexity: "O(1), not counting the time taken to copy the new string in place. Usually, this \
        string is very small so the amortized complexity is O(1). Otherwise, complexity is O(M) \
        with M being the length of the value argument.",
    summary: "Overwrites a part of a string value with another by an offset. Creates the key if it \
        doesn't exist.",
    syntax: "key<key> offset<integer> value<string>",
}

fn setrange(c: &mut Call<'_>) -> Outcome {
    let (key, bytes) = (c.args.key(1), c.args.at(3));
    let offset = u64::try_from(c.args.integer(2)?).map_err(|_| Fault::OffsetOutOfRange)?;
    let longest = c.db.exec.settings.proto_max_bulk_len;
    let len = match c.db.edit_string(key)? {
        Some(edit) if bytes.is_empty() => edit.entry().string_len(),
        Some(mut edit) => {
            check_length(offset, bytes.len(), longest)?;
            edit.change("setrange", |entry| entry.set_range(offset as usize, bytes))
        }
        None if bytes.is_empty() => 0,
        None => {
            check_length(offset, bytes.len(), longest)?;
            let mut entry = Entry::new(key.bytes, Value::Raw(b""), None);
            let len = entry.set_range(offset as usize, bytes);
            c.db.put(key, entry, "setrange");
            len
        }
    };
    c.reply.integer(len as i64);
    Ok(())
}

/// Refuses a string of `before` and `added` bytes if that is more than a request could carry.
fn check_length(before: u64, added: usize, longest: u64) -> Result<(), Fault> {
    match before.checked_add(added as u64) {
        Some(total) if total <= longest => Ok(()),
        _ => Err(Fault::StringTooLong),
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn ranges_are_clamped_to_the_string() {
        let cases = [
            ((0, 3), 0..4),
            ((0, -1), 0..11),
            ((-4, -1), 7..11),
            ((5, 3), 0..0),
            ((5, 5000), 5..11),
            ((-5000, 10000), 0..11),
            ((i64::MIN, i64::MAX), 0..11),
            ((11, 11), 0..0),
            ((-1, -5), 0..0),
            ((-100, -50), 0..1),
            ((i64::MAX, i64::MAX), 0..0),
        ];
        for ((start, end), expected) in cases {
            assert_eq!(range(start, end, 11), expected, "{start} {end}");
        }
        assert_eq!(range(0, -1, 0), 0..0);
    }
}
