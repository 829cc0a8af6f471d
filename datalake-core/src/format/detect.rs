//! Which format and compression a source or a sink has: by option, else by name, else by the first bytes.

use std::sync::Arc;

use super::Format;
use super::compression::{Compression, MAGIC};
use super::csv::Csv;
use super::drive;
use super::json::Json;
use super::options::{ReadOptions, WriteOptions};
use super::packing::Packing;
use super::parquet::Parquet;
use super::sink::Sink;
use super::source::{Input, Source};
use crate::error::{Error, ErrorKind, Result};

/// The names of all formats.
pub const FORMATS: [&str; 4] = ["csv", "ndjson", "json", "parquet"];

/// The format of this name; `tsv` and `jsonl` are other names of `csv` and `ndjson`.
///
/// ```
/// use datalake_core::format::{self, Format};
/// assert_eq!(format::format("CSV").unwrap().name(), "csv");
/// assert!(format::format("xml").is_none());
/// ```
#[must_use]
pub fn format(name: &str) -> Option<Arc<dyn Format>> {
    match name.to_ascii_lowercase().as_str() {
        "csv" | "tsv" => Some(Arc::new(Csv)),
        "ndjson" | "jsonl" => Some(Arc::new(Json::lines())),
        "json" => Some(Arc::new(Json::document())),
        "parquet" => Some(Arc::new(Parquet)),
        _ => None,
    }
}

/// The format of a source where an option or its name tells it, so that it is known before anything is read.
pub(crate) fn told(source: &Source, options: &ReadOptions) -> Option<Arc<dyn Format>> {
    match &options.format {
        Some(name) => format(name),
        None => source.file_name().and_then(|name| by_name(&name)),
    }
}

/// The format and the compression of a source.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if the format is not known, with those that are, if the source
/// is empty, or if a member is asked for and it is no zip archive; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) for a [`Source::Stream`] whose first bytes would
/// have to be looked at: spool it first.
pub async fn detect(source: &Source, options: &ReadOptions) -> Result<(Arc<dyn Format>, Compression)> {
    member_is_possible(source, options).await?;
    if let Some(name) = &options.format {
        let format = format(name).ok_or_else(|| unknown("read", source, &format!("`{name}` is no format")))?;
        let compression = match (source, options.compression) {
            (_, Some(compression)) => compression,
            (Source::Stream { .. }, None) => Compression::None,
            _ => self::compression(&Input::open(source).await?, options).await?,
        };
        return Ok((format, compression));
    }
    let input = Input::open(source).await?;
    let compression = self::compression(&input, options).await?;
    if let Some(format) = told(source, options) {
        return unpacked(source, format, compression, options);
    }
    let packing = Packing::of(&input, options).await?;
    if let Some(format) = packing.member().and_then(by_name) {
        return unpacked(source, format, compression, options);
    }
    let (head, _) = drive::head(&input, &packing, 4096).await?;
    let format = by_content(&head, options).ok_or_else(|| unknown("read", source, "its format is not known"))?;
    unpacked(source, format, compression, options)
}

/// Sees that a file of an archive is asked for of an archive alone: elsewhere all would be read, whatever its name.
///
/// Formats do not look at it, as the records of an archive are read by themselves when they are replayed.
pub(crate) async fn member_is_possible(source: &Source, options: &ReadOptions) -> Result<()> {
    let Some(member) = &options.member else { return Ok(()) };
    let compression = match source {
        // What can be read only once shows its first bytes when it is spooled.
        Source::Stream { .. } => return Ok(()),
        _ => compression(&Input::open(source).await?, options).await?,
    };
    if compression == Compression::Zip {
        return Ok(());
    }
    Err(Error::invalid("read", format_args!("member `{member}` of {source}"))
        .with_reason("it is no zip archive")
        .with_hint("leave the member away"))
}

/// Parquet is read by ranges, so it cannot be within anything that must be unpacked from its beginning.
fn unpacked(
    source: &Source,
    format: Arc<dyn Format>,
    compression: Compression,
    options: &ReadOptions,
) -> Result<(Arc<dyn Format>, Compression)> {
    if format.name() == Parquet.name() && options.compression.is_none() && compression != Compression::None {
        return Err(Error::new(ErrorKind::Unsupported, "read", source)
            .with_reason(format_args!("a Parquet file within {} cannot be read", compression.name()))
            .with_hint("unpack it first"));
    }
    Ok((format, compression))
}

