//! What `tune` found, as text and as one JSON object.

pub mod json;
pub mod text;

use std::time::Duration;

use crate::{
    diagnosis::Finding,
    output::{Format, Formats},
    stats::tuning::{Choice, Point},
};

/// The settings that were tried, and the one to propose.
#[derive(Clone, Debug)]
pub struct TuneReport {
    /// What was sent out of.
    pub interface: String,
    /// Bytes of each frame on the wire, FCS included.
    pub size: u32,
    /// How long each setting was to be measured.
    pub each: Duration,
    /// What was measured, in the order of the sweep; the first is the default. Each was sent with
    /// at least once.
    pub points: Vec<Point>,
    /// The setting to propose.
    pub choice: Option<Choice>,
    /// Whether the sweep came to its end.
    pub ended: Ended,
    /// Why frames were dropped.
    pub findings: Vec<PointsFinding>,
    /// How long it all took.
    pub elapsed: Duration,
}

impl Formats for TuneReport {
    const FORMATS: &'static [Format<Self>] = &[text::FORMAT, json::FORMAT];
}

/// How a sweep ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All settings had their rounds.
    Complete,
    /// Before that: by a signal, or because a run failed.
    Early,
}

/// What was found of some of the points.
#[derive(Clone, Debug, PartialEq)]
pub struct PointsFinding {
    /// Their indices, and how many frames it cost each.
    pub points: Vec<(usize, u64)>,
    /// What it is.
    pub finding: Finding,
}

impl TuneReport {
    /// The point to propose.
    pub fn chosen(&self) -> Option<&Point> {
        self.points.get(self.choice?.point)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::{
        config::Action,
        diagnosis::Severity,
        stats::{
            DropReason, PortCount,
            tuning::{Setting, choose},
        },
    };

    /// Five rounds of one second: workers, batch size, path, frames in each, frames dropped in all,
    /// the default's rate.
    pub(in crate::output) fn point(
        workers: u32,
        batch_size: u32,
        action: Action,
        rounds: [u64; 5],
        dropped: u64,
        default: f64,
    ) -> Point {
        let mut point = Point::new(Setting { action, cpus: (0..workers).collect(), batch_size });
        for (index, frames) in rounds.into_iter().enumerate() {
            let dropped = if index == 0 { dropped } else { 0 };
            let count = PortCount {
                elapsed: Duration::from_secs(1),
                frames_attempted: frames + dropped,
                frames_tx: frames,
                drops: if dropped > 0 {
                    vec![(DropReason::QueueFull, dropped)]
                } else {
                    Vec::new()
                },
                ..PortCount::default()
            };
            point.add(count, default);
        }
        point
    }

    pub(in crate::output) fn report(points: Vec<Point>) -> TuneReport {
        let finding = Finding {
            code: "queue_full",
            severity: Severity::Loses,
            cause: "the transmit queue was full".to_owned(),
            cure: "send smaller batches".to_owned(),
        };
        let lossy = (0..).zip(&points).filter(|(_, point)| point.count.frames_dropped() > 0);
        let lossy: Vec<_> =
            lossy.map(|(index, point)| (index, point.count.frames_dropped())).collect();
        TuneReport {
            interface: "eth1".to_owned(),
            size: 64,
            each: Duration::from_secs(5),
            choice: choose(&points),
            points,
            ended: Ended::Complete,
            findings: if lossy.is_empty() {
                Vec::new()
            } else {
                vec![PointsFinding { points: lossy, finding }]
            },
            elapsed: Duration::from_millis(15_250),
        }
    }
}
