//! What every reader does with decoded records: conform them to the schema, reject, count, select and number them.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::batches::Tally;
use super::conform::{CellFault, Conformed, Conformer};
use super::encoding::OTHER_ENCODING;
use super::memory::MemoryBudget;
use super::names::nearest;
use super::nulled::Nulled;
use super::options::ReadOptions;
use super::reject::{OnRowError, Reject, Rejects};
use super::schema::Misfit;
use super::spec::ColumnSpec;
use crate::error::{Error, Position, Result};

/// Where a record stands in its source.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) row: u64,
    pub(crate) line: Option<u64>,
    pub(crate) byte: Option<u64>,
}

impl Place {
    /// Counts from the start of the source, `before` which there are so many records and lines.
    pub(crate) fn follow(&mut self, before: (u64, u64)) {
        self.row += before.0;
        self.line = self.line.map(|line| line + before.1);
    }
}

/// The records behind the rows of a batch.
pub(crate) trait Records {
    /// Where the record of this row stands.
    fn place(&self, row: usize) -> Place;
    /// Its number in its source, from 1.
    fn row(&self, row: usize) -> u64 {
        self.place(row).row
    }
    /// It as it stood.
    fn raw(&self, row: usize) -> String;
}

/// A record of which no row could be made.
#[derive(Debug, Clone)]
pub(crate) struct BadRecord {
    pub(crate) place: Place,
    pub(crate) column: Option<String>,
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    pub(crate) raw: String,
}

/// A batch takes no more records once they have this many bytes: texts of a batch must stay below 2 GiB, and memory
/// within bounds, however long the records are.
const FULL: usize = 32 * 1024 * 1024;

/// The records of a text that make up a batch, and those that cannot.
#[derive(Debug)]
pub(crate) struct Log {
    keeps_raw: bool,
    /// Of all records, good and bad.
    bytes: usize,
    places: Vec<Place>,
    raw: Vec<u8>,
    raw_ends: Vec<usize>,
    bad: Vec<BadRecord>,
}

impl Log {
    pub(crate) fn new(keeps_raw: bool) -> Self {
        Self { keeps_raw, bytes: 0, places: Vec::new(), raw: Vec::new(), raw_ends: Vec::new(), bad: Vec::new() }
    }

    /// Adds the record of the next row.
    pub(crate) fn add(&mut self, place: Place, raw: &[u8]) {
        self.bytes += raw.len();
        self.places.push(place);
        if self.keeps_raw {
            self.raw.extend_from_slice(raw);
            self.raw_ends.push(self.raw.len());
        }
    }

    /// Adds a record of which no row can be made.
    pub(crate) fn add_bad(&mut self, bad: BadRecord) {
        self.bytes += bad.raw.len();
        self.bad.push(bad);
    }

    /// The number of rows.
    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty() && self.bad.is_empty()
    }

    /// Whether it makes a batch: by its rows, its bad records, or the bytes of both.
    pub(crate) fn is_full(&self, rows: usize) -> bool {
        self.places.len() >= rows || self.bad.len() >= rows || self.bytes >= FULL
    }

    /// All of it, with an empty one in its place.
    pub(crate) fn take(&mut self) -> Self {
        let empty = Self::new(self.keeps_raw);
        std::mem::replace(self, empty)
    }

    /// Counts all places from the start of the source, `before` which there are so many records and lines.
    pub(crate) fn follow(&mut self, before: (u64, u64)) {
        self.places.iter_mut().for_each(|place| place.follow(before));
    }

    pub(crate) fn take_bad(&mut self) -> Vec<BadRecord> {
        std::mem::take(&mut self.bad)
    }
}

impl Records for Log {
    fn place(&self, row: usize) -> Place {
        self.places[row]
    }

    fn raw(&self, row: usize) -> String {
        let start = if row == 0 { 0 } else { self.raw_ends[row - 1] };
        escaped(&self.raw[start..self.raw_ends[row]])
    }
}

/// Where the schema comes from, which decides what a value that does not fit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The user: the record is broken.
    Declared,
    /// The whole source, or a sample: the schema is at fault.
    Inferred,
}

/// The last stage of a reader.
#[derive(Debug)]
pub(crate) struct Intake {
    source: Arc<str>,
    conformer: Option<(Conformer, Origin)>,
    selected: Vec<usize>,
    row_number: bool,
    is_one_of_many: bool,
    on_row_error: OnRowError,
    rejects: Option<Arc<dyn Rejects>>,
    tally: Arc<Tally>,
    schema: SchemaRef,
    memory: MemoryBudget,
}

