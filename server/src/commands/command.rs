//! COMMAND: what the rows say, for clients that ask; and the HELP of every container.

use ostraka_datatypes::glob;
use ostraka_datatypes::resp::{Deferred, Reply};

use crate::call::{Args, Call, Fault, Outcome};
use crate::command::Categories;
use crate::command::keys::{self, Begin, Find, KeyAt, KeySpec, keys_of};
use crate::command::row::*;
use crate::command::syntax::Argument;

pub static ROWS: &[&Command] = &[&COMMAND];

command! { COMMAND =
    name: "command", run: command, arity: -1, flags: LOADING | STALE, categories: CONNECTION,
    group: Group::Server, since: "2.8.13",
    complexity: "O(N) where N is the total number of commands",
    summary: "Returns detailed information about all commands.",
    tips: &["nondeterministic_output_order"],
    subcommands: &[
        &COMMAND_COUNT, &COMMAND_DOCS, &COMMAND_GETKEYS, &COMMAND_GETKEYSANDFLAGS, &COMMAND_HELP,
        &COMMAND_INFO, &COMMAND_LIST,
    ],
}

fn command(c: &mut Call<'_>) -> Outcome {
    describe_all(c);
    Ok(())
}

fn describe_all(c: &mut Call<'_>) {
    let commands: Vec<_> = c.server.commands.commands().collect();
    c.reply.array(commands.len());
    commands
        .into_iter()
        .for_each(|row| describe(&mut c.reply, row));
}

command! { COMMAND_INFO =
    name: "command|info", run: command_info, arity: -2, flags: LOADING | STALE,
    categories: CONNECTION, group: Group::Server, since: "2.8.13",
    complexity: "O(N) where N is the number of commands to look up",
    summary: "Returns information about one, multiple or all commands.",
    syntax: "[command-name<string>...]", tips: &["nondeterministic_output_order"],
    history: &[("7.0.0", "Allowed to be called with no argument to get info on all commands.")],
}

fn command_info(c: &mut Call<'_>) -> Outcome {
    let names = c.args.from(2);
    if names.len() == 0 {
        describe_all(c);
        return Ok(());
    }
    c.reply.array(names.len());
    for name in names.iter() {
        match c.server.commands.find_name(name) {
            Some(row) => describe(&mut c.reply, row),
            None => c.reply.null(),
        }
    }
    Ok(())
}

/// The ten elements of COMMAND INFO.
fn describe(reply: &mut Reply<'_>, row: &'static Command) {
    reply.array(10);
    reply.bulk(row.name.as_bytes());
    reply.integer(row.arity.into());
    simple_set(reply, named(flag::NAMES, |bit| row.all_flags() & bit != 0));
    let range = row.key_range();
    for number in [range.first, range.last, range.step] {
        reply.integer(number.into());
    }
    let categories = named(acl::NAMES, |bit| row.acl_categories() & bit != 0);
    simple_set(reply, categories.map(|name| format!("@{name}")));
    reply.set(row.tips.len());
    row.tips.iter().for_each(|tip| reply.bulk(tip.as_bytes()));
    reply.set(row.keys.len());
    row.keys.iter().for_each(|spec| describe_keys(reply, spec));
    match row.subcommands.len() {
        0 => reply.set(0),
        len => reply.array(len),
    }
    row.subcommands.iter().for_each(|sub| describe(reply, sub));
}

fn describe_keys(reply: &mut Reply<'_>, spec: &KeySpec) {
    reply.map(if spec.notes.is_empty() { 3 } else { 4 });
    if !spec.notes.is_empty() {
        text(reply, "notes", spec.notes);
    }
    reply.bulk(b"flags");
    key_flags(reply, spec.flags);
    reply.bulk(b"begin_search");
    match spec.begin {
        Begin::Index(index) => search(reply, "index", &[("index", index.into())]),
        Begin::Keyword { word, from } => {
            typed_spec(reply, "keyword", 2);
            text(reply, "keyword", word);
            number(reply, "startfrom", from.into());
        }
        Begin::Unknown => search(reply, "unknown", &[]),
    }
    reply.bulk(b"find_keys");
    match spec.find {
        Find::Range { last, step, limit } => {
            let fields = [
                ("lastkey", last.into()),
                ("keystep", step.into()),
                ("limit", limit.into()),
            ];
            search(reply, "range", &fields);
        }
        Find::KeyNum { count, first, step } => {
            let fields = [
                ("keynumidx", count.into()),
                ("firstkey", first.into()),
                ("keystep", step.into()),
            ];
            search(reply, "keynum", &fields);
        }
        Find::Unknown => search(reply, "unknown", &[]),
    }
}

