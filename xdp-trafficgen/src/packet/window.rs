//! Where a field's bits are in the frame, and how to write them.

use std::ops::Range;

/// The whole bytes that hold a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// The bytes, from the frame's start; at most 16.
    pub bytes: Range<usize>,
    /// Bits behind the field in the window's last byte.
    pub shift: u32,
}

impl Window {
    /// The window of `bits` bits that start at bit `first_bit` of the frame.
    pub(super) fn new(first_bit: usize, bits: u32) -> Self {
        let end_bit = first_bit + bits as usize;
        let bytes = first_bit / 8..end_bit.div_ceil(8);
        let [low_bits, ..] = end_bit.to_le_bytes();
        let shift = u32::from(low_bits.wrapping_neg() % 8);
        Self { bytes, shift }
    }

    pub(super) fn overlaps(&self, bytes: &Range<usize>) -> bool {
        self.bytes.start < bytes.end && bytes.start < self.bytes.end
    }

    /// Writes the low `bits` bits of `value` into the window and leaves the rest of it alone.
    pub fn write(&self, frame: &mut [u8], bits: u32, value: u128) {
        let unused = 16 - self.bytes.len();
        let mask = (u128::MAX >> (128 - bits)) << self.shift;
        let mut old = [0; 16];
        old[unused..].copy_from_slice(&frame[self.bytes.clone()]);
        let new = (u128::from_be_bytes(old) & !mask) | ((value << self.shift) & mask);
        frame[self.bytes.clone()].copy_from_slice(&new.to_be_bytes()[unused..]);
    }
}
