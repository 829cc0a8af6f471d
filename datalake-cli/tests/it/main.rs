//! The command line as a user meets it: the real binary in a folder of its own.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by a panic, and says aloud what it skips")]

mod bad_input;
mod convert;
mod image;
mod kill;
mod pipeline;
mod registry;
mod scratch;
mod setup;
