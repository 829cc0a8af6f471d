//! What the folders of files say, as columns: the types that their texts would have in CSV, and the values.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};

use super::find::Files;
#[cfg(feature = "pipeline")]
use super::hive::pairs;
use crate::error::{Error, Result};
use crate::format::cell::Kinds;
use crate::format::conform::Conformer;
use crate::format::options::ReadOptions;
use crate::format::spec::ColumnSpec;

/// The value of a folder, unless it is one of the texts that mean that it is missing. In CSV an empty one always is.
fn value<'a>(said: Option<&'a str>, options: &ReadOptions) -> Option<&'a str> {
    said.filter(|value| !value.is_empty() && !options.nulls.iter().any(|null| null == value))
}

/// Whose folder says a declared column, if one does: the first of its names of which there are folders. It is then looked for
/// in no file.
pub(crate) fn folder_of<'a>(spec: &ColumnSpec, keys: &(impl Iterator<Item = &'a str> + Clone)) -> Option<&'a str> {
    spec.source_names().find_map(|name| keys.clone().find(|key| *key == name))
}

/// What the folders of a file say of a column: the nearest one counts, as those above may be called the same.
#[cfg(feature = "pipeline")]
pub(crate) fn said_of(file: &str, key: &str) -> Result<Option<Option<String>>> {
    for folder in file.rsplit('/').skip(1) {
        if let Some((_, value)) = pairs(file, folder)?.into_iter().find(|(own, _)| own == key) {
            return Ok(Some(value));
        }
    }
    Ok(None)
}

/// What a column that stands in a file and in its folders is.
pub(super) fn in_both(file: &str, key: &str) -> Error {
    Error::invalid("read", file)
        .with_reason(format_args!("it has a column `{key}`, and so have its folders, `{key}=`"))
        .with_hint("rename one of them")
}

/// The types of the columns in folders: those that their texts would have in CSV.
pub(super) fn found_in_folders(files: &Files, options: &ReadOptions) -> Vec<ColumnSpec> {
    let kinds = |place: usize| {
        let values = files.files.iter().filter_map(|file| value(file.values[place].as_deref(), options));
        values.map(|value| Kinds::of(value, options.decimal.unwrap_or_default())).reduce(Kinds::and)
    };
    let specs = files.keys.iter().enumerate().map(|(place, key)| {
        let data_type = kinds(place).filter(|_| !options.text).map_or(DataType::Utf8, Kinds::narrowest);
        ColumnSpec::new(key, data_type).with_decimal(options.decimal.unwrap_or_default())
    });
    specs.collect()
}

/// What the folders of all files say, in columns of these types.
pub(super) fn said_as(files: &Files, specs: &[ColumnSpec], options: &ReadOptions) -> Result<RecordBatch> {
    let texts = (0..files.keys.len()).map(|place| {
        let values = files.files.iter().map(|file| value(file.values[place].as_deref(), options));
        Arc::new(values.collect::<StringArray>()) as ArrayRef
    });
    let fields: Vec<Field> = files.keys.iter().map(|key| Field::new(key, DataType::Utf8, true)).collect();
    let rows = arrow::array::RecordBatchOptions::new().with_row_count(Some(files.len()));
    let texts = RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), texts.collect(), &rows);
    let texts = texts.map_err(|cause| Error::internal("read", &files.what).with_source(cause))?;
    let conformed = Conformer::new(texts.schema_ref(), specs)?.apply(&texts)?;
    match conformed.faults.first() {
        None => Ok(conformed.batch),
        Some(fault) => Err(Error::invalid("read", &files.files[fault.row as usize].name)
            .with_reason(format_args!("its folders say column `{}`: {}", fault.column, fault.reason))),
    }
}

/// What the folders of one object say, where it is read by itself.
#[cfg(feature = "sql")]
#[derive(Debug, Clone, Default)]
pub(crate) struct Said(Vec<(String, Option<String>)>);

#[cfg(feature = "sql")]
mod of_one {
    use arrow::array::RecordBatchOptions;

