//! datalake
fn main() {}
