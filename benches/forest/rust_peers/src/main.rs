//! linfa-ensemble and smartcore as peers of the benchmark: one fit a run.
//!
//! Arguments: peer, `classes` or `numbers`, table folder, output folder, columns, trees, least leaf, candidates, seed.
//! Reads the table's plain little-endian numbers, prints its figures as one JSON line, writes the predictions of the
//! rows held out.

mod forests;
mod measure;

use std::env;
use std::error::Error;
use std::path::PathBuf;

/// One forest to grow.
pub struct Wanted {
    table: PathBuf,
    out: PathBuf,
    columns: usize,
    trees: usize,
    leaf: usize,
    candidates: usize,
    seed: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [peer, kind, table, out, numbers @ ..] = arguments.as_slice() else {
        return Err("arguments: peer classes|numbers table out columns trees leaf candidates seed".into());
    };
    let numbers: Vec<usize> = numbers.iter().map(|text| text.parse()).collect::<Result<_, _>>()?;
    let [columns, trees, leaf, candidates, seed] = numbers[..] else {
        return Err("five numbers are needed: columns, trees, leaf, candidates, seed".into());
    };
    let classes = kind == "classes";
    let (table, out) = (PathBuf::from(table), PathBuf::from(out));
    let wanted = Wanted { table, out, columns, trees, leaf, candidates, seed: seed as u64 };
    match (peer.as_str(), classes) {
        ("linfa-ensemble", true) => forests::linfa(&wanted),
        ("smartcore", true) => forests::smartcore_classes(&wanted),
        ("smartcore", false) => forests::smartcore_numbers(&wanted),
        _ => Err(format!("`{peer}` does not learn {kind}").into()),
    }
}
