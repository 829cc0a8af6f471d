//! The table that a conversion wrote: one file or object, or several with the manifest that names them.

use std::path::PathBuf;
use std::sync::Arc;

use object_store::path::Path;

use super::conversion::Conversion;
use super::verify::sha256_of;
use crate::error::{Error, Result};
use crate::format::{MANIFEST, Sink, Source, key_below};
use crate::lake::{Bucket, Lake, Location};

/// The table that a conversion wrote, where it lies now.
pub(super) enum WrittenTable {
    One(Source),
    Many(Parts),
}

/// Where the files of a table lie.
pub(super) enum Parts {
    Folder(PathBuf),
    Prefix(Bucket, Path),
}

impl WrittenTable {
    pub(super) async fn of(conversion: &Conversion, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Self> {
        let is_many = !conversion.files.is_empty();
        Ok(match conversion.destination.parse()? {
            Location::Object { bucket, key } => {
                Self::One(Source::Object { bucket: lake()?.bucket(&bucket).await?, path: key })
            }
            Location::Local(path) if !is_many => Self::One(Source::LocalFile(path)),
            Location::Local(path) => Self::Many(Parts::Folder(path)),
            Location::Prefix { bucket, prefix } => Self::Many(Parts::Prefix(lake()?.bucket(&bucket).await?, prefix)),
            Location::Stdio => return Err(Error::internal("find", &conversion.destination)),
        })
    }

    /// Where to write it anew, or to add to it.
    pub(super) fn sink(&self) -> Result<Sink> {
        match self {
            Self::One(Source::Object { bucket, path }) => {
                Ok(Sink::Object { bucket: bucket.clone(), path: path.clone() })
            }
            Self::One(Source::LocalFile(path)) => Ok(Sink::LocalFile(path.clone())),
            Self::One(other) => Err(Error::internal("write", other)),
            Self::Many(Parts::Folder(path)) => Ok(Sink::Folder(path.clone())),
            Self::Many(Parts::Prefix(bucket, prefix)) => {
                Ok(Sink::Prefix { bucket: bucket.clone(), prefix: prefix.clone() })
            }
        }
    }

    /// The SHA-256 of the file, or of the manifest, unless it is gone.
    pub(super) async fn sha256(&self) -> Result<Option<String>> {
        match self {
            Self::One(source) => sha256_of(source).await,
            Self::Many(parts) => sha256_of(&parts.file(MANIFEST)?).await,
        }
    }
}

impl Parts {
    /// A file of the table, by its path.
    pub(super) fn file(&self, path: &str) -> Result<Source> {
        Ok(match self {
            Self::Folder(folder) => Source::LocalFile(folder.join(path)),
            Self::Prefix(bucket, prefix) => {
                let key = key_below(prefix, path).map_err(|cause| {
                    Error::invalid("read", format_args!("the manifest of {}", bucket.address(prefix)))
                        .with_reason(format_args!("it names `{path}`, which is no key"))
                        .with_source(cause)
                })?;
                Source::Object { bucket: bucket.clone(), path: key }
            }
        })
    }
}
