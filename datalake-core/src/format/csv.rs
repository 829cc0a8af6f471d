//! Comma-separated values, in both directions.
//!
//! A text is cut into blocks of whole records (`cut`), whose fields are found 64 bytes at a time (`structure`) or, where
//! quotes stand astray, one by one (`careful`). Blocks become columns on all CPU threads (`parse`, `column`), without a
//! record or a text between, and are settled in their order (`decode`). A byte order mark is skipped; blank lines are no
//! records; LF, CRLF and CR end a line. A quote that is not closed, or has anything but a delimiter or a line end after it,
//! makes a broken record.
//!
//! The dialect is as was asked for, else as the first 64 KiB show it (`sniff`), whatever else is read of the text; but a
//! decimal comma is found with the types, from all that they are found from.
//!
//! What is written reads back as the same values with two exceptions: an empty text becomes a missing value, and the
//! type of a column is found anew (a text column whose cells all look like numbers becomes numbers; declare it).

mod advice;
mod block;
mod careful;
mod column;
mod cut;
mod decode;
#[cfg(test)]
mod dialect_tests;
mod even_fields;
#[cfg(test)]
mod first_lines_tests;
mod grouped;
mod header;
mod join;
#[cfg(test)]
mod kernels;
mod observe;
mod parse;
mod sniff;
mod structure;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use async_trait::async_trait;

use self::column::Reading;
use self::cut::Cutter;
use self::decode::{BLOCK, Blocks, Found, text_schema};
pub(crate) use self::header::column_names;
use self::join::Joined;
use self::sniff::{Beginning, Head};
use self::structure::Syntax;
use self::write::Encoder;
use super::Format;
use super::batches::{Batches, Tally};
use super::compression::{Compression, Deflate};
use super::dialect::{Dialect, Quote};
use super::drive::{self, Decode};
use super::intake::{Intake, Origin};
use super::memory::MemoryBudget;
use super::options::{Infer, ReadOptions, WriteOptions};
use super::packing::Packing;
use super::reject::SourceColumns;
use super::schema::{Inferred, Observed};
use super::sink::{Sink, Written};
use super::source::{Input, Source};
use super::spec::{ColumnSpec, DecimalMark};
use super::{ahead, trial};
use crate::compute;
use crate::error::{Error, ErrorKind, Result};

/// The CSV format: fields separated by `,`, `;`, tab or another character.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Csv;

/// An opened source, and all that must be known of it before its records are read.
struct Plan {
    input: Input,
    packing: Packing,
    dialect: Dialect,
    syntax: Syntax,
    reading: Arc<Reading>,
    found: Found,
    /// What is made of the texts; `None` leaves them as they are.
    specs: Option<(Vec<ColumnSpec>, Origin)>,
}

