//! The commands, one file per family: each row beside its function.

pub mod client;
pub mod connection;
pub mod monitor;
pub mod string;

use crate::call::Args;
use crate::command::Command;
use crate::fault::Fault;

/// Every row, family by family.
static FAMILIES: &[&[&Command]] = &[
    client::ROWS,
    connection::ROWS,
    monitor::ROWS,
    string::ROWS,
];

/// Longest name that is looked for.
const NAME_MAX: usize = 32;

/// Rows by name. Each command and subcommand has an id: its position in [`Table::rows`].
pub struct Table {
    rows: Vec<&'static Command>,
    by_name: hashbrown::HashMap<&'static [u8], &'static Command, foldhash::fast::FixedState>,
}

impl Table {
    #[expect(
        clippy::new_without_default,
        reason = "there is one table, and it is not empty"
    )]
    pub fn new() -> Self {
        let mut table = Self {
            rows: Vec::new(),
            by_name: hashbrown::HashMap::default(),
        };
        for row in FAMILIES.iter().copied().flatten() {
            table.add(row);
            row.subcommands.iter().for_each(|sub| table.add(sub));
        }
        table
    }

    fn add(&mut self, row: &'static Command) {
        row.set_id(self.rows.len());
        self.rows.push(row);
        self.by_name.insert(row.name.as_bytes(), row);
    }

    /// Commands and subcommands.
    #[expect(clippy::len_without_is_empty, reason = "there is always a command")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    pub fn rows(&self) -> &[&'static Command] {
        &self.rows
    }

    /// The row of a call; `None` if it is unknown or has a wrong number of arguments, see [`Table::refusal`].
    #[inline]
    pub fn find(&self, args: Args<'_>) -> Option<&'static Command> {
        let row = self.named(args.at(0))?;
        let row = if row.subcommands.is_empty() || args.len() < 2 {
            row
        } else {
            self.subcommand(row, args.at(1))?
        };
        row.accepts(args.len()).then_some(row)
    }

    #[inline]
    fn named(&self, name: &[u8]) -> Option<&'static Command> {
        let mut lower = [0u8; NAME_MAX];
        let lower = lower.get_mut(..name.len())?;
        for (to, from) in lower.iter_mut().zip(name) {
            *to = from.to_ascii_lowercase();
        }
        self.by_name.get(&*lower).copied()
    }

    fn subcommand(&self, container: &Command, name: &[u8]) -> Option<&'static Command> {
        container
            .subcommands
            .iter()
            .copied()
            .find(|sub| sub.own_name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Why [`Table::find`] did not find it.
    pub fn refusal(&self, args: Args<'_>) -> Fault {
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(128)]).into_owned();
        let Some(row) = self.named(args.at(0)) else {
            let rest: String = args
                .from(1)
                .iter()
                .map(|arg| format!("'{}' ", text(arg)))
                .collect();
            return Fault::err(format_args!(
                "unknown command '{}', with args beginning with: {rest}",
                text(args.at(0))
            ));
        };
        if row.subcommands.is_empty() || args.len() < 2 {
            return Fault::arity(row.name);
        }
        match self.subcommand(row, args.at(1)) {
            Some(sub) => Fault::arity(sub.name),
            None => Fault::err(format_args!(
                "unknown subcommand '{}'. Try {} HELP.",
                text(args.at(1)),
                row.name.to_uppercase()
            )),
        }
    }
}
