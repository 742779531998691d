//! The only door to the operating system: clocks, entropy, files, threads and raw calls enter here, so that a
//! simulation can stand in for them. Nothing here knows a command or a key.

pub mod files;
