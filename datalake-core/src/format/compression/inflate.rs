//! Unpacks compressed bytes a piece at a time: bytes in, bytes out, in bounded memory.

use std::fmt::{self, Debug};
use std::io::{self, Write};

use bzip2::{Decompress as Bunzip, Status as BzipStatus};
use flate2::write::MultiGzDecoder;
use flate2::{Decompress as Unflate, FlushDecompress, Status as FlateStatus};
use liblzma::stream::{Action, CONCATENATED, Error as XzError, Status as XzStatus, Stream as XzStream};
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

use super::Compression;
use super::frames::{Lz4Frames, SnappyFrames};

/// How much is decompressed at a time at most, and how much compressed input is taken for it.
const STEP: usize = 64 * 1024;
/// Deflate packs at most about 1,000 to 1: so little input cannot become more than a few megabytes.
const GZIP_STEP: usize = 4 * 1024;
/// How much memory xz may take: four times what its highest level needs.
const XZ_MEMORY: u64 = 256 * 1024 * 1024;

/// Takes compressed bytes and gives what they hold.
pub(crate) enum Inflate {
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<Unzstd>),
    Stepwise(Box<Stepwise>),
    Snappy(Box<SnappyFrames>),
    Lz4(Box<Lz4Frames>),
}

/// A zstd stream, and whether it is within a frame.
pub(crate) struct Unzstd {
    decoder: ZstdDecoder<'static>,
    within: bool,
}

/// A stream whose decoder may have taken all input and still have more output than there was room for.
pub(crate) struct Stepwise {
    decoder: Stream,
    /// Whether the first byte of the next input was taken already: it was kept back so that there is a next input.
    hostage: bool,
}

enum Stream {
    /// Deflate by itself, as in archives; whether its end was seen.
    Deflate(Unflate, bool),
    /// Bzip2; none before and between streams.
    Bzip2(Option<Bunzip>),
    Xz(XzStream),
}

impl Inflate {
    pub(crate) fn new(compression: Compression) -> io::Result<Self> {
        let stepwise = |decoder| Self::Stepwise(Box::new(Stepwise { decoder, hostage: false }));
        Ok(match compression {
            Compression::None => Self::Plain,
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Compression::Zstd => Self::Zstd(Box::new(Unzstd { decoder: ZstdDecoder::new()?, within: false })),
            Compression::Bzip2 => stepwise(Stream::Bzip2(None)),
            Compression::Xz => {
                stepwise(Stream::Xz(XzStream::new_stream_decoder(XZ_MEMORY, CONCATENATED).map_err(of_xz)?))
            }
            Compression::Snappy => Self::Snappy(Box::default()),
            Compression::Lz4 => Self::Lz4(Box::default()),
            Compression::Zip => return Err(io::Error::other("an archive is unpacked member by member")),
        })
    }

    /// Deflate without what gzip has around it.
    pub(crate) fn deflate() -> Self {
        Self::Stepwise(Box::new(Stepwise { decoder: Stream::Deflate(Unflate::new(false), false), hostage: false }))
    }

