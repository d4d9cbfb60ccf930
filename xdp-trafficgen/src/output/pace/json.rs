//! The report as one JSON object. Its fields are a promise to scripts: they are only ever added to.
//!
//! Times are in nanoseconds, rates in frames a second; an error is a gap less the nominal gap; shares are of `gaps`.

use serde::Serialize;

use crate::{
    output::pace::{PaceReport, share},
    stats::gaps::{CLOSE_NS, Histogram, PERMILLES, WITHIN_NS},
};

#[derive(Serialize)]
struct Json<'a> {
    machine: &'a str,
    receiver: &'a str,
    /// What was wanted, and the gap that follows from it.
    rate_pps: f64,
    gap_ns: f64,
    /// Absent where somebody else sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    frames_tx: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frames_dropped: Option<u64>,
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

/// How many errors are from `first_ns + index · bin_ns` to `bin_ns` more, and how many are smaller or larger than all of these.
#[derive(Serialize)]
struct Bins {
    first_ns: i64,
    bin_ns: u32,
    counts: Vec<u64>,
    below: u64,
    above: u64,
}

/// One line, without a line feed.
///
/// # Errors
/// None that these types can cause.
pub fn render(report: &PaceReport) -> serde_json::Result<String> {
    let PaceReport { machine, receiver, sent, workers: _, arrived, missed, warm_up, gaps } = report;
    let portion = |ns, part| Share { ns, gaps: part, share: decimals(share(part, gaps.count()), 4) };
    let histogram = gaps.histogram(16, 64);
    let first_ns = histogram.first_ns();
    let Histogram { bin_ns, counts, below, above } = histogram;
    serde_json::to_string(&Json {
        machine,
        receiver,
        rate_pps: decimals(report.requested_pps(), 3),
        gap_ns: decimals(gaps.nominal_ns, 3),
        frames_tx: sent.as_ref().map(|port| port.transmitted),
        frames_dropped: sent.as_ref().map(|port| port.dropped()),
        frames_rx: arrived + missed,
        frames_missed: *missed,
        warm_up_ns: u64::try_from(warm_up.as_nanos()).unwrap_or(u64::MAX),
        warm_up_frames: gaps.warm_up_frames,
        gaps: gaps.count(),
        span_ns: u64::try_from(gaps.span.as_nanos()).unwrap_or(u64::MAX),
        mean_pps: decimals(gaps.mean_pps(), 3),
        deviation_ns: decimals(gaps.deviation_ns(), 1),
        error_least_ns: decimals(gaps.least_ns(), 3),
        error_most_ns: decimals(gaps.most_ns(), 3),
        error_percentiles: PERMILLES.map(|permille| percentile(permille, gaps.percentile_ns(permille))).into(),
        within: WITHIN_NS.map(|ns| portion(ns, gaps.within(ns))).into(),
        close: portion(CLOSE_NS, gaps.close()),
        histogram: Bins { first_ns, bin_ns, counts, below, above },
    })
}

#[expect(clippy::cast_precision_loss, reason = "thousandths")]
fn percentile(permille: u64, ns: f64) -> Percentile {
    Percentile { percent: permille as f64 / 10.0, ns: decimals(ns, 3) }
}

/// So few digits that every number is a plain decimal (`1e-5` is a string to some YAML readers).
fn decimals(number: f64, digits: i32) -> f64 {
    let scale = 10_f64.powi(digits);
    // Not −0.
    (number * scale).round() / scale + 0.0
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::output::pace::tests::report;

    #[test]
    fn the_figures() {
        let text = render(&report(&[0, 10, -70, 100, -200, 300, 0, -1900, 760, 1000])).unwrap();
        let json: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["rate_pps"], &json["gap_ns"], &json["mean_pps"]), (&json!(5e5), &json!(2e3), &json!(5e5)));
        assert_eq!((&json["frames_rx"], &json["gaps"]), (&json!(11), &json!(10)));
        assert_eq!(json["within"][1], json!({ "ns": 128, "gaps": 5, "share": 0.5 }));
        assert_eq!(json["close"], json!({ "ns": 200, "gaps": 1, "share": 0.1 }));
        assert_eq!(json["error_percentiles"][4], json!({ "percent": 50.0, "ns": 0.0 }));
        let histogram = &json["histogram"];
        assert_eq!((&histogram["first_ns"], &histogram["bin_ns"]), (&json!(-1024), &json!(16)));
        let bin = |ns: i64| histogram["counts"][usize::try_from((ns + 1024) / 16).unwrap()].as_u64();
        assert_eq!((bin(0), bin(-200), bin(1000), bin(500)), (Some(3), Some(1), Some(1), Some(0)));
        assert_eq!((&histogram["below"], &histogram["above"]), (&json!(1), &json!(0)));
        assert_eq!(json["frames_tx"], Value::Null, "nobody knows");
    }

    #[test]
    fn numbers_are_plain_decimals() {
        for (number, text) in [(0.000_01, "0.0"), (-0.000_01, "0.0"), (0.0001, "0.0001"), (1.0 / 3.0, "0.3333")] {
            assert_eq!(serde_json::to_string(&decimals(number, 4)).unwrap(), text);
        }
    }
}
