//! Lands the sample in a bucket: five overlapping objects, and a sixth that says what is in them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use object_store::PutMode;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use serde::{Deserialize, Serialize};

use super::dirt::{ENERGY_AT, Plan, Record, TABLES, Table, Value};
use super::foods::SOURCE;
use super::render;
use crate::compute;
use crate::error::{Error, ErrorKind, Result};
use crate::lake::{Bucket, ObjectWriter};
use crate::progress::Progress;

/// The name of the object that says what was landed.
pub const MANIFEST: &str = "_sample.json";

/// Records made at a time on one CPU thread.
const CHUNK: u64 = 8 * 1024;
/// Records in a row group, whatever the memory or the number of threads.
const ROW_GROUP: usize = 128 * 1024;

/// What to land.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SampleOptions {
    /// How many records, over all objects.
    pub rows: u64,
    /// The seed: the same seed gives the same bytes.
    pub seed: u64,
    /// Whether to leave out dirt and duplicates. Missing values stay.
    pub clean: bool,
}

/// What was landed, also written as [`MANIFEST`] beside the objects.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Landed {
    /// What kind of data this is: `synthetic`.
    pub source: String,
    /// The same in a sentence.
    pub notice: String,
    /// How it was made.
    pub options: SampleOptions,
    /// The different foods among the good records.
    pub foods: u64,
    /// The objects, by key.
    pub objects: Vec<LandedObject>,
}

/// One object of the sample and what a reader must find in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LandedObject {
    /// Its key in the bucket.
    pub key: String,
    /// Its format: `csv`, `ndjson`, `json` or `parquet`.
    pub format: String,
    /// The records that a reader counts, good or bad. A JSON line cut in two counts as two.
    pub rows: u64,
    /// The records to quarantine, by what is wrong with them: `ragged`, `utf8`, `syntax`, `type`, and `range` for
    /// an amount below zero, more than 100 g, or more than [`MAX_ENERGY_KCAL`](super::MAX_ENERGY_KCAL).
    pub broken: BTreeMap<String, u64>,
    /// Good records whose food code an earlier good record has, in this object or one before.
    pub duplicates: u64,
    /// Good records, duplicates included, without a value for energy.
    pub without_energy: u64,
    /// Good records with a value written with its unit, such as `12.5 g` or `836 kJ`.
    pub with_units: u64,
    /// Its size in bytes.
    pub bytes: u64,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self { rows: 6_000, seed: 42, clean: false }
    }
}

impl SampleOptions {
    /// Sets the number of records.
    #[must_use]
    pub fn with_rows(mut self, rows: u64) -> Self {
        self.rows = rows;
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Leaves out dirt and duplicates, or not.
    #[must_use]
    pub fn with_clean(mut self, clean: bool) -> Self {
        self.clean = clean;
        self
    }
}

impl Landed {
    /// All records, good or bad.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.objects.iter().map(|object| object.rows).sum()
    }

    /// All records to quarantine.
    #[must_use]
    pub fn broken(&self) -> u64 {
        self.objects.iter().flat_map(|object| object.broken.values()).sum()
    }
}

