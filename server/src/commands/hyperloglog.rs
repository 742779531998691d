//! HyperLogLog: strings that estimate how many different elements they have been shown.

use ostraka_datatypes::hyperloglog::{self as hll, Corrupt, Encoding, Pattern, Registers};
use ostraka_datatypes::raw::entry::{Entry, StringRef, Type, Value};
use ostraka_datatypes::resp::Reply;

use crate::call::{Args, Call, Outcome};
use crate::command::row::*;
use crate::fault::Fault;
use crate::keyspace::{Keyspace, SILENT};
use crate::router::Key;
use crate::slices::{Budget, Work};

pub static ROWS: &[&Command] = &[&PFADD, &PFCOUNT, &PFDEBUG, &PFMERGE, &PFSELFTEST];

/// The bytes of a string that is a HyperLogLog by its header.
fn registers_of(entry: &Entry) -> Result<(&[u8], Encoding), Fault> {
    match entry.string() {
        StringRef::Bytes(bytes) => hll::encoding(bytes).map(|encoding| (bytes, encoding)),
        StringRef::Int(_) => None,
    }
    .ok_or(Fault::NotHyperLogLog)
}

impl From<Corrupt> for Fault {
    fn from(_: Corrupt) -> Fault {
        Fault::CorruptHyperLogLog
    }
}

command! { PFADD =
    name: "pfadd", run: pfadd, arity: -2, flags: WRITE | DENYOOM | FAST,
    keys: &[key(1, RW | INSERT)], categories: HYPERLOGLOG, group: Group::Hyperloglog,
    since: "2.8.9", complexity: "O(1) to add every element.",
    summary: "Adds elements to a HyperLogLog key. Creates the key if it doesn't exist.",
    syntax: "key<key> [element<string>...]",
}

fn pfadd(c: &mut Call<'_>) -> Outcome {
    let (key, args) = (c.args.key(1), c.args);
    let sparse_max = c.db.exec.settings.hll_sparse_max_bytes;
    let added = match c.db.edit_string(key)? {
        Some(mut edit) => {
            let (_, encoding) = registers_of(edit.entry())?;
            edit.change_some("pfadd", |entry| {
                let added = match encoding {
                    Encoding::Dense => Ok(add_dense(entry, args)),
                    Encoding::Sparse => add_sparse(entry, args, sparse_max),
                };
                (*added.as_ref().unwrap_or(&0), added)
            })?
        }
        None => {
            let mut bytes = hll::empty();
            let added = add(&mut bytes, args, sparse_max)?;
            hll::make_stale(&mut bytes);
            c.db.put(
                key,
                Entry::new(key.bytes, Value::Raw(&bytes), None),
                "pfadd",
            );
            added + 1
        }
    };
    c.reply.integer((added > 0).into());
    Ok(())
}

/// What the arguments say about registers.
fn patterns(args: Args<'_>) -> impl Iterator<Item = Pattern> {
    args.iter().skip(2).map(Pattern::of)
}

/// How many of the arguments made a difference.
fn add(bytes: &mut Vec<u8>, args: Args<'_>, sparse_max: u64) -> Result<u64, Corrupt> {
    let mut added = 0;
    for pattern in patterns(args) {
        added += u64::from(hll::add(bytes, pattern, sparse_max)?);
    }
    Ok(added)
}

fn add_dense(entry: &mut Entry, args: Args<'_>) -> u64 {
    let bytes = entry.bytes_mut(0);
    let added = patterns(args)
        .filter(|pattern| hll::add_dense(bytes, *pattern))
        .count();
    if added > 0 {
        hll::make_stale(bytes);
    }
    added as u64
}

fn add_sparse(entry: &mut Entry, args: Args<'_>, sparse_max: u64) -> Result<u64, Corrupt> {
    let mut bytes = entry.bytes_mut(0).to_vec();
    let added = add(&mut bytes, args, sparse_max)?;
    if added > 0 {
        hll::make_stale(&mut bytes);
        entry.set_string(Value::Raw(&bytes));
    }
    Ok(added)
}

command! { PFCOUNT =
    name: "pfcount", run: pfcount, arity: -2, flags: READONLY | MAY_REPLICATE,
    keys: &[keys_from(1, RW | ACCESS).notes(
        "RW because it may change the internal representation of the key, and propagate to replicas",
    )],
    categories: HYPERLOGLOG, group: Group::Hyperloglog, since: "2.8.9",
    complexity: "O(1) with a very small average constant time when called with a single key. O(N) \
        with N being the number of keys, and much bigger constant times, when called with multiple \
        keys.",
    summary: "Returns the approximated cardinality of the set(s) observed by the HyperLogLog key(s).",
    syntax: "key<key>...",
}

fn pfcount(c: &mut Call<'_>) -> Outcome {
    let cardinality = if c.args.len() == 2 {
        cardinality(&mut c.db, c.args.key(1))?
    } else {
        union(c)?.0.cardinality()
    };
    c.reply.integer(cardinality as i64);
    Ok(())
}

/// The cardinality of one key, which remembers it.
fn cardinality(db: &mut Keyspace<'_>, key: Key<'_>) -> Result<u64, Fault> {
    let Some(entry) = db.string(key)? else {
        return Ok(0);
    };
    let (bytes, _) = registers_of(&entry)?;
    if let Some(cardinality) = hll::cached(bytes) {
        return Ok(cardinality);
    }
    let cardinality = hll::cardinality(bytes)?;
    if let Some(mut edit) = db.edit(key) {
        edit.change(SILENT, |entry| hll::cache(entry.bytes_mut(0), cardinality));
    }
    Ok(cardinality)
}

