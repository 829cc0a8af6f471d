//! JSON text to record batches: records that cannot be rows are set aside, the fields of the others become columns.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, SchemaRef};
use serde_json::value::RawValue;

use super::build::{Members, Record, Unfit};
use super::frame::{Framer, Next};
use super::shape::{Kind, Shape};
use super::value::Value;
use crate::error::{Error, Position, Result};
use crate::format::drive::Decode;
use crate::format::intake::{BadRecord, Intake, Log, Place, escaped};
use crate::format::schema::{Misfit, Observed, shortened};

/// An object's members, and their values unparsed.
type Fields<'a> = Vec<(Cow<'a, str>, &'a RawValue)>;

/// Parses a record, and checks all that is in it.
pub(super) fn parse(raw: &[u8], place: Place) -> Result<Fields<'_>, Box<BadRecord>> {
    let bad = |code, reason| Box::new(BadRecord { place, column: None, code, reason, raw: escaped(raw) });
    let text = std::str::from_utf8(raw).map_err(|_| bad("utf8", "the record is not UTF-8".to_owned()))?;
    let no_json = |cause: serde_json::Error| bad("syntax", format!("the record is no JSON: {}", relative(&cause)));
    let value = Value::of_text(text).map_err(no_json)?;
    // Only an escape can be wrong in a string that was passed over so far.
    if text.contains("\\u") {
        check_escapes(text).map_err(|reason| bad("syntax", format!("the record is no JSON: {reason}")))?;
    }
    match value {
        Value::Object(fields) => Ok(fields),
        _ => Err(bad("type", format!("a record must be an object, found `{}`", shortened(text)))),
    }
}

/// Looks for surrogates without their other half in the strings of a text that is JSON otherwise, however deep it is nested.
fn check_escapes(text: &str) -> Result<(), String> {
    let mut from = 0;
    while let Some(open) = memchr::memchr(b'"', &text.as_bytes()[from..]).map(|at| from + at) {
        let string = &text[open..=closing(text.as_bytes(), open)];
        from = open + string.len();
        if string.contains("\\u")
            && let Err(cause) = serde_json::from_str::<String>(string)
        {
            let (before, line) = (&text[..open], text[..open].matches('\n').count() + 1);
            let column = open - before.rfind('\n').map_or(0, |end| end + 1) + cause.column();
            return Err(placed(&cause, line, column));
        }
    }
    Ok(())
}

/// Where the string that opens at a place is closed.
fn closing(text: &[u8], open: usize) -> usize {
    let mut at = open + 1;
    loop {
        match memchr::memchr2(b'"', b'\\', &text[at..]) {
            None => return text.len() - 1,
            Some(rest) if text[at + rest] == b'"' => return at + rest,
            Some(rest) => at = (at + rest + 2).min(text.len()),
        }
    }
}

/// What a parser says, its place counted within the record.
fn relative(cause: &serde_json::Error) -> String {
    placed(cause, cause.line(), cause.column())
}

fn placed(cause: &serde_json::Error, line: usize, column: usize) -> String {
    let text = cause.to_string();
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("{what} (line {line}, column {column} of the record)")
}

/// Finds the names and types of fields; gives no batches.
pub(crate) struct Scan {
    framer: Framer,
    nulls: Vec<String>,
    shape: Shape,
    rows: u64,
}

impl Scan {
    pub(crate) fn new(framer: Framer, nulls: Vec<String>) -> Self {
        Self { framer, nulls, shape: Shape::new(), rows: 0 }
    }

    /// How many records there are.
    pub(crate) fn rows(&self) -> u64 {
        self.rows
    }

    /// What a user should know where the fields are read as these kinds: of types too, if they were found from the values.
    pub(crate) fn notes(&self, kinds: &[(String, Kind)], has_types: bool) -> Vec<String> {
        let mut notes = Vec::new();
        if let Some((rows_in, left_out)) = self.framer.members()
            && !left_out.is_empty()
        {
            let names: Vec<String> = left_out.iter().map(|name| format!("`{name}`")).collect();
            notes.push(format!("the rows are the elements of `{rows_in}`; left out: {}", names.join(", ")));
        }
        notes.extend(self.shape.repeated(kinds).map(|(row, name)| repeated_note(row, name)));
        if has_types {
            self.shape.field_notes(&mut notes);
        }
        notes
    }

    /// What the values of all fields have in common.
    pub(crate) fn shape(&self) -> &Shape {
        &self.shape
    }

    /// What was seen of each column; `None` for nested ones.
    pub(crate) fn observed(&self, flattens: bool) -> Vec<Option<Observed>> {
        let mut columns = Vec::new();
        self.shape.columns(flattens, &mut columns);
        columns
    }

