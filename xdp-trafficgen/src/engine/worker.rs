//! A worker: a thread on one CPU that makes the kernel send, call after call, until its share is done.

use std::time::Duration;

use rustix::thread::{CpuSet, sched_getcpu, sched_setaffinity};

use crate::{
    engine::{
        call_size::CallSize,
        clock::{self, nanoseconds},
        paced::PacedLoop,
        standstill::{Standstill, StandstillWatch},
        stop::Stop,
    },
    kernel::{Generator, KernelError, ProgramClock, generator::Sent},
    plan::{FlowPlan, PortPlan, pacing::Streams, schedule},
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
    /// Its thread ran on another CPU, where the program finds another worker's state or none.
    #[error("the worker of CPU {cpu} was found on CPU {now}: its thread was moved while it was sending")]
    Moved {
        /// The worker's CPU.
        cpu: u32,
        /// Where it ran.
        now: u32,
    },
    /// The same, but it is back.
    #[error("CPU {cpu} made {made} of the {asked} frames of its worker: a thread was moved to another CPU for a while")]
    Strayed {
        /// The worker's CPU.
        cpu: u32,
        /// Frames that its worker should have made.
        asked: u64,
        /// Frames that were made there, by whichever thread.
        made: u64,
    },
    /// The same, on a CPU that no worker has, found at the end.
    #[error(
        "the program ran {repetitions} times on CPU {cpu}, which has no worker: a thread was moved there for a while"
    )]
    Astray {
        /// The CPU.
        cpu: u32,
        /// Repetitions that made nothing.
        repetitions: u64,
    },
    /// An interface went away.
    #[error("the interface was removed while it was in use")]
    InterfaceGone,
    /// The kernel refused to go on.
    #[error("the kernel stopped sending")]
    Send(#[source] KernelError),
    /// What a worker keeps in the kernel could not be read or written.
    #[error("a worker's state in the kernel is out of reach")]
    Count(#[source] KernelError),
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
    /// Where it notes that it stood still.
    pub(super) still: &'a Standstill,
}

/// Sends the worker's share. Adds the departures of each flow that were due, whether frames left at them or not; without
/// set times, the frames that were made.
pub(super) fn work(worker: &Worker<'_>, due: &mut [u64]) -> Result<(), WorkerError> {
    match &worker.plan.pacing {
        None => {
            worker.sleep_until(worker.start);
            let watch = StandstillWatch::begin(worker.still, worker.clock.now());
            take_turns(worker, &mut FullSpeed { worker, size: CallSize::new(worker.plan.batch_size), watch }, due)
        }
        Some(pacing) => {
            let mut paced = PacedLoop::new(worker, pacing)?;
            match pacing.streams {
                Streams::Port => take_turns(worker, &mut paced, due),
                Streams::Flows => paced.all(due),
            }
        }
    }
}

/// How frames are sent while the same flows take turns.
pub(super) trait SendLoop {
    /// The time by which flows begin and end.
    fn time(&mut self) -> Result<u64, WorkerError>;
    /// Whether so little time is left that nothing can be sent in it.
    fn is_over(&self, time_left: u64) -> bool;
    /// Waits for a time at which something begins, while there is nothing to send. Whether there will be anything.
    fn wait(&mut self, until: u64) -> Result<bool, WorkerError>;
    /// Sends until this many turns are taken, the time has come, or it is told to stop.
    fn send(&mut self, turns: Option<u64>, until: Option<PhaseEnd>) -> Result<PhaseOutcome, WorkerError>;
}

/// When a stretch ends.
#[derive(Clone, Copy)]
pub(super) struct PhaseEnd {
    pub(super) time: u64,
    /// Nothing follows it.
    pub(super) is_last: bool,
}

/// What a stretch came to.
pub(super) struct PhaseOutcome {
    /// Turns taken, with those that were given up.
    pub(super) taken: u64,
    /// Whether there will never be more.
    pub(super) is_last: bool,
}

/// Lets the port's flows take turns, each from its beginning to its end.
fn take_turns(worker: &Worker<'_>, stretch: &mut impl SendLoop, due: &mut [u64]) -> Result<(), WorkerError> {
    let Worker { plan, generator, index, start, stop, .. } = *worker;
    let weights: Vec<u32> = plan.flows.iter().map(|flow| flow.weight).collect();
    let begin = |flow: &FlowPlan| nanoseconds(flow.delay);
    // None: never.
    let end = |flow: &FlowPlan| flow.duration.map(|duration| begin(flow).saturating_add(nanoseconds(duration)));
    let mut left: Vec<Option<u64>> = plan.flows.iter().map(|flow| plan.share(flow, index as usize)).collect();
    // Until then a flow takes its time, though nothing departs any more.
    let mut ends = 0;
    loop {
        let now = stretch.time()?;
        for (left, flow) in left.iter_mut().zip(&plan.flows) {
            if end(flow).is_some_and(|end| stretch.is_over(end.saturating_sub(now))) {
                if *left != Some(0) {
                    ends = end(flow).unwrap_or(0).max(ends);
                }
                *left = Some(0);
            }
        }
        let waits = |flow: &FlowPlan, left: &Option<u64>| *left != Some(0) && begin(flow) > now;
        let unfinished = || plan.flows.iter().zip(&left);
        let next_begin = unfinished().filter(|(flow, left)| waits(flow, left)).map(|(flow, _)| begin(flow)).min();
        let ready: Vec<Option<u64>> =
            unfinished().map(|(flow, left)| if waits(flow, left) { Some(0) } else { *left }).collect();
        let Some(phase) = schedule::phase(&weights, &ready) else {
            match next_begin {
                Some(begin) if !stop.is_cancelled() && stretch.wait(begin)? => continue,
                _ => break,
            }
        };
        if plan.flows.len() > 1 {
            generator.set_schedule(index, &plan.program, &phase.turns).map_err(WorkerError::Send)?;
        }
        // The first flow to end or to begin ends the phase.
        let active = || plan.flows.iter().zip(&ready).filter(|(_, left)| **left != Some(0)).map(|(flow, _)| flow);
        let until = active().filter_map(end).chain(next_begin).min();
        let is_last = next_begin.is_none() && active().all(|flow| end(flow) == until);
        let until = until.map(|time| PhaseEnd { time, is_last });
        let turns = stretch.send(phase.frames, until)?;
        let shares = schedule::shares(&phase.turns, plan.flows.len(), turns.taken);
        for ((due, left), share) in due.iter_mut().zip(&mut left).zip(shares) {
            *due += share;
            *left = left.map(|left| left.saturating_sub(share));
        }
        if turns.is_last || stop.is_cancelled() {
            break;
        }
    }
    worker.sleep_until(start.saturating_add(ends));
    Ok(())
}

/// As fast as it goes.
struct FullSpeed<'a> {
    worker: &'a Worker<'a>,
    size: CallSize,
    watch: StandstillWatch<'a>,
}

