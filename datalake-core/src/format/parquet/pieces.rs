//! What is written in pieces of one size, so that each can go elsewhere while the next is made.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};

use bytes::Bytes;

/// How many bytes are a piece; fewer where the next write would be cut.
const PIECE: usize = 1024 * 1024;

/// Where bytes are written to.
pub(super) struct Pieces {
    made: Sender<Bytes>,
    piece: Vec<u8>,
}

/// What is written to, and the pieces that were made of it.
pub(super) fn pieces() -> (Pieces, Receiver<Bytes>) {
    let (made, pieces) = channel();
    (Pieces { made, piece: Vec::new() }, pieces)
}

impl Pieces {
    /// What was written behind the last whole piece.
    pub(super) fn rest(&mut self) -> Bytes {
        std::mem::take(&mut self.piece).into()
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.piece.is_empty() && self.piece.len() + bytes.len() > PIECE {
            // Where there was one there are others.
            let whole = std::mem::replace(&mut self.piece, Vec::with_capacity(PIECE));
            self.made.send(whole.into()).map_err(io::Error::other)?;
        }
        self.piece.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_all_that_was_written() {
        let all: Vec<u8> = (0..5 * PIECE / 2).map(|byte| byte as u8).collect();
        for lengths in [vec![1], vec![8191, 3], vec![PIECE - 1, 2], vec![PIECE], vec![PIECE + 1, 1], vec![all.len()]] {
            let (mut writer, made) = pieces();
            let mut rest = all.as_slice();
            for length in lengths.iter().cycle() {
                let (now, later) = rest.split_at((*length).min(rest.len()));
                writer.write_all(now).unwrap();
                rest = later;
                if rest.is_empty() {
                    break;
                }
            }
            let last = writer.rest();
            let pieces: Vec<Bytes> = made.try_iter().chain([last]).collect();
            assert!(pieces.concat() == all, "{lengths:?}");
            assert!(pieces.iter().all(|piece| piece.len() <= PIECE.max(lengths[0])), "{lengths:?}");
        }
    }
}
