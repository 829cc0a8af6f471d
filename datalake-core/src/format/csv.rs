//! Comma-separated values, in both directions.
//!
//! A text is cut into blocks of whole records (`cut`), whose fields are found 64 bytes at a time (`structure`) or, where
//! quotes stand astray, one by one (`careful`). Blocks become columns on all CPU threads (`parse`, `column`), without a
//! record or a text between, and are settled in their order (`decode`). A byte order mark is skipped; blank lines are no
//! records; LF, CRLF and CR end a line. A quote that is not closed, or has anything but a delimiter or a line end after it,
//! makes a broken record.
//!
//! What is written reads back as the same values with two exceptions: an empty text becomes a missing value, and the
//! type of a column is found anew (a text column whose cells all look like numbers becomes numbers; declare it).

mod careful;
mod column;
mod cut;
mod decode;
mod header;
mod join;
mod observe;
mod parse;
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
use self::structure::Dialect;
use self::write::Encoder;
use super::Format;
use super::batches::{Batches, Tally};
use super::compression::{Compression, Deflate};
use super::drive;
use super::intake::{Intake, Origin};
use super::options::{Infer, ReadOptions, WriteOptions};
use super::packing::Packing;
use super::schema::{Inferred, Observed};
use super::sink::{Sink, Written};
use super::source::{Input, Source};
use super::spec::ColumnSpec;
use crate::error::{Error, Result};

/// The CSV format: fields separated by `,`, `;`, tab or another character.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Csv;

/// An opened source, and all that must be known of it before its records are read.
struct Plan {
    input: Input,
    packing: Packing,
    dialect: Dialect,
    reading: Arc<Reading>,
    found: Found,
    /// What is made of the texts; `None` leaves them as they are.
    specs: Option<(Vec<ColumnSpec>, Origin)>,
}

impl Plan {
    async fn new(source: &Source, options: &ReadOptions) -> Result<Self> {
        let input = Input::open(source).await?;
        let packing = Packing::of(&input, options).await?;
        let dialect = dialect(&input, source, &packing, options).await?;
        // Names alone stand at the beginning; types take a look at the records.
        let limit = match options.infer {
            _ if options.text || options.schema.is_some() => Some(0),
            Infer::Sample(bytes) => Some(bytes.max(1)),
            Infer::Auto | Infer::Whole => None,
        };
        let reading = Arc::new(Reading::new(dialect.quote, options.nulls.clone()));
        // Of a sample, no more is cut than is looked at.
        let size = limit.and_then(|limit| usize::try_from(limit).ok()).map_or(BLOCK, |limit| limit.min(BLOCK));
        let blocks = blocks(&input, &packing, dialect, options, size, &Arc::default())?;
        let found = decode::find(input.name(), blocks, &reading, options.decimal, options.header, limit).await?;
        let specs = match &options.schema {
            Some(specs) => Some((specs.clone(), Origin::Declared)),
            None if options.text => None,
            None => {
                let columns = found.names.iter().zip(&found.columns);
                let specs = columns.map(|(name, column)| column.spec(name, options.decimal));
                Some((specs.collect(), Origin::Inferred))
            }
        };
        Ok(Self { input, packing, dialect, reading, found, specs })
    }

    fn intake(&self, options: &ReadOptions, tally: &Arc<Tally>) -> Result<Intake> {
        let specs = self.specs.as_ref().map(|(specs, origin)| (specs.as_slice(), *origin));
        let intake = Intake::new(self.input.name(), &text_schema(&self.found.names), specs, options, tally)?;
        let is_guess = !self.found.whole && matches!(specs, Some((_, Origin::Inferred)));
        Ok(if is_guess { intake.guessed(self.found.columns.iter().map(Observed::is_empty).collect()) } else { intake })
    }
}

/// Blocks of whole records of an input, of about so many bytes.
fn blocks(
    input: &Input,
    packing: &Packing,
    dialect: Dialect,
    options: &ReadOptions,
    size: usize,
    tally: &Arc<Tally>,
) -> Result<Blocks> {
    let cutter = Cutter::new(dialect, options.header, size);
    if packing.is_several() {
        let joined = Joined::new(input.name(), cutter, dialect, options.header);
        return drive::decoded(input.clone(), packing, joined, Arc::clone(tally));
    }
    drive::decoded(input.clone(), packing, cutter, Arc::clone(tally))
}

/// The delimiter and quote that were asked for, or that the first records show.
async fn dialect(input: &Input, source: &Source, packing: &Packing, options: &ReadOptions) -> Result<Dialect> {
    const HEAD: usize = 64 * 1024;
    let quote = ascii("quote", options.quote)?;
    let (head, _) = drive::head(input, packing, HEAD).await?;
    let name = packing.member().map(ToOwned::to_owned).or_else(|| source.file_name());
    let delimiter = match options.delimiter {
        Some(delimiter) => ascii("delimiter", delimiter)?,
        None if name.is_some_and(|name| is_tab_separated(&name)) => b'\t',
        None => header::delimiter(&head, quote),
    };
    if delimiter == quote {
        return Err(Error::invalid("use", format_args!("`{}` as the delimiter", char::from(delimiter)))
            .with_reason("it is the quote as well")
            .with_hint("give two different characters"));
    }
    Ok(Dialect { delimiter, quote })
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
        let Plan { found, specs, .. } = plan;
        let notes = found.notes.iter().chain(intake.notes()).cloned().collect();
        let inferred = Inferred::new(intake.schema(), notes, found.rows, found.whole);
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
        let schema = Arc::clone(intake.schema());
        let notes = plan.found.notes.iter().chain(intake.notes()).cloned().collect();
        let blocks = blocks(&plan.input, &plan.packing, plan.dialect, &options, BLOCK, &tally)?;
        let stream = decode::batches(blocks, plan.found.names, plan.reading, intake, options.batch_rows);
        Ok(Batches::new(schema, stream, tally).with_notes(notes))
    }

    async fn write(&self, sink: Sink, batches: Batches, options: WriteOptions) -> Result<Written> {
        let name = sink.file_name().unwrap_or_default();
        let delimiter = match options.delimiter {
            Some(delimiter) => ascii("delimiter", delimiter)?,
            None if is_tab_separated(&name) => b'\t',
            None => b',',
        };
        let deflate = Deflate::for_sink(&sink, &options)?;
        let encoder = Encoder::new(batches.schema(), delimiter, options.header);
        drive::write(sink, batches, encoder, deflate).await
    }
}
