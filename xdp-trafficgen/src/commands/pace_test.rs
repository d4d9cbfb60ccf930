//! `pace-test`: sends at a constant rate, has an XDP program write down when each frame arrives,
//! and shows how even the gaps are.

mod endpoints;
mod error;
mod measure;

use std::io;

pub use self::error::PaceTestError;
pub(super) use self::measure::{capacity, measure};
use self::{
    endpoints::{Endpoints, check_receive_only},
    measure::{Sent, nominal_gap_ns, settle, wait},
};
use crate::{
    cli::{self, PortRange},
    commands::{
        CommandError,
        findings::{RunEnd, RunFindings},
        probe_kernel,
        quick::udp,
        results,
        send::{drive, signal_stop, work_out},
        target::Target,
    },
    config::{Config, Located, Origin, Profile, rate::DEFAULT_LATE_THRESHOLD},
    engine::{Loaded, Start},
    kernel::{Arrivals, Capabilities, arrivals::Match},
    output::{
        format::emit,
        live::Live,
        pace_test::{PaceTestReport, svg},
        streams::say,
        together::{findings, notes},
    },
    units::CpuList,
};

/// In the UDP payload, so that the receiver knows our frames.
const MARK: [u8; 4] = *b"pace";
/// Behind Ethernet, IPv4 and UDP.
const MARK_OFFSET: u32 = 14 + 20 + 8;

pub(super) fn pace_test(options: &cli::PaceTest) -> Result<(), CommandError> {
    let gap_ns = nominal_gap_ns(options.rate, options.size).ok_or(PaceTestError::NoGap)?;
    let wanted = Wanted { gap_ns, frames: capacity(gap_ns, options.duration)? };
    let capabilities = probe_kernel()?;
    let svg = options.svg.as_deref().map(Target::open).transpose()?;
    let report = if options.receive_only {
        receive(options, &wanted)
    } else {
        send(options, &wanted, capabilities)
    }?;
    let printed = emit(&report, options.output.output);
    results::both(svg.map_or(Ok(()), |target| draw(&target, &report)), printed)
}

/// What should arrive.
struct Wanted {
    gap_ns: f64,
    /// Room for so many in the kernel's log.
    frames: u64,
}

/// Measures the frames of another sender.
fn receive(options: &cli::PaceTest, wanted: &Wanted) -> Result<PaceTestReport, CommandError> {
    let consent = options.common.consent();
    let receiver = options.interface.clone().unwrap_or_default();
    let receiver = check_receive_only(&receiver, consent.default_route)?;
    // Before: a program that made way is put back only by an end in order.
    let stop = signal_stop()?;
    let arrivals =
        Arrivals::attach_over(&receiver, Match::default(), wanted.frames, consent.existing)?;
    say(format_args!(
        "receiving at {receiver} for {}",
        humantime::format_duration(options.duration)
    ));
    wait(options.duration, &stop);
    Ok(measure(arrivals.take()?, receiver, None, wanted.gap_ns, options.warm_up)?)
}

/// Sends, and measures what arrives.
fn send(
    options: &cli::PaceTest,
    wanted: &Wanted,
    capabilities: Capabilities,
) -> Result<PaceTestReport, CommandError> {
    let consent = options.common.consent();
    let ends = Endpoints::find(options)?;
    let config = config(options, &ends)?;
    let plan = work_out(&config, Some(capabilities), consent)?;
    notes(&plan.notes).iter().for_each(say);
    let workers = plan.ports.iter().map(|port| port.cpus.len()).sum();
    let pacing = plan.ports.iter().find_map(|port| port.pacing.as_ref());
    let late_threshold = pacing.map_or(DEFAULT_LATE_THRESHOLD, |pacing| pacing.late);
    let stop = signal_stop()?;
    let matching = Match { mark: Some((MARK_OFFSET, MARK)), tag: None };
    let arrivals =
        Arrivals::attach_over(&ends.receiver, matching, wanted.frames, consent.existing)?;
    let run_findings = RunFindings::of(&plan);
    run_findings.warn();
    let live = Live::explaining(Box::new(run_findings.watch()));
    let (mut snapshot, failure) =
        drive(Loaded::until(&stop, plan)?, Start::Now, &stop, Some(live))?;
    let found = run_findings.conclude(&snapshot, Vec::new(), RunEnd::of(failure.as_ref()));
    findings(&found).iter().for_each(say);
    if let Some(failure) = failure {
        return Err(failure);
    }
    let port =
        snapshot.ports.pop().filter(|port| port.frames_tx > 0).ok_or(CommandError::NothingSent)?;
    settle(&arrivals, port.frames_tx)?;
    let sent = Sent { port, workers, late_threshold };
    Ok(measure(arrivals.take()?, ends.receiver, Some(sent), wanted.gap_ns, options.warm_up)?)
}

/// One flow of UDP frames that carry the mark, as `udp` would send it: what is wrong is said of the
/// options.
fn config(options: &cli::PaceTest, ends: &Endpoints) -> Result<Config, CommandError> {
    let mark: String = MARK.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut config = udp::config(&cli::Udp {
        quick: cli::Quick {
            dst_mac: ends.receiver_mac,
            size: Some(options.size.to_string()),
            payload: format!("hex:{mark}"),
            duration: Some(options.duration),
            cpus: ends.cpus.clone().map(CpuList),
            ..cli::Quick::new(&ends.sender, options.common)
        },
        dst_port: PortRange { first: 9, last: 9 },
        src_port: PortRange { first: 49152, last: 49152 },
    })
    .map_err(CommandError::Config)?;
    for port in &mut config.ports {
        port.rate = Some(Located::new(Profile::Constant(options.rate), Origin::Option("--rate")));
    }
    Ok(config)
}

fn draw(target: &Target, report: &PaceTestReport) -> Result<(), CommandError> {
    let picture = svg::render(report).map_err(|error| CommandError::System {
        what: "cannot draw the histogram",
        source: io::Error::other(error),
    })?;
    target.write(&picture)
}
