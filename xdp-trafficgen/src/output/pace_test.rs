//! What `pace-test` found, as text with a chart, as one JSON object, and as a picture.

pub mod chart;
pub mod json;
pub mod svg;
pub mod text;

use std::time::Duration;

use crate::{
    output::{Format, Formats},
    stats::{PortCount, gaps::Gaps},
};

/// The gaps between frames that were to arrive at a constant rate.
#[derive(Clone, Debug)]
pub struct PaceTestReport {
    /// Kernel and CPU.
    pub machine: String,
    /// Where the frames arrived.
    pub receiver: String,
    /// What became of the frames sent; none with `--receive-only`.
    pub sent: Option<PortCount>,
    /// Workers that took turns; 0 with `--receive-only`.
    pub workers: usize,
    /// Frames that left later than this after they were due count as late.
    pub late_threshold: Duration,
    /// Frames that arrived and were written down.
    pub arrived: u64,
    /// Frames that arrived when there was no more room.
    pub missed: u64,
    /// What was left out at the start.
    pub warm_up: Duration,
    /// What was measured.
    pub gaps: Gaps,
}

impl Formats for PaceTestReport {
    const FORMATS: &'static [Format<Self>] = &[text::FORMAT, json::FORMAT];
}

impl PaceTestReport {
    /// The rate that was wanted, in frames a second.
    pub fn requested_pps(&self) -> f64 {
        1e9 / self.gaps.nominal_ns
    }
}

/// `part` of `whole`, 0 of nothing.
#[expect(clippy::cast_precision_loss, reason = "a share is shown to a few digits")]
fn share(part: u64, whole: u64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 } else { 0.0 }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::stats::Punctuality;

    /// Gaps of 2000 ns with these errors.
    pub(super) fn report(errors: &[i64]) -> PaceTestReport {
        let mut at = 1_000_000;
        let mut arrivals = vec![at];
        for error in errors {
            at += 2000_u64.checked_add_signed(*error).unwrap();
            arrivals.push(at);
        }
        PaceTestReport {
            machine: "Linux 6.18.0, A & B <CPU>, 2 CPUs".to_owned(),
            receiver: "xtg1".to_owned(),
            sent: None,
            workers: 0,
            late_threshold: Duration::from_micros(1),
            arrived: arrivals.len() as u64,
            missed: 0,
            warm_up: Duration::ZERO,
            gaps: Gaps::measure(&arrivals, 2000.0, Duration::ZERO).unwrap(),
        }
    }
    /// What became of 1000 frames sent at 500 kpps, of which 7 were late, when `unsent` departures
    /// had no frame.
    pub(super) fn sent(unsent: u64) -> PortCount {
        PortCount {
            name: "pace-test".to_owned(),
            interface: "xtg0".to_owned(),
            elapsed: Duration::from_millis(2),
            frames_attempted: 1000,
            frames_tx: 1000,
            punctuality: Some(Punctuality {
                requested: Some(5e5),
                achieved: Some(499_950.0),
                late: 7,
                worst: Duration::from_nanos(35_210),
                time: Duration::from_millis(2),
                unsent,
            }),
            batch_size: Some(1),
            ..PortCount::default()
        }
    }
}
