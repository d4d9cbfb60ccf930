//! The report of `--json`, and what must hold of each.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

/// The report of `--json`: exactly the documented keys and no others. Only keys of rates may be
/// absent, where there are no rates.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Report {
    pub(crate) duration_ns: u64,
    pub(crate) ports: Vec<Port>,
    pub(crate) flows: Vec<Flow>,
    /// Present for `demo` only.
    pub(crate) sink: Option<SinkCount>,
    pub(crate) findings: Vec<Finding>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Finding {
    pub(crate) port: String,
    pub(crate) code: String,
    pub(crate) severity: String,
    pub(crate) frames: Option<u64>,
    pub(crate) cause: String,
    pub(crate) cure: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Port {
    name: String,
    pub(crate) interface: String,
    pub(crate) frames_attempted: u64,
    pub(crate) frames_tx: u64,
    pub(crate) bytes_tx: u64,
    pub(crate) frames_dropped: u64,
    pub(crate) drops: Vec<Drops>,
    pub(crate) pps: u64,
    pub(crate) due_ns: u64,
    pub(crate) down_ns: u64,
    pub(crate) restarts: u64,
    pub(crate) workers: Vec<Worker>,
    /// None where no frames leave.
    pub(crate) interface_counters: Option<InterfaceCounters>,
    // This field and all that follow: present for a paced port only.
    pub(crate) batch_size: Option<u64>,
    pub(crate) requested_pps: Option<f64>,
    pub(crate) achieved_pps: Option<f64>,
    pub(crate) frames_late: Option<u64>,
    pub(crate) worst_lateness_ns: Option<u64>,
    pub(crate) frames_unsent: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Drops {
    pub(crate) reason: String,
    pub(crate) count: u64,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Worker {
    pub(crate) cpu: u32,
    pub(crate) frames_attempted: u64,
    pub(crate) frames_tx: u64,
    pub(crate) frames_dropped: u64,
    pub(crate) drops: Vec<Drops>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InterfaceCounters {
    pub(crate) tx_packets: u64,
    pub(crate) tx_bytes: u64,
    pub(crate) tx_dropped: u64,
    pub(crate) tx_errors: u64,
    pub(crate) nic: BTreeMap<String, u64>,
}

/// Frames a second, rounded as reports do.
fn per_second(frames: u64, nanos: u64) -> u64 {
    let (frames, nanos) = (u128::from(frames) * 1_000_000_000, u128::from(nanos).max(1));
    u64::try_from((frames + nanos / 2) / nanos).unwrap()
}

/// The sum of all drops.
fn all(drops: &[Drops]) -> u64 {
    drops.iter().map(|drops| drops.count).sum()
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Flow {
    pub(crate) name: String,
    pub(crate) port: String,
    pub(crate) frames_attempted: u64,
    pub(crate) frames_tx: u64,
    pub(crate) bytes_tx: u64,
    pub(crate) frames_dropped: u64,
    pub(crate) drops: Vec<Drops>,
    pub(crate) pps: u64,
    pub(crate) due_ns: u64,
    // This field and all that follow: present for a paced port only.
    pub(crate) requested_pps: Option<f64>,
    pub(crate) achieved_pps: Option<f64>,
    pub(crate) frames_late: Option<u64>,
    worst_lateness_ns: Option<u64>,
    pub(crate) frames_unsent: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SinkCount {
    frames_rx: u64,
    bytes_rx: u64,
}

impl Report {
    /// The only port of the report.
    #[track_caller]
    pub(crate) fn only_port(&self) -> &Port {
        let [port] = self.ports.as_slice() else { panic!("not exactly one port: {self:?}") };
        port
    }

    /// A paced port has all figures of punctuality, and any other port has none.
    #[track_caller]
    fn assert_punctuality_adds_up(&self, port: &Port) {
        let flows = || self.flows.iter().filter(|flow| flow.port == port.name);
        let (Some(late), Some(worst), Some(unsent)) =
            (port.frames_late, port.worst_lateness_ns, port.frames_unsent)
        else {
            let none = (None, None, None, None, None, None);
            let Port { batch_size, requested_pps, achieved_pps, .. } = *port;
            let figures = (
                batch_size,
                requested_pps,
                achieved_pps,
                port.frames_late,
                port.worst_lateness_ns,
                port.frames_unsent,
            );
            assert_eq!(figures, none, "{self:?}");
            let paced = |flow: &Flow| {
                let rates = flow.requested_pps.or(flow.achieved_pps).is_some();
                rates
                    || flow.frames_late.or(flow.worst_lateness_ns).or(flow.frames_unsent).is_some()
            };
            assert!(!flows().any(paced), "{self:?}");
            return;
        };
        assert!(port.batch_size.is_some_and(|size| (1..=256).contains(&size)), "{port:?}");
        let all = |figure: fn(&Flow) -> Option<u64>| {
            let figure = move |flow| {
                figure(flow).unwrap_or_else(|| panic!("not there for every flow: {self:?}"))
            };
            flows().map(figure)
        };
        assert_eq!(all(|flow| flow.frames_late).sum::<u64>(), late, "{self:?}");
        assert_eq!(all(|flow| flow.worst_lateness_ns).max(), Some(worst), "{self:?}");
        assert_eq!(all(|flow| flow.frames_unsent).sum::<u64>(), unsent, "{self:?}");
        for flow in flows() {
            let late = flow.frames_late.unwrap_or(0);
            assert!(late <= flow.frames_attempted, "{flow:?}");
            assert_eq!(late > 0, flow.worst_lateness_ns > Some(0), "{flow:?}");
        }
    }

    /// Every lost frame has a cause, and so has a port that sent nothing.
    #[track_caller]
    fn assert_explained(&self, port: &Port) {
        let findings = || self.findings.iter().filter(|finding| finding.port == port.name);
        assert_eq!(
            findings().filter_map(|finding| finding.frames).sum::<u64>(),
            port.frames_dropped,
            "{self:?}"
        );
        assert!(
            port.frames_tx > 0 || findings().count() > 0,
            "nothing was sent, and no finding says why: {self:?}"
        );
        for Finding { port: _, code, severity, frames: _, cause, cure } in findings() {
            assert!(["note", "slows", "loses", "blocks"].contains(&severity.as_str()), "{self:?}");
            assert!(!code.is_empty() && !cause.is_empty(), "{self:?}");
            assert!(!cause.ends_with('.') && !cure.ends_with('.'), "{self:?}");
        }
    }

    /// What must hold of every report.
    #[track_caller]
    pub(super) fn assert_adds_up(&self) {
        for port in &self.ports {
            self.assert_explained(port);
            let flows = || self.flows.iter().filter(|flow| flow.port == port.name);
            let total = |count: fn(&Flow) -> u64| flows().map(count).sum::<u64>();
            assert!(flows().count() > 0, "no flow of {port:?}: {self:?}");
            assert!(flows().all(|flow| !flow.name.is_empty()), "{self:?}");
            // Frames that were not made because a worker's thread was elsewhere belong to no flow.
            let moved = port
                .drops
                .iter()
                .filter(|drops| drops.reason == "worker_moved")
                .map(|drops| drops.count);
            let counted = (
                total(|flow| flow.frames_attempted) + moved.sum::<u64>(),
                total(|flow| flow.frames_tx),
            );
            assert_eq!(counted, (port.frames_attempted, port.frames_tx), "{self:?}");
            assert_eq!(total(|flow| flow.bytes_tx), port.bytes_tx, "{self:?}");
            assert_eq!(port.frames_attempted, port.frames_tx + port.frames_dropped, "{port:?}");
            assert_eq!(port.frames_dropped, all(&port.drops), "{port:?}");
            for flow in flows() {
                assert_eq!(flow.frames_attempted, flow.frames_tx + flow.frames_dropped, "{flow:?}");
                assert_eq!(flow.frames_dropped, all(&flow.drops), "{flow:?}");
                assert_eq!(flow.pps, per_second(flow.frames_tx, flow.due_ns), "{flow:?}");
                assert!(flow.due_ns <= port.due_ns, "{self:?}");
            }
            assert_eq!(port.pps, per_second(port.frames_tx, port.due_ns), "{port:?}");
            assert!(port.down_ns > 0 || port.restarts == 0, "{port:?}");
            for worker in &port.workers {
                assert_eq!(
                    worker.frames_attempted,
                    worker.frames_tx + worker.frames_dropped,
                    "{worker:?}"
                );
                assert_eq!(worker.frames_dropped, all(&worker.drops), "{worker:?}");
            }
            let of_workers =
                |count: fn(&Worker) -> u64| port.workers.iter().map(count).sum::<u64>();
            let workers = (
                of_workers(|worker| worker.frames_attempted),
                of_workers(|worker| worker.frames_tx),
            );
            assert_eq!(workers, (port.frames_attempted, port.frames_tx), "{port:?}");
            let cpus: BTreeSet<u32> = port.workers.iter().map(|worker| worker.cpu).collect();
            assert_eq!(cpus.len(), port.workers.len(), "a worker a CPU: {port:?}");
            assert!(
                port.drops.iter().all(|drops| drops.count > 0 && !drops.reason.is_empty()),
                "{port:?}"
            );
            assert!(!port.interface.is_empty(), "{port:?}");
            self.assert_punctuality_adds_up(port);
            let second = 1_000_000_000;
            // 0 where the run was stopped before its start.
            let rate = (u128::from(port.frames_tx) * second)
                .checked_div(u128::from(self.duration_ns))
                .unwrap_or(0);
            // The port's rate is over the time in which the port itself sent. For the demo, the
            // only command with a sink, that is the whole run. For paced ports it is the time in
            // which frames were due, and late workers end after it.
            let exact = self.sink.is_some() && port.requested_pps.is_none();
            let plausible =
                u128::from(port.pps) + 1 >= rate && (!exact || u128::from(port.pps) <= rate + 1);
            assert!(plausible, "{rate} frames a second, but {port:?}");
        }
        if let Some(SinkCount { frames_rx, bytes_rx }) = self.sink {
            assert_eq!(
                frames_rx,
                self.ports.iter().map(|port| port.frames_tx).sum::<u64>(),
                "{self:?}"
            );
            assert_eq!(
                bytes_rx,
                self.ports.iter().map(|port| port.bytes_tx).sum::<u64>(),
                "{self:?}"
            );
            // The kernel's own counts of a veth, where nothing else sends; they are without FCS.
            for port in &self.ports {
                let Some(counters) = &port.interface_counters else { panic!("not read: {port:?}") };
                let InterfaceCounters { tx_packets, tx_bytes, tx_dropped, tx_errors, nic } =
                    counters;
                assert_eq!(
                    (*tx_packets, *tx_bytes),
                    (port.frames_tx, port.bytes_tx - 4 * port.frames_tx),
                    "{port:?}"
                );
                assert_eq!((*tx_dropped, *tx_errors), (port.frames_dropped, 0), "{port:?}");
                let queues = nic.iter().filter(|(name, _)| name.ends_with("_xdp_xmit"));
                assert_eq!(
                    queues.map(|(_, count)| count).sum::<u64>(),
                    port.frames_tx,
                    "ethtool -S: {port:?}"
                );
            }
        }
    }
}
