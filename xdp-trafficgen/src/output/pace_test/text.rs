//! The report for people.

use std::{fmt::Write as _, time::Duration};

use crate::{
    output::{
        Format,
        numbers::{frames, grouped, pps, table},
        pace_test::{PaceTestReport, chart, share},
        shortfall::shortfall,
    },
    stats::{
        PortCount,
        gaps::{CLOSE_NS, PERMILLES, WITHIN_NS},
    },
};

/// The terminal's histogram: 64 bins of 32 ns, ±1 µs.
const BIN_NS: u32 = 32;
const BINS_EACH_SIDE: u32 = 32;

/// `--output text`.
pub const FORMAT: Format<PaceTestReport> = Format {
    name: "text",
    help: "Tables and sentences, for people",
    render: |report| Ok(render(report)),
};

/// Several lines, with a line feed at the end of each.
pub fn render(report: &PaceTestReport) -> String {
    let PaceTestReport {
        machine,
        receiver,
        sent,
        workers,
        late_threshold,
        arrived,
        missed,
        warm_up,
        gaps,
    } = report;
    let mut text = format!("{machine}\n");
    if let Some(port) = sent {
        let _ = writeln!(
            text,
            "{}: {} sent by {workers} worker{}, {} dropped",
            port.interface,
            frames(port.frames_tx),
            if *workers == 1 { "" } else { "s" },
            grouped(port.frames_dropped())
        );
        text += &punctuality(port, *late_threshold);
        for (reason, count) in &port.drops {
            let _ =
                writeln!(text, "{}: {} dropped: {}", port.interface, frames(*count), reason.code());
        }
    }
    let _ = writeln!(text, "{receiver}: {} arrived", frames(arrived + missed));
    if *missed > 0 {
        let _ = writeln!(
            text,
            "{receiver}: {} not written down, for there was no more room: more arrived than the rate is",
            frames(*missed)
        );
    }
    let _ = writeln!(text, "{}\n", rates(report));

    let headings = WITHIN_NS.map(|ns| format!("±{ns} ns"));
    let mut shares =
        table(&["gaps", headings[0].as_str(), &headings[1], &headings[2], &headings[3]], 1);
    let share_of = |part| format!("{:.2} %", 100.0 * share(part, gaps.count()));
    let within = WITHIN_NS.map(|ns| share_of(gaps.within(ns)));
    shares.add_row([&["within".to_owned()][..], &within].concat());
    let _ = writeln!(text, "{shares}\n");

    let mut headings = vec!["percentile".to_owned(), "least".to_owned()];
    headings.extend(PERMILLES.map(percent));
    headings.push("most".to_owned());
    let mut errors = table(&headings.iter().map(String::as_str).collect::<Vec<_>>(), 1);
    let mut row = vec!["error, ns".to_owned(), nanoseconds(gaps.least_ns())];
    row.extend(PERMILLES.map(|permille| nanoseconds(gaps.percentile_ns(permille))));
    row.push(nanoseconds(gaps.most_ns()));
    errors.add_row(row);
    let _ = writeln!(text, "{errors}\n");

    let _ = writeln!(
        text,
        "standard deviation {:.0} ns; {} ({}) less than {CLOSE_NS} ns behind the one before",
        gaps.deviation_ns(),
        frames(gaps.close()),
        share_of(gaps.close()),
    );
    if !warm_up.is_zero() {
        let _ = writeln!(text, "left out as warm-up: {}", left_out(*warm_up, gaps.warm_up_frames));
    }
    let _ = writeln!(
        text,
        "\nshare of gaps (logarithmic) by error, in bins of {BIN_NS} ns; at the edges all that is beyond"
    );
    text + &chart::render(&gaps.histogram(BIN_NS, BINS_EACH_SIDE))
}

/// How the sender kept its departures, by its own clock and count.
fn punctuality(port: &PortCount, threshold: Duration) -> String {
    let Some(punctuality) = port.punctuality else { return String::new() };
    let mut text = format!(
        "{}: {} left more than {threshold:?} late, {:.1?} at worst",
        port.interface,
        frames(punctuality.late),
        punctuality.worst
    );
    if let Some(batch_size) = port.batch_size {
        let _ = write!(text, "; {batch_size} at a time at most");
    }
    text.push('\n');
    if let Some(sentence) = shortfall(port) {
        let _ = writeln!(text, "{}: {sentence}", port.interface);
    }
    text
}

