//! Kinds and values of directives: the one place where the text of a value is read and printed.
//!
//! A `Kind` says what a directive accepts, a `Value` is what was accepted. Every refusal is worded as Redis words
//! it, for clients and operators compare these texts. A value that was parsed is valid for good: nothing behind
//! this module checks it again. Parsing depends on its arguments alone, except that `dir` must exist on the disk.
//!
//! ```text
//! text --Kind::parse--> Value --Kind::print--> CONFIG GET
//!                             --Kind::lines--> the lines of a configuration file
//!                             --Field::of----> a plain field of `Settings`
//! ```

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::lists::{self, BindAddress, OutputLimits, Percentiles, SavePoint, ShutdownOptions};
use super::quote;
use crate::os::files;

/// Why a value was refused: the part of the error text after the directive's name.
pub type Reason = Cow<'static, str>;

#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    YesNo(bool),
    Integer(i128),
    Share(MemoryShare),
    /// Position in the names of `Kind::Choice`.
    Choice(usize),
    Text(Vec<u8>),
    Bind(Vec<BindAddress>),
    Save(Vec<SavePoint>),
    OutputLimits(OutputLimits),
    Percentiles(Percentiles),
    Shutdown(ShutdownOptions),
    OomScores([i32; 3]),
}

/// A limit on memory: bytes, or a share of `maxmemory`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemoryShare {
    Bytes(u64),
    Percent(u8),
}

#[derive(Clone, Copy)]
pub enum Kind {
    YesNo,
    /// A switch for something that cannot be switched on; the text is the refusal of `yes`.
    NeverYes(&'static str),
    Integer {
        min: i128,
        max: i128,
    },
    /// Any integer from 0 is accepted; what lies outside the range counts as its nearest end.
    Clamped {
        min: i128,
        max: i128,
    },
    /// Bytes, with an optional unit: `100mb`.
    Memory {
        min: i128,
        max: i128,
    },
    Share,
    Octal {
        max: i128,
    },
    /// One of these names, in any case.
    Choice(&'static [&'static str]),
    /// Free text that passes the check.
    Text(fn(&[u8]) -> Result<(), Reason>),
    /// Text that the function brings into its canonical form.
    Canonical(fn(&[u8]) -> Result<Vec<u8>, Reason>),
    /// An existing directory; kept as an absolute path.
    Directory,
    Bind,
    Save,
    OutputLimits,
    Percentiles,
    Shutdown,
    OomScores,
    /// `host port`, or nothing.
    ReplicaOf,
}

pub const WRONG_NUMBER: Reason = Cow::Borrowed("wrong number of arguments");

impl Kind {
    /// Reads the arguments of a directive. `old` is the value so far: some lists change it rather than replace it,
    /// and a relative `dir` starts from it. `again` says that this load met the directive before: save points add up.
    pub fn parse(&self, args: &[&[u8]], old: &Value, again: bool) -> Result<Value, Reason> {
        if self.is_list() {
            return self.parse_list(&words(args), old, again);
        }
        let [arg] = args else {
            return Err(WRONG_NUMBER);
        };
        Ok(match *self {
            Kind::YesNo => Value::YesNo(yes_no(arg)?),
            Kind::NeverYes(refusal) => match yes_no(arg)? {
                true => return Err(refusal.into()),
                false => Value::YesNo(false),
            },
            Kind::Integer { min, max } => Value::Integer(within(integer(arg)?, min, max)?),
            Kind::Clamped { min, max } => {
                Value::Integer(within(integer(arg)?, 0, i32::MAX.into())?.clamp(min, max))
            }
            Kind::Memory { min, .. } if min < 0 && *arg == b"-1" => Value::Integer(-1),
            Kind::Memory { min, max } => {
                let bytes = memory(arg).ok_or("argument must be a memory value")?;
                Value::Integer(within(bytes.into(), min, max)?)
            }
            Kind::Share => Value::Share(share(arg)?),
            Kind::Octal { max } => Value::Integer(octal(arg, max)?),
            Kind::Choice(names) => Value::Choice(chosen(arg, names)?),
            Kind::Text(check) => {
                check(arg)?;
                Value::Text(arg.to_vec())
            }
            Kind::Canonical(canonical) => Value::Text(canonical(arg)?),
            Kind::Directory => Value::Text(directory(arg, old)?),
            _ => unreachable!("lists were handled above"),
        })
    }

