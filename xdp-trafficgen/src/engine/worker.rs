//! A worker: a thread on one CPU that makes the kernel send, call after call, until its share is done.

use std::time::Instant;

use rustix::thread::{CpuSet, sched_setaffinity};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::call_size::CallSize,
    kernel::{Generator, KernelError, generator::Sent},
    plan::PortPlan,
};

/// Why a worker could not go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// It may not run on its CPU.
    #[error("cannot run on CPU {cpu}: is it outside of this process's cpuset?")]
    Pin {
        /// The CPU.
        cpu: u32,
        /// Why.
        source: rustix::io::Errno,
    },
    /// An interface went away.
    #[error("the interface was removed while it was in use")]
    InterfaceGone,
    /// The kernel refused to go on.
    #[error("the kernel stopped sending")]
    Send(#[source] KernelError),
    /// A mistake of ours.
    #[error("a worker thread panicked")]
    Panicked,
}

/// Binds the calling thread to a CPU.
pub(super) fn pin(cpu: u32) -> Result<(), WorkerError> {
    let mut set = CpuSet::new();
    set.set(cpu as usize);
    sched_setaffinity(None, &set).map_err(|source| WorkerError::Pin { cpu, source })
}

/// Sends the share of the worker with this index among the port's CPUs; the flow's duration counts from `started`.
pub(super) fn work(
    plan: &PortPlan,
    generator: &Generator,
    index: usize,
    started: Instant,
    stop: &CancellationToken,
) -> Result<(), WorkerError> {
    // None: an end so far away that no clock can tell it.
    let deadline = plan.flow.duration.and_then(|duration| started.checked_add(duration));
    let share = plan.share(index);
    let mut left = share.unwrap_or(u64::MAX);
    let mut size = CallSize::new(plan.batch_size);
    while left > 0 && !stop.is_cancelled() {
        let before = Instant::now();
        let time_left = deadline.map(|deadline| deadline.saturating_duration_since(before));
        let Some(repeat) = size.next(left, time_left) else { break };
        let sent = generator.send(&plan.flow.template, plan.ingress, repeat, plan.batch_size).map_err(|error| {
            if error.errno() == Some(ENODEV) { WorkerError::InterfaceGone } else { WorkerError::Send(error) }
        })?;
        match sent {
            Sent::All => {
                size.learn(repeat, before.elapsed());
                if share.is_some() {
                    left -= u64::from(repeat);
                }
            }
            // A signal that found this thread. The program has counted what did run.
            Sent::Interrupted => {
                if let Some(share) = share {
                    let workers = generator.workers().map_err(WorkerError::Send)?;
                    let worker = workers.get(plan.cpus[index] as usize).copied().unwrap_or_default();
                    left = share.saturating_sub(worker.attempted + worker.aborted);
                }
            }
        }
    }
    Ok(())
}

const ENODEV: i32 = 19;