impl Intake {
    /// The stage after a decoder that gives batches of schema `decoded`; `specs` is what is made of them.
    pub(crate) fn new(
        source: &Arc<str>,
        decoded: &SchemaRef,
        specs: Option<(&[ColumnSpec], Origin)>,
        options: &ReadOptions,
        tally: &Arc<Tally>,
    ) -> Result<Self> {
        let conformer = match specs {
            None => None,
            Some((specs, origin)) => {
                let conformer = Conformer::new(decoded, specs)?;
                // Where types were found, it is they that do not fit a value.
                let is_nulling = options.on_row_error == OnRowError::Null && origin == Origin::Declared;
                Some((if is_nulling { conformer.nulling() } else { conformer }, origin))
            }
        };
        let whole = conformer.as_ref().map_or(decoded, |(conformer, _)| conformer.schema());
        let selected = selected(source, whole, options.columns.as_deref())?;
        let schema = output_schema(source, whole, &selected, options.row_number.as_deref())?;
        Ok(Self {
            source: Arc::clone(source),
            selected,
            row_number: options.row_number.is_some(),
            is_one_of_many: options.is_one_of_many,
            memory: MemoryBudget::of_read(options),
            on_row_error: options.on_row_error,
            rejects: options.rejects.clone(),
            tally: Arc::clone(tally),
            schema,
            conformer,
        })
    }

    /// Takes the inferred types for those of a sample, in which the columns that are `unseen` had no value.
    pub(crate) fn guessed(mut self, unseen: Vec<bool>) -> Self {
        self.conformer = self.conformer.map(|(conformer, origin)| (conformer.guessed(unseen), origin));
        self
    }

    /// What the read that it belongs to may hold at once.
    pub(super) fn memory(&self) -> MemoryBudget {
        self.memory
    }

    /// The schema of the batches that come out.
    pub(crate) fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// What a user should know of columns missing or left out.
    pub(crate) fn notes(&self) -> Vec<String> {
        match self.conformer() {
            Some(conformer) if self.is_one_of_many => conformer.note_of_left_out().into_iter().collect(),
            Some(conformer) => conformer.notes(),
            None => Vec::new(),
        }
    }

    /// Whether the bytes of rejected records are wanted.
    pub(crate) fn wants_raw(&self) -> bool {
        self.on_row_error.keeps() && self.rejects.is_some()
    }

    /// What makes decoded batches fit the schema, if they are not as they are wanted.
    pub(crate) fn conformer(&self) -> Option<&Conformer> {
        self.conformer.as_ref().map(|(conformer, _)| conformer)
    }

    /// Takes a decoded batch, and the bad records found among its own; gives the rows that are good.
    pub(crate) fn accept(
        &self,
        batch: RecordBatch,
        records: &dyn Records,
        bad: Vec<BadRecord>,
    ) -> Result<Option<RecordBatch>> {
        let rows = batch.num_rows();
        let conformed = match self.conformer() {
            None => Conformed::whole(batch),
            Some(conformer) => conformer.apply(&batch)?,
        };
        self.settle(conformed, rows, records, bad)
    }

    /// Takes rows that were made to fit, out of so many, and the bad records among them; gives the rows that are good.
    pub(crate) fn settle(
        &self,
        conformed: Conformed,
        rows: usize,
        records: &dyn Records,
        mut bad: Vec<BadRecord>,
    ) -> Result<Option<RecordBatch>> {
        let Conformed { batch, rows: kept, faults, nulled } = conformed;
        if let (Some((_, Origin::Inferred)), Some(fault)) = (&self.conformer, faults.first()) {
            return Err(self.misfit(fault, records));
        }
        bad.extend(self.broken(&faults, records));
        if let Some(rejects) = &self.rejects {
            let last = bad.iter().map(|bad| bad.place.row).chain(rows.checked_sub(1).map(|row| records.row(row)));
            rejects.reached(&self.source, last.max().unwrap_or(0));
        }
        self.reject(bad)?;
        self.null(&nulled, records)?;
        self.tally.add_written(batch.num_rows() as u64);
        if batch.num_rows() == 0 {
            return Ok(None);
        }
        self.select(&batch, records, &kept).map(Some)
    }

    /// One bad record for each row at fault; all its faults in one reason.
    fn broken(&self, faults: &[CellFault], records: &dyn Records) -> Vec<BadRecord> {
        let by_row = faults.chunk_by(|a, b| a.row == b.row);
        by_row
            .map(|faults| {
                let (first, others) = faults.split_first().expect("chunks are not empty");
                let mut reason = first.reason.clone();
                for other in others {
                    reason.push_str(&format!("; column `{}`: {}", other.column, other.reason));
                }
                let row = first.row as usize;
                let raw = if self.wants_raw() { records.raw(row) } else { String::new() };
                let (place, column) = (records.place(row), Some(first.column.clone()));
                BadRecord { place, column, code: first.code, reason, raw }
            })
            .collect()
    }

