//! What workers leave for each other: tables in Parquet and JSON documents, in the folder of their step.

use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use futures::{StreamExt, TryStreamExt, stream};

use crate::format::{Batches, Format, Parquet, ReadOptions, Source, Tally};
use crate::lake::parse_object;
use crate::pipeline::run::Context;

/// The rows of several objects, one after the other, all of this schema. Each is opened when its turn comes.
pub(crate) fn rows_of(context: &Context, paths: Vec<String>, schema: SchemaRef) -> Batches {
    let lake = Arc::clone(&context.lake);
    let opened = stream::iter(paths).then(move |path| {
        let lake = Arc::clone(&lake);
        async move {
            let (bucket, path) = parse_object(&path)?;
            let source = Source::Object { bucket: lake.bucket(&bucket).await?, path };
            Parquet::default().read(source, ReadOptions::default()).await
        }
    });
    Batches::new(schema, opened.try_flatten().boxed(), Arc::new(Tally::default()))
}
