//! The pacing table of `cargo xtask bench`: how even the gaps between frames are, measured by
//! `xdp-trafficgen pace-test`, beside other generators measured the same way and figures that
//! others published.
//!
//! Bars are shown beside the results and not enforced, as in the rest of the bench.

use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::Value;
use xshell::{Shell, cmd};

use crate::{
    bench::{bar::Bar, report, sample::Sample},
    median::median,
    peers, program,
};

/// Distances from the nominal gap, in nanoseconds. Each column is the share of gaps within one of
/// them.
const WITHIN_NS: [u64; 4] = [64, 128, 256, 512];

/// A row to measure: rate, CPUs, and the bars.
struct Case {
    name: &'static str,
    rate: &'static str,
    cpus: &'static str,
    /// At least so many per cent of the gaps within so many nanoseconds.
    within: &'static [(u64, f64)],
    /// Less than so many per cent of the frames less than 200 ns after the previous one.
    close: Option<f64>,
}

const CASES: [Case; 4] = [
    Case {
        name: "100 kpps, 1 core",
        rate: "100kpps",
        cpus: "0",
        within: &[(64, 80.0), (256, 94.0)],
        close: None,
    },
    Case {
        name: "500 kpps, 1 core",
        rate: "500kpps",
        cpus: "0",
        within: &[(64, 80.0), (256, 94.0)],
        close: None,
    },
    Case { name: "1 Mpps, 1 core", rate: "1Mpps", cpus: "0", within: &[(256, 90.0)], close: None },
    Case {
        name: "2 × 400 kpps, 2 cores",
        rate: "800kpps",
        cpus: "0,1",
        within: &[(512, 80.0)],
        close: Some(1.0),
    },
];

/// What MoonGen's authors published, in per cent: measured on other hardware.
const PUBLISHED: [(&str, [f64; 4]); 2] = [
    ("MoonGen, hardware rate control, 500 kpps", [50.0, 75.0, 99.8, 99.8]),
    ("Pktgen-DPDK, 500 kpps", [38.0, 72.0, 92.0, 94.0]),
];

/// Other generators are measured at this rate, the highest that all of them reach.
const PEER_PPS: u32 = 100_000;

/// Measures all rows, `runs` times each, and prints the table. Returns our own figures.
pub(crate) fn table(sh: &Shell, runs: u16, cpus: usize) -> Result<Vec<report::Row>> {
    let (mut rows, mut figures) = (Vec::new(), Vec::new());
    for case in &CASES {
        if cpus < case.cpus.split(',').count() {
            eprintln!("bench: {} is left out: this machine has only one CPU", case.name);
            continue;
        }
        eprintln!("bench: gaps at {}", case.name);
        let measured = (0..runs).map(|_| own(sh, case)).collect::<Result<Vec<_>>>()?;
        let gaps = Gaps::median(&measured);
        figures.extend(figures_of(case, &measured));
        rows.push(Row { name: case.name.to_owned(), bars: bars(case, &gaps), outcome: Ok(gaps) });
    }
    for peer in peers::find_paced(sh, PEER_PPS)? {
        eprintln!("bench: gaps of {}", peer.name);
        let measured = peer.command.and_then(|command| {
            (0..runs)
                .map(|_| of_peer(&command))
                .collect::<Result<Vec<_>>>()
                .map_err(|error| format!("{error:#}"))
        });
        rows.push(Row {
            name: peer.name,
            bars: String::new(),
            outcome: measured.map(|runs| Gaps::median(&runs)),
        });
    }
    for (name, within) in PUBLISHED {
        let gaps = Gaps {
            within: within.map(|percent| percent / 100.0),
            close: f64::NAN,
            mean_pps: f64::NAN,
        };
        rows.push(Row {
            name: name.to_owned(),
            bars: "published, other hardware".to_owned(),
            outcome: Ok(gaps),
        });
    }
    println!("\ngaps between 64-byte frames at the receiver, medians of {runs} runs of 2 s");
    print!("{:<42}", "");
    for ns in WITHIN_NS {
        print!("{:>9}", format!("±{ns} ns"));
    }
    println!(" {:>9} {:>13}  bars", "< 200 ns", "mean pps");
    for row in rows {
        println!("{row}");
    }
    Ok(figures)
}

