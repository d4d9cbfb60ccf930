//! The daemon: supervises ports until it is told to stop. The composition root of everything that lives longer than a
//! run.

use std::{
    io::{self, IsTerminal as _},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::{JoinError, JoinSet, spawn_blocking},
    time::{self, Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;

use crate::{
    cli::{self, LogFormat},
    commands::{CommandError, probe_kernel, read_config, send, signal_stop, work_out},
    config::{Config, Located},
    engine::Loaded,
    kernel::Capabilities,
    output::Report,
    plan::{DefaultRoute, Plan},
    stats::{PortCount, Snapshot},
};

/// Runs until a signal: log, configuration, first plan, then a task a port.
pub(crate) fn daemon(options: &cli::Daemon) -> Result<(), CommandError> {
    start_log(options.log_format);
    let config = read_config(&options.config, &options.overrides)?;
    let stop = signal_stop()?;
    let machine = Machine {
        capabilities: probe_kernel()?,
        default_route: send::default_route(options.common.allow_default_route),
        poll: (options.report_interval / 4).clamp(SHORTEST_POLL, LONGEST_POLL),
    };
    // All of the file, so that a mistake anywhere ends the daemon before anything is sent.
    let plan = work_out(&config, Some(machine.capabilities), machine.default_route)?;
    for note in &plan.notes {
        info!("{note}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|source| CommandError::System { what: "cannot start the runtime", source })?;
    let report = runtime.block_on(serve(&config, &plan, machine, options.report_interval, &stop));
    if options.common.json { send::print(&report, send::Format::Json) } else { Ok(()) }
}

/// Standard error; `RUST_LOG` chooses levels, `info` and above when it is not set.
fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    match format {
        LogFormat::Text => builder.with_ansi(io::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// What does not change while the daemon lives.
#[derive(Clone, Copy)]
struct Machine {
    capabilities: Capabilities,
    default_route: DefaultRoute,
    /// How often the counts of a port are read.
    poll: Duration,
}

/// The latest counts of a port: written by its task, read by the report.
type Latest = Arc<Mutex<PortCount>>;

/// Runs every port until `stop`, then reports.
async fn serve(
    config: &Config,
    plan: &Plan,
    machine: Machine,
    report_interval: Duration,
    stop: &CancellationToken,
) -> Report {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    let mut latest: Vec<Latest> = Vec::new();
    for (config, port) in one_by_one(config).zip(&plan.ports) {
        let counts = Arc::new(Mutex::new(PortCount::none(port)));
        latest.push(Arc::clone(&counts));
        let port = Supervised { config, machine, counts, name: port.name.clone() };
        tasks.spawn(port.supervise(stop.clone()));
    }
    info!(ports = latest.len(), "sending");
    let snapshot = || Snapshot { elapsed: started.elapsed(), ports: latest.iter().map(read).collect() };
    let mut reports = time::interval_at(started + report_interval, report_interval);
    let mut logged = Snapshot::default();
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = reports.tick() => {
                let now = snapshot();
                log_counts("counts", &now, &logged);
                logged = now;
            }
            Some(ended) = tasks.join_next() => note_end(ended),
        }
    }
    info!("stopping");
    while let Some(ended) = tasks.join_next().await {
        note_end(ended);
    }
    let snapshot = snapshot();
    log_counts("final counts", &snapshot, &Snapshot::default());
    Report { snapshot, sink: None }
}

/// A configuration for each flow, with its port alone, in the order of the plan.
fn one_by_one(config: &Config) -> impl Iterator<Item = Config> + '_ {
    config.flows.iter().filter_map(|flow| {
        let port = config.ports.iter().find(|port| port.name.value == flow.port.value)?;
        Some(Config { source: config.source.clone(), ports: vec![port.clone()], flows: vec![flow.clone()] })
    })
}

fn read(latest: &Latest) -> PortCount {
    latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A port's task ended. That it panicked is a mistake of ours, which the daemon does not outlive in silence.
fn note_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!("a port's task failed");
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Logs all counts, and warns of the drops that were not there at the last time.
fn log_counts(message: &str, snapshot: &Snapshot, last: &Snapshot) {
    for (index, port) in snapshot.ports.iter().enumerate() {
        info!(
            port = port.name,
            interface = port.interface,
            frames_attempted = port.attempted,
            frames_tx = port.transmitted,
            bytes_tx = port.bytes(),
            frames_dropped = port.dropped(),
            "{message}"
        );
        let known = last.ports.get(index).map_or(&[][..], |port| &port.drops);
        for (reason, count) in port.drops.iter().filter(|drop| !known.contains(drop)) {
            warn!(port = port.name, reason = reason.code(), count, "frames dropped: {reason}");
        }
    }
}

/// A port under supervision.
struct Supervised {
    config: Config,
    machine: Machine,
    counts: Latest,
    name: String,
}

/// How long a port waits before it starts again: doubled with each failure in a row.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// The shortest time between two readings: reading them costs the sending CPUs time.
const SHORTEST_POLL: Duration = Duration::from_millis(10);
/// The longest time between two readings of a port's counts; a report must not show old ones.
const LONGEST_POLL: Duration = Duration::from_millis(250);

impl Supervised {
    /// Runs the port to the end of its flow, or to `stop`; a failure pauses it and starts it again.
    async fn supervise(self, stop: CancellationToken) {
        let started = Instant::now();
        let mut pause = FIRST_PAUSE;
        while let Some(left) = self.left(started.elapsed()) {
            let began = Instant::now();
            let failure = match self.run_once(left, &stop).await {
                Ok(()) => break,
                Err(failure) => failure,
            };
            if began.elapsed() > LONGEST_PAUSE {
                pause = FIRST_PAUSE;
            }
            error!(port = self.name, error = failure.render(), "port failed, it starts again in {pause:?}");
            tokio::select! {
                () = stop.cancelled() => break,
                () = time::sleep(pause) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
        info!(port = self.name, "port ended");
    }

    /// What is left to send after this time: a flow with an end keeps it, however often it starts again. None: nothing.
    fn left(&self, elapsed: Duration) -> Option<Config> {
        let attempted = read(&self.counts).attempted;
        let mut config = self.config.clone();
        for flow in &mut config.flows {
            if let Some(Located { value, .. }) = &mut flow.packets {
                *value = value.checked_sub(attempted).filter(|&left| left > 0)?;
            }
            if let Some(Located { value, .. }) = &mut flow.duration {
                *value = value.checked_sub(elapsed).filter(|left| !left.is_zero())?;
            }
        }
        Some(config)
    }

    async fn run_once(&self, config: Config, stop: &CancellationToken) -> Result<(), CommandError> {
        let Machine { capabilities, default_route, .. } = self.machine;
        let load = move || {
            let plan = work_out(&config, Some(capabilities), default_route)?;
            Ok::<_, CommandError>(Loaded::new(plan)?)
        };
        let loaded =
            spawn_blocking(load).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let earlier = read(&self.counts);
        let look = |snapshot| self.note(snapshot, &earlier);
        let (snapshot, failure) = loaded.start(stop)?.run(self.machine.poll, look).await?;
        self.note(snapshot, &earlier);
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    fn note(&self, snapshot: Snapshot, earlier: &PortCount) {
        for mut count in snapshot.ports {
            count.add(earlier);
            *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = count;
        }
    }
}
