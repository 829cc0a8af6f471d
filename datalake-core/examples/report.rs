//! Prints a report from made-up numbers: `cargo run --features report,testing --example report > report.html`.

use std::io::Write;

use datalake_core::report;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let page = report::html(&report::demo())?;
    std::io::stdout().write_all(page.as_bytes())?;
    Ok(())
}
