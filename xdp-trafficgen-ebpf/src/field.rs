//! Field arithmetic: the value of a field in one frame, and in the next.
//!
//! No division and no remainder: each field keeps its current value and compares (field notes: `seq % range` costs more
//! than everything else a field does).

use crate::abi::{Field, Word128, kind};

/// How a specification is read. The eBPF side reads `.rodata` in a way the compiler may not see through, because the
/// loader fills it after compilation; the host just reads.
pub trait Load {
    /// Reads one value of a specification.
    fn load<T: Copy>(place: &T) -> T;
}

/// The table behind `values` patterns.
pub trait Values {
    /// Entry `index`; an entry that does not exist reads as zero.
    fn value(&self, index: u32) -> Word128;
}

/// The value of a field in one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// At most [`crate::abi::NARROW_BITS`] bits.
    Narrow(u64),
    /// Up to 128 bits.
    Wide(Word128),
}

/// The value for the frame numbered `sequence()`, and `current` moved on to the worker's next frame.
#[inline(always)]
pub fn next<L: Load>(field: &Field, current: &mut Word128, sequence: impl Fn() -> u64, values: &impl Values) -> Value {
    // Each arm reads only what it needs: a read the verifier cannot remove is paid for in every frame.
    match L::load(&field.kind) {
        kind::UP => {
            let value = current.lo;
            current.lo = up::<L>(field, value);
            Value::Narrow(value)
        }
        kind::DOWN => {
            let value = current.lo;
            let mut next = value.wrapping_sub(L::load(&field.advance.lo));
            if next.cast_signed() < L::load(&field.limit.lo).cast_signed() {
                next = next.wrapping_add(L::load(&field.span.lo));
            }
            current.lo = next;
            Value::Narrow(value)
        }
        kind::LIST => Value::Narrow(entry::<L>(field, current, values).lo),
        kind::RANDOM_MASK => {
            let random = split_mix_64(L::load(&field.seed), sequence());
            Value::Narrow(L::load(&field.base.lo).wrapping_add(random & L::load(&field.span.lo)))
        }
        kind::RANDOM_SCALE_32 => {
            let random = split_mix_64(L::load(&field.seed), sequence());
            let offset = (random >> 32).wrapping_mul(L::load(&field.span.lo)) >> 32;
            Value::Narrow(L::load(&field.base.lo).wrapping_add(offset))
        }
        kind::RANDOM_SCALE => {
            let random = split_mix_64(L::load(&field.seed), sequence());
            let offset = multiply_high(random, L::load(&field.span.lo));
            Value::Narrow(L::load(&field.base.lo).wrapping_add(offset))
        }
        WIDE_UP => {
            let value = current.get();
            let mut next = value.wrapping_add(load_128::<L>(&field.advance));
            // The first condition catches a sum past 2¹²⁸.
            if next < value || next > load_128::<L>(&field.limit) {
                next = next.wrapping_sub(load_128::<L>(&field.span));
            }
            *current = Word128::new(next);
            Value::Wide(Word128::new(value))
        }
        WIDE_DOWN => {
            let value = current.get();
            let mut next = value.wrapping_sub(load_128::<L>(&field.advance));
            if next > value || next < load_128::<L>(&field.limit) {
                next = next.wrapping_add(load_128::<L>(&field.span));
            }
            *current = Word128::new(next);
            Value::Wide(Word128::new(value))
        }
        WIDE_LIST => Value::Wide(entry::<L>(field, current, values)),
        wide_random => {
            let seed = L::load(&field.seed);
            let sequence = sequence();
            let random = Word128 { hi: split_mix_64(seed, sequence), lo: split_mix_64(seed ^ WIDE_SEED, sequence) };
            let span = load_128::<L>(&field.span);
            let offset = if wide_random == WIDE_RANDOM_MASK {
                random.get() & span
            } else {
                multiply_high_128(random.get(), span)
            };
            Value::Wide(Word128::new(load_128::<L>(&field.base).wrapping_add(offset)))
        }
    }
}

