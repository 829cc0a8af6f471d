//! Where the lake is: flag, environment, `datalake.toml`, default, in this order.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use datalake_core::lake::{BucketName, LakeOptions, open};
use datalake_core::{Error, Lake, Result};
use serde::Deserialize;

use crate::cli::Global;

const FILE: &str = "datalake.toml";
const DEFAULT_LAKE: &str = "./lake";

/// What `datalake.toml` may say.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    /// The lake's folder or endpoint.
    lake: Option<String>,
    /// Logical bucket names and the real ones.
    #[serde(default)]
    buckets: BTreeMap<String, String>,
    /// What every real bucket name begins with.
    bucket_prefix: Option<String>,
}

/// Opens the lake that this command works on. Its endpoint may be away for so long.
pub(crate) fn lake(global: &Global, patience: Duration) -> Result<Arc<dyn Lake>> {
    let settings = read(Path::new(FILE))?;
    let url = global.lake.clone().or(settings.lake).unwrap_or_else(|| DEFAULT_LAKE.to_owned());
    let prefix = std::env::var("DATALAKE_BUCKET_PREFIX").ok().filter(|prefix| !prefix.is_empty());
    let mut options = LakeOptions::default().with_retry_timeout(patience);
    options.bucket_prefix = prefix.or(settings.bucket_prefix);
    for (logical, real) in settings.buckets {
        options.buckets.insert(BucketName::new(logical)?, BucketName::new(real)?);
    }
    open(&url, &options)
}

fn read(file: &Path) -> Result<Settings> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Ok(Settings::default()),
        Err(cause) => return Err(Error::io("read", file.display(), cause)),
    };
    toml::from_str(&text).map_err(|cause| Error::invalid("read", file.display()).with_reason(cause.message()))
}
