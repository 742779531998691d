//! Drives the whole from outside.
