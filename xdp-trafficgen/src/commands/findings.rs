//! What a command says of the interfaces it sends out of: before a run, while it goes on, and at its end.
//!
//! Gathers the facts, which are others at the end than they were before, and lets [`diagnosis`] draw the conclusions.

use std::{cmp::Reverse, collections::BTreeSet, thread};

use tracing::warn;

use crate::{
    commands::CommandError,
    config::Action,
    diagnosis::{self, Finding, Pace, Rivals, Severity, Situation},
    host::{
        AttachedMode, AttachedXdp, Facts, FactsError, Interface, Netlink, Quota, System, WorkerThread, allowed_cpus,
    },
    output::{PortFinding, streams::say, text},
    plan::{Attach, Plan, PortPlan},
    stats::{DropReason, PortCount, Snapshot, reconcile::Parting},
};

/// What is sent, and on what.
#[derive(Clone, Debug)]
pub(crate) struct Outlook {
    ports: Vec<Sending>,
    before: Before,
    /// Says why the facts cannot be had.
    complain: fn(&FactsError),
}

/// How it was before the first frame.
#[derive(Clone, Debug, Default)]
struct Before {
    /// Other processes' workers.
    elsewhere: Vec<WorkerThread>,
    /// CPUs that could have a worker.
    allowed_cpus: Vec<u32>,
    quotas: Vec<Quota>,
}

impl Before {
    fn now() -> Self {
        let elsewhere = WorkerThread::gather().into_iter().filter(|worker| !worker.is_ours()).collect();
        Self { elsewhere, allowed_cpus: allowed_cpus().unwrap_or_default(), quotas: Quota::gather() }
    }
}

/// One port of it.
#[derive(Clone, Debug)]
struct Sending {
    port: String,
    /// The interface that frames leave by, or would.
    interface: String,
    index: u32,
    action: Action,
    cpus: Vec<u32>,
    batch_size: u32,
    largest: u32,
    attach: Attach,
    pace: Pace,
}

impl Sending {
    fn of(plan: &PortPlan) -> Self {
        let index = plan.leaves_by().unwrap_or(plan.egress);
        let other = || {
            let links = aside(|| Netlink::open().and_then(|netlink| netlink.links()))?.unwrap_or_default();
            links.into_iter().find(|link| link.index == index).map(|link| link.name)
        };
        let interface = (index != plan.egress).then(other).flatten().unwrap_or_else(|| plan.interface.clone());
        Self {
            port: plan.name.clone(),
            interface,
            index,
            action: plan.action,
            cpus: plan.cpus.clone(),
            batch_size: plan.batch_size,
            largest: plan.flows.iter().map(|flow| flow.largest).max().unwrap_or(0),
            attach: plan.attach,
            pace: if plan.pacing.is_none() { Pace::FullSpeed } else { Pace::Departures },
        }
    }
}

const UNKNOWN: &str = "what explains the counts cannot be found out";

/// The plan says these itself, and the last one is said before there is one.
const SAID_ALREADY: [&str; 4] = ["cpu_above_queues", "needs_program", "no_carrier", "low_memory"];

/// Says on standard error that memory is short, before any is taken: whoever takes more than a control group may have is killed
/// without another word.
pub(crate) fn warn_of_memory() {
    if let Some(Finding { cause, cure, .. }) = diagnosis::of_memory(&System::gather()) {
        say(format_args!("{cause}\n  cure: {cure}"));
    }
}

