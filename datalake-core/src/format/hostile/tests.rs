//! What fuzzers do, some thousand times and always alike; and what they once found.

use std::path::Path;

use super::*;

/// Tries some changes of each seed.
fn try_changes(seeds: &[Vec<u8>], from: usize, times: u64, run: impl Fn(&[u8])) {
    // A long test asks for more.
    let more = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(256_u64);
    let times = times * more / 256;
    for (place, seed) in seeds.iter().enumerate() {
        run(seed);
        for number in 0..times {
            let input = changed(seed, number * seeds.len() as u64 + place as u64, from);
            let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&input)));
            assert!(held.is_ok(), "seed {place}, change {number}: {:?}", String::from_utf8_lossy(&input));
        }
    }
}

#[test]
fn changed_csv_is_accounted_for_wherever_it_is_cut() {
    try_changes(&csv_texts(), 0, 300, try_csv);
}

#[test]
fn changed_json_is_accounted_for_wherever_it_is_cut() {
    try_changes(&json_texts(), 0, 300, try_json);
}

#[test]
fn changed_parquet_is_a_table_or_an_error() {
    try_changes(&parquet_files(), 0, 400, try_parquet);
}

#[test]
fn what_texts_are_is_told_or_refused() {
    try_changes(&texts(), 0, 100, try_dialect);
}

/// Files that went wrong once, one folder a target.
#[test]
fn what_was_found_stays_mended() {
    type Target = (&'static str, fn(&[u8]));
    let targets: [Target; 4] =
        [("csv", try_csv), ("json", try_json), ("parquet", try_parquet), ("dialect", try_dialect)];
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/regressions");
    let mut count = 0;
    for (name, run) in targets {
        for file in std::fs::read_dir(folder.join(name)).into_iter().flatten() {
            let path = file.unwrap().path();
            let input = std::fs::read(&path).unwrap();
            let held = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&input)));
            assert!(held.is_ok(), "{}", path.display());
            count += 1;
        }
    }
    assert!(count > 0, "nothing in {}", folder.display());
}
