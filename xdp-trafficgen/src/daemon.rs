//! The daemon: supervises ports until it is told to stop. The composition root of everything that lives longer than a
//! run.

use std::{
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
    commands::{
        CommandError,
        findings::{News, Outlook},
        flows_of, probe_kernel, read_config, replace_rates,
        results::Format,
        send, signal_stop, work_out,
    },
    config::{Config, Flow, Located, Place, Port},
    diagnosis::{Finding, Severity},
    engine::{Loaded, Start},
    kernel::{Capabilities, Enabling, Listener, TracePoint},
    output::{
        PortFinding, Report,
        streams::{self, lines_lost},
        text::shortfall,
    },
    plan::{Consent, Plan, PortPlan},
    stats::{FlowCount, PortCount, Punctuality, Snapshot, reconcile::except_each_other},
};

/// Runs until a signal: log, configuration, first plan, then a task a port.
pub(crate) fn daemon(options: &cli::Daemon) -> Result<(), CommandError> {
    start_log(options.log_format);
    let mut config = read_config(&options.config, &options.overrides)?;
    replace_rates(&mut config, &options.pace)?;
    let stop = signal_stop()?;
    let machine = Machine {
        capabilities: probe_kernel()?,
        consent: send::consent(&options.common),
        poll: (options.report_interval / 4).clamp(SHORTEST_POLL, LONGEST_POLL),
    };
    // All of the file, so that a mistake anywhere ends the daemon before anything is sent.
    let plan = work_out(&config, Some(machine.capabilities), machine.consent)?;
    for note in &plan.notes {
        info!("{note}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|source| CommandError::System { what: "cannot start the runtime", source })?;
    // One for all ports, also those that are down just now.
    let listener = Listener::new(plan.ports.len(), &TracePoint::ALL)?;
    let report = runtime.block_on(serve(&config, &plan, machine, &listener, options.report_interval, &stop));
    if options.common.json { send::print(&report, Format::Json) } else { Ok(()) }
}

/// Standard error; `RUST_LOG` chooses levels, `info` and above when it is not set.
fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    // A log that cannot be written must not say so on standard error, which it is.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false).with_writer(|| streams::Log);
    match format {
        LogFormat::Text => builder.with_ansi(streams::colour_for_people()).init(),
        LogFormat::Json => builder.json().init(),
    }
}

/// What does not change while the daemon lives.
#[derive(Clone, Copy)]
struct Machine {
    capabilities: Capabilities,
    consent: Consent,
    /// How often the counts of a port are read.
    poll: Duration,
}

/// The latest counts of a port: written by its task, read by the report.
type Latest = Arc<Mutex<PortCount>>;

/// What the ports send on just now: written by their tasks, each time they start again, and read by the report.
type Current = Arc<Mutex<Outlook>>;

/// Runs every port until `stop`, then reports.
async fn serve(
    config: &Config,
    plan: &Plan,
    machine: Machine,
    listener: &Listener,
    report_interval: Duration,
    stop: &CancellationToken,
) -> Report {
    let started = Instant::now();
    let outlook = Outlook::of(plan).logging();
    outlook.foresee().iter().for_each(log_foreseen);
    let outlook = Arc::new(Mutex::new(outlook));
    let mut tasks = JoinSet::new();
    let mut latest: Vec<Latest> = Vec::new();
    let enabling = Enabling::until(stop);
    for port in &plan.ports {
        let config = alone(config, port);
        let counts = Arc::new(Mutex::new(PortCount::none(port)));
        latest.push(Arc::clone(&counts));
        let (listener, enabling, outlook) = (listener.clone(), enabling.clone(), Arc::clone(&outlook));
        let port = Supervised { config, machine, counts, outlook, listener, enabling, name: port.name.clone() };
        tasks.spawn(port.supervise(stop.clone()));
    }
    info!(ports = latest.len(), "sending");
    let snapshot = || Snapshot { elapsed: started.elapsed(), ports: latest.iter().map(read).collect() };
    let mut reports = time::interval_at(started + report_interval, report_interval);
    let (mut logged, mut told) = (Snapshot::default(), 0);
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = reports.tick() => {
                let now = snapshot();
                log_counts("counts", &now, &logged, &outlook).await;
                logged = now;
                told = log_losses(told);
            }
            Some(ended) = tasks.join_next() => note_end(ended),
        }
    }
    info!("stopping");
    while let Some(ended) = tasks.join_next().await {
        note_end(ended);
    }
    let mut snapshot = snapshot();
    except_each_other(&mut snapshot.ports);
    log_counts("final counts", &snapshot, &Snapshot::default(), &outlook).await;
    log_flows(&snapshot);
    log_losses(told);
    let findings = current(&outlook).conclude(&snapshot, Vec::new(), false);
    findings.iter().for_each(log_concluded);
    Report { snapshot, findings, sink: None }
}

