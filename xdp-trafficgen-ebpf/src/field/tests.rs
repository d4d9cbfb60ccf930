//! Field arithmetic against division and against published generators.

use super::*;
use proptest::prelude::*;
use rand_xoshiro::{
    SplitMix64,
    rand_core::{Rng, SeedableRng},
};

struct Host;

impl Load for Host {
    fn load<T: Copy>(place: &T) -> T {
        *place
    }
    fn add(sum: &mut u64, amount: u64) {
        *sum = sum.wrapping_add(amount);
    }
}

struct NoValues;

impl Values for NoValues {
    fn value(&self, _index: u32) -> Word128 {
        unreachable!("no list in these tests")
    }
}

/// The values of a counting pattern, `stride` frames apart, against the plain formula.
#[track_caller]
fn check_counting(wide: bool, up: bool, start: u128, step: u128, count: u64, stride: u64) {
    let at = |index: u64| {
        let distance = step * u128::from(index % count);
        if up { start + distance } else { start - distance }
    };
    let kind = (if up { kind::UP } else { kind::DOWN }) | (if wide { kind::WIDE } else { 0 });
    let field = Field { kind, ..Field::NONE };
    let mut param = Param::of_counter(Counter {
        current: Word128::new(start),
        advance: Word128::new(step * u128::from(stride % count)),
        limit: Word128::new(at(count - 1)),
        span: Word128::new(step.wrapping_mul(u128::from(count))),
        ..Counter::default()
    });
    for index in 0..300 {
        let value = match next::<Host, true>(
            &field,
            0,
            &mut param,
            || 0,
            &NoValues,
            &mut SharedIndices::default(),
        ) {
            Value::Narrow(value) => u128::from(value),
            Value::Wide(value) => value.get(),
        };
        assert_eq!(value, at(index * stride), "value {index}");
    }
}

/// Three counters, each of which counts the rounds of the one before, with `stride` workers,
/// against division.
#[track_caller]
fn check_rounds(wide: bool, counts: [u64; 3], stride: u64, first: u64) {
    let wide_bit = if wide { kind::WIDE } else { 0 };
    let advances = [advance::LEADER, advance::ROUND_LEADER, advance::ROUND];
    let fields = [0u32, 1, 2].map(|slot| Field {
        kind: kind::UP | wide_bit,
        advance: advances[slot as usize],
        leader: slot.saturating_sub(1),
        ..Field::NONE
    });
    let before = [1, counts[0], counts[0] * counts[1]];
    let counters = [0, 1, 2].map(|slot| Counter {
        current: Word128::new((first / before[slot] % counts[slot]).into()),
        advance: Word128::new((stride / before[slot] % counts[slot]).into()),
        limit: Word128::new((counts[slot] - 1).into()),
        span: Word128::new(counts[slot].into()),
        round_step: Word128::new(1),
    });
    let mut params = counters.map(Param::of_counter);
    for frame in 0..500 {
        let mut moves = SharedIndices::default();
        for slot in 0..3 {
            let number = u32::try_from(slot).unwrap_or(0);
            let value = match next::<Host, true>(
                &fields[slot],
                number,
                &mut params[slot],
                || 0,
                &NoValues,
                &mut moves,
            ) {
                Value::Narrow(value) => value,
                Value::Wide(value) => value.lo,
            };
            assert_eq!(
                value,
                (first + frame * stride) / before[slot] % counts[slot],
                "slot {slot}, {frame}"
            );
        }
    }
}

#[test]
fn rounds_of_one_value() {
    check_rounds(false, [1, 1, 3], 1, 0);
    check_rounds(true, [1, 5, 1], 4, 2);
}

#[test]
fn counting_at_the_edges() {
    check_counting(true, true, u128::MAX - 6, 3, 3, 1);
    check_counting(true, true, 0, 1 << 64, 65_536, 4095);
    check_counting(true, false, u128::MAX, 1 << 120, 256, 3);
    check_counting(false, false, 5, 1, 6, 1);
    check_counting(false, true, 0, 0, 1, 7);
}

proptest! {
    #[test]
    fn counting_is_a_remainder(
        wide: bool, up: bool, start in 0u64..1 << 40, step in 0u64..1 << 30, count in 1u64..1000, stride in 1u64..300,
    ) {
        let start = if up { start } else { start + step * count };
        check_counting(wide, up, u128::from(start), u128::from(step), count, stride);
    }

    #[test]
    fn rounds_are_divisions(
        wide: bool, counts in proptest::array::uniform3(1u64..12), stride in 1u64..40, first in 0u64..40,
    ) {
        check_rounds(wide, counts, stride, first);
    }

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
}
