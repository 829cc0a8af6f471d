//! What a model file of version 2 is made of: a header, a table of sections, and the sections.
//!
//! ```text
//! header    magic "DLMODEL\n" | version u32 | sections u32 | length of the file u64 | SHA-256 of the model's body
//! table     of each section: name, 4 letters | packing u32 | offset u64 | length u64 | unpacked length u64
//!                            | CRC-32C u32 | 0 u32
//!           CRC-32C u32 of header and table
//! sections  each at a multiple of 64 bytes, in the order of the table, zeros between them
//! ```
//! Numbers are little-endian. Every byte is under a checksum or must be zero. A section of a name that is not known is
//! left alone, so that a file can say more without a new version.

use std::borrow::Cow;

use bytes::Bytes;
use rayon::prelude::*;

use super::blocks;
use super::{MAGIC, cut_short, refused};
use crate::error::Result;
use crate::ml::store::{Plain, Store};

/// The version that is written.
pub(super) const VERSION: u32 = 2;
const HEADER: usize = 8 + 4 + 4 + 8 + 32;
const ENTRY: usize = 4 + 4 + 8 + 8 + 8 + 4 + 4;
const ALIGNMENT: usize = 64;
/// More sections than any file has.
const MOST_SECTIONS: usize = 64;
/// How much of a section one thread checks at a time.
const PIECE: usize = 4 << 20;
/// How a section lies in the file: as it is.
const PLAIN: u32 = 0;
/// In compressed blocks.
const ZSTD: u32 = 1;

/// A section's name.
pub(crate) type Name = [u8; 4];

/// A section to be written.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    name: Name,
    packing: u32,
    /// The length before packing.
    length: usize,
    pieces: Vec<Cow<'a, [u8]>>,
}

impl<'a> Section<'a> {
    /// A section as it is, in pieces that follow each other.
    pub(crate) fn plain(name: Name, pieces: Vec<Cow<'a, [u8]>>) -> Self {
        let length = pieces.iter().map(|piece| piece.len()).sum();
        Self { name, packing: PLAIN, length, pieces }
    }

    /// The same in compressed blocks; its numbers take `stride` bytes each.
    pub(crate) fn compressed(self, stride: usize) -> Result<Self> {
        let packed = match &self.pieces[..] {
            [one] => blocks::compress(one, stride)?,
            pieces => blocks::compress(&pieces.concat(), stride)?,
        };
        // What is not made smaller stays as it is.
        if packed.len() >= self.length {
            return Ok(self);
        }
        Ok(Self { packing: ZSTD, pieces: vec![packed.into()], ..self })
    }

    fn stored(&self) -> usize {
        self.pieces.iter().map(|piece| piece.len()).sum()
    }

    fn checksum(&self) -> u32 {
        self.pieces.iter().fold(0, |sum, piece| crc32c::crc32c_combine(sum, checksum(piece), piece.len()))
    }
}

/// The CRC-32C of bytes, by many threads.
fn checksum(bytes: &[u8]) -> u32 {
    if bytes.len() <= PIECE {
        return crc32c::crc32c(bytes);
    }
    let sums: Vec<(u32, usize)> = bytes.par_chunks(PIECE).map(|piece| (crc32c::crc32c(piece), piece.len())).collect();
    sums.into_iter().fold(0, |sum, (next, length)| crc32c::crc32c_combine(sum, next, length))
}

