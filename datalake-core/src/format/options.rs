//! How a source is read and a sink is written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::compression::Compression;
use super::dialect::{LineEnd, Quote};
use super::reject::{OnRowError, Rejects};
use super::schema::Guess;
use super::spec::{ColumnSpec, DecimalMark};
use crate::error::{Error, ErrorKind, Result};

/// How much of a source is looked at to find the types of its columns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Infer {
    /// All of it, except where [`convert`](super::convert()) finds it faster to guess and can start again.
    #[default]
    Auto,
    /// All of it.
    Whole,
    /// About so many (decompressed) bytes from its start. A later value that does not fit ends the read with an
    /// error whose source is a [`Misfit`](super::Misfit).
    Sample(u64),
}

/// How a source is read. Options that a format has no use for are ignored by it; [`read`](super::read()) and
/// [`convert`](super::convert()) refuse them.
///
/// ```
/// use datalake_core::format::{OnRowError, ReadOptions};
///
/// let options = ReadOptions::default().with_delimiter(Some(';')).with_on_row_error(OnRowError::Quarantine);
/// assert_eq!(options.batch_rows, 8192);
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct ReadOptions {
    /// The format by name; `None` tells it from the source's name, then from its first bytes.
    pub format: Option<String>,
    /// The compression; `None` tells it from the source's first bytes.
    pub compression: Option<Compression>,
    /// The encoding of a text, by a label of the [WHATWG standard](https://encoding.spec.whatwg.org/#names-and-labels):
    /// `windows-1252`, `iso-8859-1` (which the standard takes for the same), `utf-16le` and so on. `None` is UTF-8, or
    /// UTF-16 where a byte order mark says so; such a mark has the last word in any case. Lines, and bytes in positions, are
    /// counted in the text as it is in UTF-8.
    pub encoding: Option<String>,
    /// The file of a zip archive to read, by its whole name in it. `None` takes the only one, or, of CSV and NDJSON, all one
    /// after the other, which must be of one format and have the same header. Folders, and files whose names begin with `.` or
    /// `_`, do not count.
    pub member: Option<String>,
    /// CSV: what separates fields, one ASCII character; `None` finds it among `,`, `;`, tab and `|`.
    pub delimiter: Option<char>,
    /// CSV: what encloses fields; `None` is `"`, or `'` where fields are found to begin and end with it.
    pub quote: Option<Quote>,
    /// CSV: what makes the next character one of the field's own, within quotes and without, one ASCII character. A quote
    /// within quotes may be doubled all the same.
    pub escape: Option<char>,
    /// CSV: what begins a line that is no record, one ASCII character. Within quotes it is a character.
    pub comment: Option<char>,
    /// CSV: how many lines stand before the first record, blank ones too.
    pub skip_lines: u64,
    /// CSV: the decimal mark of numbers whose types are found; a declared column has its own. `None` finds it, column by
    /// column: a comma where all values are numbers with it, at least one of which could not be grouped by thousands, and
    /// the delimiter is no comma; else a dot.
    pub decimal: Option<DecimalMark>,
    /// CSV: what may stand between groups of three digits before the decimal mark, which is then another one.
    pub thousands: Option<char>,
    /// CSV: whether the first record names the columns; `None` finds it. It does not where each of its values is of the type
    /// of the values below it (of its own where there are none), and one of these types is not text.
    pub header: Option<bool>,
    /// Texts that mean that a value is missing. The empty one applies to CSV fields, quoted or not; in JSON and
    /// Parquet an empty text is a value of its own in a text column.
    pub nulls: Vec<String>,
    /// The declared schema. A record that does not fit it is a broken row; columns that are not in it are left out.
    pub schema: Option<Vec<ColumnSpec>>,
    /// Whether columns of CSV and scalars of JSON stay text, as they stand in the source.
    pub text: bool,
    /// The columns to give, in this order; `None` gives all. Which rows are broken does not depend on it.
    pub columns: Option<Vec<String>>,
    /// Rows a batch; fewer where records are so long that a batch of texts would have more than about 32 MiB.
    pub batch_rows: usize,
    /// What becomes of a record that does not fit.
    pub on_row_error: OnRowError,
    /// Who takes the rejected records; without one they are only counted.
    #[serde(skip)]
    pub rejects: Option<Arc<dyn Rejects>>,
    /// How much is looked at to find types.
    pub infer: Infer,
    /// JSON: whether the fields of objects become columns of their own, `a_b` for field `b` of `a`, at every depth; where an
    /// object is missing, so are they. Lists stay lists, those of objects too. An object that is kept as JSON text (it is
    /// nested too deeply, has too many names, or its field holds other values as well) stays one column.
    pub flatten: bool,
    /// JSON: the member of a document that holds the rows; `None` takes the only array of objects.
    pub rows: Option<String>,
    /// Whether a sample takes a look into the middle and at the end as well, and the read ends at once with a
    /// [`Misfit`](super::Misfit) where a value there does not fit the types, or seems not to.
    #[serde(skip)]
    pub(crate) looks_ahead: bool,
    /// The name of an additional last column (`UInt64`) with each record's number in its source, from 1.
    pub row_number: Option<String>,
    /// The name of an additional last column (text) with each record's file or object. No [`Format`](super::Format) adds it, but
    /// what reads a source by its name: [`read`](super::read()), [`convert`](super::convert()), and all that reads many files.
    pub source_column: Option<String>,
    /// About how many bytes a conversion may hold at once, 96 MiB or more; `None` is what keeps all CPU threads at work. It
    /// bounds how many blocks, files and row groups are read ahead, not how large one is; no row and no type depends on it.
    #[serde(skip)]
    pub memory: Option<u64>,
    /// What other files of the same table were found to hold.
    #[serde(skip)]
    pub(crate) guess: Option<Arc<Guess>>,
    /// JSON: the columns that hold JSON text where types are declared: strings are written as such.
    #[serde(skip)]
    pub(crate) json_text: Vec<String>,
    /// Whether the schema was found, so that its names say nothing of whether a file has a header.
    #[serde(skip)]
    pub(crate) is_found: bool,
    /// Whether the source is one file of a table, so that it is not told of it alone which columns it lacks.
    #[serde(skip)]
    pub(crate) is_one_of_many: bool,
}

