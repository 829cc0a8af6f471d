//! One lake object as a table of its own, and what several of them have in common.

use std::collections::HashSet;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use object_store::ObjectMeta;

use crate::error::Result;
use crate::format::{self, Batches, ColumnSpec, Format, Inferred, ReadOptions, Said, Source, detect};
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
    /// What its folders say.
    said: Said,
}

/// The columns that several objects have in common.
#[derive(Debug)]
pub(crate) struct Common {
    /// Those of the objects, and then those that only folders say.
    pub(crate) columns: Vec<ColumnSpec>,
    /// Whether every object itself has the same columns.
    pub(crate) alike: bool,
    /// What the user should know: columns that were widened, or that objects lack.
    pub(crate) notes: Vec<String>,
}

impl Part {
    /// The object with its format, by its name or its first bytes.
    pub(crate) async fn detect(bucket: Bucket, meta: ObjectMeta, said: Said, options: &ReadOptions) -> Result<Self> {
        let source = Source::Object { bucket: bucket.clone(), path: meta.location.clone() };
        let (format, _) = detect(&source, options).await?;
        Ok(Self { bucket, meta, format, said })
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

    /// Opens the object as a stream of record batches. What its folders say are columns of text.
    ///
    /// # Errors
    /// If it cannot be opened or is not of its format, or has a column that its folders have too.
    pub async fn read(&self, options: ReadOptions) -> Result<Batches> {
        let rows = self.format.read(self.source(), self.said.of_object(options.clone())).await?;
        self.said.with_rows(&self.path(), rows, &options)
    }
}

/// Infers the schema of every object, each read in its own way, and unites them.
pub(crate) async fn unite(parts: &[(Part, ReadOptions)]) -> Result<Common> {
    let inferred = parts.iter().map(|(part, options)| {
        let (part, options) = (part.clone(), options.clone());
        async move { part.infer(&options).await }
    });
    let found: Vec<_> = stream::iter(inferred.collect::<Vec<_>>()).buffered(AHEAD).try_collect().await?;
    let alike = found.windows(2).all(|pair| pair[0].schema == pair[1].schema);
    let own: HashSet<String> =
        found.iter().flat_map(|inferred| inferred.schema.fields()).map(|field| field.name().clone()).collect();
    let found = parts.iter().zip(found).map(|((part, options), inferred)| {
        let path = part.path();
        let inferred = part.said.inferred(&path, inferred, options)?;
        Ok((path, inferred))
    });
    let found = found.collect::<Result<Vec<_>>>()?;
    let mark = parts.first().map(|(_, options)| options.decimal).unwrap_or_default();
    let nests = parts.iter().all(|(part, _)| matches!(part.format.name(), "json" | "ndjson"));
    let united = format::unite(&found, mark, nests);
    let mut columns = united.columns;
    columns.sort_by_key(|column| !own.contains(&column.name));
    Ok(Common { columns, alike, notes: united.notes })
}
