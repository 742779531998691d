//! The notation in which rows declare their arguments, and what it says.
//!
//! ```text
//! arguments = { argument }                       one after the other
//! argument  = [ "[" ] thing { suffix } [ "]" ]   brackets: may be left out
//! thing     = name "<" type ">"                  key string integer double unix-time pattern
//!           | TOKEN                              the word itself; its name is the word in lower case
//!           | name "<" TOKEN ">"                 the word itself, under another name; <""> is the empty word
//!           | name "(" argument { "|" argument } ")"    one of these
//!           | name "{" arguments "}"             all of these
//!           | TOKEN thing                        the word goes before the thing
//!           | TOKEN "..." thing                  the same, and both may be repeated
//! suffix    = "..."                              may be repeated
//!           | "@" since [ "-" deprecated_since ] versions of Redis (or Valkey)
//! name      = word [ ":" display_text ]
//! type      = word [ ":" n ]                     n: which key spec of the row finds it; a key's is 0 if not given
//!
//! key<key> value<string> [condition(NX|XX)] [GET@6.2.0] [expiration(EX seconds<integer>|KEEPTTL@6.0.0)]
//! ```
//! COMMAND DOCS, HELP and the README's usage lines are written from the parsed form. It is parsed when somebody asks;
//! a row whose syntax does not parse fails a test, so here it is an assert.

use std::borrow::Cow;
use std::fmt::Write;

use super::Command;

/// One argument, or a group of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument<'s> {
    pub name: Cow<'s, str>,
    /// What people read in place of the name; groups have none.
    pub display_text: Cow<'s, str>,
    pub kind: Kind,
    /// A word that goes before the value; of a pure token, the word.
    pub token: Option<&'s str>,
    /// Which of the row's key specs finds the keys.
    pub key_spec: Option<u8>,
    pub since: Option<&'s str>,
    pub deprecated_since: Option<&'s str>,
    pub optional: bool,
    pub multiple: bool,
    /// Each repetition begins with the token.
    pub multiple_token: bool,
    /// Alternatives or the parts of a block.
    pub arguments: Vec<Argument<'s>>,
}

/// What a value has to look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Key,
    String,
    Integer,
    Double,
    UnixTime,
    Pattern,
    PureToken,
    OneOf,
    Block,
}

impl Kind {
    /// As COMMAND DOCS writes it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Key => "key",
            Kind::String => "string",
            Kind::Integer => "integer",
            Kind::Double => "double",
            Kind::UnixTime => "unix-time",
            Kind::Pattern => "pattern",
            Kind::PureToken => "pure-token",
            Kind::OneOf => "oneof",
            Kind::Block => "block",
        }
    }

    fn of_value(name: &str) -> Option<Kind> {
        const VALUES: [Kind; 6] = [
            Kind::Key,
            Kind::String,
            Kind::Integer,
            Kind::Double,
            Kind::UnixTime,
            Kind::Pattern,
        ];
        VALUES.into_iter().find(|kind| kind.name() == name)
    }

    pub fn is_group(self) -> bool {
        matches!(self, Kind::OneOf | Kind::Block)
    }
}

/// Where a syntax stops making sense, in bytes, and what should stand there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed {
    pub at: usize,
    pub expected: &'static str,
}

/// The arguments that a row's `syntax` declares.
pub fn parse(syntax: &str) -> Result<Vec<Argument<'_>>, Malformed> {
    let mut parser = Parser {
        text: syntax,
        at: 0,
    };
    let arguments = parser.arguments()?;
    if parser.rest().is_empty() {
        Ok(arguments)
    } else {
        Err(parser.expected("an argument"))
    }
}

struct Parser<'s> {
    text: &'s str,
    at: usize,
}

