//! Reads the canonical body of a model, and uses the model.

#![no_main]

use datalake_core::ml::hostile;
use datalake_fuzz::{bounded, write_seeds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: write_seeds(hostile::bodies),
    |data: &[u8]| bounded(data.len(), || hostile::try_body(data))
);
