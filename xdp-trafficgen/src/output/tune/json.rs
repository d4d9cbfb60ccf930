//! The report as one JSON object. Its fields are a promise to scripts: they are only ever added to.
//!
//! Rates are in frames a second, of frames that the driver accepted. `points` are in the order of
//! the sweep, the first of them is the default; of each `frames_attempted` is `frames_tx` plus
//! `frames_dropped`. `pps` is the median of its `rounds`, `times_default` the median of their `pps`
//! over the `default_pps` that was measured next to it, and what settings are compared by; it is
//! null when the default sends nothing. `proposal` is null when there is none; its `reason` is
//! `default` (nothing was better by more than the noise), `faster`, or `loses_fewer`.

use serde::Serialize;

use crate::{
    config::Action,
    output::{
        Format,
        plain::decimals,
        tune::{Ended, TuneReport},
    },
    stats::tuning::{Point, Rationale, Round, Setting},
    units::Nanos,
};

#[derive(Serialize)]
struct Json<'a> {
    interface: &'a str,
    /// Bytes on the wire, FCS included.
    frame_size: u32,
    /// How long each setting was to be measured, in all of its rounds together.
    setting_ns: u64,
    /// How long the whole sweep took.
    duration_ns: u64,
    /// False when it was stopped, or a run failed.
    complete: bool,
    points: Vec<JsonPoint<'a>>,
    proposal: Option<Proposal<'a>>,
    findings: Vec<JsonFinding<'a>>,
}

#[derive(Serialize)]
struct JsonSetting<'a> {
    action: Action,
    cpus: &'a [u32],
    batch_size: u32,
}

impl<'a> From<&'a Setting> for JsonSetting<'a> {
    fn from(Setting { action, cpus, batch_size }: &'a Setting) -> Self {
        Self { action: *action, cpus, batch_size: *batch_size }
    }
}

#[derive(Serialize)]
struct JsonPoint<'a> {
    #[serde(flatten)]
    setting: JsonSetting<'a>,
    pps: u64,
    times_default: Option<f64>,
    /// The median of the distances of the rounds from `times_default`.
    deviation: Option<f64>,
    rounds: Vec<JsonRound>,
    frames_attempted: u64,
    frames_tx: u64,
    frames_dropped: u64,
    drops: Vec<Drop>,
}

#[derive(Serialize)]
struct JsonRound {
    pps: u64,
    default_pps: u64,
}

#[derive(Serialize)]
struct Drop {
    reason: String,
    count: u64,
}

#[derive(Serialize)]
struct Proposal<'a> {
    /// Its index in `points`.
    point: usize,
    #[serde(flatten)]
    setting: JsonSetting<'a>,
    reason: &'static str,
}

#[derive(Serialize)]
struct JsonFinding<'a> {
    code: &'a str,
    severity: &'a str,
    cause: &'a str,
    cure: &'a str,
    /// Where it was found.
    points: Vec<FoundAt>,
}

#[derive(Serialize)]
struct FoundAt {
    point: usize,
    frames: u64,
}

/// `--output json`.
pub const FORMAT: Format<TuneReport> = Format {
    name: "json",
    help: "One JSON object, for programs",
    render: |report| Ok(render(report)? + "\n"),
};

/// One line, without a line feed.
///
/// # Errors
/// None that these types can cause.
pub fn render(report: &TuneReport) -> serde_json::Result<String> {
    let TuneReport { interface, size, each, points, choice, ended, findings, elapsed } = report;
    let nanoseconds = |duration: std::time::Duration| Nanos::from(duration).get();
    let proposal = choice.zip(report.chosen()).map(|(choice, point)| Proposal {
        point: choice.point,
        setting: JsonSetting::from(&point.setting),
        reason: match choice.why {
            Rationale::Default => "default",
            Rationale::Faster => "faster",
            Rationale::LosesFewer => "loses_fewer",
        },
    });
    let findings = findings.iter().map(|found| JsonFinding {
        code: found.finding.code,
        severity: found.finding.severity.code(),
        cause: &found.finding.cause,
        cure: &found.finding.cure,
        points: found.points.iter().map(|&(point, frames)| FoundAt { point, frames }).collect(),
    });
    serde_json::to_string(&Json {
        interface,
        frame_size: *size,
        setting_ns: nanoseconds(*each),
        duration_ns: nanoseconds(*elapsed),
        complete: *ended == Ended::Complete,
        points: points.iter().map(point).collect(),
        proposal,
        findings: findings.collect(),
    })
}

fn point(point: &Point) -> JsonPoint<'_> {
    let times = Some(point.times_default())
        .filter(|_| point.rounds.iter().any(|round| round.default_pps > 0.0));
    let round =
        |round: &Round| JsonRound { pps: whole(round.pps), default_pps: whole(round.default_pps) };
    JsonPoint {
        setting: JsonSetting::from(&point.setting),
        pps: whole(point.rate().value),
        times_default: times.map(|times| decimals(times.value, 4)),
        deviation: times.map(|times| decimals(times.deviation, 4)),
        rounds: point.rounds.iter().map(round).collect(),
        frames_attempted: point.count.frames_attempted,
        frames_tx: point.count.frames_tx,
        frames_dropped: point.count.frames_dropped(),
        drops: point
            .drops()
            .iter()
            .map(|&(reason, count)| Drop { reason: reason.code(), count })
            .collect(),
    }
}

/// A whole number: plain decimals only.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rate is never negative, and below 2^53"
)]
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::output::tune::tests::{point, report};

    #[test]
    fn every_point_and_the_proposal() {
        let default = point(1, 64, Action::Redirect, [1000; 5], 0, 1000.0);
        let best = point(2, 128, Action::Tx, [2000, 2000, 2004, 1990, 2000], 10, 1000.0);
        let json: Value =
            serde_json::from_str(&render(&report(vec![default, best])).unwrap()).unwrap();
        let rounds =
            [2000, 2000, 2004, 1990, 2000].map(|pps| json!({ "pps": pps, "default_pps": 1000 }));
        assert_eq!(
            json["points"][1],
            json!({
                "action": "tx", "cpus": [0, 1], "batch_size": 128, "pps": 2000, "times_default": 2.0, "deviation": 0.0,
                "rounds": rounds, "frames_attempted": 10004, "frames_tx": 9994, "frames_dropped": 10,
                "drops": [{ "reason": "driver_queue_full", "count": 10 }],
            })
        );
        assert_eq!(
            json["proposal"],
            json!({ "point": 1, "action": "tx", "cpus": [0, 1], "batch_size": 128, "reason": "faster" })
        );
        assert_eq!(json["findings"][0]["points"], json!([{ "point": 1, "frames": 10 }]));
        let facts = (&json["interface"], &json["frame_size"], &json["complete"]);
        assert_eq!(facts, (&json!("eth1"), &json!(64), &json!(true)));
        let times = (&json["setting_ns"], &json["duration_ns"]);
        assert_eq!(times, (&json!(5_000_000_000_u64), &json!(15_250_000_000_u64)));
    }

    #[test]
    fn what_is_not_known_is_null() {
        let nothing = point(1, 64, Action::Redirect, [0; 5], 100, 0.0);
        let json: Value = serde_json::from_str(&render(&report(vec![nothing])).unwrap()).unwrap();
        assert_eq!(
            (&json["proposal"], &json["points"][0]["times_default"]),
            (&Value::Null, &Value::Null)
        );
        assert_eq!(json["points"][0]["pps"], json!(0));
    }
}
