//! The report as one JSON object. Its fields are a promise to scripts: they are only ever added to.
//!
//! Times are in nanoseconds, rates in frames a second; an error is a gap less the nominal gap;
//! shares are of `gaps`.

use std::time::Duration;

use serde::Serialize;

use crate::{
    output::{
        Format,
        pace_test::{PaceTestReport, share},
        plain::decimals,
    },
    stats::{
        self, PortCount,
        gaps::{CLOSE_NS, Histogram, PERMILLES, WITHIN_NS},
    },
    units::Nanos,
};

#[derive(Serialize)]
struct Json<'a> {
    machine: &'a str,
    receiver: &'a str,
    /// What was wanted, and the gap that follows from it.
    rate_pps: f64,
    gap_ns: f64,
    /// Absent with `--receive-only`.
    #[serde(skip_serializing_if = "Option::is_none")]
    frames_tx: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames_dropped: Option<u64>,
    #[serde(flatten)]
    punctuality: Option<Punctuality>,
    frames_rx: u64,
    /// Of `frames_rx`, those for which there was no more room: their gaps are not known.
    frames_missed: u64,
    /// What was left out at the start, and the frames in it.
    warm_up_ns: u64,
    warm_up_frames: u64,
    /// How many gaps were measured, and the time they took together.
    gaps: u64,
    span_ns: u64,
    mean_pps: f64,
    /// The gaps' standard deviation.
    deviation_ns: f64,
    error_least_ns: f64,
    error_most_ns: f64,
    /// Nearest ranks.
    error_percentiles: Vec<Percentile>,
    /// Gaps with an error of at most `ns` in either direction.
    within: Vec<Share>,
    /// Gaps of less than `ns`: frames that left together.
    close: Share,
    histogram: Bins,
}

/// How the sender kept its departures, by its own clock and count; absent with `--receive-only`.
#[derive(Serialize)]
struct Punctuality {
    /// The most frames that left together, at the end.
    batch_size: Option<u64>,
    /// From the first departure to the last.
    achieved_pps: Option<f64>,
    /// Frames that left later than this after they were due are late.
    late_threshold_ns: u64,
    frames_late: u64,
    worst_lateness_ns: u64,
    /// Departures that no frame left at.
    frames_unsent: u64,
}

impl Punctuality {
    fn of(port: &PortCount, late_threshold: Duration) -> Option<Self> {
        let stats::Punctuality { requested: _, achieved, late, worst, unsent, time: _ } =
            port.punctuality?;
        Some(Self {
            batch_size: port.batch_size,
            achieved_pps: achieved.map(|rate| decimals(rate, 3)),
            late_threshold_ns: nanoseconds(late_threshold),
            frames_late: late,
            worst_lateness_ns: nanoseconds(worst),
            frames_unsent: unsent,
        })
    }
}

fn nanoseconds(time: Duration) -> u64 {
    Nanos::from(time).get()
}

#[derive(Serialize)]
struct Percentile {
    percent: f64,
    ns: f64,
}

#[derive(Serialize)]
struct Share {
    ns: u64,
    gaps: u64,
    share: f64,
}

/// How many errors are from `first_ns + index · bin_ns` to `bin_ns` more, and how many are smaller
/// or larger than all of these.
#[derive(Serialize)]
struct Bins {
    first_ns: i64,
    bin_ns: u32,
    counts: Vec<u64>,
    below: u64,
    above: u64,
}

/// `--output json`.
pub const FORMAT: Format<PaceTestReport> = Format {
    name: "json",
    help: "One JSON object, for programs",
    render: |report| Ok(render(report)? + "\n"),
};

