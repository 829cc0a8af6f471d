//! Opens a model file whose checksums were made good, and uses what was opened.

#![no_main]

use datalake_core::ml::hostile;
use datalake_fuzz::{bounded, write_seeds};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

fuzz_target!(
    init: write_seeds(hostile::files),
    |data: &[u8]| {
        let mut file = data.to_vec();
        hostile::seal(&mut file);
        bounded(file.len(), || hostile::try_file(&file));
    }
);

// Three changes in four are to the content of a section, whose places and lengths are then put right.
fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if !seed.is_multiple_of(4) {
        let mut file = data[..size].to_vec();
        hostile::seal(&mut file);
        let changed = hostile::change(&file, seed / 4, |content| {
            let length = content.len();
            content.resize(length.max(1) * 2, 0);
            let most = content.len();
            let length = fuzzer_mutate(content, length, most);
            content.truncate(length);
        });
        if let Some(changed) = changed.filter(|changed| changed.len() <= max_size) {
            data[..changed.len()].copy_from_slice(&changed);
            return changed.len();
        }
    }
    fuzzer_mutate(data, size, max_size)
});