    fn parse_list(&self, words: &[&[u8]], old: &Value, again: bool) -> Result<Value, Reason> {
        Ok(match (self, old) {
            (Kind::Bind, _) => Value::Bind(lists::bind(words)?),
            (Kind::Save, Value::Save(before)) => {
                let before = if again { before.as_slice() } else { &[] };
                Value::Save(lists::save(words, before)?)
            }
            (Kind::OutputLimits, Value::OutputLimits(before)) => {
                Value::OutputLimits(lists::output_limits(words, *before)?)
            }
            (Kind::Percentiles, _) => Value::Percentiles(lists::percentiles(words)?),
            (Kind::Shutdown, _) => Value::Shutdown(lists::shutdown(words)?),
            (Kind::OomScores, _) => Value::OomScores(lists::oom_scores(words)?),
            (Kind::ReplicaOf, _) => Value::Text(lists::replica_of(words)?),
            _ => unreachable!("a list keeps its kind of value"),
        })
    }

    /// Takes several words per directive; one argument with spaces counts as several.
    fn is_list(&self) -> bool {
        matches!(
            self,
            Kind::Bind
                | Kind::Save
                | Kind::OutputLimits
                | Kind::Percentiles
                | Kind::Shutdown
                | Kind::OomScores
                | Kind::ReplicaOf
        )
    }

    /// What a list is before anything was said about it: the `old` of its default.
    pub(super) fn blank(&self) -> Value {
        match self {
            Kind::Save => Value::Save(Vec::new()),
            Kind::OutputLimits => Value::OutputLimits(OutputLimits::default()),
            _ => Value::Text(Vec::new()),
        }
    }

    /// The value as CONFIG GET reports it.
    pub fn print(&self, value: &Value) -> Vec<u8> {
        match value {
            Value::YesNo(yes) => if *yes { "yes" } else { "no" }.into(),
            Value::Integer(n) if matches!(self, Kind::Octal { .. }) => format!("{n:o}").into(),
            Value::Integer(n) => n.to_string().into(),
            Value::Share(MemoryShare::Bytes(bytes)) => bytes.to_string().into(),
            Value::Share(MemoryShare::Percent(percent)) => format!("{percent}%").into(),
            Value::Choice(at) => self.names()[*at].into(),
            Value::Text(text) => text.clone(),
            Value::Bind(addresses) => spaced(addresses.iter().map(|a| &a.text)).into(),
            Value::Save(points) => spaced(points).into(),
            Value::OutputLimits(limits) => spaced(limits.classes().map(|(_, text)| text)).into(),
            Value::Percentiles(percentiles) => spaced(&percentiles.0).into(),
            Value::Shutdown(options) => options.to_string().into(),
            Value::OomScores(scores) => spaced(scores).into(),
        }
    }

    /// The arguments of the lines that bring a file's reader from `default` to `value`. No byte of a value can end
    /// a line early: text is quoted.
    pub fn lines(&self, value: &Value, default: &Value) -> Vec<Vec<u8>> {
        match (value, default) {
            (Value::Integer(n), _) if matches!(self, Kind::Memory { .. }) => vec![with_unit(*n)],
            (Value::Share(MemoryShare::Bytes(n)), _) => vec![with_unit(i128::from(*n))],
            (Value::Text(text), _) if self.is_list() => vec![quote::words(text)],
            (Value::Text(text), _) => vec![quote::quoted(text)],
            (Value::Bind(addresses), _) if addresses.is_empty() => vec![b"\"\"".to_vec()],
            (Value::Bind(addresses), _) => {
                let words: Vec<_> = addresses
                    .iter()
                    .map(|a| quote::word(a.text.as_bytes()))
                    .collect();
                vec![words.join(&b' ')]
            }
            (Value::Save(points), _) if points.is_empty() => vec![b"\"\"".to_vec()],
            (Value::Save(points), _) => points.iter().map(|p| p.to_string().into()).collect(),
            (Value::OutputLimits(limits), Value::OutputLimits(default)) => limits
                .lines_from(default)
                .into_iter()
                .map(String::into_bytes)
                .collect(),
            (Value::Percentiles(list), _) if list.0.is_empty() => vec![b"\"\"".to_vec()],
            _ => vec![self.print(value)],
        }
    }

