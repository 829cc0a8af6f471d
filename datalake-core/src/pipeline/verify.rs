//! Holds what a run says of itself against the objects: their bytes, their tables, and the balance of their rows.

use std::path::PathBuf;
use std::sync::Arc;

use futures::TryStreamExt;
use object_store::path::Path;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::conversion::{Conversion, folder_of};
use super::manifest::{Manifest, Output, PrepareBalance, RunId, load};
use super::predict::open_model_file;
use crate::compute;
use crate::error::{Error, ErrorKind, Result};
use crate::format::digest::hex;
use crate::format::{
    self, Input, MANIFEST, Manifest as TableManifest, ReadOptions, Reject, Source, TableDigest, WrittenFile,
    digest_said, proving, rows_of,
};
use crate::lake::{Bucket, Lake, Location, parse_object};

/// Something that was held against what a run says of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// The object or file, or the step.
    pub subject: String,
    /// What was looked at: `bytes`, `table`, `rows`, `model`, `balance` or `quarantine`.
    pub what: &'static str,
    /// Whether it is as the run says.
    pub holds: bool,
    /// What was found; where it does not hold, with what was wanted.
    pub found: String,
}

/// What was looked at, in the order of the run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// The run, the folder or the file.
    pub run: String,
    /// Each thing.
    pub checks: Vec<Check>,
}

impl Verified {
    /// How many things are not as the run says.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.checks.iter().filter(|check| !check.holds).count()
    }

    /// An error if there is one.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`] with the first thing that is not as the run says.
    pub fn check(&self) -> Result<()> {
        let Some(first) = self.checks.iter().find(|check| !check.holds) else { return Ok(()) };
        Err(Error::invalid("verify", &self.run)
            .with_reason(format_args!("the {} of {}: {}", first.what, first.subject, first.found))
            .with_hint("was it written anew or changed since? Run it again to have what it says"))
    }

    fn add(&mut self, subject: &str, what: &'static str, holds: bool, found: String) {
        self.checks.push(Check { subject: subject.to_owned(), what, holds, found });
    }

    fn hold<T: PartialEq + std::fmt::Display>(&mut self, subject: &str, what: &'static str, found: &T, wanted: &T) {
        let holds = found == wanted;
        self.add(subject, what, holds, if holds { found.to_string() } else { format!("{found}, and not {wanted}") });
    }
}