impl Outlook {
    /// Of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let complain = |error: &FactsError| say(format_args!("{UNKNOWN}: {error}"));
        Self { ports: plan.ports.iter().map(Sending::of).collect(), before: Before::now(), complain }
    }

    /// The same for whoever keeps a log, where standard error has a form of its own.
    pub(crate) fn logging(self) -> Self {
        Self { complain: |error| warn!(error = error.to_string(), "{UNKNOWN}"), ..self }
    }

    /// A port was planned anew: its interface may be another of the same name, and so may be its CPUs and batches.
    pub(crate) fn renew(&mut self, planned: Self) {
        for new in planned.ports {
            if let Some(old) = self.ports.iter_mut().find(|old| old.port == new.port) {
                // Flows that are over are not in the new plan, but in the counts.
                *old = Sending { largest: new.largest.max(old.largest), ..new };
            }
        }
    }

    /// All that is to be expected, the worst first in each port.
    pub(crate) fn foresee(&self) -> Vec<PortFinding> {
        let Some(look) = self.look() else { return Vec::new() };
        let of_port = |sending| self.foresee_of(&look, sending);
        self.ports.iter().flat_map(of_port).collect()
    }

    fn foresee_of(&self, look: &Look, sending: &Sending) -> Vec<PortFinding> {
        let quota = diagnosis::of_quota(&self.before.quotas, self.workers(), sending.pace);
        let mut findings = look.foresee(sending);
        findings.extend(self.shared_cpus(sending).into_iter().chain(quota));
        findings.sort_by_key(|finding| Reverse(finding.severity));
        findings.into_iter().map(|finding| found(sending, finding)).collect()
    }

    /// Workers of all ports.
    fn workers(&self) -> usize {
        self.ports.iter().map(|sending| sending.cpus.len()).sum()
    }

    /// That the port is not alone on its CPUs.
    fn shared_cpus(&self, sending: &Sending) -> Option<Finding> {
        let Before { elsewhere, allowed_cpus, .. } = &self.before;
        let others = || self.ports.iter().filter(|other| other.port != sending.port);
        let rivals = |&cpu: &u32| {
            let ports = others().filter(|other| other.cpus.contains(&cpu)).map(|other| format!("port {}", other.port));
            let processes = elsewhere.iter().filter(|worker| worker.cpu == cpu);
            (cpu, ports.chain(processes.map(|worker| format!("process {}", worker.process))).collect())
        };
        let rivals: Rivals = sending.cpus.iter().map(rivals).collect();
        let taken = |cpu: &u32| {
            self.ports.iter().any(|port| port.cpus.contains(cpu)) || elsewhere.iter().any(|worker| worker.cpu == *cpu)
        };
        let free: Vec<u32> = allowed_cpus.iter().copied().filter(|cpu| !taken(cpu)).collect();
        diagnosis::of_shared_cpus(&rivals, &free, sending.pace)
    }

    /// What kept the port's workers from their CPUs: what is known of it now, that it is over.
    fn contention(&self, sending: &Sending, quotas: &[Quota]) -> impl Iterator<Item = Finding> {
        let throttled = quotas.iter().find_map(|quota| Some((quota, quota.since(&self.before.quotas)?)));
        let throttled = throttled.map(|(quota, throttled)| diagnosis::of_throttling(quota, throttled, sending.pace));
        self.shared_cpus(sending).into_iter().chain(throttled)
    }

    /// Says on standard error what will cost frames, and gives what will cost time: that is said at the end.
    pub(crate) fn warn(&self) -> Vec<PortFinding> {
        let (worse, slower): (Vec<_>, Vec<_>) =
            self.foresee().into_iter().partition(|found| found.finding.severity >= Severity::Loses);
        for finding in worse.iter().filter(|found| !SAID_ALREADY.contains(&found.finding.code)) {
            say(text::finding(finding));
        }
        slower.into_iter().filter(|found| found.finding.severity == Severity::Slows).collect()
    }

    /// Says of each port, as soon as it loses frames, why the first ones were lost.
    pub(crate) fn watch(&self) -> impl FnMut(&Snapshot) -> Vec<String> + use<> {
        let (outlook, mut told) = (self.clone(), BTreeSet::new());
        move |snapshot| {
            let first = |(index, port): (usize, &PortCount)| Some((index, lost(port).next()?.0));
            let news: Vec<(usize, DropReason)> = snapshot.ports.iter().enumerate().filter_map(first).collect();
            let news = news.into_iter().filter(|(index, _)| told.insert(*index)).collect::<Vec<_>>();
            news.into_iter().filter_map(|(index, reason)| outlook.tell(index, reason)).collect()
        }
    }

    fn tell(&self, index: usize, reason: DropReason) -> Option<String> {
        let sending = self.ports.get(index)?;
        let Finding { cause, cure, .. } = self.look()?.of_drop(sending, reason);
        let cure = if cure.is_empty() { cure } else { format!("; cure: {cure}") };
        Some(format!("port {}: frames are being dropped: {cause}{cure}", sending.port))
    }

    /// Why ports, by their places in the plan, drop frames just now: of each drop, from one look for all. It blocks.
    pub(crate) fn of_drops(&self, drops: &[(usize, DropReason)]) -> Vec<Option<Finding>> {
        let look = if drops.is_empty() { None } else { self.look() };
        let of_drop = |&(index, reason)| Some(look.as_ref()?.of_drop(self.ports.get(index)?, reason));
        drops.iter().map(of_drop).collect()
    }

    /// What explains the final counts. `slower`: what [`Self::warn`] gave. `failed`: whether the run ended before its time.
    pub(crate) fn conclude(&self, snapshot: &Snapshot, slower: Vec<PortFinding>, failed: bool) -> Vec<PortFinding> {
        let mut findings = Vec::new();
        let wrong = |port: &PortCount| port.dropped() > 0 || port.transmitted == 0 || !port.partings.is_empty();
        let quotas = Quota::gather();
        let look = if failed || snapshot.ports.iter().any(wrong) { self.look() } else { None };
        for (sending, port) in self.ports.iter().zip(&snapshot.ports) {
            if let Some(look) = &look {
                findings.extend(look.conclude(sending, port));
                findings.extend(port.partings.iter().map(|parting| look.of_parting(sending, parting)));
            }
            // Of a run that failed before the first frame, the failure is the reason.
            let stopped = failed && port.attempted == 0;
            let nothing_sent = if stopped { None } else { diagnosis::of_nothing_sent(port) };
            let by_itself = [nothing_sent, diagnosis::of_lacking(&port.lacks)];
            findings.extend(by_itself.into_iter().flatten().map(|finding| found(sending, finding)));
            if port.attempted > 0 {
                findings.extend(self.contention(sending, &quotas).map(|finding| found(sending, finding)));
            }
            let at_full_speed = sending.pace == Pace::FullSpeed && port.transmitted > 0;
            let known: BTreeSet<(String, &str)> =
                findings.iter().map(|known| (known.port.clone(), known.finding.code)).collect();
            let news = |found: &&PortFinding| {
                at_full_speed && found.port == port.name && !known.contains(&(found.port.clone(), found.finding.code))
            };
            findings.extend(slower.iter().filter(news).cloned());
        }
        findings
    }

    /// Adds why the run failed, where that is known: to the port that failed, or to all when it is none by itself.
    pub(crate) fn explain(&self, failure: &CommandError, findings: &mut Vec<PortFinding>) {
        let Some(finding) = failure.finding() else { return };
        let failed = failure.port();
        for sending in self.ports.iter().filter(|sending| failed.is_none_or(|name| name == sending.port)) {
            if !findings.iter().any(|known| known.port == sending.port && known.finding.code == finding.code) {
                findings.push(found(sending, finding.clone()));
            }
        }
    }

    /// The facts as they are now; none, and a word about it, when they cannot be had.
    fn look(&self) -> Option<Look> {
        let names: Vec<&str> = self.ports.iter().map(|sending| sending.interface.as_str()).collect();
        let gathered = aside(|| Facts::gather(&[], &names, None))?;
        gathered.map(Look).inspect_err(self.complain).ok()
    }
}