fn search(reply: &mut Reply<'_>, kind: &str, fields: &[(&str, i64)]) {
    typed_spec(reply, kind, fields.len());
    fields
        .iter()
        .for_each(|(name, value)| number(reply, name, *value));
}

/// Opens `type` and `spec`, a map of `fields` fields.
fn typed_spec(reply: &mut Reply<'_>, kind: &str, fields: usize) {
    reply.map(2);
    text(reply, "type", kind);
    reply.bulk(b"spec");
    reply.map(fields);
}

command! { COMMAND_COUNT =
    name: "command|count", run: command_count, arity: 2, flags: LOADING | STALE,
    categories: CONNECTION, group: Group::Server, since: "2.8.13", complexity: "O(1)",
    summary: "Returns a count of commands.",
}

fn command_count(c: &mut Call<'_>) -> Outcome {
    c.reply.integer(c.server.commands.commands().count() as i64);
    Ok(())
}

command! { COMMAND_LIST =
    name: "command|list", run: command_list, arity: -2, flags: LOADING | STALE,
    categories: CONNECTION, group: Group::Server, since: "7.0.0",
    complexity: "O(N) where N is the total number of commands",
    summary: "Returns a list of command names.",
    syntax: "[FILTERBY filterby(MODULE module-name<string>|ACLCAT category<string>|\
        PATTERN pattern<pattern>)]",
    tips: &["nondeterministic_output_order"],
}

fn command_list(c: &mut Call<'_>) -> Outcome {
    let filter = Filter::parse(c.args)?;
    let rows = c
        .server
        .commands
        .callable()
        .filter(|row| filter.passes(row));
    let names: Vec<_> = rows.map(|row| row.name).collect();
    c.reply.array(names.len());
    names.iter().for_each(|name| c.reply.bulk(name.as_bytes()));
    Ok(())
}

/// Which rows COMMAND LIST names.
enum Filter<'a> {
    Everything,
    /// There are no modules.
    Module,
    /// Any of these categories; none if the client's is not known.
    Categories(Categories),
    Pattern(&'a [u8]),
}

impl<'a> Filter<'a> {
    fn parse(args: Args<'a>) -> Result<Self, Fault> {
        match args.len() {
            2 => return Ok(Filter::Everything),
            5 if args.is(2, "filterby") => {}
            _ => return Err(Fault::Syntax),
        }
        let value = args.at(4);
        if args.is(3, "module") {
            Ok(Filter::Module)
        } else if args.is(3, "aclcat") {
            let is_it = |(_, name): &&(_, &str)| name.as_bytes().eq_ignore_ascii_case(value);
            Ok(Filter::Categories(
                acl::NAMES.iter().find(is_it).map_or(0, |(bit, _)| *bit),
            ))
        } else if args.is(3, "pattern") {
            Ok(Filter::Pattern(value))
        } else {
            Err(Fault::Syntax)
        }
    }

    fn passes(&self, row: &Command) -> bool {
        match self {
            Filter::Everything => true,
            Filter::Module => false,
            Filter::Categories(set) => row.acl_categories() & set != 0,
            Filter::Pattern(pattern) => glob::matches_nocase(pattern, row.name.as_bytes()),
        }
    }
}

command! { COMMAND_DOCS =
    name: "command|docs", run: command_docs, arity: -2, flags: LOADING | STALE,
    categories: CONNECTION, group: Group::Server, since: "7.0.0",
    complexity: "O(N) where N is the number of commands to look up",
    summary: "Returns documentary information about one, multiple or all commands.",
    syntax: "[command-name<string>...]", tips: &["nondeterministic_output_order"],
}

fn command_docs(c: &mut Call<'_>) -> Outcome {
    let names = c.args.from(2);
    let rows: Vec<_> = if names.len() == 0 {
        c.server.commands.commands().collect()
    } else {
        names
            .iter()
            .filter_map(|name| c.server.commands.find_name(name))
            .collect()
    };
    document_all(&mut c.reply, &rows);
    Ok(())
}

