//! The report for people: a table with a row for each setting, why frames were dropped, and the proposal as lines of a
//! configuration.

use std::fmt::Write as _;

use crate::{
    config::{Action, literal::show_cpus, store::Settings},
    output::{
        text::{duration, frames, grouped, table},
        tune::{Ended, PointsFinding, TuneReport},
    },
    stats::tuning::{Point, Setting, Why},
};

/// Several lines, with a line feed at the end of each.
pub fn render(report: &TuneReport) -> String {
    let TuneReport { interface: _, size: _, each: _, points, choice, ended, findings, elapsed } = report;
    let mut rows = table(&["path", "CPUs", "batch", "Mpps", "±", "dropped", ""], 1);
    if let Some(marks) = rows.column_mut(6) {
        marks.set_cell_alignment(comfy_table::CellAlignment::Left);
    }
    for (index, point) in points.iter().enumerate() {
        let Setting { action, cpus, batch_size } = &point.setting;
        let is_best = choice.is_some_and(|choice| choice.point == index);
        rows.add_row([
            action.name().to_owned(),
            cpus.len().to_string(),
            batch_size.to_string(),
            format!("{:.3}", point.rate() / 1e6),
            deviation(point),
            loss(point),
            match (index == 0, is_best) {
                (true, true) => "default, best",
                (true, false) => "default",
                (false, true) => "best",
                (false, false) => "",
            }
            .to_owned(),
        ]);
    }
    let mut text = format!("{rows}\nMpps: sent, the median of the rounds; ±: how far a round typically is from it\n");
    for found in findings {
        text += &finding(found, points);
    }
    let _ =
        writeln!(text, "duration: {}{}", duration(*elapsed), if *ended == Ended::Early { ", ended early" } else { "" });
    text + &proposal(report)
}

/// What to use, and why.
fn proposal(report: &TuneReport) -> String {
    let (Some(choice), Some(point)) = (report.choice, report.chosen()) else {
        return match report.points.iter().any(|point| point.rate() > 0.0) {
            true => "\nno proposal: the default did not have all of its rounds\n".to_owned(),
            false => String::new(),
        };
    };
    let setting = words(&point.setting);
    let rate = point.rate() / 1e6;
    let reason = match (choice.why, report.times_default()) {
        (Why::Default, _) => "the default: no other setting was better by more than the noise".to_owned(),
        (Why::Faster, Some(times)) => format!("{setting}: {rate:.3} Mpps, {times:.2} times the default's rate"),
        (Why::Faster, None) => format!("{setting}: {rate:.3} Mpps, while the default sends nothing"),
        (Why::LosesFewer, _) => format!("{setting}: about as fast as the default, and loses fewer frames"),
    };
    let Setting { action, cpus, batch_size } = &point.setting;
    let lines = Settings { action: *action, cpus, batch_size: *batch_size }.lines();
    let mut text = format!("\nproposal: {reason}\n\n[[ports]]\n{lines}");
    // The commands without a file have no option for the path.
    if *action == Action::Redirect {
        let _ = writeln!(text, "\nor, without a file: --cpus {} --batch-size {batch_size}", show_cpus(cpus));
    }
    text
}

/// `redirect, 2 CPUs, batches of 64`.
pub fn words(setting: &Setting) -> String {
    let Setting { action, cpus, batch_size } = setting;
    let workers = if cpus.len() == 1 { "1 CPU".to_owned() } else { format!("{} CPUs", cpus.len()) };
    format!("{}, {workers}, batches of {batch_size}", action.name())
}

/// In percent of the rate.
fn deviation(point: &Point) -> String {
    if point.rate() > 0.0 { format!("{:.1} %", 100.0 * point.deviation() / point.rate()) } else { "–".to_owned() }
}

/// A share, in which not one lost frame goes unseen.
fn loss(point: &Point) -> String {
    match point.count.dropped() {
        0 => "0".to_owned(),
        _ if point.loss() < 1e-4 => "< 0.01 %".to_owned(),
        _ => format!("{:.2} %", 100.0 * point.loss()),
    }
}

