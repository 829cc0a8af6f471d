//! Whether a table lost nothing on its way: the rows that were read are held against those of the finished object or file.

use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use futures::{StreamExt, TryStreamExt};

use super::Format;
use super::batches::Batches;
use super::csv;
use super::dialect::Quote;
use super::drive::worked;
use super::memory::MemoryBudget;
use super::options::{ReadOptions, WriteOptions};
use super::rows_digest::RowsDigest;
use super::sink::Sink;
use super::source::Source;
use super::spec::{ColumnSpec, DecimalMark, specs_of};
use crate::compute;
use crate::error::{Error, ErrorKind, Result};

/// The rows that have passed so far.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    schema: SchemaRef,
    digest: Arc<Mutex<RowsDigest>>,
}

impl Passed {
    fn digest(&self) -> RowsDigest {
        self.digest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The same batches, whose rows are remembered by their digest as they pass.
pub(crate) fn watched(batches: Batches, memory: MemoryBudget) -> (Batches, Passed) {
    let (schema, tally, notes) = (Arc::clone(batches.schema()), Arc::clone(batches.tally()), batches.notes().to_vec());
    let digest = Arc::new(Mutex::new(RowsDigest::new(schema.fields().len())));
    let passed = Passed { schema: Arc::clone(&schema), digest: Arc::clone(&digest) };
    let threads = compute::threads();
    let digested =
        worked(batches.boxed(), memory.batches(threads).min(threads), |batch| Ok((RowsDigest::of(&batch)?, batch)));
    let stream = digested.map_ok(move |(rows, batch)| {
        digest.lock().unwrap_or_else(PoisonError::into_inner).absorb(&rows);
        batch
    });
    (Batches::new(schema, stream.boxed(), tally).with_notes(notes), passed)
}

/// How a table of these columns that was written with these options is read again: as text, so that no type stands between the
/// two, but for CSV with a decimal comma, whose numbers are written otherwise than elsewhere.
///
/// # Errors
/// [`ErrorKind::Unsupported`] where there is a decimal comma, and a type that no text can have.
pub(crate) fn reading(
    name: &str,
    format: &dyn Format,
    write: &WriteOptions,
    columns: Option<&[ColumnSpec]>,
) -> Result<ReadOptions> {
    let read =
        ReadOptions::default().with_format(Some(format.name().to_owned())).with_text(true).with_memory(write.memory);
    if format.name() != "csv" {
        return Ok(read);
    }
    let read = read
        .with_delimiter(Some(csv::delimiter(name, write)))
        .with_quote(write.quote.unwrap_or(Quote::Mark('"')))
        .with_nulls(vec![write.null.clone()])
        .with_header(write.has_header());
    match (write.decimal, columns) {
        (None | Some(DecimalMark::Dot), _) => Ok(read),
        (Some(mark), Some(columns)) => {
            let marked = |(place, column): (usize, &ColumnSpec)| {
                let column = column.clone().with_decimal(mark);
                // Without a header they have no other names.
                if write.has_header() { column } else { column.with_from(vec![format!("column_{}", place + 1)]) }
            };
            let columns = columns.iter().enumerate().map(marked).collect();
            Ok(read.with_text(false).with_schema(Some(columns)).with_decimal(mark))
        }
        (Some(_), None) => Err(Error::new(ErrorKind::Unsupported, "prove", name)
            .with_reason("it has nested columns, and a decimal comma")
            .with_hint("write a decimal dot, or leave `exact` away")),
    }
}

/// Whether nothing can be read of a table: without rows, JSON has no names, and CSV none without columns.
pub(crate) fn is_bare(format: &str, rows: u64, has_columns: bool) -> bool {
    rows == 0 && (matches!(format, "ndjson" | "json") || format == "csv" && !has_columns)
}

/// The digest of all rows of a source, and its columns.
pub(crate) async fn rows_of(
    source: Source,
    format: &dyn Format,
    options: ReadOptions,
) -> Result<(RowsDigest, SchemaRef)> {
    let threads = compute::threads();
    let at_once = MemoryBudget::of_read(&options).batches(threads).min(threads);
    let batches = format.read(source, options).await?;
    let schema = Arc::clone(batches.schema());
    let none = RowsDigest::new(schema.fields().len());
    let digests = worked(batches.boxed(), at_once, |batch| RowsDigest::of(&batch));
    let sum = digests.try_fold(none, |mut sum, rows| async move {
        sum.absorb(&rows);
        Ok(sum)
    });
    Ok((sum.await?, schema))
}

/// What will lie in a sink, as a source.
///
/// # Errors
/// [`ErrorKind::Unsupported`] for a sink whose bytes are gone once they are written.
pub(crate) fn source_of(sink: &Sink) -> Result<Source> {
    match sink {
        Sink::Object { bucket, path } => Ok(Source::Object { bucket: bucket.clone(), path: path.clone() }),
        Sink::LocalFile(path) => Ok(Source::LocalFile(path.clone())),
        Sink::Folder(..) | Sink::Prefix { .. } => Err(Error::new(ErrorKind::Unsupported, "prove", sink)
            .with_reason("several files are not read again")
            .with_hint("write one file or object, or leave `exact` away")),
        Sink::Stream { .. } => Err(Error::new(ErrorKind::Unsupported, "prove", sink)
            .with_reason("what was given away cannot be read again")
            .with_hint("write a file or an object, or leave `exact` away")),
    }
}

/// Reads a table again that was written, and holds it against the rows that passed; gives the digest of both.
///
/// # Errors
/// [`ErrorKind::Invalid`] where they differ, with what is known of the difference; those of the reader.
pub(crate) async fn prove(table: Source, format: &dyn Format, write: &WriteOptions, passed: &Passed) -> Result<String> {
    let (mine, wanted) = (passed.digest(), &passed.schema);
    if is_bare(format.name(), mine.rows(), !wanted.fields().is_empty()) {
        return Ok(mine.finish());
    }
    let name = table.to_string();
    let read = reading(&table.file_name().unwrap_or_default(), format, write, specs_of(wanted).as_deref())?;
    let (found, schema) = rows_of(table, format, read).await?;
    let names = |schema: &SchemaRef| schema.fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    let has_names = write.has_header() || format.name() != "csv";
    let inexact = |reason: String| {
        Error::invalid("prove", &name)
            .with_reason(reason)
            .with_hint(match format.name() {
                "csv" => {
                    "CSV cannot tell a text from the word for a missing value; write Parquet or NDJSON, or leave `exact` \
                     away. The table is there as it was written"
                }
                _ => "JSON has no NaN and no infinity; write Parquet, or leave `exact` away. The table is there as it was written",
            })
    };
    if found.rows() != mine.rows() {
        return Err(inexact(format!("{} rows were read, and {} are in it", mine.rows(), found.rows())));
    }
    if has_names && names(&schema) != names(wanted) {
        return Err(inexact(format!("its columns are {:?}, and not {:?}", names(&schema), names(wanted))));
    }
    if found.finish() != mine.finish() {
        let differing: Vec<String> =
            mine.differing(&found).iter().map(|place| format!("`{}`", wanted.field(*place).name())).collect();
        return Err(inexact(match differing.len() {
            0 => "the values of its columns stand in other rows".to_owned(),
            _ => format!("values of {} are others than those that were read", differing.join(", ")),
        }));
    }
    Ok(mine.finish())
}

#[cfg(test)]
mod tests {
    use super::super::{Converted, convert};
    use super::*;

    async fn exactly(folder: &tempfile::TempDir, text: &str, to: &str) -> Result<Converted> {
        let from = folder.path().join("from.ndjson");
        std::fs::write(&from, text).unwrap();
        let (source, sink) = (Source::LocalFile(from), Sink::LocalFile(folder.path().join(to)));
        convert(source, sink, ReadOptions::default(), WriteOptions::default().with_exact(true)).await
    }

    #[tokio::test]
    async fn a_table_is_proven_alike_in_every_format() {
        let folder = tempfile::tempdir().unwrap();
        let text = "{\"id\":1,\"x\":1.5,\"name\":\"a, \\\"b\\\"\\nc\",\"at\":\"2024-02-29\",\"tags\":[\"p\",{\"q\":null}]}\n\
                    {\"id\":null,\"x\":-2e300,\"name\":\"\u{1F951}\",\"at\":null,\"tags\":null}\n";
        let mut digests = Vec::new();
        for to in ["a.csv", "a.tsv.gz", "a.ndjson", "a.json", "a.parquet"] {
            digests.push(exactly(&folder, text, to).await.unwrap().rows_digest.unwrap());
        }
        digests.dedup();
        assert_eq!(digests.len(), 1);
    }

    #[tokio::test]
    async fn what_a_format_cannot_hold_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let error = exactly(&folder, "{\"a\":\"\",\"b\":1}\n{\"a\":\"x\",\"b\":2}\n", "a.csv").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.reason(), Some("values of `a` are others than those that were read"));
        assert!(exactly(&folder, "{\"a\":\"\",\"b\":1}\n", "a.parquet").await.is_ok());
    }

