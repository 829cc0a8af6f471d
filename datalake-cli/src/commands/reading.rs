//! How the flags of a command become options of a reader, and of a writer.

use std::sync::Arc;

use datalake_core::format::{
    DecimalMark, Limit, LineEnd, OnRowError, Quarantine, Quote, ReadOptions, WriteOptions, declared_schema,
};
use datalake_core::{Error, Result};

use crate::cli::{self, Reading, Writing};

/// A reader's options, and the quarantine that takes what it rejects.
pub(crate) fn options(reading: &Reading) -> Result<(ReadOptions, Arc<Quarantine>)> {
    let limit: Limit = match &reading.max_bad_rows {
        Some(limit) => limit.parse()?,
        None => Limit::default(),
    };
    let quarantine = Arc::new(Quarantine::new(limit));
    let mut nulls = vec![String::new()];
    nulls.extend(reading.null.iter().cloned());
    let mut options = ReadOptions::default()
        .with_format(reading.from.clone())
        .with_encoding(reading.encoding.clone())
        .with_member(reading.member.clone())
        .with_delimiter(reading.sep)
        .with_escape(reading.escape)
        .with_comment(reading.comment)
        .with_skip_lines(reading.skip_lines)
        .with_decimal(reading.decimal.as_deref().map(decimal).transpose()?)
        .with_thousands(reading.thousands)
        .with_nulls(nulls)
        .with_header(said(reading.header, reading.no_header))
        .with_rows(reading.rows.clone())
        .with_flatten(reading.flatten);
    if let Some(quote) = &reading.quote {
        options = options.with_quote(quote.parse::<Quote>()?);
    }
    if let Some(schema) = &reading.schema {
        options = options.with_schema(Some(declared_schema(schema)?));
    }
    let on_row_error = match reading.on_row_error {
        cli::OnRowError::Fail => OnRowError::Fail,
        cli::OnRowError::Quarantine => OnRowError::Quarantine,
        cli::OnRowError::Null => OnRowError::Null,
    };
    if reading.max_bad_rows.is_some() {
        on_row_error.check_limit()?;
    }
    if on_row_error.keeps() {
        options = options.with_on_row_error(on_row_error).with_rejects(Some(Arc::clone(&quarantine) as _));
    }
    Ok((options, quarantine))
}

/// Says in the options of a writer how CSV is written.
pub(crate) fn written(mut write: WriteOptions, writing: &Writing) -> Result<WriteOptions> {
    if let Some(quote) = &writing.to_quote {
        write = write.with_quote(quote.parse::<Quote>()?);
    }
    if let Some(word) = &writing.to_null {
        write = write.with_null(word.clone());
    }
    let line_end = match writing.to_line_end {
        cli::LineEnd::Lf => LineEnd::Lf,
        cli::LineEnd::Crlf => LineEnd::CrLf,
    };
    let mark = writing.to_decimal.map(|mark| decimal(mark.encode_utf8(&mut [0; 4]))).transpose()?;
    let write = write.with_delimiter(writing.to_sep).with_decimal(mark);
    Ok(write.with_line_end(line_end).with_header(said(writing.to_header, writing.to_no_header)))
}

/// What two flags say of which one is the contrary of the other.
fn said(yes: bool, no: bool) -> Option<bool> {
    if no { Some(false) } else { yes.then_some(true) }
}

fn decimal(mark: &str) -> Result<DecimalMark> {
    match mark {
        "." => Ok(DecimalMark::Dot),
        "," => Ok(DecimalMark::Comma),
        "either" => Ok(DecimalMark::Either),
        other => Err(Error::invalid("use", format_args!("`{other}` as the decimal mark"))
            .with_hint("give `.` or `,`, or `either` to read both")),
    }
}