/// So many settings are named one by one.
const NAMED: usize = 3;

fn finding(found: &PointsFinding, points: &[Point]) -> String {
    let PointsFinding { points: places, finding } = found;
    let total: u64 = places.iter().map(|(_, frames)| frames).sum();
    let named = places.iter().take(NAMED).filter_map(|(index, _)| Some(words(&points.get(*index)?.setting)));
    let named = named.collect::<Vec<_>>().join("; ");
    let more = match places.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!("; and {} more", grouped(more as u64)),
    };
    let mut text = format!("{}: {} ({named}{more})\n", finding.cause, frames(total));
    if !finding.cure.is_empty() {
        let _ = writeln!(text, "  {}", finding.cure);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::tune::tests::{point, report};

    const MILLIONS: [u64; 5] = [5_000_000, 5_010_000, 4_990_000, 5_000_000, 5_000_000];

    /// The row of the table that begins so, without its spaces.
    #[track_caller]
    fn row(text: &str, start: &str) -> String {
        let rows = text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
        rows.into_iter().find(|line| line.starts_with(start)).unwrap_or_else(|| panic!("no `{start}` in {text}"))
    }

    #[test]
    fn a_row_for_each_setting_and_the_best_as_lines() {
        let fast = MILLIONS.map(|frames| 2 * frames);
        let text = render(&report(vec![
            point(1, 64, Action::Redirect, MILLIONS, 0),
            point(2, 64, Action::Redirect, fast, 0),
            point(2, 256, Action::Redirect, fast, 3),
            point(2, 64, Action::Tx, [9_000_000; 5], 4_500_000),
        ]));
        assert_eq!(row(&text, "redirect 1 64"), "redirect 1 64 5.000 0.0 % 0 default");
        assert_eq!(row(&text, "redirect 2 64"), "redirect 2 64 10.000 0.0 % 0 best");
        assert_eq!(row(&text, "redirect 2 256"), "redirect 2 256 10.000 0.0 % < 0.01 %");
        assert_eq!(row(&text, "tx 2 64"), "tx 2 64 9.000 0.0 % 9.09 %");
        for part in [
            "\nproposal: redirect, 2 CPUs, batches of 64: 10.000 Mpps, 2.00 times the default's rate\n\n\
             [[ports]]\ncpus = \"0-1\"\nbatch_size = 64\naction = \"redirect\"\n",
            "--cpus 0-1 --batch-size 64\n",
            "the transmit queue was full: 4 500 003 frames (redirect, 2 CPUs, batches of 256; tx, 2 CPUs, batches of 64)\n  \
             send smaller batches\n",
            "duration: 15.250 s\n",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
        // Fits a terminal of half the usual width; sentences may wrap.
        assert!(text.lines().take(5).all(|line| line.chars().count() <= 60), "{text}");
    }

    #[test]
    fn the_default_and_other_ends() {
        let slow = point(1, 128, Action::Redirect, MILLIONS, 0);
        let text = render(&report(vec![point(1, 64, Action::Redirect, MILLIONS, 0), slow]));
        assert_eq!(row(&text, "redirect 1 64"), "redirect 1 64 5.000 0.0 % 0 default, best");
        assert!(text.contains("proposal: the default: no other"), "{text}");
        let text =
            render(&report(vec![point(1, 64, Action::Redirect, [0; 5], 900), point(2, 64, Action::Tx, MILLIONS, 0)]));
        assert!(text.contains("tx, 2 CPUs, batches of 64: 5.000 Mpps, while the default sends nothing"), "{text}");
        assert_eq!(row(&text, "redirect 1 64"), "redirect 1 64 0.000 – 100.00 % default");
        assert!(!text.contains("--batch-size"), "{text}");
        let mut early = report(vec![point(1, 64, Action::Redirect, MILLIONS, 0)]);
        early.points[0].rounds.pop();
        let text = render(&TuneReport { choice: None, ended: Ended::Early, ..early });
        assert!(text.contains("no proposal") && text.contains(" s, ended early\n"), "{text}");
    }
}
