//! `cargo xtask bench`: what the generator's rate is worth, as ratios measured in one run.
//!
//! Absolute rates differ from machine to machine and from minute to minute, so a rate is compared by
//! pairs of measurements made one right after the other, in the order ABBA, and shown as the median
//! of the pairs' ratios. Other figures, such as frames that left late, are those of several runs.
//! Bars are shown beside the results and not enforced: a busy machine is no reason to fail. Every
//! measurement happens in a network namespace of its own and counts what arrives at a receiver that
//! drops everything.
//!
//! Two versions are compared in one of two ways: by the reports of two runs (`--compare`), or, more
//! exactly, with their programs measured in turns (`--against`).

pub(crate) mod bar;
mod difference;
mod load;
mod measure;
mod pairs;
pub(crate) mod report;
mod rows;
pub(crate) mod sample;

use std::{
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xshell::Shell;

use self::{
    bar::Bar,
    measure::{Figure, received_mpps},
    pairs::Pairs,
    report::{Machine, RATIO, Report, Row},
    rows::{FLOOR, PORT_RANGE, PORT_RANGE_ON_TWO, SUBJECTS, Side, Subject},
    sample::Sample,
};
use crate::{bench_program, build, median::median, pacing, peers, setup, verifier};

/// Flags of `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Pairs of measurements in a row that compares rates
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: u16,
    /// Length of one such measurement
    #[arg(long, default_value = "0.5", value_parser = parse_seconds)]
    seconds: Duration,
    /// Measurements in a row of another figure
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Only rows whose name contains this, without programs and gaps
    #[arg(long, value_name = "SUBSTRING")]
    rows: Option<String>,
    /// Write all rows and the machine's description to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Say which rows differ from those of an earlier --json, by more than the spread; with a second
    /// file, compare the two and measure nothing
    #[arg(long, value_names = ["OLD.json", "NEW.json"], num_args = 1..=2)]
    compare: Vec<PathBuf>,
    /// Compare with another build, whose measurements are made in turns with this one's: the path of
    /// its xdp-trafficgen-bench, with its xdp-trafficgen beside it
    #[arg(long, value_name = "PROGRAM", conflicts_with = "compare")]
    against: Option<PathBuf>,
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

impl Arguments {
    /// Whether a row of this name is wanted.
    fn want(&self, name: &str) -> bool {
        self.rows.as_ref().is_none_or(|part| name.to_lowercase().contains(&part.to_lowercase()))
    }
}

/// Measures all rows, prints them, and compares them with others if that is wanted.
pub(crate) fn run(sh: &Shell, arguments: &Arguments) -> Result<()> {
    if let [old, new] = &arguments.compare[..] {
        return differences(&Report::read(old)?, &Report::read(new)?);
    }
    // A file that cannot be read is said before everything is measured.
    let old = arguments.compare.first().map(|path| Report::read(path)).transpose()?;
    ensure!(
        setup::is_root()?,
        "bench makes network namespaces and loads eBPF programs: run it as root"
    );
    build::program(sh)?;

    let busy_percent = load::percent();
    if busy_percent.is_some_and(|percent| percent > load::QUIET_PERCENT) {
        eprintln!(
            "bench: other programs use {:.0} % of this machine: figures will be of little worth",
            busy_percent.unwrap_or_default()
        );
    }
    let cpus = thread::available_parallelism().map_or(1, |cpus| cpus.get());
    let bench = Bench { sh, arguments, cpus, redirect_ns: redirect_ns(sh)? };
    let mut report =
        Report { machine: Machine::this(sh, bench.redirect_ns, busy_percent), rows: Vec::new() };
    println!("{}", report.machine);
    if let Some(other) = &arguments.against {
        report.rows = bench.against(other)?;
        return arguments.json.as_ref().map_or(Ok(()), |path| report.write(path));
    }
    let whole = arguments.rows.is_none();
    let mut programs = Ok(());
    if whole && !arguments.pacing_only {
        programs = verifier::table(sh, arguments.bless);
    }
    if !arguments.programs_only && !arguments.pacing_only {
        println!(
            "{} interleaved pairs of {} s, or {} measurements; 64-byte frames unless sizes are mixed or VXLAN's 128",
            arguments.rounds,
            arguments.seconds.as_secs_f64(),
            arguments.runs
        );
        println!("{}", report::head());
        report.rows = bench.rows()?;
    }
    if whole && !arguments.programs_only {
        report.rows.extend(pacing::table(sh, arguments.pacing_runs, cpus)?);
    }
    if let Some(path) = &arguments.json {
        report.write(path)?;
    }
    if let Some(old) = old {
        differences(&old, &report)?;
    }
    programs
}

fn differences(old: &Report, new: &Report) -> Result<()> {
    difference::between(old, new)?.iter().for_each(|line| println!("{line}"));
    Ok(())
}

/// How often the redirect is measured, before everything else.
const REDIRECTS: u16 = 5;

/// What a frame of the program that only redirects takes.
fn redirect_ns(sh: &Shell) -> Result<f64> {
    let told = Duration::from_millis(500);
    let mpps = (0..REDIRECTS)
        .map(|_| received_mpps(&FLOOR.measurement.run(sh, &bench_program(), told)?))
        .collect::<Result<Vec<_>>>()?;
    Ok(1e3 / median(mpps.into_iter()))
}

/// What all rows need.
struct Bench<'a> {
    sh: &'a Shell,
    arguments: &'a Arguments,
    cpus: usize,
    redirect_ns: f64,
}

