//! A running session: waits for its workers, shows their counts, and gives the final ones.

use std::{future::pending, mem, sync::Arc, thread, time::Duration};

use tokio::{
    task::{JoinSet, spawn_blocking},
    time::{self, MissedTickBehavior},
};

use crate::{
    engine::{
        EngineError, WorkerError,
        counting::Counting,
        paced::PacedLoop,
        port::Port,
        reading::{PendingSnapshot, SnapshotReader},
        stop::{Stop, StopWriter},
        worker::Worker,
    },
    host::is_gone,
    kernel::{PassProgramShare, ProgramClock},
    stats::{PortCount, Snapshot, reconcile::reconcile},
};

/// How long before the start the interfaces' counters are read: the thread that reads them may be
/// late.
const AHEAD: Duration = Duration::from_millis(50);
/// Time in which frames leave the rings of a NIC, before a program is detached and its rings are
/// freed: 8192 frames of 1518 bytes at 1 Gb/s.
#[doc(hidden)]
pub const DRAIN: Duration = Duration::from_millis(100);

/// Ports that are sending.
pub struct Session {
    pub(super) ports: Vec<Arc<Port>>,
    /// The pass programs that the ports' interfaces need.
    pub(super) enabled: Vec<PassProgramShare>,
    pub(super) workers: JoinSet<WorkerEnd>,
    pub(super) threads: Vec<thread::JoinHandle<()>>,
    pub(super) stop: Stop,
    /// Ends paced calls when `stop` is cancelled.
    pub(super) _stop_writer: StopWriter,
    pub(super) clock: ProgramClock,
    /// The instant of the start on this clock, in nanoseconds; it may lie ahead.
    pub(super) started: u64,
    /// Ports and indices of the workers that failed.
    pub(super) failed: Vec<(usize, u32)>,
    /// How many workers of each port have not ended.
    pub(super) working: Vec<usize>,
    /// How long each port sent; none while some of its workers run.
    pub(super) elapsed: Vec<Option<Duration>>,
    /// The interfaces' own counts of the session; none before the start.
    pub(super) counters: Option<Counting>,
}

impl Session {
    /// When the session starts or started, on the clock of [`now`](crate::engine::now).
    pub const fn started(&self) -> u64 {
        self.started
    }