const WIDE_UP: u32 = kind::WIDE | kind::UP;
const WIDE_DOWN: u32 = kind::WIDE | kind::DOWN;
const WIDE_LIST: u32 = kind::WIDE | kind::LIST;
const WIDE_RANDOM_MASK: u32 = kind::WIDE | kind::RANDOM_MASK;

/// The value that follows `value` in a pattern that counts up.
#[inline(always)]
pub fn up<L: Load>(field: &Field, value: u64) -> u64 {
    let next = value.wrapping_add(L::load(&field.advance.lo));
    if next > L::load(&field.limit.lo) { next.wrapping_sub(L::load(&field.span.lo)) } else { next }
}

#[inline(always)]
fn entry<L: Load>(field: &Field, current: &mut Word128, values: &impl Values) -> Word128 {
    let index = current.lo;
    current.lo = up::<L>(field, index);
    values.value(L::load(&field.first_entry).wrapping_add(index as u32))
}

/// Output number `index` (from 0) of SplitMix64 seeded with `seed` (Steele, Lea, Flood: "Fast splittable pseudorandom
/// number generators", OOPSLA 2014). A function of the frame's number, so the same seed gives the same traffic however
/// many workers share it.
#[inline(always)]
pub fn split_mix_64(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Tells the low half of a 128-bit random number from its high half.
pub const WIDE_SEED: u64 = 0x5851_f42d_4c95_7f2d;

#[inline(always)]
fn load_128<L: Load>(word: &Word128) -> u128 {
    Word128 { hi: L::load(&word.hi), lo: L::load(&word.lo) }.get()
}

/// Bits 64 to 127 of a product; eBPF has no instruction for it.
#[inline(always)]
fn multiply_high(a: u64, b: u64) -> u64 {
    // LLVM recognises this idiom and makes a call to the missing `__multi3` of it, unless a half is opaque to it.
    let (a1, a0) = (core::hint::black_box(a >> 32), a & 0xffff_ffff);
    let (b1, b0) = (b >> 32, b & 0xffff_ffff);
    let middle = a1.wrapping_mul(b0).wrapping_add(a0.wrapping_mul(b0) >> 32);
    let carry = (middle & 0xffff_ffff).wrapping_add(a0.wrapping_mul(b1));
    a1.wrapping_mul(b1).wrapping_add(middle >> 32).wrapping_add(carry >> 32)
}

/// Bits 128 to 255 of a product, by halves; never a 128-bit multiplication, which would be a library call.
#[inline(always)]
fn multiply_high_128(a: u128, b: u128) -> u128 {
    let (a1, a0) = ((a >> 64) as u64, a as u64);
    let (b1, b0) = ((b >> 64) as u64, b as u64);
    let full = |x: u64, y: u64| (u128::from(multiply_high(x, y)) << 64) | u128::from(x.wrapping_mul(y));
    let middle = full(a1, b0).wrapping_add(u128::from(multiply_high(a0, b0)));
    let low_middle = full(a0, b1).wrapping_add(u128::from(middle as u64));
    full(a1, b1).wrapping_add(middle >> 64).wrapping_add(low_middle >> 64)
}

#[cfg(test)]
mod tests {
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
        let field = Field {
            kind: (if up { kind::UP } else { kind::DOWN }) | (if wide { kind::WIDE } else { 0 }),
            advance: Word128::new(step * u128::from(stride % count)),
            limit: Word128::new(at(count - 1)),
            span: Word128::new(step.wrapping_mul(u128::from(count))),
            ..Field::default()
        };
        let mut current = Word128::new(start);
        for index in 0..300 {
            let value = match next::<Host>(&field, &mut current, || 0, &NoValues) {
                Value::Narrow(value) => u128::from(value),
                Value::Wide(value) => value.get(),
            };
            assert_eq!(value, at(index * stride), "value {index}");
        }
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
}
