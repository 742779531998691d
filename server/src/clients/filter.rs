//! Which clients CLIENT LIST and CLIENT KILL mean: `[NOT-]option value` pairs, all of which must fit.
//!
//! One table of options serves both commands, each with its `NOT-` twin (Valkey 9's set, Redis' texts). An option
//! that is given twice counts once, with its last value.

use std::sync::atomic::Ordering::Relaxed;

use ostraka_datatypes::numbers;

use super::{ClientRecord, DEFAULT_USER, line};
use crate::call::{Args, Fault};

/// Whose filter it is: the two commands differ in their texts, and in whether the caller is meant too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    List,
    Kill,
}

/// A conjunction of conditions on a client.
pub struct Filter {
    conditions: Vec<Condition>,
    pub skips_caller: bool,
}

struct Condition {
    option: &'static str,
    negated: bool,
    test: Test,
}

enum Test {
    Ids(Vec<u64>),
    /// NORMAL; everybody is, as long as there are no subscribers and replicas.
    Normal,
    NobodyOfThatType,
    User(String),
    Address(String),
    LocalAddress(String),
    Ip(String),
    Name(String),
    Library(String),
    LibraryVersion(String),
    Flags(String),
    Db(u64),
    MaxAge(i64),
    Idle(i64),
    /// A capability that nobody here has.
    Capability,
}

impl Filter {
    /// Reads the options from argument `at` on.
    pub fn parse(args: Args<'_>, mut at: usize, purpose: Purpose) -> Result<Self, Fault> {
        let mut filter = Self {
            conditions: Vec::new(),
            skips_caller: purpose == Purpose::Kill,
        };
        while at < args.len() {
            if at + 1 >= args.len() {
                return Err(Fault::Syntax);
            }
            if args.is(at, "skipme") {
                filter.skips_caller = yes_no(args, at + 1)?;
                at += 2;
                continue;
            }
            let (option, negated) = option_at(args, at)?;
            let (test, next) = test_of(option, args, at + 1, purpose)?;
            filter
                .conditions
                .retain(|old| (old.option, old.negated) != (option, negated));
            filter.conditions.push(Condition {
                option,
                negated,
                test,
            });
            at = next;
        }
        Ok(filter)
    }

    /// One client, the caller included.
    pub fn address(address: &[u8]) -> Self {
        Self {
            conditions: vec![Condition {
                option: "addr",
                negated: false,
                test: Test::Address(String::from_utf8_lossy(address).into_owned()),
            }],
            skips_caller: false,
        }
    }

    pub fn fits(&self, record: &ClientRecord, now_ms: i64) -> bool {
        self.conditions
            .iter()
            .all(|condition| condition.test.fits(record, now_ms) != condition.negated)
    }
}

const OPTIONS: [&str; 14] = [
    "id", "type", "user", "addr", "laddr", "ip", "name", "lib-name", "lib-ver", "flags", "db",
    "maxage", "idle", "capa",
];

fn option_at(args: Args<'_>, at: usize) -> Result<(&'static str, bool), Fault> {
    let word = args.at(at).to_ascii_lowercase();
    let (name, negated) = match word.strip_prefix(b"not-") {
        Some(name) => (name, true),
        None => (&*word, false),
    };
    let option = OPTIONS
        .into_iter()
        .find(|option| option.as_bytes() == name)
        .filter(|option| !(negated && matches!(*option, "maxage" | "idle")));
    option.map(|option| (option, negated)).ok_or(Fault::Syntax)
}

fn test_of(
    option: &str,
    args: Args<'_>,
    at: usize,
    purpose: Purpose,
) -> Result<(Test, usize), Fault> {
    if option == "id" {
        return ids(args, at, purpose);
    }
    let value = args.at(at);
    let text = || String::from_utf8_lossy(value).into_owned();
    let test = match option {
        "type" => client_type(value)?,
        "user" if value == DEFAULT_USER.as_bytes() => Test::User(text()),
        "user" => return Err(Fault::err(format_args!("No such user '{}'", text()))),
        "addr" => Test::Address(text()),
        "laddr" => Test::LocalAddress(text()),
        "ip" => Test::Ip(text()),
        "name" => Test::Name(text()),
        "lib-name" => Test::Library(text()),
        "lib-ver" => Test::LibraryVersion(text()),
        "flags" => Test::Flags(known_flags(text())?),
        "db" => Test::Db(
            numbers::parse_i64(value)
                .and_then(|db| u64::try_from(db).ok())
                .ok_or_else(|| Fault::err("DB number should be between 0 and databases - 1"))?,
        ),
        "maxage" => Test::MaxAge(seconds(args, at, "maxage")?),
        "idle" => Test::Idle(seconds(args, at, "idle")?),
        _ => Test::Capability,
    };
    Ok((test, at + 1))
}

