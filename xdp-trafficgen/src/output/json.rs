//! The report as one JSON object. Its fields are a promise to scripts: they are only ever added to.

use serde::Serialize;

use crate::{output::Report, stats};

#[derive(Serialize)]
struct Json<'a> {
    /// From the first frame to the end of the last worker.
    duration_ns: u64,
    ports: Vec<Port<'a>>,
    flows: Vec<Flow<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sink: Option<Sink>,
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
    /// Over the time the port itself sent, which may be shorter than the whole.
    pps: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_size: Option<u64>,
    #[serde(flatten)]
    punctuality: Option<Punctuality>,
}

/// Where there are departure times.
#[derive(Serialize)]
struct Punctuality {
    /// Frames a second, on average where the rate changes.
    requested_pps: Option<f64>,
    /// Frames a second, from the first departure to the last.
    achieved_pps: Option<f64>,
    frames_late: u64,
    worst_lateness_ns: u64,
    /// Departures that no frame left at.
    frames_unsent: u64,
}

impl From<&stats::Punctuality> for Punctuality {
    fn from(punctuality: &stats::Punctuality) -> Self {
        let &stats::Punctuality { requested, achieved, late, worst, unsent } = punctuality;
        Self {
            requested_pps: requested.map(plain),
            achieved_pps: achieved.map(plain),
            frames_late: late,
            worst_lateness_ns: u64::try_from(worst.as_nanos()).unwrap_or(u64::MAX),
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
    /// As the port's.
    pps: u64,
    #[serde(flatten)]
    punctuality: Option<Punctuality>,
}

#[derive(Serialize)]
struct Sink {
    frames_rx: u64,
    bytes_rx: u64,
}

/// One line, without a line feed.
///
/// # Errors
/// None that these types can cause.
pub fn render(report: &Report) -> serde_json::Result<String> {
    let Report { snapshot, sink, findings: _ } = report;
    let ports = snapshot.ports.iter().map(|port| Port {
        name: &port.name,
        interface: &port.interface,
        frames_attempted: port.attempted,
        frames_tx: port.transmitted,
        bytes_tx: port.bytes(),
        frames_dropped: port.dropped(),
        drops: port.drops.iter().map(|&(reason, count)| Drop { reason: reason.code(), count }).collect(),
        pps: per_second(port.transmitted, port.elapsed.as_secs_f64()),
        batch_size: port.batch_size,
        punctuality: port.punctuality.as_ref().map(Punctuality::from),
    });
    let flows = snapshot.ports.iter().flat_map(|port| {
        port.flows.iter().map(|flow| Flow {
            name: &flow.name,
            port: &port.name,
            frames_attempted: flow.attempted,
            frames_tx: flow.transmitted,
            bytes_tx: flow.bytes,
            pps: per_second(flow.transmitted, port.elapsed.as_secs_f64()),
            punctuality: flow.punctuality.as_ref().map(Punctuality::from),
        })
    });
    serde_json::to_string(&Json {
        duration_ns: u64::try_from(snapshot.elapsed.as_nanos()).unwrap_or(u64::MAX),
        ports: ports.collect(),
        flows: flows.collect(),
        sink: sink.map(|sink| Sink { frames_rx: sink.frames, bytes_rx: sink.bytes }),
    })
}

/// A rate to a thousandth: within these bounds it is written as a plain decimal (see [`per_second`]).
fn plain(rate: f64) -> f64 {
    (rate.clamp(0.0, 1e12) * 1000.0).round() / 1000.0
}

/// A whole number: plain decimals only (`1.7e7` is a string to some YAML readers).
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is shown to far fewer than 53 bits"
)]
fn per_second(count: u64, seconds: f64) -> u64 {
    if seconds > 0.0 { (count as f64 / seconds).round() as u64 } else { 0 }
}
