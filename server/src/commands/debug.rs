//! DEBUG: for tests and for those who look inside. Refused unless the configuration allows it.
//!
//! Its subcommands are rows of their own kind, because clients know DEBUG as one command without subcommands.
//! It always holds every cell.

use std::time::Duration;

use ostraka_datatypes::numbers::{self, format_i64};
use ostraka_datatypes::raw::entry::{Encoding, Entry, Held, StringRef, Value};
use ostraka_datatypes::resp::Protocol;
use ostraka_datatypes::{access, glob};

use super::{config, debug_digest};
use crate::call::{Call, Outcome};
use crate::command::row::*;
use crate::config::settings::Access;
use crate::fault::Fault;
use crate::keyspace::Ttl;
use crate::log;
use crate::os::usage;

pub static ROWS: &[&Command] = &[&DEBUG];

command! { DEBUG =
    name: "debug", run: debug, arity: -2,
    flags: ADMIN | NOSCRIPT | LOADING | STALE | PROTECTED | SYSCMD, route: Route::All,
    group: Group::Server, since: "1.0.0", complexity: "Depends on subcommand.",
    summary: "A container for debugging commands.",
}

/// A subcommand: its name and arguments as HELP shows them, how many there may be, and what it is for.
struct Subcommand {
    usage: &'static str,
    /// Arguments behind the name: at least, and at most.
    args: (usize, usize),
    run: fn(&mut Call<'_>) -> Outcome,
    help: &'static [&'static str],
}

const MANY: usize = usize::MAX;

static SUBCOMMANDS: &[Subcommand] = &[
    Subcommand {
        usage: "ASSERT",
        args: (0, 0),
        run: |_| panic!("DEBUG ASSERT"),
        help: &["Crash by assertion failed."],
    },
    Subcommand {
        usage: "CONFIG-REWRITE-FORCE-ALL",
        args: (0, 0),
        run: |c| config::rewrite(c, true),
        help: &[
            "Like CONFIG REWRITE but writes all configuration options, including",
            "keywords not listed in original configuration file or default values.",
        ],
    },
    Subcommand {
        usage: "DIGEST",
        args: (0, 0),
        run: debug_digest::digest,
        help: &["Output a hex signature representing the current DB content."],
    },
    Subcommand {
        usage: "DIGEST-VALUE <key> [<key> ...]",
        args: (0, MANY),
        run: debug_digest::digest_value,
        help: &["Output a hex signature of the values of all the specified keys."],
    },
    Subcommand {
        usage: "ERROR <string>",
        args: (1, 1),
        run: error,
        help: &[
            "Return a Redis protocol error with <string> as message. Useful for clients",
            "unit tests to simulate Redis errors.",
        ],
    },
    Subcommand {
        usage: "HTSTATS <dbid>",
        args: (1, 2),
        run: table_stats,
        help: &["Return hash table statistics of the specified Redis database."],
    },
    Subcommand {
        usage: "HTSTATS-KEY <key>",
        args: (1, 2),
        run: table_stats_of_key,
        help: &["Like HTSTATS but for the hash table stored at <key>'s value."],
    },
    Subcommand {
        usage: "LOG <message>",
        args: (1, 1),
        run: log_message,
        help: &["Write <message> to the server log."],
    },
    Subcommand {
        usage: "OBJECT <key>",
        args: (1, 2),
        run: object,
        help: &["Show low level info about `key` and associated value."],
    },
    Subcommand {
        usage: "PANIC",
        args: (0, 0),
        run: |_| panic!("DEBUG PANIC"),
        help: &["Crash the server simulating a panic."],
    },
    Subcommand {
        usage: "POPULATE <count> [<prefix>] [<size>]",
        args: (1, 3),
        run: populate,
        help: &[
            "Create <count> string keys named key:<num>. If <prefix> is specified then",
            "it is used instead of the 'key' prefix.",
        ],
    },
    Subcommand {
        usage: "PROTOCOL <type>",
        args: (1, 1),
        run: protocol,
        help: &[
            "Reply with a test value of the specified type. <type> can be: string,",
            "integer, double, bignum, null, array, set, map, attrib, push, verbatim,",
            "true, false.",
        ],
    },
    Subcommand {
        usage: "QUICKLIST-PACKED-THRESHOLD <size>",
        args: (1, 1),
        run: set_packed_threshold,
        help: &[
            "Accepts what Redis does, and changes nothing: here a large element is packed like",
            "all others, in a chunk of its own.",
        ],
    },
    Subcommand {
        usage: "RELOAD [option ...]",
        args: (0, MANY),
        run: |_| Err(Fault::NoPersistence),
        help: &["Save the RDB on disk and reload it back to memory."],
    },
    Subcommand {
        usage: "LOADAOF",
        args: (0, 0),
        run: |_| Err(Fault::NoPersistence),
        help: &["Flush the AOF buffers on disk and reload the AOF in memory."],
    },
    Subcommand {
        usage: "SEGFAULT",
        args: (0, 0),
        run: |c| {
            usage::die_of_segfault();
            c.reply.ok();
            Ok(())
        },
        help: &["Crash the server with sigsegv."],
    },
    Subcommand {
        usage: "SET-ACTIVE-EXPIRE <0|1>",
        args: (1, 1),
        run: set_active_expire,
        help: &[
            "Setting it to 0 disables expiring keys in background when they are not",
            "accessed (otherwise the Redis behavior). Setting it to 1 reenables back the",
            "default.",
        ],
    },
    Subcommand {
        usage: "SLEEP <seconds>",
        args: (1, 1),
        run: sleep,
        help: &["Stop the server for <seconds>. Decimals allowed."],
    },
    Subcommand {
        usage: "STRINGMATCH-LEN <length> <pattern>",
        args: (2, 2),
        run: match_long_string,
        help: &["Match a string of <length> times 'a' with <pattern>."],
    },
    Subcommand {
        usage: "HELP",
        args: (0, 0),
        run: help,
        help: &["Print this help."],
    },
];

