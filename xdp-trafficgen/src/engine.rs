//! The engine: one pinned thread a CPU drives the kernel; a session starts, stops and joins them.
//!
//! Takes plans and gives counts. Decides nothing about what is sent, and prints nothing.

mod batch;
mod call_size;
mod clock;
mod counting;
mod full_speed;
mod paced;
mod reading;
mod standstill;
mod stop;
mod turns;
mod worker;

use std::{
    future::pending,
    io, mem,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, SystemTime},
};

use futures::executor::block_on;
use tokio::{
    sync::{oneshot, watch},
    task::{JoinSet, spawn_blocking},
    time::{self, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

#[doc(hidden)]
pub use clock::now;
pub use worker::WorkerError;

#[doc(inline)]
pub use crate::kernel::{KernelError, TracePoint};

use self::{
    counting::Counting,
    full_speed::FullSpeed,
    paced::PacedLoop,
    reading::{PendingSnapshot, SnapshotReader},
    standstill::Standstill,
    stop::{Stop, StopWriter},
    turns::take_turns,
    worker::Worker,
};
use crate::{
    host::{WORKER_THREAD, is_gone},
    kernel::{Generator, Listener, PassProgramShare, PassPrograms, ProgramClock, generator::Role},
    plan::{Plan, PortPlan, RequiredProgram, pacing::Streams, port_name},
    stats::{PortCount, Snapshot, reconcile::reconcile},
    units::Nanos,
};

/// Why a session could not start, or ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A port's program or maps could not be set up.
    #[error("port {port} cannot be set up")]
    Load {
        /// The port's name.
        port: String,
        /// Why.
        source: KernelError,
    },
    /// What made way on a port's interface could not be put back.
    #[error("an interface is not as it was before the run")]
    Release(#[source] KernelError),
    /// No trace point would report what happens to frames.
    #[error("the kernel's trace points cannot be listened to")]
    Listen(#[source] KernelError),
    /// The programs' clock cannot be compared with ours.
    #[error("the clock of eBPF programs cannot be read")]
    Clock(#[source] KernelError),
    /// The operating system gave no thread.
    #[error("cannot start a worker thread")]
    Thread(#[source] io::Error),
    /// A worker failed; the others were stopped.
    #[error("port {} failed", port_name(port, interface))]
    Worker {
        /// The port's name.
        port: String,
        /// Its interface.
        interface: String,
        /// Why.
        source: WorkerError,
    },
    /// It should have started already.
    #[error("the instant to start at is over: give a later one with --at")]
    StartIsOver,
    /// Counters could not be read.
    #[error("the counters of port {port} cannot be read")]
    Count {
        /// The port's name.
        port: String,
        /// Why.
        source: KernelError,
    },
}

/// Binds the calling thread to a CPU, as workers are.
///
/// # Errors
/// When the thread may not run there.
#[doc(hidden)]
pub fn pin_to(cpu: u32) -> Result<(), WorkerError> {
    worker::pin(cpu)
}

/// Ports that are loaded into the kernel and have sent nothing yet.
pub struct Loaded {
    ports: Vec<Arc<Port>>,
    enabled: Vec<PassProgramShare>,
    clock: ProgramClock,
}

struct Port {
    plan: PortPlan,
    generator: Generator,
    /// Departures of each flow that were due, of the workers that have ended.
    due: Mutex<Vec<u64>>,
    still: Standstill,
}

/// When a session starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At once.
    Now,
    /// At an instant of the wall clock, so that several machines start together.
    At(SystemTime),
    /// As if it had started at this time of [`now`], which is over: what was due since then is
    /// overdue.
    Since(u64),
}

/// Time for workers to be ready in where departures have set times.
const LEAD: Duration = Duration::from_millis(2);
/// How long before the start the interfaces' counters are read, by a thread that may be late.
const AHEAD: Duration = Duration::from_millis(50);
/// Time for frames that wait in the rings of a NIC to leave, before a program is taken off and its
/// rings with it: 8192 frames of 1518 bytes at 1 Gb/s.
#[doc(hidden)]
pub const DRAIN: Duration = Duration::from_millis(100);

impl Loaded {
    /// Loads every port of the plan.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn new(plan: Plan) -> Result<Self, EngineError> {
        Self::with(plan, Role::Generate, &TracePoint::ALL)
    }

    /// As [`Loaded::new`], but waits for no link once `stop` is cancelled: what is then started
    /// ends at once.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn until(stop: &CancellationToken, plan: Plan) -> Result<Self, EngineError> {
        Self::listening(plan, Role::Generate, &TracePoint::ALL, &PassPrograms::until(stop))
    }

    /// As [`Loaded::new`], with another program of the object doing the sending, or fewer trace
    /// points to count by.
    ///
    /// # Errors
    /// What the kernel refused.
    #[doc(hidden)]
    pub fn with(plan: Plan, role: Role, trace_points: &[TracePoint]) -> Result<Self, EngineError> {
        Self::listening(plan, role, trace_points, &PassPrograms::default())
    }

    fn listening(
        plan: Plan,
        role: Role,
        trace_points: &[TracePoint],
        enabling: &PassPrograms,
    ) -> Result<Self, EngineError> {
        let sending = plan.ports.iter().filter(|port| port.leaves_by().is_some()).count();
        let listener = (sending > 0).then(|| Listener::new(sending, trace_points));
        let listener = listener.transpose().map_err(EngineError::Listen)?;
        Self::load(plan, role, listener.as_ref(), enabling)
    }

    /// As [`Loaded::new`], beside others that share the listener, and may send out of the same
    /// interfaces.
    ///
    /// # Errors
    /// What the kernel refused.
    #[doc(hidden)]
    pub fn beside(
        plan: Plan,
        listener: &Listener,
        enabling: &PassPrograms,
    ) -> Result<Self, EngineError> {
        Self::load(plan, Role::Generate, Some(listener), enabling)
    }

    fn load(
        plan: Plan,
        role: Role,
        listener: Option<&Listener>,
        enabling: &PassPrograms,
    ) -> Result<Self, EngineError> {
        let clock = ProgramClock::of_kernel().map_err(EngineError::Clock)?;
        let (mut ports, mut enabled) = (Vec::new(), Vec::new());
        for plan in plan.ports {
            let failed = |source| EngineError::Load { port: plan.name.clone(), source };
            if let (RequiredProgram::Pass(existing), Some(interface)) =
                (plan.attach, plan.leaves_by())
            {
                enabled.push(enabling.hold(interface, existing).map_err(failed)?);
            }
            let listener = plan.leaves_by().and(listener);
            let generator =
                Generator::load(&plan.program, plan.pacing.as_ref(), plan.egress, role, listener)
                    .map_err(failed)?;
            let due = Mutex::new(vec![0; plan.flows.len()]);
            ports.push(Arc::new(Port { plan, generator, due, still: Standstill::default() }));
        }
        Ok(Self { ports, enabled, clock })
    }

    /// Starts all workers of all ports at the same moment; they end when `stop` is cancelled, or
    /// before when their flow does. A worker that fails ends the session; `stop` itself stays
    /// as it is.
    ///
    /// # Errors
    /// When there are no threads left, or the instant to start at is over.
    pub fn start(self, start: Start, stop: &CancellationToken) -> Result<Session, EngineError> {
        // Workers wait for the start signal; if a thread cannot be spawned, the sender is dropped
        // and they exit.
        let (start_signal, at_start) = watch::channel(None);
        let stop = Stop::below(stop, self.clock);
        let words = self.ports.iter().map(|port| port.generator.stop().clone()).collect();
        let stop_writer = StopWriter::when(&stop, words);
        let mut workers = JoinSet::new();
        let mut threads = Vec::new();
        for (number, port) in self.ports.iter().enumerate() {
            for index in (0..).take(port.plan.cpus.len()) {
                let (done, outcome) = oneshot::channel();
                threads.push(spawn(
                    Arc::clone(port),
                    index,
                    self.clock,
                    at_start.clone(),
                    stop.clone(),
                    done,
                )?);
                let stop = stop.clone();
                workers.spawn(async move {
                    let result = outcome.await.unwrap_or(Err(WorkerError::Panicked));
                    if result.is_err() {
                        stop.fail();
                    }
                    WorkerEnd { port: number, index, result }
                });
            }
        }
        let working = self.ports.iter().map(|port| port.plan.cpus.len()).collect();
        let elapsed = vec![None; self.ports.len()];
        let paced = self.ports.iter().any(|port| port.plan.pacing.is_some());
        let started = match start {
            Start::Now => self.clock.now() + if paced { Nanos::from(LEAD).get() } else { 0 },
            Start::At(instant) => clock::at(self.clock, instant).ok_or(EngineError::StartIsOver)?,
            Start::Since(start) => start,
        };
        let Self { ports, enabled, clock } = self;
        let mut session = Session {
            ports,
            enabled,
            workers,
            threads,
            stop,
            _stop_writer: stop_writer,
            clock,
            started,
            failed: Vec::new(),
            working,
            elapsed,
            counters: None,
        };
        // What others send while it waits for an instant is not of this run.
        if !matches!(start, Start::At(_)) {
            session.begin_counting();
        }
        start_signal.send_replace(Some(started));
        Ok(session)
    }
}

/// A thread for the worker with this index among the port's CPUs; the start signal gives it the
/// instant of the start.
fn spawn(
    port: Arc<Port>,
    index: u32,
    clock: ProgramClock,
    mut at_start: watch::Receiver<Option<u64>>,
    stop: Stop,
    done: oneshot::Sender<Result<(), WorkerError>>,
) -> Result<thread::JoinHandle<()>, EngineError> {
    let cpu = port.plan.cpus[index as usize];
    let work = move || {
        let pinned = worker::pin(cpu);
        let Ok(Some(start)) = block_on(at_start.wait_for(Option::is_some)).map(|start| *start)
        else {
            return;
        };
        let result = pinned.and_then(|()| {
            let Port { plan, generator, due, still } = &*port;
            let mut share = vec![0; plan.flows.len()];
            let worker = Worker { plan, generator, index, clock, start, stop: &stop, still };
            let result = work(&worker, &mut share);
            let mut due = due.lock().unwrap_or_else(PoisonError::into_inner);
            due.iter_mut().zip(share).for_each(|(due, share)| *due += share);
            result
        });
        // The counters are the session's alone when it hears of the end.
        drop(port);
        // Nobody listens when the session was dropped.
        let _ = done.send(result);
    };
    thread::Builder::new()
        .name(format!("{WORKER_THREAD}{cpu}"))
        .spawn(work)
        .map_err(EngineError::Thread)
}

/// Sends the worker's share. Adds the departures of each flow that were due, whether frames left at
/// them or not; without set times, the frames that were made.
fn work(worker: &Worker<'_>, due: &mut [u64]) -> Result<(), WorkerError> {
    let Some(pacing) = &worker.plan.pacing else {
        return take_turns(worker, &mut FullSpeed::new(worker), due);
    };
    let mut paced = PacedLoop::new(worker, pacing)?;
    match pacing.streams {
        Streams::Port => take_turns(worker, &mut paced, due),
        Streams::Flows => paced.all(due),
    }
}

/// How a worker ended.
struct WorkerEnd {
    port: usize,
    /// Among the port's CPUs.
    index: u32,
    result: Result<(), WorkerError>,
}

/// Ports that are sending.
pub struct Session {
    ports: Vec<Arc<Port>>,
    /// What makes the ports' interfaces send.
    enabled: Vec<PassProgramShare>,
    workers: JoinSet<WorkerEnd>,
    threads: Vec<thread::JoinHandle<()>>,
    stop: Stop,
    /// Lets paced calls come to their end when `stop` is cancelled.
    _stop_writer: StopWriter,
    clock: ProgramClock,
    /// On this clock, in nanoseconds; may be to come.
    started: u64,
    /// Ports and indices of workers that failed.
    failed: Vec<(usize, u32)>,
    /// Workers of each port that have not ended.
    working: Vec<usize>,
    /// How long each port sent, when all of its workers have ended.
    elapsed: Vec<Option<Duration>>,
    /// What the interfaces count meanwhile; none before the start.
    counters: Option<Counting>,
}

impl Session {
    /// When it starts or started, on the clock of [`now`].
    pub const fn started(&self) -> u64 {
        self.started
    }

    /// Runs to the end, and shows the counts to `look` every `interval`. Gives the final counts
    /// also when something failed, together with what.
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
                        // The next tick may find one. Sending needs no more threads.
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
                        // Before the start there is nothing to see.
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
        // Whoever reads holds the ports, and their places with the listener, which may be wanted
        // again at once. What it finds, the final count finds too.
        if let Some(mut reading) = reading {
            let _ = reading.counts().await;
        }
        // Once more: a short flow may have ended before anybody looked.
        let failure = failure.or_else(|| self.gone_interface()).or_else(|| self.strayed());
        let enabled = mem::take(&mut self.enabled);
        let snapshot = self.finish().await?;
        let released = release(enabled).await;
        Ok((snapshot, failure.or(released.err())))
    }

    fn since_start(&self) -> Duration {
        Duration::from_nanos(self.clock.now().saturating_sub(self.started))
    }

    /// How long a port sent, all of whose workers have ended: paced ones count what was due until
    /// they were told to stop.
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

    /// The final count, after [`Session::next_ended`] said `None`.
    async fn finish(mut self) -> Result<Snapshot, EngineError> {
        for thread in self.threads.drain(..) {
            // A panic has been reported as the worker's failure.
            let _ = thread.join();
        }
        self.settle()?;
        let Snapshot { elapsed: now, ports } = match self.reader().read_aside() {
            Ok(mut reading) => reading.counts().await?,
            // There is no thread to be had, and nothing else to do any more.
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

    /// Gives up what workers that failed left behind.
    fn settle(&self) -> Result<(), EngineError> {
        for &(number, index) in &self.failed {
            let Port { plan, generator, still, .. } = &*self.ports[number];
            let Some(pacing) = &plan.pacing else { continue };
            let failed = |source| EngineError::Count { port: plan.name.clone(), source };
            let (clock, start) = (self.clock, self.started);
            let worker = Worker { plan, generator, index, clock, start, stop: &self.stop, still };
            PacedLoop::settle(&worker, pacing).map_err(failed)?;
        }
        Ok(())
    }

    fn begin_counting(&mut self) {
        self.counters =
            Some(Counting::begin(self.ports.iter().filter_map(|port| port.plan.leaves_by())));
    }

    /// Waits until the next worker has ended, and gives what it failed of; `None`: all have.
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

    /// The error to report when threads were moved to CPUs without a worker, and back before they
    /// noticed.
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

    /// The error to report when an interface in use is not there any more: frames for it would be
    /// dropped, one by one, for ever.
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

/// Waits for counts that are being read; for ever, when none are.
async fn counts(reading: &mut Option<PendingSnapshot>) -> Result<Snapshot, EngineError> {
    match reading {
        Some(reading) => reading.counts().await,
        None => pending().await,
    }
}

/// Takes the programs off that made interfaces send.
async fn release(enabled: Vec<PassProgramShare>) -> Result<(), EngineError> {
    if enabled.iter().any(PassProgramShare::is_ours) {
        time::sleep(DRAIN).await;
    }
    // All of them, whatever becomes of the first. Drivers take their time over it, and other
    // sessions may share this thread.
    let release = || enabled.into_iter().map(PassProgramShare::release).collect::<Vec<_>>();
    let released = spawn_blocking(release)
        .await
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
    released.into_iter().collect::<Result<(), _>>().map_err(EngineError::Release)
}
