//! What all sending commands do: probe, plan, load, drive, report.

use std::{
    io,
    time::{Duration, Instant, SystemTime},
};

use tokio_util::sync::CancellationToken;

use crate::{
    cli,
    commands::{
        CommandError,
        findings::{self, RunEnd, RunFindings},
        results,
    },
    config::{Action, Config},
    engine::{Loaded, Start},
    host::Facts,
    kernel::{Capabilities, Sink, probe},
    output::{Format, Report, format::emit, live::Live, numbers, streams::say, together::notes},
    plan::{self, Consent, Plan},
    signal,
    stats::{DropReason, PortCount, Punctuality, Snapshot},
};

/// How a run goes, beside what is sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// What the user has agreed to.
    pub(crate) consent: Consent,
    /// How the result is printed.
    pub(crate) format: &'static Format<Report>,
    /// Whether less than what was asked for is a failure.
    pub(crate) strict: bool,
    /// When to start; at once when none.
    pub(crate) at: Option<SystemTime>,
}

impl Options {
    /// Of the command line.
    pub(super) const fn of(
        common: &cli::Common,
        session: cli::Session,
        output: &cli::Output<Report>,
    ) -> Self {
        let cli::Session { at, strict: cli::Strict { strict } } = session;
        Self { consent: common.consent(), format: output.output, strict, at }
    }
}

/// What the kernel can do. The first that takes memory.
pub(crate) fn probe_kernel() -> Result<Capabilities, CommandError> {
    findings::warn_of_memory();
    Ok(probe::probe()?)
}

/// Gathers the host's facts and works out the plan. It may wait for a next hop's answer for
/// seconds, in which a signal ends the process as long as [`signal_stop`] handles none: commands
/// that do before have [`work_out_until`].
pub(crate) fn work_out(
    config: &Config,
    capabilities: Option<Capabilities>,
    consent: impl Into<Consent>,
) -> Result<Plan, CommandError> {
    work_out_until(&CancellationToken::new(), config, capabilities, consent)
}

/// [`work_out`], whose wait for next hops `stop` ends ([`CommandError::is_stopped`]).
pub(crate) fn work_out_until(
    stop: &CancellationToken,
    config: &Config,
    capabilities: Option<Capabilities>,
    consent: impl Into<Consent>,
) -> Result<Plan, CommandError> {
    let largest_frame = capabilities.map(|capabilities| capabilities.largest_frame);
    let facts =
        Facts::until(stop, &plan::sought(config), &plan::interfaces(config), largest_frame)?;
    plan::plan(config, &facts, consent).map_err(CommandError::Config)
}

/// Plans, sends and reports.
pub(super) fn send(config: &Config, options: Options) -> Result<(), CommandError> {
    let plan = work_out(config, Some(probe_kernel()?), options.consent)?;
    notes(&plan.notes).iter().for_each(say);
    send_plan(plan, options, None)
}

/// Sends and reports; `sink` counts what arrives.
pub(super) fn send_plan(
    plan: Plan,
    options: Options,
    sink: Option<&Sink>,
) -> Result<(), CommandError> {
    let stop = signal_stop()?;
    let sends = plan.ports.iter().any(|port| matches!(port.action, Action::Redirect | Action::Tx));
    let run_findings = RunFindings::of(&plan);
    let slower = run_findings.warn();
    let loaded = Loaded::until(&stop, plan)?;
    let start = options.at.map_or(Start::Now, Start::At);
    if let Some(ahead) = options.at.and_then(|at| at.duration_since(SystemTime::now()).ok()) {
        say(format_args!("waiting for the start, {} from now", numbers::duration(ahead)));
    }
    let live = Live::explaining(Box::new(run_findings.watch()));
    let (snapshot, failure) = drive(loaded, start, &stop, Some(live))?;
    let sink = sink.map(|sink| settled(sink, &snapshot)).transpose()?;
    let due = |port: &PortCount| {
        port.frames_attempted + port.punctuality.map_or(0, |punctuality| punctuality.unsent)
    };
    let nothing_sent =
        sends && snapshot.ports.iter().all(|port| port.frames_tx == 0 && due(port) > 0);
    let short = if options.strict { shortfalls(&snapshot) } else { Vec::new() };
    let mut found = run_findings.conclude(&snapshot, slower, RunEnd::of(failure.as_ref()));
    if let Some(failure) = &failure {
        run_findings.explain(failure, &mut found);
    }
    let printed = emit(&Report { snapshot, sink, findings: found }, options.format);
    let sent = match failure {
        Some(failure) => Err(failure),
        None if nothing_sent => Err(CommandError::NothingSent),
        None if !short.is_empty() => Err(CommandError::Short(short.join("; "))),
        None => Ok(()),
    };
    results::both(sent, printed)
}

/// More than this share of what was due and not sent is too much for `--strict`.
const TOLERATED: f64 = 0.001;

