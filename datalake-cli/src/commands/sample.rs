//! `sample`: synthetic tables for trying things out.

use datalake_core::Result;
use datalake_core::lake::parse_object;
use datalake_core::pipeline::ensure_bucket;
use datalake_core::sample::{SampleOptions, land};

use crate::commands::Tools;

/// Lands synthetic food tables.
pub(crate) async fn foods(rows: u64, seed: u64, clean: bool, prefix: &str, tools: &Tools) -> Result<()> {
    let lake = tools.lake()?;
    let (bucket, key) = parse_object(prefix.trim_end_matches('/'))?;
    let bucket = ensure_bucket(lake.as_ref(), &bucket).await?;
    let options = SampleOptions::default().with_rows(rows).with_seed(seed).with_clean(clean);
    let landed = land(&bucket, &key, &options, tools.progress.as_ref()).await?;
    tools.printer.rows(&["object", "rows", "broken", "duplicates", "bytes"], &landed.objects, |object| {
        let broken: u64 = object.broken.values().sum();
        vec![
            bucket.address(&object.key.as_str().into()),
            object.rows.to_string(),
            broken.to_string(),
            object.duplicates.to_string(),
            object.bytes.to_string(),
        ]
    })
}
