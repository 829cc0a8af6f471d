//! The model file: a body that the digest names, in sections that can be walked in place, and an envelope around it.
//!
//! | section | what |
//! |---|---|
//! | `HEAD` | the model's kind and body; of a forest, the body up to its trees, which have sections of their own |
//! | `META` | the envelope, in JSON and free to change: metrics, lineage, time and notes never reach the digest |
//!
//! The body is the model's canonical encoding (schema, parameters, what was learnt). Its SHA-256, the digest, stands in
//! the file, so that opening need not compute it: checksums and the structure of the trees are checked instead.

mod blocks;
#[cfg(any(test, feature = "testing"))]
pub mod hostile;
mod sections;
mod v1;

use std::fs::File;
use std::path::Path;
use std::str::FromStr;

use bytes::Bytes;
use memmap2::Mmap;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::codec::{Reader, Writer};
use super::dummy::Dummy;
use super::forest::Forest;
use super::weights::LinearModel;
use super::{Model, Task};
use crate::error::{Error, ErrorKind, Result};

pub(crate) use self::sections::{Name, Section, Sections, wrong};

const MAGIC: &[u8; 8] = b"DLMODEL\n";
const HEAD: Name = *b"HEAD";
const META: Name = *b"META";

/// What a model file says about its model beside the model itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Envelope {
    /// When it was trained, RFC 3339 in UTC.
    pub created: Option<String>,
    /// Metrics by name, beside those of the baselines.
    pub metrics: Map<String, Value>,
    /// Where its rows came from.
    pub lineage: Map<String, Value>,
    /// Remarks for people.
    pub notes: Vec<String>,
}

impl Envelope {
    /// Says when the model was trained, RFC 3339 in UTC.
    #[must_use]
    pub fn with_created(mut self, created: impl Into<String>) -> Self {
        self.created = Some(created.into());
        self
    }

    /// Adds a metric.
    #[must_use]
    pub fn with_metric(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.metrics.insert(name.into(), value.into());
        self
    }

    /// Adds what a model says of the rows that its trees have not seen, as `out_of_bag_score`, `out_of_bag_error` and
    /// `out_of_bag_rows`; nothing of a model that says nothing.
    #[must_use]
    pub fn with_out_of_bag(self, model: &dyn Model) -> Self {
        let Some(seen) = model.out_of_bag() else { return self };
        self.with_metric("out_of_bag_score", seen.score)
            .with_metric("out_of_bag_error", seen.error)
            .with_metric("out_of_bag_rows", seen.rows)
    }

    /// Adds a fact about the rows' origin.
    #[must_use]
    pub fn with_lineage(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.lineage.insert(name.into(), value.into());
        self
    }

    /// Adds a remark.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }
}

/// How the sections of a model file are packed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As they are: such a file is mapped and walked in place.
    #[default]
    None,
    /// By zstd: about a third of the size, and slower to save and to open.
    Zstd,
}

impl FromStr for Compression {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "none" => Ok(Self::None),
            "zstd" => Ok(Self::Zstd),
            _ => Err(Error::invalid("compress", "a model file")
                .with_reason(format_args!("compression must be `none` or `zstd`, got `{text}`"))),
        }
    }
}

/// The SHA-256 of a model's body, in hexadecimal: the same wherever and with however many threads it was trained.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for a model that cannot be saved.
pub fn digest(model: &dyn Model) -> Result<String> {
    Ok(hexadecimal(&sha256(model)?))
}

fn sha256(model: &dyn Model) -> Result<[u8; 32]> {
    let mut hash = Sha256::new_with_prefix(kind(model));
    model.write_body(&mut |bytes| hash.update(bytes))?;
    Ok(hash.finalize().into())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a body begins with.
fn kind(model: &dyn Model) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.text(model.name());
    writer.finish()
}

/// The model file's bytes, not compressed.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for a model that cannot be saved.
pub fn encode(model: &dyn Model, envelope: &Envelope) -> Result<Vec<u8>> {
    let mut file = Vec::new();
    encode_to(model, envelope, Compression::None, &mut |bytes| {
        file.extend_from_slice(bytes);
        Ok(())
    })?;
    Ok(file)
}

