//! A conversion as a run: a document of what it read, wrote and set aside, by which it can be verified and replayed.

use std::collections::BTreeMap;
use std::fmt::{self, Display};
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::path::Path;
use object_store::{ObjectStoreExt as _, PutMode, UpdateVersion};
use serde::{Deserialize, Serialize};

use super::intent::Intent;
use super::manifest::{RunId, code_version, runs_bucket};
use super::rejects::{End, FOLDER_SUFFIX, QUARANTINE, keep_rejects_of, told};
use super::run::ensure_bucket;
use super::unknown::unknown;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{
    self, Balance, ColumnSpec, Converted, Files, Quarantine, Quarantined, ReadOptions, Sink, Source, SourceColumns,
    WriteOptions, Written, WrittenFile,
};
use crate::lake::{AtomicFile, Bucket, BucketName, Lake, Location, store_error};
use crate::pipeline::RUNS_BUCKET;

/// The name of the document in the folder of its run.
pub(super) const DOCUMENT: &str = "conversion.json";
/// Not among the runs of pipelines, of which there are fewer, and whose last one is looked for.
pub(super) const PREFIX: &str = "_conversions";
/// The version of the document.
const VERSION: u32 = 1;

/// What a conversion did. It lies in `processed-data/_conversions/RUN/conversion.json` of the lake that was written to. Beside a local
/// file it lies in `FILE.run/conversion.json`, where records were quarantined or [`exact`](WriteOptions::exact) was asked for.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Conversion {
    /// The document's own version.
    pub version: u32,
    /// The run.
    pub run: RunId,
    /// When it began.
    pub started: DateTime<Utc>,
    /// How long it took.
    pub seconds: f64,
    /// The version and source digest of the code that ran.
    pub code: String,
    /// What was read: a path, `lake://bucket/key`, or `-`.
    pub source: String,
    /// What was written, likewise.
    pub destination: String,
    /// How the source was read.
    pub read: ReadOptions,
    /// How the destination was written.
    pub write: WriteOptions,
    /// The format of what was written.
    pub format: String,
    /// The columns of what was written, where their types have names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<Vec<ColumnSpec>>,
    /// What lies in the destination.
    pub written: Written,
    /// The files of a folder or prefix.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<WrittenFile>,
    /// What became of the records.
    pub balance: Balance,
    /// The digest of the rows in any order, where it was proven.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rows_digest: Option<String>,
    /// What was quarantined, and where it lies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quarantine: Option<Kept>,
    /// The columns that stand in no record: what folders say, the source, the number of the row.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// The columns of each CSV source as they stand in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub columns: BTreeMap<String, SourceColumns>,
    /// The columns of JSON sources that hold JSON text, as their values are of several kinds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub json_text: Vec<String>,
    /// How often quarantined records were brought back.
    #[serde(default)]
    pub replays: u32,
    /// What replays were about to make of it that have not come to their end.
    #[serde(default, rename = "replaying", skip_serializing_if = "Vec::is_empty")]
    pub(super) intents: Vec<Intent>,
    /// What a user should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// A quarantine that was kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Where it lies: a path, or `bucket/key`.
    pub path: String,
    /// What is in it.
    #[serde(flatten)]
    pub records: Quarantined,
}

/// Of what a table is made.
#[derive(Debug)]
pub enum Tables {
    /// One file, object or stream.
    One(Source),
    /// Many files or objects.
    Many(Files),
}

/// What is to be converted.
#[derive(Debug)]
pub struct Order {
    /// Where the table comes from, and how messages and the document call it.
    pub source: (Tables, String),
    /// Where it goes.
    pub sink: Sink,
    /// The same as users write it.
    pub destination: Location,
    /// How it is read.
    pub read: ReadOptions,
    /// How it is written.
    pub write: WriteOptions,
}

/// What a conversion did, and where its document lies.
#[derive(Debug)]
#[non_exhaustive]
pub struct Done {
    /// What it did.
    pub converted: Converted,
    /// The quarantine, where there is one.
    pub quarantine: Option<String>,
    /// By what it is verified and replayed: the run, or the folder beside the local destination, where there is a document.
    pub run: Option<String>,
}

