//! One repetition of a flow that is worked out: everything that varies, and every checksum it
//! touches, written into a frame as absolute values.
//!
//! What is decided by a specification is decided by comparing one loaded number with constants, so
//! that the verifier, which knows the number, drops the comparison and all branches but one.
//! Measured with the program alone, on top of a bare redirect's 6.7 ns, for four counting fields
//! and their two checksums: 17 ns with shifts, masks and widths worked out from loaded numbers
//! and bytes stored one by one; 9.8 ns with named forms for the common ways to store and
//! sum; 7.9 ns with one number a slot for the whole of it and nothing read that is not used.

use crate::{
    abi::{
        Checksum, Field, Group, HeaderState, MAX_CHECKSUMS, MAX_FIELDS, MAX_SUMS, MAX_WIDE, NO_SUM,
        Word128, finish, op,
    },
    checksum,
    field::{self, Load, SharedIndices, Value, Values},
};

/// A frame to write to. The eBPF side stores into packet memory the verifier has bounded; the host
/// stores into a slice.
pub trait FrameMut {
    /// Stores one byte at `at`.
    fn store_u8(&mut self, at: usize, value: u8);
    /// Stores two bytes, big-endian.
    fn store_u16(&mut self, at: usize, value: u16);
    /// Stores four bytes, big-endian.
    fn store_u32(&mut self, at: usize, value: u32);
    /// Stores eight bytes, big-endian.
    fn store_u64(&mut self, at: usize, value: u64);
}

/// Writes everything that varies in frame number `sequence()` of the flow behind its header, moves
/// it on, and writes the checksums. Returns the frame's length without FCS, 0 when the frame has no
/// size of its own.
#[inline(always)]
pub fn write<L: Load>(
    frame: &mut impl FrameMut,
    group: &Group,
    header_state: &mut HeaderState,
    sequence: impl Fn() -> u64 + Copy,
    values: &impl Values,
) -> u32 {
    let mut repetition =
        Repetition { moves: SharedIndices::default(), size: 0, sums: [0; MAX_CHECKSUMS] };
    // Written out and nested, not looped: every index must be a constant for the verifier to drop
    // unused slots.
    macro_rules! slots {
        () => {};
        ($index:literal $($rest:literal)*) => {
            let field = &group.fields[$index];
            let op = L::load(&field.op);
            if op != op::END {
                let slot = Slot { spec: field, op, index: $index };
                write_field::<L, { $index < MAX_WIDE }>(frame, &slot, header_state, sequence, values, &mut repetition);
                slots!($($rest)*);
            }
        };
    }
    slots!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    let count = L::load(&group.checksum_count);
    macro_rules! checksums {
        ($($index:literal)*) => { $(
            if $index < count {
                write_checksum::<L>(frame, &group.checksums[$index], $index, header_state, &mut repetition.sums);
            }
        )* };
    }
    checksums!(0 1 2 3 4 5 6 7);
    repetition.size
}

const _: () =
    assert!(MAX_CHECKSUMS == 8 && MAX_FIELDS == 16 && MAX_SUMS == 4, "the slots are written out");

/// What a repetition carries from slot to slot.
struct Repetition {
    moves: SharedIndices,
    /// The frame's length without FCS; 0: it has no size of its own.
    size: u32,
    /// For each checksum the sum of what was written. On the stack: in map memory, each addition
    /// would wait for the one before (doc/measurements.md#ways-to-write-a-field).
    sums: Sums,
}

/// A slot that is in use.
struct Slot<'a> {
    spec: &'a Field,
    /// That of `spec`, read once.
    op: u32,
    /// Which slot it is.
    index: usize,
}

#[inline(always)]
fn write_checksum<L: Load>(
    frame: &mut impl FrameMut,
    spec: &Checksum,
    index: usize,
    header_state: &HeaderState,
    sums: &mut Sums,
) {
    let folded =
        checksum::fold(L::load(&sums[index]).wrapping_add(u64::from(header_state.bases[index])));
    macro_rules! finished {
        ($folded:expr, $finish:expr) => {
            match $finish {
                finish::PLAIN => !$folded,
                finish::ZERO_IS_ONES => checksum::never_zero($folded),
                finish::BAD => checksum::spoiled(!$folded),
                _ => checksum::spoiled(checksum::never_zero($folded)),
            }
        };
    }
    let value = match L::load(&spec.finish) {
        finish @ 0..finish::SWAPPED => finished!(folded, finish),
        finish => finished!(folded.swap_bytes(), finish - finish::SWAPPED),
    };
    frame.store_u16(L::load(&spec.offset) as usize, value);
    let amount = if L::load(&spec.odd) == 0 { u64::from(value) } else { u64::from(value) << 8 };
    count::<L>(sums, &spec.sums, amount);
}

