//! An interface in detail: as it is, and with the program that a run would attach. That attachment
//! also serves the frames of `--send`: a driver that was asked with one program and sends with
//! another may have set itself up anew in between.

use tokio_util::sync::CancellationToken;

use super::{report, situation, trial};
use crate::{
    cli,
    commands::{CommandError, send::signal_stop},
    diagnosis::{
        Finding, SendMode, Verdict, foresee, in_full, of_quota, of_refused_program, of_survey,
        without_refused,
    },
    host::{AttachedMode, AttachedXdp, Facts, Interface, Link},
    kernel::{Capabilities, PassProgram, Survey},
    output::probe::{Attachment, ProbeReport, Probed, Subject, Trial},
    plan::{DefaultRoute, ExistingProgram, RequiredProgram, attachment, default_cpu},
    units::FrameLen,
};

/// The report, and why the frames that were asked for could not be sent.
pub(super) fn look(
    survey: Survey,
    facts: &Facts,
    interface: Interface,
    options: &cli::Probe,
) -> Result<(ProbeReport, Option<CommandError>), CommandError> {
    let consent = options.common.consent();
    let default_route = facts.default_route.contains(&interface.link.index);
    let mut findings = of_survey(&survey, &facts.system);
    // Before anything is attached: a program that made way is put back only by an end in order.
    let stop = signal_stop()?;
    let able = Verdict::of(&findings) != Verdict::NotReady;
    let tried = match attachment(&interface, consent.existing) {
        RequiredProgram::Nothing => Tried::not(Attachment::NotNeeded),
        // It stays, and a run sends with it.
        RequiredProgram::Pass(_) if interface.xdp_in(AttachedMode::Native).is_some() => {
            Tried::not(Attachment::NotNeeded)
        }
        RequiredProgram::Pass(_) if !able => {
            Tried::not(Attachment::NotTried("this machine sends nothing anyway".to_owned()))
        }
        RequiredProgram::Pass(_) if default_route && consent.default_route == DefaultRoute::Refuse => {
            Tried::not(Attachment::NotTried(
                "the driver may restart an interface that carries the default route; --allow-default-route lets it"
                    .to_owned(),
            ))
        }
        RequiredProgram::Pass(existing) => attach(facts, &interface, existing, &stop)?,
    };
    let judged = Interface {
        features: tried.attachment.features().or(interface.features),
        xdp: tried.others.unwrap_or_else(|| interface.xdp.clone()),
        ..interface.clone()
    };
    let cpus = [default_cpu(Some(&judged), facts)];
    let mut foreseen = foresee(&situation(facts, &judged, &cpus, consent.existing));
    foreseen.extend(of_quota(&facts.system.quotas, cpus.len(), SendMode::FullSpeed));
    if tried.finding.is_some() {
        without_refused(&mut foreseen);
    }
    findings.extend(tried.finding.into_iter().chain(foreseen));
    let (trial, unsent) = match (options.send, &survey.largest_frame) {
        (false, _) => (None, None),
        (true, Ok(largest_frame)) if able => {
            let outcome = trial::send(
                options,
                &interface,
                Capabilities { largest_frame: *largest_frame },
                &stop,
            );
            findings.extend(outcome.findings);
            (Some(outcome.trial), outcome.unsent)
        }
        (true, _) => (Some(Trial::NotMade("this machine cannot send".to_owned())), None),
    };
    tried.enabled.map_or(Ok(()), PassProgram::release)?;
    let probed = Probed {
        default_route,
        largest_frame: largest_frame(&interface.link, &survey),
        attachment: tried.attachment,
        trial,
        interface,
    };
    Ok((report(survey, facts, Subject::Interface(Box::new(probed)), findings), unsent))
}

/// An attachment that may have been tried.
struct Tried {
    attachment: Attachment,
    /// While it lasts.
    enabled: Option<PassProgram>,
    /// Programs of others that were still attached beside it; none when it was not, or nobody
    /// says.
    others: Option<Vec<AttachedXdp>>,
    /// What it means that it was refused.
    finding: Option<Finding>,
}

impl Tried {
    const fn not(attachment: Attachment) -> Self {
        Self { attachment, enabled: None, others: None, finding: None }
    }
}

/// Attaches the program, and asks the driver again.
fn attach(
    facts: &Facts,
    interface: &Interface,
    existing: ExistingProgram,
    stop: &CancellationToken,
) -> Result<Tried, CommandError> {
    let Link { name, index, .. } = &interface.link;
    match PassProgram::attach_until(stop, *index, existing) {
        Ok(enabled) => {
            let now = Facts::gather(&[], &[name], facts.largest_frame)?;
            let now = now.interface(name);
            let features = now.and_then(|interface| interface.features);
            // Ours is not there for a run to find.
            let stayed = |program: &&AttachedXdp| interface.xdp.contains(program);
            let others = now.map(|now| now.xdp.iter().filter(stayed).cloned().collect());
            Ok(Tried {
                attachment: Attachment::Attached { features },
                enabled: Some(enabled),
                others,
                finding: None,
            })
        }
        Err(error) => {
            let finding = of_refused_program(name, &error, facts.system.lockdown);
            Ok(Tried { finding: Some(finding), ..Tried::not(Attachment::Refused(in_full(&error))) })
        }
    }
}

/// Bytes on the wire: a network-layer packet with an Ethernet header and the FCS, as far as live
/// mode takes it.
fn largest_frame(link: &Link, survey: &Survey) -> FrameLen {
    let of_mtu = FrameLen::of_mtu(link.mtu);
    let of_kernel = survey.largest_frame.as_ref().ok().map(|&bytes| FrameLen::of_kernel(bytes));
    of_kernel.map_or(of_mtu, |largest| of_mtu.min(largest))
}
