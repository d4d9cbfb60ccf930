//! Which bytes count in which checksum.

use std::ops::Range;

use super::reaching::{Reaching, covering, swapped};
use crate::config::{Diagnostic, Origin};

/// The indices of the checksums that these bytes count in.
pub(super) fn sums(
    bytes: &Range<usize>,
    checksums: &[Reaching],
    origin: &Origin,
) -> Result<Vec<usize>, Diagnostic> {
    let mut sums = Vec::new();
    for (index, checksum) in checksums.iter().enumerate() {
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
        sums.push(index);
    }
    Ok(sums)
}