impl Bench<'_> {
    /// Measures and prints the rows that are wanted.
    fn rows(&self) -> Result<Vec<Row>> {
        let mut rows = Vec::new();
        let mut take = |row: Row| {
            println!("{row}");
            rows.push(row);
        };
        for subject in SUBJECTS {
            match subject {
                Subject::Ratio(a, b, bar) => self.ratio(a, b, *bar).into_iter().for_each(&mut take),
                Subject::Alone(side, figures) => {
                    self.alone(side, figures, subject).into_iter().for_each(&mut take);
                }
            }
        }
        for (number, peer) in peers::find(self.sh, self.cpus)?.iter().enumerate() {
            self.peer(number, peer).into_iter().for_each(&mut take);
        }
        ensure!(
            !rows.is_empty(),
            "no row has that in its name: `cargo xtask bench` shows them all"
        );
        Ok(rows)
    }

    /// Whether this machine has the cores; says so otherwise.
    fn has_cores(&self, name: &str, cores: usize) -> bool {
        let enough = self.cpus >= cores;
        if !enough {
            eprintln!("bench: {name} is left out: this machine has {} CPU", self.cpus);
        }
        enough
    }

    /// A measurement of one of the two sides, by this build.
    fn report(&self, side: &Side) -> Result<Value> {
        side.measurement.run(self.sh, &bench_program(), self.arguments.seconds)
    }

    fn mpps(&self, side: &Side) -> Result<f64> {
        received_mpps(&self.report(side)?)
    }

    fn ratio(&self, a: &Side, b: &Side, bar: Bar) -> Option<Row> {
        let name = format!("{} / {}", a.name, b.name);
        if !self.arguments.want(&name) || !self.has_cores(&name, a.cores.max(b.cores)) {
            return None;
        }
        let how = rows::how(&Subject::Ratio(*a, *b, bar));
        let pairs = Pairs::measure(self.arguments.rounds, || self.mpps(a), || self.mpps(b));
        Some(self.row_of(name, how, pairs, bar))
    }

    /// A row of pairs of rates.
    fn row_of(&self, name: String, how: String, pairs: Result<Pairs>, bar: Bar) -> Row {
        match pairs {
            Err(error) => Row::failed(name, how, &error),
            Ok(pairs) => {
                let bar = bar.on(self.redirect_ns);
                let mut row = Row::measured((name, how), (RATIO, false), pairs.ratios(), bar);
                row.mpps = Some((pairs.a().median(), pairs.b().median()));
                row
            }
        }
    }

    fn alone(&self, side: &Side, figures: &[(Figure, Bar)], subject: &Subject) -> Vec<Row> {
        let name = |figure: Figure| format!("{}: {}", side.name, figure.unit());
        let wanted: Vec<_> =
            figures.iter().filter(|(figure, _)| self.arguments.want(&name(*figure))).collect();
        if wanted.is_empty() || !self.has_cores(side.name, side.cores) {
            return Vec::new();
        }
        let reports =
            (0..self.arguments.runs).map(|_| self.report(side)).collect::<Result<Vec<_>>>();
        let row = |&&(figure, bar): &&(Figure, Bar)| {
            let (name, how) = (name(figure), rows::how(subject));
            let values = match &reports {
                Ok(reports) => reports.iter().map(|report| figure.of(report)).collect(),
                // Every figure fails for the same reason.
                Err(error) => Err(anyhow::anyhow!("{error:#}")),
            };
            match values {
                Ok(values) => Row::measured(
                    (name, how),
                    (figure.unit(), figure.less_is_better()),
                    Sample { values },
                    bar.on(self.redirect_ns),
                ),
                Err(error) => Row::failed(name, how, &error),
            }
        };
        wanted.iter().map(row).collect()
    }

    /// This generator's port range by another generator's, which may fail for reasons of its own.
    /// `number` tells those apart that have the same name.
    fn peer(&self, number: usize, peer: &peers::Peer) -> Option<Row> {
        let ours = if peer.cores == 1 { PORT_RANGE } else { PORT_RANGE_ON_TWO };
        let name = format!("{} / {}", ours.name, peer.name);
        if !self.arguments.want(&name) {
            return None;
        }
        let bar = match (peer.is_live_frames, peer.cores) {
            (true, 1) => rows::PEER_BAR,
            (true, _) => rows::PEER_BAR_ON_TWO,
            (false, _) => Bar::None,
        };
        let mut size = None;
        let pairs = peer.command.clone().and_then(|command| {
            let receiver = ["sink".to_owned(), format!("--warm-up={}", peers::WARM_UP_SECONDS)];
            let theirs = || {
                let report = peers::measure(&command, &receiver, self.arguments.seconds)?;
                let report: Value = serde_json::from_str(&report)
                    .with_context(|| format!("not a report: {report:?}"))?;
                size = frame_size(&report);
                received_mpps(&report)
            };
            let measured = Pairs::measure(self.arguments.rounds, || self.mpps(&ours), theirs);
            measured.map_err(|error| format!("`{}`: {error:#}", command.join(" ")))
        });
        let pairs = pairs.map_err(|why| anyhow::anyhow!(why));
        // Not every generator makes frames as small as this one's.
        let others = size.filter(|&size| size != SIZE);
        let others = others.map(|size| format!(", {size}-byte frames")).unwrap_or_default();
        let how = format!("`{}` by peer {number}{others}", ours.measurement.command);
        Some(self.row_of(name + &others, how, pairs, bar))
    }

    /// Each thing that is measured, by this build and by another, in turns.
    fn against(&self, other: &Path) -> Result<Vec<Row>> {
        ensure!(
            other.is_file(),
            "{} is no file: give the path of the other build's xdp-trafficgen-bench",
            other.display()
        );
        println!("{:<50} {:>9} {:>9} {:<19}", "", "this", "other", "this by other, 95 %");
        let mut rows = Vec::new();
        for (side, figures) in things() {
            let name = |figure: Figure| format!("{}: {}", side.name, figure.unit());
            if !figures.iter().any(|&figure| self.arguments.want(&name(figure)))
                || !self.has_cores(side.name, side.cores)
            {
                continue;
            }
            let theirs = || side.measurement.run(self.sh, other, self.arguments.seconds);
            let rounds = match figures {
                [Figure::Mpps] => self.arguments.rounds,
                _ => self.arguments.runs,
            };
            let pairs = Pairs::measure(rounds, || self.report(&side), theirs);
            for &figure in figures {
                let how =
                    format!("`{}` by this build and the other, in turns", side.measurement.command);
                let row = pairs.as_ref().map_err(|error| anyhow::anyhow!("{error:#}")).and_then(
                    |pairs| {
                        let pairs = pairs.read(|report| figure.of(report))?;
                        print_turns(&name(figure), &pairs, figure);
                        Ok(Row::measured(
                            (name(figure), how.clone()),
                            (RATIO, figure.less_is_better()),
                            pairs.ratios(),
                            Bar::None,
                        ))
                    },
                );
                rows.push(row.unwrap_or_else(|error| {
                    println!("{:<50} {error:#}", name(figure));
                    Row::failed(name(figure), how, &error)
                }));
            }
        }
        Ok(rows)
    }
}

