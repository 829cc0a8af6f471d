//! Options that neither a reader nor a conversion would heed: what is said and not done misleads, so it is an error.

use super::Format;
use super::options::{ReadOptions, WriteOptions};
use crate::error::{Error, Result};

/// Refuses what a format does not heed where it is read by itself.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), which names the option.
pub(super) fn refuse_read(from: &dyn Format, read: &ReadOptions) -> Result<()> {
    let from = from.name();
    if from != "csv"
        && let Some(name) = said(&of_either(read)).or_else(|| said(&of_csv_read(read)))
    {
        return refused(name, "it says how CSV is read", &format!("the source is {from}"));
    }
    refuse_of_text(from, read)
}

/// Refuses what neither format of a conversion heeds.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid), which names the option.
pub(super) fn refuse(from: &dyn Format, to: &dyn Format, read: &ReadOptions, write: &WriteOptions) -> Result<()> {
    let (from, to) = (from.name(), to.name());
    let (csv_read, csv_written) = (from == "csv", to == "csv");
    let plain = WriteOptions::default();
    let of_sink = [
        ("to_delimiter", write.delimiter.is_some()),
        ("to_quote", write.quote.is_some()),
        ("to_decimal", write.decimal.is_some()),
        ("to_null", write.null != plain.null),
        ("to_line_end", write.line_end != plain.line_end),
        ("to_header", write.header.is_some()),
    ];
    let of_parquet = [
        ("row_group_rows", write.row_group_rows != plain.row_group_rows),
        ("bloom_filters", !write.bloom_filters.is_empty()),
    ];
    if !csv_read {
        if let Some(name) = said(&of_csv_read(read)) {
            return refused(name, "it says how CSV is read", &format!("the source is {from}"));
        }
        if !csv_written && let Some(name) = said(&of_either(read)) {
            return refused(name, "it is said of CSV", &format!("{from} is read and {to} written"));
        }
    }
    if !csv_written && let Some(name) = said(&of_sink) {
        return refused(name, "it says how CSV is written", &format!("{to} is"));
    }
    if to != "parquet"
        && let Some(name) = said(&of_parquet)
    {
        return refused(name, "it says how Parquet is written", &format!("{to} is"));
    }
    refuse_of_text(from, read)
}

/// An option, and whether it is said.
type Named = (&'static str, bool);

/// What is said of CSV in how to read, and of the sink where that alone is CSV.
fn of_either(read: &ReadOptions) -> [Named; 4] {
    [
        ("delimiter", read.delimiter.is_some()),
        ("quote", read.quote.is_some()),
        ("decimal", read.decimal.is_some()),
        ("header", read.header.is_some()),
    ]
}

/// What is said of CSV that is read.
fn of_csv_read(read: &ReadOptions) -> [Named; 4] {
    [
        ("escape", read.escape.is_some()),
        ("comment", read.comment.is_some()),
        ("skip_lines", read.skip_lines > 0),
        ("thousands", read.thousands.is_some()),
    ]
}

/// Refuses what is said of a text, or of JSON, and the source is none.
fn refuse_of_text(from: &str, read: &ReadOptions) -> Result<()> {
    if from == "parquet" && read.encoding.is_some() {
        return refused("encoding", "it is the encoding of a text", "the source is parquet");
    }
    if from == "parquet" && read.schema.is_none() && read.nulls != ReadOptions::default().nulls {
        return refused(
            "nulls",
            "it says which texts are missing values where types are declared",
            "there is no schema",
        );
    }
    if !matches!(from, "json" | "ndjson") && read.flatten {
        return refused("flatten", "it makes columns of the fields of JSON objects", &format!("the source is {from}"));
    }
    if from != "json" && read.rows.is_some() {
        return refused("rows", "it names a member of a JSON document", &format!("the source is {from}"));
    }
    Ok(())
}

fn said(options: &[Named]) -> Option<&'static str> {
    options.iter().find(|(_, is_said)| *is_said).map(|(name, _)| *name)
}

