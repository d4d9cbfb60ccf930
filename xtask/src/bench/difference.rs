//! What became better or worse: between the reports of two runs, or between two programs that were
//! measured in turns.

use std::fmt;

use anyhow::{Result, ensure};

use super::report::{Report, Row, number};

/// What is to be said of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Better,
    Worse,
    /// The difference is not larger than the spread.
    Same,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::Same => "the same within the spread",
        })
    }
}

/// Of two intervals in which the medians lie: those that overlap say nothing.
fn verdict(old: (f64, f64), new: (f64, f64), less_is_better: bool) -> Verdict {
    let more = new.0 > old.1;
    let less = new.1 < old.0;
    match (more, less) {
        (false, false) => Verdict::Same,
        (more, _) if more != less_is_better => Verdict::Better,
        _ => Verdict::Worse,
    }
}

/// Of the ratios of a new program to an old one.
pub(super) fn verdict_of_ratio(interval: (f64, f64), less_is_better: bool) -> Verdict {
    verdict((1.0, 1.0), interval, less_is_better)
}

/// The rows of both reports, a line each. Rates are compared as ratios to what the same run
/// measured beside them, so that they may come from different machines; other figures are those of
/// their machines.
pub(super) fn between(old: &Report, new: &Report) -> Result<Vec<String>> {
    let mut lines = vec![
        format!("old: {}", old.machine),
        format!("new: {}", new.machine),
        format!("{:<70} {:>9} {:>9} {:>7}", "", "old", "new", "change"),
    ];
    let mut common = 0;
    for row in &new.rows {
        let Some(before) = old.rows.iter().find(|before| before.name == row.name) else { continue };
        common += 1;
        lines.push(line(before, row));
    }
    ensure!(common > 0, "the two reports have no row in common");
    let missing = |these: &Report, others: &Report| {
        let absent = |row: &&Row| !others.rows.iter().any(|other| other.name == row.name);
        these.rows.iter().filter(absent).count()
    };
    let (gone, come) = (missing(old, new), missing(new, old));
    if gone + come > 0 {
        lines.push(format!("only in the old report: {gone} rows, only in the new one: {come}"));
    }
    Ok(lines)
}

fn line(old: &Row, new: &Row) -> String {
    let (Some(before), Some(after)) = (old.sample(), new.sample()) else {
        let why = new.failed.as_ref().or(old.failed.as_ref());
        return format!("{:<70} {}", new.name, why.map_or("not measured", String::as_str));
    };
    let verdict = verdict(before.interval(), after.interval(), new.less_is_better);
    let (before, after) = (before.median(), after.median());
    let change = if before == after { 0.0 } else { 100.0 * (after / before - 1.0) };
    format!(
        "{:<70} {:>9} {:>9} {change:>+6.1} %  {verdict}",
        new.name,
        number(before),
        number(after)
    )
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            bar::Bar,
            report::{Machine, Report, Row},
            sample::Sample,
        },
        Verdict, between, verdict, verdict_of_ratio,
    };

    #[test]
    fn intervals_that_overlap_say_nothing() {
        let old = (0.90, 0.92);
        assert_eq!(verdict(old, (0.91, 0.95), false), Verdict::Same);
        assert_eq!(verdict(old, (0.93, 0.95), false), Verdict::Better);
        assert_eq!(verdict(old, (0.93, 0.95), true), Verdict::Worse);
        assert_eq!(verdict(old, (0.80, 0.89), false), Verdict::Worse);
        assert_eq!(verdict(old, (0.80, 0.89), true), Verdict::Better);
        assert_eq!(verdict_of_ratio((0.99, 1.01), false), Verdict::Same);
        assert_eq!(verdict_of_ratio((1.01, 1.03), false), Verdict::Better);
    }

    #[test]
    fn rows_are_compared_by_their_names() {
        let report = |rows: &[(&str, f64)]| Report {
            machine: Machine {
                kernel: "6.18".into(),
                cpu: "a CPU".into(),
                cpus: 2,
                redirect_ns: 130.0,
                busy_percent: None,
                date: "2026-11-26T00:00:00Z".into(),
                revision: "abc".into(),
            },
            rows: rows
                .iter()
                .map(|&(name, value)| {
                    let sample = Sample { values: vec![value; 6] };
                    Row::measured((name.into(), "how".into()), ("ratio", false), sample, Bar::None)
                })
                .collect(),
        };
        let old = report(&[("a", 0.8), ("b", 0.5), ("gone", 1.0)]);
        let lines = between(&old, &report(&[("b", 0.5), ("a", 0.88)])).expect("common rows");
        assert!(lines[3].ends_with("+0.0 %  the same within the spread"), "{lines:?}");
        assert!(lines[4].ends_with("+10.0 %  better"), "{lines:?}");
        assert_eq!(lines[5], "only in the old report: 1 rows, only in the new one: 0");
        assert!(between(&old, &report(&[("c", 1.0)])).is_err());
    }
}
