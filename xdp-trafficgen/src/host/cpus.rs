//! CPUs: those that exist, those we may use, and lists of them.

use std::{fs, io};

/// CPUs that exist and are switched on, in order.
///
/// # Errors
/// When /sys is not mounted.
pub fn online_cpus() -> io::Result<Vec<u32>> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online")?;
    parse_cpu_list(text.trim()).ok_or_else(|| io::Error::other(format!("not a list of CPUs: {text:?}")))
}

/// CPUs this thread may run on, in order.
///
/// # Errors
/// When the kernel does not say.
pub(super) fn allowed_cpus() -> io::Result<Vec<u32>> {
    let set = rustix::thread::sched_getaffinity(None)?;
    Ok((0..).take(rustix::thread::CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu as usize)).collect())
}

/// Reads the kernel's list format: `0,2-3`.
pub(super) fn parse_cpu_list(text: &str) -> Option<Vec<u32>> {
    let mut cpus = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        cpus.extend(first..=last);
    }
    Some(cpus)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_ranges() {
        for (text, cpus) in [("0", Some(vec![0])), ("0,2-4", Some(vec![0, 2, 3, 4])), ("", None), ("a-b", None)] {
            assert_eq!(parse_cpu_list(text), cpus, "{text}");
        }
    }
}