/// Writes synthetic food tables under `prefix` of `bucket`, in place of an earlier sample there.
///
/// The objects are `foods-2021.csv`, `foods-2022.csv` (semicolons and decimal commas), `foods-2023.ndjson`,
/// `foods-2024.json` (an array, nutrients nested) and `foods-2025.parquet`; each appears whole or not at all, and
/// [`MANIFEST`] after all of them. Memory stays at some megabytes for any number of rows, and the bytes depend on
/// the options alone.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> datalake_core::Result<()> {
/// use datalake_core::{progress::Silent, sample};
/// # use datalake_core::{Bucket, BucketName};
/// # let bucket = Bucket::new(BucketName::new("raw-data")?, std::sync::Arc::new(object_store::memory::InMemory::new()));
/// let options = sample::SampleOptions::default().with_rows(100).with_clean(true);
/// let landed = sample::land(&bucket, &"foods".into(), &options, &Silent).await?;
/// assert_eq!(landed.rows(), 100);
/// assert_eq!(landed.objects[0].key, "foods/foods-2021.csv");
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::Invalid`] for fewer rows than objects; [`ErrorKind::Cancelled`] when the progress says so; what the
/// store says.
pub async fn land(bucket: &Bucket, prefix: &Path, options: &SampleOptions, progress: &dyn Progress) -> Result<Landed> {
    if options.rows < TABLES as u64 {
        return Err(Error::invalid("make", "the sample")
            .with_reason(format_args!("rows must be at least {TABLES}, one for each object, got {}", options.rows)));
    }
    let manifest = prefix.clone().join(MANIFEST);
    forget(bucket, &manifest).await?;
    let plan = Arc::new(Plan::new(options.seed, options.rows, options.clean));
    progress.begin("land the sample", Some(options.rows));
    let mut objects = Vec::with_capacity(TABLES);
    for table in Table::ALL {
        objects.push(land_table(bucket, prefix, &plan, table, progress).await?);
    }
    progress.end();
    let landed = Landed::new(options, objects);
    let text = serde_json::to_vec_pretty(&landed)
        .map_err(|cause| Error::internal("write", bucket.address(&manifest)).with_source(cause))?;
    bucket.put(&manifest, text, PutMode::Overwrite).await?;
    Ok(landed)
}

/// Removes what an earlier sample says of objects that are about to change.
async fn forget(bucket: &Bucket, manifest: &Path) -> Result<()> {
    match bucket.delete(manifest).await {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

async fn land_table(
    bucket: &Bucket,
    prefix: &Path,
    plan: &Arc<Plan>,
    table: Table,
    progress: &dyn Progress,
) -> Result<LandedObject> {
    let key = prefix.clone().join(table.file_name());
    let mut writer = bucket.writer(&key);
    let mut counts = Counts::default();
    let written = match table {
        Table::Parquet => write_parquet(plan, &mut writer, &mut counts, progress).await,
        text => write_text(plan, text, &mut writer, &mut counts, progress).await,
    };
    match written {
        Ok(()) => Ok(counts.object(&key, table, writer.finish().await?.bytes)),
        Err(error) => {
            // The first error is the one to tell; what the clean-up leaves, a sweep removes.
            let _ = writer.abort().await;
            Err(error)
        }
    }
}

async fn write_text(
    plan: &Arc<Plan>,
    table: Table,
    writer: &mut ObjectWriter,
    counts: &mut Counts,
    progress: &dyn Progress,
) -> Result<()> {
    writer.write(render::opening(table)?.into()).await?;
    let mut chunks = chunks(plan, table, move |records, first| render::text(table, &records, first));
    while let Some((bytes, chunk)) = chunks.try_next().await? {
        writer.write(bytes.into()).await?;
        counts.add(&chunk, progress)?;
    }
    writer.write(Bytes::from_static(render::closing(table))).await
}

async fn write_parquet(
    plan: &Arc<Plan>,
    writer: &mut ObjectWriter,
    counts: &mut Counts,
    progress: &dyn Progress,
) -> Result<()> {
    let mut encoder = ArrowWriter::try_new(Vec::new(), render::schema(), Some(properties()?)).map_err(encoding)?;
    let mut chunks = chunks(plan, Table::Parquet, |records, _| render::batch(&records));
    while let Some((batch, chunk)) = chunks.try_next().await? {
        let bytes;
        (encoder, bytes) = compute::run(move || encode(encoder, &batch)).await?;
        writer.write(bytes).await?;
        counts.add(&chunk, progress)?;
    }
    writer.write(compute::run(move || encoder.into_inner().map_err(encoding)).await?.into()).await
}

fn properties() -> Result<WriterProperties> {
    let level = ZstdLevel::try_new(3).map_err(encoding)?;
    Ok(WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build())
}

/// Encodes a batch and takes what the encoder has finished by then.
fn encode(mut encoder: ArrowWriter<Vec<u8>>, batch: &RecordBatch) -> Result<(ArrowWriter<Vec<u8>>, Bytes)> {
    encoder.write(batch).map_err(encoding)?;
    let bytes = std::mem::take(encoder.inner_mut());
    Ok((encoder, bytes.into()))
}

fn encoding(cause: ParquetError) -> Error {
    Error::internal("encode", "the sample as Parquet").with_source(cause)
}

/// The records of a table in chunks, made on the CPU threads side by side and given in order.
fn chunks<T: Send + 'static>(
    plan: &Arc<Plan>,
    table: Table,
    render: impl Fn(Vec<Record>, u64) -> Result<T> + Clone + Send + 'static,
) -> impl Stream<Item = Result<(T, Counts)>> + Unpin {
    let plan = Arc::clone(plan);
    let size = plan.size(table);
    stream::iter((0..size).step_by(CHUNK as usize))
        .map(move |first| {
            let (plan, render) = (Arc::clone(&plan), render.clone());
            compute::run(move || chunk(&plan, table, first..size.min(first + CHUNK), render))
        })
        .buffered(compute::threads() + 1)
        .boxed()
}

fn chunk<T>(
    plan: &Plan,
    table: Table,
    positions: Range<u64>,
    render: impl Fn(Vec<Record>, u64) -> Result<T>,
) -> Result<(T, Counts)> {
    let first = positions.start;
    let mut counts = Counts::default();
    let mut records = Vec::with_capacity(CHUNK as usize);
    for position in positions {
        let record = plan.record(table, position);
        counts.count(&record, plan.repeats(table, position));
        records.push(record);
    }
    Ok((render(records, first)?, counts))
}

/// What is known of the records of an object so far.
#[derive(Debug, Default)]
struct Counts {
    made: u64,
    rows: u64,
    broken: BTreeMap<&'static str, u64>,
    duplicates: u64,
    without_energy: u64,
    with_units: u64,
}

impl Counts {
    fn count(&mut self, record: &Record, repeats: bool) {
        self.made += 1;
        if let Some(fault) = record.fault {
            self.rows += fault.records();
            *self.broken.entry(fault.code()).or_default() += fault.records();
            return;
        }
        self.rows += 1;
        self.duplicates += u64::from(repeats);
        self.without_energy += u64::from(record.values[ENERGY_AT] == Value::Missing);
        self.with_units += u64::from(record.values.iter().any(|value| matches!(value, Value::Quantity(..))));
    }

    fn add(&mut self, other: &Self, progress: &dyn Progress) -> Result<()> {
        self.made += other.made;
        self.rows += other.rows;
        for (code, count) in &other.broken {
            *self.broken.entry(code).or_default() += count;
        }
        self.duplicates += other.duplicates;
        self.without_energy += other.without_energy;
        self.with_units += other.with_units;
        progress.advance(other.made);
        if progress.is_cancelled() {
            return Err(Error::new(ErrorKind::Cancelled, "finish", "the sample"));
        }
        Ok(())
    }

    fn object(self, key: &Path, table: Table, bytes: u64) -> LandedObject {
        LandedObject {
            key: key.to_string(),
            format: table.format().to_owned(),
            rows: self.rows,
            broken: self.broken.into_iter().map(|(code, count)| (code.to_owned(), count)).collect(),
            duplicates: self.duplicates,
            without_energy: self.without_energy,
            with_units: self.with_units,
            bytes,
        }
    }
}

impl Landed {
    fn new(options: &SampleOptions, objects: Vec<LandedObject>) -> Self {
        let good = |object: &LandedObject| object.rows - object.broken.values().sum::<u64>() - object.duplicates;
        Self {
            source: SOURCE.to_owned(),
            notice: "Synthetic data made by datalake: no row describes a real product.".to_owned(),
            options: options.clone(),
            foods: objects.iter().map(good).sum(),
            objects,
        }
    }
}

#[cfg(test)]
#[path = "land_tests.rs"]
mod tests;
