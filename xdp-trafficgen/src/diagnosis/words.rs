//! Phrases that several findings share.

use std::error::Error;

use crate::units::CpuList;

/// `CPU 3`, `CPUs 0, 2-5`; the numbers are in order.
pub(super) fn cpus(numbers: &[u32]) -> String {
    let noun = if numbers.len() == 1 { "CPU" } else { "CPUs" };
    format!("{noun} {:#}", CpuList(numbers))
}

/// As `--cpus` takes it: `0,2-5`; the numbers are in order.
pub(super) fn option(numbers: &[u32]) -> String {
    CpuList(numbers).to_string()
}

/// `2 queues`.
pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// An error with all its causes, in one line.
pub fn in_full(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        // Some libraries repeat their cause in their own text.
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_cpus_are_a_range() {
        for (numbers, text) in [
            (&[3][..], "CPU 3"),
            (&[0, 1], "CPUs 0-1"),
            (&[0, 2, 3, 4, 8], "CPUs 0, 2-4, 8"),
            (&[], "CPUs "),
        ] {
            assert_eq!(cpus(numbers), text);
        }
        assert_eq!(option(&[0, 2, 3]), "0,2-3");
    }
}
