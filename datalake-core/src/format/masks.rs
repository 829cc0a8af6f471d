//! Which of 64 bytes are equal to some others, with the widest instructions that the CPU has.

use std::sync::LazyLock;

/// How many bytes are compared at a time.
pub(crate) const STEP: usize = 64;

/// Compares 64 bytes at once.
pub(crate) trait Masks: Copy {
    /// For each byte wanted, a bit for each of the 64 that is equal to it.
    fn equal<const N: usize>(self, bytes: &[u8; STEP], wanted: [u8; N]) -> [u64; N];
    /// A bit for each byte that is equal to one of some others, or less than another, which is 1 to 128.
    fn among<const N: usize>(self, bytes: &[u8; STEP], wanted: [u8; N], limit: u8) -> u64;
}

/// A loop that compares bytes. It is compiled once for each kind of CPU: all of it must be inlined.
pub(crate) trait Kernel {
    /// What comes of it.
    type Output;
    fn run<M: Masks>(self, masks: M) -> Self::Output;
}

/// A kind of instructions that loops are compiled for. There is a value only where the CPU has them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Those of any CPU.
    Scalar,
    #[cfg(target_arch = "x86_64")]
    Avx2(x86::Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512(x86::Avx512),
    #[cfg(target_arch = "aarch64")]
    Neon,
}

impl Kind {
    /// Those that this CPU has; the last is the best.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn available() -> Vec<Self> {
        let mut kinds = vec![Self::Scalar];
        if let Some(avx2) = x86::Avx2::detected() {
            kinds.push(Self::Avx2(avx2));
            kinds.extend(x86::Avx512::detected().map(Self::Avx512));
        }
        kinds
    }

    /// Those that this CPU has; the last is the best.
    #[cfg(target_arch = "aarch64")]
    pub(crate) fn available() -> Vec<Self> {
        vec![Self::Scalar, Self::Neon]
    }

    /// Those that this CPU has; the last is the best.
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    pub(crate) fn available() -> Vec<Self> {
        vec![Self::Scalar]
    }

    fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "aarch64")]
            Self::Neon => "neon",
        }
    }

    /// The best of this CPU, or the one that the environment variable `DATALAKE_SIMD` names (`scalar`, `avx2`), if it has that.
    fn chosen() -> Self {
        static CHOSEN: LazyLock<Kind> = LazyLock::new(|| {
            let wanted = std::env::var("DATALAKE_SIMD").unwrap_or_default();
            let mut kinds = Kind::available();
            let best = kinds.pop().unwrap_or(Kind::Scalar);
            kinds.into_iter().find(|kind| kind.name() == wanted).unwrap_or(best)
        });
        #[cfg(test)]
        if let Some(only) = tests::ONLY.get() {
            return only;
        }
        *CHOSEN
    }
}

/// Runs a loop as this CPU does it best.
pub(crate) fn run<K: Kernel>(kernel: K) -> K::Output {
    match Kind::chosen() {
        Kind::Scalar => kernel.run(Scalar),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2(has) => x86::with_avx2(has, kernel),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512(has) => x86::with_avx512(has, kernel),
        #[cfg(target_arch = "aarch64")]
        Kind::Neon => kernel.run(arm::Neon),
    }
}

/// What any CPU can do: eight bytes in a word.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scalar;

