//! The daemon: supervises ports until a signal stops it. The composition root of everything that
//! lives longer than a run.

mod supervision;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::{JoinError, JoinSet, spawn_blocking},
    time::{self, Instant, MissedTickBehavior},
};
use tokio_util::sync::CancellationToken;

use self::supervision::{Counts, Supervised};
use crate::{
    cli,
    commands::{
        CommandError,
        findings::{RunEnd, RunFindings},
        probe_kernel, read_config, replace_rates, signal_stop, work_out_until,
    },
    config::{Config, Located, Origin, Port},
    engine,
    kernel::{Capabilities, Listener, PassPrograms, TracePoint},
    output::{NewDrops, Report, format::emit, log, together::notes},
    plan::{Consent, Plan, PortPlan, pacing::missed::MissedDepartures},
    stats::{PortCount, Snapshot, reconcile::except_each_other},
};

/// Runs until a signal: log, configuration, first plan, then a task a port.
pub(crate) fn daemon(options: &cli::Daemon) -> Result<(), CommandError> {
    log::start(options.log_format).map_err(CommandError::Config)?;
    let mut config = read_config(&options.config, &options.overrides)?;
    replace_rates(&mut config, &options.rates, options.scale)?;
    let stop = signal_stop()?;
    let machine = Machine {
        capabilities: probe_kernel()?,
        consent: options.common.consent(),
        poll: (options.report_interval / 4).clamp(SHORTEST_POLL, LONGEST_POLL),
    };
    // All of the file, so that a mistake anywhere ends the daemon before anything is sent.
    let plan = match work_out_until(&stop, &config, Some(machine.capabilities), machine.consent) {
        Err(error) if error.is_stopped() => {
            log::stopped_before_start();
            let report = Report { snapshot: Snapshot::default(), findings: Vec::new(), sink: None };
            return finish(&report, options);
        }
        plan => plan?,
    };
    notes(&plan.notes).iter().for_each(|note| log::note(note));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|source| CommandError::System { what: "cannot start the runtime", source })?;
    // One for all ports, also those that are down just now.
    let listener = Listener::new(plan.ports.len(), &TracePoint::ALL)?;
    let report =
        runtime.block_on(serve(&config, &plan, machine, &listener, options.report_interval, &stop));
    finish(&report, options)
}

/// Writes the report, where one was asked for.
fn finish(report: &Report, options: &cli::Daemon) -> Result<(), CommandError> {
    Ok(options.output.map_or(Ok(()), |format| emit(report, format))?)
}

/// What does not change while the daemon lives.
#[derive(Clone, Copy)]
struct Machine {
    capabilities: Capabilities,
    consent: Consent,
    /// How often the counts of a port are read.
    poll: Duration,
}

/// The shortest time between two readings: reading them costs the sending CPUs time.
const SHORTEST_POLL: Duration = Duration::from_millis(10);
/// The longest time between two readings of a port's counts; a report must not show old ones.
const LONGEST_POLL: Duration = Duration::from_millis(250);

/// The latest counts of a port: written by its task, read by the report.
type Latest = Arc<Mutex<Counts>>;

/// What the ports send on just now: written by their tasks, each time they start again, and read by
/// the report.
type Current = Arc<Mutex<RunFindings>>;

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
    let run_findings = RunFindings::of(plan);
    run_findings.foresee().iter().for_each(log::foreseen);
    let run_findings = Arc::new(Mutex::new(run_findings));
    let mut tasks = JoinSet::new();
    let mut latest: Vec<Latest> = Vec::new();
    let enabling = PassPrograms::until(stop);
    for port in &plan.ports {
        let config = alone(config, port);
        let counts = Arc::new(Mutex::new(Counts::Known(Box::new(PortCount::none(port)))));
        latest.push(Arc::clone(&counts));
        let (listener, enabling, run_findings) =
            (listener.clone(), enabling.clone(), Arc::clone(&run_findings));
        let (name, planned) = (port.name.clone(), MissedDepartures::of(port));
        let port =
            Supervised { config, machine, counts, run_findings, listener, enabling, name, planned };
        tasks.spawn(port.supervise(stop.clone()));
    }
    log::sending(latest.len());
    let snapshot =
        || Snapshot { elapsed: started.elapsed(), ports: latest.iter().map(read).collect() };
    let mut reports = time::interval_at(started + report_interval, report_interval);
    let mut logged = Snapshot::default();
    reports.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            _ = reports.tick() => {
                let now = snapshot();
                // `stop` does not wait for the facts; the last reading after the loop explains what is left.
                let news = tokio::select! {
                    biased;
                    () = stop.cancelled() => break,
                    news = explain_drops(&now, &run_findings, RunFindings::learn) => news,
                };
                log::counts("counts since the start", &now, &logged, &news);
                logged = now;
                log::report_losses();
            }
            Some(ended) = tasks.join_next() => note_end(ended),
        }
    }
    log::stopping();
    while let Some(ended) = tasks.join_next().await {
        note_end(ended);
    }
    let mut snapshot = snapshot();
    except_each_other(&mut snapshot.ports);
    let news = explain_drops(&snapshot, &run_findings, RunFindings::learn_now).await;
    log::counts("final counts since the start", &snapshot, &Snapshot::default(), &news);
    log::flows(&snapshot);
    log::report_losses();
    let findings = current(&run_findings).conclude(&snapshot, Vec::new(), RunEnd::Complete);
    findings.iter().for_each(log::concluded);
    Report { snapshot, findings, sink: None }
}

/// The configuration of a single port, with all of its flows as they were written: what they leave
/// to this host is looked up at each start. A port that has no CPUs of its own gets those of the
/// plan, which were chosen with an eye on all ports.
fn alone(config: &Config, port: &PortPlan) -> Config {
    let given = || Located::new(port.cpus.clone(), Origin::Default);
    let own = |of: &Port| Port { cpus: of.cpus.clone().or_else(|| Some(given())), ..of.clone() };
    Config {
        source: config.source.clone(),
        ports: config.ports.iter().filter(|other| other.name.value == port.name).map(own).collect(),
        flows: config.flows.iter().filter(|flow| flow.port.value == port.name).cloned().collect(),
    }
}

fn read(latest: &Latest) -> PortCount {
    latest.lock().unwrap_or_else(PoisonError::into_inner).read(engine::now())
}

fn current(run_findings: &Current) -> RunFindings {
    run_findings.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// A port's task ended. A panic of it is a defect of this program, and ends the daemon too.
fn note_end(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        log::task_failed();
        std::panic::resume_unwind(error.into_panic());
    }
}

/// Why frames were dropped that were not at the last time. The machine is asked beside the thread
/// that all ports share.
async fn explain_drops(
    snapshot: &Snapshot,
    run_findings: &Current,
    learn: fn(&RunFindings, &Snapshot) -> Vec<NewDrops>,
) -> Vec<NewDrops> {
    let (run_findings, snapshot) = (current(run_findings), snapshot.clone());
    let learned = spawn_blocking(move || learn(&run_findings, &snapshot)).await;
    learned.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
}