/// The figures that have bars, as rows of the bench's report.
fn figures_of(case: &Case, runs: &[Gaps]) -> Vec<report::Row> {
    let how = format!("`pace-test --self --rate {} --cpus {} --duration 2s`", case.rate, case.cpus);
    let row = |what: String, less_is_better, bar, share: &dyn Fn(&Gaps) -> f64| {
        report::Row::measured(
            (format!("gaps at {}, {what}", case.name), how.clone()),
            ("%", less_is_better),
            Sample { values: runs.iter().map(|gaps| 100.0 * share(gaps)).collect() },
            bar,
        )
    };
    let within = case.within.iter().filter_map(|&(ns, percent)| {
        let index = WITHIN_NS.iter().position(|&column| column == ns)?;
        let what = format!("within ±{ns} ns");
        Some(row(what, false, Bar::AtLeast(percent), &|gaps| gaps.within[index]))
    });
    let close = case.close.map(|percent| {
        row("below 200 ns".to_owned(), true, Bar::AtMost(percent), &|gaps| gaps.close)
    });
    within.chain(close).collect()
}

fn own(sh: &Shell, case: &Case) -> Result<Gaps> {
    let (program, Case { rate, cpus, .. }) = (program(), case);
    let report =
        cmd!(sh, "{program} pace-test --self --rate {rate} --cpus {cpus} --duration 2s --json")
            .quiet()
            .ignore_stderr();
    Gaps::of(&report.read()?)
}

fn of_peer(command: &[String]) -> Result<Gaps> {
    let gap_ns = (1_000_000_000 / PEER_PPS).to_string();
    let warm_up = peers::WARM_UP_SECONDS.to_string();
    let receiver = ["arrivals", "--warm-up", &warm_up, "--gap-ns", &gap_ns].map(str::to_owned);
    Gaps::of(&peers::measure(command, &receiver, Duration::from_secs(2))?)
}

/// Shares of all gaps, and the mean rate.
#[derive(Clone, Debug, PartialEq)]
struct Gaps {
    within: [f64; 4],
    close: f64,
    mean_pps: f64,
}

impl Gaps {
    /// Reads the report of `pace-test --json`.
    fn of(report: &str) -> Result<Self> {
        let parsed: Value =
            serde_json::from_str(report).with_context(|| format!("not a report: {report:?}"))?;
        let number = |value: &Value, what: &str| {
            value.as_f64().with_context(|| format!("no {what} in {report:?}"))
        };
        let gaps = number(&parsed["gaps"], "gaps")?;
        let mut within = [0.0; 4];
        for (share, ns) in within.iter_mut().zip(WITHIN_NS) {
            let entries = parsed["within"].as_array().map_or(&[][..], Vec::as_slice);
            let entry = entries.iter().find(|entry| entry["ns"] == ns).unwrap_or(&Value::Null);
            *share = number(&entry["gaps"], "share")? / gaps;
        }
        let close = number(&parsed["close"]["gaps"], "close")? / gaps;
        Ok(Self { within, close, mean_pps: number(&parsed["mean_pps"], "mean_pps")? })
    }

    /// The median of each figure.
    fn median(runs: &[Self]) -> Self {
        Self {
            within: std::array::from_fn(|index| median(runs.iter().map(|run| run.within[index]))),
            close: median(runs.iter().map(|run| run.close)),
            mean_pps: median(runs.iter().map(|run| run.mean_pps)),
        }
    }
}

/// Each bar, and whether the figures meet it.
fn bars(case: &Case, gaps: &Gaps) -> String {
    let verdict = |met| if met { "met" } else { "not met" };
    let within = case.within.iter().map(|&(ns, percent)| {
        let index = WITHIN_NS.iter().position(|&column| column == ns);
        let met = index.is_some_and(|index| 100.0 * gaps.within[index] >= percent);
        format!("±{ns} ≥ {percent} % {}", verdict(met))
    });
    let close = case
        .close
        .map(|percent| format!("< 200 ns < {percent} % {}", verdict(100.0 * gaps.close < percent)));
    within.chain(close).collect::<Vec<_>>().join(", ")
}