/// As many ids as follow; at least one.
fn ids(args: Args<'_>, at: usize, purpose: Purpose) -> Result<(Test, usize), Fault> {
    let refusal = || match purpose {
        Purpose::List => Fault::err("Invalid client ID"),
        Purpose::Kill => Fault::err("client-id should be greater than 0"),
    };
    let id_at = |at: usize| args.get(at).and_then(numbers::parse_i64);
    let mut ids = Vec::new();
    let mut next = at;
    while let Some(id) = id_at(next) {
        ids.push(
            u64::try_from(id)
                .ok()
                .filter(|id| *id > 0)
                .ok_or_else(refusal)?,
        );
        next += 1;
    }
    if ids.is_empty() {
        return Err(refusal());
    }
    Ok((Test::Ids(ids), next))
}

fn client_type(name: &[u8]) -> Result<Test, Fault> {
    match name.to_ascii_lowercase().as_slice() {
        b"normal" => Ok(Test::Normal),
        b"master" | b"primary" | b"slave" | b"replica" | b"pubsub" => Ok(Test::NobodyOfThatType),
        _ => Err(Fault::err(format_args!(
            "Unknown client type '{}'",
            String::from_utf8_lossy(name)
        ))),
    }
}

/// Letters of `flags=`; every one of them must be set.
fn known_flags(letters: String) -> Result<String, Fault> {
    const KNOWN: &str = "AbBcdeIMNOPrRSTtUux";
    if letters.is_empty() || !letters.chars().all(|letter| KNOWN.contains(letter)) {
        return Err(Fault::err(format_args!(
            "Unknown flags found in the provided filter: {letters}"
        )));
    }
    Ok(letters)
}

fn seconds(args: Args<'_>, at: usize, option: &str) -> Result<i64, Fault> {
    let fault = Fault::err(format_args!("{option} is not an integer or out of range"));
    match args.integer_or(at, fault)? {
        seconds if seconds > 0 => Ok(seconds),
        _ => Err(Fault::err(format_args!(
            "{option} should be greater than 0"
        ))),
    }
}

fn yes_no(args: Args<'_>, at: usize) -> Result<bool, Fault> {
    match args.is(at, "yes") {
        true => Ok(true),
        false if args.is(at, "no") => Ok(false),
        false => Err(Fault::Syntax),
    }
}

impl Test {
    fn fits(&self, record: &ClientRecord, now_ms: i64) -> bool {
        match self {
            Self::Ids(ids) => ids.contains(&record.id),
            Self::Normal => true,
            Self::NobodyOfThatType | Self::Capability => false,
            Self::User(user) => user == DEFAULT_USER,
            Self::Address(address) => *record.address == **address,
            Self::LocalAddress(address) => *record.local_address == **address,
            Self::Ip(ip) => host_of(&record.address) == ip,
            Self::Name(name) => *record.names().name == **name,
            Self::Library(name) => *record.names().library == **name,
            Self::LibraryVersion(version) => *record.names().library_version == **version,
            Self::Flags(letters) => {
                let flags = line::flags(record);
                letters.chars().all(|letter| flags.contains(letter))
            }
            Self::Db(db) => u64::from(record.db.load(Relaxed)) == *db,
            Self::MaxAge(seconds) => (now_ms - record.created_ms) / 1000 >= *seconds,
            Self::Idle(seconds) => {
                (now_ms - record.last_active_ms.load(Relaxed)) / 1000 >= *seconds
            }
        }
    }
}

/// `127.0.0.1` of `127.0.0.1:50123`, `::1` of `[::1]:50123`.
fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}
