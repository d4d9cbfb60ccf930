//! The frames of `probe --send`: a real run, as `udp` makes it, of one frame for each slot of a
//! batch.

use tokio_util::sync::CancellationToken;

use crate::{
    cli::{self, PortRange},
    commands::{
        CommandError,
        findings::{RunEnd, RunFindings},
        quick::udp,
        send::{drive, work_out},
    },
    diagnosis::{Finding, in_full},
    engine::{Loaded, Start},
    host::{Interface, Mac},
    kernel::Capabilities,
    output::probe::Trial,
    plan::Plan,
};

/// Frames of a trial.
const FRAMES: u64 = 64;

/// Their destination without `--dst-mac`: a locally administered address (IEEE 802) that no
/// interface has.
const NOBODY: Mac = [0x02, 0, 0, 0, 0, 0xfe];

/// What became of them.
pub(super) struct Outcome {
    pub(super) trial: Trial,
    /// What explains it.
    pub(super) findings: Vec<Finding>,
    /// Why they could not be sent. Not the command's end, for there is a report to print.
    pub(super) unsent: Option<CommandError>,
}

/// Sends them out of the interface, unless a signal comes before.
pub(super) fn send(
    options: &cli::Probe,
    interface: &Interface,
    capabilities: Capabilities,
    stop: &CancellationToken,
) -> Outcome {
    match planned(options, interface, capabilities).and_then(|plan| made(plan, stop)) {
        Ok((trial, findings)) => Outcome { trial, findings, unsent: None },
        Err(error) => {
            let findings = error.finding().into_iter().collect();
            Outcome { trial: Trial::NotMade(why(&error)), findings, unsent: Some(error) }
        }
    }
}

fn why(error: &CommandError) -> String {
    match error {
        CommandError::Config(diagnostics) => {
            let messages = diagnostics.list().iter().map(|diagnostic| diagnostic.message.as_str());
            messages.collect::<Vec<_>>().join("; ")
        }
        other => in_full(other),
    }
}

fn planned(
    options: &cli::Probe,
    interface: &Interface,
    capabilities: Capabilities,
) -> Result<Plan, CommandError> {
    let config = udp::config(&cli::Udp {
        quick: cli::Quick {
            dst_mac: Some(options.dst_mac.unwrap_or(NOBODY)),
            packets: Some(FRAMES),
            ..cli::Quick::new(&interface.link.name, options.common)
        },
        dst_port: PortRange { first: 9, last: 9 },
        src_port: PortRange { first: 49152, last: 49152 },
    });
    let config = config.map_err(CommandError::Config)?;
    work_out(&config, Some(capabilities), options.common.consent())
}

fn made(plan: Plan, stop: &CancellationToken) -> Result<(Trial, Vec<Finding>), CommandError> {
    let run_findings = RunFindings::of(&plan);
    let (snapshot, failure) = drive(Loaded::until(stop, plan)?, Start::Now, stop, None)?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    if stop.is_cancelled() && snapshot.ports.iter().all(|port| port.frames_attempted == 0) {
        // Which says nothing of the interface.
        return Ok((Trial::NotMade("a signal came before the first frame".to_owned()), Vec::new()));
    }
    let findings = run_findings
        .conclude(&snapshot, Vec::new(), RunEnd::Complete)
        .into_iter()
        .map(|found| found.finding)
        .collect();
    let port = snapshot.ports.into_iter().next().ok_or(CommandError::NothingSent)?;
    let trial = Trial::Made {
        frames_attempted: port.frames_attempted,
        frames_tx: port.frames_tx,
        drops: port.drops,
        counted: port.interface_count,
    };
    Ok((trial, findings))
}
