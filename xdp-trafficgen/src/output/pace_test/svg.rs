//! The histogram as a picture.

use plotters::{
    coord::Shift,
    prelude::{
        ChartBuilder, Color as _, DrawingArea, DrawingAreaErrorKind, DrawingBackend,
        IntoDrawingArea as _, IntoFont as _, IntoLogRange as _, RGBColor, Rectangle, SVGBackend,
        Text, WHITE,
    },
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    output::{
        numbers::{grouped, pps},
        pace_test::{PaceTestReport, share},
    },
    stats::gaps::WITHIN_NS,
};

const SIZE: (u32, u32) = (960, 540);
const BIN_NS: u32 = 16;
const BINS_EACH_SIDE: u32 = 64;
/// What is beyond the bins has a bar at either side, this far from them and so wide, in
/// nanoseconds.
const BEYOND_NS: (i32, i32) = (24, 40);
/// The smallest share that is seen, in per cent.
const FLOOR: f64 = 0.0005;

const INK: RGBColor = RGBColor(0x22, 0x2b, 0x38);
const FAINT: RGBColor = RGBColor(0xd9, 0xde, 0xe5);
const BEYOND: RGBColor = RGBColor(0x8a, 0x93, 0xa0);
/// For gaps within each of [`WITHIN_NS`], and for those that are in none.
const COLOURS: [RGBColor; 5] = [
    RGBColor(0x0b, 0x6e, 0x4f),
    RGBColor(0x2a, 0x9d, 0x6f),
    RGBColor(0xe0, 0xa4, 0x1e),
    RGBColor(0xd9, 0x6b, 0x27),
    RGBColor(0xb3, 0x30, 0x3a),
];

/// The whole file.
///
/// # Errors
/// None that can come from writing into memory.
pub fn render(report: &PaceTestReport) -> Result<String, String> {
    let mut text = String::new();
    {
        let area = SVGBackend::with_string(&mut text, SIZE).into_drawing_area();
        draw(report, &area).map_err(|error| error.to_string())?;
    }
    Ok(text)
}

fn draw<B: DrawingBackend>(
    report: &PaceTestReport,
    area: &DrawingArea<B, Shift>,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    area.fill(&WHITE)?;
    let font = |size: i32| ("sans-serif", size).into_font().color(&INK);
    let title = format!(
        "Gaps between frames at {}: nominally {:.0} ns, mean rate {:.3} kpps",
        pps(report.requested_pps()),
        report.gaps.nominal_ns,
        report.gaps.mean_pps() / 1e3
    );
    area.draw(&Text::new(title, (96, 18), font(20)))?;
    let workers = match report.workers {
        0 => String::new(),
        1 => ", 1 worker".to_owned(),
        count => format!(", {count} workers"),
    };
    let subtitle = format!("{}{workers}; {} gaps", report.machine, grouped(report.gaps.count()));
    area.draw(&Text::new(subtitle, (96, 44), font(13)))?;

    let histogram = report.gaps.histogram(BIN_NS, BINS_EACH_SIDE);
    let side = (BIN_NS * BINS_EACH_SIDE).cast_signed();
    let edge = side + BEYOND_NS.0 + BEYOND_NS.1;
    let mut chart = ChartBuilder::on(area)
        .margin_top(76)
        .margin_right(24)
        .margin_left(20)
        .margin_bottom(8)
        .x_label_area_size(52)
        .y_label_area_size(76)
        .build_cartesian_2d(-edge..edge, (FLOOR..100.0).log_scale())?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .bold_line_style(FAINT)
        .light_line_style(WHITE.mix(0.0))
        .axis_style(INK)
        .label_style(font(13))
        .axis_desc_style(font(14))
        .x_labels(9)
        .x_label_formatter(&|ns| signed(*ns))
        .y_label_formatter(&|percent| format!("{percent} %"))
        .x_desc("error of the gap in ns; grey: all that is beyond")
        .y_desc(format!("share of gaps in each {BIN_NS} ns (logarithmic)"))
        .draw()?;

    let percent = |count: u64| 100.0 * share(count, histogram.total());
    let bar = |from: i32, to: i32, count: u64, colour: RGBColor| {
        Rectangle::new([(from, FLOOR), (to, percent(count).max(FLOOR))], colour.filled())
    };
    let width = BIN_NS.cast_signed();
    let bins =
        (-side..).step_by(BIN_NS as usize).zip(&histogram.counts).filter(|&(_, &count)| count > 0);
    chart.draw_series(
        bins.map(|(from, &count)| bar(from, from + width, count, colour(from, width))),
    )?;
    let beyond = [(-edge, histogram.below), (edge - BEYOND_NS.1, histogram.above)];
    let beyond = beyond.into_iter().filter(|&(_, count)| count > 0);
    chart.draw_series(beyond.map(|(from, count)| bar(from, from + BEYOND_NS.1, count, BEYOND)))?;
    legend(report, area)
}

/// That of the narrowest range the bin lies in.
fn colour(from: i32, width: i32) -> RGBColor {
    let furthest = u64::from(from.unsigned_abs().max((from + width).unsigned_abs()));
    let range = WITHIN_NS.iter().position(|&ns| furthest <= ns).unwrap_or(WITHIN_NS.len());
    COLOURS[range]
}

/// What share of the gaps is within each range, at the upper right.
fn legend<B: DrawingBackend>(
    report: &PaceTestReport,
    area: &DrawingArea<B, Shift>,
) -> Result<(), DrawingAreaErrorKind<B::ErrorType>> {
    let [x, y, line] = [742, 92, 21];
    let font = ("sans-serif", 14).into_font().color(&INK);
    let right = font.pos(Pos::new(HPos::Right, VPos::Top));
    let mut row = y;
    for (ns, colour) in WITHIN_NS.into_iter().zip(COLOURS) {
        let within = 100.0 * share(report.gaps.within(ns), report.gaps.count());
        area.draw(&Rectangle::new([(x, row + 1), (x + 12, row + 13)], colour.filled()))?;
        area.draw(&Text::new(format!("within ±{ns} ns"), (x + 20, row), font.clone()))?;
        area.draw(&Text::new(format!("{within:.2} %"), (930, row), right.clone()))?;
        row += line;
    }
    Ok(())
}

/// With the typographic minus, and a plus.
fn signed(ns: i32) -> String {
    match ns {
        0 => "0".to_owned(),
        ns if ns < 0 => format!("−{}", -ns),
        ns => format!("+{ns}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::pace_test::tests::report;

    #[test]
    fn the_picture_says_what_it_shows() {
        let svg = render(&report(&[0, 10, -70, 100, -200, 300, 0, -1900, 760, 1000])).unwrap();
        for part in [
            "500 kpps",
            "within ±64 ns",
            "30.00 %",
            "within ±512 ns",
            "70.00 %",
            "mean rate 500.000 kpps",
        ] {
            assert!(svg.contains(part), "no {part} in {svg}");
        }
        assert!(svg.contains("A &amp; B &lt;CPU&gt;"), "names are no markup: {svg}");
        assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
    }

    #[test]
    fn bins_have_the_colour_of_their_range() {
        #[track_caller]
        fn check(from: i32, range: usize) {
            assert_eq!(colour(from, 16), COLOURS[range], "{from}");
        }
        check(0, 0);
        check(48, 0);
        check(64, 1);
        check(-64, 0);
        check(-80, 1);
        check(496, 3);
        check(512, 4);
        check(-1024, 4);
    }
}