    /// Whether bytes stay as they are.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Decompresses from `input` (not empty) to the end of `output`; says how many bytes of `input` were taken. What was not
    /// taken must come first the next time.
    pub(crate) fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Self::Plain => {
                let piece = &input[..input.len().min(STEP)];
                output.extend_from_slice(piece);
                Ok(piece.len())
            }
            Self::Gzip(decoder) => {
                let taken = decoder.write(&input[..input.len().min(GZIP_STEP)])?;
                output.append(decoder.get_mut());
                Ok(taken)
            }
            Self::Zstd(stream) => stream.step(input, output),
            Self::Stepwise(stream) => stream.step(input, output),
            Self::Snappy(frames) => frames.step(input, output),
            Self::Lz4(frames) => frames.step(input, output),
        }
    }

    /// Says that no input follows; the last bytes go to `output`.
    pub(crate) fn finish(&mut self, output: &mut Vec<u8>) -> io::Result<()> {
        let is_whole = match self {
            Self::Plain => true,
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                output.append(decoder.get_mut());
                true
            }
            Self::Zstd(stream) => !stream.within,
            Self::Stepwise(stream) => match &mut stream.decoder {
                Stream::Deflate(_, has_ended) => *has_ended,
                Stream::Bzip2(stream) => stream.is_none(),
                Stream::Xz(stream) => {
                    stream.process(&[], &mut [0; 1], Action::Finish).map_err(of_xz)? == XzStatus::StreamEnd
                }
            },
            Self::Snappy(frames) => frames.is_between(),
            Self::Lz4(frames) => frames.is_between(),
        };
        if is_whole { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Unzstd {
    fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> io::Result<usize> {
        let start = output.len();
        output.resize(start + STEP, 0);
        let mut from = InBuffer::around(input);
        let mut to = OutBuffer::around(&mut output[start..]);
        let left = self.decoder.run(&mut from, &mut to)?;
        let (taken, given) = (from.pos(), to.pos());
        output.truncate(start + given);
        self.within = left != 0;
        Ok(taken)
    }
}

impl Stepwise {
    fn step(&mut self, input: &[u8], output: &mut Vec<u8>) -> io::Result<usize> {
        let start = output.len();
        output.resize(start + STEP, 0);
        let skip = usize::from(self.hostage);
        let (taken, given, has_ended) = self.decoder.run(&input[skip..], &mut output[start..])?;
        output.truncate(start + given);
        let taken = skip + taken;
        self.hostage = given == STEP && taken == input.len() && !has_ended;
        Ok(taken - usize::from(self.hostage))
    }
}

impl Stream {
    /// Decompresses; says how much was taken and given, and whether that was the end.
    fn run(&mut self, input: &[u8], output: &mut [u8]) -> io::Result<(usize, usize, bool)> {
        match self {
            Self::Deflate(_, true) if !input.is_empty() => Err(io::ErrorKind::InvalidData.into()),
            Self::Deflate(stream, has_ended) => {
                let before = (stream.total_in(), stream.total_out());
                let status = stream.decompress(input, output, FlushDecompress::None)?;
                *has_ended |= status == FlateStatus::StreamEnd;
                Ok(moved(before, (stream.total_in(), stream.total_out()), *has_ended))
            }
            Self::Bzip2(open) => {
                let stream = open.get_or_insert_with(|| Bunzip::new(false));
                let before = (stream.total_in(), stream.total_out());
                let status = stream.decompress(input, output).map_err(of_bzip2)?;
                let has_ended = status == BzipStatus::StreamEnd;
                let moved = moved(before, (stream.total_in(), stream.total_out()), has_ended);
                if has_ended {
                    *open = None;
                }
                Ok(moved)
            }
            Self::Xz(stream) => {
                let before = (stream.total_in(), stream.total_out());
                stream.process(input, output, Action::Run).map_err(of_xz)?;
                Ok(moved(before, (stream.total_in(), stream.total_out()), false))
            }
        }
    }
}

/// What was taken and given between two counts.
fn moved(before: (u64, u64), after: (u64, u64), has_ended: bool) -> (usize, usize, bool) {
    // No more than there was room for in memory.
    ((after.0 - before.0) as usize, (after.1 - before.1) as usize, has_ended)
}

fn of_bzip2(error: bzip2::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn of_xz(error: XzError) -> io::Error {
    let kind = match error {
        XzError::MemLimit | XzError::Mem => io::ErrorKind::OutOfMemory,
        _ => io::ErrorKind::InvalidData,
    };
    io::Error::new(kind, error)
}

impl Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
            Self::Stepwise(_) => "Stepwise",
            Self::Snappy(_) => "Snappy",
            Self::Lz4(_) => "Lz4",
        })
    }
}