    /// The value asks for nothing: a switch that is off, an empty text or list, a zero.
    pub fn asks_for_nothing(&self, value: &Value) -> bool {
        match value {
            Value::YesNo(yes) => !yes,
            Value::Integer(n) => *n == 0,
            Value::Choice(at) => matches!(self.names()[*at], "no" | "off" | "disabled"),
            Value::Text(text) => text.is_empty(),
            Value::Save(points) => points.is_empty(),
            _ => false,
        }
    }

    fn names(&self) -> &'static [&'static str] {
        match self {
            Kind::Choice(names) => names,
            _ => unreachable!("only a choice has names"),
        }
    }
}

/// A field of `Settings`, made of the value of its row. A row whose kind does not fit its field panics when the
/// defaults are built, that is: at every start and in every test.
pub trait Field {
    fn of(value: &Value) -> Self;
}

macro_rules! field {
    ($($type:ty: $pattern:pat => $made:expr;)+) => {
        $(impl Field for $type {
            fn of(value: &Value) -> Self {
                match value {
                    $pattern => $made,
                    other => panic!("no {} in {other:?}", stringify!($type)),
                }
            }
        })+
    };
}
pub(super) use field;

const FITS: &str = "the range of the row fits its field";

field! {
    bool: Value::YesNo(yes) => *yes;
    u16: Value::Integer(n) => (*n).try_into().expect(FITS);
    u32: Value::Integer(n) => (*n).try_into().expect(FITS);
    u64: Value::Integer(n) => (*n).try_into().expect(FITS);
    i32: Value::Integer(n) => (*n).try_into().expect(FITS);
    i64: Value::Integer(n) => (*n).try_into().expect(FITS);
    MemoryShare: Value::Share(share) => *share;
    String: Value::Text(text) => String::from_utf8_lossy(text).into_owned();
    PathBuf: Value::Text(text) => OsStr::from_bytes(text).into();
    Option<PathBuf>: Value::Text(text) => (!text.is_empty()).then(|| OsStr::from_bytes(text).into());
    Option<Vec<u8>>: Value::Text(text) => (!text.is_empty()).then(|| text.clone());
    Vec<BindAddress>: Value::Bind(addresses) => addresses.clone();
    Vec<SavePoint>: Value::Save(points) => points.clone();
    OutputLimits: Value::OutputLimits(limits) => *limits;
    Vec<f64>: Value::Percentiles(percentiles) => percentiles.0.clone();
    ShutdownOptions: Value::Shutdown(options) => *options;
    [i32; 3]: Value::OomScores(scores) => *scores;
}

