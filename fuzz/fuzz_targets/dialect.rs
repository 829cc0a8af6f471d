//! Finds what kind of text it is, and its columns.

#![no_main]

use datalake_core::format::hostile;
use datalake_fuzz::{bounded, write_seeds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: write_seeds(hostile::texts),
    |data: &[u8]| bounded(data.len(), || hostile::try_dialect(data))
);