impl SendLoop for FullSpeed<'_> {
    fn time(&mut self) -> Result<u64, WorkerError> {
        Ok(self.worker.clock.now().saturating_sub(self.worker.start))
    }

    fn is_over(&self, time_left: u64) -> bool {
        self.size.is_over(Duration::from_nanos(time_left))
    }

    fn wait(&mut self, until: u64) -> Result<bool, WorkerError> {
        let until = self.worker.start.saturating_add(until);
        self.worker.sleep_until(until);
        self.watch.alive(self.worker.clock.now(), Some(until));
        Ok(true)
    }

    fn send(&mut self, turns: Option<u64>, until: Option<PhaseEnd>) -> Result<PhaseOutcome, WorkerError> {
        let before_all = self.attempted()?;
        let mut sent = 0;
        while turns.is_none_or(|turns| sent < turns) && !self.worker.stop.is_cancelled() {
            let before = self.time()?;
            let time_left = until.map(|until| Duration::from_nanos(until.time.saturating_sub(before)));
            let left = turns.map_or(u64::MAX, |turns| turns - sent);
            let Some(repeat) = self.size.next(left, time_left) else { break };
            match self.worker.call(repeat, self.worker.plan.batch_size)? {
                all @ Sent::All => {
                    let after = self.time()?;
                    let took = after - before;
                    self.watch.alive(self.worker.start.saturating_add(after), None);
                    self.size.learn(all, repeat, Duration::from_nanos(took));
                    sent += u64::from(repeat);
                }
                // A signal that found this thread. The program has counted what did run.
                Sent::Interrupted => {
                    sent = self.attempted()? - before_all;
                    self.watch.alive(self.worker.clock.now(), None);
                }
            }
        }
        let made = self.attempted()? - before_all;
        let strayed = made != sent && self.worker.generator.counts();
        if strayed {
            return Err(WorkerError::Strayed { cpu: self.worker.cpu(), asked: sent, made });
        }
        Ok(PhaseOutcome { taken: sent, is_last: false })
    }
}

impl FullSpeed<'_> {
    /// Repetitions on this worker's CPU so far.
    fn attempted(&self) -> Result<u64, WorkerError> {
        let workers = self.worker.generator.workers().map_err(WorkerError::Count)?;
        let worker = workers.get(self.worker.cpu()).copied().unwrap_or_default();
        Ok(worker.attempted() + worker.aborted)
    }
}

impl Worker<'_> {
    /// One call of so many repetitions.
    pub(super) fn call(&self, repeat: u32, batch_size: u32) -> Result<Sent, WorkerError> {
        self.stayed()?;
        let sent = self.generator.send(&self.plan.program.frame, self.plan.ingress, repeat, batch_size);
        let sent = sent.map_err(|error| {
            if error.errno() == Some(libc::ENODEV) { WorkerError::InterfaceGone } else { WorkerError::Send(error) }
        })?;
        self.stayed()?;
        Ok(sent)
    }

    /// Sleeps until an instant of its clock, or until it is told to stop.
    pub(super) fn sleep_until(&self, instant: u64) {
        clock::sleep_until(self.clock, instant, self.stop.token());
    }

    fn cpu(&self) -> u32 {
        self.plan.cpus[self.index as usize]
    }

    /// Whether the thread is where it was pinned. Whoever may change its affinity can move it, and the program would go on with
    /// the state of another worker, or none. Asked of the vDSO: 20 ns or so for a call of milliseconds.
    fn stayed(&self) -> Result<(), WorkerError> {
        let (cpu, now) = (self.cpu(), sched_getcpu());
        if now == cpu as usize {
            return Ok(());
        }
        Err(WorkerError::Moved { cpu, now: u32::try_from(now).unwrap_or(u32::MAX) })
    }
}