/// Converts, keeps what was rejected, and leaves the document of it. The lake is opened only where it is needed.
///
/// # Errors
/// Those of [`convert`](format::convert()), of the lake and of the operating system. An object that is written stays where its
/// document cannot be: that is told in a note.
pub async fn carry_out(
    order: Order,
    quarantine: &Quarantine,
    lake: impl Fn() -> Result<Arc<dyn Lake>>,
) -> Result<Done> {
    let (run, started) = (RunId::now(), Utc::now());
    let Order { source: (source, name), sink, destination, read, write } = order;
    let format = format::for_sink(&sink, &write)?.name().to_owned();
    let keep = |end| keep_rejects_of(quarantine, &destination, "convert", &run, end, &lake);
    let folders = match &source {
        Tables::One(_) => &[][..],
        Tables::Many(files) => files.keys(),
    };
    let added = folders.iter().chain(&read.source_column).chain(&read.row_number).cloned().collect();
    let converted = match source {
        Tables::One(source) => format::convert(source, sink, read.clone(), write).await,
        Tables::Many(files) => format::convert_many(files, sink, read.clone(), write).await,
    };
    let mut converted = match converted {
        Ok(converted) => converted,
        Err(error) => return Err(told(error, keep(End::Failed).await?.map(|kept| kept.path))),
    };
    let kept = keep(End::Written).await?;
    let place = kept.as_ref().map(|kept| kept.path.clone());
    let document = Conversion {
        version: VERSION,
        started,
        seconds: (Utc::now() - started).as_seconds_f64(),
        code: code_version(),
        source: name,
        destination: destination.to_string(),
        format,
        schema: format::specs_of(&converted.schema),
        written: converted.written.clone(),
        files: converted.files.clone(),
        balance: converted.balance,
        added,
        rows_digest: converted.rows_digest.clone(),
        columns: if kept.is_some() { quarantine.columns() } else { BTreeMap::new() },
        json_text: if kept.is_some() { quarantine.json_text() } else { Vec::new() },
        quarantine: kept,
        replays: 0,
        intents: Vec::new(),
        notes: converted.notes.clone(),
        run,
        read,
        write: converted.write.clone(),
    };
    let run = match document.keep(&destination, &lake).await {
        Ok(run) => run,
        Err(error) => {
            converted.notes.push(format!("the document of the run could not be kept: {error}"));
            None
        }
    };
    Ok(Done { converted, quarantine: place, run })
}

