//! The result of a bench: rows and the machine they were measured on, as a table for people and as
//! JSON for the next bench (`--compare`).

use std::{fmt, fs, path::Path, thread};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};
use xshell::{Cmd, Shell, cmd};

use super::{bar::Bar, sample::Sample};

/// A run of the bench.
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Report {
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
}

/// Where and when figures were measured.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Machine {
    /// Its release, as uname tells.
    pub(crate) kernel: String,
    /// The CPU's model.
    pub(crate) cpu: String,
    /// CPUs that may be used.
    pub(crate) cpus: usize,
    /// Nanoseconds that a frame of a program that only redirects takes: what the speed of this
    /// machine is for this purpose.
    pub(crate) redirect_ns: f64,
    /// How much of all CPUs' time others used before the bench began, in per cent; none where that
    /// is not known.
    pub(crate) busy_percent: Option<f64>,
    /// When, in UTC.
    pub(crate) date: String,
    /// What was measured, as `git describe` names it.
    pub(crate) revision: String,
}

impl Machine {
    /// This one.
    pub(crate) fn this(sh: &Shell, redirect_ns: f64, busy_percent: Option<f64>) -> Self {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model =
            cpuinfo.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
        let said = |command: Cmd<'_>| command.quiet().ignore_stderr().read().unwrap_or_default();
        Self {
            kernel: release.trim().to_owned(),
            cpu: model.map_or("unknown CPU", |(_, name)| name).to_owned(),
            cpus: thread::available_parallelism().map_or(0, |cpus| cpus.get()),
            redirect_ns,
            busy_percent,
            date: said(cmd!(sh, "date --utc +%FT%TZ")),
            revision: said(cmd!(sh, "git describe --always --dirty")),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, cpu, cpus, redirect_ns, busy_percent, date, revision } = self;
        let busy =
            busy_percent.map_or_else(String::new, |percent| format!(", {percent:.0} % busy"));
        write!(
            f,
            "Linux {kernel}, {cpu}, {cpus} CPUs{busy}, redirect only: {redirect_ns:.0} ns a frame; {revision}, {date}"
        )
    }
}

/// One figure.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub(crate) struct Row {
    /// What was measured; no two rows of a report have the same.
    pub(crate) name: String,
    /// How.
    pub(crate) how: String,
    /// Of the values: `ratio`, or a unit.
    pub(crate) unit: String,
    /// Whether less of it is better.
    pub(crate) less_is_better: bool,
    /// In the order of time; of a ratio, one for each pair.
    pub(crate) values: Vec<f64>,
    /// Of a ratio: the medians of its two sides, in Mpps.
    pub(crate) mpps: Option<(f64, f64)>,
    /// In words.
    pub(crate) bar: String,
    /// None without a bar, or without values.
    pub(crate) met: Option<bool>,
    /// Why there are no values.
    pub(crate) failed: Option<String>,
}

/// The unit of a ratio.
pub(crate) const RATIO: &str = "ratio";

impl Row {
    /// A figure that could not be measured.
    pub(crate) fn failed(name: String, how: String, why: &anyhow::Error) -> Self {
        Self {
            name,
            how,
            unit: String::new(),
            less_is_better: false,
            values: Vec::new(),
            mpps: None,
            bar: Bar::None.to_string(),
            met: None,
            failed: Some(format!("{why:#}")),
        }
    }

    /// A figure and its bar, which must be one of this machine.
    pub(crate) fn measured(
        (name, how): (String, String),
        (unit, less_is_better): (&str, bool),
        sample: Sample,
        bar: Bar,
    ) -> Self {
        Self {
            name,
            how,
            unit: unit.to_owned(),
            less_is_better,
            met: bar.is_met(sample.median()),
            values: sample.values,
            mpps: None,
            bar: bar.to_string(),
            failed: None,
        }
    }

    /// The values; none where nothing could be measured.
    pub(crate) fn sample(&self) -> Option<Sample> {
        (!self.values.is_empty()).then(|| Sample { values: self.values.clone() })
    }
}

/// The head of the table of rows.
pub(crate) fn head() -> String {
    format!(
        "{:<70} {:>9} {:<9} {:<19} {:>6} {:>6}  bar",
        "", "median", "", "95 % interval", "A Mpps", "B Mpps"
    )
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<70} ", self.name)?;
        let Some(sample) = self.sample() else {
            return f.write_str(self.failed.as_deref().unwrap_or("not measured"));
        };
        let (low, high) = sample.interval();
        let interval = format!("{}–{}", number(low), number(high));
        write!(f, "{:>9} {:<9} {interval:<19} ", number(sample.median()), self.unit)?;
        match self.mpps {
            Some((a, b)) => write!(f, "{a:>6.2} {b:>6.2}  ")?,
            None => write!(f, "{:>6} {:>6}  ", "", "")?,
        }
        let verdict = match self.met {
            Some(true) => " met",
            Some(false) => " not met",
            None => "",
        };
        write!(f, "{}{verdict}", self.bar)
    }
}

/// As many places as are worth reading.
pub(crate) fn number(value: f64) -> String {
    match value.abs() {
        size if size >= 1000.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    }
}

impl Report {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let text = fs::read_to_string(path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        serde_json::from_str(&text).with_context(|| {
            format!("{} is no report of `cargo xtask bench --json`", path.display())
        })
    }

    pub(crate) fn write(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
    }
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::{Bar, Row, Sample, number};

    #[test]
    fn a_row_shows_its_bar_or_why_there_is_no_figure() {
        #[track_caller]
        fn check(values: &[f64], bar: Bar, ending: &str) {
            let sample = Sample { values: values.to_vec() };
            let row = Row::measured(("a".into(), "how".into()), ("ratio", false), sample, bar);
            assert!(row.to_string().ends_with(ending), "{row}");
        }
        check(&[0.95; 3], Bar::AtLeast(0.95), "≥ 0.95 met");
        check(&[0.94; 3], Bar::AtLeast(0.95), "≥ 0.95 not met");
        check(&[3.0], Bar::None, "  -");
        let failed = Row::failed("a".into(), "how".into(), &anyhow!("not installed"));
        assert!(failed.to_string().ends_with(" not installed"));
    }

    #[test]
    fn rows_survive_being_written() {
        let sample = Sample { values: vec![0.5, 0.25] };
        let mut row =
            Row::measured(("a".into(), "how".into()), ("ratio", false), sample, Bar::None);
        row.mpps = Some((1.0, 2.0));
        let text = serde_json::to_string(&row).expect("JSON");
        assert_eq!(serde_json::from_str::<Row>(&text).expect("the same"), row);
    }

    #[test]
    fn numbers_have_as_many_places_as_are_worth_reading() {
        for (value, expected) in [(0.9265, "0.926"), (12.34, "12.3"), (14_600.4, "14600")] {
            assert_eq!(number(value), expected);
        }
    }
}
