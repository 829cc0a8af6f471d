//! The numbers of a column, in the precision that they came in and, where that can be, in the buffer.

use std::borrow::Cow;

use arrow::array::{Array, ArrayRef, ArrowPrimitiveType, AsArray, PrimitiveArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float32Type, Float64Type};

use crate::error::{Error, Result};

/// The numbers of a column: NaN is missing, zero is never negative, infinities do not occur.
///
/// A column of floats without nulls shares its buffer with the array that it was read from.
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// In 32 bits, which is what a forest sees of any number.
    Single(ScalarBuffer<f32>),
    /// In 64 bits.
    Double(ScalarBuffer<f64>),
}

impl Numbers {
    /// Any numeric column: null becomes NaN, negative zero becomes zero. Infinities are kept.
    ///
    /// # Errors
    /// [`Invalid`](crate::ErrorKind::Invalid) for a column that is not numeric.
    pub(crate) fn read(array: &ArrayRef, name: &str) -> Result<Self> {
        if fits_single(array.data_type()) {
            let array = cast_to::<Float32Type>(array, name)?;
            return Ok(shared(&array, |value| value.to_bits() == 1 << 31).map_or_else(
                || array.iter().map(|value| value.map_or(f32::NAN, |value| value + 0.0)).collect::<Vec<f32>>().into(),
                Self::Single,
            ));
        }
        let array = cast_to::<Float64Type>(array, name)?;
        Ok(shared(&array, |value| value.to_bits() == 1 << 63).map_or_else(
            || array.iter().map(|value| value.map_or(f64::NAN, |value| value + 0.0)).collect::<Vec<f64>>().into(),
            Self::Double,
        ))
    }

    /// The number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Single(values) => values.len(),
            Self::Double(values) => values.len(),
        }
    }

    /// Whether there are no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The number of a row; NaN where it is missing.
    ///
    /// # Panics
    /// For a row beyond the column.
    #[must_use]
    pub fn get(&self, row: usize) -> f64 {
        match self {
            Self::Single(values) => f64::from(values[row]),
            Self::Double(values) => values[row],
        }
    }

    /// The first row whose number is infinite.
    pub(crate) fn first_infinite(&self) -> Option<usize> {
        let any = match self {
            Self::Single(values) => any_of(values, f32::is_infinite),
            Self::Double(values) => any_of(values, f64::is_infinite),
        };
        any.then(|| self.iter().position(f64::is_infinite)).flatten()
    }

    /// The numbers in row order; NaN where one is missing.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f64> + '_ {
        (0..self.len()).map(|row| self.get(row))
    }

    /// The smallest and largest number that is not missing.
    pub(crate) fn range(&self) -> Option<[f64; 2]> {
        range_of(self.iter())
    }

    /// The given rows, in the given order.
    pub(crate) fn select(&self, rows: &[u32]) -> Self {
        match self {
            Self::Single(values) => Self::Single(rows.iter().map(|&row| values[row as usize]).collect()),
            Self::Double(values) => Self::Double(rows.iter().map(|&row| values[row as usize]).collect()),
        }
    }

    /// As a forest sees them: the buffer itself, or each number rounded once.
    pub(crate) fn into_single(self) -> ScalarBuffer<f32> {
        match self {
            Self::Single(values) => values,
            Self::Double(values) => values.iter().map(|value| rounded(*value)).collect::<Vec<f32>>().into(),
        }
    }

    /// How many distinct values the rounding to 32 bits merges.
    pub(crate) fn lost(&self) -> usize {
        match self {
            Self::Single(_) => 0,
            Self::Double(values) => lost_by_rounding(values),
        }
    }
}

impl From<Vec<f64>> for Numbers {
    fn from(values: Vec<f64>) -> Self {
        Self::Double(values.into())
    }
}

impl From<Vec<f32>> for Numbers {
    fn from(values: Vec<f32>) -> Self {
        Self::Single(values.into())
    }
}

/// A number in the forest's precision. Beyond its range lies its largest, so that order is kept.
pub(crate) fn rounded(value: f64) -> f32 {
    // `max` and `min` would turn NaN, which is missing, into a number.
    let value = value as f32;
    if value.is_infinite() { f32::MAX.copysign(value) } else { value + 0.0 }
}

/// The smallest and largest number that is not missing.
pub(crate) fn range_of(values: impl Iterator<Item = f64>) -> Option<[f64; 2]> {
    values.filter(|value| !value.is_nan()).fold(None, |range, value| match range {
        None => Some([value, value]),
        Some([low, high]) => Some([low.min(value), high.max(value)]),
    })
}

/// Whether 32 bits hold every value of a type.
fn fits_single(data_type: &DataType) -> bool {
    use DataType::{Boolean, Float16, Float32, Int8, Int16, UInt8, UInt16};
    matches!(data_type, Boolean | Int8 | Int16 | UInt8 | UInt16 | Float16 | Float32)
}

