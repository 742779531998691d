//! Words and quotes of configuration lines, as redis.conf has them.
//!
//! ```text
//! bare word            ends at white space
//! "with \n \x41 \""    \n \r \t \b \a, \xHH, any other escaped byte for itself
//! 'as it is'           only \' is an escape
//! ```
//! A closing quote must be followed by white space or the end. What `quoted` writes, `split` reads back byte for
//! byte, and it holds no control character, so that no value can start a line of its own.

use ostraka_datatypes::resp::split_args;

/// The words of a line; `None` if a quote is not closed or runs into the next word.
pub fn split(line: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut line = line.to_vec();
    let mut spans = Vec::new();
    split_args(&mut line, &mut spans).ok()?;
    Some(spans.iter().map(|span| span.of(&line).to_vec()).collect())
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
