//! CSV text to record batches: records that cannot be rows are set aside, the cells of the others become values.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use super::split::{Dialect, GivenUp, Next, Splitter};
use crate::error::{Error, Result};
use crate::format::drive::Decode;
use crate::format::intake::{BadRecord, Intake, Log, Place, escaped};
use crate::format::schema::{Observed, shortened};
use crate::format::spec::DecimalMark;

/// The byte order mark of UTF-8.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// Cuts a text into records, without its byte order mark and its header.
pub(crate) struct Rows {
    splitter: Splitter,
    source: Arc<str>,
    start: Option<Vec<u8>>,
    header: Header,
    row: u64,
}

/// What the first record is.
#[derive(Debug, Clone)]
pub(crate) enum Header {
    /// Data.
    None,
    /// Names, not seen so far.
    Expected,
    /// Names.
    Names(Vec<String>),
}

/// What comes next.
pub(crate) enum Row {
    /// A record, at hand in the splitter; its number.
    Record(u64),
    /// A record that cannot be cut.
    Bad(BadRecord),
    /// More of the text is needed, or it is over.
    Wait,
}

impl Rows {
    pub(crate) fn new(source: &Arc<str>, dialect: Dialect, has_header: bool) -> Self {
        let header = if has_header { Header::Expected } else { Header::None };
        let (splitter, source) = (Splitter::new(dialect), Arc::clone(source));
        Self { splitter, source, start: Some(Vec::new()), header, row: 0 }
    }

    /// Takes a piece; holds the first bytes back until it is clear whether they are a byte order mark.
    pub(crate) fn push(&mut self, piece: &[u8]) {
        let Some(start) = &mut self.start else { return self.splitter.push(piece) };
        start.extend_from_slice(piece);
        if start.len() >= MARK.len() {
            self.release();
        }
    }

    pub(crate) fn finish(&mut self) {
        self.release();
        self.splitter.finish();
    }

    fn release(&mut self) {
        if let Some(start) = self.start.take() {
            let has_mark = start.starts_with(MARK);
            self.splitter.push(&start);
            if has_mark {
                self.splitter.skip(MARK.len());
            }
        }
    }

    /// Goes on to the next record of data.
    pub(crate) fn next(&mut self) -> Result<Row> {
        loop {
            let next = if self.start.is_some() { Next::More } else { self.splitter.next() };
            match next {
                Next::More | Next::End => return Ok(Row::Wait),
                Next::Misquoted if matches!(self.header, Header::Expected) => {
                    let reason = misquoted(&self.splitter.give_up());
                    return Err(self.bad_header(&format!("in the header, {reason}")));
                }
                Next::Misquoted => return Ok(Row::Bad(self.misquoted())),
                Next::Record if matches!(self.header, Header::Expected) => {
                    self.header = Header::Names(self.names()?);
                }
                Next::Record => {
                    self.row += 1;
                    return Ok(Row::Record(self.row));
                }
            }
        }
    }

    fn names(&self) -> Result<Vec<String>> {
        let not_utf8 = || self.bad_header("the header is not UTF-8").with_hint("convert the file to UTF-8");
        let mut start = 0;
        let field = |end: &usize| {
            let bytes = &self.splitter.text()[std::mem::replace(&mut start, *end)..*end];
            std::str::from_utf8(bytes).map(ToOwned::to_owned).map_err(|_| not_utf8())
        };
        self.splitter.ends().iter().map(field).collect()
    }

    fn bad_header(&self, reason: &str) -> Error {
        Error::invalid("read", &self.source).with_reason(reason)
    }

    fn misquoted(&mut self) -> BadRecord {
        self.row += 1;
        let place = self.place(self.row);
        let given_up = self.splitter.give_up();
        let reason = misquoted(&given_up);
        BadRecord { place, column: None, code: "quote", reason, raw: escaped(&given_up.raw) }
    }

    pub(crate) fn place(&self, row: u64) -> Place {
        Place { row, line: Some(self.splitter.line()), byte: Some(self.splitter.byte()) }
    }

