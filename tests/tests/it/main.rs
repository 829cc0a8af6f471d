//! End-to-end tests, one binary.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails by a panic, and says aloud what it skips")]

mod food;
mod lake;
mod pipeline;
mod store;
