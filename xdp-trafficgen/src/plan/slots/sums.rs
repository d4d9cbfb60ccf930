//! What counts in which checksum, and what the sums start from.

use std::ops::Range;

use xdp_trafficgen_ebpf::abi::{MAX_SUMS, NO_SUM};

use crate::{
    config::{Diagnostic, Place},
    packet::CoveredChecksum,
};

/// For each length of the frame, what lies behind the headers and the pseudo header's length add to a checksum.
pub(super) fn payload_sums(frame: &[u8], header_len: usize, checksum: &CoveredChecksum, lens: &[u128]) -> Vec<u128> {
    let start = checksum.covers.last().map_or(0, |range| range.start);
    let payload = &frame[header_len..];
    // Sums of the payload's first bytes.
    let mut sums = Vec::with_capacity(payload.len() + 1);
    let mut total = 0u64;
    sums.push(0);
    for (place, &byte) in (header_len..).zip(payload) {
        total += if place.is_multiple_of(2) { u64::from(byte) << 8 } else { u64::from(byte) };
        sums.push(total);
    }
    lens.iter()
        .map(|&len| {
            let len = usize::try_from(len).unwrap_or(0);
            let length = u16::try_from(len - start).unwrap_or(u16::MAX);
            let length = if swapped(checksum) { length.swap_bytes() } else { length };
            let pseudo = if checksum.pseudo.is_some() { u64::from(length) } else { 0 };
            let sum = sums.get(len.saturating_sub(header_len)).copied().unwrap_or(total);
            u128::from(sum + pseudo)
        })
        .collect()
}

/// Whether what a checksum covers starts on an odd byte of the frame. Sums count bytes by their place in the frame; such a
/// checksum's come out with their bytes swapped (RFC 1071 section 2, B).
pub(super) fn swapped(checksum: &CoveredChecksum) -> bool {
    checksum.covers.last().is_some_and(|range| range.start % 2 == 1)
}

/// The sum of everything a checksum covers that does not vary.
pub(super) fn base(checksum: &CoveredChecksum, blank: &[u8], header_len: usize, sizes_vary: bool) -> u64 {
    if !(sizes_vary && checksum.to_end) {
        return checksum.sum(blank);
    }
    let mut without_payload = checksum.clone();
    if let Some(last) = without_payload.covers.last_mut() {
        last.end = header_len;
    }
    let length = without_payload.covers.last().map_or(0, |range| range.len() as u64);
    // The pseudo header's length is part of the addend.
    without_payload.sum(blank) - if checksum.pseudo.is_some() { length } else { 0 }
}

/// The range of `checksum` that holds these bytes, if one does.
pub(super) fn covering(checksum: &CoveredChecksum, bytes: &Range<usize>) -> Option<Range<usize>> {
    checksum.covers.iter().find(|range| range.start <= bytes.start && bytes.end <= range.end).cloned()
}

pub(super) fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The checksums among `checksums` that these bytes count in.
pub(super) fn sums(
    bytes: &Range<usize>,
    checksums: &[CoveredChecksum],
    place: &Place,
) -> Result<[u32; MAX_SUMS], Diagnostic> {
    let mut sums = [NO_SUM; MAX_SUMS];
    let mut free = sums.iter_mut();
    for (index, checksum) in (0..).zip(checksums) {
        let Some(range) = covering(checksum, bytes) else { continue };
        if checksum.offset == bytes.start {
            continue;
        }
        // Pseudo headers on even bytes, of a transport header on odd ones.
        if swapped(checksum) != (range.start % 2 == 1) {
            return Err(Diagnostic::new(
                place,
                "between this field and a checksum that covers it lies an odd number of bytes",
            )
            .help("give the field a single value, set that checksum, or let `custom` have an even number of bytes"));
        }
        let Some(slot) = free.next() else {
            return Err(Diagnostic::new(place, format!("more than {MAX_SUMS} checksums cover this field"))
                .help("set the checksum of one of the headers around it"));
        };
        *slot = index;
    }
    Ok(sums)
}
