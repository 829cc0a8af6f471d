//! The members of a zip archive: where they lie, and which of them are the table that is read.

use std::cell::Cell;
use std::collections::HashSet;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use zip::{CompressionMethod, ZipArchive};

use super::compression::{Compression, Inflate};
use super::detect;
use super::options::ReadOptions;
use super::source::Input;
use crate::compute;
use crate::error::{Error, ErrorKind, Result};

/// How much of an archive's end is looked at first: a comment of the longest kind, and what stands before and behind it.
const TAIL: u64 = 128 * 1024;
/// The longest list of members that is read.
const DIRECTORY_MOST: u64 = 256 * 1024 * 1024;
/// How many members an error names.
const NAMED: usize = 12;

/// A file in an archive.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) name: Arc<str>,
    /// Where its header stands, before its bytes.
    pub(crate) header: u64,
    /// How many bytes it has there.
    pub(crate) packed: u64,
    /// How many it has unpacked, and their checksum.
    pub(crate) plain: u64,
    pub(crate) crc: u32,
    method: Method,
    is_encrypted: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Deflate,
    Known(Compression),
    Other(u16),
}

impl Member {
    /// What unpacks it.
    pub(crate) fn inflate(&self) -> io::Result<Inflate> {
        match self.method {
            Method::Deflate => Ok(Inflate::deflate()),
            Method::Known(compression) => Inflate::new(compression),
            Method::Other(_) => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    /// Finds where its bytes begin, from those that begin with its header.
    pub(crate) fn begin(&self, bytes: &[u8]) -> Option<usize> {
        let length = |at: usize| Some(usize::from(u16::from_le_bytes([*bytes.get(at)?, *bytes.get(at + 1)?])));
        let begin = 30 + length(26)? + length(28)?;
        (bytes.starts_with(b"PK\x03\x04") && begin <= bytes.len()).then_some(begin)
    }

    /// A byte that does not come before its last one: if its header is as long as most, or as any can be.
    pub(crate) fn end(&self, is_longest: bool) -> u64 {
        let header = if is_longest { 30 + 2 * u64::from(u16::MAX) } else { 30 + self.name.len() as u64 + 256 };
        self.header.saturating_add(header).saturating_add(self.packed)
    }

    /// Whether it is hidden, or left by a system.
    fn is_hidden(&self) -> bool {
        let file = file_name(&self.name);
        self.name.split('/').any(|folder| folder == "__MACOSX") || file.starts_with(['.', '_'])
    }
}

fn file_name(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// The members that are read as one text: the one asked for, or the only one, or all where one can follow the other.
pub(crate) async fn members(input: &Input, options: &ReadOptions) -> Result<Vec<Member>> {
    let all = directory(input).await?;
    let chosen = choose(input, all, options)?;
    for member in &chosen {
        let refuse = |kind, reason: &dyn std::fmt::Display| {
            Error::new(kind, "read", format_args!("member `{}` of {}", member.name, input.name())).with_reason(reason)
        };
        if member.is_encrypted {
            return Err(refuse(ErrorKind::Unsupported, &"it is encrypted")
                .with_hint("unpack the archive with its password first"));
        }
        if let Method::Other(method) = member.method {
            let name = CompressionMethod::name_from_u16(method);
            return Err(refuse(ErrorKind::Unsupported, &format_args!("it is packed by method {method} ({name})"))
                .with_hint("pack it by deflate, bzip2, zstd or xz"));
        }
        if Compression::of_name(&member.name).0 != Compression::None {
            return Err(
                refuse(ErrorKind::Unsupported, &"it is compressed itself").with_hint("unpack the archive first")
            );
        }
    }
    Ok(chosen)
}

fn choose(input: &Input, all: Vec<Member>, options: &ReadOptions) -> Result<Vec<Member>> {
    let visible = |all: Vec<Member>| all.into_iter().filter(|member| !member.is_hidden()).collect::<Vec<_>>();
    if let Some(wanted) = &options.member {
        let is_wanted = |member: &&Member| *member.name == **wanted;
        if let Some(found) = all.iter().find(is_wanted) {
            return Ok(vec![found.clone()]);
        }
        return Err(Error::not_found("find", format_args!("member `{wanted}` of {}", input.name()))
            .with_hint(format_args!("its members are {}", names(&visible(all)))));
    }
    let members = visible(all);
    let refuse = |reason: String| {
        Error::invalid("read", input.name())
            .with_reason(reason)
            .with_hint(format_args!("choose one, `member = \"NAME\"`; its members are {}", names(&members)))
    };
    let suffix = |member: &Member| {
        file_name(&member.name).rsplit_once('.').map(|(_, suffix)| suffix.to_ascii_lowercase()).unwrap_or_default()
    };
    let Some(first) = members.first() else {
        return Err(Error::invalid("read", input.name()).with_reason("there is no file in the archive"));
    };
    if members.len() == 1 {
        return Ok(members);
    }
    if members.iter().any(|member| suffix(member) != suffix(first)) {
        return Err(refuse(format!("it has {} members, which are not all of one format", members.len())));
    }
    let format = match &options.format {
        Some(name) => detect::format(name),
        None => detect::by_name(&first.name),
    };
    match format.map(|format| format.name()) {
        Some("csv" | "ndjson") => Ok(members),
        Some(format) => {
            Err(refuse(format!("it has {} members, and one {format} cannot follow another", members.len())))
        }
        None => Err(refuse(format!("it has {} members, whose names do not tell their format", members.len()))),
    }
}

/// Names for a message.
fn names(members: &[Member]) -> String {
    let mut names: Vec<String> = members.iter().take(NAMED).map(|member| format!("`{}`", member.name)).collect();
    if members.len() > NAMED {
        names.push(format!("{} more", members.len() - NAMED));
    }
    names.join(", ")
}

/// Reads the list of files at the archive's end.
async fn directory(input: &Input) -> Result<Vec<Member>> {
    let mut start = input.size().saturating_sub(TAIL);
    let mut bytes = input.range(start..input.size()).await?;
    if memchr::memmem::rfind(&bytes, b"PK\x05\x06").is_none() {
        return Err(Error::invalid("read", input.name())
            .with_reason(format_args!(
                "the archive is cut short after {} bytes: its list of members is missing",
                input.size()
            ))
            .with_hint("fetch or write the file again"));
    }
    loop {
        let (tail, size) = (bytes.clone(), input.size());
        match compute::run(move || Ok(listed(tail, start, size))).await? {
            Ok(members) => return Ok(members),
            Err(Trouble::Missed(from)) if input.size() - from <= DIRECTORY_MOST && from < start => {
                // Twice as much at least, lest it be asked for bit by bit.
                let from = from.min(start.saturating_sub(bytes.len() as u64));
                let before = input.range(from..start).await?;
                bytes = [before, bytes].concat().into();
                start = from;
            }
            Err(Trouble::Doubled) => {
                return Err(Error::invalid("read", input.name())
                    .with_reason("two of its members have the same name")
                    .with_hint("unpack the archive, and read the files"));
            }
            Err(Trouble::Broken(cause)) => return Err(damaged(input, &cause)),
            Err(Trouble::Missed(_)) => return Err(damaged(input, "its list of members is longer than may be")),
        }
    }
}

fn damaged(input: &Input, cause: &str) -> Error {
    Error::invalid("read", input.name())
        .with_reason(format_args!("the archive is damaged: {cause}"))
        .with_hint("fetch or write the file again")
}

#[expect(deprecated, reason = "it says nothing else of methods that it does not unpack")]
fn number(method: CompressionMethod) -> u16 {
    method.to_u16()
}

/// The end of an archive, for a reader that goes where it likes in the whole.
struct Tail {
    bytes: Bytes,
    start: u64,
    size: u64,
    at: u64,
    /// The first place before the end that was asked for.
    missed: Rc<Cell<Option<u64>>>,
}

/// Why there is no list.
enum Trouble {
    /// More is needed, from this byte on.
    Missed(u64),
    Broken(String),
    /// Two have the same name.
    Doubled,
}

/// The files of an archive of this size, whose last bytes begin at `start`.
fn listed(bytes: Bytes, start: u64, size: u64) -> Result<Vec<Member>, Trouble> {
    let tail = Tail { bytes, start, size, at: 0, missed: Rc::default() };
    let missed = Rc::clone(&tail.missed);
    let trouble = |cause: zip::result::ZipError| match missed.get() {
        Some(from) => Trouble::Missed(from),
        None => Trouble::Broken(cause.to_string()),
    };
    let archive = ZipArchive::new(tail).map_err(trouble)?;
    // What was not there yet may have been passed over as damaged.
    if let Some(from) = missed.get() {
        return Err(Trouble::Missed(from));
    }
    if archive.has_duplicate_names() {
        // Of two with one name only one could be read.
        return Err(Trouble::Doubled);
    }
    let mut members = Vec::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_data(index).map_err(trouble)?;
        let name = entry.name().map_err(trouble)?;
        if entry.is_dir() {
            continue;
        }
        let method = match number(entry.compression()) {
            0 => Method::Known(Compression::None),
            8 => Method::Deflate,
            12 => Method::Known(Compression::Bzip2),
            93 => Method::Known(Compression::Zstd),
            95 => Method::Known(Compression::Xz),
            other => Method::Other(other),
        };
        members.push(Member {
            name: name.replace('\\', "/").into(),
            header: entry.header_start(),
            packed: entry.compressed_size(),
            plain: entry.size(),
            crc: entry.crc32(),
            method,
            is_encrypted: entry.encrypted(),
        });
    }
    let names: HashSet<&str> = members.iter().map(|member| &*member.name).collect();
    if names.len() < members.len() { Err(Trouble::Doubled) } else { Ok(members) }
}

impl Read for Tail {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.at >= self.size {
            return Ok(0);
        }
        let Some(at) = self.at.checked_sub(self.start) else {
            self.missed.set(Some(self.missed.get().map_or(self.at, |missed| missed.min(self.at))));
            return Err(io::Error::other("not fetched yet"));
        };
        let rest = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..)).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Tail {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.size.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
