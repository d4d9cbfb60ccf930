//! Which bytes count in which checksum.

use std::ops::Range;

use xdp_trafficgen_ebpf::abi::{MAX_SUMS, NO_SUM};

use super::reaching::{Reaching, covering, swapped};
use crate::config::{Diagnostic, Origin};

/// The indices of the checksums that these bytes count in.
pub(super) fn sums(
    bytes: &Range<usize>,
    checksums: &[Reaching],
    origin: &Origin,
) -> Result<[u32; MAX_SUMS], Diagnostic> {
    let mut sums = [NO_SUM; MAX_SUMS];
    let mut free = sums.iter_mut();
    for (index, checksum) in (0..).zip(checksums) {
        let Some(range) = covering(checksum, bytes) else { continue };
        let checksum = &checksum.checksum;
        if checksum.offset == bytes.start {
            continue;
        }
        // The pseudo header is at even bytes, the transport header at odd ones.
        if swapped(checksum) != (range.start % 2 == 1) {
            return Err(Diagnostic::new(
                origin,
                "between this field and a checksum that covers it lies an odd number of bytes",
            )
            .help("give the field a single value, set that checksum, or let `custom` have an even number of bytes"));
        }
        let Some(slot) = free.next() else {
            return Err(Diagnostic::new(
                origin,
                format!("more than {MAX_SUMS} checksums cover this field"),
            )
            .help("set the checksum of one of the headers around it"));
        };
        *slot = index;
    }
    Ok(sums)
}