/// One line of the table; it says why where nothing could be measured.
struct Row {
    name: String,
    bars: String,
    outcome: Result<Gaps, String>,
}

impl std::fmt::Display for Row {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:<42}", self.name)?;
        let Gaps { within, close, mean_pps } = match &self.outcome {
            Ok(gaps) => gaps,
            Err(reason) => return f.write_str(reason),
        };
        for share in within {
            write!(f, "{:>7.1} %", 100.0 * share)?;
        }
        let known = |number: f64, text: String| if number.is_nan() { "-".to_owned() } else { text };
        let close = known(*close, format!("{:.2} %", 100.0 * close));
        write!(f, " {close:>9} {:>13}  {}", known(*mean_pps, format!("{mean_pps:.1}")), self.bars)
    }
}

#[cfg(test)]
mod tests {
    use super::{CASES, Gaps, Row, bars};

    const REPORT: &str = r#"{"gaps":200,"mean_pps":500000.5,"within":[{"ns":64,"gaps":160,"share":0.8},{"ns":128,"gaps":170},
        {"ns":256,"gaps":188},{"ns":512,"gaps":200}],"close":{"ns":200,"gaps":1,"share":0.005}}"#;

    #[test]
    fn a_report_is_read_or_refused() {
        let expected = Gaps { within: [0.8, 0.85, 0.94, 1.0], close: 0.005, mean_pps: 500_000.5 };
        assert_eq!(Gaps::of(REPORT).expect("a complete report"), expected);
        for report in ["", "{}", &REPORT.replace("512", "513"), &REPORT.replace("mean_pps", "pps")]
        {
            assert!(Gaps::of(report).is_err(), "{report:?}");
        }
    }

    #[test]
    fn each_figure_has_its_own_median() {
        let run = |a, b, pps| Gaps { within: [a, b, 0.9, 1.0], close: 0.0, mean_pps: pps };
        let median = Gaps::median(&[run(0.1, 0.9, 3.0), run(0.3, 0.5, 1.0), run(0.2, 0.7, 2.0)]);
        assert_eq!(median, run(0.2, 0.7, 2.0));
    }

    #[test]
    fn bars_are_at_least_and_below() {
        #[track_caller]
        fn check(case: usize, within: [f64; 4], close: f64, expected: &str) {
            assert_eq!(bars(&CASES[case], &Gaps { within, close, mean_pps: 0.0 }), expected);
        }
        check(1, [0.8, 0.0, 0.94, 0.0], 0.0, "±64 ≥ 80 % met, ±256 ≥ 94 % met");
        check(0, [0.79, 1.0, 0.95, 1.0], 0.0, "±64 ≥ 80 % not met, ±256 ≥ 94 % met");
        check(3, [0.0, 0.0, 0.0, 0.8], 0.009, "±512 ≥ 80 % met, < 200 ns < 1 % met");
        check(3, [1.0, 1.0, 1.0, 0.7], 0.01, "±512 ≥ 80 % not met, < 200 ns < 1 % not met");
    }

    #[test]
    fn a_row_shows_its_figures_or_why_there_are_none() {
        #[track_caller]
        fn check(outcome: Result<Gaps, String>, ending: &str) {
            let row = Row { name: "a".into(), bars: "bar".into(), outcome }.to_string();
            assert!(row.ends_with(ending), "{row:?}");
        }
        let gaps = Gaps { within: [0.8, 0.85, 0.94, 1.0], close: 0.005, mean_pps: 1e5 };
        check(
            Ok(gaps.clone()),
            "   80.0 %   85.0 %   94.0 %  100.0 %    0.50 %      100000.0  bar",
        );
        check(
            Ok(Gaps { close: f64::NAN, mean_pps: f64::NAN, ..gaps }),
            "  100.0 %         -             -  bar",
        );
        check(Err("not installed".into()), " not installed");
    }
}
