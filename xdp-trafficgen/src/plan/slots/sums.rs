//! What counts in which checksum.

use std::ops::Range;

use xdp_trafficgen_ebpf::abi::{MAX_SUMS, NO_SUM};

use super::reach::Reaching;
use crate::{
    config::{Diagnostic, Origin},
    packet::CoveredChecksum,
};

/// Whether what a checksum covers starts on an odd byte of the frame. Sums count bytes by their
/// place in the frame; such a checksum's come out with their bytes swapped (RFC 1071 section 2, B).
pub(super) const fn swapped(checksum: &CoveredChecksum) -> bool {
    checksum.start % 2 == 1
}

/// What `checksum` covers in every frame and holds these bytes, if anything does.
pub(super) fn covering(checksum: &Reaching, bytes: &Range<usize>) -> Option<Range<usize>> {
    let always = checksum.checksum.start..checksum.floor();
    let mut ranges = checksum.checksum.addresses.iter().cloned().chain([always]);
    ranges.find(|range| range.start <= bytes.start && bytes.end <= range.end)
}

pub(super) fn overlap(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

/// The checksums among `checksums` that these bytes count in.
pub(super) fn sums(
    bytes: &Range<usize>,
    checksums: &[Reaching],
    place: &Origin,
) -> Result<[u32; MAX_SUMS], Diagnostic> {
    let mut sums = [NO_SUM; MAX_SUMS];
    let mut free = sums.iter_mut();
    for (index, checksum) in (0..).zip(checksums) {
        let Some(range) = covering(checksum, bytes) else { continue };
        let checksum = &checksum.checksum;
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
            return Err(Diagnostic::new(
                place,
                format!("more than {MAX_SUMS} checksums cover this field"),
            )
            .help("set the checksum of one of the headers around it"));
        };
        *slot = index;
    }
    Ok(sums)
}
