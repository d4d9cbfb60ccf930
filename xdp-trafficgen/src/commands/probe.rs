//! `probe`: what this machine, and an interface of it, can do; why not, and what would help.
//!
//! Leaves everything as it was. Sends nothing without `--send`.

mod look;
mod trial;

use std::{cmp::Reverse, collections::BTreeSet};

use crate::{
    cli,
    commands::{CommandError, results},
    config::{
        Action, DEFAULT_BATCH_SIZE, DEFAULT_SIZE, Diagnostic, Diagnostics, Origin, Source,
        WhenFull, names,
    },
    diagnosis::{Finding, SendMode, Situation, Verdict, foresee, of_quota, of_survey},
    host::{Facts, Interface, Link, LinkHistory},
    kernel::{Survey, survey},
    output::{
        format::emit,
        probe::{InterfaceRemark, ProbeReport, Subject, Trial},
    },
    plan::{ExistingProgram, RequiredProgram, attachment, default_cpu},
};

pub(super) fn probe(options: &cli::Probe) -> Result<(), CommandError> {
    let survey = survey();
    let largest_frame = survey.largest_frame.as_ref().ok().copied();
    let (report, unsent) = match &options.interface {
        None => (
            machine(
                survey,
                &Facts::gather(&[], &[], largest_frame)?,
                options.common.consent().existing,
            )?,
            None,
        ),
        Some(name) => {
            let facts = Facts::gather(&[], &[name], largest_frame)?;
            let interface = facts.interface(name).cloned().ok_or_else(|| unknown(name, &facts))?;
            look::look(survey, &facts, interface, options)?
        }
    };
    let printed = emit(&report, options.output.output);
    let ready = match (report.verdict, unsent) {
        (Verdict::NotReady, _) => Err(CommandError::NotReady(
            options.interface.clone().unwrap_or_else(|| "this machine".to_owned()),
        )),
        // It could send, but not what was asked for.
        (_, Some(error)) => Err(error),
        (Verdict::Ready | Verdict::ReadyWithRemarks, None) => Ok(()),
    };
    results::both(ready, printed)
}

/// As other commands say it.
fn unknown(name: &str, facts: &Facts) -> CommandError {
    let known = facts.links.iter().flat_map(Link::names);
    let mut wrong = Diagnostics::new(Source::command_line());
    wrong.push(
        Diagnostic::new(&Origin::Option("INTERFACE"), format!("there is no interface `{name}`"))
            .help(names::cure(name, "interfaces", known)),
    );
    CommandError::Config(wrong)
}

/// The kernel, the CPUs, and what can be seen of each interface without touching it.
fn machine(
    survey: Survey,
    facts: &Facts,
    existing: ExistingProgram,
) -> Result<ProbeReport, CommandError> {
    let names: Vec<&str> = facts.links.iter().map(|link| link.name.as_str()).collect();
    let known = Facts::gather(&[], &names, facts.largest_frame)?;
    let of_machine = of_machine(facts);
    let brief = |link: &Link| {
        let interface = known.interface(&link.name)?;
        let cpus = [default_cpu(Some(interface), facts)];
        let mut findings = foresee(&situation(facts, interface, &cpus, existing));
        // Findings of the whole machine are reported once.
        findings.retain(|finding| !of_machine.iter().any(|known| known.code == finding.code));
        Some(InterfaceRemark {
            name: link.name.clone(),
            driver: driver(interface),
            verdict: Verdict::of(&findings),
            finding: findings.into_iter().next(),
        })
    };
    let briefs = facts.links.iter().filter_map(brief).collect();
    let findings = of_survey(&survey, &facts.system).into_iter().chain(of_machine).collect();
    Ok(report(survey, facts, Subject::Machine(briefs), findings))
}

/// The driver's name, or the interface's kind where it has none.
fn driver(interface: &Interface) -> String {
    match (interface.driver_name(), &interface.kind) {
        ("", Some(kind)) => kind.clone(),
        (driver, _) => driver.to_owned(),
    }
}

/// Remarks that have nothing to do with an interface.
fn of_machine(facts: &Facts) -> Vec<Finding> {
    let mut findings = foresee(&Situation {
        system: &facts.system,
        interface: None,
        name: "",
        meanwhile: LinkHistory::default(),
        peer_meanwhile: None,
        // Nothing leaves, so nothing is said of an interface.
        action: Action::Drop,
        cpus: &[],
        allowed_cpus: &facts.allowed_cpus,
        batch_size: DEFAULT_BATCH_SIZE,
        when_full: WhenFull::Wait,
        largest: DEFAULT_SIZE,
        attach: RequiredProgram::Nothing,
    });
    findings.extend(of_quota(&facts.system.quotas, 1, SendMode::FullSpeed));
    findings
}

/// The situation of a run with default options.
fn situation<'a>(
    facts: &'a Facts,
    interface: &'a Interface,
    cpus: &'a [u32],
    existing: ExistingProgram,
) -> Situation<'a> {
    Situation {
        system: &facts.system,
        interface: Some(interface),
        name: &interface.link.name,
        meanwhile: LinkHistory::default(),
        peer_meanwhile: None,
        action: Action::Redirect,
        cpus,
        allowed_cpus: &facts.allowed_cpus,
        batch_size: DEFAULT_BATCH_SIZE,
        when_full: WhenFull::Wait,
        largest: DEFAULT_SIZE,
        attach: attachment(interface, existing),
    }
}

/// Puts the report together. What was found twice, before and after frames were sent, stands there
/// once.
fn report(
    survey: Survey,
    facts: &Facts,
    subject: Subject,
    mut findings: Vec<Finding>,
) -> ProbeReport {
    findings.sort_by_key(|finding| Reverse(finding.severity));
    let mut known = BTreeSet::new();
    findings.retain(|finding| known.insert(finding.code));
    let mut verdict = Verdict::of(&findings);
    if let Subject::Interface(probed) = &subject
        && let Some(Trial::Made { frames_tx, .. }) = probed.trial
    {
        verdict = verdict.after_trial(frames_tx);
    }
    ProbeReport {
        survey,
        system: facts.system.clone(),
        cpus: facts.cpus.clone(),
        allowed_cpus: facts.allowed_cpus.clone(),
        subject,
        verdict,
        findings,
    }
}