/// An enum with the names that a directive knows its variants by.
macro_rules! choice {
    ($($(#[$meta:meta])* $enum:ident { $($(#[$of:meta])* $variant:ident = $name:literal,)+ })+) => {
        $($(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum $enum { $($(#[$of])* $variant,)+ }

        impl $enum {
            pub const NAMES: &[&str] = &[$($name),+];
            const ALL: &[$enum] = &[$($enum::$variant),+];

            pub fn name(self) -> &'static str {
                Self::NAMES[self as usize]
            }
        }

        $crate::config::value::field! { $enum: $crate::config::value::Value::Choice(at) => Self::ALL[*at]; })+
    };
}
pub(super) use choice;

/// Several arguments are words already; a single one is split at its spaces.
fn words<'a>(args: &[&'a [u8]]) -> Vec<&'a [u8]> {
    match args {
        [b""] => Vec::new(),
        [one] => one.split(|byte| *byte == b' ').collect(),
        several => several.to_vec(),
    }
}

fn yes_no(arg: &[u8]) -> Result<bool, Reason> {
    if arg.eq_ignore_ascii_case(b"yes") {
        Ok(true)
    } else if arg.eq_ignore_ascii_case(b"no") {
        Ok(false)
    } else {
        Err("argument must be 'yes' or 'no'".into())
    }
}

/// A decimal integer in its one canonical form: no sign but a leading `-`, no leading zero, no space.
pub(super) fn integer(arg: &[u8]) -> Result<i128, Reason> {
    let number = std::str::from_utf8(arg)
        .ok()
        .and_then(|text| text.parse::<i64>().ok());
    match number {
        Some(number) if number.to_string().as_bytes() == arg => Ok(number.into()),
        _ => Err("argument couldn't be parsed into an integer".into()),
    }
}

fn within(number: i128, min: i128, max: i128) -> Result<i128, Reason> {
    if (min..=max).contains(&number) {
        Ok(number)
    } else {
        Err(format!("argument must be between {min} and {max} inclusive").into())
    }
}

fn octal(arg: &[u8], max: i128) -> Result<i128, Reason> {
    let text = std::str::from_utf8(arg).unwrap_or_default();
    match i64::from_str_radix(text, 8) {
        Ok(number) if (0..=max).contains(&i128::from(number)) => Ok(number.into()),
        Ok(_) => Err(format!("argument must be between 0 and {max:o} inclusive").into()),
        Err(_) => Err("argument couldn't be parsed as an octal number".into()),
    }
}

const UNITS: [(&str, u64); 8] = [
    ("", 1),
    ("b", 1),
    ("k", 1000),
    ("kb", 1 << 10),
    ("m", 1_000_000),
    ("mb", 1 << 20),
    ("g", 1_000_000_000),
    ("gb", 1 << 30),
];

/// Bytes with an optional unit. Where Redis lets a value of no digits pass for 0 and an overflow wrap, it is refused.
pub(super) fn memory(arg: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(arg).ok()?;
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The shortest exact form: `3gb` rather than `3221225472`.
fn with_unit(bytes: i128) -> Vec<u8> {
    let unit = [("gb", 1 << 30), ("mb", 1 << 20), ("kb", 1 << 10)]
        .into_iter()
        .find(|(_, factor)| bytes != 0 && bytes % factor == 0);
    match unit {
        Some((name, factor)) => format!("{}{name}", bytes / factor).into(),
        None => bytes.to_string().into(),
    }
}

fn share(arg: &[u8]) -> Result<MemoryShare, Reason> {
    let refusal = "argument must be a memory or percent value";
    let Some(percent) = arg.strip_suffix(b"%") else {
        return Ok(MemoryShare::Bytes(memory(arg).ok_or(refusal)?));
    };
    match integer(percent) {
        Ok(0) => Ok(MemoryShare::Bytes(0)),
        Ok(percent @ 1..=100) => Ok(MemoryShare::Percent(percent as u8)),
        Ok(101..) => Err("percentage argument must be less or equal to 100".into()),
        _ => Err(refusal.into()),
    }
}

fn chosen(arg: &[u8], names: &[&str]) -> Result<usize, Reason> {
    names
        .iter()
        .position(|name| arg.eq_ignore_ascii_case(name.as_bytes()))
        .ok_or_else(|| none_of(names))
}

pub(super) fn none_of(names: &[&str]) -> Reason {
    format!(
        "argument(s) must be one of the following: {}",
        names.join(", ")
    )
    .into()
}

fn directory(arg: &[u8], old: &Value) -> Result<Vec<u8>, Reason> {
    let path = PathBuf::of(old).join(OsStr::from_bytes(arg));
    match files::directory(&path) {
        Ok(path) => Ok(path.into_os_string().into_encoded_bytes()),
        Err(error) => Err(files::reason(&error).into()),
    }
}

pub(super) fn spaced(items: impl IntoIterator<Item: ToString>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    items.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_takes_units_and_refuses_what_would_mislead() {
        let accepted = [
            ("1", 1),
            ("1b", 1),
            ("1K", 1000),
            ("1kb", 1024),
            ("2MB", 2 << 20),
            ("3g", 3_000_000_000),
        ];
        for (text, bytes) in accepted {
            assert_eq!(memory(text.as_bytes()), Some(bytes), "{text}");
        }
        for text in [
            "",
            "gb",
            "-1",
            " 1",
            "1.5gb",
            "1tb",
            "99999999999999999999gb",
            "20000000000gb",
            "0x5",
        ] {
            assert_eq!(memory(text.as_bytes()), None, "{text}");
        }
        assert_eq!(memory(b"18446744073709551615"), Some(u64::MAX));
    }

    #[test]
    fn an_integer_has_one_form() {
        for text in [
            "",
            " 5",
            "5 ",
            "+5",
            "05",
            "0x5",
            "-0",
            "9223372036854775808",
        ] {
            assert!(integer(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(integer(b"-9223372036854775808"), Ok(i64::MIN.into()));
    }

    #[test]
    fn memory_is_written_in_its_largest_exact_unit() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1 << 20, "1mb"),
            (3 << 30, "3gb"),
            (1500, "1500"),
            (-1, "-1"),
        ] {
            assert_eq!(with_unit(bytes), text.as_bytes());
        }
    }
}
