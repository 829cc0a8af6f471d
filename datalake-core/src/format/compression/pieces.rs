//! Gzip on all threads: one member, packed in pieces of the text that know nothing of one another.
//!
//! A piece ends at a byte, with an empty block; so what is written depends on the text alone, not on threads. What pieces
//! cannot take from the text before them costs less than a hundredth.

use std::io;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// How much text is packed by itself.
pub(super) const PIECE: usize = 1024 * 1024;

/// No file name and no time; the system is unknown.
const HEADER: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

/// A stretch of what is written.
#[derive(Debug)]
pub(crate) enum Stretch {
    /// As it is.
    Ready(Vec<u8>),
    /// Text to be packed, on any thread.
    Gzip { text: Vec<u8>, level: u32, is_first: bool, is_last: bool },
}

/// A stretch that is packed.
#[derive(Debug)]
pub(crate) struct Packed {
    bytes: Vec<u8>,
    /// The checksum of its text, and whether it is the last of its member.
    sum: Option<(Crc, bool)>,
}

impl From<Vec<u8>> for Packed {
    fn from(bytes: Vec<u8>) -> Self {
        Self { bytes, sum: None }
    }
}

impl Stretch {
    /// Packs it.
    pub(crate) fn pack(self) -> io::Result<Packed> {
        match self {
            Self::Ready(bytes) => Ok(bytes.into()),
            Self::Gzip { text, level, is_first, is_last } => {
                let mut bytes = Vec::with_capacity(text.len() / 4 + 64);
                if is_first {
                    bytes.extend(HEADER);
                }
                deflate(&text, level, is_last, &mut bytes)?;
                let mut crc = Crc::new();
                crc.update(&text);
                Ok(Packed { bytes, sum: Some((crc, is_last)) })
            }
        }
    }
}

fn deflate(text: &[u8], level: u32, is_last: bool, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut stream = Compress::new(Compression::new(level), false);
    let flush = if is_last { FlushCompress::Finish } else { FlushCompress::Sync };
    loop {
        // With room to spare, all that is to be flushed was.
        bytes.reserve(64 * 1024);
        let taken = stream.total_in() as usize;
        let status = stream.compress_vec(&text[taken..], bytes, flush)?;
        let has_room = bytes.len() < bytes.capacity();
        match status {
            Status::StreamEnd => return Ok(()),
            Status::Ok | Status::BufError if !is_last && has_room && stream.total_in() as usize == text.len() => {
                return Ok(());
            }
            _ => {}
        }
    }
}

/// Ends members, as their stretches come in order.
#[derive(Debug, Default)]
pub(crate) struct Seal {
    crc: Crc,
}

impl Seal {
    /// The bytes of a stretch, with what ends the member.
    pub(crate) fn take(&mut self, packed: Packed) -> Vec<u8> {
        let Packed { mut bytes, sum } = packed;
        if let Some((crc, is_last)) = sum {
            self.crc.combine(&crc);
            if is_last {
                bytes.extend(self.crc.sum().to_le_bytes());
                bytes.extend(self.crc.amount().to_le_bytes());
                self.crc = Crc::new();
            }
        }
        bytes
    }
}