/// Hands the model file's bytes to `sink`, one piece after the other, so that a large file is never in memory as a
/// whole, and returns the model's [`digest`], which the file begins with.
///
/// ```
/// # use std::sync::Arc;
/// # use arrow::array::{ArrayRef, Float64Array, RecordBatch};
/// use datalake_core::ml::{Compression, DummyTrainer, Envelope, Frame, ModelFile, Task, Trainer, digest, encode_to};
/// # use datalake_core::progress::Silent;
/// # let numbers = Arc::new(Float64Array::from(vec![1.0, 2.0])) as ArrayRef;
/// # let table = RecordBatch::try_from_iter([("fat_g", Arc::clone(&numbers)), ("kcal", numbers)])?;
/// # let frame = Frame::new(&table, &[], "kcal", Task::Regression)?;
/// let model = DummyTrainer::new(Task::Regression).train(&frame, &Silent)?;
/// let mut file = Vec::new();
/// let mut sink = |bytes: &[u8]| Ok(file.extend_from_slice(bytes));
/// let told = encode_to(model.as_ref(), &Envelope::default(), Compression::Zstd, &mut sink)?;
/// assert_eq!(told, digest(model.as_ref())?);
///
/// let opened = ModelFile::read(file)?;
/// assert_eq!(opened.digest(), told);
/// opened.verify()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for a model that cannot be saved; those of `sink`.
pub fn encode_to(
    model: &dyn Model,
    envelope: &Envelope,
    compression: Compression,
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<String> {
    let digest = sha256(model)?;
    let envelope = serde_json::to_vec(envelope)
        .map_err(|cause| Error::internal("write", "a model's envelope").with_source(cause))?;
    let (body, trees) = match model.as_forest() {
        Some(forest) => (forest.head()?, forest.sections(compression == Compression::Zstd)?),
        None => (model.body()?, Vec::new()),
    };
    let mut sections =
        vec![Section::plain(HEAD, vec![kind(model).into(), body.into()]), Section::plain(META, vec![envelope.into()])];
    sections.extend(trees);
    sections::write(digest, &sections, sink)?;
    Ok(hexadecimal(&digest))
}

/// Reads a model file.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for what is no model file, cut short or damaged;
/// [`Unsupported`](ErrorKind::Unsupported) for one that a newer program wrote.
pub fn decode(file: &[u8]) -> Result<(Box<dyn Model>, Envelope)> {
    let ModelFile { model, envelope, .. } = ModelFile::read(file.to_vec())?;
    Ok((model, envelope))
}

/// A model file that was opened: checked, and walked in place as far as it is not compressed.
#[derive(Debug)]
pub struct ModelFile {
    /// The model.
    pub model: Box<dyn Model>,
    /// What the file says beside it.
    pub envelope: Envelope,
    digest: [u8; 32],
    version: u32,
    size: u64,
    parts: Vec<Part>,
}

/// A section of a model file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// Its name.
    pub name: String,
    /// The bytes that it takes in the file.
    pub bytes: u64,
    /// The bytes that it takes when it is read.
    pub unpacked: u64,
}

impl ModelFile {
    /// Reads a file's bytes; the model keeps them where they are not compressed.
    ///
    /// # Errors
    /// As [`decode`].
    pub fn read(file: impl Into<Bytes>) -> Result<Self> {
        let file = file.into();
        let version = version(&file)?;
        if version == v1::VERSION {
            return v1::read(&file);
        }
        let size = file.len() as u64;
        let sections = Sections::read(file)?;
        let model = model_of(&sections)?;
        let envelope = serde_json::from_slice(&sections.bytes(META, 1)?)
            .map_err(|cause| wrong(META, "it is not what this program writes").with_source(cause))?;
        let parts = sections.list().map(|(name, bytes, unpacked)| Part {
            name,
            bytes: bytes as u64,
            unpacked: unpacked as u64,
        });
        Ok(Self { model, envelope, digest: sections.digest(), version, size, parts: parts.collect() })
    }

