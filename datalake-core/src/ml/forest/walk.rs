//! Walks sixteen rows at a time through a tree of numeric splits, where the machine has vectors of 512 bits.

use std::arch::x86_64::{
    __m512i, __mmask16, _CMP_LE_OQ, _CMP_UNORD_Q, _mm512_add_epi32, _mm512_castsi512_ps, _mm512_cmp_ps_mask,
    _mm512_i32gather_epi32, _mm512_mask_add_epi32, _mm512_mask_i32gather_epi32, _mm512_mask_mov_epi32,
    _mm512_mullo_epi32, _mm512_set1_epi32, _mm512_setr_epi32, _mm512_setzero_si512, _mm512_slli_epi32,
    _mm512_srli_epi32, _mm512_storeu_si512, _mm512_test_epi32_mask,
};

use super::node::{FEATURE_SHIFT, LEFT_IS_LEAF, MISSING_LEFT, Node, RIGHT_IS_LEAF};
use super::pack::has_avx512;

/// Rows of one vector.
pub(super) const LANES: usize = 16;
/// Vectors under way together, so that one need not wait for the memory of the other.
const TOGETHER: usize = 2;
/// Rows that are walked together.
pub(super) const ROWS: usize = LANES * TOGETHER;

/// Whether a tree of so many splits and features can be walked here: the machine has the vectors, and words are
/// numbered by 31 bits.
pub(super) fn suits(splits: usize, features: usize) -> bool {
    const MOST: usize = i32::MAX as usize;
    splits > 0 && splits <= MOST / 3 - 2 && features <= MOST / LANES && has_avx512()
}

/// The leaves that rows end in; `rows` has `features` words each of [`ROWS`] rows.
///
/// # Safety
/// [`suits`] says yes. Every split's children are splits or leaves, none is categorical, and each names one of the
/// `features`.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn leaves(splits: &[Node], rows: &[u32], features: usize, found: &mut [u32; ROWS]) {
    assert!(rows.len() >= ROWS * features && !splits.is_empty());
    let nodes: *const i32 = splits.as_ptr().cast();
    let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    let offsets = _mm512_mullo_epi32(lanes, _mm512_set1_epi32(features as i32));
    let mut at = [_mm512_setzero_si512(); TOGETHER];
    let mut leaf = [_mm512_setzero_si512(); TOGETHER];
    let mut open: [__mmask16; TOGETHER] = [__mmask16::MAX; TOGETHER];
    while open != [0; TOGETHER] {
        for vector in 0..TOGETHER {
            // SAFETY: lanes that are open stand at a split, and each split names a feature of the row.
            let base: *const i32 = unsafe { rows.as_ptr().add(vector * LANES * features) }.cast();
            let (next, arrived, number) = unsafe { step(nodes, base, offsets, at[vector], open[vector]) };
            leaf[vector] = _mm512_mask_mov_epi32(leaf[vector], open[vector] & arrived, number);
            at[vector] = next;
            open[vector] &= !arrived;
        }
    }
    for (vector, leaf) in leaf.into_iter().enumerate() {
        // SAFETY: there is room for all lanes of all vectors.
        unsafe { _mm512_storeu_si512(found.as_mut_ptr().add(vector * LANES).cast(), leaf) };
    }
}

/// One step of the open lanes: the next splits, the lanes that arrive at a leaf, and the numbers of the leaves.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn step(
    nodes: *const i32,
    base: *const i32,
    offsets: __m512i,
    at: __m512i,
    open: __mmask16,
) -> (__m512i, __mmask16, __m512i) {
    let zero = _mm512_setzero_si512();
    let one = _mm512_set1_epi32(1);
    // Three words a node.
    let word = _mm512_add_epi32(at, _mm512_slli_epi32::<1>(at));
    // SAFETY: see `leaves`.
    let [head, payload, link] =
        [0, 1, 2].map(|place| unsafe { _mm512_mask_i32gather_epi32::<4>(zero, open, word, nodes.add(place)) });
    let feature = _mm512_add_epi32(_mm512_srli_epi32::<FEATURE_SHIFT>(head), offsets);
    // SAFETY: closed lanes name the first feature.
    let value = _mm512_castsi512_ps(unsafe { _mm512_i32gather_epi32::<4>(feature, base) });
    let has = |bit: u32| _mm512_test_epi32_mask(head, _mm512_set1_epi32(bit.cast_signed()));
    let below = _mm512_cmp_ps_mask::<_CMP_LE_OQ>(value, _mm512_castsi512_ps(payload));
    let missing = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(value, value);
    let left = below | (missing & has(MISSING_LEFT));
    let (left_leaf, right_leaf) = (has(LEFT_IS_LEAF), has(RIGHT_IS_LEAF));
    let next = _mm512_mask_add_epi32(link, left | left_leaf, at, one);
    let number = _mm512_mask_add_epi32(link, !left & left_leaf, link, one);
    (next, (left & left_leaf) | (!left & right_leaf), number)
}
