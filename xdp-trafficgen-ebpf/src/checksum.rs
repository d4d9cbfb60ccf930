//! The Internet checksum (RFC 1071), built from values that are about to be written.
//!
//! A page handed to the program may hold the template or any frame sent before, so a checksum is
//! never updated from what the page says: user space sums what is constant once, the program adds
//! what it writes.

/// The sum of `bytes` as big-endian 16-bit words, an odd last byte padded with zero; not folded,
/// not complemented.
///
/// Below 2⁴⁶ for any slice below 2³⁰ bytes.
pub fn sum(bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(2);
    let even: u64 =
        words.by_ref().map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum();
    even + words.remainder().first().map_or(0, |&last| u64::from(last) << 8)
}

/// What a big-endian number adds to a checksum: any number is congruent to the sum of its 16-bit
/// words modulo 0xffff.
///
/// For a number whose last byte lies at an even position of the covered bytes, and so is a high
/// byte, it is this times 256. The result is below 2³³, so that a few dozen of them, moved up or
/// not, stay within what [`fold`] takes.
#[inline(always)]
pub const fn contribution(value: u64) -> u64 {
    (value >> 32) + (value & 0xffff_ffff)
}

/// Folds a sum below 2⁵⁶ to 16 bits with end-around carry.
#[inline(always)]
pub const fn fold_64(sum: u64) -> u16 {
    // Below 2³³ after the first step, below 2¹⁸ after the second, below 2¹⁶ + 4 after the third.
    let mut sum = (sum >> 32) + (sum & 0xffff_ffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum as u16
}

/// Folds a sum below 2⁴⁶ to 16 bits with end-around carry.
#[inline(always)]
pub fn fold(mut sum: u64) -> u16 {
    // Below 2³⁰ + 2¹⁶ after the first step, below 2¹⁴ + 2¹⁶ + 1 after the second, below 2¹⁶ after
    // the third.
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum = (sum >> 16) + (sum & 0xffff);
    sum as u16
}

/// The checksum field's value where zero means "no checksum" and is sent as 0xffff (RFC 768).
#[inline(always)]
pub fn never_zero(folded: u16) -> u16 {
    if folded == 0xffff { 0xffff } else { !folded }
}

/// A wrong value in place of `good`, for frames whose checksum is to be bad on purpose: the next one,
/// modulo 65535. It differs from `good`, is not its other zero, and is not zero, which UDP takes for
/// "no checksum".
#[inline(always)]
pub const fn spoiled(good: u16) -> u16 {
    if good == 0xffff { 1 } else { good + 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_1071_section_3_example() {
        // "0001 f203 f4f5 f6f7" sums to 2ddf0, folded ddf2.
        let bytes = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(sum(&bytes), 0x2ddf0);
        assert_eq!(fold(sum(&bytes)), 0xddf2);
    }

    #[test]
    fn udp_zero_is_sent_as_ones() {
        assert_eq!(never_zero(fold(0xffff)), 0xffff);
        assert_eq!(!fold(0xffff), 0);
    }

    proptest! {
        #[test]
        fn agrees_with_etherparse(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
            let oracle = etherparse::checksum::Sum16BitWords::new().add_slice(&bytes).ones_complement().to_be();
            prop_assert_eq!(!fold(sum(&bytes)), oracle);
        }

        /// Writing a number at any place adds `contribution` to the sum of the rest.
        #[test]
        fn a_contribution_stands_for_its_bytes(
            mut bytes in proptest::collection::vec(any::<u8>(), 16..200),
            at in 0usize..8, width in 1usize..=8, value: u64,
        ) {
            let value = if width == 8 { value } else { value & ((1 << (8 * width)) - 1) };
            bytes[at..at + width].fill(0);
            let rest = sum(&bytes);
            bytes[at..at + width].copy_from_slice(&value.to_be_bytes()[8 - width..]);
            let oracle = etherparse::checksum::Sum16BitWords::new().add_slice(&bytes).ones_complement().to_be();
            let amount = if (at + width) % 2 == 1 { contribution(value) << 8 } else { contribution(value) };
            let ours = !fold(rest + amount);
            // 0 and 0xffff are the two zeros of one's complement; all-zero data is the only place they differ.
            prop_assert!(ours == oracle || (ours == 0 && oracle == 0xffff) || (ours == 0xffff && oracle == 0));
        }
    }
}
