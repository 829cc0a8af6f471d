//! What the end-to-end tests share.

pub mod servers;

/// The programs of the README, which run as tests.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;

use std::path::PathBuf;

/// The folder of this package, as cargo names it to a running test: one that lies in a build cache shared by clones
/// may have been compiled from another.
///
/// # Panics
/// Outside of `cargo test`.
#[must_use]
pub fn package_folder() -> PathBuf {
    std::env::var_os("CARGO_MANIFEST_DIR").expect("cargo runs the tests").into()
}