    /// Runs to the end, and shows the counts to `look` every `interval`. When something failed, the
    /// final counts come together with the error.
    ///
    /// # Errors
    /// When the final counts cannot be read.
    pub async fn run(
        mut self,
        interval: Duration,
        mut look: impl FnMut(Snapshot),
    ) -> Result<(Snapshot, Option<EngineError>), EngineError> {
        let mut ticks = time::interval_at(time::Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut failure = None;
        // Counts that are being read.
        let mut reading: Option<PendingSnapshot> = None;
        let start = time::Instant::now()
            + Duration::from_nanos(self.started.saturating_sub(self.clock.now()));
        loop {
            tokio::select! {
                () = time::sleep_until(start - AHEAD), if self.counters.is_none() => self.begin_counting(),
                ended = self.next_ended() => match ended {
                    None => break,
                    Some(Ok(())) => {}
                    Some(Err(error)) => {
                        failure.get_or_insert(error);
                    }
                },
                _ = ticks.tick(), if reading.is_none() => {
                    match self.gone_interface().map_or_else(|| self.reader().read_aside(), Err) {
                        Ok(begun) => reading = Some(begun),
                        // The next tick tries again. Sending needs no more threads.
                        Err(EngineError::Thread(_)) => {}
                        Err(error) => {
                            self.stop.fail();
                            failure.get_or_insert(error);
                        }
                    }
                }
                read = counts(&mut reading) => {
                    reading = None;
                    match read {
                        // Before the start all counts are zero.
                        Ok(snapshot) if snapshot.elapsed.is_zero() => {}
                        Ok(snapshot) => look(snapshot),
                        Err(error) => {
                            self.stop.fail();
                            failure.get_or_insert(error);
                        }
                    }
                }
            }
        }
        // The reading thread holds the ports and their places with the listener, which the next
        // session may need at once. The final count includes what this one finds.
        if let Some(mut reading) = reading {
            let _ = reading.counts().await;
        }
        // Interfaces are checked once more: a short flow may have ended before the first tick.
        let failure = failure.or_else(|| self.gone_interface()).or_else(|| self.strayed());
        let enabled = mem::take(&mut self.enabled);
        let snapshot = self.finish().await?;
        let released = release(enabled).await;
        Ok((snapshot, failure.or(released.err())))
    }

    fn since_start(&self) -> Duration {
        Duration::from_nanos(self.clock.now().saturating_sub(self.started))
    }

    /// How long a port sent, all of whose workers have ended. Paced workers count what was due until
    /// the stop flag was set.
    fn sent_for(&self, number: usize) -> Duration {
        let Port { plan, generator, .. } = &*self.ports[number];
        let stopped = if plan.pacing.is_some() { generator.stop().get() } else { None };
        let until = stopped.map_or(u64::MAX, |stopped| stopped.saturating_sub(self.started));
        self.since_start().min(Duration::from_nanos(until))
    }

    fn reader(&self) -> SnapshotReader {
        let Self { ports, elapsed, clock, started, .. } = self;
        SnapshotReader {
            ports: ports.clone(),
            elapsed: elapsed.clone(),
            clock: *clock,
            started: *started,
        }
    }

    /// The final count, after [`Session::next_ended`] returned `None`.
    async fn finish(mut self) -> Result<Snapshot, EngineError> {
        for thread in self.threads.drain(..) {
            // A panic has been reported as the worker's failure.
            let _ = thread.join();
        }
        self.settle()?;
        let Snapshot { elapsed: now, ports } = match self.reader().read_aside() {
            Ok(mut reading) => reading.counts().await?,
            // Without a thread the count is read here: nothing else is left to do.
            Err(_) => self.reader().read()?,
        };
        let elapsed = self.elapsed.iter().copied().flatten().max().unwrap_or(now);
        let mut ports: Vec<PortCount> = ports.into_iter().map(PortCount::settled).collect();
        if let Some(counters) = self.counters.take() {
            let unsettled = counters.end(&mut ports, self.stop.token()).await;
            for (index, mismatch) in reconcile(&ports, &unsettled) {
                ports[index].mismatches.push(mismatch);
            }
        }
        Ok(Snapshot { elapsed, ports })
    }

    /// Counts the departures that failed workers left as `frames_unsent`.
    fn settle(&self) -> Result<(), EngineError> {
        for &(number, index) in &self.failed {
            let Port { plan, generator, still, made_up, .. } = &*self.ports[number];
            let Some(pacing) = &plan.pacing else { continue };
            let failed = |source| EngineError::Count { port: plan.name.clone(), source };
            let (clock, start) = (self.clock, self.started);
            let worker =
                Worker { plan, generator, index, clock, start, stop: &self.stop, still, made_up };
            PacedLoop::settle(&worker, pacing).map_err(failed)?;
        }
        Ok(())
    }

    pub(super) fn begin_counting(&mut self) {
        self.counters =
            Some(Counting::begin(self.ports.iter().filter_map(|port| port.plan.leaves_by())));
    }

    /// Waits until the next worker has ended, and gives its error; `None`: all have ended.
    async fn next_ended(&mut self) -> Option<Result<(), EngineError>> {
        let ended = self.workers.join_next().await?;
        let WorkerEnd { port: number, index, result } =
            ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        if result.is_err() {
            self.failed.push((number, index));
        }
        self.working[number] -= 1;
        if self.working[number] == 0 {
            self.elapsed[number] = Some(self.sent_for(number));
        }
        let plan = &self.ports[number].plan;
        Some(result.map_err(|source| EngineError::Worker {
            port: plan.name.clone(),
            interface: plan.interface.clone(),
            source,
        }))
    }

    /// The error of threads that were moved to a CPU without a worker, and back before they checked
    /// their CPU.
    fn strayed(&self) -> Option<EngineError> {
        self.ports.iter().find_map(|port| {
            let workers = match port.generator.workers() {
                Ok(workers) => workers,
                Err(source) => {
                    return Some(EngineError::Count { port: port.plan.name.clone(), source });
                }
            };
            let mut astray = workers
                .iter()
                .filter(|(cpu, worker)| worker.counts.aborted > 0 && !port.plan.cpus.contains(cpu));
            let (cpu, worker) = astray.next()?;
            Some(EngineError::Worker {
                port: port.plan.name.clone(),
                interface: port.plan.interface.clone(),
                source: WorkerError::Astray { cpu, repetitions: worker.counts.aborted },
            })
        })
    }

    /// The error of a port whose interface was removed: all frames for it would be dropped.
    fn gone_interface(&self) -> Option<EngineError> {
        let mut plans = self.ports.iter().map(|port| &port.plan);
        let gone = plans.find(|plan| is_gone(plan.egress) || is_gone(plan.ingress))?;
        Some(EngineError::Worker {
            port: gone.name.clone(),
            interface: gone.interface.clone(),
            source: WorkerError::InterfaceGone,
        })
    }
}

/// Waits for counts that are being read; forever while none are.
async fn counts(reading: &mut Option<PendingSnapshot>) -> Result<Snapshot, EngineError> {
    match reading {
        Some(reading) => reading.counts().await,
        None => pending().await,
    }
}

/// Detaches the pass programs of this session.
async fn release(enabled: Vec<PassProgramShare>) -> Result<(), EngineError> {
    if enabled.iter().any(PassProgramShare::is_ours) {
        time::sleep(DRAIN).await;
    }
    // All of them are released, also when the first one fails. Drivers are slow at it, and other
    // sessions may share this thread.
    let release = || enabled.into_iter().map(PassProgramShare::release).collect::<Vec<_>>();
    let released = spawn_blocking(release)
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    released.into_iter().collect::<Result<(), _>>().map_err(EngineError::Release)
}

/// How a worker ended.
pub(super) struct WorkerEnd {
    pub(super) port: usize,
    /// The worker's index among the port's CPUs.
    pub(super) index: u32,
    pub(super) result: Result<(), WorkerError>,
}
