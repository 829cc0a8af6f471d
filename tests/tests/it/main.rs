//! End-to-end tests, one binary.

mod food;
mod lake;
mod pipeline;
