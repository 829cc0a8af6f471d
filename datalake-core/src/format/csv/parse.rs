//! A block of CSV records as columns: records that cannot be rows are set aside, the fields of the others become values.

use std::cell::Cell;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::ArrayRef;

use super::block::{Block, Gap};
use super::column::{Column, Reading, Wanted};
use super::observe::{Kindred, Spoiler};
use crate::error::Result;
use crate::format::cell::Kinds;
use crate::format::conform::CellFault;
use crate::format::intake::{BadRecord, Place, Records, escaped};
use crate::format::schema::shortened;

/// About so many bytes of text go into all columns before the next ones, and stay in the first cache meanwhile.
const PASS: usize = 16 * 1024;

/// How the records of a text become columns.
#[derive(Debug)]
pub(super) struct Parser {
    /// The names of all columns of the text.
    pub(super) names: Vec<String>,
    pub(super) reading: Arc<Reading>,
    pub(super) wanted: Vec<Arc<Wanted>>,
}

/// What was made of a block.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) rows: Rows,
    /// The columns that are wanted, with a value for each row.
    pub(super) columns: Vec<ArrayRef>,
    pub(super) faults: Vec<CellFault>,
}

/// The rows of a block, and the records that they are.
#[derive(Debug)]
pub(super) struct Rows {
    block: Block,
    /// None where all records are rows.
    good: Option<Vec<u32>>,
    /// The records that are no rows, but those given up.
    bad: Vec<u32>,
    /// How many lines end in the block.
    lines: u64,
    /// How many records and line ends come before the block.
    before: (u64, u64),
    /// A place and the number of line ends before it: whoever asks goes on from there.
    line: Cell<(usize, u64)>,
}

impl Rows {
    /// The rows among the records of a block of so many columns.
    pub(super) fn new(block: Block, width: usize) -> Self {
        let is_utf8 = simdutf8::basic::from_utf8(&block.text).is_ok();
        let (good, bad) = if is_utf8 && block.is_even(width) {
            (None, Vec::new())
        } else {
            let is_good = |row: &u32| {
                let row = *row as usize;
                block.width(row) == width && (is_utf8 || simdutf8::basic::from_utf8(block.raw(row)).is_ok())
            };
            let (good, bad) = (0..block.rows() as u32).partition(is_good);
            (Some(good), bad)
        };
        let lines = block.lines(0, block.text.len());
        Self { block, good, bad, lines, before: (0, 0), line: (0, 0).into() }
    }

    /// Says how many records and line ends come before the block; gives those that come before the next.
    pub(super) fn follow(&mut self, before: (u64, u64)) -> (u64, u64) {
        self.before = (before.0, before.1 + self.block.skipped);
        (before.0 + self.block.records(), self.before.1 + self.lines)
    }

    pub(super) fn len(&self) -> usize {
        self.good.as_ref().map_or(self.block.rows(), Vec::len)
    }

    /// The rows, some at a time: of a wide table so many that it does not count to begin with a column again.
    fn passes(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let each = self.block.text.len() / self.len().max(1);
        let (rows, pass) = (self.len(), (PASS / each.max(1)).clamp(64, 1024));
        (0..rows).step_by(pass).map(move |start| start..(start + pass).min(rows))
    }

    pub(super) fn block(&self) -> &Block {
        &self.block
    }

    fn record(&self, row: usize) -> usize {
        self.good.as_ref().map_or(row, |good| good[row] as usize)
    }