impl Masks for Scalar {
    #[inline(always)]
    fn equal<const N: usize>(self, bytes: &[u8; STEP], wanted: [u8; N]) -> [u64; N] {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
        wanted.map(|wanted| {
            let words = bytes.as_chunks::<8>().0.iter().enumerate();
            words.fold(0, |mask, (place, word)| {
                let differ = u64::from_le_bytes(*word) ^ (ONES * u64::from(wanted));
                // The high bit of each byte that is zero, whatever the others are.
                let equal = !(((differ & LOW) + LOW) | differ | LOW);
                // Gathers the high bits into one byte.
                let bits = (equal >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
                mask | bits << (8 * place)
            })
        })
    }

    #[inline(always)]
    fn among<const N: usize>(self, bytes: &[u8; STEP], wanted: [u8; N], limit: u8) -> u64 {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = 0x8080_8080_8080_8080;
        let words = bytes.as_chunks::<8>().0.iter().enumerate();
        let below = words.fold(0, |mask, (place, word)| {
            let word = u64::from_le_bytes(*word);
            // Nothing is borrowed from the next byte, since each is 128 or more.
            let at_least = (word | HIGH) - ONES * u64::from(limit);
            let less = !at_least & !word & HIGH;
            let bits = (less >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56;
            mask | bits << (8 * place)
        });
        self.equal(bytes, wanted).into_iter().fold(below, |all, equal| all | equal)
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
        _mm256_set1_epi8, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_epi8, _mm512_set1_epi8,
    };

    use super::{Kernel, Masks, STEP};

    /// Made only where the CPU has AVX2, and what came with it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Avx2(());
    /// Made only where the CPU has AVX-512 BW, AVX2, and what came with it.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub(crate) struct Avx512(());

    macro_rules! has {
        ($($feature:tt)*) => { $(std::arch::is_x86_feature_detected!($feature))&&* };
    }

    impl Avx2 {
        pub(super) fn detected() -> Option<Self> {
            has!("avx2" "bmi1" "bmi2" "lzcnt" "popcnt").then_some(Self(()))
        }
    }

    impl Avx512 {
        pub(super) fn detected() -> Option<Self> {
            (Avx2::detected().is_some() && has!("avx512f" "avx512bw")).then_some(Self(()))
        }
    }

    pub(super) fn with_avx2<K: Kernel>(has: Avx2, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
        fn with<K: Kernel>(has: Avx2, kernel: K) -> K::Output {
            kernel.run(has)
        }
        // SAFETY: there is no such value where the CPU has not what the function is compiled for.
        unsafe { with(has, kernel) }
    }

    pub(super) fn with_avx512<K: Kernel>(has: Avx512, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx2,bmi1,bmi2,lzcnt,popcnt")]
        fn with<K: Kernel>(has: Avx512, kernel: K) -> K::Output {
            kernel.run(has)
        }
        // SAFETY: there is no such value where the CPU has not what the function is compiled for.
        unsafe { with(has, kernel) }
    }

    impl Masks for Avx2 {
        #[inline(always)]
        fn equal<const N: usize>(self, bytes: &[u8; STEP], wanted: [u8; N]) -> [u64; N] {
            // SAFETY: there is no such value where the CPU has no AVX2.
            unsafe { equal_avx2(bytes, wanted) }
        }

        #[inline(always)]
        fn among<const N: usize>(self, bytes: &[u8; STEP], wanted: [u8; N], limit: u8) -> u64 {
            // SAFETY: there is no such value where the CPU has no AVX2.
            unsafe { among_avx2(bytes, wanted, limit) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn equal_avx2<const N: usize>(bytes: &[u8; STEP], wanted: [u8; N]) -> [u64; N] {
        let (low, high) = bytes.split_at(STEP / 2);
        // SAFETY: each half has 32 bytes, and no alignment is asked for.
        let (low, high) = unsafe {
            (_mm256_loadu_si256(low.as_ptr().cast::<__m256i>()), _mm256_loadu_si256(high.as_ptr().cast::<__m256i>()))
        };
        wanted.map(|wanted| {
            let wanted = _mm256_set1_epi8(wanted.cast_signed());
            let low = _mm256_movemask_epi8(_mm256_cmpeq_epi8(low, wanted)).cast_unsigned();
            let high = _mm256_movemask_epi8(_mm256_cmpeq_epi8(high, wanted)).cast_unsigned();
            u64::from(low) | u64::from(high) << 32
        })
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn among_avx2<const N: usize>(bytes: &[u8; STEP], wanted: [u8; N], limit: u8) -> u64 {
        let (low, high) = bytes.split_at(STEP / 2);
        // SAFETY: each half has 32 bytes, and no alignment is asked for.
        let (low, high) = unsafe {
            (_mm256_loadu_si256(low.as_ptr().cast::<__m256i>()), _mm256_loadu_si256(high.as_ptr().cast::<__m256i>()))
        };
        let most = _mm256_set1_epi8((limit - 1).cast_signed());
        let below = |half| _mm256_cmpeq_epi8(_mm256_min_epu8(half, most), half);
        let (mut in_low, mut in_high) = (below(low), below(high));
        for wanted in wanted {
            let wanted = _mm256_set1_epi8(wanted.cast_signed());
            in_low = _mm256_or_si256(in_low, _mm256_cmpeq_epi8(low, wanted));
            in_high = _mm256_or_si256(in_high, _mm256_cmpeq_epi8(high, wanted));
        }
        let (low, high) = (_mm256_movemask_epi8(in_low), _mm256_movemask_epi8(in_high));
        u64::from(low.cast_unsigned()) | u64::from(high.cast_unsigned()) << 32
    }

    impl Masks for Avx512 {
        #[inline(always)]
        fn equal<const N: usize>(self, bytes: &[u8; STEP], wanted: [u8; N]) -> [u64; N] {
            // SAFETY: there is no such value where the CPU has no AVX-512 BW.
            unsafe { equal_avx512(bytes, wanted) }
        }

        #[inline(always)]
        fn among<const N: usize>(self, bytes: &[u8; STEP], wanted: [u8; N], limit: u8) -> u64 {
            // SAFETY: there is no such value where the CPU has no AVX-512 BW.
            unsafe { among_avx512(bytes, wanted, limit) }
        }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn among_avx512<const N: usize>(bytes: &[u8; STEP], wanted: [u8; N], limit: u8) -> u64 {
        // SAFETY: there are 64 bytes, and no alignment is asked for.
        let all = unsafe { _mm512_loadu_epi8(bytes.as_ptr().cast::<i8>()) };
        let below = _mm512_cmplt_epu8_mask(all, _mm512_set1_epi8(limit.cast_signed()));
        let equal = |wanted: u8| _mm512_cmpeq_epi8_mask(all, _mm512_set1_epi8(wanted.cast_signed()));
        wanted.into_iter().fold(below, |among, wanted| among | equal(wanted))
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn equal_avx512<const N: usize>(bytes: &[u8; STEP], wanted: [u8; N]) -> [u64; N] {
        // SAFETY: there are 64 bytes, and no alignment is asked for.
        let all = unsafe { _mm512_loadu_epi8(bytes.as_ptr().cast::<i8>()) };
        wanted.map(|wanted| _mm512_cmpeq_epi8_mask(all, _mm512_set1_epi8(wanted.cast_signed())))
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::{
        vandq_u8, vceqq_u8, vcltq_u8, vdupq_n_u8, vgetq_lane_u64, vld1q_u8, vorrq_u8, vpaddq_u8, vreinterpretq_u64_u8,
    };

    use super::{Masks, STEP};

    /// Every CPU of this architecture has NEON.
    #[derive(Debug, Clone, Copy)]
    pub(super) struct Neon;

    impl Masks for Neon {
        #[inline(always)]
        fn equal<const N: usize>(self, bytes: &[u8; STEP], wanted: [u8; N]) -> [u64; N] {
            const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
            wanted.map(|wanted| {
                // SAFETY: every CPU of this architecture has NEON, and each load is of 16 bytes that are there.
                unsafe {
                    let weights = vld1q_u8(BITS.as_ptr());
                    let wanted = vdupq_n_u8(wanted);
                    let part = |at: usize| vandq_u8(vceqq_u8(vld1q_u8(bytes.as_ptr().add(at)), wanted), weights);
                    let sums = vpaddq_u8(vpaddq_u8(part(0), part(16)), vpaddq_u8(part(32), part(48)));
                    vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)))
                }
            })
        }

        #[inline(always)]
        fn among<const N: usize>(self, bytes: &[u8; STEP], wanted: [u8; N], limit: u8) -> u64 {
            const BITS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
            // SAFETY: every CPU of this architecture has NEON, and each load is of 16 bytes that are there.
            unsafe {
                let (weights, limit) = (vld1q_u8(BITS.as_ptr()), vdupq_n_u8(limit));
                let part = |at: usize| {
                    let bytes = vld1q_u8(bytes.as_ptr().add(at));
                    let equal = |wanted: u8| vceqq_u8(bytes, vdupq_n_u8(wanted));
                    let among = wanted.into_iter().fold(vcltq_u8(bytes, limit), |all, one| vorrq_u8(all, equal(one)));
                    vandq_u8(among, weights)
                };
                let sums = vpaddq_u8(vpaddq_u8(part(0), part(16)), vpaddq_u8(part(32), part(48)));
                vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)))
            }
        }
    }
}

/// Each bit is the exclusive or of itself and all lower ones.
#[inline(always)]
pub(crate) fn running_xor(mut bits: u64) -> u64 {
    if bits == 0 {
        return 0;
    }
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

#[cfg(test)]
pub(crate) mod tests {
    use std::cell::Cell;

    use super::*;
    use proptest::prelude::*;

    thread_local! {
        /// What loops of this thread are to run with.
        pub(super) static ONLY: Cell<Option<Kind>> = const { Cell::new(None) };
    }

    /// Does work, whose loops run on this thread, once with each kind of instructions that there is; all must come to the same.
    pub(crate) fn alike<T: PartialEq + std::fmt::Debug>(work: impl Fn() -> T) -> T {
        let mut kinds = Kind::available().into_iter();
        let once = |kind| {
            ONLY.set(kind);
            let done = work();
            ONLY.set(None);
            done
        };
        let first = once(kinds.next());
        for kind in kinds {
            assert_eq!(once(Some(kind)), first, "{}", kind.name());
        }
        first
    }

    struct Equal<'a>(&'a [u8; STEP], [u8; 3]);

    impl Kernel for Equal<'_> {
        type Output = [u64; 3];

        #[inline(always)]
        fn run<M: Masks>(self, masks: M) -> [u64; 3] {
            masks.equal(self.0, self.1)
        }
    }

    struct Among<'a>(&'a [u8; STEP], [u8; 2], u8);

    impl Kernel for Among<'_> {
        type Output = u64;

        #[inline(always)]
        fn run<M: Masks>(self, masks: M) -> u64 {
            masks.among(self.0, self.1, self.2)
        }
    }

