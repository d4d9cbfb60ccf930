//! `cargo xtask bench`: what the generator's rate is worth, as ratios measured in one run.
//!
//! Absolute rates differ from machine to machine and from minute to minute, so a row compares two
//! things by pairs of measurements made one right after the other, in the order ABBA, and shows the
//! median of the pairs' ratios. Bars are shown beside the results and not enforced: a busy machine
//! is no reason to fail. Every measurement happens in a network namespace of its own and counts
//! what arrives at a receiver that drops everything.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{bench_program, build, median::median, pacing, peers, setup, verifier};

/// Flags of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Pairs of measurements in a row of the table
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Length of one measurement
    #[arg(long, default_value = "0.5", value_parser = parse_seconds)]
    seconds: Duration,
    /// Only what the programs are to the verifier, and take by themselves
    #[arg(long)]
    programs_only: bool,
    /// Only how even the gaps between frames are
    #[arg(long, conflicts_with = "programs_only")]
    pacing_only: bool,
    /// Runs of 2 s in a row of the table of gaps
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    pacing_runs: u16,
    /// Take the programs' sizes as the new snapshot
    #[arg(long)]
    bless: bool,
}

fn parse_seconds(text: &str) -> Result<Duration> {
    let seconds: f64 = text.parse().context("a number of seconds is wanted, for example 1.0")?;
    ensure!((0.1..=60.0).contains(&seconds), "between 0.1 and 60 seconds make sense");
    Ok(Duration::from_secs_f64(seconds))
}

/// Measures all rows and prints the table.
pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    ensure!(
        setup::is_root()?,
        "bench makes network namespaces and loads eBPF programs: run it as root"
    );
    build::program(sh)?;

    println!("{}", machine());
    let cpus = thread::available_parallelism().map_or(1, |cpus| cpus.get());
    if arguments.pacing_only {
        return pacing::table(sh, arguments.pacing_runs, cpus);
    }
    let programs = verifier::table(sh, arguments.bless);
    if arguments.programs_only {
        return programs;
    }
    let mut rows = Vec::new();
    for (case, against, bar) in ONE_CORE {
        rows.push(own(sh, arguments, (case, "0"), (against, "0"), bar)?);
    }
    if cpus >= 2 {
        rows.push(own(sh, arguments, ("port-range", "0,1"), ("port-range", "0"), Some(1.85))?);
    } else {
        eprintln!("bench: two cores against one is left out: this machine has only one");
    }
    for peer in peers::find(sh)? {
        rows.push(against(sh, arguments, &peer));
    }

    println!(
        "{} interleaved pairs a row, {} s a measurement, 64-byte frames unless sizes are mixed or VXLAN's 128; medians",
        arguments.rounds,
        arguments.seconds.as_secs_f64()
    );
    println!(
        "{:<32} {:<36} {:>6} {:>6} {:>7}  {:<13} bar",
        "A", "B", "A Mpps", "B Mpps", "A / B", "least–most"
    );
    for row in rows {
        println!("{row}");
    }
    pacing::table(sh, arguments.pacing_runs, cpus)?;
    programs
}

/// What is measured on one core, what it is compared with, and the bar. Rows without a bar are
/// sequences too long to be recorded, whose frames are computed one by one. `--uncounted`: no
/// program is attached to the trace points that report the fate of frames.
const ONE_CORE: [(&str, &str, Option<f64>); 19] = [
    ("port-range", "floor", Some(0.95)),
    ("four-fields", "floor", Some(0.92)),
    ("eight-fields", "floor", Some(0.88)),
    ("vxlan", "floor", Some(0.85)),
    ("imix", "floor", Some(0.85)),
    ("sixty-four-flows", "one-flow", Some(0.95)),
    ("many-flows", "one-flow", Some(0.93)),
    ("port-range", "port-range --uncounted", Some(0.97)),
    ("sixty-four-flows", "sixty-four-flows --uncounted", Some(0.97)),
    ("one-flow-paced", "one-flow", None),
    ("long-port-range", "floor", None),
    ("four-fields-long", "floor", None),
    ("four-fields-random", "floor", None),
    ("eight-fields-long", "floor", None),
    ("vxlan-long", "floor", None),
    ("imix-long", "floor", None),
    ("sixty-four-flows-long", "one-flow-long", None),
    ("many-flows-long", "one-flow-long", None),
    ("two-shapes", "one-flow-long", None),
];

/// A row between two cases of this generator, each `(case, CPUs)`.
fn own(
    sh: &Shell,
    arguments: &Arguments,
    a: (&str, &str),
    b: (&str, &str),
    bar: Option<f64>,
) -> Result<Row> {
    let (left, right) = (describe(a), describe(b));
    eprintln!("bench: {left} against {right}");
    let seconds = arguments.seconds;
    let comparison =
        compare(arguments.rounds, || own_mpps(sh, a, seconds), || own_mpps(sh, b, seconds))?;
    Ok(Row { a: left, b: right, bar, outcome: Ok(comparison) })
}

