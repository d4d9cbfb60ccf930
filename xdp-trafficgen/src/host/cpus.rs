//! CPUs: which exist, and which this process may use.

use std::{fs, io, thread};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::units::CpuList;

/// CPUs that are online, in order.
///
/// # Errors
/// When /sys is not mounted.
pub fn online_cpus() -> io::Result<Vec<u32>> {
    let text = fs::read_to_string("/sys/devices/system/cpu/online")?;
    list(&text)
}

/// CPUs that this machine may ever have, in order; some firmware leaves numbers out.
///
/// # Errors
/// When /sys is not mounted.
pub(crate) fn possible_cpus() -> io::Result<Vec<u32>> {
    let text = fs::read_to_string("/sys/devices/system/cpu/possible")?;
    list(&text)
}

/// CPUs this thread may run on, in order.
///
/// # Errors
/// When the kernel does not say.
pub fn allowed_cpus() -> io::Result<Vec<u32>> {
    let set = sched_getaffinity(None)?;
    Ok((0..).take(CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu as usize)).collect())
}

/// Those of `online` that are outside of this process's cpuset, in order. A thread that asks for
/// all CPUs gets those of its cpuset (`__sched_setaffinity` of the kernel's
/// kernel/sched/syscalls.c), whatever its affinity was before. Empty where the kernel does not
/// answer: binding a worker then fails with the reason.
pub(super) fn barred_cpus(online: &[u32]) -> Vec<u32> {
    let usable = usable_cpus();
    usable.map_or_else(
        |_| Vec::new(),
        |usable| online.iter().copied().filter(|cpu| !usable.contains(cpu)).collect(),
    )
}

/// CPUs that are online and within this process's cpuset, in order.
///
/// # Errors
/// When the kernel does not say.
pub(super) fn usable_cpus() -> io::Result<Vec<u32>> {
    let ask = || {
        let mut all = CpuSet::new();
        (0..CpuSet::MAX_CPU).for_each(|cpu| all.set(cpu));
        sched_setaffinity(None, &all)?;
        allowed_cpus()
    };
    // In a thread of its own, whose changed affinity ends with it.
    thread::scope(|scope| {
        let asked = thread::Builder::new().spawn_scoped(scope, ask)?;
        asked.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Reads the kernel's list format.
fn list(text: &str) -> io::Result<Vec<u32>> {
    let CpuList(cpus) = text
        .trim()
        .parse()
        .map_err(|_| io::Error::other(format!("not a list of CPUs: {text:?}")))?;
    Ok(cpus)
}
