//! The sample file, `ostraka.conf`: every row that is not hidden, with its doc and default, all of it commented out.

use super::row::{Initial, Row, Section};
use super::table;

const HEAD: &str = "\
# Ostraka configuration.
#
#   ostraka /path/to/ostraka.conf [--directive value ...]
#
# The syntax is that of redis.conf, and so are the names. Everything here is commented out and shows the default:
# remove the # in front of a directive to change it. Sizes take units in any case: 1k is 1000 bytes, 1kb 1024, and
# so on with m, mb, g, gb. Values with spaces or special characters stand in double quotes, with \\n, \\\" and \\xHH.
#
# Another file can be read in place, several with a glob. What is read last wins:
#
#include /path/to/local.conf
#include /path/to/fragments/*.conf
";

const RESERVED: &str = "\
# Known, but not built yet
#
# These directives of Redis 8 and Valkey 9 are accepted, kept and reported by CONFIG GET. They have no effect, and a
# start with one of them in use says so in the log.
";

/// The text of the sample file.
pub fn render() -> String {
    let mut text = HEAD.to_owned();
    for section in Section::ALL {
        text.push_str(&built(*section));
    }
    text.push_str(&format!("\n\n{RULE}\n{RESERVED}"));
    for section in Section::ALL {
        text.push_str(&reserved(*section));
    }
    text
}

const RULE: &str =
    "# ------------------------------------------------------------------------------";

fn rows(section: Section, built: bool) -> impl Iterator<Item = &'static Row> {
    table::rows().filter(move |row| row.section == section && row.built == built && !row.hidden)
}

fn built(section: Section) -> String {
    let rows: String = rows(section, true)
        .map(|row| format!("\n{}{}\n", doc(row), directive(row)))
        .collect();
    if rows.is_empty() {
        rows
    } else {
        format!("\n\n{RULE}\n# {}\n{rows}", section.title())
    }
}

fn reserved(section: Section) -> String {
    let rows: String = rows(section, false)
        .map(|row| directive(row) + "\n")
        .collect();
    if rows.is_empty() {
        rows
    } else {
        format!("\n# {}\n{rows}", section.title())
    }
}

fn doc(row: &Row) -> String {
    row.doc.iter().map(|line| format!("#{line}\n")).collect()
}

/// The line that sets the default, commented out. Where the default depends on the machine, an example stands for it.
fn directive(row: &Row) -> String {
    let value = match row.default {
        Initial::Is("") => "\"\"".to_owned(),
        Initial::Is(text) if text.contains(['{', '$']) => format!("\"{text}\""),
        Initial::Is(text) => text.to_owned(),
        Initial::Cores => "4".to_owned(),
        Initial::WorkingDirectory => "./".to_owned(),
    };
    format!("#{} {value}", row.name)
}
