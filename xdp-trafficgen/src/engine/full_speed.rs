//! Sending at full speed: calls follow each other, each as long as a stop may have to wait.

use std::time::Duration;

use crate::{
    engine::{
        call_size::CallSize,
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
}

impl<'a> FullSpeed<'a> {
    /// Sleeps until the start.
    pub(super) fn new(worker: &'a Worker<'a>) -> Self {
        worker.sleep_until(worker.start);
        let watch = StandstillWatch::begin(worker.still, worker.clock.now());
        Self { worker, size: CallSize::new(worker.plan.batch_size), watch }
    }

    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        self.worker.clock.now().saturating_sub(self.worker.start)
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
        let until = self.worker.start.saturating_add(until.get());
        self.worker.sleep_until(until);
        self.watch.alive(self.worker.clock.now(), Some(until));
        Ok(true)
    }

    fn send(
        &mut self,
        turns: Option<u64>,
        until: Option<PhaseEnd>,
    ) -> Result<PhaseOutcome, WorkerError> {
        let before_all = self.attempted()?;
        let mut sent = 0;
        while turns.is_none_or(|turns| sent < turns) && !self.worker.stop.is_cancelled() {
            let before = self.now();
            let time_left = until.map(|until| until.time.since(Nanos::new(before)).into());
            let left = turns.map_or(u64::MAX, |turns| turns - sent);
            let Some(repeat) = self.size.next(left, time_left) else { break };
            match self.worker.call(repeat, self.worker.plan.batch_size)? {
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
        Ok(worker.frames_attempted() + worker.counts.aborted)
    }
}
