//! Gzip and zstd around text, a piece at a time: bytes in, bytes out, in bounded memory.

use std::fmt::{self, Debug};
use std::io::{self, Write};

use flate2::write::{GzEncoder, MultiGzDecoder};
use serde::{Deserialize, Serialize};
use zstd::stream::raw::{Decoder as ZstdDecoder, InBuffer, Operation, OutBuffer};

/// What a text file is compressed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// Nothing.
    None,
    /// Gzip, of one member or several.
    Gzip,
    /// Zstandard, of one frame or several.
    Zstd,
}

impl Compression {
    /// The compression that a file name's suffix stands for, and the name without it.
    pub(crate) fn of_name(name: &str) -> (Self, &str) {
        let known = [(".gz", Self::Gzip), (".gzip", Self::Gzip), (".zst", Self::Zstd), (".zstd", Self::Zstd)];
        for (suffix, compression) in known {
            if let Some(rest) = strip_suffix_ignoring_case(name, suffix) {
                return (compression, rest);
            }
        }
        (Self::None, name)
    }

    /// The compression that a file's first bytes stand for.
    pub(crate) fn of_bytes(bytes: &[u8]) -> Self {
        match bytes {
            [0x1f, 0x8b, ..] => Self::Gzip,
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Self::Zstd,
            _ => Self::None,
        }
    }
}

fn strip_suffix_ignoring_case<'a>(name: &'a str, suffix: &str) -> Option<&'a str> {
    let cut = name.len().checked_sub(suffix.len())?;
    let (rest, end) = name.split_at_checked(cut)?;
    end.eq_ignore_ascii_case(suffix).then_some(rest)
}

/// How much is decompressed at a time at most, and how much compressed input is taken for it.
const STEP: usize = 64 * 1024;
/// Deflate packs at most about 1,000 to 1: so little input cannot become more than a few megabytes.
const GZIP_STEP: usize = 4 * 1024;

/// Takes compressed bytes and gives what they hold.
pub(crate) enum Inflate {
    Plain,
    Gzip(Box<MultiGzDecoder<Vec<u8>>>),
    Zstd(Box<Unzstd>),
}

/// A zstd stream, and whether it is within a frame.
pub(crate) struct Unzstd {
    decoder: ZstdDecoder<'static>,
    within: bool,
}

impl Inflate {
    pub(crate) fn new(compression: Compression) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain,
            Compression::Gzip => Self::Gzip(Box::new(MultiGzDecoder::new(Vec::new()))),
            Compression::Zstd => Self::Zstd(Box::new(Unzstd { decoder: ZstdDecoder::new()?, within: false })),
        })
    }

    /// Whether bytes stay as they are.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain)
    }

    /// Decompresses from `input` (not empty) to the end of `output`; says how many bytes of `input` were taken.
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
        }
    }

    /// Says that no input follows; the last bytes go to `output`.
    pub(crate) fn finish(&mut self, output: &mut Vec<u8>) -> io::Result<()> {
        match self {
            Self::Plain => Ok(()),
            Self::Gzip(decoder) => {
                decoder.try_finish()?;
                output.append(decoder.get_mut());
                Ok(())
            }
            Self::Zstd(stream) if stream.within => Err(io::ErrorKind::UnexpectedEof.into()),
            Self::Zstd(_) => Ok(()),
        }
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

impl Debug for Inflate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "Plain",
            Self::Gzip(_) => "Gzip",
            Self::Zstd(_) => "Zstd",
        })
    }
}

/// Takes bytes and gives them compressed.
pub(crate) enum Deflate {
    Plain(Vec<u8>),
    // No file name and no time in the header: the same bytes give the same file.
    Gzip(GzEncoder<Vec<u8>>),
    Zstd(zstd::Encoder<'static, Vec<u8>>),
}

impl Deflate {
    pub(crate) fn new(compression: Compression, zstd_level: i32) -> io::Result<Self> {
        Ok(match compression {
            Compression::None => Self::Plain(Vec::new()),
            Compression::Gzip => Self::Gzip(GzEncoder::new(Vec::new(), flate2::Compression::default())),
            Compression::Zstd => Self::Zstd(zstd::Encoder::new(Vec::new(), zstd_level)?),
        })
    }