    /// The names in the header, once they are known.
    pub(crate) fn header(&self) -> &Header {
        &self.header
    }

    /// Checks that the record at hand has a field for each of the columns, all in UTF-8; gives its text.
    pub(crate) fn check(&self, row: u64, columns: &[String]) -> Result<&str, Box<BadRecord>> {
        if self.splitter.fields() != columns.len() {
            let reason = format!("the record has {} fields, the header {}", self.splitter.fields(), columns.len());
            return Err(self.bad(row, None, "ragged", reason));
        }
        let bytes = self.splitter.text();
        match std::str::from_utf8(bytes) {
            Ok(text) if self.splitter.ends().iter().all(|end| text.is_char_boundary(*end)) => Ok(text),
            _ => Err(self.not_utf8(row, columns)),
        }
    }

    fn not_utf8(&self, row: u64, columns: &[String]) -> Box<BadRecord> {
        let mut start = 0;
        for (end, column) in self.splitter.ends().iter().zip(columns) {
            let field = &self.splitter.text()[std::mem::replace(&mut start, *end)..*end];
            if std::str::from_utf8(field).is_err() {
                let reason = format!("`{}` is not UTF-8", shortened(&escaped(field)));
                return self.bad(row, Some(column.clone()), "utf8", reason);
            }
        }
        self.bad(row, None, "utf8", "the record is not UTF-8".to_owned())
    }

    fn bad(&self, row: u64, column: Option<String>, code: &'static str, reason: String) -> Box<BadRecord> {
        Box::new(BadRecord { place: self.place(row), column, code, reason, raw: escaped(self.splitter.raw()) })
    }

    /// The fields of the record at hand, from its text.
    pub(crate) fn fields<'a>(&'a self, text: &'a str) -> impl Iterator<Item = &'a str> {
        let starts = std::iter::once(0).chain(self.splitter.ends().iter().copied());
        starts.zip(self.splitter.ends()).map(|(start, end)| &text[start..*end])
    }

    pub(crate) fn splitter(&self) -> &Splitter {
        &self.splitter
    }
}

/// What is wrong with a quote.
fn misquoted(given_up: &GivenUp) -> String {
    match &given_up.follows {
        None => format!("a quote opened in line {} is not closed", given_up.line),
        Some(follows) => format!(
            "after the closing quote of a field that begins in line {} stands `{}`, and no delimiter",
            given_up.line,
            shortened(&escaped(follows))
        ),
    }
}

/// The columns of a text, with notes of names that were changed and of types.
pub(crate) struct Found {
    pub(crate) names: Vec<String>,
    pub(crate) columns: Vec<Observed>,
    pub(crate) notes: Vec<String>,
    /// The number of records seen.
    pub(crate) rows: u64,
}

/// Finds the names and types of columns; gives no batches.
pub(crate) struct Scan {
    rows: Rows,
    nulls: Vec<String>,
    mark: DecimalMark,
    names: Vec<String>,
    notes: Vec<String>,
    columns: Vec<Observed>,
    seen: u64,
}

impl Scan {
    pub(crate) fn new(rows: Rows, nulls: Vec<String>, mark: DecimalMark) -> Self {
        Self { rows, nulls, mark, names: Vec::new(), notes: Vec::new(), columns: Vec::new(), seen: 0 }
    }

    /// What was found.
    ///
    /// # Errors
    /// If there is no record, and so no column.
    pub(crate) fn found(mut self) -> Result<Found> {
        self.name_columns();
        if self.names.is_empty() {
            return Err(Error::invalid("read", &self.rows.source).with_reason("it is empty: there is no record in it"));
        }
        for (name, column) in self.names.iter().zip(&self.columns) {
            self.notes.extend(column.note(name));
        }
        Ok(Found { names: self.names, columns: self.columns, notes: self.notes, rows: self.seen })
    }