    fn one_by_one(bytes: &[u8; STEP], wanted: u8) -> u64 {
        bytes.iter().enumerate().fold(0, |mask, (place, byte)| mask | u64::from(*byte == wanted) << place)
    }

    #[test]
    fn every_byte_at_every_place_is_found_by_every_kind_of_cpu() {
        for byte in 0..=u8::MAX {
            for place in 0..STEP {
                let mut bytes = [byte ^ 0x80; STEP];
                bytes[place] = byte;
                let masks = alike(|| run(Equal(&bytes, [byte, byte ^ 0x80, byte ^ 1])));
                assert_eq!(masks, [1 << place, !(1 << place), 0], "{byte} at {place}");
            }
        }
    }

    proptest! {
        #[test]
        fn all_kinds_of_cpu_compare_alike(bytes: [u8; 32], few in proptest::array::uniform32(0_u8..3), wanted: [u8; 2]) {
            let mut all = [0; STEP];
            all[..32].copy_from_slice(&bytes);
            all[32..].copy_from_slice(&few);
            let wanted = [wanted[0], wanted[1], 1];
            let expected = wanted.map(|wanted| one_by_one(&all, wanted));
            prop_assert_eq!(Equal(&all, wanted).run(Scalar), expected);
            prop_assert_eq!(alike(|| run(Equal(&all, wanted))), expected);
        }

        #[test]
        fn all_kinds_of_cpu_find_the_same_among_bytes(
            bytes: [u8; 32],
            few in proptest::array::uniform32(0_u8..9),
            wanted in proptest::array::uniform2(0_u8..200),
            limit in 1_u8..=128,
        ) {
            let mut all = [0; STEP];
            all[..32].copy_from_slice(&bytes);
            all[32..].copy_from_slice(&few);
            for (wanted, limit) in [(wanted, limit), ([wanted[0], wanted[1] % 9], limit.min(8))] {
                let is_wanted = |byte: &u8| wanted.contains(byte) || *byte < limit;
                let expected = all.iter().enumerate().fold(0, |mask, (at, byte)| mask | u64::from(is_wanted(byte)) << at);
                prop_assert_eq!(Among(&all, wanted, limit).run(Scalar), expected);
                prop_assert_eq!(alike(|| run(Among(&all, wanted, limit))), expected);
            }
        }

        #[test]
        fn a_running_xor_is_that_of_all_lower_bits(bits: u64) {
            let slow = (0..64).fold(0, |xor, place| xor | u64::from((bits << (63 - place)).count_ones() % 2) << place);
            prop_assert_eq!(running_xor(bits), slow);
        }
    }
}
