//! Field arithmetic: the value of a field in one frame, and in the next.
//!
//! No division and no remainder: each field keeps its current value and compares (`seq % range`
//! costs more than everything else a field does: doc/measurements.md#what-a-mechanism-costs).

use crate::abi::{Counter, Field, Param, Word128, advance, kind};

/// How a specification is read. The eBPF side reads `.rodata` in a way the compiler may not see
/// through, because the loader fills it after compilation; the host just reads.
pub trait Load {
    /// Reads one value of a specification.
    fn load<T: Copy>(place: &T) -> T;
    /// Adds to a sum. The eBPF side does it in memory: kept in registers, the sums would be moved
    /// about at every branch that the verifier removes later.
    fn add(sum: &mut u64, amount: u64);
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

/// What slots of one repetition pass on to those behind them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SharedIndices {
    /// The value of the last [`crate::abi::op::LEAD`].
    pub index: u64,
    /// Bit `i`: slot `i` starts again behind this frame. Only of those that lead others
    /// ([`advance`]).
    pub ended: u32,
}

/// The value of slot number `slot` for the frame numbered `sequence()`, moved on to the worker's
/// next frame. `WIDE`: whether the slot can hold a wide value.
#[inline(always)]
pub fn next<L: Load, const WIDE: bool>(
    field: &Field,
    slot: u32,
    param: &mut Param,
    sequence: impl Fn() -> u64,
    values: &impl Values,
    moves: &mut SharedIndices,
) -> Value {
    // Each arm reads only what it needs, and where it needs it: a read the verifier cannot remove
    // is paid for in every frame, and what is read early is kept on the stack meanwhile.
    match L::load(&field.kind) {
        kind::UP => Value::Narrow(up::<L>(field, slot, param.counter_mut(), moves)),
        kind::DOWN => Value::Narrow(down::<L>(field, slot, param.counter_mut(), moves)),
        kind::LIST => Value::Narrow(entry::<L>(field, slot, param, values, moves).lo),
        kind::FOLLOW => {
            let follower = || param.follower();
            Value::Narrow(
                follower().base.lo.wrapping_add(moves.index.wrapping_mul(follower().step.lo)),
            )
        }
        kind::FOLLOW_LIST => Value::Narrow(followed(param, values, moves).lo),
        kind @ (kind::RANDOM_MASK | kind::RANDOM_SCALE_32 | kind::RANDOM_SCALE) => {
            let range = || param.random_range();
            let random = split_mix_64(range().seed, sequence());
            let offset = match kind {
                kind::RANDOM_MASK => random & range().span.lo,
                kind::RANDOM_SCALE_32 => (random >> 32).wrapping_mul(range().span.lo) >> 32,
                _ => multiply_high(random, range().span.lo),
            };
            Value::Narrow(range().base.lo.wrapping_add(offset))
        }
        _ if !WIDE => Value::Narrow(0),
        WIDE_UP => Value::Wide(wide_up::<L>(field, slot, param.counter_mut(), moves)),
        WIDE_DOWN => Value::Wide(wide_down::<L>(field, slot, param.counter_mut(), moves)),
        WIDE_LIST => Value::Wide(entry::<L>(field, slot, param, values, moves)),
        WIDE_FOLLOW => {
            let follower = || param.follower();
            let (index, step) = (moves.index, follower().step);
            let high = multiply_high(index, step.lo).wrapping_add(index.wrapping_mul(step.hi));
            let distance = Word128 { hi: high, lo: index.wrapping_mul(step.lo) };
            Value::Wide(Word128::new(follower().base.get().wrapping_add(distance.get())))
        }
        WIDE_FOLLOW_LIST => Value::Wide(followed(param, values, moves)),
        wide_random => {
            let sequence = sequence();
            let range = || param.random_range();
            let random = Word128 {
                hi: split_mix_64(range().seed, sequence),
                lo: split_mix_64(range().seed ^ WIDE_SEED, sequence),
            };
            let span = range().span.get();
            let offset = if wide_random == WIDE_RANDOM_MASK {
                random.get() & span
            } else {
                multiply_high_128(random.get(), span)
            };
            Value::Wide(Word128::new(range().base.get().wrapping_add(offset)))
        }
    }
}

const WIDE_UP: u32 = kind::WIDE | kind::UP;
const WIDE_DOWN: u32 = kind::WIDE | kind::DOWN;
const WIDE_LIST: u32 = kind::WIDE | kind::LIST;
const WIDE_RANDOM_MASK: u32 = kind::WIDE | kind::RANDOM_MASK;
const WIDE_FOLLOW: u32 = kind::WIDE | kind::FOLLOW;
const WIDE_FOLLOW_LIST: u32 = kind::WIDE | kind::FOLLOW_LIST;

/// The value of a slot that counts up in every frame, moved on.
#[inline(always)]
pub const fn up_freely(counter: &mut Counter) -> u64 {
    let value = counter.current.lo;
    let next = value.wrapping_add(counter.advance.lo);
    counter.current.lo =
        if next > counter.limit.lo { next.wrapping_sub(counter.span.lo) } else { next };
    value
}