    fn misfit(&self, fault: &CellFault, records: &dyn Records) -> Error {
        let place = records.place(fault.row as usize);
        Error::invalid("read", &self.source)
            .with_position(position(place, Some(fault.column.clone())))
            .with_reason(&fault.reason)
            .with_hint("declare the column's type, or have types found from the whole source")
            .with_source(Misfit)
    }

    /// Counts the values that became null.
    fn null(&self, nulled: &[CellFault], records: &dyn Records) -> Result<()> {
        for faults in nulled.chunk_by(|a, b| a.row == b.row) {
            let place = records.place(faults[0].row as usize);
            let value = |fault: &CellFault| {
                let position = position(place, Some(fault.column.clone()));
                Nulled::new(&self.source, position, &fault.column, &fault.reason)
            };
            let values: Vec<Nulled> = faults.iter().map(value).collect();
            self.tally.add_nulled(&values);
            if let Some(rejects) = &self.rejects {
                rejects.nulled(&values)?;
            }
        }
        Ok(())
    }

    /// Tells what was seen of the source only now.
    pub(super) fn note(&self, note: String) {
        self.tally.add_notes(vec![note]);
    }

    /// Deals with bad records, in the order of the source.
    pub(crate) fn reject(&self, mut bad: Vec<BadRecord>) -> Result<()> {
        bad.sort_by_key(|bad| bad.place.row);
        for bad in bad {
            match (self.on_row_error, &self.rejects) {
                (OnRowError::Fail, _) => return Err(self.broken_row(bad)),
                (OnRowError::Quarantine | OnRowError::Null, rejects) => {
                    self.tally.add_quarantined(1);
                    if let Some(rejects) = rejects {
                        rejects.reject(self.rejected(bad))?;
                    }
                }
            }
        }
        Ok(())
    }

    fn broken_row(&self, bad: BadRecord) -> Error {
        let hint = if bad.code == "utf8" { OTHER_ENCODING } else { "correct the record" };
        Error::invalid("read", &self.source)
            .with_position(position(bad.place, bad.column))
            .with_reason(bad.reason)
            .with_hint(format_args!("{hint}, or read with `on_row_error = \"quarantine\"` to set such records aside"))
    }

    fn rejected(&self, bad: BadRecord) -> Reject {
        let Place { row, line, byte } = bad.place;
        let (source, code) = (self.source.to_string(), bad.code.to_owned());
        Reject { source, row, line, byte, column: bad.column, code, reason: bad.reason, raw: bad.raw }
    }

    /// The columns asked for, and the numbers of the records.
    fn select(&self, batch: &RecordBatch, records: &dyn Records, kept: &[u32]) -> Result<RecordBatch> {
        let mut columns: Vec<ArrayRef> = self.selected.iter().map(|index| Arc::clone(batch.column(*index))).collect();
        if self.row_number {
            let rows = kept.iter().map(|row| records.row(*row as usize));
            columns.push(Arc::new(rows.collect::<UInt64Array>()));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|cause| Error::internal("read", &self.source).with_source(cause))
    }
}

fn position(place: Place, column: Option<String>) -> Position {
    let mut position = Position::row(place.row);
    (position.line, position.byte, position.column) = (place.line, place.byte, column);
    position
}

/// Where the columns asked for stand.
fn selected(source: &str, schema: &Schema, columns: Option<&[String]>) -> Result<Vec<usize>> {
    let Some(columns) = columns else { return Ok((0..schema.fields().len()).collect()) };
    let find = |name: &String| {
        schema.index_of(name).map_err(|_| {
            let error = Error::not_found("find", format_args!("column `{name}` of {source}"));
            match nearest(schema.fields().iter().map(|field| field.name().as_str()), &[name]) {
                Some(near) => error.with_hint(format_args!("the nearest name is `{near}`")),
                None => error,
            }
        })
    };
    columns.iter().map(find).collect()
}

fn output_schema(source: &str, schema: &Schema, selected: &[usize], row_number: Option<&str>) -> Result<SchemaRef> {
    let mut fields: Vec<Field> = selected.iter().map(|index| schema.field(*index).clone()).collect();
    if let Some(name) = row_number {
        if fields.iter().any(|field| field.name() == name) {
            return Err(Error::invalid("number the rows of", source)
                .with_reason(format_args!("there is a column `{name}` already"))
                .with_hint("choose another name for the row number"));
        }
        fields.push(Field::new(name, DataType::UInt64, false));
    }
    Ok(Arc::new(Schema::new(fields)))
}

/// Bytes as text; those that are no UTF-8 as `\xNN`.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02X}"));
        }
    }
    text
}
