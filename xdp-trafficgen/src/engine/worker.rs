//! A worker: a thread on one CPU that makes calls, in which the kernel sends.

use std::sync::atomic::AtomicU64;

use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

use crate::{
    engine::{clock, standstill::Standstill, stop::Stop},
    kernel::{Generator, KernelError, ProgramClock, generator::Sent},
    plan::PortPlan,
};

/// Why a worker could not go on.
#[derive(Debug, thiserror::Error)]
pub enum WorkerError {
    /// The worker may not run on its CPU.
    #[error("cannot run on CPU {cpu}: is it outside of this process's cpuset?")]
    Pin {
        /// The CPU.
        cpu: u32,
        /// Why.
        source: rustix::io::Errno,
    },
    /// Its thread ran on another CPU, where the program finds another worker's state or none.
    #[error(
        "the worker of CPU {cpu} was found on CPU {now}: its thread was moved while it was sending"
    )]
    Moved {
        /// The worker's CPU.
        cpu: u32,
        /// Where it ran.
        now: usize,
    },
    /// The same, found when the thread was back on its CPU.
    #[error(
        "CPU {cpu} made {made} of the {asked} frames of its worker: a thread was moved to another CPU for a while"
    )]
    Strayed {
        /// The worker's CPU.
        cpu: u32,
        /// Frames that its worker should have made.
        asked: u64,
        /// Frames that were made there, by any thread.
        made: u64,
    },
    /// The same, on a CPU without a worker, found at the end.
    #[error(
        "the program ran {repetitions} times on CPU {cpu}, which has no worker: a thread was moved there for a while"
    )]
    Astray {
        /// The CPU.
        cpu: u32,
        /// Repetitions that made nothing.
        repetitions: u64,
    },
    /// An interface was removed.
    #[error("the interface was removed while it was in use")]
    InterfaceGone,
    /// The kernel refused a call.
    #[error("the kernel stopped sending")]
    Send(#[source] KernelError),
    /// A worker's state in the kernel could not be read or written.
    #[error("a worker's state in the kernel is out of reach")]
    Count(#[source] KernelError),
    /// A defect of this program.
    #[error("a worker thread panicked")]
    Panicked,
}

/// Binds the calling thread to a CPU, as workers are.
///
/// # Errors
/// When the thread may not run there.
pub fn pin_to(cpu: u32) -> Result<(), WorkerError> {
    let mut set = CpuSet::new();
    set.set(cpu as usize);
    sched_setaffinity(None, &set).map_err(|source| WorkerError::Pin { cpu, source })
}

/// One of a port's workers.
pub(super) struct Worker<'a> {
    pub(super) plan: &'a PortPlan,
    pub(super) generator: &'a Generator,
    /// Its index among the port's CPUs.
    pub(super) index: u32,
    pub(super) clock: ProgramClock,
    /// The session's start on this clock; all other times count from it, in nanoseconds.
    pub(super) start: u64,
    pub(super) stop: &'a Stop,
    /// Where the worker records that it stood still.
    pub(super) still: &'a Standstill,
    /// Where the worker counts frames that it makes up for.
    pub(super) made_up: &'a AtomicU64,
}

impl Worker<'_> {
    /// Makes one call of `repeat` repetitions.
    pub(super) fn call(&self, repeat: u32, batch_size: u32) -> Result<Sent, WorkerError> {
        self.stayed()?;
        let sent =
            self.generator.send(&self.plan.program.frame, self.plan.ingress, repeat, batch_size);
        let sent = sent.map_err(|error| {
            if error.errno() == Some(libc::ENODEV) {
                WorkerError::InterfaceGone
            } else {
                WorkerError::Send(error)
            }
        })?;
        self.stayed()?;
        Ok(sent)
    }

    /// Sleeps until an instant of its clock, or until the stop token is cancelled.
    pub(super) fn sleep_until(&self, instant: u64) {
        clock::sleep_until(self.clock, instant, self.stop.token());
    }

    pub(super) fn cpu(&self) -> u32 {
        self.plan.cpus[self.index as usize]
    }

    /// Checks that the thread is on the CPU that it was pinned to. Other processes may change its
    /// affinity and so move it, and the program would use the state of another worker, or none. The
    /// check reads the vDSO: some 20 ns for a call of milliseconds.
    fn stayed(&self) -> Result<(), WorkerError> {
        let (cpu, now) = (self.cpu(), sched_getcpu());
        if now == cpu as usize {
            return Ok(());
        }
        Err(WorkerError::Moved { cpu, now })
    }
}
