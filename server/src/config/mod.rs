//! Configuration: every directive is one row, and all else derives from the rows.
//!
//! ```text
//! argv ----> command_line --\
//! file ----> load ----------+--> Settings (typed fields, immutable) --> ConfigStore --> everybody
//! stdin ---/                          ^                                    |  ^
//!                                  table of rows                CONFIG GET |  | CONFIG SET --> effects
//!                              (settings, reserved)                        v
//!                                     |                            rewrite: the file, edited
//!                                     +----> sample: ostraka.conf
//! ```
//! The rest of the server reads plain fields of `Settings` and notices a change by a generation number. What a change
//! must set off (listen elsewhere, log less) is a word in the row, `Effect`, and done by whoever calls
//! `ConfigStore::set`; this module knows no socket, no loop and no command, and touches no file but its own.

pub mod command_line;
pub mod lists;
pub mod load;
pub mod quote;
mod reserved;
mod rewrite;
pub mod row;
pub mod sample;
pub mod settings;
pub mod store;
pub mod table;
pub mod value;

pub use load::{Rename, StartError, Startup, load};
pub use row::{Effect, Machine, Row};
pub use settings::Settings;
pub use store::{Caller, ConfigStore, Refusal};