impl Plan {
    async fn new(source: &Source, options: &ReadOptions) -> Result<Self> {
        let input = Input::open(source).await?;
        let packing = Packing::of(&input, options).await?;
        refuse_lines(&input, &packing, options)?;
        let Sniffed { syntax, skip_lines, has_header, notes } = sniff(&input, source, &packing, options).await?;
        // Names alone stand at the beginning; types take a look at the records.
        let limit = match options.infer {
            _ if options.text || options.schema.is_some() || options.guess.is_some() => Some(0),
            Infer::Sample(bytes) => Some(bytes.max(1)),
            Infer::Auto | Infer::Whole => None,
        };
        let reading = Arc::new(Reading::new(syntax, options.nulls.clone(), options.thousands));
        // Of a sample, no more is cut than is looked at.
        let size = limit.and_then(|limit| usize::try_from(limit).ok()).map_or(BLOCK, |limit| limit.min(BLOCK));
        let blocks = blocks(&input, &packing, syntax, skip_lines, has_header, size, &Arc::default())?;
        let ahead = MemoryBudget::of_read(options).blocks(compute::threads());
        let mut found = decode::find(input.name(), blocks, &reading, options.decimal, has_header, limit, ahead).await?;
        found.notes.splice(..0, notes);
        if let Some(declared) = options.schema.as_ref().filter(|_| !options.is_found) {
            if !has_header {
                found.name_by_place(declared);
            }
            if options.header != Some(true) {
                found.refuse_others(input.name(), declared, has_header)?;
            }
        }
        if let (Some(delimiter), 1) = (options.delimiter, found.names.len()) {
            let delimiter = delimiter.escape_default();
            found.notes.push(format!("with `{delimiter}` between fields, the first record is one column"));
        }
        let specs = match &options.schema {
            Some(specs) => {
                let marked = |spec: &ColumnSpec| match options.decimal {
                    Some(mark) if spec.decimal == DecimalMark::Dot => spec.clone().with_decimal(mark),
                    _ => spec.clone(),
                };
                Some((specs.iter().map(marked).collect(), Origin::Declared))
            }
            None if options.text => None,
            None if let Some(guess) = &options.guess => {
                guess.covers(input.name(), &found.names)?;
                Some((guess.columns.clone(), Origin::Inferred))
            }
            None => {
                let columns = found.names.iter().zip(&found.columns).zip(&found.marks);
                let specs = columns.map(|((name, column), mark)| column.spec(name, *mark));
                Some((specs.collect(), Origin::Inferred))
            }
        };
        let declared = specs.iter().flat_map(|(specs, _)| specs).map(|spec| spec.decimal);
        let decimal = found.marks.iter().copied().chain(declared).find(|mark| *mark != DecimalMark::Dot);
        let dialect = Dialect {
            delimiter: syntax.delimiter.into(),
            quote: syntax.quote.map_or(Quote::Absent, |quote| Quote::Mark(quote.into())),
            escape: syntax.escape.map(char::from),
            comment: syntax.comment.map(char::from),
            skip_lines,
            header: has_header,
            decimal: decimal.unwrap_or_default(),
            thousands: options.thousands,
        };
        Ok(Self { input, packing, dialect, syntax, reading, found, specs })
    }

    /// The columns whose numbers are found to have a decimal comma.
    fn comma_decimals(&self) -> Vec<String> {
        let columns = self.found.names.iter().zip(&self.found.marks);
        columns.filter(|(_, mark)| **mark == DecimalMark::Comma).map(|(name, _)| name.clone()).collect()
    }