impl<'s> Parser<'s> {
    fn rest(&self) -> &'s str {
        &self.text[self.at..]
    }

    fn expected(&self, expected: &'static str) -> Malformed {
        Malformed {
            at: self.at,
            expected,
        }
    }

    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn accept(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        self.at += if found { text.len() } else { 0 };
        found
    }

    fn require(&mut self, text: &'static str) -> Result<(), Malformed> {
        if self.accept(text) {
            Ok(())
        } else {
            Err(self.expected(text))
        }
    }

    /// Text up to a character for which `stops` holds.
    fn take_until(&mut self, stops: impl Fn(char) -> bool) -> &'s str {
        let rest = self.rest();
        let text = &rest[..rest.find(stops).unwrap_or(rest.len())];
        self.at += text.len();
        text
    }

    fn arguments(&mut self) -> Result<Vec<Argument<'s>>, Malformed> {
        let mut arguments = Vec::new();
        self.skip_blanks();
        while !self.rest().is_empty() && !self.rest().starts_with(['}', ')', ']', '|']) {
            arguments.push(self.argument()?);
            self.skip_blanks();
        }
        Ok(arguments)
    }

    fn argument(&mut self) -> Result<Argument<'s>, Malformed> {
        if !self.accept("[") {
            return self.mandatory();
        }
        let argument = self.mandatory()?;
        self.require("]")?;
        Ok(Argument {
            optional: true,
            ..argument
        })
    }

    fn mandatory(&mut self) -> Result<Argument<'s>, Malformed> {
        let mut argument = self.thing()?;
        argument.multiple |= self.accept("...");
        if self.accept("@") {
            argument.since = self.version();
            argument.deprecated_since = if self.accept("-") {
                self.version()
            } else {
                None
            };
            if argument.since.or(argument.deprecated_since).is_none() {
                return Err(self.expected("a version"));
            }
        }
        Ok(argument)
    }

    fn version(&mut self) -> Option<&'s str> {
        Some(self.take_until(|c| c != '.' && !c.is_ascii_digit())).filter(|text| !text.is_empty())
    }

    fn thing(&mut self) -> Result<Argument<'s>, Malformed> {
        let word = self.word();
        if word.is_empty() {
            return Err(self.expected("a word"));
        }
        if self.rest().starts_with(['<', '(', '{']) {
            return self.named(word);
        }
        let multiple_token = self.accept("...");
        let Some(value) = self.value()? else {
            let token = Argument::new(Cow::Owned(word.to_ascii_lowercase()), Kind::PureToken);
            return Ok(Argument {
                token: Some(word),
                multiple: multiple_token,
                ..token
            });
        };
        Ok(Argument {
            token: Some(word),
            multiple: multiple_token,
            multiple_token,
            ..value
        })
    }

    fn word(&mut self) -> &'s str {
        self.take_until(|c| c.is_whitespace() || "<>(){}[]|@.".contains(c))
    }

    /// What follows a token as its value, if anything does.
    fn value(&mut self) -> Result<Option<Argument<'s>>, Malformed> {
        let start = self.at;
        self.skip_blanks();
        let name = self.word();
        if self.rest().starts_with(['<', '(', '{']) {
            let argument = self.named(name)?;
            if argument.kind != Kind::PureToken {
                return Ok(Some(argument));
            }
        }
        self.at = start;
        Ok(None)
    }

    /// A value, a token or a group behind its name.
    fn named(&mut self, word: &'s str) -> Result<Argument<'s>, Malformed> {
        if self.accept("<") {
            let inside = self.take_until(|c| c == '>');
            self.require(">")?;
            return self.value_or_token(word, inside);
        }
        let (kind, arguments) = if self.accept("(") {
            let mut alternatives = vec![self.argument()?];
            while self.accept("|") {
                alternatives.push(self.argument()?);
            }
            self.require(")")?;
            (Kind::OneOf, alternatives)
        } else {
            self.require("{")?;
            let parts = self.arguments()?;
            self.require("}")?;
            (Kind::Block, parts)
        };
        Ok(Argument {
            arguments,
            ..Argument::new(Cow::Borrowed(word), kind)
        })
    }

    fn value_or_token(&self, word: &'s str, inside: &'s str) -> Result<Argument<'s>, Malformed> {
        let (name, display_text) = word.split_once(':').unwrap_or((word, word));
        let (kind, spec) = inside
            .split_once(':')
            .map_or((inside, None), |(kind, spec)| (kind, Some(spec)));
        let named = |kind| Argument {
            display_text: Cow::Borrowed(display_text),
            ..Argument::new(Cow::Borrowed(name), kind)
        };
        let Some(kind) = Kind::of_value(kind) else {
            let token = if inside == "\"\"" { "" } else { inside };
            return Ok(Argument {
                token: Some(token),
                ..named(Kind::PureToken)
            });
        };
        let key_spec = match spec {
            Some(number) => Some(
                number
                    .parse()
                    .map_err(|_| self.expected("the number of a key spec"))?,
            ),
            None => (kind == Kind::Key).then_some(0),
        };
        Ok(Argument {
            key_spec,
            ..named(kind)
        })
    }
}

