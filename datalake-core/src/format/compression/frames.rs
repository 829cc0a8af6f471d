//! Cuts streams of snappy and of LZ4 into whole frames: their decoders pull, and take what is not there yet for the end.

use std::io::{self, Read};

use lz4_flex::frame::FrameDecoder as Lz4Decoder;
use snap::read::FrameDecoder as SnappyDecoder;

/// Bytes that a decoder pulls: some whole frames and no more.
#[derive(Default)]
struct Feed {
    bytes: Vec<u8>,
    taken: usize,
}

impl Read for Feed {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = (&self.bytes[self.taken..]).read(buffer)?;
        self.taken += read;
        Ok(read)
    }
}

impl Feed {
    fn put(&mut self, bytes: &[u8]) {
        self.bytes.drain(..std::mem::take(&mut self.taken));
        self.bytes.extend_from_slice(bytes);
    }

    fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }
}

/// Gathers a unit of a stream, and says how long it is once its first bytes are there.
#[derive(Default)]
struct Unit {
    bytes: Vec<u8>,
    /// How much of what comes is passed over.
    skipped: u64,
}

impl Unit {
    /// Takes of `input` what is still wanted for a unit of `length` bytes; says how much, and whether that is all.
    fn fill(&mut self, input: &[u8], length: usize) -> (usize, bool) {
        let taken = input.len().min(length.saturating_sub(self.bytes.len()));
        self.bytes.extend_from_slice(&input[..taken]);
        (taken, self.bytes.len() >= length)
    }

    /// Passes over; says how much.
    fn skip(&mut self, input: &[u8]) -> usize {
        let taken = usize::try_from(self.skipped).unwrap_or(usize::MAX).min(input.len());
        self.skipped -= taken as u64;
        taken
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty() && self.skipped == 0
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// Gives all that a decoder makes of what it was fed.
fn drain<R: Read>(decoder: &mut R, is_fed: impl Fn(&R) -> bool, output: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let start = output.len();
        output.resize(start + 64 * 1024, 0);
        let read = decoder.read(&mut output[start..]);
        output.truncate(start + *read.as_ref().unwrap_or(&0));
        // A frame may hold nothing.
        if read? == 0 && !is_fed(decoder) {
            return Ok(());
        }
    }
}

/// Unpacks snappy in frames.
pub(crate) struct SnappyFrames {
    unit: Unit,
    decoder: SnappyDecoder<Feed>,
}

impl Default for SnappyFrames {
    fn default() -> Self {
        Self { unit: Unit::default(), decoder: SnappyDecoder::new(Feed::default()) }
    }
}

impl SnappyFrames {
    /// The longest frame: a checksum, and 64 KiB that could not be compressed, with what snappy adds to them.
    const LONGEST: u32 = 4 + 76_490;

    /// See [`Inflate::step`](super::Inflate::step).
    pub(crate) fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> io::Result<usize> {
        if self.unit.skipped > 0 {
            return Ok(self.unit.skip(input));
        }
        let mut length = 4;
        if let [_, a, b, c, ..] = self.unit.bytes[..] {
            length += u32::from_le_bytes([a, b, c, 0]) as usize;
        }
        let (taken, is_whole) = self.unit.fill(input, length);
        if !is_whole {
            return Ok(taken);
        }
        match self.unit.bytes[..] {
            // The head of a frame that may be passed over.
            [0x80..=0xfe, a, b, c] => {
                self.unit.skipped = u64::from(u32::from_le_bytes([a, b, c, 0]));
                self.unit.bytes.clear();
            }
            [_, a, b, c] if u32::from_le_bytes([a, b, c, 0]) > Self::LONGEST => {
                return Err(damaged("a frame is longer than may be"));
            }
            // A head without a body is whole, and wrong.
            [_, a, b, c] if [a, b, c] != [0; 3] => {}
            _ => {
                self.decoder.get_mut().put(&self.unit.bytes);
                self.unit.bytes.clear();
                drain(&mut self.decoder, |decoder| !decoder.get_ref().is_empty(), output)?;
            }
        }
        Ok(taken)
    }