fn refused(name: &str, what: &str, found: &str) -> Result<()> {
    Err(Error::invalid("use", format_args!("`{name}`"))
        .with_reason(format_args!("{what}, and {found}"))
        .with_hint("leave it away, or say another format"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::{Csv, DecimalMark, Json, LineEnd, Parquet, Quote};

    #[test]
    fn what_no_format_heeds_is_refused_by_name() {
        let (csv, json, lines, parquet): (_, _, _, &dyn Format) =
            (&Csv as &dyn Format, &Json::document() as &dyn Format, &Json::lines() as &dyn Format, &Parquet);
        let (read, write) = (ReadOptions::default, WriteOptions::default);
        let cases = [
            (read().with_delimiter(Some(';')), write(), "delimiter", &[(csv, parquet), (parquet, csv), (csv, csv)][..]),
            (read().with_quote(Quote::Absent), write(), "quote", &[(csv, lines), (lines, csv)]),
            (read().with_decimal(Some(DecimalMark::Comma)), write(), "decimal", &[(csv, lines), (lines, csv)]),
            (read().with_header(Some(false)), write(), "header", &[(csv, lines), (lines, csv)]),
            (read().with_escape(Some('\\')), write(), "escape", &[(csv, csv), (csv, parquet)]),
            (read().with_comment(Some('#')), write(), "comment", &[(csv, csv), (csv, parquet)]),
            (read().with_skip_lines(1), write(), "skip_lines", &[(csv, csv), (csv, parquet)]),
            (read().with_thousands(Some('.')), write(), "thousands", &[(csv, csv), (csv, parquet)]),
            (read(), write().with_delimiter(Some(';')), "to_delimiter", &[(csv, csv), (parquet, csv)]),
            (read(), write().with_quote(Quote::Absent), "to_quote", &[(csv, csv), (parquet, csv)]),
            (read(), write().with_decimal(Some(DecimalMark::Comma)), "to_decimal", &[(csv, csv), (parquet, csv)]),
            (read(), write().with_null("-".into()), "to_null", &[(csv, csv), (parquet, csv)]),
            (read(), write().with_line_end(LineEnd::CrLf), "to_line_end", &[(csv, csv), (parquet, csv)]),
            (read(), write().with_header(false), "to_header", &[(csv, csv), (parquet, csv)]),
            (read(), write().with_row_group_rows(7), "row_group_rows", &[(csv, parquet), (parquet, parquet)]),
            (read(), write().with_bloom_filters(vec!["a".into()]), "bloom_filters", &[(csv, parquet), (json, parquet)]),
            (read().with_encoding(Some("utf-8".into())), write(), "encoding", &[(csv, parquet), (json, csv)]),
            (read().with_nulls(vec!["NA".into()]), write(), "nulls", &[(csv, parquet), (json, csv)]),
            (read().with_rows(Some("data".into())), write(), "rows", &[(json, parquet), (json, csv)]),
            (read().with_flatten(true), write(), "flatten", &[(json, parquet), (lines, csv)]),
        ];
        let all = [csv, json, lines, parquet];
        for (read, write, name, heeded) in cases {
            // A reader heeds what a conversion into anything but CSV does.
            for from in all {
                let read_alone = refuse_read(from, &read).map_err(|error| error.subject().to_owned());
                let converted = refuse(from, parquet, &read, &WriteOptions::default());
                assert_eq!(
                    read_alone,
                    converted.map_err(|error| error.subject().to_owned()),
                    "{name}: {}",
                    from.name()
                );
            }
            let is_heeded = |from: &dyn Format, to: &dyn Format| refuse(from, to, &read, &write).is_ok();
            for (from, to) in heeded {
                assert!(is_heeded(*from, *to), "{name}: {} to {}", from.name(), to.name());
            }
            let errors =
                all.iter().flat_map(|from| all.iter().filter_map(|to| refuse(*from, *to, &read, &write).err()));
            let errors: Vec<Error> = errors.collect();
            assert!(!errors.is_empty(), "{name}");
            for error in errors {
                assert!(error.subject() == format!("`{name}`") && error.hint().is_some(), "{error}");
            }
        }
        let nothing = |from: &&dyn Format, to: &&dyn Format| refuse(*from, *to, &read(), &write()).is_ok();
        assert!(all.iter().all(|from| all.iter().all(|to| nothing(from, to))));
    }
}