/// What `--strict` does not forgive, a sentence a port.
fn shortfalls(snapshot: &Snapshot) -> Vec<String> {
    let mut sentences = Vec::new();
    for port in &snapshot.ports {
        let missing = |punctuality: Option<Punctuality>, frames_attempted| {
            punctuality.map_or(0.0, |punctuality| punctuality.shortfall(frames_attempted))
        };
        let mut left = |what, name: &str, missing: f64| {
            if missing > TOLERATED {
                let percent = missing * 100.0;
                sentences.push(format!(
                    "{what} {name} left {percent:.2} % of its departures without a frame"
                ));
            }
        };
        // The port is the sum of its flows, which may hide one of them.
        let of_port = missing(port.punctuality, port.frames_attempted);
        left("port", &port.name, of_port);
        let of_flows =
            port.flows.iter().map(|flow| (missing(flow.punctuality, flow.frames_attempted), flow));
        if let Some((worst, flow)) = of_flows.max_by(|(one, _), (other, _)| one.total_cmp(other))
            && of_port <= TOLERATED
        {
            left("flow", &flow.name, worst);
        }
        let asked_for = |reason: DropReason| reason == DropReason::Action;
        let dropped: u64 = port
            .drops
            .iter()
            .filter(|(reason, _)| !asked_for(*reason))
            .map(|(_, count)| count)
            .sum();
        let dropped = dropped.saturating_sub(port.frames_made_up);
        if dropped > 0 {
            sentences.push(format!("port {} lost {}", port.name, numbers::frames(dropped)));
        }
    }
    sentences
}

/// A token that a signal cancels.
pub(crate) fn signal_stop() -> Result<CancellationToken, CommandError> {
    signal::stop_token().map_err(|error| CommandError::System {
        what: "cannot handle signals",
        source: io::Error::other(error),
    })
}

/// Runs the session to its end. Gives the final counts also when a worker failed, together with
/// why.
pub(super) fn drive(
    loaded: Loaded,
    start: Start,
    stop: &CancellationToken,
    mut live: Option<Live>,
) -> Result<(Snapshot, Option<CommandError>), CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .map_err(|source| CommandError::System { what: "cannot start the runtime", source })?;
    runtime.block_on(async {
        let session = loaded.start(start, stop)?;
        let interval = live.as_ref().map_or(Duration::from_secs(1), Live::interval);
        let look = |snapshot| {
            if let Some(live) = &mut live {
                live.show(snapshot);
            }
        };
        let (snapshot, failure) = session.run(interval, look).await?;
        Ok((snapshot, failure.map(CommandError::from)))
    })
}

/// The receiver's count once it has seen everything that was sent: the last frames of a veth may
/// still be waiting for a softirq on another CPU. Gives up after half a second, for frames that are
/// lost are lost.
pub(super) fn settled(
    sink: &Sink,
    snapshot: &Snapshot,
) -> Result<xdp_trafficgen_ebpf::abi::Sink, CommandError> {
    let sent: u64 = snapshot.ports.iter().map(|port| port.frames_tx).sum();
    let deadline = Instant::now() + Duration::from_millis(500);
    loop {
        let count = sink.count()?;
        if count.frames >= sent || Instant::now() >= deadline {
            return Ok(count);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::FlowCount;

    #[test]
    fn strict_forgives_a_thousandth_and_no_loss() {
        const MADE_UP: u64 = 7;
        #[track_caller]
        fn check((unsent, flow): (u64, u64), drops: &[(DropReason, u64)], expected: &[&str]) {
            let port = PortCount {
                name: "west".to_owned(),
                interface: "eth1".to_owned(),
                elapsed: Duration::from_secs(1),
                frames_attempted: 1_000_000 - unsent,
                drops: drops.to_vec(),
                frames_made_up: MADE_UP,
                punctuality: Some(Punctuality { unsent, ..Punctuality::default() }),
                batch_size: Some(1),
                flows: vec![
                    FlowCount {
                        frames_attempted: 100,
                        punctuality: Some(Punctuality { unsent: flow, ..Punctuality::default() }),
                        ..FlowCount::none("a")
                    },
                    FlowCount::none("b"),
                ],
                ..PortCount::default()
            };
            assert_eq!(
                shortfalls(&Snapshot { elapsed: Duration::from_secs(1), ports: vec![port] }),
                expected
            );
        }
        check((1000, 0), &[], &[]);
        check((1001, 0), &[], &["port west left 0.10 % of its departures without a frame"]);
        check((0, 0), &[(DropReason::Action, 5)], &[]);
        check((5, 1), &[], &["flow a left 0.99 % of its departures without a frame"]);
        check((0, 0), &[(DropReason::QueueFull, 1 + MADE_UP)], &["port west lost 1 frame"]);
        check((0, 0), &[(DropReason::QueueFull, MADE_UP)], &[]);
    }
}
