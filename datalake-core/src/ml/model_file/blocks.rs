//! Compressed sections: blocks of their own, so that many threads read them, their bytes sorted by place in the number.
//!
//! ```text
//! number of blocks u32 | compressed length u32 of each | the blocks | zeros
//! ```
//! A block is what zstd makes of one [`BLOCK`] of the section. Of each number's bytes the first come first, then all the
//! second ones, and so on: those are alike, and zstd finds it. Zeros make a section long enough for [`MOST_RATIO`].

use rayon::prelude::*;

use crate::error::{Error, Result};

/// The length of a block before it is compressed; the last one may be shorter.
const BLOCK: usize = 1 << 20;
/// Nothing grows more than this when it is read: who makes a file decides over its own length, not over our memory.
const MOST_RATIO: usize = 256;
/// The level of zstd: higher ones take several times as long for two hundredths less.
const LEVEL: i32 = 3;

/// Compresses a section whose numbers take `stride` bytes each.
pub(super) fn compress(plain: &[u8], stride: usize) -> Result<Vec<u8>> {
    let blocks = plain
        .par_chunks(BLOCK)
        .map(|block| {
            zstd::bulk::compress(&planes(block, stride), LEVEL)
                .map_err(|cause| Error::internal("compress", "a section of a model file").with_source(cause))
        })
        .collect::<Result<Vec<_>>>()?;
    let mut stored = Vec::with_capacity(4 + blocks.iter().map(|block| block.len() + 4).sum::<usize>());
    stored.extend_from_slice(&(blocks.len() as u32).to_le_bytes());
    blocks.iter().for_each(|block| stored.extend_from_slice(&(block.len() as u32).to_le_bytes()));
    blocks.iter().for_each(|block| stored.extend_from_slice(block));
    stored.resize(stored.len().max(plain.len().div_ceil(MOST_RATIO)), 0);
    Ok(stored)
}

/// Reads a section of `length` bytes back; the reason where that is not what is there.
pub(super) fn decompress(stored: &[u8], length: usize, stride: usize) -> Result<Vec<u8>, String> {
    if length / MOST_RATIO > stored.len() {
        return Err(format!("{} bytes cannot become {length}", stored.len()));
    }
    let blocks = parts(stored, length.div_ceil(BLOCK))?;
    let mut plain = Vec::new();
    plain.try_reserve_exact(length).map_err(|_| format!("there is no memory for its {length} bytes"))?;
    plain.resize(length, 0);
    plain.par_chunks_mut(BLOCK).zip(blocks).try_for_each(|(plain, block)| {
        let mut sorted = vec![0; plain.len()];
        match zstd::bulk::decompress_to_buffer(block, &mut sorted) {
            Ok(found) if found == plain.len() => join(&sorted, plain, stride),
            Ok(found) => return Err(format!("a block has {found} bytes of {}", plain.len())),
            Err(cause) => return Err(format!("a block is not what zstd writes: {cause}")),
        }
        Ok(())
    })?;
    Ok(plain)
}

/// The blocks of a section that should have so many.
fn parts(stored: &[u8], count: usize) -> Result<Vec<&[u8]>, String> {
    let number =
        |at: usize| stored.get(at..at + 4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    if number(0).map(|found| found as usize) != Some(count) {
        return Err(format!("it has not the {count} blocks of its length"));
    }
    let mut rest = stored.get(4 + 4 * count..).ok_or("it ends within the lengths of its blocks")?;
    let mut blocks = Vec::with_capacity(count);
    for block in 0..count {
        let length = number(4 + 4 * block).unwrap_or(u32::MAX) as usize;
        if length > rest.len() {
            return Err(format!("block {block} ends behind the section"));
        }
        let (block, others) = rest.split_at(length);
        blocks.push(block);
        rest = others;
    }
    if rest.iter().any(|byte| *byte != 0) {
        return Err("something follows its blocks".to_owned());
    }
    Ok(blocks)
}

/// The bytes by their place in a number; what is left at the end stays as it is.
fn planes(plain: &[u8], stride: usize) -> Vec<u8> {
    let count = plain.len() / stride;
    let mut sorted = Vec::with_capacity(plain.len());
    for place in 0..stride {
        sorted.extend(plain[..count * stride].iter().skip(place).step_by(stride));
    }
    sorted.extend_from_slice(&plain[count * stride..]);
    sorted
}

/// The other way round.
fn join(sorted: &[u8], plain: &mut [u8], stride: usize) {
    let count = plain.len() / stride;
    let (whole, rest) = plain.split_at_mut(count * stride);
    if count > 0 {
        for (place, plane) in sorted[..count * stride].chunks_exact(count).enumerate() {
            whole[place..].iter_mut().step_by(stride).zip(plane).for_each(|(byte, from)| *byte = *from);
        }
    }
    rest.copy_from_slice(&sorted[count * stride..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn long_sections_come_back() {
        let plain: Vec<u8> = (0..3 * BLOCK as u32 + 77).map(|at| (at.wrapping_mul(at) >> 7) as u8).collect();
        for stride in [1, 4, 8, 12] {
            assert_eq!(decompress(&compress(&plain, stride).unwrap(), plain.len(), stride).unwrap(), plain);
        }
    }

    #[test]
    fn what_grows_beyond_all_measure_is_refused() {
        let zeros = vec![0; 5 * BLOCK];
        let stored = compress(&zeros, 8).unwrap();
        assert_eq!(stored.len(), zeros.len() / MOST_RATIO);
        assert_eq!(decompress(&stored, zeros.len(), 8).unwrap(), zeros);
        assert!(decompress(&stored, usize::MAX, 8).unwrap_err().contains("cannot become"));
        assert!(decompress(&stored, zeros.len() + 1, 8).unwrap_err().contains("6 blocks"));
        assert!(decompress(&stored, zeros.len() - 1, 8).is_err());
    }

    proptest! {
        #[test]
        fn any_section_comes_back(plain: Vec<u8>, stride in 1_usize..13) {
            prop_assert_eq!(decompress(&compress(&plain, stride).unwrap(), plain.len(), stride).unwrap(), plain);
        }

        #[test]
        fn any_bytes_are_read_or_refused(stored: Vec<u8>, length in 0_usize..5000, stride in 1_usize..13) {
            let _ = decompress(&stored, length, stride);
        }
    }
}
