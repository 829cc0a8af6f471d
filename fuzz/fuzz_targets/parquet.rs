//! Reads Parquet, whose decoder may panic over what a damaged file says: the product makes an error of that.

#![no_main]

use std::panic;

use datalake_core::format::hostile;
use datalake_fuzz::{bounded, write_seeds};
use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        write_seeds(hostile::parquet_files);
        let fatal = panic::take_hook();
        // Those of the target itself end the process as they do elsewhere; decoders run on threads of their own.
        panic::set_hook(Box::new(move |what| {
            if !std::thread::current().name().is_some_and(|name| name.starts_with("datalake-cpu")) {
                fatal(what);
            }
        }));
    },
    |data: &[u8]| bounded(data.len(), || hostile::try_parquet(data))
);
