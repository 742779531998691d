//! A client without opinions: sends bytes, prints replies.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::reply::{encode, print};

/// How long a reply may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(30);

pub struct Client {
    stream: TcpStream,
    received: Vec<u8>,
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
            stream,
            received: Vec::new(),
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

    /// Whether there is a reply, rather than a closed connection.
    pub fn ask_or_closed(&mut self, args: &[impl AsRef<[u8]>]) -> bool {
        self.stream.write_all(&encode(args)).is_ok() && self.reply().is_ok()
    }

    /// The reply to words separated by blanks, its lines joined by blanks.
    pub fn say(&mut self, words: &str) -> String {
        self.tell(words);
        self.hear()
    }

    /// Sends words separated by blanks and does not wait for the reply.
    pub fn tell(&mut self, words: &str) {
        self.send(&encode(&words.split_whitespace().collect::<Vec<_>>()));
    }

    /// The next reply, its lines joined by blanks.
    ///
    /// # Panics
    /// If the connection is closed before the reply is complete.
    pub fn hear(&mut self) -> String {
        self.reply().expect("a complete reply").join(" ")
    }

    /// A number from INFO.
    ///
    /// # Panics
    /// If there is no such field, or no number in it.
    pub fn info(&mut self, field: &str) -> u64 {
        let info = self.say("INFO everything");
        let (_, rest) = info
            .split_once(&format!("\\r\\n{field}:"))
            .unwrap_or_else(|| panic!("no {field}"));
        let digits = rest.find(|c: char| !c.is_ascii_digit());
        rest[..digits.unwrap_or(0)].parse().expect("a number")
    }

    /// # Panics
    /// If the connection is closed.
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("an open connection");
    }

    /// The next reply, printed; an error if the server closed the connection.
    pub fn reply(&mut self) -> io::Result<Vec<String>> {
        loop {
            if let Some((lines, len)) = print(&self.received) {
                self.received.drain(..len);
                return Ok(lines);
            }
            if self.receive()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn receive(&mut self) -> io::Result<usize> {
        let mut buffer = [0; 64 * 1024];
        let read = self.stream.read(&mut buffer)?;
        self.received.extend_from_slice(&buffer[..read]);
        Ok(read)
    }

    /// Waits for the server to close the connection; `false` if it says something instead.
    pub fn is_closed(&mut self) -> bool {
        self.received.is_empty() && !matches!(self.receive(), Ok(1..))
    }
}
