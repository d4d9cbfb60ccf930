//! The report for people: a table with a row for each setting, why frames were dropped, and the
//! proposal as lines of a configuration.

use std::{collections::BTreeSet, fmt::Write as _};

use crate::{
    config::{Action, store::Settings},
    output::{
        Format,
        numbers::{duration, frames, grouped, table},
        tune::{Ended, PointsFinding, TuneReport},
    },
    stats::tuning::{Point, Rationale, Setting, Typical},
    units::CpuList,
};

/// `--output text`.
pub const FORMAT: Format<TuneReport> = Format {
    name: "text",
    help: "Tables and sentences, for people",
    render: |report| Ok(render(report)),
};

/// Several lines, with a line feed at the end of each.
pub fn render(report: &TuneReport) -> String {
    let TuneReport { interface: _, size: _, each: _, points, choice, ended, findings, elapsed } =
        report;
    if points.is_empty() {
        return format!("nothing was measured\nduration: {}, ended early\n", duration(*elapsed));
    }
    let mut rows = table(&["path", "CPUs", "batch", "Mpps", "× default", "±", "dropped", ""], 1);
    if let Some(marks) = rows.column_mut(7) {
        marks.set_cell_alignment(comfy_table::CellAlignment::Left);
    }
    for (index, point) in points.iter().enumerate() {
        let Setting { action, cpus, batch_size } = &point.setting;
        let is_best = choice.is_some_and(|choice| choice.point == index);
        let times = point.times_default();
        let [times, deviation] = match (index, times.value > 0.0) {
            (0, true) => ["1".to_owned(), String::new()],
            (_, true) => [format!("{:.3}", times.value), format!("{:.3}", times.deviation)],
            (_, false) => ["–", ""].map(str::to_owned),
        };
        let mark = match (index == 0, is_best) {
            (true, true) => "default, best",
            (true, false) => "default",
            (false, true) => "best",
            (false, false) => "",
        };
        rows.add_row([
            action.name().to_owned(),
            cpus.len().to_string(),
            batch_size.to_string(),
            format!("{:.3}", point.rate().value / 1e6),
            times,
            deviation,
            loss(point),
            mark.to_owned(),
        ]);
    }
    let mut text = format!("{rows}\n");
    if let Some(default) = points.first() {
        text += &legend(default);
    }
    text += &explained(findings, points);
    let _ = writeln!(
        text,
        "duration: {}{}",
        duration(*elapsed),
        if *ended == Ended::Early { ", ended early" } else { "" }
    );
    text + &proposal(report)
}

/// What the columns are.
fn legend(default: &Point) -> String {
    let Typical { value, deviation } = default.rate();
    let mut text =
        "× default: the rate over that of the default measured next to it, median of the rounds; ±: how far a round \
                    typically is from it\n"
            .to_owned();
    if value > 0.0 {
        let _ = writeln!(
            text,
            "the default itself varied by {:.1} % from round to round",
            100.0 * deviation / value
        );
    }
    text
}

/// What to use, and why.
fn proposal(report: &TuneReport) -> String {
    let (Some(choice), Some(point)) = (report.choice, report.chosen()) else {
        return match report.points.iter().any(|point| point.count.frames_tx > 0) {
            true => "\nno proposal: the default did not have all of its rounds\n".to_owned(),
            false => String::new(),
        };
    };
    let setting = words(&point.setting);
    let reason = match (choice.why, point.times_default().value) {
        (Rationale::Default, _) => {
            "the default: no other setting was better by more than the noise".to_owned()
        }
        (Rationale::Faster, times) if times > 0.0 => {
            format!("{setting}: {times:.2} times the default's rate")
        }
        (Rationale::Faster, _) => format!("{setting}, for the default sends nothing"),
        (Rationale::LosesFewer, _) => {
            format!("{setting}: about as fast as the default, and loses fewer frames")
        }
    };
    let Setting { action, cpus, batch_size } = &point.setting;
    let lines = Settings { action: *action, cpus, batch_size: *batch_size }.lines();
    let extent = if report.ended == Ended::Early { ", of what was measured" } else { "" };
    let mut text = format!("\nproposal{extent}: {reason}\n\n[[ports]]\n{lines}");
    // The commands without a file have no option for the path.
    if *action == Action::Redirect {
        let _ = writeln!(
            text,
            "\nor, without a file: --cpus {} --batch-size {batch_size}",
            CpuList(cpus)
        );
    }
    text
}

/// `redirect, 2 CPUs, batches of 64`.
pub fn words(setting: &Setting) -> String {
    let Setting { action, cpus, batch_size } = setting;
    let workers = if cpus.len() == 1 { "1 CPU".to_owned() } else { format!("{} CPUs", cpus.len()) };
    format!("{}, {workers}, batches of {batch_size}", action.name())
}

/// A share, in which not one lost frame goes unseen.
fn loss(point: &Point) -> String {
    match point.count.frames_dropped() {
        0 => "0".to_owned(),
        _ if point.loss() < 1e-4 => "< 0.01 %".to_owned(),
        _ => format!("{:.2} %", 100.0 * point.loss()),
    }
}