impl Default for ReadOptions {
    fn default() -> Self {
        Self {
            format: None,
            compression: None,
            encoding: None,
            member: None,
            delimiter: None,
            quote: None,
            escape: None,
            comment: None,
            skip_lines: 0,
            decimal: None,
            thousands: None,
            header: None,
            nulls: vec![String::new()],
            schema: None,
            text: false,
            columns: None,
            batch_rows: 8192,
            on_row_error: OnRowError::Fail,
            rejects: None,
            infer: Infer::Auto,
            flatten: false,
            rows: None,
            looks_ahead: false,
            row_number: None,
            source_column: None,
            memory: None,
            guess: None,
            json_text: Vec::new(),
            is_found: false,
            is_one_of_many: false,
        }
    }
}

/// How a sink is written. Options that a format has no use for are ignored by it; [`convert`](super::convert()) refuses them.
///
/// ```
/// use datalake_core::format::{Compression, WriteOptions};
///
/// let options = WriteOptions::default().with_compression(Some(Compression::Zstd));
/// assert_eq!(options.row_group_rows, 122_880);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct WriteOptions {
    /// The format by name; `None` tells it from the sink's name.
    pub format: Option<String>,
    /// The compression: around text, where `None` tells it from the sink's name, or within Parquet, where `None` is zstd and
    /// bzip2 and xz are not known.
    pub compression: Option<Compression>,
    /// CSV: what separates fields, one ASCII character; `None` is a comma, or a tab for the format `tsv` and a name that
    /// ends in `.tsv`.
    pub delimiter: Option<char>,
    /// CSV: what encloses fields that need it, `None` is `"`. With [`Quote::Absent`] a value that
    /// needs it is an error.
    pub quote: Option<Quote>,
    /// CSV: the decimal mark of numbers; `None` is a dot.
    pub decimal: Option<DecimalMark>,
    /// CSV: what is written for a missing value.
    pub null: String,
    /// CSV: what ends a record.
    pub line_end: LineEnd,
    /// CSV: whether the first record names the columns; `None` is yes.
    pub header: Option<bool>,
    /// Parquet: rows a row group; memory and threads never change it.
    pub row_group_rows: usize,
    /// The level of zstd, 1 (fast) to 22 (small).
    pub zstd_level: i32,
    /// The level of gzip, 1 (fast) to 9 (small).
    pub gzip_level: u32,
    /// Parquet: columns that get a Bloom filter for each row group, so that readers who look for a value pass over groups.
    pub bloom_filters: Vec<String>,
    /// Parquet: what else a file says of itself, by key. Keys that begin with `datalake.` are its own: `datalake.digest` is the
    /// digest of the table.
    pub metadata: BTreeMap<String, String>,
    /// Whether what was written is read again, and held against the rows that were read: they are the same, in any order, or
    /// the conversion ends with an error. Types do not count, values do, as text writes them. It is [`convert`](super::convert())
    /// that looks at it.
    pub exact: bool,
    /// Folder or prefix: the columns by whose values the rows are parted, each in a folder `column=value/` and left out of the
    /// files. The order of rows of the same values stays.
    pub partition_by: Vec<String>,
    /// Folder or prefix: after so many rows another file is begun, `part-00001`.
    pub max_rows_per_file: Option<u64>,
    /// Folder or prefix: whether a table that is there is replaced; otherwise one that is not empty is refused. What is no file
    /// of a table is never removed: where there is such a file, that is an error, or it stays.
    pub overwrite: bool,
    /// About how many bytes a conversion may hold at once, 96 MiB or more; `None` is what keeps all CPU threads at work. It
    /// bounds how many batches and row groups are encoded at a time, not how large one is; the bytes written are the same.
    #[serde(skip)]
    pub memory: Option<u64>,
    /// Parquet: whether each batch is a row group of its own, or several.
    #[serde(skip)]
    pub(crate) batch_is_group: bool,
}

