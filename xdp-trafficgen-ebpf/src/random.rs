//! Random numbers, as functions of the frame's number: the same seed gives the same traffic however
//! many workers share it.

use crate::abi::{Word128, source};

/// Output number `index` (from 0) of SplitMix64 seeded with `seed` (Steele, Lea, Flood: "Fast
/// splittable pseudorandom number generators", OOPSLA 2014).
#[inline(always)]
pub fn split_mix_64(seed: u64, index: u64) -> u64 {
    mix(seed.wrapping_add(state(index)))
}

/// What output number `index` is made of, apart from the seed. It grows by [`STATE_STEP`] from one
/// index to the next.
#[inline(always)]
pub const fn state(index: u64) -> u64 {
    index.wrapping_add(1).wrapping_mul(STATE_STEP)
}

/// What the generator's state grows by.
pub const STATE_STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// The output of a state with its seed.
#[inline(always)]
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Tells the low half of a 128-bit random number from its high half.
pub const WIDE_SEED: u64 = 0x5851_f42d_4c95_7f2d;

/// A random index of at most 64 bits: what [`source::MASK`], [`source::SCALE_32`] and
/// [`source::SCALE`] say. `state`: that of the frame's number.
#[inline(always)]
pub fn draw(source: u32, seed: u64, state: u64, span: u64) -> u64 {
    let random = mix(seed.wrapping_add(state));
    match source {
        source::MASK => random & span,
        source::SCALE_32 => (random >> 32).wrapping_mul(span) >> 32,
        _ => multiply_high(random, span),
    }
}

/// A random index of up to 128 bits: what [`source::WIDE_MASK`] and [`source::WIDE_SCALE`] say.
#[inline(always)]
pub fn draw_wide(source: u32, seed: u64, state: u64, span: Word128) -> Word128 {
    let random = Word128 {
        hi: mix(seed.wrapping_add(state)),
        lo: mix((seed ^ WIDE_SEED).wrapping_add(state)),
    };
    if source == source::WIDE_MASK {
        return Word128 { hi: random.hi & span.hi, lo: random.lo & span.lo };
    }
    Word128::new(multiply_high_128(random.get(), span.get()))
}

/// The low 128 bits of a product.
#[inline(always)]
pub fn multiply_wide(a: Word128, b: Word128) -> Word128 {
    let high = multiply_high(a.lo, b.lo)
        .wrapping_add(a.lo.wrapping_mul(b.hi))
        .wrapping_add(a.hi.wrapping_mul(b.lo));
    Word128 { hi: high, lo: a.lo.wrapping_mul(b.lo) }
}

/// Bits 64 to 127 of a product; eBPF has no instruction for it.
#[inline(always)]
fn multiply_high(a: u64, b: u64) -> u64 {
    // LLVM recognises this idiom and makes a call to the missing `__multi3` of it, unless a half is
    // opaque to it.
    let (a1, a0) = (core::hint::black_box(a >> 32), a & 0xffff_ffff);
    let (b1, b0) = (b >> 32, b & 0xffff_ffff);
    let middle = a1.wrapping_mul(b0).wrapping_add(a0.wrapping_mul(b0) >> 32);
    let carry = (middle & 0xffff_ffff).wrapping_add(a0.wrapping_mul(b1));
    a1.wrapping_mul(b1).wrapping_add(middle >> 32).wrapping_add(carry >> 32)
}

/// Bits 128 to 255 of a product, by halves; never a 128-bit multiplication, which would be a
/// library call.
#[inline(always)]
fn multiply_high_128(a: u128, b: u128) -> u128 {
    let (a1, a0) = ((a >> 64) as u64, a as u64);
    let (b1, b0) = ((b >> 64) as u64, b as u64);
    let full =
        |x: u64, y: u64| (u128::from(multiply_high(x, y)) << 64) | u128::from(x.wrapping_mul(y));
    let middle = full(a1, b0).wrapping_add(u128::from(multiply_high(a0, b0)));
    let low_middle = full(a0, b1).wrapping_add(u128::from(middle as u64));
    full(a1, b1).wrapping_add(middle >> 64).wrapping_add(low_middle >> 64)
}

#[cfg(test)]
mod tests;
