//! Records as the bytes of CSV and JSON, with the faults that only bytes can have, and as record batches.

use std::sync::Arc;

use arrow::array::{ArrayRef, Float64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use csv::ByteRecord;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::dirt::{ENERGY_AT, Fault, MEASURED, Record, Table, Value};
use super::foods::{ENERGY, NUTRIENTS, SOURCE};
use crate::error::{Error, Result};

/// The text columns of a food, before the measured ones.
const TEXTS: [&str; 6] = ["food_code", "name", "family", "food_group", "preparation", "source"];

/// The name of a measured column.
fn measured_name(at: usize) -> &'static str {
    if at == ENERGY_AT { ENERGY } else { NUTRIENTS[at] }
}

fn texts(record: &Record) -> [&str; TEXTS.len()] {
    let food = &record.food;
    [&food.code, &food.name, food.family, food.food_group, food.preparation, SOURCE]
}

/// What stands before the first record of a text object.
pub(super) fn opening(table: Table) -> Result<Vec<u8>> {
    match table {
        Table::CommaCsv | Table::EuropeanCsv => csv_header(table),
        Table::JsonArray => Ok(b"[".to_vec()),
        Table::JsonLines | Table::Parquet => Ok(Vec::new()),
    }
}

/// What stands after the last record of a text object.
pub(super) fn closing(table: Table) -> &'static [u8] {
    if table == Table::JsonArray { b"\n]\n" } else { b"" }
}

/// The bytes of records of a text object; `first` is the position of the first of them.
pub(super) fn text(table: Table, records: &[Record], first: u64) -> Result<Vec<u8>> {
    match table {
        Table::CommaCsv | Table::EuropeanCsv => csv_rows(table, records),
        Table::JsonLines => json_lines(records),
        Table::JsonArray => json_elements(records, first),
        Table::Parquet => Err(Error::internal("write", "Parquet as text")),
    }
}

fn csv_writer(table: Table) -> csv::Writer<Vec<u8>> {
    let delimiter = if table == Table::EuropeanCsv { b';' } else { b',' };
    csv::WriterBuilder::new().delimiter(delimiter).flexible(true).from_writer(Vec::new())
}

fn csv_bytes(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>> {
    writer.into_inner().map_err(|cause| Error::internal("write", "sample rows as CSV").with_reason(cause))
}

fn write_csv(writer: &mut csv::Writer<Vec<u8>>, row: &ByteRecord) -> Result<()> {
    writer.write_byte_record(row).map_err(|cause| Error::internal("write", "a sample row as CSV").with_source(cause))
}

fn csv_header(table: Table) -> Result<Vec<u8>> {
    let names = measured_order(table).map(measured_name);
    let header: ByteRecord = TEXTS.into_iter().chain(names).map(str::as_bytes).collect();
    let mut writer = csv_writer(table);
    write_csv(&mut writer, &header)?;
    csv_bytes(writer)
}

/// The European table gives energy first and its nutrients the other way round.
fn measured_order(table: Table) -> [usize; MEASURED] {
    std::array::from_fn(|at| if table == Table::EuropeanCsv { ENERGY_AT - at } else { at })
}

fn csv_rows(table: Table, records: &[Record]) -> Result<Vec<u8>> {
    let mut writer = csv_writer(table);
    let mut row = ByteRecord::new();
    for record in records {
        row.clear();
        for (at, field) in texts(record).into_iter().enumerate() {
            match record.fault {
                Some(Fault::Utf8) if at == 1 => row.push_field(&[field.as_bytes(), b" caf\xE9"].concat()),
                _ => row.push_field(field.as_bytes()),
            }
        }
        for at in measured_order(table) {
            row.push_field(csv_value(table, record.values[at]).as_bytes());
        }
        if record.fault == Some(Fault::Ragged) {
            make_ragged(&mut row, record);
        }
        write_csv(&mut writer, &row)?;
    }
    csv_bytes(writer)
}

/// Even codes lose two fields, odd ones get one too many.
fn make_ragged(row: &mut ByteRecord, record: &Record) {
    if record.food.code.ends_with(['0', '2', '4', '6', '8']) {
        row.truncate(row.len() - 2);
    } else {
        row.push_field(b"moved");
    }
}

fn csv_value(table: Table, value: Value) -> String {
    let text = match value {
        Value::Missing => String::new(),
        Value::Number(number) => number.to_string(),
        Value::Quantity(number, unit) => format!("{number} {unit}"),
        Value::Text(text) => return text.to_owned(),
    };
    if table == Table::EuropeanCsv { text.replace('.', ",") } else { text }
}

fn json_lines(records: &[Record]) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for record in records {
        let start = bytes.len();
        write_json(&mut bytes, &Flat(record))?;
        if record.fault == Some(Fault::Cut) {
            bytes.insert(middle(&bytes, start), b'\n');
        }
        bytes.push(b'\n');
    }
    Ok(bytes)
}

/// Half-way between `start` and the end, at the border of a character.
fn middle(bytes: &[u8], start: usize) -> usize {
    let mut at = start + (bytes.len() - start) / 2;
    while bytes[at] & 0xC0 == 0x80 {
        at += 1;
    }
    at
}

fn json_elements(records: &[Record], first: u64) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    for (offset, record) in (0_u64..).zip(records) {
        bytes.extend_from_slice(if first + offset == 0 { b"\n  " } else { b",\n  " });
        write_json(&mut bytes, &Nested(record))?;
    }
    Ok(bytes)
}