/// One line, without a line feed.
///
/// # Errors
/// None that these types can cause.
pub fn render(report: &PaceTestReport) -> serde_json::Result<String> {
    let PaceTestReport {
        machine,
        receiver,
        sent,
        workers: _,
        late_threshold,
        arrived,
        missed,
        warm_up,
        gaps,
    } = report;
    let portion =
        |ns, part| Share { ns, gaps: part, share: decimals(share(part, gaps.count()), 4) };
    let histogram = gaps.histogram(16, 64);
    let first_ns = histogram.first_ns();
    let Histogram { bin_ns, counts, below, above } = histogram;
    serde_json::to_string(&Json {
        machine,
        receiver,
        rate_pps: decimals(report.requested_pps(), 3),
        gap_ns: decimals(gaps.nominal_ns, 3),
        frames_tx: sent.as_ref().map(|port| port.frames_tx),
        frames_dropped: sent.as_ref().map(|port| port.frames_dropped()),
        punctuality: sent.as_ref().and_then(|port| Punctuality::of(port, *late_threshold)),
        frames_rx: arrived + missed,
        frames_missed: *missed,
        warm_up_ns: nanoseconds(*warm_up),
        warm_up_frames: gaps.warm_up_frames,
        gaps: gaps.count(),
        span_ns: nanoseconds(gaps.span),
        mean_pps: decimals(gaps.mean_pps(), 3),
        deviation_ns: decimals(gaps.deviation_ns(), 1),
        error_least_ns: decimals(gaps.least_ns(), 3),
        error_most_ns: decimals(gaps.most_ns(), 3),
        error_percentiles: PERMILLES
            .map(|permille| percentile(permille, gaps.percentile_ns(permille)))
            .into(),
        within: WITHIN_NS.map(|ns| portion(ns, gaps.within(ns))).into(),
        close: portion(CLOSE_NS, gaps.close()),
        histogram: Bins { first_ns, bin_ns, counts, below, above },
    })
}

#[expect(clippy::cast_precision_loss, reason = "thousandths")]
fn percentile(permille: u64, ns: f64) -> Percentile {
    Percentile { percent: permille as f64 / 10.0, ns: decimals(ns, 3) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::output::pace_test::tests::{report, sent};

    #[test]
    fn the_figures() {
        let text = render(&report(&[0, 10, -70, 100, -200, 300, 0, -1900, 760, 1000])).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&json["rate_pps"], &json["gap_ns"], &json["mean_pps"]),
            (&json!(5e5), &json!(2e3), &json!(5e5))
        );
        assert_eq!((&json["frames_rx"], &json["gaps"]), (&json!(11), &json!(10)));
        assert_eq!(json["within"][1], json!({ "ns": 128, "gaps": 5, "share": 0.5 }));
        assert_eq!(json["close"], json!({ "ns": 200, "gaps": 1, "share": 0.1 }));
        assert_eq!(json["error_percentiles"][4], json!({ "percent": 50.0, "ns": 0.0 }));
        let histogram = &json["histogram"];
        assert_eq!((&histogram["first_ns"], &histogram["bin_ns"]), (&json!(-1024), &json!(16)));
        let bin =
            |ns: i64| histogram["counts"][usize::try_from((ns + 1024) / 16).unwrap()].as_u64();
        assert_eq!((bin(0), bin(-200), bin(1000), bin(500)), (Some(3), Some(1), Some(1), Some(0)));
        assert_eq!((&histogram["below"], &histogram["above"]), (&json!(1), &json!(0)));
        for key in ["frames_tx", "batch_size", "frames_late", "frames_unsent"] {
            assert_eq!(json.get(key), None, "nobody knows");
        }
    }

    #[test]
    fn what_the_sender_knows() {
        let text =
            render(&PaceTestReport { sent: Some(sent(3)), workers: 1, ..report(&[0]) }).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        for (key, value) in [
            ("frames_tx", json!(1000)),
            ("batch_size", json!(1)),
            ("achieved_pps", json!(499_950.0)),
            ("late_threshold_ns", json!(1000)),
            ("frames_late", json!(7)),
            ("worst_lateness_ns", json!(35_210)),
            ("frames_unsent", json!(3)),
        ] {
            assert_eq!(json[key], value, "{key}");
        }
    }
}