    /// Maps a local file: processes that open the same model share its memory. Whoever replaces the file must put a
    /// new one in its place, as every writer here does, and not write into it.
    ///
    /// # Errors
    /// As [`decode`]; what the file system says.
    pub fn open(path: &Path) -> Result<Self> {
        let failed = |cause| Error::io("open", path.display(), cause);
        let found = Self::map(&File::open(path).map_err(failed)?).map_err(failed)?;
        found.map_err(|cause| Error::new(cause.kind(), "open the model", path.display()).with_source(cause))
    }

    /// Maps a file that is open.
    pub(crate) fn map(file: &File) -> std::io::Result<Result<Self>> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(std::io::ErrorKind::IsADirectory.into());
        }
        if metadata.len() == 0 {
            return Ok(Self::read(Bytes::new()));
        }
        // SAFETY: the bytes stay what they are while they are mapped: files of models are replaced as a whole and
        // never written into, so what was checked at opening holds for as long as the model is there.
        let map = unsafe { Mmap::map(file) }?;
        Ok(Self::read(Bytes::from_owner(map)))
    }

    /// The digest of the model's body, as the file says.
    #[must_use]
    pub fn digest(&self) -> String {
        hexadecimal(&self.digest)
    }

    /// The version of the file's form.
    #[must_use]
    pub fn version(&self) -> u32 {
        self.version
    }

    /// The length of the file in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// What the file is made of; nothing for one of version 1, which is of one piece.
    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// Computes the digest of the body anew and compares it with what the file says.
    ///
    /// # Errors
    /// [`Invalid`](ErrorKind::Invalid), with both, where they differ.
    pub fn verify(&self) -> Result<()> {
        let found = sha256(self.model.as_ref())?;
        if found == self.digest {
            return Ok(());
        }
        let (found, said) = (hexadecimal(&found), self.digest());
        Err(Error::invalid("verify", "the model file")
            .with_reason(format_args!("its body has the digest {found}, and the file says {said}"))
            .with_hint("the file was not written by this program; train the model again"))
    }
}

fn refused(reason: impl std::fmt::Display) -> Error {
    Error::invalid("read", "the model file").with_reason(reason)
}

fn cut_short(found: usize, wanted: usize) -> Error {
    refused(format_args!("it is cut short: {found} bytes of {wanted}")).with_hint("copy or train the model again")
}

/// The version of a file that begins as a model file does.
fn version(file: &[u8]) -> Result<u32> {
    let known = file.len().min(MAGIC.len());
    if file[..known] != MAGIC[..known] || file.is_empty() {
        return Err(refused("it does not begin as a model file does").with_hint("is this the right file?"));
    }
    let Some(version) = file.get(8..12) else { return Err(cut_short(file.len(), 12)) };
    match u32::from_le_bytes([version[0], version[1], version[2], version[3]]) {
        0 => Err(refused("it is damaged: version 0 was never written")),
        version @ ..=sections::VERSION => Ok(version),
        newer => Err(Error::new(ErrorKind::Unsupported, "read", "the model file")
            .with_reason(format_args!("it has version {newer}, and this program reads up to {}", sections::VERSION))
            .with_hint("use a newer datalake")),
    }
}

fn model_of(sections: &Sections) -> Result<Box<dyn Model>> {
    let head = sections.bytes(HEAD, 1)?;
    let mut reader = Reader::new(&head);
    let name = reader.text()?;
    let model = match name.as_str() {
        "forest" => Box::new(Forest::of_sections(&mut reader, sections)?),
        other => read_body(other, &mut reader)?,
    };
    reader.finish()?;
    Ok(model)
}

/// Reads the rest of a body of this kind.
fn read_body(name: &str, reader: &mut Reader<'_>) -> Result<Box<dyn Model>> {
    Ok(match name {
        "forest" => Box::new(Forest::read(reader)?),
        "dummy" => Box::new(Dummy::read(reader)?),
        "linear" => Box::new(LinearModel::read(reader, Task::Regression)?),
        "logistic" => Box::new(LinearModel::read(reader, Task::Classification)?),
        other => {
            return Err(Error::new(ErrorKind::Unsupported, "read", "the model file")
                .with_reason(format_args!("it holds a `{other}` model, which this program does not know"))
                .with_hint("use a newer datalake"));
        }
    })
}

#[cfg(test)]
mod tests;
