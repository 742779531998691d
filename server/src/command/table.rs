//! The table of commands: from a name as a client writes it to its row.
//!
//! ```text
//! slot  = first 8 bytes | last 8 bytes | length | row      names in lower case, shorter ones padded with 0
//! place = multiplicative hash of both words; collisions go to the next slot; at most a quarter is taken
//! ```
//! A lookup folds case eight bytes at a time, reads one slot and allocates nothing. Names of up to 16 bytes are decided
//! by the two words alone: 5 ns among 246 commands. Subcommands are few; they are searched in their container.

use super::Command;
use crate::call::{Args, Fault};
use crate::config::{Rename, StartError};

/// Odd, and random otherwise: 2^64 divided by the golden ratio.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// Bytes of a request that an error repeats.
const SHOWN_MAX: usize = 128;

/// Rows by name. Each command and subcommand has an id: its position in [`Table::rows`].
pub struct Table {
    rows: Vec<&'static Command>,
    slots: Box<[Slot]>,
    /// What `rename-command` did: the name that a command is called by now, or that it cannot be called.
    renamed: Vec<(&'static Command, Option<Vec<u8>>)>,
}

#[derive(Clone, Copy, Default)]
struct Slot {
    name: Packed,
    row: Option<&'static Command>,
}

/// A name of up to 16 bytes, folded to lower case; of a longer one, what fits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Packed {
    head: u64,
    tail: u64,
    len: usize,
}

impl Packed {
    #[inline]
    fn new(name: &[u8]) -> Packed {
        let (head, tail) = match (name.first_chunk::<8>(), name.last_chunk::<8>()) {
            (Some(head), Some(tail)) => (word(*head), word(*tail)),
            _ => (lower_case(short_word(name)), 0),
        };
        let len = name.len();
        Packed { head, tail, len }
    }

    #[inline]
    fn hash(&self) -> usize {
        let mixed = (self.head ^ self.tail.rotate_left(29)).wrapping_mul(SPREAD);
        (mixed >> 32) as usize
    }
}

#[inline]
fn word(bytes: [u8; 8]) -> u64 {
    lower_case(u64::from_le_bytes(bytes))
}

/// Up to seven bytes: two loads, which overlap.
#[inline]
fn short_word(name: &[u8]) -> u64 {
    let len = name.len();
    if let (Some(head), Some(tail)) = (name.first_chunk::<4>(), name.last_chunk::<4>()) {
        let (head, tail) = (u32::from_le_bytes(*head), u32::from_le_bytes(*tail));
        return u64::from(head) | u64::from(tail) << (8 * (len - 4));
    }
    if let (Some(head), Some(tail)) = (name.first_chunk::<2>(), name.last_chunk::<2>()) {
        let (head, tail) = (u16::from_le_bytes(*head), u16::from_le_bytes(*tail));
        return u64::from(head) | u64::from(tail) << (8 * (len - 2));
    }
    name.first().map_or(0, |only| u64::from(*only))
}

/// ASCII letters to lower case, in all eight bytes at once.
#[inline]
fn lower_case(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    let low_bits = word & (ONES * 0x7f);
    // The high bit of each byte says: at least 'A'; more than 'Z'.
    let from_a = low_bits + ONES * (0x80 - b'A' as u64);
    let past_z = low_bits + ONES * (0x7f - b'Z' as u64);
    let upper = (from_a & !past_z & !word) & (ONES * 0x80);
    word | upper >> 2
}