    pub(crate) fn is_between(&self) -> bool {
        self.unit.is_empty()
    }
}

/// Unpacks LZ4 in frames.
pub(crate) struct Lz4Frames {
    unit: Unit,
    decoder: Lz4Decoder<Feed>,
    /// Of the frame that is open: its flags, and the longest block.
    open: Option<(u8, usize)>,
}

impl Default for Lz4Frames {
    fn default() -> Self {
        Self { unit: Unit::default(), decoder: Lz4Decoder::new(Feed::default()), open: None }
    }
}

impl Lz4Frames {
    const BLOCK_CHECKSUM: u8 = 1 << 4;
    const CONTENT_SIZE: u8 = 1 << 3;
    const CONTENT_CHECKSUM: u8 = 1 << 2;
    const DICTIONARY: u8 = 1;

    /// See [`Inflate::step`](super::Inflate::step).
    pub(crate) fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> io::Result<usize> {
        if self.unit.skipped > 0 {
            return Ok(self.unit.skip(input));
        }
        let length = self.wanted()?;
        let (taken, is_whole) = self.unit.fill(input, length);
        // What was wanted may tell that more is.
        if !is_whole || self.wanted()? > length {
            return Ok(taken);
        }
        let unit = &self.unit.bytes;
        match (self.open, &unit[..]) {
            (None, [0x50..=0x5f, 0x2a, 0x4d, 0x18, a, b, c, d]) => {
                self.unit.skipped = u64::from(u32::from_le_bytes([*a, *b, *c, *d]));
                self.unit.bytes.clear();
                return Ok(taken);
            }
            (None, [_, _, _, _, flags, sizes, ..]) => {
                let longest = match (sizes >> 4) & 7 {
                    4 => 64 * 1024,
                    5 => 256 * 1024,
                    6 => 1024 * 1024,
                    7 => 4 * 1024 * 1024,
                    _ => return Err(damaged("a frame says no size of its blocks")),
                };
                self.open = Some((*flags, longest));
            }
            (Some(_), [0, 0, 0, 0, ..]) => self.open = None,
            _ => {}
        }
        self.decoder.get_mut().put(&self.unit.bytes);
        self.unit.bytes.clear();
        drain(&mut self.decoder, |decoder| !decoder.get_ref().is_empty(), output)?;
        Ok(taken)
    }

    /// How many bytes the unit has, as far as can be told.
    fn wanted(&self) -> io::Result<usize> {
        let unit = &self.unit.bytes[..];
        let has = |flags: u8, flag, length| if flags & flag == 0 { 0 } else { length };
        match (self.open, unit) {
            (None, [0x04, 0x22, 0x4d, 0x18, flags, ..]) => {
                Ok(7 + has(*flags, Self::CONTENT_SIZE, 8) + has(*flags, Self::DICTIONARY, 4))
            }
            (None, [0x04, 0x22, 0x4d, 0x18]) => Ok(5),
            (None, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) => Ok(8),
            (None, [_, _, _, _, ..]) => Err(damaged("it is no LZ4 frame")),
            (Some((flags, _)), [0, 0, 0, 0, ..]) => Ok(4 + has(flags, Self::CONTENT_CHECKSUM, 4)),
            (Some((flags, longest)), [a, b, c, d, ..]) => {
                // The highest bit says that the block is not compressed.
                let length = (u32::from_le_bytes([*a, *b, *c, *d]) & 0x7fff_ffff) as usize;
                if length > longest {
                    return Err(damaged("a block is longer than its frame allows"));
                }
                Ok(4 + length + has(flags, Self::BLOCK_CHECKSUM, 4))
            }
            _ => Ok(4),
        }
    }

    pub(crate) fn is_between(&self) -> bool {
        self.open.is_none() && self.unit.is_empty()
    }
}
