//! Prints a report from made-up numbers: `cargo run --features report --example report > report.html`.

use std::io::Write;

mod demo;

use datalake_core::report;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page = report::html(&demo::demo())?;
    std::io::stdout().write_all(page.as_bytes())?;
    Ok(())
}