    /// Hands the fields of a column to a function, as they stand in the text.
    #[inline(always)]
    fn fields<'a>(&'a self, width: usize, column: usize, rows: Range<usize>, to: &mut impl Fields<'a>) {
        match &self.good {
            None => to.take(self.block.even_fields(width, column, rows)),
            Some(good) => to.take(good[rows].iter().map(|row| self.block.field(*row as usize, column))),
        }
    }

    fn place_of(&self, number: u64, start: usize) -> Place {
        let (before, line) = (self.before, self.line_of(start));
        Place {
            row: before.0 + number + 1,
            line: Some(before.1 + line + 1),
            byte: Some(self.block.byte + start as u64),
        }
    }

    fn line_of(&self, start: usize) -> u64 {
        let (place, lines) = self.line.get();
        let lines = if place <= start { lines + self.block.lines(place, start) } else { self.block.lines(0, start) };
        self.line.set((start, lines));
        lines
    }

    /// The records that are no rows.
    pub(super) fn bad(&self, names: &[String]) -> Vec<BadRecord> {
        let bad = self.bad.iter().map(|record| self.misfit(*record as usize, names));
        let given_up = self.block.given_up.iter().enumerate().map(|(earlier, gap)| self.given_up(gap, earlier));
        bad.chain(given_up).collect()
    }

    fn misfit(&self, record: usize, names: &[String]) -> BadRecord {
        let place = self.place_of(self.block.number(record), self.block.start(record));
        let raw = self.block.raw(record);
        let new = |column, code, reason| BadRecord { place, column, code, reason, raw: escaped(raw) };
        let width = self.block.width(record);
        if width != names.len() {
            return new(None, "ragged", format!("the record has {width} fields, the header {}", names.len()));
        }
        let no_text = |column: &usize| str::from_utf8(self.block.field(record, *column)).is_err();
        match (0..width).find(no_text) {
            Some(column) => {
                let field = shortened(&escaped(self.block.field(record, column)));
                new(Some(names[column].clone()), "utf8", format!("`{field}` is not UTF-8"))
            }
            None => new(None, "utf8", "the record is not UTF-8".to_owned()),
        }
    }

    fn given_up(&self, gap: &Gap, earlier: usize) -> BadRecord {
        let place = self.place_of((gap.rows + earlier) as u64, gap.start);
        let raw = escaped(&self.block.text[gap.start..gap.given_up.end]);
        let reason = self.block.misquoted(gap, place.line.unwrap_or_default());
        BadRecord { place, column: None, code: "quote", reason, raw }
    }
}

/// Whoever takes the fields of a column.
pub(super) trait Fields<'a> {
    fn take(&mut self, fields: impl Iterator<Item = &'a [u8]>);
}

impl Records for Rows {
    fn place(&self, row: usize) -> Place {
        let record = self.record(row);
        self.place_of(self.block.number(record), self.block.start(record))
    }

    fn row(&self, row: usize) -> u64 {
        self.before.0 + self.block.number(self.record(row)) + 1
    }

    fn raw(&self, row: usize) -> String {
        escaped(self.block.raw(self.record(row)))
    }
}

impl<'a> Fields<'a> for Column {
    #[inline(always)]
    fn take(&mut self, fields: impl Iterator<Item = &'a [u8]>) {
        self.extend(fields);
    }
}

impl Parser {
    /// Makes columns of a block.
    pub(super) fn parse(&self, block: Block) -> Result<Parsed> {
        let rows = Rows::new(block, self.names.len());
        let column = |wanted| Column::new(wanted, &self.reading, rows.len());
        let mut columns: Vec<Column> = self.wanted.iter().map(column).collect();
        for some in rows.passes() {
            for (column, wanted) in columns.iter_mut().zip(&self.wanted) {
                rows.fields(self.names.len(), wanted.place, some.clone(), column);
            }
        }
        let (mut arrays, mut faults) = (Vec::with_capacity(columns.len()), Vec::new());
        for column in columns {
            let (array, found) = column.finish()?;
            arrays.push(array);
            faults.extend(found);
        }
        faults.sort_by_key(|fault: &CellFault| fault.row);
        Ok(Parsed { rows, columns: arrays, faults })
    }

    /// Whether a value of a block that may have begun anywhere does not fit: only if each record has the fields it should have.
    pub(super) fn is_sure_misfit(&self, block: Block) -> Result<bool> {
        if !block.given_up.is_empty() || !block.is_even(self.names.len()) {
            return Ok(false);
        }
        Ok(!self.parse(block)?.faults.is_empty())
    }

    /// What the texts of a block have in common, column by column; with a comma as the decimal mark, too, if it `asks_comma`.
    pub(super) fn observe(&self, block: Block, asks_comma: bool) -> (Rows, Vec<Kindred<'_>>) {
        let rows = Rows::new(block, self.names.len());
        let mut columns: Vec<Kindred<'_>> =
            self.wanted.iter().map(|wanted| Kindred::new(wanted, &self.reading, asks_comma)).collect();
        for some in rows.passes() {
            for (column, wanted) in columns.iter_mut().zip(&self.wanted) {
                rows.fields(self.names.len(), wanted.place, some.clone(), column);
            }
        }
        (rows, columns)
    }

