//! When a sample's frames leave, by the plain formulas of its rate: how many frames have left by a
//! given time.

use std::{f64::consts::TAU, fs, path::Path};

use super::number_of;

/// The load of a port or a flow.
pub(crate) struct Departures {
    /// Delay in seconds.
    delay: f64,
    load: Load,
}

enum Load {
    /// The number of frames that have left so many seconds after the beginning, and the period
    /// after which the load repeats.
    Counted(Box<dyn Fn(f64) -> f64>, f64),
    /// When the frame with this number leaves.
    Timed(Box<dyn Fn(u64) -> f64>),
    /// Frames a second, on average.
    Poisson(f64),
}

impl Departures {
    /// Reads `rate`; `size`: bytes of every frame, `speed`: bits a second of the link.
    pub(crate) fn read(
        rate: &toml::Value,
        delay: f64,
        size: f64,
        speed: f64,
        folder: &Path,
    ) -> Self {
        let pps = |rate: &toml::Value| frames(rate.as_str().unwrap(), size, speed);
        let table = rate.as_table();
        let form = |name: &str| table.and_then(|table| table.get(name));
        let repeats =
            |form: &toml::Value| form.get("repeat").is_some_and(|repeat| repeat.as_bool().unwrap());
        let load = if let Some(poisson) = form("poisson") {
            Load::Poisson(pps(poisson.get("mean").unwrap_or(poisson)))
        } else if let Some(burst) = form("burst") {
            let packets = u64::try_from(burst["packets"].as_integer().unwrap()).unwrap();
            // Without a gap, the time that the frame takes on the wire, in whole nanoseconds.
            let wire = || ((size + 20.0) * 8e9 / speed).ceil() / 1e9;
            let at_rate = burst.get("rate").map(|rate| 1.0 / pps(rate));
            let gap = at_rate.unwrap_or_else(|| burst.get("gap").map_or_else(wire, seconds));
            let pause = seconds(&burst["inter_burst_gap"]);
            let last = packets - 1;
            Load::Timed(Box::new(move |frame| {
                let (burst, place) = ((frame / packets) as f64, (frame % packets) as f64);
                burst * (last as f64 * gap + pause) + place * gap
            }))
        } else if let Some(ramp) = form("ramp") {
            let (from, to, over) = (pps(&ramp["from"]), pps(&ramp["to"]), seconds(&ramp["over"]));
            lines(vec![(0.0, from), (over, to), (1e9, to)], false)
        } else if let Some(steps) = form("steps") {
            let mut end = 0.0;
            let corners = steps.as_array().unwrap().iter().flat_map(|step| {
                let (start, rate) = (end, pps(&step["rate"]));
                end += seconds(&step["duration"]);
                [(start, rate), (end, rate)]
            });
            lines(corners.collect(), repeats(rate))
        } else if let Some(sine) = form("sine") {
            let (mean, swing, period) =
                (pps(&sine["mean"]), pps(&sine["amplitude"]), seconds(&sine["period"]));
            let count = move |time: f64| {
                mean * time + swing * period / TAU * (1.0 - (TAU * time / period).cos())
            };
            Load::Counted(Box::new(count), f64::INFINITY)
        } else if let Some(trace) = form("trace") {
            let unit = trace["unit"].as_str().unwrap();
            let text = fs::read_to_string(folder.join(trace["file"].as_str().unwrap())).unwrap();
            let points = text.lines().filter_map(|line| {
                let (time, rate) = line.split_once(',')?;
                Some((time.parse().ok()?, frames(&format!("{rate}{unit}"), size, speed)))
            });
            lines(points.collect(), repeats(trace))
        } else {
            let rate = pps(form("constant").unwrap_or(rate));
            Load::Counted(Box::new(move |time| rate * time), f64::INFINITY)
        };
        Self { delay, load }
    }

    /// Checks that frame `number` leaves when it should, in seconds.
    #[track_caller]
    pub(crate) fn check_at(&self, number: u64, at: f64, context: &dyn Fn() -> String) {
        let at = at - self.delay;
        match &self.load {
            // A flow may start up to a gap later, so that flows of the same rate do not send
            // together. Repeated loads may round once a period.
            Load::Counted(count, period) => {
                let ahead = count(at) - number as f64;
                let rounds = (at / period).floor();
                assert!(
                    (-0.1 - rounds..1.1 + rounds).contains(&ahead),
                    "{ahead} ahead at {at} s: {}",
                    context()
                );
            }
            Load::Timed(time) => {
                assert!((at - time(number)).abs() < 2e-9, "not {} s: {}", time(number), context())
            }
            Load::Poisson(_) => assert!(at >= 0.0, "{}", context()),
        }
    }

    /// Checks all times together: random ones must have the expected mean and spread.
    #[track_caller]
    pub(crate) fn check_all(&self, times: &[f64]) {
        let Load::Poisson(mean) = self.load else { return };
        let gaps: Vec<f64> = times.windows(2).map(|pair| (pair[1] - pair[0]) * mean).collect();
        let count = gaps.len() as f64;
        // A tolerance of five standard deviations.
        let off = 5.0 / count.sqrt();
        let average = gaps.iter().sum::<f64>() / count;
        let short = gaps.iter().filter(|gap| **gap < 1.0).count() as f64 / count;
        assert!(gaps.is_empty() || (average - 1.0).abs() < off, "mean gap {average} of {count}");
        assert!(
            gaps.is_empty() || (short - 0.632).abs() < off / 2.0,
            "{short} of {count} gaps are short"
        );
    }
}

/// A load whose rate is a straight line between these points.
fn lines(points: Vec<(f64, f64)>, repeats: bool) -> Load {
    let until = |end: f64, points: &[(f64, f64)]| -> f64 {
        let area = |pair: &[(f64, f64)]| {
            let ((start, from), (stop, to)) = (pair[0], pair[1]);
            let time = (end.min(stop) - start).max(0.0);
            // A line without length has no frames.
            if stop > start {
                time * from + time * time * (to - from) / (stop - start) / 2.0
            } else {
                0.0
            }
        };
        points.windows(2).map(area).sum()
    };
    let period = if repeats { points.last().unwrap().0 } else { f64::INFINITY };
    let count = move |time: f64| {
        let rounds = (time / period).floor();
        let rest = if repeats { time - rounds * period } else { time };
        (if repeats { rounds * until(period, &points) } else { 0.0 }) + until(rest, &points)
    };
    Load::Counted(Box::new(count), period)
}

/// `20 kpps`, `20Mbps`, `0.5%` in frames a second.
fn frames(text: &str, size: f64, speed: f64) -> f64 {
    let (number, unit) = number_of(text);
    match unit {
        "pps" => number,
        "kpps" => number * 1e3,
        "Mbps" => number * 1e6 / (8.0 * size),
        // Preamble and gap are 20 bytes.
        "%" => number / 100.0 * speed / (8.0 * (size + 20.0)),
        other => panic!("teach this test the unit {other}"),
    }
}

/// `200ms` in seconds.
pub(crate) fn seconds(text: &toml::Value) -> f64 {
    let (number, unit) = number_of(text.as_str().unwrap());
    match unit {
        "s" => number,
        "ms" => number / 1e3,
        "us" => number / 1e6,
        other => panic!("teach this test the unit {other}"),
    }
}