/// The value of a slot that counts up, moved on.
#[inline(always)]
fn up<L: Load>(field: &Field, slot: u32, counter: &mut Counter, moves: &mut SharedIndices) -> u64 {
    let value = counter.current.lo;
    let back = |next: u64, counter: &Counter, ended: &mut bool| {
        if next > counter.limit.lo {
            *ended = true;
            return next.wrapping_sub(counter.span.lo);
        }
        next
    };
    counter.current.lo = next_value::<L, u64>(
        field,
        slot,
        counter,
        moves,
        |counter, ended| back(value.wrapping_add(counter.advance.lo), counter, ended),
        |next, counter, ended| back(next.wrapping_add(counter.round_step.lo), counter, ended),
    );
    value
}

/// The value of a slot that counts down, moved on.
#[inline(always)]
fn down<L: Load>(
    field: &Field,
    slot: u32,
    counter: &mut Counter,
    moves: &mut SharedIndices,
) -> u64 {
    let value = counter.current.lo;
    let back = |next: u64, counter: &Counter, ended: &mut bool| {
        if next.cast_signed() < counter.limit.lo.cast_signed() {
            *ended = true;
            return next.wrapping_add(counter.span.lo);
        }
        next
    };
    counter.current.lo = next_value::<L, u64>(
        field,
        slot,
        counter,
        moves,
        |counter, ended| back(value.wrapping_sub(counter.advance.lo), counter, ended),
        |next, counter, ended| back(next.wrapping_sub(counter.round_step.lo), counter, ended),
    );
    value
}

/// As [`up`], for a wide value.
#[inline(always)]
fn wide_up<L: Load>(
    field: &Field,
    slot: u32,
    counter: &mut Counter,
    moves: &mut SharedIndices,
) -> Word128 {
    let value = counter.current.get();
    // The first condition catches a sum past 2¹²⁸.
    let back = |from: u128, next: u128, counter: &Counter, ended: &mut bool| {
        if next < from || next > counter.limit.get() {
            *ended = true;
            return next.wrapping_sub(counter.span.get());
        }
        next
    };
    counter.current = Word128::new(next_value::<L, u128>(
        field,
        slot,
        counter,
        moves,
        |counter, ended| back(value, value.wrapping_add(counter.advance.get()), counter, ended),
        |next, counter, ended| {
            back(next, next.wrapping_add(counter.round_step.get()), counter, ended)
        },
    ));
    Word128::new(value)
}

/// As [`down`], for a wide value.
#[inline(always)]
fn wide_down<L: Load>(
    field: &Field,
    slot: u32,
    counter: &mut Counter,
    moves: &mut SharedIndices,
) -> Word128 {
    let value = counter.current.get();
    // The first condition catches a difference below zero.
    let back = |from: u128, next: u128, counter: &Counter, ended: &mut bool| {
        if next > from || next < counter.limit.get() {
            *ended = true;
            return next.wrapping_add(counter.span.get());
        }
        next
    };
    counter.current = Word128::new(next_value::<L, u128>(
        field,
        slot,
        counter,
        moves,
        |counter, ended| back(value, value.wrapping_sub(counter.advance.get()), counter, ended),
        |next, counter, ended| {
            back(next, next.wrapping_sub(counter.round_step.get()), counter, ended)
        },
    ));
    Word128::new(value)
}

/// What a counter comes to in the worker's next frame: `advance` gives the value after a frame,
/// `round` what a round of the leader makes of that. Both say whether the slot started again.
#[inline(always)]
fn next_value<L: Load, V>(
    field: &Field,
    slot: u32,
    counter: &Counter,
    moves: &mut SharedIndices,
    advance: impl Fn(&Counter, &mut bool) -> V,
    round: impl Fn(V, &Counter, &mut bool) -> V,
) -> V {
    let mut ended = false;
    let mut next = advance(counter, &mut ended);
    match L::load(&field.advance) {
        advance::FREE => return next,
        advance::LEADER => {}
        following => {
            // Two moves, each within a round: of one sum it could not be told how often it starts
            // again.
            if moves.ended >> (L::load(&field.leader) & 31) & 1 != 0 {
                next = round(next, counter, &mut ended);
            }
            if following == advance::ROUND {
                return next;
            }
        }
    }
    moves.ended |= u32::from(ended) << slot;
    next
}

#[inline(always)]
fn entry<L: Load>(
    field: &Field,
    slot: u32,
    param: &mut Param,
    values: &impl Values,
    moves: &mut SharedIndices,
) -> Word128 {
    let index = up::<L>(field, slot, param.counter_mut(), moves);
    values.value(param.first_entry().wrapping_add(index as u32))
}

#[inline(always)]
fn followed(param: &Param, values: &impl Values, moves: &SharedIndices) -> Word128 {
    values.value(param.first_entry().wrapping_add(moves.index as u32))
}

/// Output number `index` (from 0) of SplitMix64 seeded with `seed` (Steele, Lea, Flood: "Fast
/// splittable pseudorandom number generators", OOPSLA 2014). A function of the frame's number, so
/// the same seed gives the same traffic however many workers share it.
#[inline(always)]
pub fn split_mix_64(seed: u64, index: u64) -> u64 {
    let mut z = seed.wrapping_add(index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Tells the low half of a 128-bit random number from its high half.
pub const WIDE_SEED: u64 = 0x5851_f42d_4c95_7f2d;

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
