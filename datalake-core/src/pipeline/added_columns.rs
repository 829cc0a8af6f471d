//! The columns of a table that stand in no record: what folders say, the source, the number of the row.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, StringArray, UInt64Array};
use arrow::datatypes::{Field, Schema};

use super::conversion::Conversion;
use crate::error::{Error, Result};
use crate::format::{ColumnSpec, Conformer, folder_of, said_of};

/// What is added to the records of a conversion, and in which order the columns of its table are.
#[derive(Debug, Default)]
pub(super) struct AddedColumns {
    /// The columns of the table.
    table: Vec<ColumnSpec>,
    /// Those that folders say, each with what they call it.
    folders: Vec<(String, ColumnSpec)>,
    /// That of the source.
    source: Option<ColumnSpec>,
    /// That of the number of the row.
    row: Option<ColumnSpec>,
    /// Texts that mean that a value is missing.
    nulls: Vec<String>,
}

impl AddedColumns {
    /// Those of a conversion, of which the table has these columns.
    pub(super) fn new(conversion: &Conversion, table: Vec<ColumnSpec>) -> Self {
        let Conversion { read, added, .. } = conversion;
        let spec = |name: &String| table.iter().find(|spec| spec.name == *name).cloned();
        let is_of_option =
            |name: &String| Some(name) == read.source_column.as_ref() || Some(name) == read.row_number.as_ref();
        let keys = added.iter().filter(|name| !is_of_option(name)).map(String::as_str);
        // Of what folders say, a selection may have left out some.
        let folders = match &read.schema {
            None => {
                let found = |key: &str| Some(spec(&key.to_owned())?.with_decimal(read.decimal.unwrap_or_default()));
                keys.filter_map(|key| Some((key.to_owned(), found(key)?))).collect()
            }
            Some(declared) => {
                let of_folder = |declared: &ColumnSpec| {
                    let key = folder_of(declared, &keys)?;
                    let own = spec(&declared.name)?;
                    // It may have another name than its folders, a unit, and a decimal mark.
                    let is_so = own.data_type == declared.data_type;
                    Some((key.to_owned(), if is_so { declared.clone().with_from(Vec::new()) } else { own }))
                };
                declared.iter().filter_map(of_folder).collect()
            }
        };
        let (source, row) = (read.source_column.as_ref().and_then(spec), read.row_number.as_ref().and_then(spec));
        Self { folders, source, row, nulls: read.nulls.clone(), table }
    }

    /// Whether a column is one of them.
    pub(super) fn has(&self, name: &str) -> bool {
        self.folders.iter().map(|(_, spec)| spec).chain(&self.source).chain(&self.row).any(|spec| spec.name == name)
    }

    /// What the name of a source says: the column of each, with its one value.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) where the name lacks a folder, or what it says is not of the type of
    /// its column.
    pub(super) fn said_by(&self, source: &str) -> Result<Vec<(Field, ArrayRef)>> {
        let mut said = Vec::with_capacity(self.folders.len() + 1);
        for (key, spec) in &self.folders {
            let Some(value) = said_of(source, key)? else {
                return Err(Error::invalid("replay the records of", source)
                    .with_reason(format_args!(
                        "its name has no folder `{key}=`, and the table has column `{}` of it",
                        spec.name
                    ))
                    .with_hint("leave `source` in the quarantine as it was"));
            };
            let value = value.filter(|value| !value.is_empty() && !self.nulls.contains(value));
            said.push(typed(source, spec, Arc::new(StringArray::from(vec![value])))?);
        }
        if let Some(spec) = &self.source {
            said.push(typed(source, spec, Arc::new(StringArray::from(vec![source])))?);
        }
        Ok(said)
    }

    /// A row with what is added to it, in the order of the table.
    ///
    /// # Errors
    /// None but those of a bug.
    pub(super) fn joined(&self, row: &RecordBatch, said: &[(Field, ArrayRef)], number: u64) -> Result<RecordBatch> {
        if self.table.is_empty() {
            return Ok(row.clone());
        }
        let own = row.schema();
        let own = own.fields().iter().map(|field| field.as_ref().clone()).zip(row.columns().iter().cloned());
        let mut columns: Vec<(Field, ArrayRef)> = own.chain(said.iter().cloned()).collect();
        if let Some(spec) = &self.row {
            columns.push(typed("the number of a row", spec, Arc::new(UInt64Array::from(vec![number])))?);
        }
        let place = |field: &Field| self.table.iter().position(|spec| spec.name == *field.name());
        columns.sort_by_key(|(field, _)| place(field).unwrap_or(usize::MAX));
        let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
            .map_err(|cause| Error::internal("join", "what is added to a row").with_source(cause))
    }
}

/// One value as a column of the table has it.
fn typed(source: &str, spec: &ColumnSpec, value: ArrayRef) -> Result<(Field, ArrayRef)> {
    let failed = |cause| Error::internal("read", source).with_source(cause);
    let field = Field::new(&spec.name, value.data_type().clone(), true);
    let value = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![value]).map_err(failed)?;
    let conformed = Conformer::new(value.schema_ref(), std::slice::from_ref(spec))?.apply(&value)?;
    match conformed.faults.first() {
        None => Ok((spec.field(), Arc::clone(conformed.batch.column(0)))),
        Some(fault) => Err(Error::invalid("replay the records of", source)
            .with_reason(format_args!("its name says column `{}`: {}", fault.column, fault.reason))
            .with_hint("leave `source` in the quarantine as it was")),
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    fn columns() -> AddedColumns {
        let spec = |name: &str, data_type| ColumnSpec::new(name, data_type);
        let (year, file) = (spec("year", DataType::Int64), spec("file", DataType::Utf8).with_nullable(false));
        AddedColumns {
            table: vec![year.clone(), spec("a", DataType::Int64), file.clone()],
            folders: vec![("year".to_owned(), year)],
            source: Some(file),
            row: None,
            nulls: vec!["none".to_owned()],
        }
    }

    #[test]
    fn what_the_nearest_folder_says_stands_where_the_table_has_it() {
        let columns = columns();
        let row = [("a", Arc::new(arrow::array::Int64Array::from(vec![7])) as ArrayRef)];
        let row = RecordBatch::try_from_iter(row).unwrap();
        for (source, year) in [
            ("year=1/year=2024/b.csv", "2024"),
            ("in/year=none/b.csv", ""),
            ("raw-data/year=__HIVE_DEFAULT_PARTITION__/k=1/b.csv", ""),
        ] {
            let joined = columns.joined(&row, &columns.said_by(source).unwrap(), 1).unwrap();
            let cell = |at: usize| arrow::util::display::array_value_to_string(joined.column(at), 0).unwrap();
            assert_eq!([cell(0), cell(1), cell(2)], [year, "7", source]);
        }
    }

    #[test]
    fn a_source_that_does_not_say_it_is_refused() {
        for (source, said) in [("b.csv", "no folder `year=`"), ("year=x/b.csv", "`x` is not a int64")] {
            let error = columns().said_by(source).unwrap_err();
            assert!(error.reason().unwrap().contains(said), "{error:?}");
        }
    }
}
