//! Random numbers against published generators, and products against schoolbook multiplication.

use proptest::prelude::*;
use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng, SeedableRng},
};

use super::*;

proptest! {
    #[test]
    fn random_is_split_mix_64(seed: u64) {
        let mut oracle = SplitMix64::seed_from_u64(seed);
        for index in 0..20 {
            prop_assert_eq!(split_mix_64(seed, index), oracle.next_u64());
        }
    }

    #[test]
    fn multiply_high_is_the_high_half(a: u64, b: u64) {
        prop_assert_eq!(multiply_high(a, b), ((u128::from(a) * u128::from(b)) >> 64) as u64);
    }

    /// Against schoolbook multiplication with 16-bit digits.
    #[test]
    fn multiply_high_128_is_the_high_half(a: u128, b: u128) {
        let digits = |n: u128| (0..8).map(|i| ((n >> (16 * i)) & 0xffff) as u64).collect::<Vec<_>>();
        let (a_digits, b_digits) = (digits(a), digits(b));
        let mut product = [0u64; 17];
        for (i, x) in a_digits.iter().enumerate() {
            for (j, y) in b_digits.iter().enumerate() {
                let mut carry = x * y;
                let mut k = i + j;
                while carry > 0 {
                    product[k] += carry & 0xffff;
                    carry = (carry >> 16) + (product[k] >> 16);
                    product[k] &= 0xffff;
                    k += 1;
                }
            }
        }
        let oracle = (8..16).rev().fold(0u128, |high, i| (high << 16) | u128::from(product[i]));
        prop_assert_eq!(multiply_high_128(a, b), oracle);
    }

    /// The low 128 bits of a product are those that wrapping multiplication leaves.
    #[test]
    fn multiply_wide_wraps(a: u128, b: u128) {
        let product = multiply_wide(Word128::new(a), Word128::new(b));
        prop_assert_eq!(product.get(), a.wrapping_mul(b));
    }

    /// What is drawn lies below the span, and a mask keeps the random bits it has ones for.
    #[test]
    fn draws_stay_below_the_span(seed: u64, index: u64, span in 1u64..1 << 32) {
        let state = state(index);
        prop_assert!(draw(source::SCALE_32, seed, state, span) < span);
        prop_assert!(draw(source::SCALE, seed, state, span) < span);
        let random = split_mix_64(seed, index);
        prop_assert_eq!(draw(source::MASK, seed, state, 0xffff), random & 0xffff);
        let wide = draw_wide(source::WIDE_MASK, seed, state, Word128 { hi: 0, lo: u64::MAX });
        prop_assert_eq!(wide, Word128 { hi: 0, lo: split_mix_64(seed ^ WIDE_SEED, index) });
        let span = Word128::new(u128::from(span) << 64);
        prop_assert!(draw_wide(source::WIDE_SCALE, seed, state, span).get() < span.get());
    }
}
