//! Parts a node's sorted keys by the sides of their rows, sixteen at a time where there are vectors of 512 bits.

use super::block::MOST_ROWS;

/// Every number that a row of a block may have, and no other number of twelve bits.
pub(super) const LEFTS: usize = (MOST_ROWS + 1).next_power_of_two();

/// By row of a block: one if it goes left, else zero.
pub(super) type Lefts = [u8; LEFTS];

/// Brings the keys whose rows go left to the front; both sides stay in their order. `spare` is no shorter than `keys`.
pub(super) fn part_keys(keys: &mut [u32], side: &Lefts, spare: &mut [u32]) {
    let spare = &mut spare[..keys.len()];
    #[cfg(target_arch = "x86_64")]
    let (done, mut left) = if super::pack::has_avx512() {
        // SAFETY: the features were detected, and both are of the same length.
        unsafe { part_sixteens(keys, side, spare) }
    } else {
        (0, 0)
    };
    #[cfg(not(target_arch = "x86_64"))]
    let (done, mut left) = (0, 0);
    // Every key is written to both sides, so that no branch has to be foretold.
    for index in done..keys.len() {
        let key = keys[index];
        keys[left] = key;
        spare[index - left] = key;
        left = left.wrapping_add(usize::from(side[key as usize % LEFTS]));
    }
    let right = keys.len() - left;
    keys[left..].copy_from_slice(&spare[..right]);
}

/// Parts all but the last few keys: those of the left to the front of `keys`, others to that of `spare`. Gives how many
/// it has parted, and how many of them go left.
///
/// # Safety
/// The machine has AVX-512 F and POPCNT, and `spare` is as long as `keys`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,popcnt")]
unsafe fn part_sixteens(keys: &mut [u32], side: &Lefts, spare: &mut [u32]) -> (usize, usize) {
    use std::arch::x86_64::{_mm512_loadu_si512, _mm512_maskz_compress_epi32, _mm512_storeu_si512};
    let whole = keys.len() - keys.len() % 16;
    let mut left = 0;
    for begin in (0..whole).step_by(16) {
        // Sixteen loads take less than one gathering them.
        let sides = keys[begin..begin + 16].iter().enumerate();
        let mask = sides.fold(0, |mask, (bit, key)| mask | u16::from(side[*key as usize % LEFTS]) << bit);
        // SAFETY: `left` and `begin - left` are at most `begin`, so that both stores end where the load does or before,
        // within `keys` and `spare`; the keys that are overwritten are loaded.
        unsafe {
            let group = _mm512_loadu_si512(keys.as_ptr().add(begin).cast());
            let (on_left, on_right) =
                (_mm512_maskz_compress_epi32(mask, group), _mm512_maskz_compress_epi32(!mask, group));
            _mm512_storeu_si512(keys.as_mut_ptr().add(left).cast(), on_left);
            _mm512_storeu_si512(spare.as_mut_ptr().add(begin - left).cast(), on_right);
        }
        left += mask.count_ones() as usize;
    }
    (whole, left)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn both_sides_keep_their_order(
            (rows, tail) in (prop::collection::vec((0_u32..MOST_ROWS as u32, 0_u32..1 << 12), 0..200), 0_usize..20),
            lefts in prop::collection::vec(any::<bool>(), LEFTS),
        ) {
            let mut side = [0; LEFTS];
            side.iter_mut().zip(&lefts).for_each(|(side, left)| *side = u8::from(*left));
            let mut keys: Vec<u32> = rows.iter().map(|(row, rank)| rank << 16 | row).collect();
            let (mut expected, right): (Vec<u32>, Vec<u32>) =
                keys.iter().partition(|key| lefts[(**key & 0xFFFF) as usize]);
            expected.extend(right);
            let mut spare = vec![0; keys.len() + tail];
            part_keys(&mut keys, &side, &mut spare);
            prop_assert_eq!(keys, expected);
        }
    }
}
