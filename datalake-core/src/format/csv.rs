//! Comma-separated values, in both directions.
//!
//! Records are cut by `csv-core`; their cells become values here, one by one. Arrow's own CSV reader fails a whole
//! batch for one bad cell and does not say where its record began, so it can neither set a broken record aside nor
//! name it. A byte order mark is skipped; blank lines are no records; LF, CRLF and CR end a line. A quote that is not
//! closed, or has anything but a delimiter or a line end after it, makes a broken record: `csv-core` would repair it.
//!
//! What is written reads back as the same values with two exceptions: an empty text becomes a missing value, and the
//! type of a column is found anew (a text column whose cells all look like numbers becomes numbers; declare it).

mod decode;
mod header;
mod split;
#[cfg(test)]
mod tests;
mod write;

use std::sync::Arc;

use async_trait::async_trait;

use self::decode::{Decoder, Found, Rows, Scan, text_schema};
pub(crate) use self::header::column_names;
use self::split::Dialect;
use self::write::Encoder;
use super::batches::{Batches, Tally};
use super::compression::{Compression, Deflate};
use super::drive;
use super::intake::{Intake, Origin};
use super::options::{Infer, ReadOptions, WriteOptions};
use super::schema::{Inferred, Observed};
use super::sink::{Sink, Written};
use super::source::{Input, Source};
use super::spec::ColumnSpec;
use super::{Format, detect};
use crate::error::{Error, Result};

/// The CSV format: fields separated by `,`, `;`, tab or another character.
#[derive(Debug, Clone, Copy, Default)]
#[non_exhaustive]
pub struct Csv;

/// An opened source, and all that must be known of it before its records are read.
struct Plan {
    input: Input,
    compression: Compression,
    dialect: Dialect,
    names: Vec<String>,
    columns: Vec<Observed>,
    /// What is made of the texts; `None` leaves them as they are.
    specs: Option<(Vec<ColumnSpec>, Origin)>,
    notes: Vec<String>,
    rows: u64,
    whole: bool,
}

impl Plan {
    async fn new(source: &Source, options: &ReadOptions) -> Result<Self> {
        let input = Input::open(source).await?;
        let compression = detect::compression(&input, options).await?;
        let dialect = dialect(&input, source, compression, options).await?;
        // Names alone stand at the beginning; types take a look at the records.
        let limit = match options.infer {
            _ if options.text || options.schema.is_some() => Some(1),
            Infer::Sample(bytes) => Some(bytes.max(1)),
            Infer::Auto | Infer::Whole => None,
        };
        let rows = Rows::new(input.name(), dialect, options.header);
        let scan = Scan::new(rows, options.nulls.clone(), options.decimal);
        let (scan, whole) = drive::observe(&input, compression, scan, limit).await?;
        let Found { names, columns, mut notes, rows } = scan.found()?;
        let specs = match &options.schema {
            Some(specs) => Some((specs.clone(), Origin::Declared)),
            None if options.text => None,
            None => {
                let specs = names.iter().zip(&columns).map(|(name, column)| column.spec(name, options.decimal));
                Some((specs.collect(), Origin::Inferred))
            }
        };
        if options.text || options.schema.is_some() {
            notes.retain(|note| note.contains("is read as"));
        }
        Ok(Self { input, compression, dialect, names, columns, specs, notes, rows, whole })
    }

    fn intake(&self, options: &ReadOptions, tally: &Arc<Tally>) -> Result<Intake> {
        let specs = self.specs.as_ref().map(|(specs, origin)| (specs.as_slice(), *origin));
        let intake = Intake::new(self.input.name(), &text_schema(&self.names), specs, options, tally)?;
        let is_guess = !self.whole && matches!(specs, Some((_, Origin::Inferred)));
        Ok(if is_guess { intake.guessed(self.columns.iter().map(Observed::is_empty).collect()) } else { intake })
    }
}

/// The delimiter and quote that were asked for, or that the first records show.
async fn dialect(input: &Input, source: &Source, compression: Compression, options: &ReadOptions) -> Result<Dialect> {
    const HEAD: usize = 64 * 1024;
    let quote = ascii("quote", options.quote)?;
    let (head, _) = drive::head(input, compression, HEAD).await?;
    refuse_utf16(input.name(), &head)?;
    let delimiter = match options.delimiter {
        Some(delimiter) => ascii("delimiter", delimiter)?,
        None if source.file_name().is_some_and(|name| is_tab_separated(&name)) => b'\t',
        None => header::delimiter(&head, quote),
    };
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

/// An error for a text in UTF-16, which its byte order mark gives away.
pub(crate) fn refuse_utf16(name: &str, head: &[u8]) -> Result<()> {
    match head {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err(Error::invalid("read", name)
            .with_reason("it is in UTF-16")
            .with_hint("convert it to UTF-8, for example with `iconv -f UTF-16 -t UTF-8`")),
        _ => Ok(()),
    }
}

#[async_trait]
impl Format for Csv {
    fn name(&self) -> &'static str {
        "csv"
    }

    async fn infer_schema(&self, source: &Source, options: &ReadOptions) -> Result<Inferred> {
        let mut plan = Plan::new(source, options).await?;
        let intake = plan.intake(options, &Arc::default())?;
        plan.notes.extend_from_slice(intake.notes());
        let inferred = Inferred::new(intake.schema(), plan.notes, plan.rows, plan.whole);
        Ok(match &plan.specs {
            Some((_, Origin::Inferred)) => inferred.with_observed(plan.names.iter().zip(plan.columns.iter().map(Some))),
            _ => inferred,
        })
    }

    async fn read(&self, source: Source, options: ReadOptions) -> Result<Batches> {
        let plan = Plan::new(&source.spool().await?, &options).await?;
        let tally = Arc::new(Tally::default());
        let intake = plan.intake(&options, &tally)?;
        let schema = Arc::clone(intake.schema());
        let mut notes = plan.notes;
        notes.extend_from_slice(intake.notes());
        let rows = Rows::new(plan.input.name(), plan.dialect, options.header);
        let decoder = Decoder::new(rows, plan.names, options.nulls, intake, options.batch_rows);
        let stream = drive::batches(plan.input, plan.compression, decoder, Arc::clone(&tally))?;
        Ok(Batches::new(schema, stream, tally).with_notes(notes))
    }

    async fn write(&self, sink: Sink, batches: Batches, options: WriteOptions) -> Result<Written> {
        let name = sink.file_name().unwrap_or_default();
        let delimiter = match options.delimiter {
            Some(delimiter) => ascii("delimiter", delimiter)?,
            None if is_tab_separated(&name) => b'\t',
            None => b',',
        };
        let compression = options.compression.unwrap_or(Compression::of_name(&name).0);
        let deflate =
            Deflate::new(compression, options.zstd_level).map_err(|cause| Error::io("compress", &sink, cause))?;
        let encoder = Encoder::new(batches.schema(), delimiter, options.header);
        drive::write(sink, batches, encoder, deflate).await
    }
}