/// Hands the bytes of a file to `sink`, one piece after the other.
pub(super) fn write(
    digest: [u8; 32],
    sections: &[Section<'_>],
    sink: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let table = HEADER + sections.len() * ENTRY + 4;
    let mut offsets = Vec::with_capacity(sections.len());
    let mut end = table;
    for section in sections {
        let offset = end.next_multiple_of(ALIGNMENT);
        offsets.push(offset);
        end = offset + section.stored();
    }
    let mut head = Vec::with_capacity(table);
    head.extend_from_slice(MAGIC);
    head.extend_from_slice(&VERSION.to_le_bytes());
    head.extend_from_slice(&(sections.len() as u32).to_le_bytes());
    head.extend_from_slice(&(end as u64).to_le_bytes());
    head.extend_from_slice(&digest);
    for (section, offset) in sections.iter().zip(&offsets) {
        head.extend_from_slice(&section.name);
        head.extend_from_slice(&section.packing.to_le_bytes());
        [*offset, section.stored(), section.length]
            .iter()
            .for_each(|number| head.extend_from_slice(&(*number as u64).to_le_bytes()));
        head.extend_from_slice(&section.checksum().to_le_bytes());
        head.extend_from_slice(&0_u32.to_le_bytes());
    }
    head.extend_from_slice(&crc32c::crc32c(&head).to_le_bytes());
    sink(&head)?;
    let mut at = head.len();
    for (section, offset) in sections.iter().zip(&offsets) {
        sink(&[0; ALIGNMENT][..offset - at])?;
        section.pieces.iter().try_for_each(|piece| sink(piece))?;
        at = offset + section.stored();
    }
    Ok(())
}

/// The sections of a file, whose checksums are right.
#[derive(Debug)]
pub(crate) struct Sections {
    file: Bytes,
    entries: Vec<Entry>,
    digest: [u8; 32],
}

#[derive(Debug, Clone)]
struct Entry {
    name: Name,
    packing: u32,
    begin: usize,
    end: usize,
    length: usize,
    checksum: u32,
}

fn damaged(reason: impl std::fmt::Display) -> crate::Error {
    refused(format_args!("it is damaged: {reason}")).with_hint("copy or train the model again")
}

/// A section's name as text.
fn text(name: Name) -> String {
    name.escape_ascii().to_string()
}

fn u32_at(file: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&file[at..at + 4]);
    u32::from_le_bytes(bytes)
}

fn usize_at(file: &[u8], at: usize) -> usize {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&file[at..at + 8]);
    // What is too large for this machine is beyond the end of any file on it.
    usize::try_from(u64::from_le_bytes(bytes)).unwrap_or(usize::MAX)
}

