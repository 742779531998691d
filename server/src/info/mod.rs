//! INFO: what the server tells about itself, in sections of `field:value` lines.
//!
//! ```text
//! # Server\r\n               a section; an empty line between two
//! redis_version:7.2.4\r\n    a field
//! ```
//! A section is a file here and a row of [`SECTIONS`]; a field is one row of its section: its name and how it is
//! computed from the [`Facts`]. Order and formats are Redis', because monitoring tools parse them. What is not built
//! yet reports Redis' idle value; nothing is made up.

mod clients;
mod commands;
mod cpu;
mod facts;
mod keyspace;
mod memory;
mod ostraka;
mod persistence;
mod replication;
mod server;
mod stats;
mod threads;

use std::fmt::{self, Display};

pub use facts::{Facts, Keys, MemoryUse};

use crate::call::Args;
use crate::command::Reach;

/// One line of a section.
pub struct Field {
    name: &'static str,
    write: fn(&Facts<'_>, &mut String) -> fmt::Result,
}

/// Declares the fields of a section: `fields! { facts => "name" = expression, ... }`.
macro_rules! fields {
    ($facts:ident => $($name:literal = $value:expr,)*) => {
        #[allow(unused_variables, reason = "a constant needs no facts")]
        pub static FIELDS: &[$crate::info::Field] = &[$($crate::info::Field {
            name: $name,
            write: |$facts, text| std::fmt::Write::write_fmt(text, format_args!("{}", $value)),
        }),*];
    };
}
use fields;

/// Which questions a section is an answer to, besides its own name.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    /// INFO without arguments, and everything below.
    ByDefault,
    /// `INFO all`, `INFO everything`.
    ForAll,
}

struct Section {
    name: &'static str,
    title: &'static str,
    asked: Asked,
    /// It cannot be told without looking into all cells.
    counts_keys: bool,
    fields: &'static [Field],
    /// Lines that are not fixed in number.
    lines: Option<fn(&Facts<'_>, &mut String)>,
}

impl Section {
    const fn new(name: &'static str, title: &'static str, fields: &'static [Field]) -> Self {
        Self {
            name,
            title,
            asked: Asked::ByDefault,
            counts_keys: false,
            fields,
            lines: None,
        }
    }

    const fn lines(self, lines: fn(&Facts<'_>, &mut String)) -> Self {
        Self {
            lines: Some(lines),
            ..self
        }
    }

    const fn counts_keys(self) -> Self {
        Self {
            counts_keys: true,
            ..self
        }
    }

    const fn for_all(self) -> Self {
        Self {
            asked: Asked::ForAll,
            ..self
        }
    }

    /// Whether `word` asks for this section.
    fn answers(&self, word: &[u8]) -> bool {
        let is = |name: &str| word.eq_ignore_ascii_case(name.as_bytes());
        is(self.name)
            || is("all")
            || is("everything")
            || self.asked == Asked::ByDefault && is("default")
    }

    fn write(&self, facts: &Facts<'_>, text: &mut String) {
        text.push_str("# ");
        text.push_str(self.title);
        text.push_str("\r\n");
        for field in self.fields {
            text.push_str(field.name);
            text.push(':');
            (field.write)(facts, text).expect(TO_MEMORY);
            text.push_str("\r\n");
        }
        if let Some(lines) = self.lines {
            lines(facts, text);
        }
    }
}

const TO_MEMORY: &str = "writing to memory does not fail";

static SECTIONS: &[Section] = &[
    Section::new("server", "Server", server::FIELDS).lines(server::listeners),
    Section::new("clients", "Clients", clients::FIELDS).counts_keys(),
    Section::new("memory", "Memory", memory::FIELDS).counts_keys(),
    Section::new("persistence", "Persistence", persistence::FIELDS).counts_keys(),
    Section::new("threads", "Threads", &[]).lines(threads::loops),
    Section::new("stats", "Stats", stats::FIELDS),
    Section::new("replication", "Replication", replication::FIELDS),
    Section::new("cpu", "CPU", cpu::FIELDS),
    Section::new("modules", "Modules", &[]),
    Section::new("commandstats", "Commandstats", &[])
        .lines(commands::calls)
        .for_all(),
    Section::new("errorstats", "Errorstats", &[]).lines(commands::errors),
    Section::new("latencystats", "Latencystats", &[])
        .lines(commands::latencies)
        .for_all(),
    Section::new("cluster", "Cluster", replication::CLUSTER),
    Section::new("keyspace", "Keyspace", &[])
        .lines(keyspace::databases)
        .counts_keys(),
    Section::new("ostraka", "Ostraka", ostraka::FIELDS),
];

/// The sections that `words` ask for, each once, in their order. No words ask for the default ones.
fn wanted<'a>(words: Args<'a>) -> impl Iterator<Item = &'static Section> + 'a {
    SECTIONS.iter().filter(move |section| {
        if words.len() == 0 {
            return section.answers(b"default");
        }
        words.iter().any(|word| section.answers(word))
    })
}

/// The cells that INFO needs: all of them, or none.
pub fn reach(args: Args<'_>) -> Reach {
    if wanted(args.from(1)).any(|section| section.counts_keys) {
        Reach::All
    } else {
        Reach::None
    }
}

/// The answer to INFO with these arguments, without the command's name.
pub fn text(words: Args<'_>, facts: &Facts<'_>) -> String {
    let mut text = String::with_capacity(8 * 1024);
    for section in wanted(words) {
        if !text.is_empty() {
            text.push_str("\r\n");
        }
        section.write(facts, &mut text);
    }
    text
}

// ---- how values are written

/// A number of bytes for humans: `1.50M`.
pub struct Human(pub u64);

impl Display for Human {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1024 {
            return write!(f, "{}B", self.0);
        }
        let mut value = self.0 as f64 / 1024.0;
        let mut unit = 0;
        while value >= 1024.0 && unit < 4 {
            value /= 1024.0;
            unit += 1;
        }
        write!(f, "{value:.2}{}", ["K", "M", "G", "T", "P"][unit])
    }
}

/// One number divided by another, 0 if that cannot be done.
pub fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// With two digits behind the point.
struct Fixed2(f64);

impl Display for Fixed2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}", self.0)
    }
}

/// A share as a percentage.
struct Percent(f64);

impl Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.2}%", self.0 * 100.0)
    }
}

/// The difference of two sizes, which may be negative.
pub fn excess(more: u64, less: u64) -> i64 {
    more as i64 - less as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_redis_writes_them() {
        let text = |bytes| Human(bytes).to_string();
        assert_eq!(text(0), "0B");
        assert_eq!(text(1023), "1023B");
        assert_eq!(text(1024), "1.00K");
        assert_eq!(text(916_376), "894.90K");
        assert_eq!(text(25_276_510_208), "23.54G");
        assert_eq!(text(u64::MAX), "16384.00P");
    }
}
