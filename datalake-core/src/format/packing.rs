//! What stands between the bytes of a source and its text: compression, encoding, the members of an archive.

use std::collections::VecDeque;
use std::io;
use std::ops::Range;
use std::sync::Arc;

use encoding_rs::Encoding;

use super::archive::{self, Member};
use super::compression::{Compression, Inflate};
use super::detect;
use super::encoding;
use super::options::ReadOptions;
use super::source::Input;
use crate::error::Result;

/// How the bytes of a source become text.
#[derive(Debug, Clone)]
pub(crate) struct Packing {
    compression: Compression,
    /// As it was declared.
    encoding: Option<&'static Encoding>,
    /// Of an archive: what is read, one after the other.
    members: Arc<[Member]>,
}

/// A stretch of a source that is unpacked by itself.
#[derive(Debug)]
pub(crate) enum Part {
    /// These bytes.
    Range(Range<u64>),
    /// A file of an archive.
    Member(Member),
}

impl Packing {
    /// By the options, and by the source's first bytes.
    pub(crate) async fn of(input: &Input, options: &ReadOptions) -> Result<Self> {
        let compression = detect::compression(input, options).await?;
        let encoding = options.encoding.as_deref().map(encoding::of_label).transpose()?;
        let members = match compression {
            Compression::Zip => archive::members(input, options).await?,
            _ => Vec::new(),
        };
        Ok(Self { compression, encoding, members: members.into() })
    }

    /// The encoding that was declared.
    pub(crate) fn encoding(&self) -> Option<&'static Encoding> {
        self.encoding
    }

    /// What is read, one after the other.
    pub(crate) fn parts(&self, input: &Input) -> VecDeque<Part> {
        match self.compression {
            Compression::Zip => self.members.iter().cloned().map(Part::Member).collect(),
            _ => [Part::Range(0..input.size())].into(),
        }
    }

    /// Whether the text is what is stored, as far as is known before it is read.
    pub(crate) fn is_as_stored(&self) -> bool {
        self.compression == Compression::None && self.encoding.is_none()
    }

    /// Whether several files are read as one.
    pub(crate) fn is_several(&self) -> bool {
        self.members.len() > 1
    }

    /// The name of the file in the archive; of the first, if there are several.
    pub(crate) fn member(&self) -> Option<&str> {
        self.members.first().map(|member| &*member.name)
    }

    /// What unpacks a part.
    pub(crate) fn inflate(&self, part: &Part) -> io::Result<Inflate> {
        match part {
            Part::Range(_) => Inflate::new(self.compression),
            Part::Member(member) => member.inflate(),
        }
    }
}

#[cfg(test)]
mod tests;
