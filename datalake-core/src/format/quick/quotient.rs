//! The float that is nearest to an integer divided by a power of ten.

/// A power of five for divisions: with so many zeros behind it that its highest bit is set, how many these are, and its
/// reciprocal.
pub(super) struct Five {
    divisor: u64,
    shift: u32,
    reciprocal: u64,
}

/// All that fit into a word.
pub(super) const FIVES: [Five; 28] = {
    let mut fives = [const { Five { divisor: 0, shift: 0, reciprocal: 0 } }; 28];
    let (mut power, mut five) = (0, 1_u64);
    while power < 28 {
        let shift = five.leading_zeros();
        let divisor = five << shift;
        // Less 2^64, which it always has.
        let reciprocal = (u128::MAX / divisor as u128 - (1 << 64)) as u64;
        fives[power] = Five { divisor, shift, reciprocal };
        five = five.wrapping_mul(5);
        power += 1;
    }
    fives
};

/// The float that is nearest to a number, which is not zero, divided by a power of ten; of two the even one.
#[inline(always)]
pub(super) fn quotient(number: u64, five: &Five, power: usize) -> Option<f64> {
    if number == 0 {
        return None;
    }
    let zeros = number.leading_zeros();
    let number = number << zeros;
    // The dividend is the number behind a zero bit, so that its upper word is less than the divisor. What remains tells no more
    // than whether the quotient, which has 62 bits or more, is exact.
    let (quotient, remainder) = divided(number >> 1, number << 63, five.divisor, five.reciprocal);
    let rounded = (quotient | u64::from(remainder != 0)) as f64;
    let exponent = i64::from(five.shift) - 63 - i64::from(zeros) - power as i64;
    // A power of two of an exponent between -154 and 0.
    Some(rounded * f64::from_bits(((1023 + exponent) as u64) << 52))
}

/// Two words divided by one whose highest bit is set and which is more than the upper of them; the quotient, and what remains
/// (Möller and Granlund, "Improved division by invariant integers", 2011).
#[inline(always)]
fn divided(upper: u64, lower: u64, divisor: u64, reciprocal: u64) -> (u64, u64) {
    let guess = u128::from(reciprocal) * u128::from(upper) + (u128::from(upper) << 64 | u128::from(lower));
    let mut quotient = ((guess >> 64) as u64).wrapping_add(1);
    let mut remainder = lower.wrapping_sub(quotient.wrapping_mul(divisor));
    if remainder > guess as u64 {
        quotient = quotient.wrapping_sub(1);
        remainder = remainder.wrapping_add(divisor);
    }
    if remainder >= divisor {
        quotient = quotient.wrapping_add(1);
        remainder -= divisor;
    }
    (quotient, remainder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quotients_are_the_nearest_floats(number: u64, bits in 0_u32..64, power in 0_usize..28) {
            let number = (number >> bits).max(1);
            let nearest: f64 = format!("{number}e-{power}").parse().unwrap();
            prop_assert_eq!(quotient(number, &FIVES[power], power).map(f64::to_bits), Some(nearest.to_bits()));
        }

        #[test]
        fn divisions_leave_what_they_must(upper: u64, lower: u64, power in 0_usize..28) {
            let five = &FIVES[power];
            let upper = upper % five.divisor;
            let (quotient, remainder) = divided(upper, lower, five.divisor, five.reciprocal);
            let (dividend, divisor) = (u128::from(upper) << 64 | u128::from(lower), u128::from(five.divisor));
            prop_assert_eq!((u128::from(quotient), u128::from(remainder)), (dividend / divisor, dividend % divisor));
        }

        /// Halfway between two floats, and beside it.
        #[test]
        fn ties_go_to_the_even_float(mantissa in 1_u64 << 52..1 << 53, power in 1_u32..5, beside in -1_i64..=1) {
            // A half has one digit more: (2m + 1) / 2^k is (2m + 1) * 5^k / 10^k.
            let odd = u128::from(2 * mantissa + 1) * 5_u128.pow(power);
            if let Ok(number) = u64::try_from(odd) {
                let number = number.wrapping_add_signed(beside);
                let nearest: f64 = format!("{number}e-{power}").parse().unwrap();
                prop_assert_eq!(quotient(number, &FIVES[power as usize], power as usize), Some(nearest));
            }
        }
    }
}