fn print_turns(name: &str, pairs: &Pairs, figure: Figure) {
    let interval = pairs.ratios().interval();
    println!(
        "{name:<50} {:>9} {:>9} {:<19} {}",
        report::number(pairs.a().median()),
        report::number(pairs.b().median()),
        format!("{:.3}–{:.3}", interval.0, interval.1),
        difference::verdict_of_ratio(interval, figure.less_is_better())
    );
}

/// Everything that the rows measure, each once, with the figures that are read from it.
fn things() -> Vec<(Side, &'static [Figure])> {
    let mut things: Vec<(Side, &[Figure])> = Vec::new();
    let mut add = |side: &Side, figures: &'static [Figure]| {
        if !things.iter().any(|(known, _)| known.measurement == side.measurement) {
            things.push((*side, figures));
        }
    };
    for subject in SUBJECTS {
        match subject {
            Subject::Ratio(a, b, _) => {
                add(a, &[Figure::Mpps]);
                add(b, &[Figure::Mpps]);
            }
            Subject::Alone(side, figures) => {
                let figures: Vec<Figure> = figures.iter().map(|(figure, _)| *figure).collect();
                add(side, figures.leak());
            }
        }
    }
    things
}

/// Bytes of this generator's frames on the wire.
const SIZE: u64 = 64;

