//! One source as rows, whatever its format is.

use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::Format;
use super::batches::Batches;
use super::detect::detect;
use super::options::ReadOptions;
use super::source::Source;
use crate::error::{Error, Result};

/// Reads a source; its format is told by option, name or content.
///
/// # Errors
/// Those of [`detect`] and [`Format::read`].
pub async fn read(source: Source, options: ReadOptions) -> Result<Batches> {
    let source = source.spool().await?;
    let (format, compression) = detect(&source, &options).await?;
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
