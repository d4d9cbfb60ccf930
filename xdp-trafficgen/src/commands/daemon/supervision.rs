//! A port under supervision: runs to its end, and starts again when it fails. What it misses
//! meanwhile is counted.

mod counts;
mod left;

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{
    task::spawn_blocking,
    time::{self, Instant},
};
use tokio_util::sync::CancellationToken;

pub(super) use self::counts::Counts;
use self::{
    counts::Outage,
    left::{every_flow, left},
};
use super::{Current, Latest, Machine, read};
use crate::{
    commands::{CommandError, findings::RunFindings, work_out_until},
    config::Config,
    diagnosis::of_outage,
    engine::{self, Loaded, Start},
    host::Required,
    kernel::{Listener, PassPrograms},
    output::log,
    plan::{self, pacing::missed::MissedDepartures},
    stats::{PortCount, Snapshot, StoppedPort},
};

/// What the daemon knows of a port.
pub(super) struct Supervised {
    pub(super) config: Config,
    pub(super) machine: Machine,
    pub(super) counts: Latest,
    /// Shared by all ports, as all that follow but the name.
    pub(super) run_findings: Current,
    pub(super) listener: Listener,
    pub(super) enabling: PassPrograms,
    pub(super) name: String,
    /// As it was planned at the daemon's start: what it misses until it first sends.
    pub(super) planned: MissedDepartures,
}

/// How long a port waits before it starts again: doubled with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// How a run failed.
struct Failed {
    error: CommandError,
    /// What has gone on since; none of a run that did not start.
    outage: Option<Outage>,
}

impl From<CommandError> for Failed {
    fn from(error: CommandError) -> Self {
        Self { error, outage: None }
    }
}

impl Supervised {
    /// Runs the port to the end of its flows, or to `stop`; a failure pauses it and starts it
    /// again.
    pub(super) async fn supervise(self, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        let none = read(&self.counts);
        let down = StoppedPort::since(self.planned.clone(), Duration::ZERO, none.clone(), &none);
        let mut outage = Outage { down, epoch: engine::now(), reason: String::new() }.shared();
        // When the first of its runs started: flows begin and end by that.
        let mut first = None;
        let mut start = Start::Now;
        loop {
            let began = Instant::now();
            let ready = match (start, first) {
                (Start::Since(_), Some(first)) => self.make_ready(first, &stop).await,
                _ => Ok(()),
            };
            let now = engine::now();
            let elapsed = Duration::from_nanos(now.saturating_sub(*first.get_or_insert(now)));
            if let Start::Since(time) = &mut start {
                *time = now;
                self.set(Counts::Down(Arc::clone(&outage)).read(now));
            }
            let Some(left) = self.left(elapsed) else { break };
            let ran = match ready {
                Ok(()) => self.run_once(left, start, &mut first, &stop).await,
                Err(error) => Err(Failed::from(error)),
            };
            let Failed { error, outage: since } = match ran {
                Ok(()) => break,
                // It never started, and is as down as it was.
                Err(Failed { error, .. }) if error.is_stopped() => {
                    if let Start::Since(_) = start {
                        self.set(Counts::Down(outage).read(engine::now()));
                    }
                    break;
                }
                Err(failed) => failed,
            };
            if began.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            log::port_failed(&self.name, error.complaints(), pause);
            // A run that did not start leaves the outage, and its reason, as they were.
            if let Some(since) = since {
                outage = since.shared();
            }
            outage.lock().unwrap_or_else(PoisonError::into_inner).is_due_to(&error);
            self.put(Counts::Down(Arc::clone(&outage)));
            start = Start::Since(0);
            tokio::select! {
                () = stop.cancelled() => {
                    self.set(Counts::Down(outage).read(engine::now()));
                    break;
                }
                () = time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        log::port_ended(&self.name);
    }

    /// Has the kernel ask for the next hops, for seconds when they do not answer. The counts go on
    /// during that time, and those of a run begin with: so it is done before.
    async fn make_ready(&self, first: u64, stop: &CancellationToken) -> Result<(), CommandError> {
        let Machine { capabilities, consent, .. } = self.machine;
        let elapsed = Duration::from_nanos(engine::now().saturating_sub(first));
        let Some(config) = self.left(elapsed).filter(asks_for_next_hops) else { return Ok(()) };
        let stop = stop.clone();
        let asked = spawn_blocking(move || {
            work_out_until(&stop, &config, Some(capabilities), consent).map(drop)
        });
        asked.await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }

    fn set(&self, count: PortCount) {
        self.put(Counts::Known(Box::new(count)));
    }

    fn put(&self, counts: Counts) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    fn left(&self, elapsed: Duration) -> Option<Config> {
        left(&self.config, &read(&self.counts), elapsed)
    }

    /// Runs the port once; `first` becomes when it started, if it did for the first time.
    async fn run_once(
        &self,
        config: Config,
        start: Start,
        first: &mut Option<u64>,
        stop: &CancellationToken,
    ) -> Result<(), Failed> {
        let Machine { capabilities, consent, .. } = self.machine;
        let (listener, enabling, run_findings) =
            (self.listener.clone(), self.enabling.clone(), Arc::clone(&self.run_findings));
        let until = stop.clone();
        let load = move || {
            let plan = work_out_until(&until, &config, Some(capabilities), consent)?;
            let planned = RunFindings::of(&plan);
            run_findings.lock().unwrap_or_else(PoisonError::into_inner).renew(planned);
            let timing = plan.ports.first().map(MissedDepartures::of);
            Ok::<_, CommandError>((Loaded::beside(plan, &listener, &enabling)?, timing))
        };
        let (loaded, planned) = spawn_blocking(load)
            .await
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let session = loaded.start(start, stop).map_err(CommandError::from)?;
        let epoch = session.started();
        let mut earlier = read(&self.counts);
        match start {
            Start::Since(_) => {
                earlier.outage.restarts += 1;
                if let Some(outage) = of_outage(&earlier) {
                    log::port_restarted(&earlier, &outage);
                }
            }
            Start::Now | Start::At(_) => *first = Some(epoch),
        }
        let mut sent_for = None;
        let look = |snapshot| self.note(snapshot, &earlier);
        let result = session.run(self.machine.poll, look).await.map_err(CommandError::from);
        let error = match result {
            Ok((snapshot, failure)) => {
                sent_for = snapshot.ports.first().map(|port| port.elapsed);
                self.note(snapshot, &earlier);
                failure.map(CommandError::from)
            }
            Err(error) => Some(error),
        };
        let Some(error) = error else { return Ok(()) };
        let sent_for =
            sent_for.unwrap_or_else(|| Duration::from_nanos(engine::now().saturating_sub(epoch)));
        let Some(planned) = planned else { return Err(Failed::from(error)) };
        let counts = read(&self.counts);
        // A load of millions of segments takes a moment, in which other ports are to be read.
        let down =
            spawn_blocking(move || StoppedPort::since(planned, sent_for, counts, &earlier)).await;
        let down = down.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()));
        Err(Failed { error, outage: Some(Outage { down, epoch, reason: String::new() }) })
    }

    fn note(&self, snapshot: Snapshot, earlier: &PortCount) {
        for mut count in snapshot.ports {
            count.flows = every_flow(count.flows, &earlier.flows);
            count.add(earlier);
            self.set(count);
        }
    }
}

fn asks_for_next_hops(config: &Config) -> bool {
    plan::sought(config).iter().any(|sought| sought.what == Required::NextHop)
}
