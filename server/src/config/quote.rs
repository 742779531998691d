//! Words and quotes of configuration lines, as redis.conf has them.
//!
//! ```text
//! bare word            ends at white space
//! "with \n \x41 \""    \n \r \t \b \a, \xHH, any other escaped byte for itself
//! 'as it is'           only \' is an escape
//! ```
//! A closing quote must be followed by white space or the end. What `quoted` writes, `split` reads back byte for
//! byte, and it holds no control character, so that no value can start a line of its own.

/// The words of a line; `None` if a quote is not closed or runs into the next word.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words = Vec::new();
    let mut rest = line.trim_ascii_start();
    while !rest.is_empty() {
        let (word, after) = next_word(rest)?;
        words.push(word);
        rest = after.trim_ascii_start();
    }
    Some(words)
}

/// Reads one word; a quote may open in its middle, and ends it.
fn next_word(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut word = Vec::new();
    while let Some((byte, after)) = rest.split_first() {
        match byte {
            b'"' | b'\'' => return quoted_part(*byte, after, word),
            byte if byte.is_ascii_whitespace() || *byte == 0 => break,
            byte => word.push(*byte),
        }
        rest = after;
    }
    Some((word, rest.strip_prefix(b"\0").unwrap_or(rest)))
}

fn quoted_part(quote: u8, mut rest: &[u8], mut word: Vec<u8>) -> Option<(Vec<u8>, &[u8])> {
    loop {
        let (byte, after) = match (quote, rest) {
            (b'\'', [b'\\', b'\'', after @ ..]) => (b'\'', after),
            (b'"', [b'\\', b'x', high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                (hex(*high) << 4 | hex(*low), after)
            }
            (b'"', [b'\\', escaped, after @ ..]) => (unescaped(*escaped), after),
            (_, [byte, after @ ..]) if *byte == quote => {
                let closed = after.first().is_none_or(u8::is_ascii_whitespace);
                return closed.then_some((word, after));
            }
            (_, [byte, after @ ..]) => (*byte, after),
            (_, []) => return None,
        };
        word.push(byte);
        rest = after;
    }
}

fn hex(digit: u8) -> u8 {
    char::from(digit)
        .to_digit(16)
        .expect("checked to be a digit") as u8
}

fn unescaped(byte: u8) -> u8 {
    match byte {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'a' => 7,
        other => other,
    }
}

/// The text in double quotes, whatever it holds.
pub fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = vec![b'"'];
    for byte in text {
        match byte {
            b'\\' | b'"' => out.extend([b'\\', *byte]),
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            7 => out.extend(b"\\a"),
            8 => out.extend(b"\\b"),
            b' '..=b'~' => out.push(*byte),
            other => out.extend(format!("\\x{other:02x}").as_bytes()),
        }
    }
    out.push(b'"');
    out
}

/// The word bare if that reads back as itself, else in quotes.
pub(super) fn word(text: &[u8]) -> Vec<u8> {
    let bare = |byte: &u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\'' | b'\\');
    if !text.is_empty() && text.iter().all(bare) {
        text.to_vec()
    } else {
        quoted(text)
    }
}

/// Each word of the text by itself; `""` for no words.
pub(super) fn words(text: &[u8]) -> Vec<u8> {
    let words: Vec<_> = text.split(|byte| *byte == b' ').map(word).collect();
    words.join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_open_close_and_escape_as_in_redis_conf() {
        let read = |line: &str| split(line.as_bytes());
        let words = |line| {
            read(line)
                .unwrap()
                .iter()
                .map(|w| String::from_utf8_lossy(w).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(words(r#"  save  900 1 "#), ["save", "900", "1"]);
        assert_eq!(
            words(r#"logfile '' "a b" x"y z""#),
            ["logfile", "", "a b", "xy z"]
        );
        assert_eq!(words(r#""\x41\n\q\"" 'it\'s \n'"#), ["A\nq\"", "it's \\n"]);
        assert_eq!(words(r#""\xzz""#), ["xzz"]);
        for open in [r#""foo"#, "'foo", r#""foo"bar"#, "'a'b", r#""foo\"#] {
            assert_eq!(read(open), None, "{open}");
        }
    }

    #[test]
    fn what_is_quoted_reads_back_and_stays_on_its_line() {
        let every_byte: Vec<u8> = (0..=255).collect();
        let line = quoted(&every_byte);
        assert!(line.iter().all(|byte| (b' '..=b'~').contains(byte)));
        assert_eq!(split(&line), Some(vec![every_byte]));
        assert_eq!(split(&word(b"")), Some(vec![vec![]]));
        assert_eq!(word(b"127.0.0.1"), b"127.0.0.1");
    }
}