/// The machine is asked by a thread of its own, in the same network namespace: asking blocks, and the caller may be
/// asynchronous. None when there is no thread to be had.
fn aside<T: Send>(ask: impl FnOnce() -> T + Send) -> Option<T> {
    thread::scope(|scope| thread::Builder::new().spawn_scoped(scope, ask).ok()?.join().ok())
}

/// Frames that were not meant to be lost, by reason, those of the most frames first.
fn lost(port: &PortCount) -> impl Iterator<Item = (DropReason, u64)> {
    let mut drops: Vec<_> = port.drops.iter().copied().filter(|(reason, _)| *reason != DropReason::Action).collect();
    drops.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    drops.into_iter()
}

fn found(sending: &Sending, finding: Finding) -> PortFinding {
    PortFinding { port: sending.port.clone(), frames: None, finding }
}

/// The facts at one moment.
struct Look(Facts);

impl Look {
    /// As it is now; not another of the same name.
    fn interface(&self, sending: &Sending) -> Option<&Interface> {
        self.0.interfaces.iter().find(|interface| interface.link.index == sending.index)
    }

    fn of_parting(&self, sending: &Sending, parting: &Parting) -> PortFinding {
        found(sending, diagnosis::of_parting(parting, &self.situation(sending, self.interface(sending))))
    }

