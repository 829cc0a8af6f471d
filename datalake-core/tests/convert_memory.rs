//! How much memory a conversion takes, counted byte by byte: as much for many rows as for few.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by a panic, and prints what it measured")]

mod counted;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use counted::measured;
use datalake_core::format::{self, Files, Infer, ReadOptions, Sink, Source, WriteOptions};

/// What is counted is that of the process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// So many records of numbers, a text, a date and a time, as lines of CSV or JSON.
fn write_rows(path: &Path, rows: u64, is_csv: bool) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    if is_csv {
        writeln!(file, "id,name,x,day,at").unwrap();
    }
    for row in 0..rows {
        let (name, x) = (row.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 44, row % 10_000);
        let (day, second) = (row % 28 + 1, row % 60);
        if is_csv {
            writeln!(file, "{row},name {name},{x}.25,2024-02-{day:02},2024-02-{day:02}T12:00:{second:02}").unwrap();
        } else {
            writeln!(file, "{{\"id\":{row},\"name\":\"name {name}\",\"x\":{x}.25,\"day\":\"2024-02-{day:02}\"}}")
                .unwrap();
        }
    }
    file.flush().unwrap();
}

/// So many records of so many columns.
fn write_columns(path: &Path, rows: u64, columns: u64) {
    let mut file = std::io::BufWriter::new(std::fs::File::create(path).unwrap());
    let line = |value: &dyn Fn(u64) -> String| (0..columns).map(value).collect::<Vec<_>>().join(",");
    writeln!(file, "{}", line(&|column| format!("c{column}"))).unwrap();
    for row in 0..rows {
        let value = |column: u64| match column % 3 {
            0 => (row * column).to_string(),
            1 => format!("{row}.{:03}", column % 1000),
            _ => format!("text {}", row.wrapping_mul(column | 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 50),
        };
        writeln!(file, "{}", line(&value)).unwrap();
    }
    file.flush().unwrap();
}

/// The most bytes that a conversion has in use at a time beside what was there before.
fn peak(from: PathBuf, to: PathBuf, read: ReadOptions, rows: u64) -> usize {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let convert = format::convert(Source::LocalFile(from), Sink::LocalFile(to), read, WriteOptions::default());
    let (done, most) = measured(|| runtime.block_on(convert).unwrap());
    assert_eq!(done.balance.written, rows);
    most
}

/// Four times the rows (fifty times in a long test) take at most a tenth more, in every pair of formats.
#[test]
fn many_rows_take_the_memory_of_few() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let is_long = std::env::var_os("DATALAKE_SOAK").is_some();
    let (few, many) = (1_000_000, if is_long { 50_000_000 } else { 4_000_000 });
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let mut peaks = Vec::new();
    for rows in [few, many] {
        write_rows(&path("a.csv"), rows, true);
        // All is looked at before anything is read, too.
        let whole = ReadOptions::default().with_infer(Infer::Whole);
        let mut of_rows = vec![
            ("csv to parquet", peak(path("a.csv"), path("a.parquet"), ReadOptions::default(), rows)),
            ("csv to parquet, seen whole", peak(path("a.csv"), path("b.parquet"), whole, rows)),
            ("parquet to ndjson", peak(path("a.parquet"), path("a.ndjson"), ReadOptions::default(), rows)),
        ];
        std::fs::remove_file(path("a.csv")).unwrap();
        write_rows(&path("a.ndjson"), rows, false);
        of_rows.push(("ndjson to parquet", peak(path("a.ndjson"), path("a.parquet"), ReadOptions::default(), rows)));
        peaks.push(of_rows);
    }
    for ((what, few), (_, many)) in peaks[0].iter().zip(&peaks[1]) {
        println!("{what}: {} and {} MB", few / 1_000_000, many / 1_000_000);
        // Some are larger by chance: who comes first waits with what it has.
        assert!(*many <= few / 10 * 11 + (8 << 20), "{what}: {few} bytes and {many} bytes");
    }
}

/// What is in use at a time is no more than was said, however many columns and files there are.
#[test]
fn memory_that_is_said_is_kept() {
    const MEMORY: usize = 96 << 20;
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let read = || ReadOptions::default().with_memory(Some(MEMORY as u64));
    let write = || WriteOptions::default().with_memory(Some(MEMORY as u64));
    let bounded = |what: &str, convert: &mut dyn FnMut() -> u64, rows: u64| {
        let (written, most) = measured(convert);
        println!("{what}: {} MB of {}", most >> 20, MEMORY >> 20);
        assert_eq!(written, rows, "{what}");
        assert!(most <= MEMORY, "{what}: {most} bytes");
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let one = |what: &str, from: &str, to: &str, rows: u64| {
        let mut convert = || {
            let (from, to) = (Source::LocalFile(path(from)), Sink::LocalFile(path(to)));
            runtime.block_on(format::convert(from, to, read(), write())).unwrap().balance.written
        };
        bounded(what, &mut convert, rows);
    };
    write_rows(&path("rows.csv"), 1_000_000, true);
    one("a million rows of CSV to Parquet", "rows.csv", "rows.parquet", 1_000_000);
    one("a million rows of Parquet to NDJSON", "rows.parquet", "rows.ndjson", 1_000_000);
    one("a million rows of NDJSON to Parquet", "rows.ndjson", "rows.parquet", 1_000_000);
    write_columns(&path("wide.csv"), 20_000, 200);
    one("200 columns of CSV to Parquet", "wide.csv", "wide.parquet", 20_000);
    one("200 columns of Parquet to CSV", "wide.parquet", "b.csv", 20_000);
    one("200 columns of CSV to NDJSON", "wide.csv", "wide.ndjson", 20_000);
    one("200 columns of NDJSON to Parquet", "wide.ndjson", "b.parquet", 20_000);
    std::fs::create_dir(path("many")).unwrap();
    for file in 0..200 {
        write_columns(&path(&format!("many/{file}.csv")), 1000, 20);
    }
    let mut convert = || {
        let files = Files::local(path("many").to_str().unwrap()).unwrap();
        let sink = Sink::LocalFile(path("many.parquet"));
        runtime.block_on(format::convert_many(files, sink, read(), write())).unwrap().balance.written
    };
    bounded("200 files of CSV to Parquet", &mut convert, 200_000);
}
