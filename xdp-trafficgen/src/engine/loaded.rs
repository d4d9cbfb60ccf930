//! Loads a plan's ports into the kernel, and starts their workers together.

use std::{
    sync::{Arc, Mutex, atomic::AtomicU64, mpsc},
    thread,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{oneshot, watch},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::{
    engine::{
        EngineError, WorkerError, clock,
        port::Port,
        session::{Session, WorkerEnd},
        standstill::Standstill,
        stop::{Stop, StopWriter},
        thread::spawn,
    },
    kernel::{
        Anchor, Generator, Listener, PassProgramShare, PassPrograms, ProgramClock, TracePoint,
        generator::Role,
    },
    plan::{Plan, PortPlan, RequiredProgram},
    units::Nanos,
};

/// Ports that are loaded into the kernel and have sent nothing yet.
pub struct Loaded {
    ports: Vec<Arc<Port>>,
    enabled: Vec<PassProgramShare>,
    clock: ProgramClock,
}

/// When a session starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The session starts at once.
    Now,
    /// The session starts at an instant of the wall clock, so that several machines can start
    /// together.
    At(SystemTime),
    /// As if the session had started at this earlier time of [`now`](crate::engine::now):
    /// departures since then are overdue.
    Since(u64),
}

/// Time in which workers get ready before the first departure.
const LEAD: Duration = Duration::from_millis(2);

impl Loaded {
    /// Loads every port of the plan.
    ///
    /// # Errors
    /// When the kernel refuses a program, a map or an attachment.
    pub fn new(plan: Plan) -> Result<Self, EngineError> {
        Self::with(plan, Role::Generate, &TracePoint::ALL)
    }

    /// As [`Loaded::new`], but the wait for links ends when `stop` is cancelled; a session that is
    /// then started ends at once.
    ///
    /// # Errors
    /// When the kernel refuses a program, a map or an attachment.
    pub fn until(stop: &CancellationToken, plan: Plan) -> Result<Self, EngineError> {
        Self::listening(plan, Role::Generate, &TracePoint::ALL, &PassPrograms::until(stop))
    }

    /// As [`Loaded::new`], with the program of another role, or with fewer trace points to count
    /// by.
    ///
    /// # Errors
    /// When the kernel refuses a program, a map or an attachment.
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

    /// As [`Loaded::new`], for one of several loads that share the listener and may send by the
    /// same interfaces.
    ///
    /// # Errors
    /// When the kernel refuses a program, a map or an attachment.
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
        let mut enabled = Vec::new();
        let names: Vec<String> = plan.ports.iter().map(|port| port.name.clone()).collect();
        let generators = thread::scope(|scope| {
            let (generators, to_hold) = mpsc::channel();
            let holding = scope.spawn(move || hold_all(&names, to_hold));
            for plan in &plan.ports {
                let failed = |source| EngineError::Load { port: plan.name.clone(), source };
                if let (RequiredProgram::Pass(existing), Some(interface)) =
                    (plan.attach, plan.leaves_by())
                {
                    enabled.push(enabling.hold(interface, existing).map_err(failed)?);
                }
                let listener = plan.leaves_by().and(listener);
                let pacing = plan.pacing.as_ref();
                let generator =
                    Generator::load_adrift(&plan.program, pacing, plan.egress, role, listener);
                if generators.send(generator.map_err(failed)?).is_err() {
                    // The receiver has failed, and says so below.
                    break;
                }
            }
            drop(generators);
            holding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })?;
        let port = |(plan, generator): (PortPlan, Generator)| {
            let due = Mutex::new(vec![0; plan.flows.len()]);
            Arc::new(Port {
                plan,
                generator,
                due,
                still: Standstill::default(),
                made_up: AtomicU64::new(0),
            })
        };
        let ports = plan.ports.into_iter().zip(generators).map(port).collect();
        Ok(Self { ports, enabled, clock })
    }

    /// Starts all workers of all ports at the same moment. Workers end when `stop` is cancelled, or
    /// earlier, with their flows. A worker that fails ends the session and leaves `stop` as it is.
    ///
    /// # Errors
    /// When the operating system refuses to start a thread, or the instant to start at is over.
    pub fn start(self, start: Start, stop: &CancellationToken) -> Result<Session, EngineError> {
        // Workers wait for the start signal; if a thread cannot be spawned, the sender is dropped
        // and they exit.
        let (start_signal, at_start) = watch::channel(None);
        let stop = Stop::below(stop, self.clock);
        let flags = self.ports.iter().map(|port| port.generator.stop().clone()).collect();
        let stop_writer = StopWriter::when(&stop, flags);
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
        // Frames that others send before the instant of the start are not of this run.
        if !matches!(start, Start::At(_)) {
            session.begin_counting();
        }
        start_signal.send_replace(Some(started));
        Ok(session)
    }
}

/// Gives each generator its anchor. The kernel waits for RCU with each of them, and meanwhile the next
/// ones are loaded.
fn hold_all(
    ports: &[String],
    generators: mpsc::Receiver<Generator>,
) -> Result<Vec<Generator>, EngineError> {
    let mut held = Vec::new();
    for port in ports {
        let failed = |source| EngineError::Load { port: port.clone(), source };
        let anchor = Anchor::new().map_err(failed)?;
        // Without further generators the caller has failed.
        let Ok(mut generator) = generators.recv() else { break };
        generator.hold(anchor).map_err(failed)?;
        held.push(generator);
    }
    Ok(held)
}
