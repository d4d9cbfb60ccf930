//! A histogram of gaps, in characters. The shares are logarithmic: the tails are what matters, and
//! they are small.

use crate::{output::pace_test::share, stats::gaps::Histogram};

/// Powers of ten shown: from 100 % down to 0.001 %.
const DECADES: usize = 5;
const ROWS_PER_DECADE: usize = 2;
const ROWS: usize = DECADES * ROWS_PER_DECADE;
/// From empty to full.
const EIGHTHS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The columns of the labels at the left.
const MARGIN: usize = 9;

/// Several lines, with a line feed at the end of each: a column for each bin, and at either side
/// one for all that is beyond.
pub fn render(histogram: &Histogram) -> String {
    let height = |count: &u64| height(*count, histogram.total());
    let bins: Vec<usize> = histogram.counts.iter().map(height).collect();
    let (below, above) = (height(&histogram.below), height(&histogram.above));
    let mut text = String::new();
    for row in (0..ROWS).rev() {
        let cell = |height: usize| EIGHTHS[height.saturating_sub(8 * row).min(8)];
        let columns: String = bins.iter().map(|&height| cell(height)).collect();
        let line = format!("{:>MARGIN$}{} {columns} {}", label(row), cell(below), cell(above));
        text += line.trim_end();
        text.push('\n');
    }
    text += &axis(histogram);
    text
}

/// Eighths of a row. What happened at all is seen.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "between 1 and 8 times the rows"
)]
fn height(count: u64, total: u64) -> usize {
    if count == 0 {
        return 0;
    }
    let full = (8 * ROWS) as f64;
    let decades = DECADES as f64;
    ((share(count, total).log10() + decades) / decades * full).round().clamp(1.0, full) as usize
}

/// The share at the upper edge of a row, where that is a power of ten.
fn label(row: usize) -> &'static str {
    const LABELS: [&str; DECADES] = ["0.01 % ┤", "0.1 % ┤", "1 % ┤", "10 % ┤", "100 % ┤"];
    if row % ROWS_PER_DECADE == ROWS_PER_DECADE - 1 { LABELS[row / ROWS_PER_DECADE] } else { "│" }
}

/// The line below, and at its ticks the errors.
fn axis(histogram: &Histogram) -> String {
    let columns = histogram.counts.len();
    let tick_columns = [0, columns / 4, columns / 2, columns - columns / 4, columns];
    let line: String = (0..=columns)
        .map(|column| if tick_columns.contains(&column) { '┴' } else { '─' })
        .collect();
    let mut labels: Vec<char> = Vec::new();
    for column in tick_columns {
        let ns = histogram.first_ns() + i64::from(histogram.bin_ns) * column as i64;
        let label = match ns {
            0 => "0".to_owned(),
            ns if ns < 0 => format!("−{}", -ns),
            ns => format!("+{ns}"),
        };
        // Centred below its tick, which is two columns further on: the one for what is below, and a
        // space.
        let start = (MARGIN + 2 + column).saturating_sub(label.chars().count() / 2);
        labels.resize(start.max(labels.len() + usize::from(!labels.is_empty())), ' ');
        labels.extend(label.chars());
    }
    let labels: String = labels.into_iter().collect();
    format!("{:>MARGIN$}──{line}─\n{labels} ns\n", "└")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_are_logarithmic() {
        #[track_caller]
        fn check(count: u64, total: u64, eighths: usize) {
            assert_eq!(height(count, total), eighths, "{count} of {total}");
        }
        check(0, 100, 0);
        check(100, 100, 80);
        check(10, 100, 64);
        check(1, 100_000, 1);
        check(1, 10_000, 16);
        check(1, u64::MAX, 1);
        check(0, 0, 0);
    }

    #[test]
    fn a_chart() {
        let histogram = Histogram {
            bin_ns: 256,
            counts: vec![0, 1, 10, 989, 0, 0, 0, 0],
            below: 0,
            above: 100,
        };
        let expected = [
            " 100 % ┤     ▇",
            "       │     █",
            "  10 % ┤     █     ▇",
            "       │     █     █",
            "   1 % ┤    ▇█     █",
            "       │    ██     █",
            " 0.1 % ┤   ▇██     █",
            "       │   ███     █",
            "0.01 % ┤   ███     █",
            "       │   ███     █",
            "       └──┴─┴─┴─┴─┴─",
        ];
        let chart = render(&histogram);
        let lines: Vec<String> =
            chart.lines().take(11).map(|line| line.chars().skip(1).collect()).collect();
        assert_eq!(lines, expected, "\n{chart}");
    }

    #[test]
    fn labels_are_below_their_ticks() {
        let histogram = Histogram { bin_ns: 32, counts: vec![1; 64], below: 0, above: 0 };
        let chart = render(&histogram);
        let (line, labels) = (chart.lines().nth(10).unwrap(), chart.lines().nth(11).unwrap());
        let ticks: Vec<usize> =
            line.chars().enumerate().filter(|(_, c)| *c == '┴').map(|(column, _)| column).collect();
        assert_eq!(ticks, [11, 27, 43, 59, 75]);
        assert_eq!(
            labels.split_whitespace().collect::<Vec<_>>(),
            ["−1024", "−512", "0", "+512", "+1024", "ns"]
        );
        assert_eq!(labels.chars().nth(43), Some('0'));
    }
}