impl Subcommand {
    fn name(&self) -> &'static str {
        self.usage.split(' ').next().unwrap_or_default()
    }
}

/// There is nothing to set: a large element stands in a chunk of its own, which is like all others.
fn set_packed_threshold(c: &mut Call<'_>) -> Outcome {
    numbers::parse_memory(c.args.at(2))
        .filter(|threshold| *threshold <= 1 << 32)
        .ok_or_else(|| {
            Fault::err("argument must be a memory value bigger than 1 and smaller than 4gb")
        })?;
    c.reply.ok();
    Ok(())
}

fn debug(c: &mut Call<'_>) -> Outcome {
    let allowed = match c.db.exec.settings.enable_debug_command {
        Access::Yes => true,
        Access::Local => c.session.record.is_local(),
        Access::No => false,
    };
    if !allowed {
        return Err(not_allowed("DEBUG", "enable-debug-command"));
    }
    let args = c.args.len() - 2;
    let found = SUBCOMMANDS.iter().find(|subcommand| {
        let (least, most) = subcommand.args;
        c.args.is(1, subcommand.name()) && (least..=most).contains(&args)
    });
    match found {
        Some(subcommand) => (subcommand.run)(c),
        None => Err(unknown(c)),
    }
}

/// A command that is switched off by a directive.
pub fn not_allowed(command: &str, directive: &str) -> Fault {
    Fault::err(format_args!(
        "{command} command not allowed. If the {directive} option is set to \"local\", you can run it from a local \
         connection, otherwise you need to set this option in the configuration file, and then restart the server."
    ))
}

fn unknown(c: &Call<'_>) -> Fault {
    Fault::err(format_args!(
        "unknown subcommand or wrong number of arguments for '{}'. Try DEBUG HELP.",
        String::from_utf8_lossy(c.args.at(1))
    ))
}

