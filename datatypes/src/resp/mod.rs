//! The Redis serialization protocol: requests in, replies out, no sockets.
//!
//! [`Parser`] finds the arguments of a request inside the bytes received, [`Reply`] writes what a command answers
//! into its connection's [`Output`]. Both versions of the protocol are known here and nowhere else.

mod inline;
mod output;
mod parser;
mod reply;

pub use inline::{UnbalancedQuotes, split_args};
pub use output::{Mark, Output, Pieces};
pub use parser::{Limits, Parser, Progress, ProtocolError, Span};
pub use reply::{Deferred, Protocol, Reply};