    use super::{Arc, ArrayRef, DataType, Error, Field, Kinds, ReadOptions, RecordBatch, Result, Said, Schema};
    use super::{StringArray, folder_of, in_both, value};
    use crate::format::batches::Batches;
    use crate::format::schema::Inferred;

    impl Said {
        pub(crate) fn new(said: Vec<(String, Option<String>)>) -> Self {
            Self(said)
        }

        /// Whether they say nothing.
        pub(crate) fn is_empty(&self) -> bool {
            self.0.is_empty()
        }

        /// How the object itself is read: columns of its folders are not looked for in it.
        pub(crate) fn of_object(&self, mut options: ReadOptions) -> ReadOptions {
            if let (false, Some(specs)) = (self.is_empty(), &mut options.schema) {
                specs.retain(|spec| folder_of(spec, &self.0.iter().map(|(key, _)| &**key)).is_none());
            }
            options
        }

        /// What was inferred of the object, with the columns of its folders as CSV would have them.
        pub(crate) fn inferred(&self, name: &str, mut inferred: Inferred, options: &ReadOptions) -> Result<Inferred> {
            self.is_apart(name, inferred.schema.fields().iter().map(|field| field.name().as_str()))?;
            let mut fields: Vec<_> = inferred.schema.fields().iter().cloned().collect();
            for (key, said) in &self.0 {
                let kinds = value(said.as_deref(), options).map(|value| {
                    if options.text { Kinds::NONE } else { Kinds::of(value, options.decimal.unwrap_or_default()) }
                });
                let data_type = kinds.map_or(DataType::Utf8, Kinds::narrowest);
                match kinds {
                    None => inferred.empty.push(key.clone()),
                    Some(kinds) if data_type == DataType::Int64 && !kinds.has(Kinds::FLOAT) => {
                        inferred.wide_integers.push(key.clone());
                    }
                    Some(_) => {}
                }
                inferred.kinds.extend(kinds.map(|kinds| (key.clone(), kinds)));
                fields.push(Arc::new(Field::new(key, data_type, true)));
            }
            inferred.schema = Arc::new(Schema::new(fields));
            Ok(inferred)
        }

        /// The rows of the object, with the columns of its folders as text.
        pub(crate) fn with_rows(&self, name: &str, rows: Batches, options: &ReadOptions) -> Result<Batches> {
            if self.is_empty() {
                return Ok(rows);
            }
            match rows.source_columns() {
                Some(columns) => self.is_apart(name, columns.iter().map(String::as_str))?,
                None => self.is_apart(name, rows.schema().fields().iter().map(|field| field.name().as_str()))?,
            }
            let texts = self.0.iter().map(|(key, _)| Arc::new(Field::new(key, DataType::Utf8, true)));
            let fields = rows.schema().fields().iter().cloned().chain(texts).collect::<Vec<_>>();
            let schema = Arc::new(Schema::new(fields));
            let said = self.0.iter().map(|(_, said)| value(said.as_deref(), options).map(ToOwned::to_owned));
            let (said, joined) = (said.collect::<Vec<_>>(), Arc::clone(&schema));
            Ok(rows.mapped(schema, move |batch| {
                let count = batch.num_rows();
                let texts = said.iter().map(|said| {
                    Arc::new(std::iter::repeat_n(said.as_deref(), count).collect::<StringArray>()) as ArrayRef
                });
                let columns = batch.columns().iter().cloned().chain(texts).collect();
                let options = RecordBatchOptions::new().with_row_count(Some(count));
                RecordBatch::try_new_with_options(Arc::clone(&joined), columns, &options)
                    .map_err(|cause| Error::internal("hand on", "the rows of an object").with_source(cause))
            }))
        }

        /// Sees that no column stands in the object and in its folders.
        fn is_apart<'a>(&self, name: &str, mut columns: impl Iterator<Item = &'a str>) -> Result<()> {
            match columns.find(|column| self.0.iter().any(|(key, _)| key == column)) {
                None => Ok(()),
                Some(key) => Err(in_both(name, key)),
            }
        }
    }
}
