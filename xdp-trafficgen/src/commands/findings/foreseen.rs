//! What is to be expected of a run, before its first frame; and of its CPUs, after its last.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{RunFindings, StartState, found, observation::Observation, port::ObservedPort};
use crate::{
    diagnosis::{self, Finding, Rivals, Severity},
    host::Quota,
    output::{PortFinding, streams::say, together},
    plan::Needs,
    stats::PortCount,
};

/// The plan says these itself, and the last one is said before there is one.
const SAID_ALREADY: [&str; 4] = ["cpu_above_queues", "needs_program", "no_carrier", "low_memory"];

impl RunFindings {
    /// All that is to be expected, the worst first in each port.
    pub(crate) fn foresee(&self) -> Vec<PortFinding> {
        let Some(look) = self.look() else { return Vec::new() };
        let of_port = |sending| self.foresee_of(&look, sending);
        self.ports.iter().flat_map(of_port).collect()
    }

    fn foresee_of(&self, look: &Observation<'_>, sending: &ObservedPort) -> Vec<PortFinding> {
        let mut findings = look.foresee(sending);
        let quota = self.quota(sending);
        findings.extend(
            self.shared_cpus(sending).into_iter().chain(quota).chain(self.few_descriptors()),
        );
        findings.sort_by_key(|finding| Reverse(finding.severity));
        findings.into_iter().map(|finding| found(sending, finding)).collect()
    }

    /// That the workers which are at work all the time, the port's among them, take more CPU time
    /// than they may. What becomes of those that sleep between frames is [`Self::contention`]'s
    /// to say, from what happened.
    fn quota(&self, sending: &ObservedPort) -> Option<Finding> {
        let busy = self.ports.iter().filter(|port| port.busy).flat_map(|port| &port.cpus);
        let busy: BTreeSet<u32> = busy.copied().collect();
        if sending.busy {
            diagnosis::of_quota(&self.before.quotas, busy.len(), sending.mode)
        } else {
            None
        }
    }

    /// That the ports take more file descriptors than this process may have.
    fn few_descriptors(&self) -> Option<Finding> {
        let all = self.ports.iter().fold(Needs::default(), |all, sending| all.and(sending.needs));
        diagnosis::of_descriptors(all.most_descriptors(), self.before.descriptors?)
    }

    /// That the port is not alone on its CPUs.
    fn shared_cpus(&self, sending: &ObservedPort) -> Option<Finding> {
        let StartState { elsewhere, allowed_cpus, .. } = &*self.before;
        let others = || self.ports.iter().filter(|other| other.port != sending.port);
        let rivals = |&cpu: &u32| {
            let ports = others()
                .filter(|other| other.cpus.contains(&cpu))
                .map(|other| format!("port {}", other.port));
            let processes = elsewhere.iter().filter(|worker| worker.cpu == cpu);
            (
                cpu,
                ports
                    .chain(processes.map(|worker| format!("process {}", worker.process)))
                    .collect(),
            )
        };
        let rivals: Rivals = sending.cpus.iter().map(rivals).collect();
        let taken = |cpu: &u32| {
            self.ports.iter().any(|port| port.cpus.contains(cpu))
                || elsewhere.iter().any(|worker| worker.cpu == *cpu)
        };
        let free: Vec<u32> = allowed_cpus.iter().copied().filter(|cpu| !taken(cpu)).collect();
        diagnosis::of_shared_cpus(&rivals, &free, sending.mode)
    }

    /// What kept the port's workers from their CPUs: what is known of it now, that it is over. A
    /// quota that cost no departure, as it stopped the process while it loaded, or while its
    /// workers slept, is no finding.
    pub(super) fn contention(
        &self,
        sending: &ObservedPort,
        port: &PortCount,
        quotas: &[Quota],
    ) -> impl Iterator<Item = Finding> {
        let in_time = port
            .punctuality
            .is_some_and(|punctuality| punctuality.late == 0 && punctuality.unsent == 0);
        let quotas = if in_time { &[] } else { quotas };
        let throttled =
            quotas.iter().find_map(|quota| Some((quota, quota.since(&self.before.quotas)?)));
        let throttled = throttled
            .map(|(quota, throttled)| diagnosis::of_throttling(quota, throttled, sending.mode));
        self.shared_cpus(sending).into_iter().chain(throttled)
    }

    /// Says on standard error what will cost frames, and gives what will cost time: that is said at
    /// the end.
    pub(crate) fn warn(&self) -> Vec<PortFinding> {
        let (mut worse, slower): (Vec<_>, Vec<_>) =
            self.foresee().into_iter().partition(|found| found.finding.severity >= Severity::Loses);
        worse.retain(|found| !SAID_ALREADY.contains(&found.finding.code));
        together::findings(&worse).iter().for_each(say);
        slower.into_iter().filter(|found| found.finding.severity == Severity::Slows).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::{super::tests::run_findings, *};
    use crate::host::Throttled;

    #[test]
    fn a_quota_is_foreseen_for_workers_that_never_sleep() {
        let quota = |cpus: u64| Quota {
            file: "/sys/fs/cgroup/cpu.max".to_owned(),
            unlimited: "max",
            time: Duration::from_millis(cpus * 100),
            period: Duration::from_millis(100),
            throttled: Throttled::default(),
        };
        #[track_caller]
        fn check(quota: Quota, ports: [(bool, &[u32]); 2], expected: [Option<&str>; 2]) {
            let mut run_findings = run_findings();
            Arc::make_mut(&mut run_findings.before).quotas = vec![quota];
            for (sending, (busy, cpus)) in run_findings.ports.iter_mut().zip(ports) {
                *sending = ObservedPort { busy, cpus: cpus.to_vec(), ..sending.clone() };
            }
            let found = run_findings
                .ports
                .iter()
                .map(|sending| run_findings.quota(sending).map(|finding| finding.cause));
            for (cause, expected) in found.zip(expected) {
                let as_expected = expected.map_or(cause.is_none(), |part| {
                    cause.as_ref().is_some_and(|cause| cause.contains(part))
                });
                assert!(as_expected, "{cause:?}, not {expected:?}");
            }
        }
        let both = Some("may use 1 CPU (`/sys/fs/cgroup/cpu.max`) and workers on 2 CPUs take 2");
        check(quota(1), [(true, &[0]), (true, &[1])], [both; 2]);
        // Neither of one that sleeps, nor because of it.
        check(quota(1), [(true, &[0]), (false, &[1])], [None; 2]);
        check(quota(1), [(true, &[0, 1]), (false, &[2])], [both, None]);
        // Two on the same CPU take no more than it has.
        check(quota(1), [(true, &[0]), (true, &[0])], [None; 2]);
    }
}