fn help(c: &mut Call<'_>) -> Outcome {
    let lines: usize = SUBCOMMANDS.iter().map(|s| 1 + s.help.len()).sum();
    c.reply.array(1 + lines);
    c.reply
        .simple("DEBUG <subcommand> [<arg> [value] [opt] ...]. Subcommands are:");
    for subcommand in SUBCOMMANDS {
        c.reply.simple(subcommand.usage);
        for line in subcommand.help {
            c.reply.simple(format!("    {line}"));
        }
    }
    Ok(())
}

// ---- behaviour

/// Stops this thread with every cell held, so that no other can execute either.
fn sleep(c: &mut Call<'_>) -> Outcome {
    let text = String::from_utf8_lossy(c.args.at(2));
    let seconds = text.parse::<f64>().unwrap_or(0.0);
    if let Ok(duration) = Duration::try_from_secs_f64(seconds) {
        usage::sleep(duration);
    }
    c.reply.ok();
    Ok(())
}

fn set_active_expire(c: &mut Call<'_>) -> Outcome {
    let on = c.args.at(2) == b"1";
    c.server
        .expires_actively
        .store(on, std::sync::atomic::Ordering::Relaxed);
    c.reply.ok();
    Ok(())
}

fn error(c: &mut Call<'_>) -> Outcome {
    let text = String::from_utf8_lossy(c.args.at(2)).into_owned();
    Err(Fault::Text(text.into()))
}

fn log_message(c: &mut Call<'_>) -> Outcome {
    let message = String::from_utf8_lossy(c.args.at(2));
    log::warning(format_args!("DEBUG LOG: {message}"));
    c.reply.ok();
    Ok(())
}

#[expect(clippy::approx_constant, reason = "clients' tests know this number")]
fn protocol(c: &mut Call<'_>) -> Outcome {
    let name = c.args.at(2).to_ascii_lowercase();
    let reply = &mut c.reply;
    match name.as_slice() {
        b"string" => reply.bulk(b"Hello World"),
        b"integer" => reply.integer(12_345),
        b"double" => reply.double(3.141),
        b"bignum" => reply.big_number("1234567999999999999999999999999999999"),
        b"null" => reply.null(),
        b"array" => {
            reply.array(3);
            (0..3).for_each(|n| reply.integer(n));
        }
        b"set" => {
            reply.set(3);
            (0..3).for_each(|n| reply.integer(n));
        }
        b"map" => {
            reply.map(3);
            for n in 0..3 {
                reply.integer(n);
                reply.boolean(n == 1);
            }
        }
        b"attrib" => {
            if reply.attribute(1) {
                reply.bulk(b"key-popularity");
                reply.array(2);
                reply.bulk(b"key:123");
                reply.integer(90);
            }
            reply.bulk(b"Some real reply following the attribute");
        }
        b"push" => {
            if reply.protocol() == Protocol::Resp2 {
                return Err(Fault::err("RESP2 is not supported by this command"));
            }
            reply.push(2);
            reply.bulk(b"server-cpu-usage");
            reply.integer(42);
            reply.bulk(b"Some real reply following the push reply");
        }
        b"verbatim" => reply.verbatim(b"txt", b"This is a verbatim\nstring"),
        b"true" => reply.boolean(true),
        b"false" => reply.boolean(false),
        _ => {
            return Err(Fault::err(
                "Wrong protocol type name. Please use one of the following: \
                 string|integer|double|bignum|null|array|set|map|attrib|push|verbatim|true|false",
            ));
        }
    }
    Ok(())
}

fn match_long_string(c: &mut Call<'_>) -> Outcome {
    const LONGEST: i64 = 64 * 1024 * 1024;
    let length = c.args.integer(2)?.clamp(0, LONGEST) as usize;
    let matches = glob::matches(c.args.at(3), &b"a".repeat(length));
    c.reply.integer(matches.into());
    Ok(())
}

// ---- data

