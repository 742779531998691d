//! Properties of the table of commands as a whole, and of what derives from the rows.

use ostraka_datatypes::hash::Seed;
use ostraka_datatypes::resp::Span;
use ostraka_server::call::Args;
use ostraka_server::command::keys::{KeyFlags, Unclear, keys_of, only_key};
use ostraka_server::command::listing;
use ostraka_server::command::row::*;
use ostraka_server::command::syntax::{Argument, Kind, parse};
use ostraka_server::command::table::Table;
use ostraka_server::commands::FAMILIES;
use ostraka_server::router::Router;

/// Hands `check` the words of `line` as the arguments of a call.
fn with_args<T>(words: &[&[u8]], check: impl FnOnce(Args<'_>) -> T) -> T {
    let bytes = words.concat();
    let mut start = 0;
    let mut spans = Vec::new();
    for word in words {
        spans.push(Span {
            start,
            len: word.len(),
        });
        start += word.len();
    }
    check(Args::new(
        &bytes,
        &spans,
        Router::new(Seed::new(1), 1),
        None,
    ))
}

fn with_line<T>(line: &str, check: impl FnOnce(Args<'_>) -> T) -> T {
    let words: Vec<_> = line.split(' ').map(str::as_bytes).collect();
    with_args(&words, check)
}

fn all_rows() -> Vec<&'static Command> {
    Table::new(FAMILIES).rows().to_vec()
}

#[test]
fn every_row_has_a_function_of_its_own() {
    for row in all_rows().iter().filter(|row| row.subcommands.is_empty()) {
        assert!(
            !std::ptr::fn_addr_eq(row.run, Command::ROW.run),
            "{} leaves out `run`",
            row.name
        );
    }
}

/// What only servers say to each other, and what takes anything, is not described in full.
fn is_described(row: &&&'static Command) -> bool {
    row.subcommands.is_empty() && !row.is(SYSCMD) && (row.arity > 0 || !row.syntax.is_empty())
}

#[test]
fn every_syntax_parses_and_agrees_with_the_row() {
    for row in all_rows().iter().filter(is_described) {
        let arguments = parse(row.syntax).unwrap_or_else(|e| panic!("{}: {e:?}", row.name));
        let words = 1 + row.name.matches('|').count();
        let (fewest, most) = arguments
            .iter()
            .fold((words, Some(words)), |sum, next| add(sum, length(next)));
        let arity = if most == Some(fewest) {
            fewest as i32
        } else {
            -(fewest as i32)
        };
        assert_eq!(
            row.arity, arity,
            "{}: the arity that follows from the syntax",
            row.name
        );
        arguments
            .iter()
            .for_each(|argument| check_key_specs(row, argument));
    }
}

/// The fewest and most arguments, `None` if there is no end.
type Length = (usize, Option<usize>);

fn add(one: Length, other: Length) -> Length {
    (
        one.0 + other.0,
        one.1.zip(other.1).map(|(one, other)| one + other),
    )
}

fn length(argument: &Argument<'_>) -> Length {
    let parts = argument.arguments.iter().map(length);
    let value = match argument.kind {
        Kind::PureToken => (0, Some(0)),
        Kind::Block => parts.fold((0, Some(0)), add),
        Kind::OneOf => parts
            .reduce(|one, other| {
                (
                    one.0.min(other.0),
                    one.1.zip(other.1).map(|(one, other)| one.max(other)),
                )
            })
            .unwrap_or_default(),
        _ => (1, Some(1)),
    };
    let whole = add(
        value,
        if argument.token.is_some() {
            (1, Some(1))
        } else {
            (0, Some(0))
        },
    );
    let fewest = if argument.optional { 0 } else { whole.0 };
    (fewest, if argument.multiple { None } else { whole.1 })
}

fn check_key_specs(row: &Command, argument: &Argument<'_>) {
    if let Some(spec) = argument.key_spec {
        assert!(
            usize::from(spec) < row.keys.len(),
            "{}: no key spec {spec}",
            row.name
        );
    }
    argument
        .arguments
        .iter()
        .for_each(|part| check_key_specs(row, part));
}

#[test]
fn names_are_found_in_any_case_and_nothing_else_is() {
    let table = Table::new(FAMILIES);
    for row in table.commands() {
        let name = row.name.as_bytes();
        let upper = row.name.to_uppercase();
        assert!(std::ptr::eq(
            table.find_name(upper.as_bytes()).expect(row.name),
            row
        ));
        for at in 0..name.len() {
            for bit in [0x01, 0x20, 0x40, 0x80] {
                let mut other = name.to_vec();
                other[at] ^= bit;
                if let Some(found) = table.find_name(&other) {
                    assert!(
                        found.name.as_bytes().eq_ignore_ascii_case(&other),
                        "{other:?} found {}",
                        found.name
                    );
                }
            }
            assert!(
                table
                    .find_name(&name[..at])
                    .is_none_or(|found| found.name.len() == at)
            );
        }
    }
    assert!(table.find_name(b"").is_none());
    assert!(table.find_name(b"command|").is_none());
    assert!(
        table
            .find_name(b"a-name-longer-than-sixteen-bytes")
            .is_none()
    );
}

#[test]
fn ids_are_positions() {
    let table = Table::new(FAMILIES);
    assert!(
        table
            .rows()
            .iter()
            .enumerate()
            .all(|(id, row)| row.id() == id)
    );
}

#[track_caller]
fn check_refusal(words: &[&[u8]], expected: &str) {
    let table = Table::new(FAMILIES);
    with_args(words, |args| {
        assert!(table.find(args).is_none());
        assert_eq!(table.refusal(args).text(), expected);
    });
}

#[test]
fn refusals_are_worded_as_in_redis() {
    check_refusal(
        &[b"nosuch"],
        "ERR unknown command 'nosuch', with args beginning with: ",
    );
    check_refusal(
        &[b"nosuch", b"a", b""],
        "ERR unknown command 'nosuch', with args beginning with: 'a' '' ",
    );
    check_refusal(
        &[b"no\0such", b"a\0b"],
        "ERR unknown command 'no', with args beginning with: 'a' ",
    );
    check_refusal(
        &[&[b'n'; 200], &[b'x'; 120], &[b'y'; 20], b"z"],
        &format!(
            "ERR unknown command '{:n<128}', with args beginning with: '{:x<120}' 'yyyyy' ",
            "", ""
        ),
    );
    check_refusal(
        &[b"Command", b"Foo"],
        "ERR unknown subcommand 'Foo'. Try COMMAND HELP.",
    );
    check_refusal(
        &[b"COMMAND", b"COUNT", b"x"],
        "ERR wrong number of arguments for 'command|count' command",
    );
    check_refusal(&[b"GET"], "ERR wrong number of arguments for 'get' command");
}

static BY_SPECS: &[(&[KeySpec], &str, &[usize])] = &[
    (&[key(1, RO)], "get a", &[1]),
    (&[keys_from(1, RM)], "del a b c", &[1, 2, 3]),
    (&[key(1, OW).range(-1, 2, 0)], "mset a 1 b 2", &[1, 3]),
    (&[key(1, RW).range(-2, 1, 0)], "blpop a b 0", &[1, 2]),
    (&[key(1, RO), key(2, OW)], "copy a b", &[1, 2]),
    (&[key(1, RW), keys_from(2, RO)], "pfmerge a", &[1]),
    (&[counted_keys(2, RW)], "eval x 2 a b c", &[3, 4]),
    (&[counted_keys(2, RW)], "eval x 0 a", &[]),
    (
        &[key(1, OW).counted(0, 1, 2)],
        "msetex 2 a 1 b 2 NX",
        &[2, 4],
    ),
    (
        &[key_after("STREAMS", 1, RO).range(-1, 1, 2)],
        "xread COUNT 2 streams a b 1 2",
        &[4, 5],
    ),
    (
        &[key_after("STREAMS", 1, RO).range(-1, 1, 2)],
        "xread COUNT 2",
        &[],
    ),
    (
        &[key(3, RW), key_after("KEYS", -2, RW).range(-1, 1, 0)],
        "migrate h 1 KEYS 0 9 keys a b",
        &[3, 7, 8],
    ),
];

#[test]
fn key_specs_find_the_keys() {
    for (specs, line, expected) in BY_SPECS {
        assert_eq!(find_keys(specs, line), Ok(expected.to_vec()), "{line}");
    }
}

static UNCLEAR: &[(&[KeySpec], &str)] = &[
    (&[counted_keys(2, RW)], "eval x 3 a b"),
    (&[counted_keys(2, RW)], "eval x -1 a"),
    (&[counted_keys(2, RW)], "eval x 01 a"),
    (&[counted_keys(2, RW)], "eval x 1x a"),
    (&[counted_keys(2, RW)], "eval x 18446744073709551617 a"),
    (&[counted_keys(2, RW)], "eval x"),
    (&[key(1, OW).counted(0, 1, 2)], "msetex 999999999 a 1"),
    (&[key(2, RO)], "get a"),
    (&[key_after("STORE", 1, OW)], "sort a STORE"),
    (&[key(1, RO), unknown_keys(RO)], "sort a"),
    (&[key(1, RO | INCOMPLETE)], "get a"),
];

#[test]
fn the_only_key_is_the_one_that_is_found() {
    let keyed = all_rows()
        .into_iter()
        .filter_map(|row| Some((row, only_key(row)?)));
    for (row, index) in keyed {
        let words = vec![&b"1"[..]; row.arity.unsigned_abs() as usize];
        let found = with_args(&words, |args| {
            let keys = keys_of(row, args).map(|key| key.map(|key| key.index));
            keys.collect::<Vec<_>>()
        });
        assert_eq!(found, [Ok(index)], "{}", row.name);
    }
}

#[test]
fn what_is_not_certain_is_unclear() {
    for (specs, line) in UNCLEAR {
        assert_eq!(find_keys(specs, line), Err(Unclear), "{line}");
    }
}

fn find_keys(specs: &'static [KeySpec], line: &str) -> Result<Vec<usize>, Unclear> {
    let row: &'static Command = Box::leak(Box::new(Command {
        keys: specs,
        ..Command::ROW
    }));
    with_line(line, |args| {
        keys_of(row, args).map(|key| Ok(key?.index)).collect()
    })
}

