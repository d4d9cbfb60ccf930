//! A worker: a thread on one CPU that makes the kernel send, call after call, until its share is done.

use std::time::Instant;

use rustix::thread::{CpuSet, sched_setaffinity};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::call_size::CallSize,
    kernel::{Generator, KernelError, generator::Sent},
    plan::{PortPlan, schedule},
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

/// Sends the share of the worker with this index among the port's CPUs; durations of flows count from `started`.
pub(super) fn work(
    plan: &PortPlan,
    generator: &Generator,
    index: usize,
    started: Instant,
    stop: &CancellationToken,
) -> Result<(), WorkerError> {
    let weights: Vec<u32> = plan.flows.iter().map(|flow| flow.weight).collect();
    // None: an end so far away that no clock can tell it.
    let deadlines: Vec<Option<Instant>> =
        plan.flows.iter().map(|flow| flow.duration.and_then(|duration| started.checked_add(duration))).collect();
    let mut left: Vec<Option<u64>> = plan.flows.iter().map(|flow| plan.share(flow, index)).collect();
    let mut size = CallSize::new(plan.batch_size);
    loop {
        let now = Instant::now();
        for (left, deadline) in left.iter_mut().zip(&deadlines) {
            if deadline.is_some_and(|deadline| size.is_over(deadline.saturating_duration_since(now))) {
                *left = Some(0);
            }
        }
        let Some(phase) = schedule::phase(&weights, &left) else { return Ok(()) };
        let worker = u32::try_from(index).unwrap_or(u32::MAX);
        if plan.flows.len() > 1 {
            generator.set_schedule(worker, &plan.program, &phase.turns).map_err(WorkerError::Send)?;
        }
        // The first flow to end ends the phase.
        let active = deadlines.iter().zip(&left).filter(|(_, left)| **left != Some(0));
        let deadline = active.filter_map(|(deadline, _)| *deadline).min();
        let stretch = Stretch { plan, generator, index, frames: phase.frames, deadline };
        let sent = stretch.send(&mut size, stop)?;
        if stop.is_cancelled() {
            return Ok(());
        }
        let cycle = phase.turns.len() as u64;
        let rest = usize::try_from(sent % cycle).unwrap_or(0);
        for (position, &turn) in phase.turns.iter().enumerate() {
            if let Some(left) = &mut left[turn as usize] {
                *left -= sent / cycle + u64::from(position < rest);
            }
        }
    }
}

/// Calls in which the same flows take turns.
struct Stretch<'a> {
    plan: &'a PortPlan,
    generator: &'a Generator,
    index: usize,
    frames: Option<u64>,
    deadline: Option<Instant>,
}

impl Stretch<'_> {
    /// Sends until the frames are sent or the time is up; gives the number of frames.
    fn send(&self, size: &mut CallSize, stop: &CancellationToken) -> Result<u64, WorkerError> {
        let &Self { plan, generator, frames, deadline, .. } = self;
        let before_all = self.attempted()?;
        let mut sent = 0;
        while frames.is_none_or(|frames| sent < frames) && !stop.is_cancelled() {
            let before = Instant::now();
            let time_left = deadline.map(|deadline| deadline.saturating_duration_since(before));
            let left = frames.map_or(u64::MAX, |frames| frames - sent);
            let Some(repeat) = size.next(left, time_left) else { break };
            let result = generator.send(&plan.program.frame, plan.ingress, repeat, plan.batch_size);
            let result = result.map_err(|error| {
                if error.errno() == Some(ENODEV) { WorkerError::InterfaceGone } else { WorkerError::Send(error) }
            })?;
            match result {
                Sent::All => {
                    size.learn(repeat, before.elapsed());
                    sent += u64::from(repeat);
                }
                // A signal that found this thread. The program has counted what did run.
                Sent::Interrupted => sent = self.attempted()? - before_all,
            }
        }
        Ok(sent)
    }

    /// Repetitions of this worker so far.
    fn attempted(&self) -> Result<u64, WorkerError> {
        let workers = self.generator.workers().map_err(WorkerError::Send)?;
        let worker = workers.get(self.plan.cpus[self.index] as usize).copied().unwrap_or_default();
        Ok(worker.attempted() + worker.aborted)
    }
}

const ENODEV: i32 = 19;