impl<'s> Argument<'s> {
    fn new(name: Cow<'s, str>, kind: Kind) -> Argument<'s> {
        Argument {
            display_text: name.clone(),
            name,
            kind,
            token: None,
            key_spec: None,
            since: None,
            deprecated_since: None,
            optional: false,
            multiple: false,
            multiple_token: false,
            arguments: Vec::new(),
        }
    }
}

/// One line for people: `key value [NX | XX] [EX seconds | KEEPTTL]`.
pub fn usage(arguments: &[Argument<'_>]) -> String {
    joined(arguments, " ")
}

fn joined(arguments: &[Argument<'_>], separator: &str) -> String {
    arguments
        .iter()
        .map(usage_of)
        .collect::<Vec<_>>()
        .join(separator)
}

fn usage_of(argument: &Argument<'_>) -> String {
    let token = match (argument.kind, argument.token) {
        (Kind::PureToken, _) | (_, None) => String::new(),
        (_, Some("")) => "\"\" ".to_owned(),
        (_, Some(token)) => format!("{token} "),
    };
    let value = match argument.kind {
        Kind::PureToken if argument.token == Some("") => "\"\"".to_owned(),
        Kind::PureToken => argument.token.unwrap_or_default().to_owned(),
        Kind::Block => joined(&argument.arguments, " "),
        Kind::OneOf if argument.optional && token.is_empty() => joined(&argument.arguments, " | "),
        Kind::OneOf => format!("<{}>", joined(&argument.arguments, " | ")),
        _ => argument.display_text.to_string(),
    };
    let mut text = format!("{token}{value}");
    if argument.multiple {
        let again = if argument.multiple_token {
            token.as_str()
        } else {
            ""
        };
        write!(text, " [{again}{value} ...]").expect("a String takes all");
    }
    if argument.optional {
        format!("[{text}]")
    } else {
        text
    }
}

impl Command {
    /// The parsed `syntax`.
    pub fn arguments(&self) -> Vec<Argument<'static>> {
        parse(self.syntax)
            .unwrap_or_else(|e| panic!("{}: {} expected at {}", self.name, e.expected, e.at))
    }

    /// How to write a call: `CONFIG GET parameter [parameter ...]`.
    pub fn usage(&self) -> String {
        let name = self.name.to_uppercase().replace('|', " ");
        let arguments = usage(&self.arguments());
        if arguments.is_empty() {
            name
        } else {
            format!("{name} {arguments}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(syntax: &str, expected: &str) {
        assert_eq!(usage(&parse(syntax).expect("a syntax")), expected);
    }

    #[test]
    fn usage_lines_read_like_the_documentation() {
        check("", "");
        check("key<key> [GET@6.2.0]", "key [GET]");
        check("[condition(NX|XX)]", "[NX | XX]");
        check("where(LEFT|RIGHT) item<string>", "<LEFT | RIGHT> item");
        check("[EX seconds<integer>@2.6.12]", "[EX seconds]");
        check(
            "data{key<key> value<string>}...",
            "key value [key value ...]",
        );
        check(
            "[GET... get-pattern:pattern<pattern:1>]",
            "[GET pattern [GET pattern ...]]",
        );
        check("KEYS key<key:1>...", "KEYS key [key ...]");
        check(
            "[LIMIT limit{offset<integer> count<integer>}]",
            "[LIMIT offset count]",
        );
        check("[TYPE type(NORMAL|PUBSUB)]", "[TYPE <NORMAL | PUBSUB>]");
        check(
            "operator(equal<=>|approximately<~>) empty<\"\">",
            "<= | ~> \"\"",
        );
    }

    #[test]
    fn fields_are_told_apart() {
        let arguments =
            parse("FROM ip:addr<string> first<FIRST> [by:pattern<pattern:1>...@6.2.0-7.0.0]")
                .expect("a syntax");
        let [from, first, by] = &arguments[..] else {
            panic!("{arguments:?}")
        };
        assert_eq!(
            (&*from.name, &*from.display_text, from.token),
            ("ip", "addr", Some("FROM"))
        );
        assert_eq!(
            (&*first.name, first.kind, first.token),
            ("first", Kind::PureToken, Some("FIRST"))
        );
        assert_eq!(
            (by.key_spec, by.since, by.deprecated_since),
            (Some(1), Some("6.2.0"), Some("7.0.0"))
        );
        assert!(by.optional && by.multiple && !by.multiple_token);
    }

    #[test]
    fn malformed_syntax_is_refused() {
        for syntax in [
            "<key>",
            "key<key",
            "[NX",
            "a(NX|",
            "a(NX",
            "b{NX",
            "NX]",
            "NX@",
            "key<key:x>",
            "a()",
            "|",
        ] {
            parse(syntax).expect_err(syntax);
        }
    }
}