impl Default for WriteOptions {
    fn default() -> Self {
        Self {
            format: None,
            compression: None,
            delimiter: None,
            quote: None,
            decimal: None,
            null: String::new(),
            line_end: LineEnd::Lf,
            header: None,
            row_group_rows: 122_880,
            zstd_level: 1,
            gzip_level: 6,
            bloom_filters: Vec::new(),
            metadata: BTreeMap::new(),
            exact: false,
            partition_by: Vec::new(),
            max_rows_per_file: None,
            overwrite: false,
            memory: None,
            batch_is_group: false,
        }
    }
}

impl WriteOptions {
    /// Sets the compression, and the level of gzip or zstd, by a name: `none`, `gzip`, `bzip2`, `xz`, `zstd`, `snappy` or
    /// `lz4`; `gzip(9)`, `zstd(3)`.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid) for any other; [`ErrorKind::Unsupported`](crate::ErrorKind::Unsupported)
    /// for `zip`, which is only read.
    ///
    /// ```
    /// use datalake_core::format::{Compression, WriteOptions};
    ///
    /// let options = WriteOptions::default().with_compression_of_name("zstd(3)").unwrap();
    /// assert_eq!((options.compression, options.zstd_level), (Some(Compression::Zstd), 3));
    /// assert!(WriteOptions::default().with_compression_of_name("rar").is_err());
    /// ```
    pub fn with_compression_of_name(mut self, name: &str) -> Result<Self> {
        let (compression, level) = Compression::with_level(name)?;
        match (compression, level) {
            (Compression::Gzip, Some(level)) => self.gzip_level = level,
            (Compression::Zstd, Some(level)) => self.zstd_level = level.cast_signed(),
            (Compression::Zip, _) => {
                return Err(Error::new(ErrorKind::Unsupported, "use", format_args!("`{name}` as the compression"))
                    .with_reason("zip archives are read and not written")
                    .with_hint("give gzip, bzip2, xz, zstd, snappy, lz4 or none"));
            }
            _ => {}
        }
        self.compression = Some(compression);
        Ok(self)
    }
}

