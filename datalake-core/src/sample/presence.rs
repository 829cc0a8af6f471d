//! Lands the sample only where it is missing: data that somebody else put there is never touched.

use std::fmt;

use object_store::path::Path;

use super::dirt::Table;
use super::land::{Landed, MANIFEST, SampleOptions, land};
use crate::error::{Error, ErrorKind, Result};
use crate::lake::Bucket;
use crate::progress::Progress;

/// What was found under a prefix, and what was done about it.
#[derive(Debug, Clone, PartialEq)]
pub enum Presence {
    /// Nothing, or a part of the sample that a killed run had left: it was landed.
    Landed(Landed),
    /// The sample, whole: it stays.
    Kept(Landed),
    /// So many objects that are not of the sample: they stay, and nothing was landed.
    Other(usize),
}

impl fmt::Display for Presence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Landed(landed) => write!(
                f,
                "landed {} records of {} synthetic foods in {} objects, {} of them broken on purpose",
                landed.rows(),
                landed.foods,
                landed.objects.len(),
                landed.broken()
            ),
            Self::Kept(landed) => write!(f, "found the sample of {} synthetic foods", landed.foods),
            Self::Other(objects) => write!(f, "found {objects} objects that are not the sample; nothing was landed"),
        }
    }
}

/// Lands the sample under `prefix` where it is missing, or where `options` ask for another one.
///
/// Without options a sample that is there stays, whichever it is. The manifest is written last, so objects of the
/// sample without one are what a killed run left, and are landed again.
///
/// # Errors
/// What the store says; [`Invalid`](ErrorKind::Invalid) for a manifest that cannot be read.
pub async fn land_if_missing(
    bucket: &Bucket,
    prefix: &Path,
    options: Option<&SampleOptions>,
    progress: &dyn Progress,
) -> Result<Presence> {
    if let Some(landed) = manifest(bucket, &prefix.clone().join(MANIFEST)).await?
        && options.is_none_or(|options| *options == landed.options)
    {
        return Ok(Presence::Kept(landed));
    }
    let objects = bucket.list(Some(prefix)).await?;
    let ours = |name: Option<&str>| {
        name.is_some_and(|name| name == MANIFEST || Table::ALL.iter().any(|table| table.file_name() == name))
    };
    let others = objects.iter().filter(|object| !ours(object.location.filename())).count();
    if others > 0 {
        return Ok(Presence::Other(others));
    }
    let default = SampleOptions::default();
    land(bucket, prefix, options.unwrap_or(&default), progress).await.map(Presence::Landed)
}

async fn manifest(bucket: &Bucket, key: &Path) -> Result<Option<Landed>> {
    let json = match bucket.get(key).await {
        Ok(json) => json,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    serde_json::from_slice(&json).map(Some).map_err(|cause| {
        Error::invalid("read", bucket.address(key)).with_hint("remove it to land the sample again").with_source(cause)
    })
}
