//! CSV text to record batches: blocks are parsed on all CPU threads, and settled in their order.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};

use super::advice::{Advice, Lenient};
use super::block::Block;
use super::column::{Reading, Wanted};
use super::header;
use super::observe::Comma;
use super::parse::{Parsed, Parser};
use crate::compute;
use crate::error::{Error, Position, Result};
use crate::format::batches::slices;
use crate::format::cell::Kinds;
use crate::format::conform::{Conformed, Conformer};
use crate::format::drive;
use crate::format::encoding::OTHER_ENCODING;
use crate::format::intake::{Intake, Records, escaped};
use crate::format::schema::{Observed, shortened};
use crate::format::spec::{ColumnSpec, DecimalMark};

/// How many bytes of text are parsed at a time, about.
pub(super) const BLOCK: usize = 1024 * 1024;

/// In so many blocks at the beginning a record is looked for that can be read.
const FEW: usize = 64;

/// Blocks of a text, in their order.
pub(super) type Blocks = BoxStream<'static, Result<Block>>;

/// The columns of a text, with notes of names that were changed and of types.
pub(super) struct Found {
    pub(super) names: Vec<String>,
    pub(super) columns: Vec<Observed>,
    /// The decimal mark of each.
    pub(super) marks: Vec<DecimalMark>,
    /// What the texts of each would be, were a comma their decimal mark.
    pub(super) with_comma: Vec<Kinds>,
    /// The columns of numbers with a dot, each of which could as well stand between groups of digits.
    pub(super) dots_may_group: Vec<String>,
    /// The columns that are text because of some values, each with the note that says so.
    pub(super) text_notes: Vec<(String, String)>,
    pub(super) notes: Vec<String>,
    /// The number of records seen.
    pub(super) rows: u64,
    /// Whether these were all.
    pub(super) whole: bool,
}

impl Found {
    /// Gives columns of a text without a header the names of declared ones at the same places, unless one of these means a column
    /// by its number, or two of them the same one.
    pub(super) fn name_by_place(&mut self, declared: &[ColumnSpec]) {
        let mut wanted = HashSet::new();
        let mut names = declared.iter().flat_map(ColumnSpec::source_names);
        if !names.all(|name| wanted.insert(name)) || self.names.iter().any(|own| wanted.contains(own.as_str())) {
            return;
        }
        for (name, spec) in self.names.iter_mut().zip(declared) {
            spec.source_names().next().unwrap_or(&spec.name).clone_into(name);
        }
        self.notes.push("there is no header: columns have the names of the schema, in its order".to_owned());
    }

    /// Refuses a text that has none of the columns that are declared: its first record may be a row that was taken for a header.
    pub(super) fn refuse_others(&self, source: &str, declared: &[ColumnSpec], has_header: bool) -> Result<()> {
        let own: HashSet<&str> = self.names.iter().map(String::as_str).collect();
        let mut wanted = declared.iter().flat_map(ColumnSpec::source_names);
        if declared.is_empty() || wanted.any(|name| own.contains(name)) {
            return Ok(());
        }
        let list = |names: &mut dyn Iterator<Item = &str>| shortened(&names.collect::<Vec<_>>().join("`, `"));
        Err(Error::invalid("read", source)
            .with_reason(format_args!(
                "its columns are `{}`, and none of the schema's is among them: `{}`",
                list(&mut self.names.iter().map(String::as_str)),
                list(&mut declared.iter().map(|spec| spec.name.as_str()))
            ))
            .with_hint(if has_header {
                "correct the names; or say `header = false`, where the first record is a row and the schema has its order"
            } else {
                "give each column of the schema a name of its own, or say by `from` which it is, such as `column_1`"
            }))
    }
}