impl Conversion {
    /// Keeps the document of a conversion that has just ended, if it is wanted; says by what it is found.
    async fn keep(&self, destination: &Location, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Option<String>> {
        let mut home = match destination {
            Location::Stdio => return Ok(None),
            Location::Local(_) if self.quarantine.is_none() && !self.write.exact => return Ok(None),
            Location::Local(path) => Home::Folder(folder_of(path)),
            Location::Object { .. } | Location::Prefix { .. } => {
                let bucket = ensure_bucket(lake()?.as_ref(), &BucketName::new(RUNS_BUCKET)?).await?;
                Home::Run(bucket, self.run.clone(), None)
            }
        };
        self.save(&mut home).await?;
        Ok(Some(home.to_string()))
    }

    /// Writes the document.
    ///
    /// # Errors
    /// [`ErrorKind::AlreadyExists`] where another program has written it since it was read.
    pub(super) async fn save(&self, home: &mut Home) -> Result<()> {
        let json = serde_json::to_vec_pretty(self)
            .map_err(|cause| Error::internal("write the document of", &*home).with_source(cause))?;
        match home {
            Home::Run(bucket, run, version) => {
                *version = Some(replaced(bucket, &key(run), Bytes::from(json), version.take()).await?);
                Ok(())
            }
            Home::Folder(folder) => {
                let folder: &FilePath = folder;
                std::fs::create_dir_all(folder)
                    .map_err(|cause| Error::io("make the folder", folder.display(), cause))?;
                let mut file = AtomicFile::create(folder.join(DOCUMENT)).await?;
                file.write(Bytes::from(json)).await?;
                file.finish().await.map(drop)
            }
        }
    }

    /// The document of a conversion, found by its run, by the file that it wrote, or by the folder beside that.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`] where there is none; those of the lake and the operating system.
    pub(super) async fn load(name: &str, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<(Self, Home)> {
        let Some(mut home) = Home::of(name, lake).await? else { return Err(unknown(name, lake).await) };
        let bytes = match &mut home {
            Home::Run(bucket, run, version) => of_version(bucket, &key(run)).await.map(|(bytes, found)| {
                *version = Some(found);
                bytes
            }),
            Home::Folder(folder) => {
                let path = folder.join(DOCUMENT);
                std::fs::read(&path).map(Bytes::from).map_err(|cause| Error::io("read", path.display(), cause))
            }
        };
        let bytes = match bytes {
            Err(error) if error.kind() == ErrorKind::NotFound => return Err(unknown(name, lake).await),
            bytes => bytes?,
        };
        let mut document: Self = serde_json::from_slice(&bytes).map_err(|cause| {
            Error::invalid("read", format_args!("the document of {home}"))
                .with_reason("it is none of this version of datalake")
                .with_source(cause)
        })?;
        if let Home::Folder(folder) = &home {
            for intent in &mut document.intents {
                intent.after.lies_beside(folder);
            }
            document.lies_beside(folder);
        }
        Ok((document, home))
    }

    /// Says where its files lie now, seen from here: it was written elsewhere, perhaps, and may have been moved since.
    fn lies_beside(&mut self, folder: &FilePath) {
        self.destination = beside(folder).display().to_string();
        if let Some(kept) = &mut self.quarantine {
            kept.path = folder.join(QUARANTINE).display().to_string();
        }
    }
}

/// Where the document of a conversion lies.
#[derive(Debug, Clone)]
pub(super) enum Home {
    /// The folder of a run, and the version of the document in it that is known: only that one is replaced.
    Run(Bucket, RunId, Option<UpdateVersion>),
    /// The folder beside a local file.
    Folder(PathBuf),
}

impl Home {
    /// By the run, by the file that was written, or by the folder beside it; none where the lake has no runs.
    async fn of(name: &str, lake: &impl Fn() -> Result<Arc<dyn Lake>>) -> Result<Option<Self>> {
        let path = FilePath::new(name);
        let beside = folder_of(path);
        if beside.join(DOCUMENT).is_file() {
            return Ok(Some(Self::Folder(beside)));
        }
        if path.is_dir() && name.trim_end_matches('/').ends_with(FOLDER_SUFFIX) {
            return Ok(Some(Self::Folder(path.to_owned())));
        }
        match runs_bucket(lake()?.as_ref()).await {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            runs => Ok(Some(Self::Run(runs?, RunId::from(name), None))),
        }
    }
}

impl Display for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(_, run, _) => Display::fmt(run, f),
            Self::Folder(folder) => Display::fmt(&folder.display(), f),
        }
    }
}

/// The bytes of an object, and their version.
async fn of_version(bucket: &Bucket, key: &Path) -> Result<(Bytes, UpdateVersion)> {
    let failed = |cause| store_error("read", bucket.address(key), cause);
    let found = bucket.store().get(key).await.map_err(failed)?;
    let version = UpdateVersion { e_tag: found.meta.e_tag.clone(), version: found.meta.version.clone() };
    Ok((found.bytes().await.map_err(failed)?, version))
}

/// Puts an object in the place of one of this version; without one, of any.
async fn replaced(bucket: &Bucket, key: &Path, bytes: Bytes, before: Option<UpdateVersion>) -> Result<UpdateVersion> {
    let mode = before.map_or(PutMode::Overwrite, PutMode::Update);
    let error = match bucket.put(key, bytes.clone(), mode).await {
        Ok(put) => return Ok(put.into()),
        Err(error) => error,
    };
    if error.kind() != ErrorKind::AlreadyExists {
        return Err(error);
    }
    // An answer may be lost on its way, and the request sent again is told then that there is another one: this one.
    match of_version(bucket, key).await {
        Ok((found, version)) if found == bytes => Ok(version),
        _ => Err(Error::new(ErrorKind::AlreadyExists, "replay", bucket.address(key))
            .with_reason("another replay of this conversion has begun meanwhile")
            .with_hint("wait for it, then replay what is left")
            .with_source(error)),
    }
}

/// The key of a run's document.
fn key(run: &RunId) -> Path {
    Path::from(format!("{PREFIX}/{run}/{DOCUMENT}"))
}

/// The file beside which a folder lies.
fn beside(folder: &FilePath) -> PathBuf {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    folder.with_file_name(name.strip_suffix(FOLDER_SUFFIX).unwrap_or(&name))
}

/// The folder beside a local file.
pub(super) fn folder_of(file: &FilePath) -> PathBuf {
    // Beside a folder too, not in it: `exports/` is `exports`.
    let mut folder = file.components().collect::<PathBuf>().into_os_string();
    folder.push(FOLDER_SUFFIX);
    PathBuf::from(folder)
}
