//! Sending without a rate: calls follow each other, each as long as a stop may have to wait. A gate
//! in the program keeps to what the link takes, unless the port floods.

use std::time::Duration;

use xdp_trafficgen_ebpf::abi::Gate;

use crate::{
    config::WhenFull,
    engine::{
        call_size::CallSize,
        gate::{self, Call, Progress},
        refused::Refused,
        standstill::StandstillWatch,
        turns::{PhaseOutcome, SendLoop},
        worker::{Worker, WorkerError},
    },
    kernel::generator::Sent,
    plan::turns::PhaseEnd,
    units::Nanos,
};

/// A worker at full speed: its frames have no departure times.
pub(super) struct FullSpeed<'a> {
    worker: &'a Worker<'a>,
    size: CallSize,
    watch: StandstillWatch<'a>,
    refused: Refused,
    progress: Progress,
}

impl<'a> FullSpeed<'a> {
    /// Sleeps until the start.
    pub(super) fn new(worker: &'a Worker<'a>) -> Result<Self, WorkerError> {
        worker.sleep_until(worker.start);
        let watch = StandstillWatch::begin(worker.still, worker.clock.now());
        let size = CallSize::new(worker.plan.batch_size);
        let progress = Progress::begin(worker.clock.now());
        let full_speed = Self { worker, size, watch, refused: Refused::none(worker), progress };
        full_speed.close_gate()?;
        Ok(full_speed)
    }

    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        self.worker.clock.now().saturating_sub(self.worker.start)
    }

    /// An instant of the worker's clock, this long after the start.
    fn instant(&self, since_start: Nanos) -> u64 {
        self.worker.start.saturating_add(since_start.get())
    }
}

impl SendLoop for FullSpeed<'_> {
    fn time(&mut self) -> Result<Nanos, WorkerError> {
        Ok(Nanos::new(self.now()))
    }

    fn is_over(&self, time_left: Nanos) -> bool {
        self.size.is_over(time_left.into())
    }

    fn wait(&mut self, until: Nanos) -> Result<bool, WorkerError> {
        self.sleep_until(self.instant(until));
        self.progress = Progress::begin(self.worker.clock.now());
        Ok(true)
    }

    fn send(
        &mut self,
        turns: Option<u64>,
        until: Option<PhaseEnd>,
    ) -> Result<PhaseOutcome, WorkerError> {
        let before_all = self.attempted()?;
        let end = until.map(|until| Nanos::new(self.instant(until.time)));
        let mut in_vain = false;
        let mut sent = 0;
        while turns.is_none_or(|turns| sent < turns) && !self.worker.stop.is_cancelled() {
            let gate = self.gate()?;
            if let Some(ready) = gate::sleep(&gate, self.worker.clock.now()) {
                self.sleep_until(end.map_or(ready, |end| end.get().min(ready)));
            }
            let before = self.now();
            let time_left = until.map(|until| until.time.since(Nanos::new(before)).into());
            let left = turns.map_or(u64::MAX, |turns| turns - sent);
            let now = self.worker.clock.now();
            let Call { batch, most, deadline } =
                gate::call(&gate, self.worker.plan.batch_size, now, end);
            let Some(repeat) = self.size.next(batch, left.min(most.into()), time_left) else {
                break;
            };
            self.set_deadline(gate, deadline)?;
            match self.worker.call(repeat, batch)? {
                all @ Sent::All => {
                    let after = self.now();
                    let took = after - before;
                    self.watch.alive(self.worker.start.saturating_add(after), None);
                    self.size.learn(all, repeat, Duration::from_nanos(took));
                    sent += u64::from(repeat);
                }
                // A signal reached this thread. The program has counted the repetitions that ran.
                Sent::Interrupted => {
                    sent = self.attempted()? - before_all;
                    self.watch.alive(self.worker.clock.now(), None);
                }
            }
            let refused = self.gate()?.refused - gate.refused;
            self.progress.learn(self.worker.clock.now(), refused < repeat.into());
            let over = self.progress.is_over(self.worker.clock.now());
            // What is refused for another reason than a full queue will be refused again.
            if turns.is_some() && over != in_vain {
                in_vain = over;
                if in_vain { self.open_gate()? } else { self.close_gate()? }
            }
        }
        let made = self.attempted()? - before_all;
        let strayed = made != sent && self.worker.generator.counts();
        if strayed {
            return Err(WorkerError::Strayed { cpu: self.worker.cpu(), asked: sent, made });
        }
        let refused = self.refused.since_last(self.worker)?;
        let gate = self.gate()?;
        let made_up = gate.spec.used != 0 && gate.state.blocked == 0;
        if in_vain {
            self.close_gate()?;
        }
        let refused = if made_up { refused } else { Vec::new() };
        Ok(PhaseOutcome { taken: sent, is_last: false, refused })
    }
}

impl FullSpeed<'_> {
    /// Repetitions on this worker's CPU so far.
    fn attempted(&self) -> Result<u64, WorkerError> {
        let workers = self.worker.generator.workers().map_err(WorkerError::Count)?;
        let worker = workers.get(self.worker.cpu()).copied().unwrap_or_default();
        Ok(worker.frames_attempted() + worker.counts.aborted)
    }

    fn sleep_until(&mut self, instant: u64) {
        self.worker.sleep_until(instant);
        self.watch.alive(self.worker.clock.now(), Some(instant));
    }

    fn gate(&self) -> Result<Gate, WorkerError> {
        self.worker.generator.gate(self.worker.index).map_err(WorkerError::Count)
    }

    fn set_gate(&self, gate: Gate) -> Result<(), WorkerError> {
        self.worker.generator.set_gate(self.worker.index, gate).map_err(WorkerError::Count)
    }

    fn set_deadline(&self, mut gate: Gate, deadline: u64) -> Result<(), WorkerError> {
        gate.spec.deadline = deadline;
        self.set_gate(gate)
    }

    /// Frames wait for room from now on, unless the port floods or its frames do not leave.
    fn close_gate(&self) -> Result<(), WorkerError> {
        let Worker { plan, clock, .. } = self.worker;
        if plan.when_full == WhenFull::Flood || plan.leaves_by().is_none() {
            return Ok(());
        }
        let refused = self.gate()?.refused;
        self.set_gate(Gate { refused, ..Gate::new(gate::nominal_gap(plan), clock.now()) })
    }

    /// No frame waits from now on.
    fn open_gate(&self) -> Result<(), WorkerError> {
        let refused = self.gate()?.refused;
        self.set_gate(Gate { refused, ..Gate::default() })
    }
}
