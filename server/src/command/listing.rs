//! The README's list of commands, written from the rows.

use std::fmt::Write;

use super::{Command, Group};

/// Between these lines the README belongs to [`render`].
pub const BEGIN: &str = "<!-- commands: begin -->\n";
pub const END: &str = "<!-- commands: end -->\n";

/// A table of groups in Markdown, the commands of each in alphabetical order, subcommands behind their container.
pub fn render(families: &[&[&'static Command]]) -> String {
    let mut text = "| group | commands |\n|---|---|\n".to_owned();
    for group in Group::ALL {
        let rows = families
            .iter()
            .copied()
            .flatten()
            .filter(|row| row.group == group);
        let mut names: Vec<_> = rows.map(|row| entry(row)).collect();
        names.sort();
        if !names.is_empty() {
            writeln!(text, "| {} | {} |", group.name(), names.join(", "))
                .expect("a String takes all");
        }
    }
    text
}

/// `readme` with the current list between the two lines; `None` if it does not have them.
pub fn refresh(readme: &str, families: &[&[&'static Command]]) -> Option<String> {
    let (before, rest) = readme.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}{}{END}{after}", render(families)))
}

/// `CONFIG (GET, SET)`
fn entry(row: &Command) -> String {
    let mut subcommands: Vec<_> = row
        .subcommands
        .iter()
        .map(|sub| sub.own_name().to_uppercase())
        .collect();
    subcommands.sort();
    let name = row.name.to_uppercase();
    if subcommands.is_empty() {
        name
    } else {
        format!("{name} ({})", subcommands.join(", "))
    }
}