/// The format of a sink, by option or by name; Parquet for a folder or prefix.
///
/// # Errors
/// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) if neither says a format that is known;
/// [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported) if they ask for a zip archive.
pub fn for_sink(sink: &Sink, options: &WriteOptions) -> Result<Arc<dyn Format>> {
    super::compression::for_sink(sink, options)?;
    if let Some(name) = &options.format {
        return format(name).ok_or_else(|| unknown("write", sink, &format!("`{name}` is no format")));
    }
    if sink.is_many() {
        return Ok(Arc::new(Parquet));
    }
    let by_name = sink.file_name().and_then(|name| by_name(&name));
    by_name.ok_or_else(|| unknown("write", sink, "its name does not tell its format"))
}

fn unknown(action: &str, subject: impl std::fmt::Display, reason: &str) -> Error {
    Error::invalid(action, subject)
        .with_reason(reason)
        .with_hint(format_args!("say the format; known are {}", FORMATS.join(", ")))
}

/// By the suffix, under that of a compression.
pub(crate) fn by_name(name: &str) -> Option<Arc<dyn Format>> {
    let (_, name) = Compression::of_name(name);
    let (_, suffix) = name.rsplit_once('.')?;
    match suffix.to_ascii_lowercase().as_str() {
        "pq" => format("parquet"),
        suffix => format(suffix),
    }
}

/// By the first bytes: Parquet's mark, a bracket of JSON, or lines with a delimiter.
fn by_content(head: &[u8], options: &ReadOptions) -> Option<Arc<dyn Format>> {
    if head.starts_with(b"PAR1") {
        return format("parquet");
    }
    let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    if let b'{' | b'[' = text.iter().find(|byte| !byte.is_ascii_whitespace())? {
        return format("json");
    }
    let line_end = if text.contains(&b'\n') { b'\n' } else { b'\r' };
    let is_comment = |line: &[u8]| line.first().is_some_and(|byte| options.comment == Some(char::from(*byte)));
    let lines = text.split(|byte| *byte == line_end).skip(usize::try_from(options.skip_lines).unwrap_or(usize::MAX));
    let line = lines.filter(|line| !line.trim_ascii().is_empty()).find(|line| !is_comment(line)).unwrap_or_default();
    let is_delimiter = |byte: &u8| b",;\t|".contains(byte) || options.delimiter == Some(char::from(*byte));
    let is_csv = !text.contains(&0) && line.iter().any(is_delimiter);
    is_csv.then(|| format("csv")).flatten()
}

/// The compression of an input, by option or by its first bytes.
pub(crate) async fn compression(input: &Input, options: &ReadOptions) -> Result<Compression> {
    match options.compression {
        Some(compression) => Ok(compression),
        None => Ok(Compression::of_bytes(&input.range(0..input.size().min(MAGIC)).await?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(format: Option<Arc<dyn Format>>) -> &'static str {
        format.map_or("none", |format| format.name())
    }

    #[test]
    fn names_tell_formats() {
        for (file, expected) in [
            ("a.csv", "csv"),
            ("a.TSV.gz", "csv"),
            ("a.jsonl.zst", "ndjson"),
            ("a.json", "json"),
            ("a.parquet", "parquet"),
            ("a.txt", "none"),
            ("parquet", "none"),
        ] {
            assert_eq!(name(by_name(file)), expected, "{file}");
        }
    }

    #[test]
    fn content_tells_formats() {
        for (head, expected) in [
            (&b"PAR1\0"[..], "parquet"),
            (b"\xef\xbb\xbf {\"a\":1}", "json"),
            (b"[1]", "json"),
            (b"a;b\n1;2\n", "csv"),
            (b"prose\n", "none"),
            (b"\x7fELF,\0", "none"),
        ] {
            assert_eq!(name(by_content(head, &ReadOptions::default())), expected);
        }
        let options = ReadOptions::default().with_skip_lines(1).with_comment(Some('#'));
        assert_eq!(name(by_content(b"a report\r\n# by x\r\n\r\nid,x\r\n", &options)), "csv");
        let options = ReadOptions::default().with_delimiter(Some(':'));
        assert_eq!(name(by_content(b"a:b\n", &options)), "csv");
    }

    #[tokio::test]
    async fn an_unknown_format_is_an_error_that_lists_the_known() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "some prose\n").unwrap();
        let error = detect(&Source::LocalFile(file.path().into()), &ReadOptions::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.hint(), Some("say the format; known are csv, ndjson, json, parquet"));
    }
}