/// A row between this generator's port range and another generator, which may fail for reasons of
/// its own.
fn against(sh: &Shell, arguments: &Arguments, peer: &peers::Peer) -> Row {
    let ours = ("port-range", "0");
    eprintln!("bench: {} against {}", describe(ours), peer.name);
    let seconds = arguments.seconds;
    let mut size = None;
    let outcome = match &peer.command {
        Err(reason) => Err(reason.clone()),
        Ok(command) => {
            let receiver = ["sink".to_owned()];
            let theirs = || {
                let report = peers::measure(command, &receiver, seconds)?;
                size = frame_size(&report);
                received_mpps(&report)
            };
            compare(arguments.rounds, || own_mpps(sh, ours, seconds), theirs)
                .map_err(|error| format!("{error:#}"))
        }
    };
    // Not every generator makes frames as small as this one's.
    let others = size.filter(|&size| size != SIZE).map(|size| format!(", {size}-byte frames"));
    Row {
        a: describe(ours),
        b: peer.name.clone() + others.as_deref().unwrap_or_default(),
        bar: None,
        outcome,
    }
}

fn describe((case, cpus): (&str, &str)) -> String {
    let case = match case {
        "floor" => "redirect only",
        "port-range" => "port range",
        "port-range --uncounted" => "port range, uncounted",
        "sixty-four-flows --uncounted" => "64 flows, uncounted",
        "long-port-range" => "64 000 ports",
        "four-fields" => "four fields",
        "four-fields-long" => "four fields, long",
        "four-fields-random" => "four fields, random",
        "eight-fields" => "eight fields",
        "eight-fields-long" => "eight fields, long",
        "vxlan" => "VXLAN, six fields",
        "vxlan-long" => "VXLAN, six fields, long",
        "imix" => "IMIX",
        "imix-long" => "IMIX, 64 000 ports",
        "one-flow" => "one flow",
        "one-flow-paced" => "one flow, at a rate out of reach",
        "sixty-four-flows" => "64 flows",
        "many-flows" => "4096 flows",
        "one-flow-long" => "one flow, 60 000 ports",
        "sixty-four-flows-long" => "64 flows, 60 000 ports",
        "two-shapes" => "two programs, 60 000 ports",
        "many-flows-long" => "4096 flows, 60 000 ports",
        other => other,
    };
    format!("{case}, {}", if cpus.contains(',') { "2 cores" } else { "1 core" })
}

fn own_mpps(sh: &Shell, (case, cpus): (&str, &str), seconds: Duration) -> Result<f64> {
    let program = bench_program();
    let seconds = seconds.as_secs_f64().to_string();
    let case = case.split(' ');
    let report =
        cmd!(sh, "{program} run {case...} --seconds {seconds} --cpus {cpus}").quiet().read()?;
    received_mpps(&report)
}

/// Bytes of this generator's frames on the wire.
const SIZE: u64 = 64;

/// Bytes of a frame on the wire, from a report such as `{"frames_rx": 1000, "bytes_rx": 66000}`.
fn frame_size(report: &str) -> Option<u64> {
    let parsed: Value = serde_json::from_str(report).ok()?;
    parsed["bytes_rx"].as_u64()?.checked_div(parsed["frames_rx"].as_u64()?)
}

/// The rate in a report such as `{"frames_rx": 4700000, "duration_ns": 1000000000}`.
fn received_mpps(report: &str) -> Result<f64> {
    let parsed: Value =
        serde_json::from_str(report).with_context(|| format!("not a report: {report:?}"))?;
    let number =
        |key| parsed[key].as_f64().with_context(|| format!("no {key} in the report {report:?}"));
    let (frames, nanoseconds) = (number("frames_rx")?, number("duration_ns")?);
    ensure!(frames > 0.0 && nanoseconds > 0.0, "no frame arrived");
    Ok(frames * 1e3 / nanoseconds)
}

/// Measures pairs in the order ABBA, so that a drift of the machine's speed favours neither.
fn compare(
    rounds: u16,
    mut a: impl FnMut() -> Result<f64>,
    mut b: impl FnMut() -> Result<f64>,
) -> Result<Comparison> {
    let mut pairs = Vec::new();
    for round in 0..rounds {
        pairs.push(if round % 2 == 0 {
            let first = a()?;
            (first, b()?)
        } else {
            let first = b()?;
            (a()?, first)
        });
    }
    Ok(Comparison::of(&pairs))
}

/// The result of one row's pairs; rates in Mpps.
#[derive(Debug, PartialEq)]
struct Comparison {
    a: f64,
    b: f64,
    ratio: f64,
    least: f64,
    most: f64,
}