fn left_out(warm_up: Duration, count: u64) -> String {
    format!("the first {}, {}", humantime::format_duration(warm_up), frames(count))
}

/// What was wanted, and what there was.
fn rates(report: &PaceTestReport) -> String {
    let (requested, mean) = (report.requested_pps(), report.gaps.mean_pps());
    format!(
        "wanted {}, a frame every {} ns; measured {:.1} pps ({:+.4} %) over {} gaps in {:.3} s",
        pps(requested),
        trimmed(report.gaps.nominal_ns),
        mean,
        // No −0.0000.
        (1e6 * (mean / requested - 1.0)).round() / 1e4 + 0.0,
        grouped(report.gaps.count()),
        report.gaps.span.as_secs_f64()
    )
}

/// With decimals only where they say something.
fn trimmed(number: f64) -> String {
    let digits = format!("{number:.3}");
    digits.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn percent(permille: u64) -> String {
    match (permille / 10, permille % 10) {
        (whole, 0) => format!("{whole} %"),
        (whole, tenth) => format!("{whole}.{tenth} %"),
    }
}

fn nanoseconds(number: f64) -> String {
    match format!("{number:+.0}").as_str() {
        "+0" | "-0" => "0".to_owned(),
        text => text.replace('-', "−"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::pace_test::tests::{report, sent};

    /// The words of the first line that starts with this.
    #[track_caller]
    fn check(errors: &[i64], start: &str, expected: &str) {
        let text = render(&report(errors));
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(start))
            .unwrap_or_else(|| panic!("{text}"));
        assert_eq!(line.split_whitespace().collect::<Vec<_>>().join(" "), expected);
    }

    #[test]
    fn the_figures() {
        let errors = [0, 10, -70, 100, -200, 300, 0, -1900, 760, 1000];
        check(&errors, "within", "within 30.00 % 50.00 % 60.00 % 70.00 %");
        check(
            &errors,
            "error",
            "error, ns −1900 −1900 −1900 −1900 −1900 0 +760 +1000 +1000 +1000 +1000",
        );
        check(
            &errors,
            "wanted",
            "wanted 500 kpps, a frame every 2000 ns; measured 500000.0 pps (+0.0000 %) over 10 gaps in 0.000 s",
        );
        check(
            &[0, -1900],
            "standard",
            "standard deviation 950 ns; 1 frame (50.00 %) less than 200 ns behind the one before",
        );
    }

    #[test]
    fn what_is_left_out_is_said() {
        let text = render(&PaceTestReport {
            warm_up: Duration::from_millis(100),
            missed: 7,
            ..report(&[0])
        });
        assert!(text.contains("left out as warm-up: the first 100ms, 0 frames"), "{text}");
        assert!(
            text.contains("xtg1: 9 frames arrived")
                && text.contains("xtg1: 7 frames not written down"),
            "{text}"
        );
        assert!(!render(&report(&[0])).contains("warm-up"));
    }

    #[test]
    fn what_the_sender_knows_is_said() {
        #[track_caller]
        fn check(unsent: u64, expected: &[&str]) {
            let text =
                render(&PaceTestReport { sent: Some(sent(unsent)), workers: 1, ..report(&[0]) });
            let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("xtg0: ")).collect();
            assert_eq!(lines[0], "xtg0: 1 000 frames sent by 1 worker, 0 dropped");
            assert_eq!(&lines[1..], expected);
        }
        let late = "xtg0: 7 frames left more than 1µs late, 35.2µs at worst; 1 at a time at most";
        check(0, &[late]);
        let short = "xtg0: asked for 500 kpps, sent 499.95 kpps: 1 000 departures (50.00 %) had no frame, for the workers were too \
                     far behind; ask for less, or use more CPUs";
        check(1000, &[late, short]);
    }
}
