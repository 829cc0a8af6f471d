//! How a node parts its rows: by a threshold, or by a set of categories.

use crate::ml::feature::{Feature, FeatureKind, MISSING};

/// How a node parts its rows.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Split {
    /// Values up to the threshold go left.
    Numeric { feature: u32, threshold: f32, missing_left: bool },
    /// Categories whose bit is set go left.
    Categorical { feature: u32, left: Vec<u64>, missing_left: bool },
}

impl Split {
    pub(super) fn feature(&self) -> usize {
        match self {
            Self::Numeric { feature, .. } | Self::Categorical { feature, .. } => *feature as usize,
        }
    }

    /// Sends missing values to a side.
    pub(super) fn send_missing(&mut self, to_left: bool) {
        match self {
            Self::Numeric { missing_left, .. } | Self::Categorical { missing_left, .. } => *missing_left = to_left,
        }
    }

    /// Moves a category, or the missing ones, to the other side.
    pub(super) fn toggle(&mut self, code: u32) {
        match self {
            Self::Categorical { left, .. } if code != MISSING => left[(code / 64) as usize] ^= 1 << (code % 64),
            Self::Numeric { missing_left, .. } | Self::Categorical { missing_left, .. } => {
                *missing_left = !*missing_left;
            }
        }
    }

    /// Where a row with these bits in the split's feature goes. Growing and predicting both ask here.
    pub(super) fn goes_left(&self, bits: u32) -> bool {
        match self {
            Self::Numeric { threshold, missing_left, .. } => number_goes_left(bits, *threshold, *missing_left),
            Self::Categorical { left, missing_left, .. } => category_goes_left(bits, left, *missing_left),
        }
    }
}

pub(super) fn number_goes_left(bits: u32, threshold: f32, missing_left: bool) -> bool {
    let value = f32::from_bits(bits);
    (value <= threshold) | (value.is_nan() & missing_left)
}

pub(super) fn category_goes_left(code: u32, left: &[u64], missing_left: bool) -> bool {
    if code == MISSING { missing_left } else { left[(code / 64) as usize] >> (code % 64) & 1 == 1 }
}

/// The words of a set of so many categories.
pub(super) fn set_words(categories: usize) -> usize {
    categories.div_ceil(64)
}

/// How many categories a feature has; none for numbers.
pub(super) fn categories_of(feature: &Feature) -> Option<usize> {
    match &feature.kind {
        FeatureKind::Numeric { .. } => None,
        FeatureKind::Categorical { categories } => Some(categories.len()),
    }
}