/// Finds the names of columns, and their types from at least so many bytes, or all, or none; of all, so many blocks are looked at
/// at a time.
pub(super) async fn find(
    source: &str,
    mut blocks: Blocks,
    reading: &Arc<Reading>,
    mark: Option<DecimalMark>,
    has_header: bool,
    bytes: Option<u64>,
    ahead: usize,
) -> Result<Found> {
    let asks_comma = mark.is_none() && !matches!(reading.thousands, Some('.' | ','));
    let mark = reading.mark(mark.unwrap_or_default());
    let empty = || Error::invalid("read", source).with_reason("it is empty: there is no record in it");
    let mut begin = vec![blocks.try_next().await?.ok_or_else(empty)?];
    // Without a header the first record that can be read tells how many columns there are.
    while !has_header && begin.len() < FEW && begin.last().is_some_and(|block| block.rows() == 0 && !block.is_last) {
        let Some(block) = blocks.try_next().await? else { break };
        begin.push(block);
    }
    let first = &begin[begin.len() - 1];
    let (names, notes) = names(source, first, has_header)?;
    let columns = vec![Observed::new(); names.len()];
    let mut commas = vec![if asks_comma { Comma::ANY } else { Comma::NONE }; names.len()];
    let mut lenient = vec![Lenient::new(mark); names.len()];
    let marks = vec![mark; names.len()];
    let (with_comma, dots_may_group, text_notes) = (Vec::new(), Vec::new(), Vec::new());
    let mut found =
        Found { names, columns, marks, with_comma, dots_may_group, text_notes, notes, rows: 0, whole: first.is_last };
    if bytes == Some(0) {
        return Ok(found);
    }
    let parser = Arc::new(Parser {
        wanted: wanted(&found.names, mark),
        reading: Arc::clone(reading),
        names: found.names.clone(),
    });
    let shared = Arc::clone(&parser);
    let blocks = futures::stream::iter(begin.into_iter().map(Ok)).chain(blocks);
    let limit = bytes.unwrap_or(u64::MAX);
    // Of a sample, no block is looked at that is not needed.
    let ahead = if bytes.is_some() { 1 } else { ahead };
    let mut observed = drive::worked(blocks.boxed(), ahead, move |block| {
        let (rows, columns) = parser.observe(block, asks_comma);
        let columns = columns
            .into_iter()
            .map(|column| (column.kinds, column.values, column.comma, column.lenient))
            .collect::<Vec<_>>();
        Ok((rows, columns))
    });
    let mut before = (0, 0);
    loop {
        let Some((mut rows, columns)) = observed.try_next().await? else {
            found.whole = true;
            break;
        };
        before = rows.follow(before);
        found.whole = rows.block().is_last;
        for (index, (column, (kinds, values, comma, could))) in found.columns.iter_mut().zip(columns).enumerate() {
            column.absorb(kinds, values, |kinds, has_values| shared.spoiler(&rows, index, kinds, has_values));
            commas[index].absorb(comma);
            lenient[index].absorb(could.numbered(|row| rows.row(row as usize)));
        }
        let may_separate = reading.syntax.delimiter != b',';
        let is_open = |comma: &Comma| may_separate && comma.is_number() && !comma.is_clear;
        let is_open = |((column, comma), lenient): ((&Observed, &Comma), &Lenient)| {
            column.is_text() && (is_open(comma) || lenient.is_mixed())
        };
        let has_enough = rows.block().byte + rows.block().text.len() as u64 >= limit;
        // What a comma means must not depend on how much is looked at, nor what is counted.
        if has_enough && !found.columns.iter().zip(&commas).zip(&lenient).any(is_open) {
            break;
        }
    }
    found.rows = before.0;
    found.settle(reading.syntax.delimiter, &commas, &lenient);
    Ok(found)
}

impl Found {
    /// Decides which columns have a decimal comma, and says why others are text.
    fn settle(&mut self, delimiter: u8, commas: &[Comma], lenient: &[Lenient]) {
        let mut with_comma = Vec::new();
        // What follows a sample may be anything.
        let seen = if self.whole { String::new() } else { format!(" in the first {} rows", self.rows) };
        for (index, name) in self.names.iter().enumerate() {
            let (column, comma) = (&mut self.columns[index], commas[index]);
            // A comma that separates fields is no decimal mark within quotes either.
            self.with_comma.push(if column.is_text() && delimiter == b',' { Kinds::NONE } else { comma.kinds });
            if !column.is_text() {
                continue;
            }
            if comma.is_number() && comma.is_clear && delimiter != b',' {
                *column = column.of_kinds(comma.kinds);
                self.marks[index] = DecimalMark::Comma;
                with_comma.push(format!("`{name}`"));
                continue;
            }
            let advice = lenient[index].advice();
            let note = column.note(name);
            let note = note.or_else(|| {
                let Advice { row, first, .. } = advice.as_ref()?;
                Some(format!("column `{name}` is text because of `{first}` in row {row}"))
            });
            let Some(note) = note else { continue };
            let note = match advice {
                Some(Advice { options, odd, .. }) => {
                    let odd = odd.map(|odd| format!(" ({odd} of {} values)", column.values())).unwrap_or_default();
                    format!("{note}{odd}; with {options} it is numbers{seen}")
                }
                None => note,
            };
            self.text_notes.push((name.clone(), note.clone()));
            self.notes.push(note);
        }
        match &with_comma[..] {
            [] => {}
            [one] => self.notes.push(format!("column {one} has a decimal comma")),
            all => self.notes.push(format!("columns {} have a decimal comma", all.join(", "))),
        }
        // What is the decimal mark of one column, or file, may group the digits of another.
        for (index, name) in self.names.iter().enumerate() {
            let is_float =
                self.marks[index] == DecimalMark::Dot && self.columns[index].data_type() == DataType::Float64;
            if !is_float || !lenient[index].has_dots_between_groups() {
                continue;
            }
            self.dots_may_group.push(name.clone());
            if !with_comma.is_empty() {
                let note =
                    format!("column `{name}` has a decimal dot; with `thousands = \".\"` it groups digits{seen}");
                self.notes.push(note);
            }
        }
    }
}

fn wanted(names: &[String], mark: DecimalMark) -> Vec<Arc<Wanted>> {
    let spec = |name| ColumnSpec::new(name, DataType::Utf8).with_decimal(mark);
    let wanted = names.iter().enumerate();
    wanted.map(|(place, name)| Arc::new(Wanted { spec: spec(name), place, guess: None })).collect()
}

