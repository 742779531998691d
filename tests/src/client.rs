//! A client without opinions: sends bytes, prints replies line by line.
//!
//! ```text
//! +OK      :12      -ERR text      "bulk"      (nil)      (nil-array)      *2, then each element on lines of its own
//! RESP3 adds %n ~n >n |n, ,1.5 #t (big-number =txt:verbatim and _
//! ```

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long a reply may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    /// # Panics
    /// If nobody listens there.
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("the server listens");
        stream.set_nodelay(true).expect("an open socket");
        stream
            .set_read_timeout(Some(PATIENCE))
            .expect("an open socket");
        Self {
            stream: BufReader::new(stream),
        }
    }

    /// Sends a command and returns its reply, printed.
    ///
    /// # Panics
    /// If the connection is closed before the reply is complete.
    pub fn ask(&mut self, args: &[impl AsRef<[u8]>]) -> Vec<String> {
        self.send(&encode(args));
        self.reply().expect("a complete reply")
    }

    /// The reply to words separated by blanks, its lines joined by blanks.
    pub fn say(&mut self, words: &str) -> String {
        self.ask(&words.split_whitespace().collect::<Vec<_>>())
            .join(" ")
    }

    /// # Panics
    /// If the connection is closed.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream
            .get_mut()
            .write_all(bytes)
            .expect("an open connection");
    }

    /// The next reply, printed; an error if the server closed the connection.
    pub fn reply(&mut self) -> io::Result<Vec<String>> {
        let mut lines = Vec::new();
        let mut elements = 1;
        while elements > 0 {
            elements -= 1;
            elements += self.element(&mut lines)?;
        }
        Ok(lines)
    }

    /// Prints one element; returns how many elements belong to it.
    fn element(&mut self, lines: &mut Vec<String>) -> io::Result<usize> {
        let line = self.line()?;
        let (marker, rest) = line.split_at(1);
        let len = rest.parse::<i64>().unwrap_or(-1);
        match (marker, len) {
            ("$", -1) => lines.push("(nil)".into()),
            ("*", -1) => lines.push("(nil-array)".into()),
            ("$" | "=", _) => {
                let mut bytes = vec![0; len as usize + 2];
                self.stream.read_exact(&mut bytes)?;
                let text = bytes[..len as usize]
                    .escape_ascii()
                    .to_string()
                    .replace("\\'", "'");
                lines.push(if marker == "=" {
                    format!("={text}")
                } else {
                    format!("\"{text}\"")
                });
            }
            ("*" | "~" | ">", _) => {
                lines.push(line.clone());
                return Ok(len as usize);
            }
            ("%" | "|", _) => {
                lines.push(line.clone());
                // Attributes are followed by the reply that they belong to.
                return Ok(2 * len as usize + usize::from(marker == "|"));
            }
            _ => lines.push(line.clone()),
        }
        Ok(0)
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = Vec::new();
        self.stream.read_until(b'\n', &mut line)?;
        if line.pop() != Some(b'\n') || line.pop() != Some(b'\r') || line.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Whether the server has closed the connection; waits for it.
    pub fn is_closed(&mut self) -> bool {
        matches!(self.stream.read(&mut [0]), Ok(0)) || self.stream.get_ref().peer_addr().is_err()
    }
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