/// Setters that take a value as well as an option of one.
macro_rules! easy_setters {
    ($of:ident { $($setter:ident $field:ident: $type:ty),* $(,)? }) => {
        impl $of {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](", stringify!($of), "::", stringify!($field), ").")]
                #[must_use]
                pub fn $setter(mut self, $field: impl Into<Option<$type>>) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

easy_setters!(ReadOptions { with_decimal decimal: DecimalMark, with_header header: bool });
easy_setters!(WriteOptions { with_decimal decimal: DecimalMark, with_header header: bool });

impl ReadOptions {
    /// Sets [`quote`](ReadOptions::quote).
    #[must_use]
    pub fn with_quote(mut self, quote: impl Into<Quote>) -> Self {
        self.quote = Some(quote.into());
        self
    }
}

impl WriteOptions {
    /// Whether the first record of CSV names the columns.
    pub(crate) fn has_header(&self) -> bool {
        self.header != Some(false)
    }

    /// Sets [`quote`](WriteOptions::quote).
    #[must_use]
    pub fn with_quote(mut self, quote: impl Into<Quote>) -> Self {
        self.quote = Some(quote.into());
        self
    }

    /// Where the source is no CSV, takes what is said of CSV in how it is read for how it is written.
    pub(crate) fn described_by(mut self, read: &ReadOptions) -> Self {
        self.delimiter = self.delimiter.or(read.delimiter);
        self.quote = self.quote.or(read.quote);
        self.decimal = self.decimal.or(read.decimal);
        self.header = self.header.or(read.header);
        self
    }
}

/// One documented setter per option.
macro_rules! setters {
    ($of:ident { $($setter:ident $field:ident: $type:ty),* $(,)? }) => {
        impl $of {
            $(
                #[doc = concat!("Sets [`", stringify!($field), "`](", stringify!($of), "::", stringify!($field), ").")]
                #[must_use]
                pub fn $setter(mut self, $field: $type) -> Self {
                    self.$field = $field;
                    self
                }
            )*
        }
    };
}

setters!(ReadOptions {
    with_format format: Option<String>,
    with_compression compression: Option<Compression>,
    with_encoding encoding: Option<String>,
    with_member member: Option<String>,
    with_delimiter delimiter: Option<char>,
    with_escape escape: Option<char>,
    with_comment comment: Option<char>,
    with_skip_lines skip_lines: u64,
    with_thousands thousands: Option<char>,
    with_nulls nulls: Vec<String>,
    with_schema schema: Option<Vec<ColumnSpec>>,
    with_text text: bool,
    with_columns columns: Option<Vec<String>>,
    with_batch_rows batch_rows: usize,
    with_on_row_error on_row_error: OnRowError,
    with_rejects rejects: Option<Arc<dyn Rejects>>,
    with_infer infer: Infer,
    with_flatten flatten: bool,
    with_rows rows: Option<String>,
    with_row_number row_number: Option<String>,
    with_source_column source_column: Option<String>,
    with_memory memory: Option<u64>,
});

setters!(WriteOptions {
    with_format format: Option<String>,
    with_compression compression: Option<Compression>,
    with_delimiter delimiter: Option<char>,
    with_null null: String,
    with_line_end line_end: LineEnd,
    with_row_group_rows row_group_rows: usize,
    with_zstd_level zstd_level: i32,
    with_gzip_level gzip_level: u32,
    with_bloom_filters bloom_filters: Vec<String>,
    with_metadata metadata: BTreeMap<String, String>,
    with_exact exact: bool,
    with_partition_by partition_by: Vec<String>,
    with_max_rows_per_file max_rows_per_file: Option<u64>,
    with_overwrite overwrite: bool,
    with_memory memory: Option<u64>,
});