/// So many settings are named one by one.
const NAMED: usize = 3;

/// Each kind of finding once, in the words of the first of its kind: the others differ in numbers.
fn explained(findings: &[PointsFinding], points: &[Point]) -> String {
    let mut text = String::new();
    for (index, PointsFinding { finding, .. }) in findings.iter().enumerate() {
        let alike = |other: &&PointsFinding| other.finding.code == finding.code;
        if findings[..index].iter().any(|earlier| alike(&earlier)) {
            continue;
        }
        let found = || findings.iter().filter(alike).flat_map(|found| &found.points);
        let total: u64 = found().map(|(_, frames)| frames).sum();
        // A setting may have several that are alike.
        let places: BTreeSet<usize> = found().map(|(index, _)| *index).collect();
        let named =
            places.iter().take(NAMED).filter_map(|index| Some(words(&points.get(*index)?.setting)));
        let named = named.collect::<Vec<_>>().join("; ");
        let more = match places.len().saturating_sub(NAMED) {
            0 => String::new(),
            more => format!("; and {} more", grouped(more as u64)),
        };
        let lost = if total > 0 { format!("{} dropped: ", frames(total)) } else { String::new() };
        let _ = writeln!(text, "{named}{more}: {lost}{}", finding.cause);
        if !finding.cure.is_empty() {
            let _ = writeln!(text, "  cure: {}", finding.cure);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tune::tests::{point, report};

    /// The row of the table that begins so, without its spaces.
    #[track_caller]
    fn row(text: &str, start: &str) -> String {
        let mut rows =
            text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        rows.find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("no `{start}` in {text}"))
    }

    #[test]
    fn a_row_for_each_setting_and_the_best_as_lines() {
        let double = [10_000_000, 10_100_000, 9_900_000, 10_000_000, 10_200_000];
        let text = render(&report(vec![
            point(
                1,
                64,
                Action::Redirect,
                [5_000_000, 5_000_000, 5_000_000, 4_950_000, 5_100_000],
                0,
                5e6,
            ),
            point(2, 64, Action::Redirect, double, 0, 5e6),
            point(2, 256, Action::Redirect, double, 3, 5e6),
            point(2, 64, Action::Tx, [9_000_000; 5], 4_500_000, 5e6),
        ]));
        assert_eq!(row(&text, "redirect 1 64"), "redirect 1 64 5.000 1 0 default");
        assert_eq!(row(&text, "redirect 2 64"), "redirect 2 64 10.000 2.000 0.020 0 best");
        assert_eq!(row(&text, "redirect 2 256"), "redirect 2 256 10.000 2.000 0.020 < 0.01 %");
        assert_eq!(row(&text, "tx 2 64"), "tx 2 64 9.000 1.800 0.000 9.09 %");
        for part in [
            "\nproposal: redirect, 2 CPUs, batches of 64: 2.00 times the default's rate\n\n\
             [[ports]]\ncpus = \"0-1\"\nbatch_size = 64\naction = \"redirect\"\n",
            "--cpus 0-1 --batch-size 64\n",
            "redirect, 2 CPUs, batches of 256; tx, 2 CPUs, batches of 64: 4 500 003 frames dropped: the transmit queue was \
             full\n  cure: send smaller batches\n",
            "duration: 15.250 s\n",
            "the default itself varied by 0.0 %",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        // The table fits three quarters of a usual terminal; sentences may wrap.
        assert!(text.lines().take(5).all(|line| line.chars().count() <= 72), "{text}");
    }

    #[test]
    fn the_default_and_other_ends() {
        let text = render(&report(vec![
            point(1, 64, Action::Redirect, [500; 5], 0, 500.0),
            point(1, 128, Action::Redirect, [500; 5], 0, 500.0),
        ]));
        assert_eq!(row(&text, "redirect 1 64"), "redirect 1 64 0.001 1 0 default, best");
        assert!(text.contains("proposal: the default: no other"), "{text}");
        let text = render(&report(vec![
            point(1, 64, Action::Redirect, [0; 5], 900, 0.0),
            point(2, 64, Action::Tx, [500; 5], 0, 0.0),
        ]));
        assert!(
            text.contains("proposal: tx, 2 CPUs, batches of 64, for the default sends nothing"),
            "{text}"
        );
        assert_eq!(row(&text, "redirect 1 64"), "redirect 1 64 0.000 – 100.00 % default");
        assert!(!text.contains("--batch-size"), "{text}");
        let mut early = report(vec![point(1, 64, Action::Redirect, [500; 5], 0, 500.0)]);
        early.ended = Ended::Early;
        assert!(render(&early).contains("proposal, of what was measured: the default"));
        early.points[0].rounds.pop();
        let text = render(&TuneReport { choice: None, ended: Ended::Early, ..early });
        assert!(text.contains("no proposal") && text.contains(" s, ended early\n"), "{text}");
        let text = render(&TuneReport { choice: None, ended: Ended::Early, ..report(Vec::new()) });
        assert!(text.contains("nothing was measured") && !text.contains("×"), "{text}");
    }
}