fn populate(c: &mut Call<'_>) -> Outcome {
    let number = |index| c.args.natural(index, || Fault::NotPositive);
    let count = number(2)?;
    let prefix = c.args.get(3).unwrap_or(b"key").to_vec();
    let size = if c.args.len() > 4 { number(4)? } else { 0 };
    if size as u64 > c.db.exec.settings.proto_max_bulk_len {
        return Err(Fault::StringTooLong);
    }
    for number in 0..count {
        let name = [&prefix, &b":"[..], &format_i64(number as i64)].concat();
        let mut value = [&b"value:"[..], &format_i64(number as i64)].concat();
        if size > 0 {
            value.resize(size, 0);
        }
        let key = c.server.router.key(&name);
        if !c.db.exists(key) {
            c.db.set(key, Value::text(&value), Ttl::Clear, "set");
        }
    }
    c.reply.ok();
    Ok(())
}

fn object(c: &mut Call<'_>) -> Outcome {
    let now_ms = c.db.now_ms() as u64;
    let entry = c.db.peek(c.args.key(2)).ok_or(Fault::NoSuchKey)?;
    let hint = entry.hint();
    let line = format!(
        "Value at:{:p} refcount:1 encoding:{} serializedlength:{} lru:{hint} lru_seconds_idle:{}",
        entry.key().as_ptr(),
        entry.encoding().name(),
        serialized_length(&entry),
        access::lru_idle_s(hint, now_ms),
    );
    c.reply.simple(line);
    Ok(())
}

/// Bytes of a value in a snapshot, uncompressed; of a large collection more or less.
fn serialized_length(entry: &Entry) -> usize {
    let length = |len: usize| match len {
        0..64 => 1 + len,
        64..16_384 => 2 + len,
        _ => 5 + len,
    };
    match entry.held() {
        Held::String(StringRef::Int(number)) => match number {
            -0x80..=0x7f => 2,
            -0x8000..=0x7fff => 3,
            -0x8000_0000..=0x7fff_ffff => 5,
            _ => length(format_i64(number).len()),
        },
        Held::String(StringRef::Bytes(bytes))
        | Held::Packed(bytes)
        | Held::PackedEx(bytes)
        | Held::Ints(bytes) => length(bytes.len()),
        Held::Large(body) => length(body.memory_usage()),
    }
}

fn table_stats(c: &mut Call<'_>) -> Outcome {
    let database = c.args.integer_or(2, Fault::err("Out of range database"))?;
    let database = usize::try_from(database)
        .ok()
        .filter(|&database| database < c.db.exec.settings.databases as usize)
        .ok_or_else(|| Fault::err("Out of range database"))?;
    let (mut keys, mut volatile, mut table, mut index) = (0, 0, 0, 0);
    for cell in c.db.held() {
        let db = c.db.shard(cell).db(database);
        let (table_bytes, index_bytes) = db.overhead();
        keys += db.len();
        volatile += db.volatile();
        table += table_bytes;
        index += index_bytes;
    }
    let text = format!(
        "[Dictionary HT]\nHash table 0 stats (main hash table):\n table bytes: {table}\n number of elements: {keys}\n\
         [Expires HT]\nHash table 0 stats (main hash table):\n table bytes: {index}\n number of elements: {volatile}\n"
    );
    c.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}

/// Sets, hashes, and sorted sets with their tree: what they allocate, elements included.
fn table_stats_of_key(c: &mut Call<'_>) -> Outcome {
    let entry = c.db.peek(c.args.key(2)).ok_or(Fault::NoSuchKey)?;
    let (elements, bytes) = match (entry.encoding(), entry.held()) {
        (Encoding::Hashtable | Encoding::Skiplist, Held::Large(body)) => {
            (body.len(), body.memory_usage())
        }
        _ => {
            return Err(Fault::err(
                "The value stored at the specified key is not represented using an hash table",
            ));
        }
    };
    let text = format!(
        "Hash table 0 stats (main hash table):\n table bytes: {bytes}\n number of elements: {elements}\n"
    );
    c.reply.verbatim(b"txt", text.as_bytes());
    Ok(())
}