    /// Whether bytes stay as they are, and none is kept back.
    pub(crate) fn is_plain(&self) -> bool {
        matches!(self, Self::Plain(buffer) if buffer.is_empty())
    }

    /// Takes bytes; gives those that are ready.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> io::Result<Vec<u8>> {
        let ready = match self {
            Self::Plain(buffer) => {
                buffer.extend_from_slice(bytes);
                buffer
            }
            Self::Gzip(encoder) => {
                encoder.write_all(bytes)?;
                encoder.get_mut()
            }
            Self::Zstd(encoder) => {
                encoder.write_all(bytes)?;
                encoder.get_mut()
            }
        };
        Ok(std::mem::take(ready))
    }

    /// Gives the last bytes.
    pub(crate) fn finish(self) -> io::Result<Vec<u8>> {
        match self {
            Self::Plain(buffer) => Ok(buffer),
            Self::Gzip(encoder) => encoder.finish(),
            Self::Zstd(encoder) => encoder.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pack(compression: Compression, pieces: &[&[u8]]) -> Vec<u8> {
        let mut deflate = Deflate::new(compression, 1).unwrap();
        let mut packed = Vec::new();
        for piece in pieces {
            packed.extend(deflate.push(piece).unwrap());
        }
        packed.extend(deflate.finish().unwrap());
        packed
    }

    fn unpack(compression: Compression, packed: &[u8], piece: usize) -> io::Result<Vec<u8>> {
        let mut inflate = Inflate::new(compression)?;
        let mut plain = Vec::new();
        for mut rest in packed.chunks(piece) {
            while !rest.is_empty() {
                let taken = inflate.step(rest, &mut plain)?;
                rest = &rest[taken..];
            }
        }
        inflate.finish(&mut plain)?;
        Ok(plain)
    }

    #[test]
    fn several_members_are_one_text() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let mut packed = pack(compression, &[b"a,b\n"]);
            packed.extend(pack(compression, &[b"1,", b"2\n"]));
            for piece in [1, 7, 1000] {
                assert_eq!(unpack(compression, &packed, piece).unwrap(), b"a,b\n1,2\n");
            }
        }
    }

    #[test]
    fn a_cut_anywhere_is_an_error() {
        for compression in [Compression::Gzip, Compression::Zstd] {
            let packed = pack(compression, &[b"some text that is long enough, long enough\n"]);
            for length in 1..packed.len() {
                assert!(unpack(compression, &packed[..length], 5).is_err(), "{compression:?} cut at {length}");
            }
        }
    }

    #[test]
    fn a_bomb_is_unpacked_in_small_steps() {
        let zeros = vec![0; 50_000_000];
        for compression in [Compression::Gzip, Compression::Zstd] {
            let packed = pack(compression, &[&zeros]);
            let (mut inflate, mut rest, mut total) = (Inflate::new(compression).unwrap(), &packed[..], 0);
            while !rest.is_empty() {
                let mut plain = Vec::new();
                let taken = inflate.step(rest, &mut plain).unwrap();
                assert!(plain.len() <= 8_000_000);
                total += plain.len();
                rest = &rest[taken..];
            }
            let mut last = Vec::new();
            inflate.finish(&mut last).unwrap();
            assert_eq!(total + last.len(), zeros.len());
        }
    }

    #[test]
    fn suffixes_and_magic_bytes_are_known() {
        assert_eq!(Compression::of_name("a.csv.GZ"), (Compression::Gzip, "a.csv"));
        assert_eq!(Compression::of_name("a.csv"), (Compression::None, "a.csv"));
        assert_eq!(Compression::of_bytes(&pack(Compression::Zstd, &[b"x"])), Compression::Zstd);
        assert_eq!(Compression::of_bytes(&pack(Compression::Gzip, &[b"x"])), Compression::Gzip);
    }

    proptest! {
        #[test]
        fn what_is_packed_comes_back(text: Vec<u8>, piece in 1usize..50) {
            for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                prop_assert_eq!(&unpack(compression, &pack(compression, &[&text]), piece).unwrap(), &text);
            }
        }

        #[test]
        fn garbage_never_panics(garbage: Vec<u8>) {
            for compression in [Compression::Gzip, Compression::Zstd] {
                let _ = unpack(compression, &garbage, 16);
            }
        }
    }
}