#[test]
fn a_function_finds_keys_that_specs_cannot() {
    fn last_word(args: Args<'_>, n: usize) -> Result<Option<KeyAt>, Unclear> {
        const FLAGS: KeyFlags = RO | ACCESS;
        Ok((n == 0).then_some(KeyAt {
            index: args.len() - 1,
            flags: FLAGS,
        }))
    }
    static ROW: Command = Command {
        keys: &[unknown_keys(RO)],
        find_keys: Some(last_word),
        ..Command::ROW
    };
    let keys = with_line("x a b", |args| keys_of(&ROW, args).collect::<Vec<_>>());
    assert_eq!(
        keys,
        [Ok(KeyAt {
            index: 2,
            flags: RO | ACCESS
        })]
    );
}

#[test]
fn the_list_of_commands_in_the_readme_is_current() {
    let readme = include_str!("../../README.md");
    let current =
        listing::refresh(readme, FAMILIES).expect("README.md has the two `commands` lines");
    let list = listing::render(FAMILIES);
    assert!(
        readme == current,
        "README.md should read, between the `commands` lines:\n{list}"
    );
}

#[test]
fn the_list_replaces_what_is_between_its_lines() {
    static GET: Command = Command {
        name: "get",
        group: Group::String,
        ..Command::ROW
    };
    static CLIENT_ID: Command = Command {
        name: "client|id",
        ..Command::ROW
    };
    static CLIENT: Command = Command {
        name: "client",
        group: Group::Connection,
        subcommands: &[&CLIENT_ID],
        ..Command::ROW
    };
    let readme = format!("before\n{}stale\n{}after\n", listing::BEGIN, listing::END);
    let table = "| group | commands |\n|---|---|\n| string | GET |\n| connection | CLIENT (ID) |\n";
    let expected = format!("before\n{}{table}{}after\n", listing::BEGIN, listing::END);
    assert_eq!(
        listing::refresh(&readme, &[&[&CLIENT], &[&GET]]),
        Some(expected)
    );
}
