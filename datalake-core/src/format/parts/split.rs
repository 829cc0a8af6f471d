//! Which folder each row goes to.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions, UInt32Array};
use arrow::compute::take_record_batch;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use indexmap::{IndexMap, IndexSet};

use crate::error::{Error, ErrorKind, Result};
use crate::format::many::{NULL, folder};
use crate::format::names::nearest;
use crate::format::text::value_text;

/// So many folders a table may have: each is kept in mind to the end, and its rows wait for their like.
const MOST_FOLDERS: usize = 10_000;
/// The folder of so many values is remembered. There may be more of them than folders: all NaNs have one.
const MOST_KNOWN: usize = 65_536;

/// Parts batches by the values of columns.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    /// What messages call the table.
    sink: String,
    /// The columns that part rows, and those that stay.
    keys: Vec<usize>,
    rest: Vec<usize>,
    schema: Option<SchemaRef>,
    /// The columns of the files, and behind them those that part rows.
    whole: Option<SchemaRef>,
    converter: Option<RowConverter>,
    /// The paths of the folders so far.
    folders: IndexSet<String>,
    /// Their numbers, by the values of their rows. Different values may have the same folder.
    known: HashMap<Box<[u8]>, usize>,
    /// How many of them were given.
    given: usize,
}

impl Splitter {
    pub(super) fn new(sink: &str, schema: &SchemaRef, partition_by: &[String]) -> Result<Self> {
        let refused = |reason: String| Error::invalid("write", sink).with_reason(reason);
        let mut keys = Vec::new();
        for name in partition_by {
            let place = schema.index_of(name).map_err(|_| {
                let error = Error::not_found("find", format_args!("column `{name}` to part rows by"));
                match nearest(schema.fields().iter().map(|field| field.name().as_str()), &[name]) {
                    Some(near) => error.with_hint(format_args!("the nearest name is `{near}`")),
                    None => error,
                }
            })?;
            if keys.contains(&place) {
                return Err(refused(format!("`{name}` is named twice in partition_by")));
            }
            if name.is_empty() {
                return Err(refused("rows are to be parted by a column without a name".to_owned())
                    .with_hint("give the column a name"));
            }
            if name.starts_with(['_', '.']) {
                let error =
                    refused(format!("rows are to be parted by `{name}`, and readers pass over folders named so"));
                return Err(error.with_hint("give the column another name"));
            }
            let data_type = schema.field(place).data_type();
            if data_type.is_nested() {
                return Err(Error::new(ErrorKind::Unsupported, "write", sink)
                    .with_reason(format_args!("rows cannot be parted by `{name}`, which is {data_type}")));
            }
            keys.push(place);
        }
        let rest: Vec<usize> = (0..schema.fields().len()).filter(|place| !keys.contains(place)).collect();
        if rest.is_empty() && !keys.is_empty() {
            return Err(refused("all columns are in partition_by, so no column is left for the files".to_owned()));
        }
        let internal = |cause| Error::internal("part", "the rows of a table").with_source(cause);
        let fields = keys.iter().map(|place| SortField::new(schema.field(*place).data_type().clone())).collect();
        let converter = if keys.is_empty() { None } else { Some(RowConverter::new(fields).map_err(internal)?) };
        let own = Arc::new(schema.project(&rest).map_err(internal)?);
        let whole = Arc::new(schema.project(&[&rest[..], &keys].concat()).map_err(internal)?);
        let (schema, whole, sink) = (Some(own), Some(whole), sink.to_owned());
        Ok(Self { sink, keys, rest, schema, whole, converter, ..Self::default() })
    }

    /// Whether all rows go to one folder.
    pub(super) fn is_one(&self) -> bool {
        self.keys.is_empty()
    }

    /// The columns of the files.
    pub(super) fn schema(&self) -> SchemaRef {
        self.schema.clone().unwrap_or_else(|| Arc::new(Schema::empty()))
    }

    /// All columns, in the order in which the table is read again.
    pub(super) fn whole_schema(&self) -> SchemaRef {
        self.whole.clone().unwrap_or_else(|| Arc::new(Schema::empty()))
    }

    /// The folders that were first seen since the last call; they have the next numbers.
    pub(super) fn new_folders(&mut self) -> Vec<String> {
        let new = self.folders.iter().skip(self.given).cloned().collect();
        self.given = self.folders.len();
        new
    }

    /// The rows for each folder, by its number, in their order.
    pub(super) fn split(&mut self, batch: &RecordBatch) -> Result<Vec<(usize, RecordBatch)>> {
        let internal = |cause| Error::internal("part", "the rows of a table").with_source(cause);
        let rows = batch.num_rows();
        let Some(converter) = &self.converter else {
            self.folders.insert(String::new());
            return Ok(vec![(0, batch.clone())]);
        };
        let columns: Vec<_> = self.keys.iter().map(|place| Arc::clone(batch.column(*place))).collect();
        let keys = converter.convert_columns(&columns).map_err(internal)?;
        let mut parts: IndexMap<usize, Vec<u32>> = IndexMap::new();
        let mut last: Option<(usize, usize)> = None;
        for row in 0..rows {
            let folder = match last {
                Some((before, folder)) if keys.row(before) == keys.row(row) => folder,
                _ => self.folder(batch, row, keys.row(row).as_ref())?,
            };
            last = Some((row, folder));
            parts.entry(folder).or_default().push(row as u32);
        }
        let rest = self.rest.iter().map(|place| Arc::clone(batch.column(*place))).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let rest = RecordBatch::try_new_with_options(self.schema(), rest, &options).map_err(internal)?;
        let is_whole = parts.len() == 1;
        let part = |(folder, rows): (usize, Vec<u32>)| {
            let part = if is_whole { Ok(rest.clone()) } else { take_record_batch(&rest, &UInt32Array::from(rows)) };
            Ok((folder, part.map_err(internal)?))
        };
        parts.into_iter().map(part).collect()
    }

    /// The number of the folder of a row.
    fn folder(&mut self, batch: &RecordBatch, row: usize, key: &[u8]) -> Result<usize> {
        if let Some(number) = self.known.get(key) {
            return Ok(*number);
        }
        let mut path = String::new();
        for place in &self.keys {
            let value = value_text(batch.column(*place).as_ref(), row)?;
            if value.as_deref() == Some(NULL) {
                return Err(Error::invalid("write", &self.sink)
                    .with_reason(format_args!(
                        "`{NULL}` in column `{}` is the folder of missing values",
                        batch.schema_ref().field(*place).name()
                    ))
                    .with_hint("make another text of it, or a missing value"));
            }
            path.push_str(&folder(batch.schema_ref().field(*place).name(), value.as_deref()));
            path.push('/');
        }
        let (number, _) = self.folders.insert_full(path);
        if number >= MOST_FOLDERS {
            return Err(self.too_many(batch.schema_ref()));
        }
        if self.known.len() < MOST_KNOWN {
            self.known.insert(key.into(), number);
        }
        Ok(number)
    }

    fn too_many(&self, schema: &Schema) -> Error {
        let names: Vec<String> = self.keys.iter().map(|place| format!("`{}`", schema.field(*place).name())).collect();
        Error::invalid("write", &self.sink)
            .with_reason(format_args!(
                "parted by {}, its rows make more than {MOST_FOLDERS} folders",
                names.join(" and ")
            ))
            .with_hint("part them by a column with fewer values, such as a month instead of a day")
    }
}