#[inline(always)]
fn write_field<L: Load, const WIDE: bool>(
    frame: &mut impl FrameMut,
    &Slot { spec, op, index }: &Slot<'_>,
    header_state: &mut HeaderState,
    sequence: impl Fn() -> u64,
    values: &impl Values,
    repetition: &mut Repetition,
) {
    let HeaderState { params, joined, .. } = header_state;
    let param = &mut params[index];
    let at = L::load(&spec.offset) as usize;
    macro_rules! up {
        ($store:ident, $type:ty) => {{
            let value = field::up_freely(param.counter_mut());
            frame.$store(at, value as $type);
            value
        }};
    }
    // What is written, as it counts in checksums; counted in one place, because that takes much
    // code.
    let amount = match op {
        op::UP_2 => up!(store_u16, u16),
        op::UP_4 => up!(store_u32, u32),
        _ => match field::next::<L, WIDE>(
            spec,
            index as u32,
            param,
            sequence,
            values,
            &mut repetition.moves,
        ) {
            Value::Narrow(value) => match op {
                op::ANY_1 => {
                    frame.store_u8(at, value as u8);
                    if L::load(&spec.odd) == 0 { value } else { value << 8 }
                }
                op::ANY_2 => {
                    frame.store_u16(at, value as u16);
                    value
                }
                op::ANY_4 => {
                    frame.store_u32(at, value as u32);
                    value
                }
                op::ADDEND => value,
                op::LEAD => {
                    repetition.moves.index = value;
                    return;
                }
                op::SIZE => {
                    repetition.size = value as u32;
                    return;
                }
                op::JOIN_NEXT => {
                    *joined |= value << (L::load(&spec.shift) & 63);
                    return;
                }
                _ => {
                    let written = (value << (L::load(&spec.shift) & 63)) | param.fixed.lo | *joined;
                    *joined = 0;
                    store_bytes(frame, at, L::load(&spec.width) as usize, written);
                    contribution::<L>(spec, written, 0)
                }
            },
            Value::Wide(_) if !WIDE => return,
            Value::Wide(value) => {
                let value = shift_left(value, L::load(&spec.shift));
                let written =
                    Word128 { hi: value.hi | param.fixed.hi, lo: value.lo | param.fixed.lo };
                let width = L::load(&spec.width) as usize;
                store_bytes(frame, at, width.wrapping_sub(8), written.hi);
                frame.store_u64(at.wrapping_add(width).wrapping_sub(8), written.lo);
                contribution::<L>(spec, written.lo, written.hi)
            }
        },
    };
    count::<L>(&mut repetition.sums, &spec.sums, amount);
}

/// How a number counts in sums, `hi` being the part above 64 bits.
#[inline(always)]
fn contribution<L: Load>(spec: &Field, lo: u64, hi: u64) -> u64 {
    let amount = checksum::contribution(lo).wrapping_add(checksum::contribution(hi));
    if L::load(&spec.odd) == 0 { amount } else { amount << 8 }
}

type Sums = [u64; MAX_CHECKSUMS];

/// Adds a value to the checksums that cover it.
#[inline(always)]
fn count<L: Load>(sums: &mut Sums, covered_by: &[u32; MAX_SUMS], amount: u64) {
    // Nested, so that nothing is read behind the last one.
    macro_rules! members {
        () => {};
        ($index:literal $($rest:literal)*) => {
            let sum = L::load(&covered_by[$index]);
            if sum != NO_SUM {
                add::<L>(sums, sum, amount);
                members!($($rest)*);
            }
        };
    }
    members!(0 1 2 3);
}

#[inline(always)]
fn add<L: Load>(sums: &mut Sums, sum: u32, amount: u64) {
    macro_rules! arms {
        ($($index:literal)*) => {
            match sum {
                $( $index => L::add(&mut sums[$index], amount), )*
                _ => {}
            }
        };
    }
    arms!(0 1 2 3 4 5 6 7);
}

/// By words: eBPF has no library function to shift a `u128` by a variable. `shift` is below 64.
#[inline(always)]
fn shift_left(value: Word128, shift: u32) -> Word128 {
    if shift == 0 {
        return value;
    }
    Word128 {
        hi: (value.hi << (shift & 63)) | (value.lo >> ((64 - shift) & 63)),
        lo: value.lo << (shift & 63),
    }
}

/// Stores the low `width` (1 to 8) bytes of `bits`, big-endian, in as few stores as the width has
/// binary digits.
#[inline(always)]
fn store_bytes(frame: &mut impl FrameMut, at: usize, width: usize, bits: u64) {
    match width {
        1 => frame.store_u8(at, bits as u8),
        2 => frame.store_u16(at, bits as u16),
        3 => {
            frame.store_u16(at, (bits >> 8) as u16);
            frame.store_u8(at.wrapping_add(2), bits as u8);
        }
        4 => frame.store_u32(at, bits as u32),
        5 => {
            frame.store_u32(at, (bits >> 8) as u32);
            frame.store_u8(at.wrapping_add(4), bits as u8);
        }
        6 => {
            frame.store_u32(at, (bits >> 16) as u32);
            frame.store_u16(at.wrapping_add(4), bits as u16);
        }
        7 => {
            frame.store_u32(at, (bits >> 24) as u32);
            frame.store_u16(at.wrapping_add(4), (bits >> 8) as u16);
            frame.store_u8(at.wrapping_add(6), bits as u8);
        }
        _ => frame.store_u64(at, bits),
    }
}
