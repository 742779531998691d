//! The server's log, line by line as Redis writes it, so that tools which wait for
//! "Ready to accept connections" find it.
//!
//! ```text
//! 4711:M 23 Nov 2026 07:21:09.123 * Ready to accept connections tcp
//! ```

use std::fmt::Arguments;

pub fn notice(message: Arguments<'_>) {
    println!("{message}");
}

pub fn warning(message: Arguments<'_>) {
    println!("{message}");
}