    /// The row and text with which a column that had these kinds has none any more.
    pub(super) fn spoiler(&self, rows: &Rows, column: usize, kinds: Kinds, has_values: bool) -> Option<(u64, String)> {
        let (wanted, width) = (&self.wanted[column], self.names.len());
        let mut search =
            Spoiler { kinds, has_values, row: 0, found: None, reading: &self.reading, mark: wanted.spec.decimal };
        rows.fields(width, wanted.place, 0..rows.len(), &mut search);
        search.found.map(|(row, text)| (rows.row(row), text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::conform::Conformer;
    use crate::format::csv::cut::Cutter;
    use crate::format::csv::structure::Syntax;
    use crate::format::drive::Decode;
    use crate::format::spec::{ColumnSpec, DecimalMark, timestamp_utc};
    use crate::format::types::wide_integer;
    use arrow::array::{RecordBatch, StringArray};
    use arrow::datatypes::{DataType, TimeUnit};
    use proptest::prelude::*;

    const SYNTAX: Syntax = Syntax::new(b',', b'"');

    fn block(cells: &[String]) -> Block {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(["id", "x"]).unwrap();
        for cell in cells {
            writer.write_record(["1", cell]).unwrap();
        }
        let mut cutter = Cutter::new(SYNTAX, true, 1);
        cutter.push(&writer.into_inner().unwrap());
        cutter.finish();
        cutter.next().unwrap().unwrap()
    }

    fn parser(spec: &ColumnSpec, nulls: &[String], guess: Option<bool>) -> Parser {
        let wanted = Wanted { spec: spec.clone(), place: 1, guess };
        let reading = Arc::new(Reading::new(SYNTAX, nulls.to_vec(), None));
        Parser { names: vec!["id".into(), "x".into()], reading, wanted: vec![Arc::new(wanted)] }
    }

    /// What a column becomes by way of its texts.
    fn by_texts(
        cells: &[String],
        spec: &ColumnSpec,
        nulls: &[String],
        guess: Option<bool>,
    ) -> (ArrayRef, Vec<CellFault>) {
        let texts = cells.iter().map(|cell| (!nulls.contains(cell)).then_some(cell.as_str()));
        let texts: ArrayRef = Arc::new(texts.collect::<StringArray>());
        let batch = RecordBatch::try_from_iter_with_nullable([("x", texts, true)]).unwrap();
        let conformer = Conformer::new(batch.schema_ref(), std::slice::from_ref(spec)).unwrap();
        let conformer = match guess {
            Some(unseen) => conformer.guessed(vec![unseen]),
            None => conformer,
        };
        let conformed = conformer.apply(&batch).unwrap();
        (Arc::clone(conformed.batch.column(0)), conformed.faults)
    }

    fn agree(cells: &[String], spec: &ColumnSpec, nulls: &[String], guess: Option<bool>) -> Result<(), TestCaseError> {
        let parsed = parser(spec, nulls, guess).parse(block(cells)).unwrap();
        let (expected, faults) = by_texts(cells, spec, nulls, guess);
        // Of a decimal comma, CSV alone has something to propose.
        let plain = |reason: &str| reason.split_once("; with `decimal").map_or(reason, |(plain, _)| plain).to_owned();
        let found: Vec<_> = parsed.faults.iter().map(|fault| (fault.row, fault.code, plain(&fault.reason))).collect();
        let mut wanted: Vec<_> = faults.iter().map(|fault| (fault.row, fault.code, fault.reason.clone())).collect();
        // A guess that does not fit is told once.
        wanted.dedup_by_key(|fault| fault.0);
        prop_assert_eq!(found, wanted);
        let good = Conformer::new(
            &arrow::datatypes::Schema::new(vec![arrow::datatypes::Field::new("x", DataType::Utf8, true)]),
            std::slice::from_ref(spec),
        );
        let kept = good.unwrap().keep(parsed.columns, cells.len(), parsed.faults).unwrap();
        prop_assert_eq!(kept.batch.column(0), &expected);
        Ok(())
    }

    /// The types that columns are found to have.
    fn guessed() -> [DataType; 8] {
        [
            DataType::Utf8,
            DataType::Int64,
            wide_integer(),
            DataType::Float64,
            DataType::Boolean,
            DataType::Date32,
            DataType::Timestamp(TimeUnit::Microsecond, None),
            timestamp_utc(),
        ]
    }

    fn cell() -> impl Strategy<Value = String> {
        prop_oneof![
            "-?[0-9]{1,3}",
            "-?[0-9]{1,19}",
            "-?[0-9]{18,40}",
            "-?[0-9]{1,4}\\.[0-9]{0,3}",
            "-?[0-9]{1,4}\\.[0-9]{1,17}",
            "[0-9]{4}-[01][0-9]-[0-3][0-9]([T ][0-2][0-9]:[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,9})?(Z|\\+01:00)?)?",
            "true|false|TRUE|NA||nan|NaN|inf| | 7|7 |1e5|-0|007|12,5|300 mg",
            "[a\",\n\u{e4} ]{0,5}",
        ]
    }

    proptest! {
        #[test]
        fn columns_are_what_their_texts_become(
            cells in proptest::collection::vec(cell(), 0..40),
            nullable: bool,
            mark in prop_oneof![Just(DecimalMark::Dot), Just(DecimalMark::Comma), Just(DecimalMark::Either)],
            has_unit: bool,
            nulls in prop_oneof![Just(vec![]), Just(vec![String::new()]), Just(vec![String::new(), "NA".into(), "0".into()])],
        ) {
            for data_type in crate::format::types::all() {
                let spec = ColumnSpec::new("x", data_type.clone()).with_nullable(nullable).with_decimal(mark);
                let spec = if has_unit { spec.with_unit("g") } else { spec };
                agree(&cells, &spec, &nulls, None)?;
                // All other types are declared alone.
                if !guessed().contains(&data_type) {
                    continue;
                }
                let guess = ColumnSpec::new("x", spec.data_type.clone()).with_decimal(mark);
                agree(&cells, &guess, &nulls, Some(false))?;
                // What had no value is text.
                if guess.data_type == DataType::Utf8 {
                    agree(&cells, &guess, &nulls, Some(true))?;
                }
            }
        }

        #[test]
        fn grouped_numbers_are_read_as_others(
            cells in proptest::collection::vec(prop_oneof![cell(), "-?[0-9]{1,3}(,[0-9]{3}){1,3}(\\.[0-9]{1,3})?|1,23|0,123"], 0..40),
            is_guess: bool,
        ) {
            let reading = Reading::new(SYNTAX, vec![String::new()], Some(','));
            let plain: Vec<String> = cells.iter().map(|cell| reading.ungrouped(cell).into_owned()).collect();
            for data_type in [DataType::Int64, DataType::Float64, DataType::Boolean, DataType::Date32] {
                let spec = ColumnSpec::new("x", data_type);
                let others = parser(&spec, &[String::new()], is_guess.then_some(false));
                let grouped = Parser { reading: Arc::new(reading.clone()), names: others.names.clone(), wanted: others.wanted.clone() };
                let (grouped, plain) = (grouped.parse(block(&cells)).unwrap(), others.parse(block(&plain)).unwrap());
                let rows = |parsed: &Parsed| parsed.faults.iter().map(|fault| (fault.row, fault.code)).collect::<Vec<_>>();
                prop_assert_eq!(rows(&grouped), rows(&plain));
                prop_assert_eq!(&grouped.columns, &plain.columns);
            }
        }

        #[test]
        fn kinds_are_those_of_the_texts(cells in proptest::collection::vec(cell(), 0..40)) {
            let spec = ColumnSpec::new("x", DataType::Utf8);
            let parser = parser(&spec, &[String::new()], None);
            let (rows, columns) = parser.observe(block(&cells), true);
            let texts = cells.iter().filter(|cell| !cell.is_empty());
            let kinds = texts.clone().fold(Kinds::ALL, |kinds, cell| kinds.and(Kinds::of(cell, DecimalMark::Dot)));
            prop_assert_eq!((columns[0].kinds, columns[0].values), (kinds, texts.clone().count() as u64));
            let comma = texts.fold(Kinds::ALL, |kinds, cell| kinds.and(Kinds::of(cell, DecimalMark::Comma)));
            prop_assert_eq!(columns[0].comma.kinds, comma);
            drop(columns);
            let spoiler = parser.spoiler(&rows, 0, Kinds::INT, true);
            let first = cells.iter().position(|cell| !cell.is_empty() && !Kinds::of(cell, DecimalMark::Dot).has(Kinds::INT));
            prop_assert_eq!(spoiler.map(|(row, _)| row), first.map(|row| row as u64 + 1));
        }
    }
}
