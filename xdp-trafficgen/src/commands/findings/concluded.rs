//! What explains the final counts, and why a run failed.

use std::collections::BTreeSet;

use super::{
    RunFindings, found,
    observation::{Observation, Period, causes},
};
use crate::{
    commands::CommandError,
    diagnosis::{self, Finding, SendMode},
    host::Quota,
    output::PortFinding,
    stats::{DropReason, PortCount, Snapshot},
};

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunEnd {
    /// At its planned end, or by a stop.
    Complete,
    /// Before its time.
    Failed,
}

impl RunEnd {
    /// Of a run that ended with this failure, if any.
    pub(crate) const fn of<E>(failure: Option<&E>) -> Self {
        if failure.is_some() { Self::Failed } else { Self::Complete }
    }
}

impl RunFindings {
    /// What explains the final counts. `slower`: what [`Self::warn`] gave.
    pub(crate) fn conclude(
        &self,
        snapshot: &Snapshot,
        slower: Vec<PortFinding>,
        end: RunEnd,
    ) -> Vec<PortFinding> {
        self.newly_captured();
        let captured = self.so_far().captured.clone();
        let mut findings = Vec::new();
        let wrong = |port: &PortCount| {
            port.frames_dropped() > 0 || port.frames_tx == 0 || !port.mismatches.is_empty()
        };
        let quotas = Quota::gather();
        let look = if end == RunEnd::Failed || snapshot.ports.iter().any(wrong) {
            self.look()
        } else {
            None
        };
        self.put_down(snapshot, look.as_ref());
        for (index, (sending, port)) in self.ports.iter().zip(&snapshot.ports).enumerate() {
            let first = findings.len();
            findings.extend(causes(sending, port, |reason, count| {
                self.told((index, reason), count, look.as_ref())
            }));
            if let Some(look) = &look {
                let known = |gone: &Finding| {
                    findings[first..].iter().any(|known| known.finding.code == gone.code)
                };
                let gone = look
                    .of_gone(sending)
                    .filter(|gone| !known(gone))
                    .map(|gone| found(sending, gone));
                findings.extend(gone);
                findings.extend(
                    port.mismatches.iter().map(|mismatch| look.of_mismatch(sending, mismatch)),
                );
            }
            findings.extend(sending.renamed().map(|finding| found(sending, finding)));
            findings.extend(captured.contains(&index).then(|| found(sending, sending.capture())));
            // Of a run that failed before the first frame, the failure is the reason.
            let stopped = end == RunEnd::Failed && port.frames_attempted == 0;
            let nothing_sent = if stopped { None } else { diagnosis::of_nothing_sent(port) };
            let of_time = [diagnosis::of_outage(port), diagnosis::of_stillness(port)];
            findings.extend(of_time.into_iter().flatten().map(|finding| found(sending, finding)));
            let by_itself = [nothing_sent, diagnosis::of_lacking(&port.lacks)];
            findings.extend(by_itself.into_iter().flatten().map(|finding| found(sending, finding)));
            if port.frames_attempted > 0 {
                findings.extend(
                    self.contention(sending, port, &quotas).map(|finding| found(sending, finding)),
                );
            }
            let at_full_speed = sending.mode == SendMode::FullSpeed && port.frames_tx > 0;
            let known: BTreeSet<(String, &str)> =
                findings.iter().map(|known| (known.port.clone(), known.finding.code)).collect();
            let news = |found: &&PortFinding| {
                at_full_speed
                    && found.port == port.name
                    && !known.contains(&(found.port.clone(), found.finding.code))
            };
            findings.extend(slower.iter().filter(news).cloned());
        }
        findings
    }

    /// Adds why the run failed, where that is known: to the port that failed, or to all ports when
    /// the failure is of no single one.
    pub(crate) fn explain(&self, failure: &CommandError, findings: &mut Vec<PortFinding>) {
        let Some(finding) = failure.finding() else { return };
        let failed = failure.port();
        for sending in
            self.ports.iter().filter(|sending| failed.is_none_or(|name| name == sending.port))
        {
            if !findings
                .iter()
                .any(|known| known.port == sending.port && known.finding.code == finding.code)
            {
                findings.push(found(sending, finding.clone()));
            }
        }
    }

    /// What explains so many drops of a port, by its place, for this reason.
    fn told(
        &self,
        key: (usize, DropReason),
        count: u64,
        look: Option<&Observation<'_>>,
    ) -> Vec<(u64, Finding)> {
        let so_far = self.so_far();
        match look.zip(self.ports.get(key.0)) {
            Some((look, sending)) => {
                let now = look.of_drop(sending, key.1, Period::InAll);
                so_far
                    .moments
                    .told(key, count, Some(&now), |then| look.at_the_end(sending, then, &now))
            }
            None => so_far.moments.told(key, count, None, Finding::clone),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::{super::tests::run_findings, *};
    use crate::{
        engine::{EngineError, WorkerError},
        kernel::KernelError,
    };

    #[test]
    fn a_failure_is_its_own_reason() {
        let ports = ["a", "b"]
            .map(|name| PortCount { name: name.to_owned(), ..PortCount::default() })
            .to_vec();
        let snapshot = Snapshot { ports, ..Snapshot::default() };
        let said = |findings: &[PortFinding]| {
            findings
                .iter()
                .map(|found| format!("{}: {}", found.port, found.finding.code))
                .collect::<Vec<_>>()
        };
        let run_findings = run_findings();
        let unhurt = run_findings.conclude(&snapshot, Vec::new(), RunEnd::Complete);
        assert_eq!(said(&unhurt), ["a: nothing_due", "b: nothing_due"]);
        let mut findings = run_findings.conclude(&snapshot, Vec::new(), RunEnd::Failed);
        assert_eq!(said(&findings), [""; 0]);
        let refused = KernelError::Syscall {
            call: "bpf(BPF_PROG_TEST_RUN)",
            source: io::Error::from_raw_os_error(libc::ENOMEM),
        };
        let failure = CommandError::Engine(EngineError::Worker {
            port: "b".to_owned(),
            interface: "lo".to_owned(),
            source: WorkerError::Send(refused),
        });
        for _ in 0..2 {
            run_findings.explain(&failure, &mut findings);
            assert_eq!(said(&findings), ["b: no_memory"]);
        }
    }
}
