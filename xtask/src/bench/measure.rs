//! One measurement: a run of `xdp-trafficgen-bench`, and the figure that is read from its report.

use std::{path::Path, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

/// What is run, as the command line of `xdp-trafficgen-bench`, without its time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measurement {
    /// Words with a space between them, for example `run floor --cpus 0`.
    pub(super) command: &'static str,
    /// How long it sends, where it is not what the bench's user says.
    pub(super) time: Time,
}

/// How long a measurement sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Time {
    /// As long as `--seconds` says.
    AsTold,
    /// So many seconds.
    Seconds(f64),
    /// It ends by itself.
    Own,
}

impl Measurement {
    /// Runs it with this program, and returns the report.
    pub(super) fn run(&self, sh: &Shell, program: &Path, told: Duration) -> Result<Value> {
        let command = self.command.split(' ');
        let seconds = match self.time {
            Time::AsTold => Some(told.as_secs_f64()),
            Time::Seconds(seconds) => Some(seconds),
            Time::Own => None,
        };
        let seconds = seconds.map(|seconds| format!("--seconds={seconds}"));
        let output = cmd!(sh, "{program} {command...} {seconds...}").quiet().ignore_status();
        let output = output.output().context("the measurement cannot be started")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let why = said.lines().rfind(|line| !line.trim().is_empty());
            bail!("`{}` failed: {}", self.command, why.unwrap_or("it did not say why"));
        }
        let text = String::from_utf8_lossy(&output.stdout);
        serde_json::from_str(&text).with_context(|| format!("not a report: {text:?}"))
    }
}

/// What is read from a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    /// Millions of frames that arrived a second.
    Mpps,
    /// Frames that left too late, in per cent of those that left.
    LatePercent,
    /// Frames that were due and did not arrive, in per cent of those that were due.
    MissingPercent,
    /// Frames that the driver refused, in per cent of those that were attempted.
    RefusedPercent,
    /// Frames that arrived.
    Arrived,
    /// Bytes of memory for a flow.
    BytesAFlow,
    /// Seconds that `check` takes.
    CheckSeconds,
    /// Milliseconds from the program's start to the first frame of every port: the median.
    StartMs,
    /// Milliseconds from the signal to the program's end: the 99th percentile.
    StopMs,
}

impl Figure {
    pub(super) const fn unit(self) -> &'static str {
        match self {
            Self::Mpps => "Mpps",
            Self::LatePercent => "% late",
            Self::MissingPercent => "% missing",
            Self::RefusedPercent => "% refused",
            Self::Arrived => "frames",
            Self::BytesAFlow => "B a flow",
            Self::CheckSeconds => "s",
            Self::StartMs => "ms",
            Self::StopMs => "ms",
        }
    }

    /// Whether less of it is better.
    pub(super) const fn less_is_better(self) -> bool {
        !matches!(self, Self::Mpps | Self::Arrived)
    }

    /// The figure in a report.
    pub(super) fn of(self, report: &Value) -> Result<f64> {
        let number = |key: &str| {
            report[key].as_f64().with_context(|| format!("no {key} in the report {report}"))
        };
        let percent = |part: f64, all: f64| {
            ensure!(all > 0.0, "nothing was sent: {report}");
            Ok(100.0 * part / all)
        };
        let times = |key: &str| -> Result<Vec<f64>> {
            let list = report[key].as_array().with_context(|| format!("no {key} in {report}"))?;
            let mut times: Vec<f64> = list.iter().filter_map(Value::as_f64).collect();
            times.sort_by(f64::total_cmp);
            Ok(times)
        };
        match self {
            Self::Mpps => received_mpps(report),
            Self::LatePercent => percent(number("frames_late")?, number("frames_tx")?),
            Self::MissingPercent => {
                let due = number("frames_due")?;
                percent((due - number("frames_rx")?).max(0.0), due)
            }
            Self::RefusedPercent => percent(number("frames_dropped")?, number("frames_attempted")?),
            Self::Arrived => number("frames_rx"),
            Self::BytesAFlow => Ok(number("memory_bytes")? / number("flows")?),
            Self::CheckSeconds => Ok(number("duration_ns")? / 1e9),
            Self::StartMs => percentile(&times("start_ms")?, 50),
            Self::StopMs => percentile(&times("stop_ms")?, 99),
        }
    }
}

/// The least of the sorted values that so many per cent of them do not exceed.
fn percentile(sorted: &[f64], per_cent: usize) -> Result<f64> {
    let rank = (sorted.len() * per_cent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().context("nothing was timed")
}

/// The rate in a report such as `{"frames_rx": 4700000, "duration_ns": 1000000000}`.
pub(super) fn received_mpps(report: &Value) -> Result<f64> {
    let number = |key: &str| {
        report[key].as_f64().with_context(|| format!("no {key} in the report {report}"))
    };
    let (frames, nanoseconds) = (number("frames_rx")?, number("duration_ns")?);
    ensure!(frames > 0.0 && nanoseconds > 0.0, "no frame arrived");
    Ok(frames * 1e3 / nanoseconds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Figure, percentile, received_mpps};

    #[test]
    fn the_rate_is_what_arrived_over_the_time_it_took() {
        let report = json!({ "frames_rx": 9_400_000, "duration_ns": 2_000_000_000_u64 });
        assert_eq!(received_mpps(&report).expect("a complete report"), 4.7);
        for report in
            [json!({}), json!({ "frames_rx": 1 }), json!({ "frames_rx": 0, "duration_ns": 1 })]
        {
            assert!(received_mpps(&report).is_err(), "{report}");
        }
    }

    #[test]
    fn figures_are_read_from_reports() {
        let report = json!({
            "frames_rx": 990, "frames_tx": 990, "frames_attempted": 1000, "frames_dropped": 10,
            "frames_late": 99, "frames_due": 1100.0, "memory_bytes": 6000, "flows": 3,
            "duration_ns": 1_500_000_000_u64, "start_ms": [30.0, 10.0, 20.0], "stop_ms": [4.0, 5.0],
        });
        for (figure, expected) in [
            (Figure::LatePercent, 10.0),
            (Figure::MissingPercent, 10.0),
            (Figure::RefusedPercent, 1.0),
            (Figure::Arrived, 990.0),
            (Figure::BytesAFlow, 2000.0),
            (Figure::CheckSeconds, 1.5),
            (Figure::StartMs, 20.0),
            (Figure::StopMs, 5.0),
        ] {
            assert_eq!(figure.of(&report).expect("complete"), expected, "{figure:?}");
            assert!(figure.of(&json!({})).is_err(), "{figure:?}");
        }
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!(percentile(&values, 99).expect("values"), 99.0);
        assert_eq!(percentile(&values, 50).expect("values"), 50.0);
        assert_eq!(percentile(&values[..1], 99).expect("a value"), 1.0);
        assert!(percentile(&[], 50).is_err());
    }
}
