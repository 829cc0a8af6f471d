//! Reads JSON, cut into blocks in several ways, quick and by hand.

#![no_main]

use datalake_core::format::hostile;
use datalake_fuzz::{bounded, write_seeds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: write_seeds(hostile::json_texts),
    |data: &[u8]| bounded(data.len(), || hostile::try_json(data))
);
