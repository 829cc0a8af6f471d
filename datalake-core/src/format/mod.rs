//! CSV, JSON and Parquet as streams of record batches, in both directions.
//!
//! A [`Format`] reads a [`Source`] into [`Batches`] and writes [`Batches`] into a [`Sink`]; to convert is to
//! read with one and write with the other. Every reader counts: records seen = rows given + rows rejected.
//!
//! Inside, formats know nothing of where bytes come from: decoders take bytes and give batches, encoders take
//! batches and give bytes. The drivers around them fetch, decompress, hash and store, and run the codecs on the
//! CPU threads.
//!
//! ```
//! use datalake_core::format::{self, ReadOptions, Sink, Source, WriteOptions};
//!
//! # fn main() -> datalake_core::Result<()> {
//! # let folder = tempfile::tempdir().unwrap();
//! # let (csv, parquet) = (folder.path().join("foods.csv"), folder.path().join("foods.parquet"));
//! std::fs::write(&csv, "name,protein_g\nlentils,24.6\nbutter,0.9\n").unwrap();
//! # let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
//! # runtime.block_on(async {
//! let done = format::convert(
//!     Source::LocalFile(csv),
//!     Sink::LocalFile(parquet),
//!     ReadOptions::default(),
//!     WriteOptions::default(),
//! )
//! .await?;
//! assert_eq!(done.written.rows, 2);
//! # Ok(())
//! # })
//! # }
//! ```

mod ahead;
mod archive;
mod batches;
mod cell;
mod cells;
mod compression;
mod conform;
pub mod conformance;
#[cfg(test)]
mod conformity;
mod convert;
mod csv;
mod decimal;
mod declared;
mod detect;
mod dialect;
mod dictionaries;
pub mod digest;
mod drive;
mod encoding;
mod exact;
#[cfg(any(test, feature = "testing"))]
pub mod hostile;
mod intake;
mod json;
mod many;
mod masks;
mod memory;
mod names;
mod nulled;
mod one_or_many;
mod options;
mod packing;
mod parquet;
mod parts;
mod presence;
mod profile;
mod quarantine;
mod quick;
mod read_ahead;
mod reject;
mod rows_digest;
mod schema;
mod single;
mod sink;
mod source;
mod spec;
mod text;
mod trial;
mod types;
#[cfg(test)]
mod types_tests;
mod unheeded;
mod units;
mod unsaid;

use std::fmt::Debug;

use async_trait::async_trait;

pub use batches::{Balance, Batches, Tally};
pub use compression::Compression;
pub use conform::{CellFault, Conformed, Conformer, conform};
pub use convert::{Converted, convert, convert_many};
pub use csv::Csv;
pub use declared::declared_schema;
pub use detect::{FORMATS, detect, for_sink, format};
pub use dialect::{Dialect, LineEnd, Quote};
pub use dictionaries::with_room;
pub use digest::TableDigest;
#[cfg(feature = "pipeline")]
pub(crate) use exact::{is_bare, reading as proving, rows_of};
pub use json::Json;
pub use many::Files;
#[cfg(feature = "sql")]
pub(crate) use many::{Plan, Said, unite};
#[cfg(feature = "pipeline")]
pub(crate) use many::{folder_of, said_of};
pub use nulled::{Nulled, NulledColumn};
#[cfg(feature = "pipeline")]
pub(crate) use one_or_many::one_or_many;
pub use options::{Infer, ReadOptions, WriteOptions};
pub use parquet::Parquet;
#[cfg(feature = "pipeline")]
pub(crate) use parquet::digest_said;
pub use parts::WrittenFile;
#[cfg(feature = "pipeline")]
pub(crate) use parts::{MANIFEST, Manifest, TableDraft, add, key_below};
pub use profile::{ColumnProfile, DISTINCT_LIMIT, Profile, profile};
pub use quarantine::{Limit, Quarantine, Quarantined};
pub use reject::{OnRowError, Reject, Rejects, SourceColumns};
pub use schema::{Inferred, Misfit};
pub use single::read;
#[cfg(feature = "pipeline")]
pub(crate) use sink::Output;
pub use sink::{Sink, Written};
#[cfg(feature = "pipeline")]
pub(crate) use source::Input;
pub use source::{Source, Spooled};
#[cfg(feature = "pipeline")]
pub(crate) use spec::specs_of;
pub use spec::{ColumnSpec, DecimalMark};

use crate::error::Result;

/// A file format: reads and writes record batches.
#[async_trait]
pub trait Format: Debug + Send + Sync + 'static {
    /// Its name in options and messages: `csv`, `ndjson`, `json`, `parquet`.
    fn name(&self) -> &'static str;

    /// The schema that [`Format::read`] would give with these options, and how it was found.
    ///
    /// # Errors
    /// If the source cannot be read or is not of this format; [`ErrorKind::Unsupported`](crate::ErrorKind) for a
    /// [`Source::Stream`], which could not be read again: spool it first.
    async fn infer_schema(&self, source: &Source, options: &ReadOptions) -> Result<Inferred>;

    /// Opens a source as a stream of record batches.
    ///
    /// # Errors
    /// If the source cannot be opened or is not of this format; later errors come through the stream.
    async fn read(&self, source: Source, options: ReadOptions) -> Result<Batches>;

    /// Writes all batches. The sink appears whole or not at all.
    ///
    /// # Errors
    /// Those of the batches, and of the sink.
    async fn write(&self, sink: Sink, batches: Batches, options: WriteOptions) -> Result<Written>;
}