/// The names of the columns, by the header or by the width of the first record.
fn names(source: &str, first: &Block, has_header: bool) -> Result<(Vec<String>, Vec<String>)> {
    let bad = |reason: &str| Error::invalid("read", source).with_reason(reason);
    if !has_header {
        if first.rows() == 0 {
            return Err(bad("no record in it can be read"));
        }
        return Ok((header::numbered(first.width(0)), Vec::new()));
    }
    let Some(fields) = &first.header else {
        let reason =
            first.given_up.first().map(|gap| first.misquoted(gap, first.skipped + first.lines(0, gap.start) + 1));
        return Err(bad(&format!("in the header, {}", reason.unwrap_or_default())));
    };
    let text = |field: &Vec<u8>| {
        String::from_utf8(field.clone()).map_err(|field| {
            let field = shortened(&escaped(field.as_bytes()));
            let begin = first.begin();
            let line = 1 + first.skipped + first.lines(0, begin);
            let position = Position::default().with_line(line).with_byte(first.byte + begin as u64);
            bad(&format!("`{field}` in the header is not UTF-8")).with_position(position).with_hint(OTHER_ENCODING)
        })
    };
    let given: Vec<String> = fields.iter().map(text).collect::<Result<_>>()?;
    Ok(header::column_names(&given))
}

/// What blocks become, one after the other.
struct Settler {
    parsed: BoxStream<'static, Result<Parsed>>,
    conformer: Option<Conformer>,
    schema: SchemaRef,
    intake: Arc<Intake>,
    names: Arc<[String]>,
    before: (u64, u64),
    batch_rows: usize,
    ready: VecDeque<RecordBatch>,
}

/// What makes of a text's records the columns that are wanted.
pub(super) fn parser(names: Vec<String>, reading: Arc<Reading>, intake: &Intake) -> Parser {
    let wanted = match intake.conformer() {
        Some(conformer) => conformer
            .placed()
            .map(|(spec, place, guess)| {
                let spec = spec.clone();
                let mark = reading.mark(spec.decimal);
                Arc::new(Wanted { spec: spec.with_decimal(mark), place, guess })
            })
            .collect(),
        None => wanted(&names, DecimalMark::Dot),
    };
    Parser { names, reading, wanted }
}

/// Decodes blocks as a stream of batches.
pub(super) fn batches(
    blocks: Blocks,
    names: Vec<String>,
    reading: Arc<Reading>,
    intake: Intake,
    batch_rows: usize,
) -> BoxStream<'static, Result<RecordBatch>> {
    let (schema, conformer) = (text_schema(&names), intake.conformer().cloned());
    let parser = Arc::new(parser(names, reading, &intake));
    let names = parser.names.clone().into();
    let ahead = intake.memory().blocks(compute::threads());
    let parsed = drive::worked(blocks, ahead, move |block| parser.parse(block));
    let settler = Settler {
        parsed,
        conformer,
        schema,
        intake: Arc::new(intake),
        names,
        before: (0, 0),
        batch_rows,
        ready: VecDeque::new(),
    };
    futures::stream::try_unfold(settler, Settler::next).boxed()
}

impl Settler {
    async fn next(mut self) -> Result<Option<(RecordBatch, Self)>> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Ok(Some((batch, self)));
            }
            let Some(mut parsed) = self.parsed.try_next().await? else { return Ok(None) };
            self.before = parsed.rows.follow(self.before);
            let (conformer, schema, names) = (self.conformer.take(), Arc::clone(&self.schema), Arc::clone(&self.names));
            let intake = Arc::clone(&self.intake);
            let batch;
            (self.conformer, batch) = compute::run(move || {
                let batch = settle(parsed, conformer.as_ref(), &schema, &names, &intake)?;
                Ok((conformer, batch))
            })
            .await?;
            if let Some(batch) = batch {
                self.ready.extend(slices(&batch, self.batch_rows));
            }
        }
    }
}

/// The rows of a block that are good; the others are dealt with.
fn settle(
    parsed: Parsed,
    conformer: Option<&Conformer>,
    schema: &SchemaRef,
    names: &[String],
    intake: &Intake,
) -> Result<Option<RecordBatch>> {
    let (rows, bad) = (parsed.rows.len(), parsed.rows.bad(names));
    let conformed = match conformer {
        Some(conformer) => conformer.keep(conformer.with_missing(parsed.columns, rows), rows, parsed.faults)?,
        None => {
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let batch = RecordBatch::try_new_with_options(Arc::clone(schema), parsed.columns, &options)
                .map_err(|cause| Error::internal("read", "a batch of texts").with_source(cause))?;
            Conformed::whole(batch)
        }
    };
    intake.settle(conformed, rows, &parsed.rows, bad)
}

/// All columns as nullable text.
pub(crate) fn text_schema(names: &[String]) -> SchemaRef {
    Arc::new(Schema::new(names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect::<Vec<_>>()))
}