impl Table {
    /// The rows of all families and their subcommands. Panics if a name occurs twice.
    pub fn new(families: &[&[&'static Command]]) -> Table {
        let commands = families.iter().map(|family| family.len()).sum::<usize>();
        let slots = vec![Slot::default(); (4 * commands).next_power_of_two()].into_boxed_slice();
        let mut table = Table {
            rows: Vec::new(),
            slots,
            renamed: Vec::new(),
        };
        for row in families.iter().copied().flatten() {
            assert!(
                table.named(row.name.as_bytes()).is_none(),
                "two rows are named {}",
                row.name
            );
            table.insert(row.name.as_bytes(), row);
            table.number(row);
            row.subcommands.iter().for_each(|sub| table.number(sub));
        }
        table
    }

    /// The same after the `rename-command` lines of a configuration, one after the other.
    pub fn configured(
        families: &[&[&'static Command]],
        renames: &[Rename],
    ) -> Result<Table, StartError> {
        let mut table = Table::new(families);
        for rename in renames {
            table
                .rename(&rename.from, &rename.to)
                .map_err(|reason| rename.refused(reason))?;
        }
        Ok(table)
    }

    /// Has a command called by another name from now on, or not at all if that is empty. What it is called in replies
    /// about commands stays as it is.
    fn rename(&mut self, from: &[u8], to: &[u8]) -> Result<(), &'static str> {
        let row = self
            .named(from)
            .ok_or("No such command in rename-command")?;
        if !to.is_empty()
            && self
                .named(to)
                .is_some_and(|other| !std::ptr::eq(other, row))
        {
            return Err("Target command name already exists");
        }
        self.renamed.retain(|(other, _)| !std::ptr::eq(*other, row));
        self.renamed
            .push((row, (!to.is_empty()).then(|| to.to_vec())));
        self.slots.fill(Slot::default());
        let rows: Vec<_> = self.commands().collect();
        for row in rows {
            let name = self.name_of(row).to_vec();
            self.insert(&name, row);
        }
        Ok(())
    }

    fn renamed(&self, row: &Command) -> Option<&Option<Vec<u8>>> {
        let found = self
            .renamed
            .iter()
            .find(|(other, _)| std::ptr::eq(*other, row));
        found.map(|(_, name)| name)
    }

    /// The name that a command is called by.
    fn name_of<'a>(&'a self, row: &'a Command) -> &'a [u8] {
        match self.renamed(row) {
            Some(Some(name)) => name,
            _ => row.name.as_bytes(),
        }
    }

    fn number(&mut self, row: &'static Command) {
        row.set_id(self.rows.len());
        self.rows.push(row);
    }

    fn insert(&mut self, name: &[u8], row: &'static Command) {
        let packed = Packed::new(name);
        let mut place = packed.hash() & (self.slots.len() - 1);
        while self.slots[place].row.is_some() {
            place = (place + 1) & (self.slots.len() - 1);
        }
        self.slots[place] = Slot {
            name: packed,
            row: Some(row),
        };
    }

    /// Commands and subcommands.
    #[expect(clippy::len_without_is_empty, reason = "there is always a command")]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Commands and subcommands by id; subcommands follow their container.
    pub fn rows(&self) -> &[&'static Command] {
        &self.rows
    }

    /// The commands that can be called, without the subcommands.
    pub fn commands(&self) -> impl Iterator<Item = &'static Command> + '_ {
        let callable = |row: &&'static Command| self.renamed(row) != Some(&None);
        let commands = self.rows.iter().copied().filter(|row| !row.is_subcommand());
        commands.filter(callable)
    }

    /// Those and their subcommands.
    pub fn callable(&self) -> impl Iterator<Item = &'static Command> + '_ {
        self.commands()
            .flat_map(|row| std::iter::once(row).chain(row.subcommands.iter().copied()))
    }

    /// The row of a call; `None` if it is unknown or has a wrong number of arguments, see [`Table::refusal`].
    #[inline]
    pub fn find(&self, args: Args<'_>) -> Option<&'static Command> {
        self.find_any_arity(args)
            .filter(|row| row.accepts(args.len()))
    }

    /// As [`Table::find`], however many arguments there are.
    #[inline]
    pub fn find_any_arity(&self, args: Args<'_>) -> Option<&'static Command> {
        let row = self.named(args.at(0))?;
        if row.subcommands.is_empty() || args.len() < 2 {
            Some(row)
        } else {
            row.subcommand(args.at(1))
        }
    }

    /// The row of a name such as `get` or `config|get`, in any case.
    pub fn find_name(&self, name: &[u8]) -> Option<&'static Command> {
        match name.iter().position(|&byte| byte == b'|') {
            Some(bar) => self.named(&name[..bar])?.subcommand(&name[bar + 1..]),
            None => self.named(name),
        }
    }

    #[inline]
    fn named(&self, name: &[u8]) -> Option<&'static Command> {
        let packed = Packed::new(name);
        let mut place = packed.hash();
        loop {
            let slot = &self.slots[place & (self.slots.len() - 1)];
            let row = slot.row?;
            if slot.name == packed
                && (name.len() <= 16 || self.name_of(row).eq_ignore_ascii_case(name))
            {
                return Some(row);
            }
            place += 1;
        }
    }

    /// Why [`Table::find`] did not find it.
    #[cold]
    pub fn refusal(&self, args: Args<'_>) -> Fault {
        match (self.find_any_arity(args), self.named(args.at(0))) {
            (Some(row), _) => Fault::arity(row.name),
            (None, Some(container)) => Fault::err(format_args!(
                "unknown subcommand '{}'. Try {} HELP.",
                shown(args.at(1), SHOWN_MAX),
                container.name.to_uppercase()
            )),
            (None, None) => Fault::err(format_args!(
                "unknown command '{}', with args beginning with: {}",
                shown(args.at(0), SHOWN_MAX),
                beginning(args.from(1))
            )),
        }
    }
}

impl Command {
    /// The subcommand of this name without its container's, in any case.
    pub fn subcommand(&self, own_name: &[u8]) -> Option<&'static Command> {
        let is_it =
            |sub: &&'static Command| sub.own_name().as_bytes().eq_ignore_ascii_case(own_name);
        self.subcommands.iter().copied().find(is_it)
    }
}

/// What an error repeats of an argument: no more than `max` bytes, and nothing after a NUL.
fn shown(arg: &[u8], max: usize) -> String {
    let text = arg.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(&text[..text.len().min(max)]).into_owned()
}

/// The arguments in quotes, as many as begin within the first 128 bytes.
fn beginning(args: Args<'_>) -> String {
    let mut text = String::new();
    for arg in args.iter() {
        let room = SHOWN_MAX.saturating_sub(text.len());
        if room == 0 {
            break;
        }
        text += &format!("'{}' ", shown(arg, room));
    }
    text
}