/// The configuration of a single port, with all of its flows. A port that has no CPUs of its own gets those of the plan, which
/// were chosen with an eye on all ports.
fn alone(config: &Config, port: &PortPlan) -> Config {
    let given = || Located::new(port.cpus.clone(), Place::Default);
    let own = |of: &Port| Port { cpus: of.cpus.clone().or_else(|| Some(given())), ..of.clone() };
    Config {
        source: config.source.clone(),
        ports: config.ports.iter().filter(|other| other.name.value == port.name).map(own).collect(),
        flows: flows_of(config, port).cloned().collect(),
    }
}

fn read(latest: &Latest) -> PortCount {
    latest.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

fn current(outlook: &Current) -> Outlook {
    outlook.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A port's task ended. That it panicked is a mistake of ours, which the daemon does not outlive in silence.
fn note_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        error!("a port's task failed");
        std::panic::resume_unwind(error.into_panic());
    }
}

/// What may cost frames is a warning, and what may cost time a remark.
fn log_foreseen(found: &PortFinding) {
    let PortFinding { port, frames: _, finding: Finding { code, severity, cause, cure } } = found;
    match severity {
        Severity::Blocks | Severity::Loses => warn!(port, code, cause, cure, "expect losses"),
        Severity::Slows => info!(port, code, cause, cure, "could be faster"),
        Severity::Note => {}
    }
}

/// Why frames were dropped, of the whole time: each cause with all that it cost, as it was when they were dropped.
fn log_concluded(found: &PortFinding) {
    let PortFinding { port, frames, finding: Finding { code, severity: _, cause, cure } } = found;
    match frames {
        Some(count) => warn!(port, code, cause, cure, count, "frames dropped in all"),
        None => info!(port, code, cause, cure, "remark"),
    }
}

/// Why frames were dropped that were not at the last time. The machine is asked beside the thread that all ports share.
async fn explain_drops(snapshot: &Snapshot, outlook: &Current) -> Vec<News> {
    let (outlook, snapshot) = (current(outlook), snapshot.clone());
    let learned = spawn_blocking(move || outlook.learn(&snapshot)).await;
    learned.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}

/// Logs how many lines of the log were lost, when they are more than were told. Gives how many are told now.
fn log_losses(told: u64) -> u64 {
    let lost = lines_lost();
    if lost == told {
        return told;
    }
    warn!(log_lines_lost = lost, "the log could not be written; so many lines since the start are missing");
    // This line too may be lost, and then all are told at the next opportunity.
    if lines_lost() == lost { lost } else { told }
}

/// Logs all counts, and warns of the drops that were not there at the last time.
async fn log_counts(message: &str, snapshot: &Snapshot, last: &Snapshot, outlook: &Current) {
    let news = explain_drops(snapshot, outlook).await;
    for (index, port) in snapshot.ports.iter().enumerate() {
        let Punctual { requested_pps, achieved_pps, frames_late, worst_lateness_ns, frames_unsent } =
            Punctual::of(port.punctuality);
        info!(
            port = port.name,
            interface = port.interface,
            frames_attempted = port.attempted,
            frames_tx = port.transmitted,
            bytes_tx = port.bytes(),
            frames_dropped = port.dropped(),
            requested_pps,
            achieved_pps,
            frames_late,
            worst_lateness_ns,
            frames_unsent,
            batch_size = port.batch_size,
            "{message}"
        );
        for News { reason, finding, .. } in news.iter().filter(|news| news.index == index) {
            let count = port.drops.iter().find(|(known, _)| known == reason).map_or(0, |(_, count)| *count);
            let code = finding.as_ref().map(|finding| finding.code);
            let cause = finding.as_ref().map(|finding| finding.cause.as_str());
            let cure = finding.as_ref().map(|finding| finding.cure.as_str());
            warn!(port = port.name, reason = reason.code(), count, code, cause, cure, "frames dropped");
        }
        let known = last.ports.get(index).and_then(|port| port.punctuality).map_or(0, |known| known.unsent);
        if let Some(sentence) = shortfall(port).filter(|_| frames_unsent != Some(known)) {
            warn!(port = port.name, frames_unsent, "departures without a frame: {sentence}");
        }
    }
}

