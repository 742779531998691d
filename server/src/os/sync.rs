//! What the shared-memory protocols (cell, mailbox) synchronise with. They import these names from here and
//! nowhere else, because the models in `tests/models` compile the very same files against a module of this name
//! that holds the checkers' types instead. So a name may only be added here if loom and shuttle have it too.

pub use std::cell::UnsafeCell;
pub use std::hint::spin_loop;
pub use std::process::abort;
pub use std::sync::Mutex;
pub use std::sync::atomic::{AtomicU32, Ordering};
