//! Loops and cells: how a command reaches the cell that holds its keys, whichever loop its connection belongs to.
//! The cell itself needs `unsafe` and lives in `os::cell`; what is safe around it is here.

pub mod mailbox;

pub use crate::os::cell::{Access, Cells, Counts, Executor, Held};
pub use crate::os::cell_set::{CellSet, MAX_CELLS};
use crate::os::sync;
