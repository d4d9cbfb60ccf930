//! Lists of CPUs as text: the kernel's list format
//! (Documentation/admin-guide/kernel-parameters.rst, "cpu lists").

use std::{fmt, str::FromStr};

/// CPU numbers in the order given. As text, neighbours are ranges: `0,2-3`, and `0, 2-3` for
/// sentences (`{:#}`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CpuList<C = Vec<u32>>(pub C);

/// The error of text that is no list of CPUs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a list of CPUs such as `0,2-3`")]
pub struct NotCpuList;

impl<C: AsRef<[u32]>> CpuList<C> {
    /// Every number separately: `0, 2, 3`.
    pub fn one_by_one(&self) -> String {
        self.0.as_ref().iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
    }
}

impl<C: AsRef<[u32]>> fmt::Display for CpuList<C> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let runs = self.0.as_ref().chunk_by(|one, next| one.checked_add(1) == Some(*next));
        for (index, run) in runs.enumerate() {
            match (index, formatter.alternate()) {
                (0, _) => {}
                (_, false) => formatter.write_str(",")?,
                (_, true) => formatter.write_str(", ")?,
            }
            match run {
                [first, .., last] => write!(formatter, "{first}-{last}")?,
                [only] => write!(formatter, "{only}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

impl FromStr for CpuList {
    type Err = NotCpuList;

    fn from_str(text: &str) -> Result<Self, NotCpuList> {
        let number = |text: &str| text.trim().parse::<u32>().map_err(|_| NotCpuList);
        let mut cpus = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            cpus.extend(number(first)?..=number(last)?);
        }
        Ok(Self(cpus))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        for (text, cpus) in
            [("0", Some(vec![0])), ("0,2-4", Some(vec![0, 2, 3, 4])), ("", None), ("a-b", None)]
        {
            assert_eq!(text.parse().ok().map(|CpuList(cpus)| cpus), cpus, "{text}");
        }
    }

    #[test]
    fn neighbours_are_a_range() {
        for (cpus, text) in [
            (&[3][..], "3"),
            (&[0, 1], "0-1"),
            (&[0, 2, 3, 4, 8], "0, 2-4, 8"),
            (&[5, 3, 4], "5, 3-4"),
            (&[u32::MAX, 0], "4294967295, 0"),
            (&[], ""),
        ] {
            assert_eq!(format!("{:#}", CpuList(cpus)), text);
            assert_eq!(CpuList(cpus).to_string(), text.replace(' ', ""));
        }
        assert_eq!(CpuList([0, 1, 2]).one_by_one(), "0, 1, 2");
    }
}
