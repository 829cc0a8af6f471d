//! Lines from the middle and the end of a text whose types are guessed from its beginning: what a guess runs into late costs a
//! whole attempt, which a short look can save.
//!
//! It is a hint and no more. A line in the middle may begin within a quoted field, and what is read of it be anything; then the
//! types are found from the whole of the text, which is slower and never wrong.

use super::schema::Misfit;
use super::source::Input;
use crate::error::{Error, Result};

/// How many bytes are looked at in each place.
const PIECE: u64 = 64 * 1024;

/// Whole lines from the middle and from the end.
pub(crate) async fn pieces(input: &Input) -> Result<Vec<Vec<u8>>> {
    let size = input.size();
    let (middle, end) = (size / 2, size.saturating_sub(PIECE).max(size / 2));
    let mut pieces = Vec::new();
    for range in [middle..(middle + PIECE).min(end), end..size] {
        if range.is_empty() {
            continue;
        }
        let is_end = range.end == size;
        let piece = input.range(range).await?;
        let Some(begin) = memchr::memchr(b'\n', &piece) else { continue };
        let until = if is_end { piece.len() } else { memchr::memrchr(b'\n', &piece).map_or(begin, |last| last) + 1 };
        if begin + 1 < until {
            pieces.push(piece[begin + 1..until].to_vec());
        }
    }
    Ok(pieces)
}

/// What ends a read whose types will not do for what is ahead.
pub(crate) fn misfit(input: &Input) -> Error {
    Error::invalid("read", input.name())
        .with_reason("the types that were found from its beginning do not fit what follows")
        .with_hint("have types found from the whole source")
        .with_source(Misfit)
}