    fn name_columns(&mut self) {
        if !self.names.is_empty() {
            return;
        }
        match self.rows.header() {
            Header::Names(names) => (self.names, self.notes) = super::header::column_names(names),
            Header::None if self.seen > 0 => {
                self.names = super::header::numbered(self.rows.splitter().fields());
            }
            _ => {}
        }
        self.columns = vec![Observed::new(); self.names.len()];
    }
}

impl Decode for Scan {
    /// Without its header a text has no columns.
    fn is_satisfied(&self) -> bool {
        matches!(self.rows.header(), Header::Names(_)) || self.seen > 0
    }

    fn push(&mut self, piece: &[u8]) {
        self.rows.push(piece);
    }

    fn finish(&mut self) {
        self.rows.finish();
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let row = match self.rows.next()? {
                Row::Wait => return Ok(None),
                Row::Bad(_) => continue,
                Row::Record(row) => row,
            };
            self.seen = row;
            self.name_columns();
            if let Ok(text) = self.rows.check(row, &self.names) {
                for (column, cell) in self.columns.iter_mut().zip(self.rows.fields(text)) {
                    if !self.nulls.iter().any(|null| null == cell) {
                        column.observe(row, cell, self.mark);
                    }
                }
            }
        }
    }
}

/// Gives record batches.
pub(crate) struct Decoder {
    rows: Rows,
    names: Vec<String>,
    schema: SchemaRef,
    nulls: Vec<String>,
    intake: Intake,
    batch_rows: usize,
    columns: Vec<StringBuilder>,
    log: Log,
    has_ended: bool,
}

impl Decoder {
    pub(crate) fn new(rows: Rows, names: Vec<String>, nulls: Vec<String>, intake: Intake, batch_rows: usize) -> Self {
        let columns = names.iter().map(|_| StringBuilder::new()).collect();
        let (schema, log) = (text_schema(&names), Log::new(intake.wants_raw()));
        let batch_rows = batch_rows.max(1);
        Self { rows, names, schema, nulls, intake, batch_rows, columns, log, has_ended: false }
    }

    fn take(&mut self, row: u64) {
        let text = match self.rows.check(row, &self.names) {
            Ok(text) => text,
            Err(bad) => return self.log.add_bad(*bad),
        };
        for (column, cell) in self.columns.iter_mut().zip(self.rows.fields(text)) {
            let is_null = self.nulls.iter().any(|null| null == cell);
            column.append_option((!is_null).then_some(cell));
        }
        self.log.add(self.rows.place(row), self.rows.splitter().raw());
    }

    /// Hands the records so far on.
    fn flush(&mut self) -> Result<Option<RecordBatch>> {
        let mut log = self.log.take();
        let columns: Vec<ArrayRef> = self.columns.iter_mut().map(|column| Arc::new(column.finish()) as _).collect();
        let options = RecordBatchOptions::new().with_row_count(Some(log.len()));
        let rows = RecordBatch::try_new_with_options(Arc::clone(&self.schema), columns, &options)
            .map_err(|cause| Error::internal("read", "a batch of texts").with_source(cause))?;
        let bad = log.take_bad();
        self.intake.accept(rows, &log, bad)
    }
}

impl Decode for Decoder {
    fn push(&mut self, piece: &[u8]) {
        self.rows.push(piece);
    }

    fn finish(&mut self) {
        self.rows.finish();
        self.has_ended = true;
    }

    fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            match self.rows.next()? {
                Row::Record(row) => self.take(row),
                Row::Bad(bad) => self.log.add_bad(bad),
                Row::Wait if self.has_ended && !self.log.is_empty() => return self.flush(),
                Row::Wait => return Ok(None),
            }
            if self.log.is_full(self.batch_rows)
                && let Some(batch) = self.flush()?
            {
                return Ok(Some(batch));
            }
        }
    }
}

/// All columns as nullable text.
pub(crate) fn text_schema(names: &[String]) -> SchemaRef {
    Arc::new(Schema::new(names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>()))
}
