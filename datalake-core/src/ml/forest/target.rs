//! The target in whole numbers: sums of them are exact, in any order, on any machine.

/// The bits of a fixed number: all of an `f64`'s where the sums leave room. A sum of `draws` differences of two
/// such numbers stays below 2^62.
fn bits_for(draws: u64) -> i32 {
    let sum_bits = 64 - draws.leading_zeros() as i32;
    (61 - sum_bits).min(51)
}

/// `round((value - center) * 2^shift)` for each value, with the largest magnitude just within the bits, and the shift.
/// `draws` bounds the sum of all weights of a tree, and with it every sum.
pub(super) fn fix(values: &[f64], draws: u64) -> (Vec<i64>, i32) {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    // Halves first: the range of the largest numbers has no number of its own.
    let center = low * 0.5 + high * 0.5;
    let reach = (high - center).max(center - low);
    if reach <= 0.0 {
        return (vec![0; values.len()], 0);
    }
    let shift = bits_for(draws) - 1 - libm::ilogb(reach);
    let fixed = values.iter().map(|value| libm::scalbn(value - center, shift).round_ties_even() as i64).collect();
    (fixed, shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sums_of_every_weight_stay_within_an_i64(
            values in prop::collection::vec(prop::num::f64::NORMAL | prop::num::f64::SUBNORMAL | prop::num::f64::ZERO, 2..20),
            draws in 2_u64..1 << 31,
        ) {
            let (fixed, _) = fix(&values, draws);
            let reach = fixed.iter().map(|value| i128::from(value.abs())).max().unwrap_or(0);
            prop_assert!(reach * 2 * i128::from(draws) < 1 << 62);
            for (a, b) in values.iter().zip(&values[1..]).zip(fixed.iter().zip(&fixed[1..])).map(|(v, f)| ((v.0, f.0), (v.1, f.1))) {
                prop_assert!(a.0 > b.0 || a.1 <= b.1, "order is kept");
            }
        }
    }

    #[test]
    fn the_whole_precision_is_used() {
        let (fixed, shift) = fix(&[0.0, 1.0, 4.0], 3);
        assert_eq!(fixed, [-(2_i64 << shift), -(1_i64 << shift), 2_i64 << shift]);
        assert!(fixed[2] >= 1 << 49, "{fixed:?}");
    }
}