impl Comparison {
    fn of(pairs: &[(f64, f64)]) -> Self {
        let ratios = || pairs.iter().map(|(a, b)| a / b);
        Self {
            a: median(pairs.iter().map(|(a, _)| *a)),
            b: median(pairs.iter().map(|(_, b)| *b)),
            ratio: median(ratios()),
            least: ratios().fold(f64::INFINITY, f64::min),
            most: ratios().fold(f64::NEG_INFINITY, f64::max),
        }
    }
}

/// One line of the table; it says why where a comparison could not be made.
struct Row {
    a: String,
    b: String,
    bar: Option<f64>,
    outcome: Result<Comparison, String>,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<32} {:<36} ", self.a, self.b)?;
        let Comparison { a, b, ratio, least, most } = match &self.outcome {
            Ok(comparison) => comparison,
            Err(reason) => return f.write_str(reason),
        };
        let spread = format!("{least:.3}–{most:.3}");
        write!(f, "{a:>6.2} {b:>6.2} {ratio:>7.3}  {spread:<13} ")?;
        match self.bar {
            Some(bar) => write!(f, "≥ {bar} {}", if *ratio >= bar { "met" } else { "not met" }),
            None => f.write_str("-"),
        }
    }
}

/// The machine on which the figures were measured.
fn machine() -> String {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let cpus = thread::available_parallelism().map_or(0, |cpus| cpus.get());
    format!(
        "Linux {}, {}, {cpus} CPUs",
        release.trim(),
        model.map_or("unknown CPU", |(_, name)| name)
    )
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::{Comparison, Row, compare, frame_size, parse_seconds, received_mpps};

    #[test]
    fn a_comparison_is_the_median_of_ratios_not_the_ratio_of_medians() {
        let pairs = [(1.0, 2.0), (4.0, 4.0), (6.0, 3.0), (5.0, 10.0), (8.0, 8.0)];
        let expected = Comparison { a: 5.0, b: 4.0, ratio: 1.0, least: 0.5, most: 2.0 };
        assert_eq!(Comparison::of(&pairs), expected);
    }

    #[test]
    fn pairs_are_measured_in_the_order_abba() {
        let order = RefCell::new(String::new());
        let measure = |name, mpps| {
            let order = &order;
            move || {
                order.borrow_mut().push(name);
                Ok(mpps)
            }
        };
        let comparison =
            compare(3, measure('a', 4.0), measure('b', 5.0)).expect("neither side fails");
        assert_eq!(*order.borrow(), "abbaab");
        assert_eq!(comparison, Comparison { a: 4.0, b: 5.0, ratio: 0.8, least: 0.8, most: 0.8 });
    }

    #[test]
    fn the_rate_is_what_arrived_over_the_time_it_took() {
        let rate = received_mpps(
            r#"{"case":"floor","cpus":1,"frames_rx":9400000,"duration_ns":2000000000}"#,
        );
        assert_eq!(rate.expect("a complete report"), 4.7);
        for report in ["", "{}", r#"{"frames_rx":1}"#, r#"{"frames_rx":0,"duration_ns":1}"#] {
            assert!(received_mpps(report).is_err(), "{report:?}");
        }
    }

    #[test]
    fn the_size_is_what_arrived_by_the_frames() {
        assert_eq!(
            frame_size(r#"{"frames_rx":9400000,"bytes_rx":620400000,"duration_ns":1}"#),
            Some(66)
        );
        for report in ["", "{}", r#"{"frames_rx":0,"bytes_rx":0}"#] {
            assert_eq!(frame_size(report), None, "{report:?}");
        }
    }

    #[test]
    fn a_row_shows_its_bar_or_why_there_is_no_figure() {
        #[track_caller]
        fn check(bar: Option<f64>, outcome: Result<Comparison, String>, ending: &str) {
            let row = Row { a: "a".into(), b: "b".into(), bar, outcome }.to_string();
            assert!(row.ends_with(ending), "{row:?}");
        }
        let comparison = |ratio| Ok(Comparison { a: 4.0, b: 4.2, ratio, least: 0.9, most: 1.0 });
        check(Some(0.95), comparison(0.95), "0.950  0.900–1.000   ≥ 0.95 met");
        check(Some(0.95), comparison(0.94), "≥ 0.95 not met");
        check(None, comparison(3.0), "-");
        check(None, Err("not installed".into()), "not installed");
    }

    #[test]
    fn a_measurement_is_neither_endless_nor_too_short() {
        assert_eq!(parse_seconds("1.5").expect("in range").as_millis(), 1500);
        for text in ["0", "-1", "61", "inf", "NaN", "1s"] {
            assert!(parse_seconds(text).is_err(), "{text:?}");
        }
    }
}
