//! The whole table of rows and the way from a name to its row.
//!
//! Positions in this table are positions in `Settings::values`: built rows first, because fields are numbered by
//! them, then reserved ones.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::reserved::RESERVED;
use super::row::{Machine, Row};
use super::settings::{BUILT, Settings};
use super::value::Value;

/// All rows, in the order of the values.
pub fn rows() -> impl Iterator<Item = &'static Row> {
    BUILT.iter().chain(RESERVED)
}

pub(super) fn row(at: usize) -> &'static Row {
    BUILT.get(at).unwrap_or_else(|| &RESERVED[at - BUILT.len()])
}

/// Positions sorted by section: the order of CONFIG GET and of the sample file.
pub(super) fn by_section() -> &'static [usize] {
    static ORDER: LazyLock<Vec<usize>> = LazyLock::new(|| {
        let mut order: Vec<usize> = (0..rows().count()).collect();
        order.sort_by_key(|at| row(*at).section as usize);
        order
    });
    &ORDER
}

/// The row of a name or alias, in any case, and its position.
pub(super) fn find(name: &[u8]) -> Option<(usize, &'static Row)> {
    static BY_NAME: LazyLock<BTreeMap<&str, usize>> = LazyLock::new(|| {
        rows()
            .enumerate()
            .flat_map(|(at, row)| row.names().map(move |name| (name, at)))
            .collect()
    });
    let name = std::str::from_utf8(name).ok()?.to_ascii_lowercase();
    let at = *BY_NAME.get(name.as_str())?;
    Some((at, row(at)))
}

/// The row of a name or alias, in any case.
pub fn lookup(name: &[u8]) -> Option<&'static Row> {
    find(name).map(|(_, row)| row)
}

impl Settings {
    /// What holds if nobody says anything.
    pub fn defaults(machine: &Machine) -> Settings {
        let values: Vec<Value> = rows().map(|row| row.default_value(machine)).collect();
        Settings::new(values.clone(), values.into())
    }

    /// These settings with other values.
    pub(super) fn with(&self, values: Vec<Value>) -> Settings {
        Settings::new(values, self.defaults.clone())
    }

    /// What CONFIG GET says about a directive of the table. For rows without a field.
    pub fn get(&self, name: &str) -> Vec<u8> {
        let (at, row) = find(name.as_bytes()).unwrap_or_else(|| panic!("no directive {name}"));
        row.kind.print(&self.values[at])
    }
}
