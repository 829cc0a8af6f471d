//! How the flags of a command become options of a reader.

use std::sync::Arc;

use datalake_core::format::{DecimalMark, Limit, OnRowError, Quarantine, ReadOptions};
use datalake_core::{Error, Result};

use crate::cli::{self, Reading};

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
        .with_decimal(decimal(reading.decimal)?)
        .with_nulls(nulls)
        .with_header(!reading.no_header)
        .with_rows(reading.rows.clone())
        .with_flatten(reading.flatten);
    if reading.on_row_error == cli::OnRowError::Quarantine {
        options = options.with_on_row_error(OnRowError::Quarantine).with_rejects(Some(Arc::clone(&quarantine) as _));
    }
    Ok((options, quarantine))
}

fn decimal(mark: Option<char>) -> Result<DecimalMark> {
    match mark {
        None | Some('.') => Ok(DecimalMark::Dot),
        Some(',') => Ok(DecimalMark::Comma),
        Some(other) => {
            Err(Error::invalid("use", format_args!("`{other}` as the decimal mark")).with_hint("give `.` or `,`"))
        }
    }
}
