//! Bytes of the kernel's tables, and the diagnostic for more than can be had.

use crate::config::{Diagnostic, Origin};

/// The diagnostic for a need of more memory than can be had. `origin`: what asks for it.
pub(super) fn too_much(origin: &Origin, needed: u64, memory: u64) -> Diagnostic {
    let message = format!(
        "its flows and workers take {} of memory, and {} can be had",
        in_words(needed),
        in_words(memory)
    );
    Diagnostic::new(origin, message).help(
        "use fewer flows or CPUs, let fewer fields vary, or free memory (`memory.max` of the control group, if it is that)",
    )
}

/// Bytes in words: `9.9 GB`, `84 MB`.
pub fn in_words(bytes: u64) -> String {
    let bytes = bytes as f64;
    if bytes >= 1e9 {
        format!("{:.1} GB", bytes / 1e9)
    } else {
        format!("{:.0} MB", (bytes / 1e6).ceil())
    }
}

/// Bytes of a table with this number of entries; the kernel's arrays have at least one.
pub(super) const fn table<T>(len: usize) -> u64 {
    entries(len, size_of::<T>())
}

/// The kernel keeps entries at multiples of eight bytes (`round_up(attr->value_size, 8)` of
/// kernel/bpf/arraymap.c).
pub(super) const fn entries(len: usize, bytes: usize) -> u64 {
    let len = if len == 0 { 1 } else { len };
    len as u64 * bytes.next_multiple_of(8) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_in_words() {
        assert_eq!(in_words(19_600_000_000), "19.6 GB");
        assert_eq!([in_words(0), in_words(1), in_words(83_500_000)], ["0 MB", "1 MB", "84 MB"]);
    }
}