    #[tokio::test]
    async fn a_table_is_proven_in_every_dialect() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from.csv");
        std::fs::write(&from, "id,x,name\n1,1.5,\"a;b\"\n2,-0.25,\n3,,c\n").unwrap();
        for write in [
            WriteOptions::default().with_delimiter(Some(';')).with_decimal(DecimalMark::Comma),
            WriteOptions::default().with_quote('\'').with_null("NA".to_owned()).with_header(false),
            WriteOptions::default().with_delimiter(Some(';')).with_decimal(DecimalMark::Comma).with_header(false),
        ] {
            let (source, sink) = (Source::LocalFile(from.clone()), Sink::LocalFile(folder.path().join("a.csv")));
            convert(source, sink, ReadOptions::default(), write.with_exact(true)).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_table_without_rows_is_proven() {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from.csv");
        std::fs::write(&from, "a,b\n").unwrap();
        for to in ["a.csv", "a.ndjson", "a.json", "a.parquet"] {
            let (source, sink) = (Source::LocalFile(from.clone()), Sink::LocalFile(folder.path().join(to)));
            let write = WriteOptions::default().with_exact(true);
            convert(source, sink, ReadOptions::default(), write).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_was_given_away_cannot_be_proven() {
        let sink = Sink::Stream { name: "stdout".to_owned(), writer: Box::pin(tokio::io::sink()) };
        assert_eq!(source_of(&sink).unwrap_err().kind(), ErrorKind::Unsupported);
    }
}