impl Sections {
    /// Checks a file whose magic and version are right.
    pub(super) fn read(file: Bytes) -> Result<Self> {
        if file.len() < HEADER {
            return Err(cut_short(file.len(), HEADER));
        }
        let count = u32_at(&file, 12) as usize;
        if count > MOST_SECTIONS {
            return Err(damaged(format_args!("it cannot have {count} sections")));
        }
        let table = HEADER + count * ENTRY;
        if file.len() < table + 4 {
            return Err(cut_short(file.len(), table + 4));
        }
        if crc32c::crc32c(&file[..table]) != u32_at(&file, table) {
            return Err(damaged("the checksum of its table does not match"));
        }
        let wanted = usize_at(&file, 16);
        if file.len() < wanted {
            return Err(cut_short(file.len(), wanted));
        }
        if file.len() > wanted {
            return Err(damaged(format_args!("{} bytes follow its end", file.len() - wanted)));
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(&file[24..HEADER]);
        let entries = file[HEADER..table].chunks_exact(ENTRY).map(entry).collect::<Result<Vec<_>>>()?;
        check_places(&file, table + 4, &entries)?;
        let sections = Self { file, entries, digest };
        sections.check_sums()?;
        Ok(sections)
    }

    fn check_sums(&self) -> Result<()> {
        self.entries.iter().try_for_each(|entry| {
            let found = checksum(&self.file[entry.begin..entry.end]);
            if found == entry.checksum {
                return Ok(());
            }
            Err(damaged(format_args!("the checksum of its section {} does not match", text(entry.name))))
        })
    }

    /// What the file says that its model's digest is.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// Each section's name, its length in the file, and its length when unpacked.
    pub(super) fn list(&self) -> impl Iterator<Item = (String, usize, usize)> {
        self.entries.iter().map(|entry| (text(entry.name), entry.end - entry.begin, entry.length))
    }

    /// Whether there is a section of this name.
    pub(crate) fn has(&self, name: Name) -> bool {
        self.entries.iter().any(|entry| entry.name == name)
    }

    /// The bytes of a section, those of the file itself where it is not packed; `stride` is what each of its numbers
    /// takes.
    pub(crate) fn bytes(&self, name: Name, stride: usize) -> Result<Bytes> {
        let Some(entry) = self.entries.iter().find(|entry| entry.name == name) else {
            return Err(damaged(format_args!("it has no section {}", text(name))));
        };
        let stored = self.file.slice(entry.begin..entry.end);
        match entry.packing {
            PLAIN => Ok(stored),
            _ => match blocks::decompress(&stored, entry.length, stride) {
                Ok(plain) => Ok(plain.into()),
                Err(reason) => Err(wrong(name, reason)),
            },
        }
    }

    /// The numbers of a section.
    pub(crate) fn numbers<T: Plain>(&self, name: Name) -> Result<Store<T>> {
        let bytes = self.bytes(name, size_of::<T>())?;
        let length = bytes.len();
        Store::of(bytes).ok_or_else(|| wrong(name, format_args!("{length} bytes are no numbers, or too many to hold")))
    }
}

#[cfg(any(test, feature = "testing"))]
impl Sections {
    /// Each section's name, and whether it is compressed.
    pub(super) fn packed(&self) -> impl Iterator<Item = (Name, bool)> {
        self.entries.iter().map(|entry| (entry.name, entry.packing != PLAIN))
    }
}

/// Makes the checksums of a file good, as far as their places can be found.
#[cfg(any(test, feature = "testing"))]
pub(super) fn seal(file: &mut [u8]) {
    if file.len() < HEADER {
        return;
    }
    let table = HEADER + (u32_at(file, 12) as usize).min(MOST_SECTIONS) * ENTRY;
    if file.len() < table + 4 {
        return;
    }
    for entry in (HEADER..table).step_by(ENTRY) {
        let (begin, stored) = (usize_at(file, entry + 8), usize_at(file, entry + 16));
        let section = begin.checked_add(stored).and_then(|end| file.get(begin..end));
        if let Some(sum) = section.map(crc32c::crc32c) {
            file[entry + 32..entry + 36].copy_from_slice(&sum.to_le_bytes());
        }
    }
    let sum = crc32c::crc32c(&file[..table]);
    file[table..table + 4].copy_from_slice(&sum.to_le_bytes());
}

/// The error for a section whose content no writer makes.
pub(crate) fn wrong(name: Name, reason: impl std::fmt::Display) -> crate::Error {
    refused(format_args!("its section {} is wrong: {reason}", text(name)))
        .with_hint("the file was not written by this program; train the model again")
}

fn entry(bytes: &[u8]) -> Result<Entry> {
    let name = [bytes[0], bytes[1], bytes[2], bytes[3]];
    let (begin, stored, length) = (usize_at(bytes, 8), usize_at(bytes, 16), usize_at(bytes, 24));
    let packing = u32_at(bytes, 4);
    let Some(end) = begin.checked_add(stored) else {
        return Err(damaged(format_args!("its section {} cannot be so long", text(name))));
    };
    let whole = match packing {
        PLAIN => stored == length,
        ZSTD => true,
        _ => false,
    };
    if !whole || u32_at(bytes, 36) != 0 {
        return Err(damaged(format_args!("its section {} is packed in no known way", text(name))));
    }
    Ok(Entry { name, packing, begin, end, length, checksum: u32_at(bytes, 32) })
}

/// Sections follow each other, aligned, with nothing but a few zeros between them, to the end of the file.
fn check_places(file: &[u8], mut at: usize, entries: &[Entry]) -> Result<()> {
    for (number, entry) in entries.iter().enumerate() {
        if entries[..number].iter().any(|other| other.name == entry.name) {
            return Err(damaged(format_args!("it has two sections {}", text(entry.name))));
        }
        if entry.begin != at.next_multiple_of(ALIGNMENT) || entry.end > file.len() {
            return Err(damaged(format_args!("its section {} is not where it must be", text(entry.name))));
        }
        if file[at..entry.begin].iter().any(|byte| *byte != 0) {
            return Err(damaged(format_args!("something stands before its section {}", text(entry.name))));
        }
        at = entry.end;
    }
    if at == file.len() { Ok(()) } else { Err(damaged("something follows its last section")) }
}
