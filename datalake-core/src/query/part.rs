//! One lake object as a table of its own, and what several of them have in common.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;

use crate::error::Result;
use crate::format::{self, Batches, Format, Inferred, ReadOptions, Source, detect};
use crate::lake::Bucket;

/// So many objects are looked at ahead.
const AHEAD: usize = 8;

/// One object with its format.
#[derive(Debug, Clone)]
pub struct Part {
    /// Its bucket.
    pub bucket: Bucket,
    /// Its key, size and tag.
    pub meta: ObjectMeta,
    /// Its format.
    pub format: Arc<dyn Format>,
}

impl Part {
    /// The object with its format, by its name or its first bytes.
    pub(crate) async fn detect(bucket: Bucket, meta: ObjectMeta, options: &ReadOptions) -> Result<Self> {
        let source = Source::Object { bucket: bucket.clone(), path: meta.location.clone() };
        let (format, _) = detect(&source, options).await?;
        Ok(Self { bucket, meta, format })
    }

    /// `bucket/key`.
    #[must_use]
    pub fn path(&self) -> String {
        self.bucket.address(&self.meta.location)
    }

    /// Its schema, from all of its values.
    pub(crate) async fn infer(&self, options: &ReadOptions) -> Result<Inferred> {
        self.format.infer_schema(&self.source(), options).await
    }

    /// Where its bytes come from.
    pub(crate) fn source(&self) -> Source {
        Source::Object { bucket: self.bucket.clone(), path: self.meta.location.clone() }
    }

    /// Opens the object as a stream of record batches.
    ///
    /// # Errors
    /// If it cannot be opened or is not of its format.
    pub async fn read(&self, options: ReadOptions) -> Result<Batches> {
        self.format.read(self.source(), options).await
    }
}

/// Infers the schema of every object, each read in its own way, and unites them.
pub(crate) async fn unite(parts: &[(Part, ReadOptions)]) -> Result<format::United> {
    let inferred = parts.iter().map(|(part, options)| {
        let (part, options) = (part.clone(), options.clone());
        async move { Ok::<_, crate::Error>((part.path(), part.infer(&options).await?)) }
    });
    let found: Vec<_> = stream::iter(inferred.collect::<Vec<_>>()).buffered(AHEAD).try_collect().await?;
    let mark = parts.first().map(|(_, options)| options.decimal).unwrap_or_default();
    let nests = parts.iter().all(|(part, _)| matches!(part.format.name(), "json" | "ndjson"));
    Ok(format::unite(&found, mark, nests))
}