fn write_json(bytes: &mut Vec<u8>, record: &impl Serialize) -> Result<()> {
    serde_json::to_writer(bytes, record)
        .map_err(|cause| Error::internal("write", "a sample row as JSON").with_source(cause))
}

/// A record as one flat object; what is missing is null.
struct Flat<'a>(&'a Record);

/// A record with its nutrients in an object of their own; what is missing is left out.
struct Nested<'a>(&'a Record);

struct Nutrients<'a>(&'a [Value; MEASURED]);

impl Serialize for Flat<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        write_texts(&mut map, self.0)?;
        for (at, value) in self.0.values.iter().enumerate() {
            map.serialize_entry(measured_name(at), value)?;
        }
        map.end()
    }
}

impl Serialize for Nested<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        write_texts(&mut map, self.0)?;
        map.serialize_entry("nutrients", &Nutrients(&self.0.values))?;
        if self.0.values[ENERGY_AT] != Value::Missing {
            map.serialize_entry(ENERGY, &self.0.values[ENERGY_AT])?;
        }
        map.end()
    }
}

impl Serialize for Nutrients<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (name, value) in NUTRIENTS.iter().zip(self.0).filter(|(_, value)| **value != Value::Missing) {
            map.serialize_entry(name, value)?;
        }
        map.end()
    }
}

fn write_texts<M: SerializeMap>(map: &mut M, record: &Record) -> Result<(), M::Error> {
    TEXTS.iter().zip(texts(record)).try_for_each(|(name, text)| map.serialize_entry(name, text))
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::Missing => serializer.serialize_none(),
            // Whole numbers are written as such, in columns that are fractional elsewhere.
            Self::Number(number) if number.fract().abs() < f64::EPSILON => serializer.serialize_i64(number as i64),
            Self::Number(number) => serializer.serialize_f64(number),
            Self::Quantity(number, unit) => serializer.collect_str(&format_args!("{number} {unit}")),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// The schema of the Parquet object.
pub(super) fn schema() -> SchemaRef {
    let texts = TEXTS.iter().map(|name| Field::new(*name, DataType::Utf8, false));
    let measured = (0..MEASURED).map(|at| Field::new(measured_name(at), DataType::Float64, true));
    Arc::new(Schema::new(texts.chain(measured).collect::<Vec<_>>()))
}

/// Records as a batch of [`schema`].
pub(super) fn batch(records: &[Record]) -> Result<RecordBatch> {
    let texts = (0..TEXTS.len()).map(|column| text_column(records, column));
    let measured = (0..MEASURED).map(|column| measured_column(records, column));
    RecordBatch::try_new(schema(), texts.chain(measured).collect())
        .map_err(|cause| Error::internal("build", "a batch of sample rows").with_source(cause))
}

fn text_column(records: &[Record], column: usize) -> ArrayRef {
    let mut builder = StringBuilder::with_capacity(records.len(), records.len() * 16);
    records.iter().for_each(|record| builder.append_value(texts(record)[column]));
    Arc::new(builder.finish())
}

fn measured_column(records: &[Record], column: usize) -> ArrayRef {
    let mut builder = Float64Builder::with_capacity(records.len());
    for record in records {
        match record.values[column] {
            Value::Number(number) => builder.append_value(number),
            Value::Missing | Value::Quantity(..) | Value::Text(_) => builder.append_null(),
        }
    }
    Arc::new(builder.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::dirt::Plan;

    fn records(table: Table) -> Vec<Record> {
        let plan = Plan::new(42, 3_000, false);
        (0..plan.size(table)).map(|position| plan.record(table, position)).collect()
    }

    #[test]
    fn a_cut_line_leaves_two_that_no_parser_takes() {
        let records: Vec<Record> =
            records(Table::JsonLines).into_iter().filter(|record| record.fault == Some(Fault::Cut)).collect();
        let text = String::from_utf8(json_lines(&records).unwrap()).unwrap();
        assert_eq!(text.lines().count(), 2 * records.len());
        assert!(text.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_err()));
    }

    #[test]
    fn the_european_table_has_decimal_commas_and_another_order() {
        let header = String::from_utf8(csv_header(Table::EuropeanCsv).unwrap()).unwrap();
        assert!(header.starts_with("food_code;name;"), "{header}");
        assert!(header.ends_with("energy_kcal;cholesterol_mg;vitamin_c_mg;sodium_mg;iron_mg;calcium_mg;alcohol_g;fiber_g;sugars_g;carbohydrate_g;saturated_fat_g;fat_g;protein_g;water_g\n"), "{header}");
        assert_eq!(csv_value(Table::EuropeanCsv, Value::Quantity(12.5, "g")), "12,5 g");
        assert_eq!(csv_value(Table::CommaCsv, Value::Number(12.5)), "12.5");
    }

    #[test]
    fn whole_numbers_are_json_integers() {
        assert_eq!(serde_json::to_string(&Value::Number(717.0)).unwrap(), "717");
        assert_eq!(serde_json::to_string(&Value::Number(0.85)).unwrap(), "0.85");
    }

    #[test]
    fn a_batch_has_every_record() {
        let records = records(Table::Parquet);
        let batch = batch(&records).unwrap();
        assert_eq!((batch.num_rows(), batch.num_columns()), (600, 20));
    }
}