/// The union of all keys, and whether one of them is dense.
fn union(c: &mut Call<'_>) -> Result<(Registers, bool), Fault> {
    let mut union = Registers::default();
    let mut dense = false;
    for key in c.args.keys(1, 1) {
        if let Some(entry) = c.db.string(key)? {
            let (bytes, encoding) = registers_of(&entry)?;
            dense |= encoding == Encoding::Dense;
            union.merge(bytes)?;
        }
    }
    Ok((union, dense))
}

command! { PFMERGE =
    name: "pfmerge", run: pfmerge, arity: -2, flags: WRITE | DENYOOM,
    keys: &[key(1, RW | ACCESS | INSERT), keys_from(2, RO | ACCESS)], categories: HYPERLOGLOG,
    group: Group::Hyperloglog, since: "2.8.9",
    complexity: "O(N) to merge N HyperLogLogs, but with high constant times.",
    summary: "Merges one or more HyperLogLog values into a single key.",
    syntax: "destkey<key> [sourcekey<key:1>...]",
}

fn pfmerge(c: &mut Call<'_>) -> Outcome {
    let sparse_max = c.db.exec.settings.hll_sparse_max_bytes;
    let (union, dense) = union(c)?;
    let key = c.args.key(1);
    let mut bytes = match c.db.peek(key) {
        Some(entry) => registers_of(&entry)?.0.to_vec(),
        None => hll::empty(),
    };
    if dense {
        hll::make_dense(&mut bytes)?;
    }
    union.add_to(&mut bytes, sparse_max)?;
    hll::make_stale(&mut bytes);
    let value = Value::Raw(&bytes);
    match c.db.edit(key) {
        Some(mut edit) => edit.change("pfadd", |entry| entry.set_string(value)),
        None => c.db.put(key, Entry::new(key.bytes, value, None), "pfadd"),
    }
    c.reply.ok();
    Ok(())
}

command! { PFDEBUG =
    name: "pfdebug", run: pfdebug, arity: 3, flags: WRITE | DENYOOM | ADMIN,
    keys: &[key(2, RW | ACCESS)], categories: HYPERLOGLOG, group: Group::Hyperloglog,
    since: "2.8.9", complexity: "N/A",
    summary: "Internal commands for debugging HyperLogLog values.",
    syntax: "subcommand<string> key<key>",
}

fn pfdebug(c: &mut Call<'_>) -> Outcome {
    let key = c.args.key(2);
    let entry = c.db.peek_as(key, Type::String)?;
    let entry = entry.ok_or_else(|| Fault::err("The specified key does not exist"))?;
    let (bytes, encoding) = registers_of(&entry)?;
    match () {
        () if c.args.is(1, "GETREG") => {
            make_dense(&mut c.db, key)?;
            get_registers(c, key)?;
        }
        () if c.args.is(1, "DECODE") => {
            if encoding != Encoding::Sparse {
                return Err(Fault::err("HLL encoding is not sparse"));
            }
            let runs: Vec<String> = hll::sparse::decode(bytes)
                .map(|run| run.to_string())
                .collect();
            c.reply.bulk(runs.join(" ").as_bytes());
        }
        () if c.args.is(1, "ENCODING") => c.reply.simple(match encoding {
            Encoding::Dense => "dense",
            Encoding::Sparse => "sparse",
        }),
        () if c.args.is(1, "TODENSE") => {
            let was_sparse = make_dense(&mut c.db, key)?;
            c.reply.integer(was_sparse.into());
        }
        () => {
            let name = c.args.at(1).escape_ascii();
            return Err(Fault::err(format_args!(
                "Unknown PFDEBUG subcommand '{name}'"
            )));
        }
    }
    Ok(())
}

fn get_registers(c: &mut Call<'_>, key: Key<'_>) -> Outcome {
    let Some(entry) = c.db.peek(key) else {
        return Ok(());
    };
    let registers = Registers::of(registers_of(&entry)?.0)?;
    c.reply.array(hll::REGISTERS);
    registers
        .iter()
        .for_each(|value| c.reply.integer(value.into()));
    Ok(())
}

/// Whether it was sparse.
fn make_dense(db: &mut Keyspace<'_>, key: Key<'_>) -> Result<bool, Fault> {
    let Some(mut edit) = db.edit(key) else {
        return Ok(false);
    };
    let mut bytes = registers_of(edit.entry())?.0.to_vec();
    let was_sparse = hll::make_dense(&mut bytes)?;
    if was_sparse {
        edit.change(SILENT, |entry| entry.set_string(Value::Raw(&bytes)));
    }
    Ok(was_sparse)
}

command! { PFSELFTEST =
    name: "pfselftest", run: pfselftest, arity: 1, flags: ADMIN, categories: HYPERLOGLOG,
    group: Group::Hyperloglog, since: "2.8.9", complexity: "N/A",
    summary: "An internal command for testing HyperLogLog values.",
}

fn pfselftest(c: &mut Call<'_>) -> Outcome {
    let seed = c.db.exec.dice.roll();
    let test = hll::SelfTest::new(seed, c.db.exec.settings.hll_sparse_max_bytes);
    c.in_slices(usize::MAX, &[], SelfTest(test))
}

struct SelfTest(hll::SelfTest);

impl Work for SelfTest {
    fn step(&mut self, reply: &mut Reply<'_>, budget: &mut Budget<'_>) -> bool {
        /// Elements of a set take longer than these.
        const AT_ONCE: usize = 128;
        loop {
            match self.0.advance(AT_ONCE as u64) {
                Some(Ok(())) => reply.ok(),
                Some(Err(failure)) => reply.error(format!("ERR {failure}")),
                None if budget.spend(AT_ONCE) => continue,
                None => return false,
            }
            return true;
        }
    }
}