/// Reads what a run wrote and set aside once more, and holds it against what the run says. `name` is a run, the local file that
/// a conversion wrote or the folder beside it, or a Parquet file or object that says its own digest.
///
/// # Errors
/// [`ErrorKind::NotFound`] where nothing of this name is known; those of the lake. What does not hold is no error here: see
/// [`Verified::check`].
pub async fn verify(name: &str, lake: impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Verified> {
    let mut verified = Verified { run: name.to_owned(), checks: Vec::new() };
    if let Some(source) = file_alone(name, &lake).await? {
        of_itself(&mut verified, source).await?;
        return Ok(verified);
    }
    if let Some(place) = folder_alone(name, &lake).await? {
        of_folder(&mut verified, &place).await?;
        return Ok(verified);
    }
    let none = match Conversion::load(name, &lake).await {
        Ok((conversion, _)) => {
            of_conversion(&mut verified, &conversion, &lake).await?;
            return Ok(verified);
        }
        Err(error) if error.kind() == ErrorKind::NotFound => error,
        Err(error) => return Err(error),
    };
    let lake = lake()?;
    match load(lake.as_ref(), Some(&RunId::from(name))).await {
        Ok(manifest) => of_pipeline(&mut verified, &manifest, lake.as_ref()).await?,
        Err(error) if error.kind() == ErrorKind::NotFound => return Err(none),
        Err(error) => return Err(error),
    }
    Ok(verified)
}

/// A file or object that no document speaks of.
async fn file_alone(name: &str, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Option<Source>> {
    Ok(match name.parse()? {
        Location::Object { bucket, key } => Some(Source::Object { bucket: lake()?.bucket(&bucket).await?, path: key }),
        Location::Local(path) if path.is_file() && !folder_of(&path).is_dir() => Some(Source::LocalFile(path)),
        _ => None,
    })
}

/// A folder or prefix that no document speaks of.
async fn folder_alone(name: &str, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Option<Place>> {
    Ok(match name.parse()? {
        Location::Prefix { bucket, prefix } => Some(Place::Prefix(lake()?.bucket(&bucket).await?, prefix)),
        Location::Local(path) if path.join(MANIFEST).is_file() && !folder_of(&path).is_dir() => {
            Some(Place::Folder(path))
        }
        _ => None,
    })
}

/// Where the files of a table lie.
enum Place {
    Folder(PathBuf),
    Prefix(Bucket, Path),
}

impl Place {
    /// Of a conversion into several files.
    async fn of(destination: &str, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Option<Self>> {
        Ok(match destination.parse()? {
            Location::Local(path) => Some(Self::Folder(path)),
            Location::Prefix { bucket, prefix } => Some(Self::Prefix(lake()?.bucket(&bucket).await?, prefix)),
            _ => None,
        })
    }

    fn file(&self, path: &str) -> Result<Source> {
        Ok(match self {
            Self::Folder(folder) => Source::LocalFile(folder.join(path)),
            Self::Prefix(bucket, prefix) => {
                let slash = if prefix.as_ref().is_empty() { "" } else { "/" };
                let key = Path::parse(format!("{prefix}{slash}{path}")).map_err(|cause| {
                    Error::invalid("read", format_args!("the manifest of {}", bucket.address(prefix)))
                        .with_reason(format_args!("it names `{path}`, which is no key"))
                        .with_source(cause)
                })?;
                Source::Object { bucket: bucket.clone(), path: key }
            }
        })
    }
}

/// Holds the files of a table against what its manifest says of each.
async fn of_folder(verified: &mut Verified, place: &Place) -> Result<()> {
    let source = place.file(MANIFEST)?;
    let name = source.to_string();
    let input = Input::open(&source).await.map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::new(ErrorKind::NotFound, "verify", &verified.run)
            .with_reason(format_args!("nothing says what is in it: there is no {name}"))
            .with_source(error),
        _ => error,
    })?;
    let manifest: TableManifest = serde_json::from_slice(&input.range(0..input.size()).await?).map_err(|cause| {
        Error::invalid("read", &name).with_reason("it is no manifest of a table").with_source(cause)
    })?;
    let rows = of_files(verified, place, &manifest.files).await?;
    verified.hold(&name, "rows", &rows, &manifest.rows);
    Ok(())
}

/// Holds files against what is known of each; says how many rows they have.
async fn of_files(verified: &mut Verified, place: &Place, files: &[WrittenFile]) -> Result<u64> {
    let mut rows = 0;
    for file in files {
        let source = place.file(&file.path)?;
        let name = source.to_string();
        if !bytes(verified, &name, &source, &file.sha256).await? {
            continue;
        }
        let (format, _) = format::detect(&source, &ReadOptions::default()).await?;
        if format.name() == "parquet" {
            let (digest, found) = table(source, &*format).await?;
            verified.hold(&name, "table", &digest, &file.digest);
            verified.hold(&name, "rows", &found, &file.rows);
            rows += found;
        } else {
            // Types are not in a text; its bytes are those that were written.
            rows += file.rows;
        }
    }
    Ok(rows)
}

/// Holds a Parquet file against the digest that it says.
async fn of_itself(verified: &mut Verified, source: Source) -> Result<()> {
    let name = source.to_string();
    let (format, _) = format::detect(&source, &ReadOptions::default()).await?;
    let said = if format.name() == "parquet" { digest_said(&source).await? } else { None };
    let Some(wanted) = said else {
        return Err(Error::new(ErrorKind::Unsupported, "verify", name)
            .with_reason("nothing says what is in it")
            .with_hint("name the run that has written it; Parquet files written by datalake say it themselves"));
    };
    let (digest, rows) = table(source, &*format).await?;
    verified.hold(&name, "table", &digest, &wanted);
    verified.add(&name, "rows", true, rows.to_string());
    Ok(())
}

async fn of_conversion(
    verified: &mut Verified,
    conversion: &Conversion,
    lake: &impl Fn() -> Result<Arc<dyn Lake>>,
) -> Result<()> {
    let Conversion { destination: to, written, balance, files, .. } = conversion;
    if files.is_empty() {
        of_one(verified, conversion, lake).await?;
    } else {
        let place = Place::of(to, lake).await?.ok_or_else(|| Error::internal("verify", to))?;
        let named = place.file(MANIFEST)?;
        bytes(verified, &named.to_string(), &named, &written.sha256).await?;
        let rows = of_files(verified, &place, files).await?;
        verified.hold(to, "rows", &rows, &balance.written);
    }
    set_aside(verified, conversion, lake).await
}

/// Holds the one file that a conversion wrote against its document.
async fn of_one(
    verified: &mut Verified,
    conversion: &Conversion,
    lake: &impl Fn() -> Result<Arc<dyn Lake>>,
) -> Result<()> {
    let Conversion { destination: to, written, balance, .. } = conversion;
    let source = || conversion.table(lake);
    let is_whole = bytes(verified, to, &source().await?, &written.sha256).await?;
    if is_whole {
        let format = format::format(&conversion.format).ok_or_else(|| {
            Error::invalid("verify", to).with_reason(format_args!("`{}` is no format", conversion.format))
        })?;
        let rows = if conversion.format == "parquet" {
            let (digest, rows) = table(source().await?, &*format).await?;
            // After a replay of rows into a text there is none.
            verified.hold(to, "table", &digest, &written.digest);
            rows
        } else {
            let read = proving(to, &*format, &conversion.write, conversion.schema.as_deref())?;
            let (rows, _) = rows_of(source().await?, &*format, read).await?;
            if let Some(wanted) = &conversion.rows_digest {
                verified.hold(to, "table", &rows.finish(), wanted);
            }
            rows.rows()
        };
        verified.hold(to, "rows", &rows, &balance.written);
    }
    Ok(())
}

/// Counts what a conversion set aside, and closes its balance.
async fn set_aside(
    verified: &mut Verified,
    conversion: &Conversion,
    lake: &impl Fn() -> Result<Arc<dyn Lake>>,
) -> Result<()> {
    let Conversion { destination: to, balance, .. } = conversion;
    let set_aside = match &conversion.quarantine {
        None => 0,
        Some(kept) => {
            let source = match parse_object(&kept.path) {
                Ok((bucket, path)) if !matches!(to.parse()?, Location::Local(_)) => {
                    Source::Object { bucket: lake()?.bucket(&bucket).await?, path }
                }
                _ => Source::LocalFile(kept.path.clone().into()),
            };
            quarantine(verified, &kept.path, source, Some(&kept.records.sha256), kept.records.records).await?
        }
    };
    let words = format!("{} seen = {} written + {set_aside} quarantined", balance.seen, balance.written);
    verified.add(to, "balance", balance.seen == balance.written + set_aside, words);
    Ok(())
}

async fn of_pipeline(verified: &mut Verified, manifest: &Manifest, lake: &dyn Lake) -> Result<()> {
    for step in &manifest.steps {
        for output in &step.report.outputs {
            of_output(verified, output, lake).await?;
        }
        if let Some(balance) = &step.report.balance {
            let rows = step.report.outputs.iter().find_map(|output| output.rows);
            of_balance(verified, &step.name, balance, rows);
            if let Some(path) = &balance.quarantine {
                let (bucket, key) = parse_object(path)?;
                let source = Source::Object { bucket: lake.bucket(&bucket).await?, path: key };
                quarantine(verified, path, source, None, balance.quarantined()).await?;
            }
        }
    }
    Ok(())
}

async fn of_output(verified: &mut Verified, output: &Output, lake: &dyn Lake) -> Result<()> {
    let path = &output.object.path;
    let (bucket, key) = parse_object(path)?;
    let source = Source::Object { bucket: lake.bucket(&bucket).await?, path: key };
    if !bytes(verified, path, &source, &output.sha256).await? {
        return Ok(());
    }
    let Some(wanted) = &output.digest else { return Ok(()) };
    // A model has no rows.
    if output.rows.is_none() {
        let model = open_model_file(lake, path).await?;
        let digest = model.digest();
        let sound = compute::run(move || model.verify()).await;
        verified.add(
            path,
            "model",
            sound.is_ok() && digest == *wanted,
            match sound {
                Ok(_) if digest == *wanted => digest,
                Ok(_) => format!("{digest}, and not {wanted}"),
                Err(error) => error.to_string(),
            },
        );
    } else {
        let (format, _) = format::detect(&source, &ReadOptions::default()).await?;
        if format.name() == "parquet" {
            let (digest, rows) = table(source, &*format).await?;
            verified.hold(path, "table", &digest, wanted);
            if let Some(wanted) = output.rows {
                verified.hold(path, "rows", &rows, &wanted);
            }
        }
    }
    Ok(())
}

/// Each record of each source is accounted for, up to the finished table.
fn of_balance(verified: &mut Verified, step: &str, balance: &PrepareBalance, rows: Option<u64>) {
    for source in &balance.sources {
        let set_aside: u64 = source.quarantined.values().sum();
        let dropped: u64 = source.dropped.values().sum();
        let words =
            format!("{} seen = {} written + {set_aside} quarantined + {dropped} dropped", source.seen, source.written);
        verified.add(&source.path, "balance", source.holds(), words);
    }
    let written: u64 = balance.sources.iter().map(|source| source.written).sum();
    let combined = written == balance.combine_in && rows.is_none_or(|rows| rows == balance.combine_out);
    let words = format!(
        "{written} written by the scan; combined {} into {}, of which {} were duplicates",
        balance.combine_in, balance.combine_out, balance.duplicates
    );
    verified.add(step, "balance", combined, words);
}

/// The bytes of an object or file, which may be gone; says whether they are those that were written, so that what is in them can
/// be looked at.
async fn bytes(verified: &mut Verified, name: &str, source: &Source, wanted: &String) -> Result<bool> {
    match Input::open(source).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => {
            verified.add(name, "bytes", false, "it is gone".to_owned());
            return Ok(false);
        }
        Err(error) => return Err(error),
    }
    let found = sha256(source).await?;
    verified.hold(name, "bytes", &found, wanted);
    Ok(found == *wanted)
}

/// The SHA-256 of the bytes of a source, in hex.
pub(super) async fn sha256(source: &Source) -> Result<String> {
    let input = Input::open(source).await?;
    let (mut hash, mut offset) = (Sha256::new(), 0);
    loop {
        let piece = input.chunk(offset, u64::MAX, Vec::new()).await?;
        if piece.is_empty() {
            return Ok(hex(&hash.finalize()));
        }
        offset += piece.len() as u64;
        hash = compute::run(move || {
            hash.update(&piece);
            Ok(hash)
        })
        .await?;
    }
}

/// The digest and the rows of a table.
async fn table(source: Source, format: &dyn format::Format) -> Result<(String, u64)> {
    let mut batches = format.read(source, ReadOptions::default()).await?;
    let (mut digest, mut rows) = (TableDigest::new(batches.schema()), 0);
    while let Some(batch) = batches.try_next().await? {
        rows += batch.num_rows() as u64;
        digest = compute::run(move || {
            digest.update(&batch)?;
            Ok(digest)
        })
        .await?;
    }
    Ok((digest.finish(), rows))
}

/// The records of a quarantine; says how many those are.
async fn quarantine(
    verified: &mut Verified,
    name: &str,
    source: Source,
    sha256: Option<&String>,
    wanted: u64,
) -> Result<u64> {
    if let Some(sha256) = sha256
        && !bytes(verified, name, &source, sha256).await?
    {
        return Ok(0);
    }
    let found = rejects(&source).await?.len() as u64;
    verified.hold(name, "quarantine", &found, &wanted);
    Ok(found)
}

/// The records of a quarantine, each a line of JSON.
pub(super) async fn rejects(source: &Source) -> Result<Vec<Reject>> {
    let input = Input::open(source).await?;
    let text = input.range(0..input.size()).await?;
    let lines = text.split(|byte| *byte == b'\n').enumerate().filter(|(_, line)| !line.trim_ascii().is_empty());
    let rejects = lines.map(|(index, line)| {
        serde_json::from_slice(line).map_err(|cause| {
            Error::invalid("read", format_args!("the quarantine {source}"))
                .with_reason(format_args!("line {} is no quarantined record", index + 1))
                .with_source(cause)
        })
    });
    rejects.collect()
}
