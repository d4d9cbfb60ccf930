//! The counts of ports and flows as events.

use std::time::Duration;

use tracing::{info, warn};

use super::TARGET;
use crate::{
    output::{NewDrops, shortfall::shortfall},
    stats::{Punctuality, Snapshot},
};

/// Logs all counts, and warns of the drops that were not there at the last time.
pub fn counts(message: &str, snapshot: &Snapshot, last: &Snapshot, news: &[NewDrops]) {
    for (index, port) in snapshot.ports.iter().enumerate() {
        let TimingFields {
            requested_pps,
            achieved_pps,
            frames_late,
            worst_lateness_ns,
            frames_unsent,
        } = TimingFields::of(port.punctuality);
        info!(
            target: TARGET,
            port = port.name,
            interface = port.interface,
            frames_attempted = port.frames_attempted,
            frames_tx = port.frames_tx,
            bytes_tx = port.bytes_tx(),
            frames_dropped = port.frames_dropped(),
            requested_pps,
            achieved_pps,
            frames_late,
            worst_lateness_ns,
            frames_unsent,
            down_ns = nanos(port.outage.down),
            restarts = port.outage.restarts,
            batch_size = port.batch_size,
            "{message}"
        );
        for NewDrops { reason, finding, .. } in news.iter().filter(|news| news.index == index) {
            let count =
                port.drops.iter().find(|(known, _)| known == reason).map_or(0, |(_, count)| *count);
            let code = finding.as_ref().map(|finding| finding.code);
            let cause = finding.as_ref().map(|finding| finding.cause.as_str());
            let cure = finding.as_ref().map(|finding| finding.cure.as_str());
            warn!(
            target: TARGET,
                port = port.name,
                reason = reason.code(),
                count,
                code,
                cause,
                cure,
                "frames dropped, counted since the start"
            );
        }
        let known =
            last.ports.get(index).and_then(|port| port.punctuality).map_or(0, |known| known.unsent);
        if let Some(sentence) = shortfall(port).filter(|_| frames_unsent != Some(known)) {
            warn!(target: TARGET, port = port.name, frames_unsent, "departures without a frame since the start: {sentence}");
        }
    }
}

/// As the log shows times: 64 bits hold 584 years.
fn nanos(time: Duration) -> u64 {
    crate::units::Nanos::from(time).get()
}

/// Fields of the log that only paced ports and flows have; named as those of the JSON report.
#[derive(Default)]
struct TimingFields {
    requested_pps: Option<f64>,
    achieved_pps: Option<f64>,
    frames_late: Option<u64>,
    worst_lateness_ns: Option<u64>,
    frames_unsent: Option<u64>,
}

impl TimingFields {
    fn of(punctuality: Option<Punctuality>) -> Self {
        let Some(Punctuality { requested, achieved, time: _, late, worst, unsent }) = punctuality
        else {
            return Self::default();
        };
        Self {
            requested_pps: requested,
            achieved_pps: achieved,
            frames_late: Some(late),
            worst_lateness_ns: Some(nanos(worst)),
            frames_unsent: Some(unsent),
        }
    }
}

/// More flows than these are too many for a log; `--output json` reports all of them.
const LOGGED_FLOWS: usize = 64;

/// Logs the final counts of each flow.
pub fn flows(snapshot: &Snapshot) {
    let flows =
        || snapshot.ports.iter().flat_map(|port| port.flows.iter().map(move |flow| (port, flow)));
    if flows().count() > LOGGED_FLOWS {
        info!(target: TARGET, flows = flows().count(), "too many flows to log one by one: `--output json` reports them");
        return;
    }
    for (port, flow) in flows() {
        let TimingFields {
            requested_pps,
            achieved_pps,
            frames_late,
            worst_lateness_ns,
            frames_unsent,
        } = TimingFields::of(flow.punctuality);
        info!(
            target: TARGET,
            flow = flow.name,
            port = port.name,
            frames_attempted = flow.frames_attempted,
            frames_tx = flow.frames_tx,
            bytes_tx = flow.bytes_tx,
            requested_pps,
            achieved_pps,
            frames_late,
            worst_lateness_ns,
            frames_unsent,
            "final flow counts since the start"
        );
    }
}
