//! The command line as a user meets it: the real binary in a folder of its own.

mod bad_input;
mod convert;
mod kill;
mod pipeline;
mod scratch;
