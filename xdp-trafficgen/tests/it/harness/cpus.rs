//! CPUs that tests may use.

use std::thread;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The CPUs to send on: a list of one and a list of two, as far as this machine has them.
pub(crate) fn cpu_lists() -> &'static [&'static str] {
    if thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1) {
        &["0", "0-1"]
    } else {
        &["0"]
    }
}

/// Pins the calling thread, because a worker's state belongs to its CPU.
pub(crate) fn pin(cpu: u32) {
    let mut set = CpuSet::new();
    set.set(cpu as usize);
    sched_setaffinity(None, &set).unwrap();
}

pub(crate) fn allowed_cpus() -> Vec<u32> {
    let set = sched_getaffinity(None).unwrap();
    (0..1024).filter(|&cpu| set.is_set(cpu as usize)).collect()
}
