//! Arguments of a line typed by a human: inline requests, config lines, ACL files.
//!
//! ```text
//! SET key "two words\r\n"  'it\'s'  plain
//! ```
//! Blanks separate. `"..."` knows `\n \r \t \b \a \xHH` and takes any other escaped byte as it is; `'...'` knows `\'`
//! only. A quote may open inside a word; after the closing one a blank or the end must follow.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::as_conversions
)]

use super::parser::Span;

/// A quote that is never closed, or one closed in the middle of a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnbalancedQuotes;

/// Splits `line` and appends the place of each argument, counted from the start of `line`.
///
/// Arguments are unescaped in place: an escape is always longer than what it stands for. After an error the line's
/// bytes and the spans appended are of no use.
pub fn split_args(line: &mut [u8], spans: &mut Vec<Span>) -> Result<(), UnbalancedQuotes> {
    let mut at = 0;
    loop {
        let blanks = line.get(at..).unwrap_or_default().iter();
        at = blanks
            .take_while(|byte| is_blank(**byte))
            .count()
            .wrapping_add(at);
        if at >= line.len() {
            return Ok(());
        }
        let mut word = Word {
            line: &mut *line,
            read: at,
            written: at,
        };
        word.unescape()?;
        let (start, len) = (at, word.written.saturating_sub(at));
        at = word.read;
        spans.push(Span { start, len });
    }
}

/// One argument on its way from the bytes at `read` to those at `written`, never ahead of it.
struct Word<'a> {
    line: &'a mut [u8],
    read: usize,
    written: usize,
}

impl Word<'_> {
    fn unescape(&mut self) -> Result<(), UnbalancedQuotes> {
        while let Some(byte) = self.next() {
            match byte {
                b' ' | b'\n' | b'\r' | b'\t' => break,
                b'"' => return self.double_quoted(),
                b'\'' => return self.single_quoted(),
                other => self.write(other),
            }
        }
        Ok(())
    }

    fn double_quoted(&mut self) -> Result<(), UnbalancedQuotes> {
        while let Some(byte) = self.next() {
            match byte {
                b'"' => return self.end_quoted(),
                b'\\' => {
                    let escaped = self.escaped()?;
                    self.write(escaped);
                }
                other => self.write(other),
            }
        }
        Err(UnbalancedQuotes)
    }

    /// What the bytes after a backslash stand for.
    fn escaped(&mut self) -> Result<u8, UnbalancedQuotes> {
        if let [b'x', high, low, ..] = self.rest()
            && let (Some(high), Some(low)) = (hex_digit(*high), hex_digit(*low))
        {
            self.read = self.read.saturating_add(3);
            return Ok(high << 4 | low);
        }
        Ok(match self.next().ok_or(UnbalancedQuotes)? {
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' => 0x08,
            b'a' => 0x07,
            other => other,
        })
    }

    fn single_quoted(&mut self) -> Result<(), UnbalancedQuotes> {
        while let Some(byte) = self.next() {
            match byte {
                b'\'' => return self.end_quoted(),
                b'\\' if self.rest().first() == Some(&b'\'') => {
                    self.read = self.read.saturating_add(1);
                    self.write(b'\'');
                }
                other => self.write(other),
            }
        }
        Err(UnbalancedQuotes)
    }

    fn end_quoted(&mut self) -> Result<(), UnbalancedQuotes> {
        match self.rest().first() {
            Some(byte) if !is_blank(*byte) => Err(UnbalancedQuotes),
            _ => Ok(()),
        }
    }

    fn rest(&self) -> &[u8] {
        self.line.get(self.read..).unwrap_or_default()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.line.get(self.read).copied()?;
        self.read = self.read.saturating_add(1);
        Some(byte)
    }

    fn write(&mut self, byte: u8) {
        if let Some(place) = self.line.get_mut(self.written) {
            *place = byte;
            self.written = self.written.saturating_add(1);
        }
    }
}

/// C's `isspace` in the C locale.
fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | 0x0b | 0x0c | b'\r')
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(line: &str) -> Result<Vec<String>, UnbalancedQuotes> {
        let mut line = line.as_bytes().to_vec();
        let mut spans = Vec::new();
        split_args(&mut line, &mut spans)?;
        let text = |span: &Span| String::from_utf8_lossy(span.of(&line)).into_owned();
        Ok(spans.iter().map(text).collect())
    }

    #[track_caller]
    fn check(line: &str, words: &[&str]) {
        assert_eq!(
            split(line),
            Ok(words.iter().map(ToString::to_string).collect())
        );
    }

    #[test]
    fn words_are_separated_by_any_run_of_blanks() {
        check("  SET  k\tv \r", &["SET", "k", "v"]);
        check(" \x0b\x0c\r\t", &[]);
    }

    #[test]
    fn double_quotes_know_escapes() {
        let words = ["a b", "\n\r\t\x08\x07", "Azxg1", "\"\\q"];
        check(r#""a b" "\n\r\t\b\a" "\x41\x7a\xg1" "\"\\\q""#, &words);
    }

    #[test]
    fn single_quotes_know_one_escape() {
        check(r"'it\'s' '\n'", &["it's", r"\n"]);
    }

    #[test]
    fn quotes_may_open_inside_a_word_and_enclose_nothing() {
        check(r#"foo"bar baz" "" ''"#, &["foobar baz", "", ""]);
    }

    #[test]
    fn unbalanced_quotes_are_refused() {
        for line in [r#"""#, r#""a"#, r#""a\"#, "'a", r"'a\'", r#""a"b"#, "'a'b"] {
            assert_eq!(split(line), Err(UnbalancedQuotes), "{line}");
        }
    }

    #[test]
    fn a_nul_is_an_ordinary_byte() {
        check("a\0b \0", &["a\0b", "\0"]);
    }
}