    /// Whether a value in the middle or at the end does not fit the types that are guessed.
    async fn runs_into_a_misfit(&self, intake: &Intake) -> Result<bool> {
        for piece in ahead::pieces(&self.input).await? {
            let mut cutter = Cutter::new(self.syntax, false, BLOCK);
            let parser = decode::parser(self.found.names.clone(), Arc::clone(&self.reading), intake);
            let is_misfit = compute::run(move || {
                cutter.push(&piece);
                cutter.finish();
                while let Some(block) = cutter.next()? {
                    if parser.is_sure_misfit(block)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            });
            if is_misfit.await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn intake(&self, options: &ReadOptions, tally: &Arc<Tally>) -> Result<Intake> {
        let specs = self.specs.as_ref().map(|(specs, origin)| (specs.as_slice(), *origin));
        let intake = Intake::new(self.input.name(), &text_schema(&self.found.names), specs, options, tally)?;
        if let (Some(guess), Some((_, Origin::Inferred))) = (&options.guess, specs) {
            return Ok(intake.guessed(guess.unseen.clone()));
        }
        let is_guess = !self.found.whole && matches!(specs, Some((_, Origin::Inferred)));
        Ok(if is_guess { intake.guessed(self.found.columns.iter().map(Observed::is_empty).collect()) } else { intake })
    }
}

/// Refuses lines that are no rows in files of an archive that are one text.
fn refuse_lines(input: &Input, packing: &Packing, options: &ReadOptions) -> Result<()> {
    if !packing.is_several() || options.skip_lines == 0 && options.comment.is_none() {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Unsupported, "read", input.name())
        .with_reason("several files of an archive are one text only where each begins with its header")
        .with_hint("leave lines to skip and comments away, or read each by itself, with `member = \"NAME\"`"))
}

/// Blocks of whole records of an input, of about so many bytes.
fn blocks(
    input: &Input,
    packing: &Packing,
    syntax: Syntax,
    skip_lines: u64,
    has_header: bool,
    size: usize,
    tally: &Arc<Tally>,
) -> Result<Blocks> {
    let cutter = Cutter::new(syntax, has_header, trial::block(size)).skipping(skip_lines);
    if !packing.is_several() {
        return drive::decoded(input.clone(), packing, cutter, Arc::clone(tally));
    }
    let joined = Joined::new(input.name(), cutter, syntax, has_header);
    drive::decoded(input.clone(), packing, joined, Arc::clone(tally))
}

/// How a text is written, as far as its beginning shows it.
struct Sniffed {
    syntax: Syntax,
    /// How many lines stand before the first record.
    skip_lines: u64,
    has_header: bool,
    /// What a user should know of it.
    notes: Vec<String>,
}

/// What was asked for, or what the first records show.
async fn sniff(input: &Input, source: &Source, packing: &Packing, options: &ReadOptions) -> Result<Sniffed> {
    let comment = options.comment.map(|comment| ascii("comment mark", comment)).transpose()?;
    let escape = options.escape.map(|escape| ascii("escape", escape)).transpose()?;
    let head = Head::new(options.skip_lines, comment);
    let (mut head, mut is_whole) = drive::observe(input, packing, head, Some(sniff::HEAD as u64)).await?;
    let said = head.said_delimiter().filter(|_| options.skip_lines == 0);
    let skip_lines = if said.is_some() { 1 } else { options.skip_lines };
    if said.is_some() {
        let behind = Head::new(skip_lines, comment);
        (head, is_whole) = drive::observe(input, packing, behind, Some(sniff::HEAD as u64)).await?;
    }
    let beginning = Beginning::new(&head, is_whole);
    let given = options.delimiter.map(|delimiter| ascii("delimiter", delimiter)).transpose()?;
    let name = packing.member().map(ToOwned::to_owned).or_else(|| source.file_name());
    let by_name = || name.as_ref().is_some_and(|name| is_tab_separated(name)).then_some(b'\t');
    let delimiter =
        |quote| given.or(said).or_else(by_name).unwrap_or_else(|| beginning.delimiter(quote, escape, comment));
    let quote = match options.quote {
        Some(quote) => quote.mark().map(|quote| ascii("quote", quote)).transpose()?,
        None => {
            let is_taken = [given, escape, comment].contains(&Some(b'\''));
            let syntax = |quote| Syntax { delimiter: delimiter(Some(quote)), quote: Some(quote), escape, comment };
            Some(if is_taken { b'"' } else { beginning.quote(syntax) })
        }
    };
    let delimiter = delimiter(quote);
    // A quote that escapes a quote doubles it.
    let escape = escape.filter(|escape| Some(*escape) != quote);
    let syntax = Syntax { delimiter, quote, escape, comment };
    refuse_two_meanings(syntax, options)?;
    let mut notes = Vec::new();
    if let Some(said) = said {
        let said = char::from(said).escape_default();
        notes.push(format!("the first line says that `{said}` separates fields, and is no row"));
    }
    if options.quote.is_none() && quote == Some(b'\'') {
        notes.push("fields are found to be enclosed by `'`; with `quote = \"\\\"\"` it is a character".to_owned());
    }
    let declared = options.schema.iter().filter(|_| !options.is_found).flatten();
    let names = declared.flat_map(ColumnSpec::source_names).collect::<Vec<_>>();
    let has_header = options.header.unwrap_or_else(|| {
        let reading = Reading::new(syntax, options.nulls.clone(), options.thousands);
        let has_header = beginning.has_header(&reading, options.decimal, &names);
        if !has_header {
            notes.push(
                "the first record is a row, as its values are of the types of their columns; with `header = true` it names them"
                    .to_owned(),
            );
        }
        has_header
    });
    Ok(Sniffed { syntax, skip_lines, has_header, notes })
}

/// A character can have one meaning alone.
fn refuse_two_meanings(syntax: Syntax, options: &ReadOptions) -> Result<()> {
    let twice = |what: &str, character: char, other: &str| {
        Error::invalid("use", format_args!("`{character}` as the {what}"))
            .with_reason(format_args!("it is the {other} as well"))
            .with_hint("give two different characters")
    };
    let marks = [
        ("quote", syntax.quote),
        ("delimiter", Some(syntax.delimiter)),
        ("escape", syntax.escape),
        ("comment mark", syntax.comment),
    ];
    for (index, (what, mark)) in marks.iter().enumerate() {
        let other = marks[..index].iter().find(|(_, other)| mark.is_some() && other == mark);
        if let (Some((other, _)), Some(mark)) = (other, mark) {
            return Err(twice(what, char::from(*mark), other));
        }
    }
    let Some(thousands) = options.thousands else { return Ok(()) };
    if thousands.is_alphanumeric() || matches!(thousands, '+' | '-' | '\n' | '\r') {
        return Err(Error::invalid("use", format_args!("`{}` between thousands", thousands.escape_default()))
            .with_reason("it means something else in a number")
            .with_hint("give a character such as `,`, `.`, `'` or a blank"));
    }
    let decimal = match options.decimal {
        Some(DecimalMark::Dot) => thousands == '.',
        Some(DecimalMark::Comma) => thousands == ',',
        Some(DecimalMark::Either) => matches!(thousands, '.' | ','),
        None => false,
    };
    if decimal { Err(twice("mark between thousands", thousands, "decimal mark")) } else { Ok(()) }
}

/// What separates fields in a sink of this name.
pub(crate) fn delimiter(name: &str, options: &WriteOptions) -> char {
    let is_asked_for = options.format.as_ref().is_some_and(|format| format.eq_ignore_ascii_case("tsv"));
    options.delimiter.unwrap_or(if is_asked_for || is_tab_separated(name) { '\t' } else { ',' })
}

fn is_tab_separated(name: &str) -> bool {
    let (_, name) = Compression::of_name(name);
    name.to_ascii_lowercase().ends_with(".tsv")
}

fn ascii(what: &str, character: char) -> Result<u8> {
    match u8::try_from(character) {
        Ok(byte) if byte.is_ascii() && !matches!(byte, b'\n' | b'\r' | 0) => Ok(byte),
        _ => Err(Error::invalid("use", format_args!("`{}` as the {what}", character.escape_default()))
            .with_reason("it must be one ASCII character, and no line end")),
    }
}

#[async_trait]
impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    async fn infer_schema(&self, source: &Source, options: &ReadOptions) -> Result<Inferred> {
        let plan = Plan::new(source, options).await?;
        let intake = plan.intake(options, &Arc::default())?;
        let comma_decimals = plan.comma_decimals();
        let Plan { found, specs, dialect, .. } = plan;
        let notes = found.notes.iter().cloned().chain(intake.notes()).collect();
        let mut inferred = Inferred::new(intake.schema(), notes, found.rows, found.whole);
        (inferred.dialect, inferred.comma_decimals) = (Some(dialect), comma_decimals);
        inferred.with_comma = found.names.iter().cloned().zip(found.with_comma.iter().copied()).collect();
        inferred.text_notes.clone_from(&found.text_notes);
        inferred.dots_may_group.clone_from(&found.dots_may_group);
        Ok(match specs {
            Some((_, Origin::Inferred)) => {
                inferred.with_observed(found.names.iter().zip(found.columns.iter().map(Some)))
            }
            _ => inferred,
        })
    }

    async fn read(&self, source: Source, options: ReadOptions) -> Result<Batches> {
        let plan = Plan::new(&source.spool().await?, &options).await?;
        let tally = Arc::new(Tally::default());
        let intake = plan.intake(&options, &tally)?;
        if options.looks_ahead && plan.packing.is_as_stored() && plan.runs_into_a_misfit(&intake).await? {
            return Err(ahead::misfit(&plan.input));
        }
        let schema = Arc::clone(intake.schema());
        let notes = plan.found.notes.iter().cloned().chain(intake.notes()).collect();
        let Plan { input, packing, syntax, dialect, reading, found, .. } = plan;
        let names = found.names;
        if let Some(rejects) = &options.rejects {
            rejects.columns(input.name(), SourceColumns { names: names.clone(), dialect: dialect.clone() });
        }
        let blocks = blocks(&input, &packing, syntax, dialect.skip_lines, dialect.header, BLOCK, &tally)?;
        let stream = decode::batches(blocks, names.clone(), reading, intake, options.batch_rows);
        Ok(Batches::new(schema, stream, tally).with_notes(notes).with_dialect(dialect).with_source_columns(names))
    }

    async fn write(&self, sink: Sink, batches: Batches, options: WriteOptions) -> Result<Written> {
        let name = sink.file_name().unwrap_or_default();
        let delimiter = ascii("delimiter", delimiter(&name, &options))?;
        let memory = MemoryBudget::of_write(&options);
        let deflate = Deflate::for_sink(&sink, &options)?;
        let encoder = Encoder::new(batches.schema(), delimiter, &options)?;
        drive::write(sink, batches, encoder, deflate, memory).await
    }
}
