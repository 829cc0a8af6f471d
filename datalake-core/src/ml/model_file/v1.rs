//! Reads model files of version 1: one body, one envelope, and a checksum over both.
//!
//! ```text
//! magic "DLMODEL\n" | version u32 | body length u64 | envelope length u64 | body | envelope | SHA-256 of all before
//! ```

use sha2::{Digest, Sha256};

use super::{ModelFile, cut_short, read_body, refused};
use crate::error::Result;
use crate::ml::Model;
use crate::ml::codec::Reader;

pub(super) const VERSION: u32 = 1;
const HEADER: usize = 8 + 4 + 8 + 8;
const CHECKSUM: usize = 32;

/// Reads a file whose magic and version are right.
pub(super) fn read(file: &[u8]) -> Result<ModelFile> {
    let (body, envelope) = open(file)?;
    let model = decode_body(body)?;
    let envelope = serde_json::from_slice(envelope)
        .map_err(|cause| refused("the envelope is not what this program writes").with_source(cause))?;
    let digest = Sha256::digest(body).into();
    Ok(ModelFile { model, envelope, digest, version: VERSION, size: file.len() as u64, parts: Vec::new() })
}

fn number(file: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&file[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Checks everything around the body and the envelope, and gives both.
fn open(file: &[u8]) -> Result<(&[u8], &[u8])> {
    if file.len() < HEADER {
        return Err(cut_short(file.len(), HEADER));
    }
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

/// Reads a body that says of which kind it is.
pub(super) fn decode_body(body: &[u8]) -> Result<Box<dyn Model>> {
    let mut reader = Reader::new(body);
    let name = reader.text()?;
    let model = read_body(&name, &mut reader)?;
    reader.finish()?;
    Ok(model)
}
