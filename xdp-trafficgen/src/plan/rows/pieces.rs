//! Fields in parts: each lies in one word of the row, or in its lead.
#![expect(
    clippy::cast_possible_truncation,
    reason = "taking the low bits of a number is what this arithmetic is made of"
)]

use xdp_trafficgen_ebpf::abi::{Effect, LEAD};

use crate::plan::varying::{Step, small};

/// A part of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    /// The word; none: the lead.
    pub(super) word: Option<usize>,
    /// Bits of the word below it.
    pub(super) shift: u32,
    /// How many it has.
    pub(super) bits: u32,
    /// Its first bit in the frame.
    pub(super) start: usize,
}

impl Piece {
    /// The effect that adds to it.
    pub(super) fn effect(&self, amount: u64) -> Effect {
        let target = self.word.map_or(Effect::LEAD, small);
        Effect { target, reserved: 0, amount: amount.wrapping_shl(self.shift) }
    }

    /// The first bit behind it.
    pub(super) const fn end(&self) -> usize {
        self.start + self.bits as usize
    }

    /// Its largest value.
    pub(super) const fn limit(&self) -> u64 {
        u64::MAX >> (64 - self.bits)
    }

    /// A value of it as its register has it: a register counts up to 2⁶² or up to 2⁶⁴, so that sums
    /// do not pass 2⁶⁴ unseen.
    pub(super) const fn in_register(&self, value: u64) -> u64 {
        if self.bits > 62 { value << (64 - self.bits) } else { value }
    }

    /// The register's largest value.
    pub(super) const fn register_limit(&self) -> u64 {
        if self.bits > 62 { u64::MAX } else { self.limit() }
    }
}

/// The parts of the field at these bits, the lowest one first.
pub(super) fn pieces(start: usize, end: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut above = end;
    while above > start {
        let (word, word_start) = match (above - 1).checked_sub(8 * LEAD) {
            None => (None, 0),
            Some(bit) => (Some(bit / 64), 8 * LEAD + bit / 64 * 64),
        };
        let word_end = if word.is_none() { 8 * LEAD } else { word_start + 64 };
        let first = word_start.max(start);
        pieces.push(Piece {
            word,
            shift: small(word_end - above),
            bits: small(above - first),
            start: first,
        });
        above = first;
    }
    pieces
}

/// What a step adds to each part of a field: to all but the last one a number within the part's
/// bits, to the last one whatever is left (wrapping).
pub(super) fn digits(pieces: &[Piece], step: Step, circle: bool) -> Vec<u64> {
    let mut magnitude = step.magnitude;
    // The 129th bit.
    let mut above = circle;
    let mut digits = Vec::new();
    for (number, piece) in pieces.iter().enumerate() {
        if number + 1 == pieces.len() {
            let rest = magnitude as u64;
            digits.push(if step.negative { rest.wrapping_neg() } else { rest });
            break;
        }
        let low = magnitude as u64 & piece.limit();
        let digit = if step.negative { low.wrapping_neg() & piece.limit() } else { low };
        digits.push(digit);
        magnitude = (magnitude >> piece.bits) | if above { 1u128 << (128 - piece.bits) } else { 0 };
        above = false;
        if step.negative && digit != 0 {
            magnitude += 1;
        }
    }
    digits
}

/// The bits of a frame, at most 64, as a number.
pub(super) fn read(frame: &[u8], start: usize, end: usize) -> u64 {
    (start..end).fold(0, |value, bit| value << 1 | u64::from(frame[bit / 8] >> (7 - bit % 8) & 1))
}

/// Adds to the bits of a frame, which have room for it.
pub(super) fn add(frame: &mut [u8], start: usize, end: usize, value: u128) {
    let bytes = start / 8..end.div_ceil(8);
    let shift = 8 * bytes.end - end;
    // A byte at a time from the lowest one, for a field of 128 bits may lie in seventeen bytes.
    let (mut rest, mut carry) = (value, 0u16);
    for (number, at) in bytes.rev().enumerate() {
        let low = if number == 0 {
            let low = (rest << shift) as u8;
            rest >>= 8 - shift;
            low
        } else {
            let low = rest as u8;
            rest >>= 8;
            low
        };
        let sum = u16::from(frame[at]) + u16::from(low) + carry;
        frame[at] = sum as u8;
        carry = sum >> 8;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Digits add up to the step, whatever its sign.
        #[test]
        fn digits_are_the_step_in_parts(
            start in 0usize..200, bits in 1usize..=128, magnitude: u128, negative: bool,
        ) {
            let pieces = pieces(start, start + bits);
            let magnitude = magnitude >> (128 - bits);
            let step = Step { negative, magnitude };
            let mut below = 0;
            let mut sum = 0u128;
            for (number, (piece, digit)) in pieces.iter().zip(digits(&pieces, step, false)).enumerate() {
                let digit = if number + 1 == pieces.len() { i128::from(digit.cast_signed()).cast_unsigned() } else { digit.into() };
                sum = sum.wrapping_add(digit.wrapping_shl(below));
                below += piece.bits;
            }
            let mask = u128::MAX >> (128 - bits);
            prop_assert_eq!(sum & mask, step.wrapping() & mask);
        }

        #[test]
        fn bits_that_are_added_are_read_again(start in 0usize..100, bits in 1usize..=64, value: u64) {
            let mut frame = [0; 32];
            let value = value >> (64 - bits);
            add(&mut frame, start, start + bits, value.into());
            prop_assert_eq!(read(&frame, start, start + bits), value);
        }
    }
}