/// Fields of the log that only paced ports and flows have; named as those of the JSON report.
#[derive(Default)]
struct Punctual {
    requested_pps: Option<f64>,
    achieved_pps: Option<f64>,
    frames_late: Option<u64>,
    worst_lateness_ns: Option<u64>,
    frames_unsent: Option<u64>,
}

impl Punctual {
    fn of(punctuality: Option<Punctuality>) -> Self {
        let Some(Punctuality { requested, achieved, late, worst, unsent }) = punctuality else {
            return Self::default();
        };
        Self {
            requested_pps: requested,
            achieved_pps: achieved,
            frames_late: Some(late),
            worst_lateness_ns: Some(u64::try_from(worst.as_nanos()).unwrap_or(u64::MAX)),
            frames_unsent: Some(unsent),
        }
    }
}

/// More flows than these are too many for a log; `--json` reports all of them.
const LOGGED_FLOWS: usize = 64;

/// Logs the final counts of each flow.
fn log_flows(snapshot: &Snapshot) {
    let flows = || snapshot.ports.iter().flat_map(|port| port.flows.iter().map(move |flow| (port, flow)));
    if flows().count() > LOGGED_FLOWS {
        info!(flows = flows().count(), "too many flows to log one by one: `--json` reports them");
        return;
    }
    for (port, flow) in flows() {
        let Punctual { requested_pps, achieved_pps, frames_late, worst_lateness_ns, frames_unsent } =
            Punctual::of(flow.punctuality);
        info!(
            flow = flow.name,
            port = port.name,
            frames_attempted = flow.attempted,
            frames_tx = flow.transmitted,
            bytes_tx = flow.bytes,
            requested_pps,
            achieved_pps,
            frames_late,
            worst_lateness_ns,
            frames_unsent,
            "final flow counts"
        );
    }
}

/// A port under supervision.
struct Supervised {
    config: Config,
    machine: Machine,
    counts: Latest,
    /// Shared by all ports, as all that follow but the name.
    outlook: Current,
    listener: Listener,
    enabling: Enabling,
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
    /// Runs the port to the end of its flows, or to `stop`; a failure pauses it and starts it again.
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
            error!(
                port = self.name,
                error = failure.render(),
                "port failed, it starts again in {pause:?}, with the first values of its sequences"
            );
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
        let counts = read(&self.counts);
        let flows = self.config.flows.iter().zip(&counts.flows);
        let flows: Vec<Flow> = flows.filter_map(|(flow, count)| rest(flow, count.due(), elapsed)).collect();
        (!flows.is_empty()).then(|| Config { flows, ..self.config.clone() })
    }

    async fn run_once(&self, config: Config, stop: &CancellationToken) -> Result<(), CommandError> {
        let Machine { capabilities, consent, .. } = self.machine;
        let (listener, enabling, outlook) = (self.listener.clone(), self.enabling.clone(), Arc::clone(&self.outlook));
        let load = move || {
            let plan = work_out(&config, Some(capabilities), consent)?;
            let planned = Outlook::of(&plan);
            outlook.lock().unwrap_or_else(PoisonError::into_inner).renew(planned);
            Ok::<_, CommandError>(Loaded::beside(plan, &listener, &enabling)?)
        };
        let loaded =
            spawn_blocking(load).await.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
        let earlier = read(&self.counts);
        let look = |snapshot| self.note(snapshot, &earlier);
        let (snapshot, failure) = loaded.start(Start::Now, stop)?.run(self.machine.poll, look).await?;
        self.note(snapshot, &earlier);
        failure.map_or(Ok(()), |failure| Err(failure.into()))
    }

    fn note(&self, snapshot: Snapshot, earlier: &PortCount) {
        for mut count in snapshot.ports {
            count.flows = every_flow(count.flows, &earlier.flows);
            count.add(earlier);
            *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = count;
        }
    }
}