fn document_all(reply: &mut Reply<'_>, rows: &[&'static Command]) {
    reply.map(rows.len());
    for row in rows {
        reply.bulk(row.name.as_bytes());
        document(reply, row);
    }
}

fn document(reply: &mut Reply<'_>, row: &'static Command) {
    let mut fields = Fields::open(reply);
    fields.text("summary", row.summary);
    fields.text("since", row.since);
    fields.text("group", row.group.name());
    fields.text("complexity", row.complexity);
    let doc_flags = [
        (row.deprecated.is_some(), "deprecated"),
        (row.is(SYSCMD), "syscmd"),
    ];
    fields.flags("doc_flags", &doc_flags);
    if let Some(deprecated) = &row.deprecated {
        fields.text("deprecated_since", deprecated.since);
        fields.text("replaced_by", deprecated.replaced_by);
    }
    if !row.history.is_empty() {
        let reply = fields.field("history");
        reply.set(row.history.len());
        for (since, change) in row.history {
            reply.array(2);
            reply.bulk(since.as_bytes());
            reply.bulk(change.as_bytes());
        }
    }
    document_arguments(&mut fields, &row.arguments());
    if !row.subcommands.is_empty() {
        document_all(fields.field("subcommands"), row.subcommands);
    }
    fields.close();
}