    fn observe(&mut self) {
        let place = self.framer.place();
        self.rows = place.row;
        // Broken records are the reader's business.
        let Ok(fields) = parse(self.framer.raw(), place) else { return };
        let _ = self.shape.observe(place.row, Value::Object(fields), &self.nulls, 0);
    }
}

/// What is told of the first row in which a name is repeated.
pub(super) fn repeated_note(row: u64, name: &str) -> String {
    format!("`{name}` is repeated in row {row}; of repeated names the last counts")
}

impl Decode for Scan {
    type Item = RecordBatch;

    fn push(&mut self, piece: &[u8]) {
        self.framer.push(piece);
    }

    fn finish(&mut self) {
        self.framer.finish();
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.framer.next()? {
                Next::Record => self.observe(),
                Next::Cut(bad) => self.rows = bad.place.row,
                Next::Wait => return Ok(None),
            }
        }
    }
}

/// Gives record batches.
pub(crate) struct Decoder {
    source: Arc<str>,
    framer: Framer,
    nulls: Vec<String>,
    members: Members,
    schema: SchemaRef,
    flattens: bool,
    tells_repeated: bool,
    intake: Intake,
    batch_rows: usize,
    log: Log,
    has_ended: bool,
}

/// What a decoder makes of records.
pub(crate) struct Target {
    pub(crate) kinds: Vec<(String, Kind)>,
    /// Of the decoded batches, fields of objects as columns of their own if they are to be.
    pub(crate) schema: SchemaRef,
    pub(crate) flattens: bool,
    /// Whether the first name that is repeated is news: it is not where all records were looked at before, or it was found.
    pub(crate) tells_repeated: bool,
}

impl Decoder {
    pub(crate) fn new(
        source: &Arc<str>,
        framer: Framer,
        target: Target,
        nulls: Vec<String>,
        intake: Intake,
        batch_rows: usize,
    ) -> Self {
        Self {
            source: Arc::clone(source),
            framer,
            nulls,
            members: Members::new(&target.kinds),
            schema: target.schema,
            flattens: target.flattens,
            tells_repeated: target.tells_repeated,
            batch_rows: batch_rows.max(1),
            log: Log::new(intake.wants_raw()),
            intake,
            has_ended: false,
        }
    }

    fn take(&mut self) -> Result<()> {
        let place = self.framer.place();
        let raw = self.framer.raw();
        match parse(raw, place) {
            Err(bad) => self.log.add_bad(*bad),
            Ok(fields) => {
                let mut record = Record::new(&self.nulls);
                self.members.append(&fields, &mut record).map_err(|unfit| misfit(&self.source, place, unfit))?;
                self.log.add(place, raw);
                if let Some(name) = record.repeated
                    && std::mem::take(&mut self.tells_repeated)
                {
                    self.intake.note(repeated_note(place.row, &name));
                }
            }
        }
        Ok(())
    }

    /// Hands the records so far on.
    fn flush(&mut self) -> Result<Option<RecordBatch>> {
        let mut log = self.log.take();
        let mut columns = self.members.finish_fields()?;
        if self.flattens {
            let nested = std::mem::take(&mut columns);
            nested.into_iter().for_each(|column| flatten(column, &mut columns));
        }
        let options = RecordBatchOptions::new().with_row_count(Some(log.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|cause| Error::internal("read", &self.source).with_source(cause))?;
        let bad = log.take_bad();
        self.intake.accept(batch, &log, bad)
    }
}

/// A value that the fields' types, found from a sample, do not have.
pub(super) fn misfit(source: &str, place: Place, unfit: Unfit) -> Error {
    let mut position = Position::row(place.row);
    (position.line, position.byte) = (place.line, place.byte);
    Error::invalid("read", source)
        .with_position(position)
        .with_reason(unfit.0)
        .with_hint("declare the column's type, or have types found from the whole source")
        .with_source(Misfit)
}

/// The fields of structs in their place. Where a struct is missing, so are its fields.
pub(super) fn flatten(column: ArrayRef, columns: &mut Vec<ArrayRef>) {
    match column.data_type() {
        DataType::Struct(_) => {
            for field in column.as_struct().columns() {
                flatten(Arc::clone(field), columns);
            }
        }
        _ => columns.push(column),
    }
}

impl Decode for Decoder {
    type Item = RecordBatch;

    fn push(&mut self, piece: &[u8]) {
        self.framer.push(piece);
    }

    fn finish(&mut self) {
        self.framer.finish();
        self.has_ended = true;
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.framer.next()? {
                Next::Record => self.take()?,
                Next::Cut(bad) => self.log.add_bad(bad),
                Next::Wait if self.has_ended && !self.log.is_empty() => return self.flush(),
                Next::Wait => return Ok(None),
            }
            if self.log.is_full(self.batch_rows)
                && let Some(batch) = self.flush()?
            {
                return Ok(Some(batch));
            }
        }
    }
}