/// What is left of a flow that has been attempted so often in this time; none when it is over. Its time counts from its
/// beginning, which is the delay later than the start.
fn rest(flow: &Flow, attempted: u64, elapsed: Duration) -> Option<Flow> {
    let mut flow = flow.clone();
    if let Some(Located { value, .. }) = &mut flow.packets {
        *value = value.checked_sub(attempted).filter(|&left| left > 0)?;
    }
    if let Some(Located { value, .. }) = &mut flow.duration {
        let sent = elapsed.saturating_sub(flow.delay.value);
        *value = value.checked_sub(sent).filter(|left| !left.is_zero())?;
    }
    flow.delay.value = flow.delay.value.saturating_sub(elapsed);
    Some(flow)
}

/// The counts of a run, with a zero for each flow of `all` that was over before it and took no part. Both are in the
/// order of the configuration.
fn every_flow(counted: Vec<FlowCount>, all: &[FlowCount]) -> Vec<FlowCount> {
    let mut counted = counted.into_iter().peekable();
    let count = |FlowCount { name, .. }: &FlowCount| {
        counted.next_if(|count| count.name == *name).unwrap_or_else(|| FlowCount::none(name))
    };
    all.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, file};

    fn flow(lines: &str) -> Flow {
        let text = format!(
            "[[ports]]\nname = 'p'\ninterface = 'e'\n[[flows]]\nname = 'f'\nport = 'p'\npacket = [{{ ethernet = {{}} }}]\n{lines}"
        );
        file::parse(Source::file("test.toml", &text)).unwrap_or_else(|wrong| panic!("{wrong}")).flows.remove(0)
    }

    #[test]
    fn each_flow_keeps_its_own_end() {
        let second = Duration::from_secs(1);
        let left = |lines, attempted, elapsed| {
            rest(&flow(lines), attempted, elapsed)
                .map(|flow| (flow.packets.map(|packets| packets.value), flow.duration.map(|duration| duration.value)))
        };
        assert_eq!(left("", 1_000_000, second), Some((None, None)));
        assert_eq!(left("packets = 10", 3, second), Some((Some(7), None)));
        assert_eq!(left("packets = 10", 10, second), None);
        assert_eq!(left("duration = '3s'", 10, second), Some((None, Some(2 * second))));
        assert_eq!(left("duration = '1s'", 10, second), None);
    }

    #[test]
    fn a_delay_goes_on_and_duration_counts_from_its_end() {
        let left = |delay, duration, elapsed| {
            let lines = format!("delay = '{delay}s'\nduration = '{duration}s'");
            rest(&flow(&lines), 0, Duration::from_secs(elapsed))
                .map(|flow| (flow.delay.value.as_secs(), flow.duration.map(|duration| duration.value.as_secs())))
        };
        assert_eq!(left(10, 5, 3), Some((7, Some(5))));
        assert_eq!(left(10, 5, 10), Some((0, Some(5))));
        assert_eq!(left(10, 5, 12), Some((0, Some(3))));
        assert_eq!(left(10, 5, 15), None);
    }

    #[test]
    fn flows_that_are_over_stay_in_the_counts() {
        let count = |name: &str, frames| FlowCount {
            name: name.to_owned(),
            attempted: frames,
            transmitted: frames,
            bytes: frames * 64,
            ..FlowCount::default()
        };
        let all = [count("a", 1), count("b", 2), count("c", 3)];
        let counted = vec![count("a", 10), count("c", 30)];
        assert_eq!(every_flow(counted, &all), [count("a", 10), count("b", 0), count("c", 30)]);
        assert_eq!(every_flow(Vec::new(), &all[..1]), [count("a", 0)]);
    }
}