fn document_arguments(fields: &mut Fields<'_, '_>, arguments: &[Argument<'_>]) {
    if arguments.is_empty() {
        return;
    }
    let reply = fields.field("arguments");
    reply.array(arguments.len());
    arguments
        .iter()
        .for_each(|argument| document_argument(reply, argument));
}

fn document_argument(reply: &mut Reply<'_>, argument: &Argument<'_>) {
    let mut fields = Fields::open(reply);
    fields.text("name", &argument.name);
    fields.text("type", argument.kind.name());
    if !argument.kind.is_group() {
        fields.text("display_text", &argument.display_text);
    }
    if let Some(spec) = argument.key_spec {
        fields.field("key_spec_index").integer(spec.into());
    }
    if let Some(token) = argument.token {
        fields.field("token").bulk(token.as_bytes());
    }
    fields.text("since", argument.since.unwrap_or_default());
    fields.text(
        "deprecated_since",
        argument.deprecated_since.unwrap_or_default(),
    );
    let flags = [
        (argument.optional, "optional"),
        (argument.multiple, "multiple"),
        (argument.multiple_token, "multiple_token"),
    ];
    fields.flags("flags", &flags);
    document_arguments(&mut fields, &argument.arguments);
    fields.close();
}

/// A map of the fields that are there.
struct Fields<'r, 'a> {
    reply: &'r mut Reply<'a>,
    map: Deferred,
    len: usize,
}

impl<'r, 'a> Fields<'r, 'a> {
    fn open(reply: &'r mut Reply<'a>) -> Self {
        let map = reply.deferred_map();
        Self { reply, map, len: 0 }
    }

    /// The name of a field whose value follows.
    fn field(&mut self, name: &str) -> &mut Reply<'a> {
        self.len += 1;
        self.reply.bulk(name.as_bytes());
        self.reply
    }

    fn text(&mut self, name: &str, value: &str) {
        if !value.is_empty() {
            self.field(name).bulk(value.as_bytes());
        }
    }

    fn flags(&mut self, name: &str, flags: &[(bool, &'static str)]) {
        let set = flags
            .iter()
            .filter(|(is_set, _)| *is_set)
            .map(|(_, name)| *name);
        if set.clone().next().is_some() {
            simple_set(self.field(name), set);
        }
    }

    fn close(self) {
        self.reply.close(self.map, self.len);
    }
}

command! { COMMAND_GETKEYS =
    name: "command|getkeys", run: command_getkeys, arity: -3, flags: LOADING | STALE,
    categories: CONNECTION, group: Group::Server, since: "2.8.13",
    complexity: "O(N) where N is the number of arguments to the command",
    summary: "Extracts the key names from an arbitrary command.",
    syntax: "command<string> [arg<string>...]",
}

fn command_getkeys(c: &mut Call<'_>) -> Outcome {
    let keys = keys_of_call(c)?;
    c.reply.array(keys.len());
    for key in keys {
        c.reply.bulk(c.args.at(2 + key.index));
    }
    Ok(())
}

command! { COMMAND_GETKEYSANDFLAGS =
    name: "command|getkeysandflags", run: command_getkeysandflags, arity: -3,
    flags: LOADING | STALE, categories: CONNECTION, group: Group::Server, since: "7.0.0",
    complexity: "O(N) where N is the number of arguments to the command",
    summary: "Extracts the key names and access flags for an arbitrary command.",
    syntax: "command<string> [arg<string>...]",
}

fn command_getkeysandflags(c: &mut Call<'_>) -> Outcome {
    let keys = keys_of_call(c)?;
    c.reply.array(keys.len());
    for key in keys {
        c.reply.array(2);
        c.reply.bulk(c.args.at(2 + key.index));
        key_flags(&mut c.reply, key.flags);
    }
    Ok(())
}

/// The keys of the call that begins at argument 2.
fn keys_of_call(c: &Call<'_>) -> Result<Vec<KeyAt>, Fault> {
    let args = c.args.from(2);
    let row = c
        .server
        .commands
        .find_any_arity(args)
        .ok_or(Fault::InvalidCommand)?;
    if row.keys.iter().all(|spec| spec.flags & NOT_KEY != 0) {
        return Err(Fault::NoKeyArguments);
    }
    if !row.accepts(args.len()) {
        return Err(Fault::InvalidArgumentCount);
    }
    match keys_of(row, args).collect::<Result<Vec<_>, _>>() {
        Ok(keys) if !keys.is_empty() => Ok(keys
            .into_iter()
            .filter(|key| key.flags & NOT_KEY == 0)
            .collect()),
        Ok(_) | Err(Unclear) if row.is(NO_MANDATORY_KEYS) => Ok(Vec::new()),
        Ok(_) | Err(Unclear) => Err(Fault::InvalidArguments),
    }
}

command! { COMMAND_HELP =
    name: "command|help", run: help, arity: 2, flags: LOADING | STALE, categories: CONNECTION,
    group: Group::Server, since: "5.0.0", complexity: "O(1)",
    summary: "Returns helpful text about the different subcommands.",
}

/// HELP of any container: how its subcommands are called, and their summaries.
pub fn help(c: &mut Call<'_>) -> Outcome {
    let container = c.command.container_name();
    let container = c
        .server
        .commands
        .find_name(container.as_bytes())
        .expect("a container is a row");
    let title = container.name.to_uppercase();
    let mut lines = vec![format!(
        "{title} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
    )];
    if container.accepts(1) {
        lines.extend(["(no subcommand)".to_owned(), indented(container.summary)]);
    }
    for sub in container
        .subcommands
        .iter()
        .filter(|sub| sub.own_name() != "help")
    {
        let usage = sub.usage();
        lines.extend([usage[title.len() + 1..].to_owned(), indented(sub.summary)]);
    }
    lines.extend(["HELP".to_owned(), indented("Print this help.")]);
    c.reply.array(lines.len());
    lines.iter().for_each(|line| c.reply.simple(line));
    Ok(())
}

fn indented(text: &str) -> String {
    format!("    {text}")
}

fn key_flags(reply: &mut Reply<'_>, flags: keys::KeyFlags) {
    simple_set(reply, named(keys::NAMES, |bit| flags & bit != 0));
}

/// The names of the flags for which `is_set` holds.
fn named<T: Copy>(
    names: &[(T, &'static str)],
    is_set: impl Fn(T) -> bool + Clone,
) -> impl Iterator<Item = &'static str> + Clone {
    names
        .iter()
        .filter(move |(bit, _)| is_set(*bit))
        .map(|(_, name)| *name)
}

fn simple_set(reply: &mut Reply<'_>, names: impl Iterator<Item: AsRef<[u8]>> + Clone) {
    reply.set(names.clone().count());
    names.for_each(|name| reply.simple(name));
}

fn text(reply: &mut Reply<'_>, name: &str, value: &str) {
    reply.bulk(name.as_bytes());
    reply.bulk(value.as_bytes());
}

fn number(reply: &mut Reply<'_>, name: &str, value: i64) {
    reply.bulk(name.as_bytes());
    reply.integer(value);
}
