//! Record batches to CSV text by RFC 4180, quotes only where they are needed.

use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Schema};

use super::ascii;
use crate::error::{Error, Result};
use crate::format::cells::{Cell, Cells, append, in_column};
use crate::format::dialect::LineEnd;
use crate::format::drive::Encode;
use crate::format::options::WriteOptions;
use crate::format::spec::DecimalMark;

/// Gives CSV text. A missing value is an empty field; an empty text is `""`, so that readers which tell quoted fields
/// from others can tell the two apart (ours takes both for missing).
#[derive(Debug)]
pub(crate) struct Encoder {
    delimiter: u8,
    quote: Option<u8>,
    null: Vec<u8>,
    line_end: LineEnd,
    /// The first record, if it names the columns.
    header: Vec<u8>,
    names: Vec<String>,
    /// Which columns have numbers with a decimal comma.
    commas: Vec<bool>,
    /// The bytes for which a field is quoted.
    quoted: [bool; 256],
    /// Whether a mark may stand in a number, date or time.
    is_odd: bool,
}

impl Encoder {
    pub(crate) fn new(schema: &Schema, delimiter: u8, options: &WriteOptions) -> Result<Self> {
        let quote = match options.quote {
            None => Some(b'"'),
            Some(quote) => quote.mark().map(|quote| ascii("quote", quote)).transpose()?,
        };
        if quote == Some(delimiter) {
            return Err(Error::invalid("use", format_args!("`{}` as the delimiter", char::from(delimiter)))
                .with_reason("it is the quote as well")
                .with_hint("give two different characters"));
        }
        let has_comma = match options.decimal {
            None | Some(DecimalMark::Dot) => false,
            Some(DecimalMark::Comma) => true,
            Some(DecimalMark::Either) => {
                return Err(Error::invalid("use", "either decimal mark").with_hint("to write numbers, give `.` or `,`"));
            }
        };
        let mut quoted = [false; 256];
        // In a table of one column, another mark could pass for the delimiter.
        let others = if schema.fields().len() == 1 { &b",;\t|"[..] } else { b"" };
        for byte in b"\n\r".iter().chain([&delimiter]).chain(&quote).chain(others) {
            quoted[usize::from(*byte)] = true;
        }
        if let Some(byte) = options.null.bytes().find(|byte| quoted[usize::from(*byte)]) {
            return Err(Error::invalid("use", format_args!("`{}` for missing values", options.null.escape_debug()))
                .with_reason(format_args!("`{}` would have to be quoted", char::from(byte).escape_default()))
                .with_hint("give a word without delimiters, quotes and line ends"));
        }
        let is_odd = |mark: &u8| mark.is_ascii_alphanumeric() || b"+-.:".contains(mark);
        let is_decimal = |data_type: &DataType| data_type.is_floating() || data_type.is_decimal();
        let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
        let mut encoder = Self {
            delimiter,
            quote,
            null: options.null.clone().into_bytes(),
            line_end: options.line_end,
            header: Vec::new(),
            commas: schema.fields().iter().map(|field| has_comma && is_decimal(field.data_type())).collect(),
            quoted,
            is_odd: is_odd(&delimiter) || quote.as_ref().is_some_and(is_odd),
            names,
        };
        if options.has_header() {
            let mut header = Vec::new();
            for (index, name) in encoder.names.iter().enumerate() {
                if index > 0 {
                    header.push(delimiter);
                }
                encoder.field(name, index, &mut header)?;
            }
            header.extend_from_slice(encoder.line_end.bytes());
            encoder.header = header;
        }
        Ok(encoder)
    }

    #[inline]
    fn field(&self, text: &str, column: usize, bytes: &mut Vec<u8>) -> Result<()> {
        // At the start of a field, a byte order mark would be taken for none of the text, and `'` for a quote.
        let must_quote = match text.as_bytes() {
            [] | [b'\'', ..] => true,
            text => text.iter().any(|byte| self.quoted[usize::from(*byte)]) || text.starts_with(b"\xef\xbb\xbf"),
        };
        // A first line that says the delimiter would be no row.
        let must_quote = must_quote || column == 0 && says_delimiter(text.as_bytes());
        if !must_quote && (self.null.is_empty() || self.null != text.as_bytes()) {
            append(bytes, text.as_bytes());
            return Ok(());
        }
        self.quoted_field(text, column, bytes)
    }

