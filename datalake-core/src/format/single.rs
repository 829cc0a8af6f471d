//! One source as rows, whatever its format is.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::Format;
use super::batches::Batches;
use super::detect::{detect, told};
use super::options::ReadOptions;
use super::source::Source;
use super::unheeded;
use crate::error::{Error, Result};

/// Reads a source; its format is told by option, name or content.
///
/// # Errors
/// Those of [`detect`] and [`Format::read`]; [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for an option of which the format
/// has no use.
pub async fn read(source: Source, options: ReadOptions) -> Result<Batches> {
    if let Some(format) = told(&source, &options) {
        unheeded::refuse_read(&*format, &options)?;
    }
    let source = source.spool().await?;
    let (format, compression) = detect(&source, &options).await?;
    unheeded::refuse_read(&*format, &options)?;
    read_as(&*format, source, options.with_compression(Some(compression))).await
}

/// Reads a source of a known format. The column of its name is added here: a format reads one of many files just so, whose
/// columns are not all that the table has.
pub(crate) async fn read_as(format: &dyn Format, source: Source, mut options: ReadOptions) -> Result<Batches> {
    let Some(column) = options.source_column.take() else { return format.read(source, options).await };
    let name = source.to_string();
    let rows = format.read(source, options).await?;
    if rows.schema().index_of(&column).is_ok() {
        return Err(taken(&name, &column));
    }
    let field = Arc::new(Field::new(column, DataType::Utf8, false));
    let schema = Arc::new(Schema::new(rows.schema().fields().iter().cloned().chain([field]).collect::<Vec<_>>()));
    let joined = Arc::clone(&schema);
    Ok(rows.mapped(schema, move |batch| {
        let count = batch.num_rows();
        let names = Arc::new(StringArray::from_iter_values(std::iter::repeat_n(&name, count)));
        let columns = batch.columns().iter().cloned().chain([names as _]).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(count));
        RecordBatch::try_new_with_options(Arc::clone(&joined), columns, &options)
            .map_err(|cause| Error::internal("hand on", "the rows of a file").with_source(cause))
    }))
}

/// That a column which an option adds is there already.
pub(crate) fn taken(what: &str, column: &str) -> Error {
    Error::invalid("number the rows of", what)
        .with_reason(format_args!("there is a column `{column}` already"))
        .with_hint("choose another name for the row number or the source")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[tokio::test]
    async fn an_option_that_the_format_does_not_heed_is_refused() {
        let json = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(json.path(), r#"{"rows":[{"a":1}],"others":[{"a":2}]}"#).unwrap();
        let json = json.path().to_path_buf();
        let rows = || ReadOptions::default().with_rows(Some("rows".into()));
        assert!(read(Source::LocalFile(json.clone()), rows()).await.is_ok());
        // By what stands in a source, and by its name alone.
        let sep = rows().with_delimiter(Some(';'));
        for (source, options, option) in [(json, sep, "`delimiter`"), ("/nowhere/a.csv".into(), rows(), "`rows`")] {
            let error = read(Source::LocalFile(source), options).await.unwrap_err();
            assert_eq!((error.kind(), error.subject()), (ErrorKind::Invalid, option));
        }
    }
}
