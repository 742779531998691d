//! Replies as text, one line per element, in a notation that scripts can be written in.
//!
//! ```text
//! +OK      :12      -ERR text      "bulk"      (nil)      (nil-array)      *2, then each element on lines of its own
//! RESP3 adds %n ~n >n |n, ,1.5 #t (big-number =txt:verbatim and _
//! ```

/// The first reply in `bytes`, printed, and how many bytes it took; `None` if it is not complete.
pub fn print(bytes: &[u8]) -> Option<(Vec<String>, usize)> {
    let mut lines = Vec::new();
    let (mut at, mut elements) = (0, 1);
    while elements > 0 {
        let (line, len, more) = element(&bytes[at..])?;
        lines.push(line);
        at += len;
        elements = elements - 1 + more;
    }
    Some((lines, at))
}

/// One element: its line, its bytes, and how many elements belong to it.
fn element(bytes: &[u8]) -> Option<(String, usize, usize)> {
    let end = bytes.windows(2).position(|pair| pair == b"\r\n")?;
    let line = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let (marker, rest) = line.split_at(1);
    let count = rest.parse::<i64>().unwrap_or(-1);
    let header = end + 2;
    Some(match (marker, count) {
        ("$", -1) => ("(nil)".into(), header, 0),
        ("*", -1) => ("(nil-array)".into(), header, 0),
        ("$" | "=", _) => {
            let len = count as usize;
            let text = bytes.get(header..header + len + 2)?[..len]
                .escape_ascii()
                .to_string()
                .replace("\\'", "'");
            let text = if marker == "=" {
                format!("={text}")
            } else {
                format!("\"{text}\"")
            };
            (text, header + len + 2, 0)
        }
        ("*" | "~" | ">", _) => (line, header, count as usize),
        // Attributes are followed by the reply that they belong to.
        ("|", _) => (line, header, 2 * count as usize + 1),
        ("%", _) => (line, header, 2 * count as usize),
        _ => (line, header, 0),
    })
}

/// A command as an array of bulk strings.
pub fn encode(args: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", args.len()).into_bytes();
    for arg in args {
        let arg = arg.as_ref();
        bytes.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        bytes.extend_from_slice(arg);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reply_is_printed_when_it_is_complete() {
        let bytes = b"*3\r\n$2\r\nhi\r\n*1\r\n:5\r\n$-1\r\n+next\r\n";
        let complete = bytes.len() - b"+next\r\n".len();
        assert!((0..complete).all(|len| print(&bytes[..len]).is_none()));
        let (lines, len) = print(bytes).expect("a complete reply");
        assert_eq!(
            (lines.join(" ").as_str(), len),
            ("*3 \"hi\" *1 :5 (nil)", complete)
        );
    }
}