    fn quoted_field(&self, text: &str, column: usize, bytes: &mut Vec<u8>) -> Result<()> {
        let Some(quote) = self.quote else {
            // What may be mistaken for something else is no error; what would be something else is one, and so is a line
            // without a character, which would be no record.
            let is_blank = text.is_empty() && self.names.len() == 1;
            if is_blank || text.bytes().any(|byte| self.quoted[usize::from(byte)]) {
                return Err(self.needs_quotes(text, column));
            }
            bytes.extend_from_slice(text.as_bytes());
            return Ok(());
        };
        bytes.push(quote);
        for byte in text.bytes() {
            if byte == quote {
                bytes.push(quote);
            }
            bytes.push(byte);
        }
        bytes.push(quote);
        Ok(())
    }

    #[cold]
    fn needs_quotes(&self, text: &str, column: usize) -> Error {
        let text = crate::format::schema::shortened(text);
        Error::invalid("write", format_args!("`{}` in column `{}`", text.escape_debug(), self.names[column]))
            .with_reason("it would be something else without quotes, and there is no quote")
            .with_hint("give a quote, a delimiter that no value has, or a word for missing values")
    }

    /// Quotes what was written from `begin` on, where it must be.
    #[cold]
    fn quote(&self, begin: usize, column: usize, bytes: &mut Vec<u8>) -> Result<()> {
        let text = String::from_utf8_lossy(&bytes.split_off(begin)).into_owned();
        self.field(&text, column, bytes)
    }

    /// Gives the number that was written from `begin` on its decimal comma.
    #[inline(never)]
    fn with_comma(&self, begin: usize, column: usize, bytes: &mut Vec<u8>) -> Result<()> {
        if let Some(dot) = memchr::memchr(b'.', &bytes[begin..]) {
            bytes[begin + dot] = b',';
        }
        if self.quoted[usize::from(b',')] || self.is_odd { self.quote(begin, column, bytes) } else { Ok(()) }
    }
}

/// Whether a first line that begins with this field may say the delimiter, as the field does or what follows it.
#[inline]
fn says_delimiter(field: &[u8]) -> bool {
    matches!(field.len(), 4 | 5) && field[..4].eq_ignore_ascii_case(b"sep=")
}

impl Encode for Encoder {
    fn begin(&self) -> Vec<u8> {
        self.header.clone()
    }

    fn encode(&self, batch: &RecordBatch, bytes: &mut Vec<u8>) -> Result<()> {
        let columns = batch.columns().iter().map(Cells::of);
        let columns: Vec<(Cells<'_>, bool)> = columns.zip(self.commas.iter().copied()).collect();
        let is_alone = columns.len() == 1;
        for row in 0..batch.num_rows() {
            for (index, (column, has_comma)) in columns.iter().enumerate() {
                if index > 0 {
                    bytes.push(self.delimiter);
                }
                let begin = bytes.len();
                match column.push(row, bytes).map_err(|error| in_column(error, batch, index))? {
                    // A line without a character would be no record.
                    Cell::Missing if is_alone && self.null.is_empty() => self.quoted_field("", index, bytes)?,
                    Cell::Missing if self.null.is_empty() => {}
                    Cell::Missing => bytes.extend_from_slice(&self.null),
                    Cell::Bare | Cell::Any if *has_comma => self.with_comma(begin, index, bytes)?,
                    Cell::Bare if self.is_odd => self.quote(begin, index, bytes)?,
                    Cell::Bare => {}
                    Cell::Text(text) => self.field(text, index, bytes)?,
                    Cell::Any => self.quote(begin, index, bytes)?,
                }
            }
            if self.line_end == LineEnd::CrLf {
                bytes.push(b'\r');
            }
            bytes.push(b'\n');
        }
        Ok(())
    }

    fn end(&self, _rows: u64) -> Vec<u8> {
        Vec::new()
    }
}