/// The array itself where it is of the type; any other numeric array as numbers of it.
fn cast_to<'a, T: ArrowPrimitiveType>(array: &'a ArrayRef, name: &str) -> Result<Cow<'a, PrimitiveArray<T>>> {
    // Even what is of the type is taken apart and put together by a cast, which one row would wait for.
    if let Some(array) = array.as_primitive_opt::<T>() {
        return Ok(Cow::Borrowed(array));
    }
    let array = cast(array, &T::DATA_TYPE)
        .map_err(|cause| Error::invalid("read", format_args!("column `{name}` as numbers")).with_source(cause))?;
    Ok(Cow::Owned(array.as_primitive::<T>().clone()))
}

/// The buffer of an array whose values may stay as they are.
fn shared<T: ArrowPrimitiveType>(
    array: &PrimitiveArray<T>,
    is_negative_zero: impl Fn(T::Native) -> bool,
) -> Option<ScalarBuffer<T::Native>> {
    let as_they_are = array.null_count() == 0 && !any_of(array.values(), is_negative_zero);
    as_they_are.then(|| array.values().clone())
}

/// Whether it is so of any value. A piece is looked at as a whole: with a way out at each value, there are no vectors.
pub(crate) fn any_of<T: Copy>(values: &[T], is_so: impl Fn(T) -> bool) -> bool {
    values.chunks(1 << 12).any(|piece| piece.iter().fold(false, |any, value| any | is_so(*value)))
}

/// Of how many values it is so; by pieces, whose counts fit what vectors count with.
pub(crate) fn count_of<T: Copy>(values: &[T], is_so: impl Fn(T) -> bool) -> u64 {
    let count = |piece: &[T]| piece.iter().map(|value| u32::from(is_so(*value))).sum::<u32>();
    values.chunks(1 << 12).map(|piece| u64::from(count(piece))).sum()
}

fn lost_by_rounding(values: &[f64]) -> usize {
    // Numbers that fit into `f32` lose nothing, and most columns are of such.
    if values.iter().all(|value| value.is_nan() || f64::from(*value as f32).to_bits() == value.to_bits()) {
        return 0;
    }
    let mut sorted: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.dedup_by(|a, b| a.to_bits() == b.to_bits());
    sorted.windows(2).filter(|pair| rounded(pair[0]).to_bits() == rounded(pair[1]).to_bits()).count()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{BooleanArray, Float32Array, Float64Array, Int64Array};

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "tests read better")]
    fn read(array: ArrayRef) -> Numbers {
        Numbers::read(&array, "x").unwrap()
    }

    #[test]
    fn floats_without_nulls_are_shared_with_their_array() {
        let single = Float32Array::from(vec![0.0, -1.5, f32::NAN, 3.0]);
        let Numbers::Single(values) = read(Arc::new(single.slice(1, 2))) else { panic!() };
        assert_eq!((values.as_ptr(), values.len()), (single.values()[1..].as_ptr(), 2));
        let double = Float64Array::from(vec![0.1, f64::NAN]);
        let Numbers::Double(values) = read(Arc::new(double.clone())) else { panic!() };
        assert!(values.ptr_eq(double.values()));
    }

    #[test]
    fn nulls_and_negative_zeros_are_replaced() {
        for found in [
            read(Arc::new(Float32Array::from(vec![Some(-0.0), None, Some(2.0)]))),
            read(Arc::new(Float64Array::from(vec![Some(-0.0), None, Some(2.0)]))),
            read(Arc::new(Int64Array::from(vec![Some(0), None, Some(2)]))),
        ] {
            assert!(found.get(0).is_sign_positive() && found.get(1).is_nan(), "{found:?}");
            assert_eq!(found.range(), Some([0.0, 2.0]));
        }
        let zero = read(Arc::new(Float32Array::from(vec![-0.0])));
        assert!(zero.get(0).is_sign_positive());
    }

    #[test]
    fn types_that_fit_are_held_in_32_bits() {
        let found = read(Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])));
        let Numbers::Single(values) = found else { panic!() };
        assert_eq!(values[..2], [1.0, 0.0]);
        assert!(values[2].is_nan());
    }

    #[test]
    fn values_that_the_rounding_merges_are_counted() {
        assert_eq!(lost_by_rounding(&[1.0, 1.0 + 1e-12, 1.0, 1.0 + 2e-12, f64::NAN]), 2);
        assert_eq!(lost_by_rounding(&[0.1, 0.2]), 0);
        assert_eq!(lost_by_rounding(&[1e300, 2e300, -1e300]), 1);
        assert_eq!(lost_by_rounding(&[-1e-300, 0.0, 1e-300]), 2);
    }
}