    fn situation<'a>(&'a self, sending: &'a Sending, interface: Option<&'a Interface>) -> Situation<'a> {
        let Sending { interface: name, action, cpus, batch_size, largest, attach, .. } = sending;
        Situation {
            system: &self.0.system,
            interface,
            name,
            action: *action,
            cpus,
            allowed_cpus: &self.0.allowed_cpus,
            batch_size: *batch_size,
            largest: *largest,
            attach: *attach,
        }
    }

    fn foresee(&self, sending: &Sending) -> Vec<Finding> {
        diagnosis::foresee(&self.situation(sending, self.interface(sending)))
    }

    fn of_drop(&self, sending: &Sending, reason: DropReason) -> Finding {
        let mut interface = self.interface(sending).cloned();
        // What the driver said, it said with our program attached, which may be off again by now.
        if let (Attach::Pass(_), DropReason::Driver(_), Some(interface)) = (sending.attach, reason, &mut interface)
            && interface.xdp_in(AttachedMode::Native).is_none()
        {
            interface.xdp.push(AttachedXdp { mode: AttachedMode::Native, program: 0, name: None, on_link: true });
        }
        diagnosis::of_drop(reason, &self.situation(sending, interface.as_ref()))
    }

    /// Each cause once, with all the frames it cost; and that the interface is gone, if no frame told.
    fn conclude(&self, sending: &Sending, port: &PortCount) -> Vec<PortFinding> {
        let mut findings: Vec<PortFinding> = Vec::new();
        for &(reason, count) in &port.drops {
            let finding = self.of_drop(sending, reason);
            match findings.iter_mut().find(|known| known.finding == finding) {
                Some(known) => known.frames = known.frames.map(|frames| frames + count),
                None => findings.push(PortFinding { frames: Some(count), ..found(sending, finding) }),
            }
        }
        let gone = diagnosis::of_gone(&self.situation(sending, self.interface(sending)));
        let known = |gone: &Finding| findings.iter().any(|known| known.finding.code == gone.code);
        let gone = gone.filter(|gone| !known(gone)).map(|finding| found(sending, finding));
        findings.extend(gone);
        findings
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::{
        engine::{EngineError, WorkerError},
        kernel::KernelError,
    };

    /// Two ports that let frames pass by, so that nothing is asked of an interface.
    fn outlook() -> Outlook {
        let sending = |port: &str| Sending {
            port: port.to_owned(),
            interface: "lo".to_owned(),
            index: 1,
            action: Action::Drop,
            cpus: vec![0],
            batch_size: 64,
            largest: 64,
            attach: Attach::Nothing,
            pace: Pace::FullSpeed,
        };
        Outlook { ports: ["a", "b"].map(sending).to_vec(), before: Before::default(), complain: |_| {} }
    }

    #[test]
    fn a_failure_is_its_own_reason() {
        let ports = ["a", "b"].map(|name| PortCount { name: name.to_owned(), ..PortCount::default() }).to_vec();
        let snapshot = Snapshot { ports, ..Snapshot::default() };
        let said = |findings: &[PortFinding]| {
            findings.iter().map(|found| format!("{}: {}", found.port, found.finding.code)).collect::<Vec<_>>()
        };
        let outlook = outlook();
        let unhurt = outlook.conclude(&snapshot, Vec::new(), false);
        assert_eq!(said(&unhurt), ["a: nothing_due", "b: nothing_due"]);
        let mut findings = outlook.conclude(&snapshot, Vec::new(), true);
        assert_eq!(said(&findings), [""; 0]);
        let refused =
            KernelError::Syscall { call: "bpf(BPF_PROG_TEST_RUN)", source: io::Error::from_raw_os_error(libc::ENOMEM) };
        let failure = CommandError::Engine(EngineError::Worker {
            port: "b".to_owned(),
            interface: "lo".to_owned(),
            source: WorkerError::Send(refused),
        });
        for _ in 0..2 {
            outlook.explain(&failure, &mut findings);
            assert_eq!(said(&findings), ["b: no_memory"]);
        }
    }
}
