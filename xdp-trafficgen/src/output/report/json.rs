//! The report as one JSON object. Its fields are a promise to scripts: they are only ever added to.

use std::{collections::BTreeMap, time::Duration};

use serde::Serialize;

use crate::{
    diagnosis,
    host::Counters,
    output::{Format, PortFinding, Report, plain},
    stats::{self, DropReason},
    units::Nanos,
};

#[derive(Serialize)]
struct Json<'a> {
    /// From the first frame to the end of the last worker.
    duration_ns: u64,
    ports: Vec<Port<'a>>,
    flows: Vec<Flow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sink: Option<Sink>,
    /// What explains the counts, and what to do.
    findings: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct Finding<'a> {
    port: &'a str,
    /// A name that stays the same.
    code: &'static str,
    /// `note`, `slows`, `loses` or `blocks`.
    severity: &'static str,
    /// How many frames it cost, where they were counted.
    frames: Option<u64>,
    cause: &'a str,
    /// Empty when nothing can be done.
    cure: &'a str,
}

impl<'a> From<&'a PortFinding> for Finding<'a> {
    fn from(PortFinding { port, frames, finding }: &'a PortFinding) -> Self {
        let diagnosis::Finding { code, severity, cause, cure } = finding;
        Self { port, code, severity: severity.code(), frames: *frames, cause, cure }
    }
}

#[derive(Serialize)]
struct Port<'a> {
    name: &'a str,
    interface: &'a str,
    frames_attempted: u64,
    frames_tx: u64,
    bytes_tx: u64,
    frames_dropped: u64,
    drops: Vec<Drop>,
    /// Over `due_ns`.
    pps: u64,
    /// In which it was due to send, whether it could or not.
    due_ns: u64,
    /// In which it could not send, with an interface that had gone away, for example.
    down_ns: u64,
    /// How often it started again.
    restarts: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<u64>,
    #[serde(flatten)]
    punctuality: Option<Punctuality>,
    workers: Vec<Worker>,
    /// What the interface counted during the run, frames of other senders included.
    #[serde(skip_serializing_if = "Option::is_none")]
    interface_counters: Option<InterfaceCounters<'a>>,
    /// Trace points that this kernel has not: what they would tell is not in the counts.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    lacking: Vec<&'static str>,
}

#[derive(Serialize)]
struct Worker {
    cpu: u32,
    frames_attempted: u64,
    frames_tx: u64,
    frames_dropped: u64,
    drops: Vec<Drop>,
}

impl From<&stats::WorkerCount> for Worker {
    fn from(worker: &stats::WorkerCount) -> Self {
        let drops = drops(&worker.drops);
        Self {
            cpu: worker.cpu,
            frames_attempted: worker.frames_attempted,
            frames_tx: worker.frames_tx,
            frames_dropped: drops.iter().map(|drop| drop.count).sum(),
            drops,
        }
    }
}

#[derive(Serialize)]
struct InterfaceCounters<'a> {
    tx_packets: u64,
    tx_bytes: u64,
    tx_dropped: u64,
    tx_errors: u64,
    /// Those of the driver's own (`ethtool -S`) that changed.
    nic: BTreeMap<&'a str, u64>,
}

impl<'a> From<&'a Counters> for InterfaceCounters<'a> {
    fn from(counters: &'a Counters) -> Self {
        let &Counters { tx_packets, tx_bytes, tx_dropped, tx_errors, ref nic, answers: _ } =
            counters;
        let nic = nic
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(name, &count)| (name.as_str(), count))
            .collect();
        Self { tx_packets, tx_bytes, tx_dropped, tx_errors, nic }
    }
}

/// Where there are departure times.
#[derive(Serialize)]
struct Punctuality {
    /// Frames a second, on average where the rate changes.
    requested_pps: Option<f64>,
    /// Frames a second, over the time in which departures were due.
    achieved_pps: Option<f64>,
    frames_late: u64,
    worst_lateness_ns: u64,
    /// Departures that no frame left at.
    frames_unsent: u64,
}

impl From<&stats::Punctuality> for Punctuality {
    fn from(punctuality: &stats::Punctuality) -> Self {
        let &stats::Punctuality { requested, achieved, late, worst, unsent, time: _ } = punctuality;
        Self {
            requested_pps: requested.map(plain::rate),
            achieved_pps: achieved.map(plain::rate),
            frames_late: late,
            worst_lateness_ns: nanos(worst),
            frames_unsent: unsent,
        }
    }
}

#[derive(Serialize)]
struct Drop {
    reason: String,
    count: u64,
}

#[derive(Serialize)]
struct Flow<'a> {
    name: &'a str,
    port: &'a str,
    frames_attempted: u64,
    frames_tx: u64,
    bytes_tx: u64,
    frames_dropped: u64,
    drops: Vec<Drop>,
    /// As the port's.
    pps: u64,
    due_ns: u64,
    #[serde(flatten)]
    punctuality: Option<Punctuality>,
}

#[derive(Serialize)]
struct Sink {
    frames_rx: u64,
    bytes_rx: u64,
}

/// `--output json`.
pub const FORMAT: Format<Report> = Format {
    name: "json",
    help: "One JSON object, for programs",
    render: |report| Ok(render(report)? + "\n"),
};

/// One line, without a line feed.
///
/// # Errors
/// None that these types can cause.
pub fn render(report: &Report) -> serde_json::Result<String> {
    let Report { snapshot, sink, findings } = report;
    let ports = snapshot.ports.iter().map(|port| Port {
        name: &port.name,
        interface: &port.interface,
        frames_attempted: port.frames_attempted,
        frames_tx: port.frames_tx,
        bytes_tx: port.bytes_tx(),
        frames_dropped: port.frames_dropped(),
        drops: drops(&port.drops),
        pps: plain::per_second(port.frames_tx, port.due_time.as_secs_f64()),
        due_ns: nanos(port.due_time),
        down_ns: nanos(port.outage.down),
        restarts: port.outage.restarts,
        batch_size: port.batch_size,
        punctuality: port.punctuality.as_ref().map(Punctuality::from),
        workers: port.workers.iter().map(Worker::from).collect(),
        interface_counters: port.interface_count.as_ref().map(InterfaceCounters::from),
        lacking: port.lacks.iter().map(|trace_point| trace_point.name()).collect(),
    });
    let flows = snapshot.ports.iter().flat_map(|port| {
        port.flows.iter().map(|flow| Flow {
            name: &flow.name,
            port: &port.name,
            frames_attempted: flow.frames_attempted,
            frames_tx: flow.frames_tx,
            bytes_tx: flow.bytes_tx,
            frames_dropped: flow.drops.iter().map(|(_, count)| count).sum(),
            drops: drops(&flow.drops),
            pps: plain::per_second(flow.frames_tx, flow.due_time.as_secs_f64()),
            due_ns: nanos(flow.due_time),
            punctuality: flow.punctuality.as_ref().map(Punctuality::from),
        })
    });
    serde_json::to_string(&Json {
        duration_ns: nanos(snapshot.elapsed),
        ports: ports.collect(),
        flows: flows.collect(),
        sink: sink.map(|sink| Sink { frames_rx: sink.frames, bytes_rx: sink.bytes }),
        findings: findings.iter().map(Finding::from).collect(),
    })
}

fn drops(drops: &[(DropReason, u64)]) -> Vec<Drop> {
    drops.iter().map(|&(reason, count)| Drop { reason: reason.code(), count }).collect()
}

/// Of which 64 bits hold 584 years.
fn nanos(time: Duration) -> u64 {
    Nanos::from(time).get()
}
