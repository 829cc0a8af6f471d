//! The model file: a body that the digest names, an envelope around it, and a checksum over both.
//!
//! ```text
//! magic "DLMODEL\n" | version u32 | body length u64 | envelope length u64 | body | envelope | SHA-256 of all before
//! ```
//! Numbers are little-endian. The body is the model's kind and its canonical encoding (schema, parameters, what was
//! learnt); the envelope is JSON and free to change: metrics, lineage, time and notes never reach the digest.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use super::codec::{Reader, Writer};
use super::dummy::Dummy;
use super::forest::Forest;
use super::weights::LinearModel;
use super::{Model, Task};
use crate::error::{Error, ErrorKind, Result};

const MAGIC: &[u8; 8] = b"DLMODEL\n";
/// The newest version that this program reads, and the one that it writes.
const VERSION: u32 = 1;
const HEADER: usize = 8 + 4 + 8 + 8;
const CHECKSUM: usize = 32;

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

/// The SHA-256 of a model's body, in hexadecimal: the same wherever and with however many threads it was trained.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for a model that cannot be saved.
pub fn digest(model: &dyn Model) -> Result<String> {
    Ok(hexadecimal(&Sha256::digest(body_of(model)?)))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn body_of(model: &dyn Model) -> Result<Vec<u8>> {
    let mut writer = Writer::default();
    writer.text(model.name());
    let mut body = writer.finish();
    body.extend(model.body()?);
    Ok(body)
}

/// The model file's bytes.
///
/// # Errors
/// [`Unsupported`](ErrorKind::Unsupported) for a model that cannot be saved.
pub fn encode(model: &dyn Model, envelope: &Envelope) -> Result<Vec<u8>> {
    let body = body_of(model)?;
    let envelope = serde_json::to_vec(envelope)
        .map_err(|cause| Error::internal("write", "a model's envelope").with_source(cause))?;
    let mut file = Vec::with_capacity(HEADER + body.len() + envelope.len() + CHECKSUM);
    file.extend_from_slice(MAGIC);
    file.extend_from_slice(&VERSION.to_le_bytes());
    file.extend_from_slice(&(body.len() as u64).to_le_bytes());
    file.extend_from_slice(&(envelope.len() as u64).to_le_bytes());
    file.extend_from_slice(&body);
    file.extend_from_slice(&envelope);
    let checksum = Sha256::digest(&file);
    file.extend_from_slice(&checksum);
    Ok(file)
}

/// Reads a model file.
///
/// # Errors
/// [`Invalid`](ErrorKind::Invalid) for what is no model file, cut short or damaged;
/// [`Unsupported`](ErrorKind::Unsupported) for one that a newer program wrote.
pub fn decode(file: &[u8]) -> Result<(Box<dyn Model>, Envelope)> {
    let (body, envelope) = open(file)?;
    let model = decode_body(body)?;
    let envelope = serde_json::from_slice(envelope)
        .map_err(|cause| refused("the envelope is not what this program writes").with_source(cause))?;
    Ok((model, envelope))
}

fn refused(reason: impl std::fmt::Display) -> Error {
    Error::invalid("read", "the model file").with_reason(reason)
}

fn cut_short(found: usize, wanted: usize) -> Error {
    refused(format_args!("it is cut short: {found} bytes of {wanted}")).with_hint("copy or train the model again")
}

fn number(file: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&file[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Checks everything around the body and the envelope, and gives both.
fn open(file: &[u8]) -> Result<(&[u8], &[u8])> {
    let known = file.len().min(MAGIC.len());
    if file[..known] != MAGIC[..known] || file.is_empty() {
        return Err(refused("it does not begin as a model file does").with_hint("is this the right file?"));
    }
    if file.len() < HEADER {
        return Err(cut_short(file.len(), HEADER));
    }
    check_version(u32::from_le_bytes([file[8], file[9], file[10], file[11]]))?;
    let lengths = number(file, 12).checked_add(number(file, 20)).and_then(|sum| usize::try_from(sum).ok());
    let wanted = lengths.and_then(|sum| sum.checked_add(HEADER + CHECKSUM));
    let Some(wanted) = wanted else { return Err(refused("it is damaged: its lengths cannot be right")) };
    if file.len() < wanted {
        return Err(cut_short(file.len(), wanted));
    }
    if file.len() > wanted {
        return Err(refused(format_args!("it is damaged: {} bytes follow its end", file.len() - wanted)));
    }
    let (content, checksum) = file.split_at(wanted - CHECKSUM);
    if Sha256::digest(content)[..] != *checksum {
        return Err(refused("it is damaged: the checksum does not match").with_hint("copy or train the model again"));
    }
    Ok(content[HEADER..].split_at(number(file, 12) as usize))
}

fn check_version(version: u32) -> Result<()> {
    match version {
        VERSION => Ok(()),
        0 => Err(refused("it is damaged: version 0 was never written")),
        newer => Err(Error::new(ErrorKind::Unsupported, "read", "the model file")
            .with_reason(format_args!("it has version {newer}, and this program reads up to {VERSION}"))
            .with_hint("use a newer datalake")),
    }
}

fn decode_body(body: &[u8]) -> Result<Box<dyn Model>> {
    let mut reader = Reader::new(body);
    let name = reader.text()?;
    let model: Box<dyn Model> = match name.as_str() {
        "forest" => Box::new(Forest::read(&mut reader)?),
        "dummy" => Box::new(Dummy::read(&mut reader)?),
        "linear" => Box::new(LinearModel::read(&mut reader, Task::Regression)?),
        "logistic" => Box::new(LinearModel::read(&mut reader, Task::Classification)?),
        other => {
            return Err(Error::new(ErrorKind::Unsupported, "read", "the model file")
                .with_reason(format_args!("it holds a `{other}` model, which this program does not know"))
                .with_hint("use a newer datalake"));
        }
    };
    reader.finish()?;
    Ok(model)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::ml::conformance::{FEATURES, foods};
    use crate::ml::{Frame, trainer};
    use crate::progress::Silent;

    fn model(name: &str, task: Task) -> Box<dyn Model> {
        let target = if task == Task::Regression { "kcal" } else { "group" };
        let frame = Frame::new(&foods(60, 1), &FEATURES, target, task).unwrap();
        let params = if name == "forest" { json!({ "n_estimators": 3 }) } else { Value::Null };
        trainer(name, task, &params).unwrap().train(&frame, &Silent).unwrap()
    }

    fn file() -> Vec<u8> {
        encode(model("forest", Task::Regression).as_ref(), &Envelope::default().with_note("small")).unwrap()
    }

    fn refusal(file: &[u8]) -> String {
        decode(file).unwrap_err().to_string()
    }

    /// The checksum made good again: what lies behind it must not rely on it.
    fn resealed(mut file: Vec<u8>) -> Vec<u8> {
        let end = file.len() - CHECKSUM;
        let checksum = Sha256::digest(&file[..end]);
        file[end..].copy_from_slice(&checksum);
        file
    }

    #[test]
    fn a_file_cut_short_says_so_at_every_length() {
        let file = file();
        assert!(refusal(b"").contains("does not begin as a model file does"));
        assert!(refusal(b"PAR1....").contains("does not begin as a model file does"));
        for length in 1..file.len() {
            assert!(refusal(&file[..length]).contains("cut short"), "{length}");
        }
    }

    #[test]
    fn one_changed_byte_is_found_wherever_it_is() {
        let file = file();
        for at in (0..file.len()).step_by(7) {
            let mut damaged = file.clone();
            damaged[at] ^= 0x10;
            assert!(decode(&damaged).is_err(), "byte {at}");
        }
        let mut longer = file;
        longer.push(0);
        assert!(refusal(&longer).contains("1 bytes follow its end"));
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut file = file();
        file[8] = 9;
        let error = decode(&resealed(file)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert_eq!(error.reason(), Some("it has version 9, and this program reads up to 1"));
    }

    #[test]
    fn the_envelope_never_reaches_the_digest() {
        let model = model("dummy", Task::Classification);
        let (again, envelope) =
            decode(&encode(model.as_ref(), &Envelope::default().with_created("2024-05-01T00:00:00Z")).unwrap())
                .unwrap();
        assert_eq!(envelope.created.as_deref(), Some("2024-05-01T00:00:00Z"));
        assert_eq!(digest(again.as_ref()).unwrap(), digest(model.as_ref()).unwrap());
    }

    #[test]
    fn a_model_without_a_file_format_says_so() {
        let error = encode(model("linfa-trees", Task::Classification).as_ref(), &Envelope::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        /// Whoever writes a checksum too can write anything: it is refused, or it predicts.
        #[test]
        fn hostile_files_do_no_harm(kind in 0..5_usize, changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
            let (name, task) = [
                ("forest", Task::Regression),
                ("forest", Task::Classification),
                ("dummy", Task::Classification),
                ("linear", Task::Regression),
                ("logistic", Task::Classification),
            ][kind];
            let mut file = encode(model(name, task).as_ref(), &Envelope::default()).unwrap();
            let length = file.len();
            changes.iter().for_each(|(at, byte)| file[at.index(length)] = *byte);
            if let Ok((model, _)) = decode(&resealed(file)) {
                let _ = model.predict(&foods(5, 2));
                let _ = model.predict_proba(&foods(5, 2));
                let _ = model.importances();
            }
        }
    }
}