/// Bytes of a frame on the wire, from a report such as `{"frames_rx": 1000, "bytes_rx": 66000}`.
fn frame_size(report: &Value) -> Option<u64> {
    report["bytes_rx"].as_u64()?.checked_div(report["frames_rx"].as_u64()?)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::{SUBJECTS, Subject, frame_size, parse_seconds, things};

    #[test]
    fn the_size_is_what_arrived_by_the_frames() {
        assert_eq!(
            frame_size(&json!({ "frames_rx": 9_400_000, "bytes_rx": 620_400_000 })),
            Some(66)
        );
        for report in [json!({}), json!({ "frames_rx": 0, "bytes_rx": 0 })] {
            assert_eq!(frame_size(&report), None, "{report}");
        }
    }

    #[test]
    fn a_measurement_is_neither_endless_nor_too_short() {
        assert_eq!(parse_seconds("1.5").expect("in range").as_millis(), 1500);
        for text in ["0", "-1", "61", "inf", "NaN", "1s"] {
            assert!(parse_seconds(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn no_two_rows_have_the_same_name() {
        let mut names = BTreeSet::new();
        for subject in SUBJECTS {
            match subject {
                Subject::Ratio(a, b, _) => {
                    assert!(names.insert(format!("{} / {}", a.name, b.name)), "{}", a.name);
                }
                Subject::Alone(side, figures) => {
                    for (figure, _) in *figures {
                        let name = format!("{}: {}", side.name, figure.unit());
                        assert!(names.insert(name), "{}", side.name);
                    }
                }
            }
        }
    }

    #[test]
    fn things_are_measured_once_under_one_name() {
        let things = things();
        let names: BTreeSet<_> =
            things.iter().map(|(side, figures)| (side.name, figures.len())).collect();
        assert_eq!(names.len(), things.len(), "{names:?}");
    }
}
