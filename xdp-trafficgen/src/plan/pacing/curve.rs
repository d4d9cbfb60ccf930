//! Loads that change with time: the cumulative number of frames N(t) as the integral of the rate,
//! and the time of each frame.
//!
//! Frame k (from 0) leaves at the last moment at which N(t) is not yet above k. The first frame
//! leaves where the rate rises above zero. Of a step that lasts for exactly 1000 frames, frames 0
//! to 999 belong to the step, and frame 1000 to the next step. A period, or a load that ends,
//! therefore has N(end) frames, rounded up.
//!
//! The numbers of frames are exact; floating point only finds times within a piece. Times become
//! runs of constant gap: see [`runs`].

mod pieces;
mod sine;

use self::{pieces::Scale, sine::Sine};
use super::{
    nanos,
    rates::{or_endless, whole},
};
use crate::{
    config::{Profile, rate::Step},
    units::{Pps, Ratio},
};

/// A load that changes with time.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Curve {
    pub(super) shape: Shape,
    pub(super) ends: CurveEnd,
}

impl Curve {
    /// The curve of a profile whose rate changes; none of another.
    pub(super) fn of(profile: &Profile<Pps>) -> Option<Self> {
        let lines = Shape::lines;
        let again = |repeat: bool| if repeat { CurveEnd::Repeats } else { CurveEnd::Stops };
        let (shape, ends) = match profile {
            Profile::Constant(_) | Profile::Poisson { .. } | Profile::Burst(_) => return None,
            Profile::Ramp { from, to, over } => {
                (lines(vec![(nanos(*over), *from, *to)]), CurveEnd::Stays(to.ratio()))
            }
            Profile::Steps { steps, repeat } => {
                let step = |Step { rate, duration }: &Step<Pps>| (nanos(*duration), *rate, *rate);
                (lines(steps.iter().map(step).collect()), again(*repeat))
            }
            // Departures of a constant rate are exact.
            Profile::Sine { mean, amplitude, period } if amplitude.is_zero() => {
                (lines(vec![(nanos(*period), *mean, *mean)]), CurveEnd::Repeats)
            }
            Profile::Sine { mean, amplitude, period } => {
                let shape = Shape::Sine {
                    mean: mean.ratio(),
                    amplitude: amplitude.ratio(),
                    nanos: nanos(*period),
                };
                (shape, CurveEnd::Repeats)
            }
            Profile::Trace { points, repeat } => {
                let between = points.windows(2).map(|pair| {
                    let [begin, end] = [pair[0].0, pair[1].0].map(nanos);
                    (end.saturating_sub(begin), pair[0].1, pair[1].1)
                });
                (lines(between.collect()), again(*repeat))
            }
        };
        Some(Self { shape, ends })
    }

    /// The curve's highest rate, in frames a second.
    pub(super) fn peak(&self) -> f64 {
        match &self.shape {
            Shape::Lines(lines) => lines
                .iter()
                .fold(0.0, |most: f64, line| most.max(line.from.to_f64()).max(line.to.to_f64())),
            Shape::Sine { mean, amplitude, .. } => mean.to_f64() + amplitude.to_f64(),
        }
    }

    /// The curve's mean rate, in frames a second; the last rate where the curve stays at one.
    pub(super) fn mean(&self) -> f64 {
        match (&self.shape, self.ends) {
            (_, CurveEnd::Stays(rate)) => rate.to_f64(),
            (Shape::Lines(lines), CurveEnd::Repeats | CurveEnd::Stops) => {
                let frames =
                    |line: &Line| line.from.to_f64().midpoint(line.to.to_f64()) * line.nanos as f64;
                lines.iter().map(frames).sum::<f64>() / self.shape.nanos().max(1) as f64
            }
            (Shape::Sine { mean, .. }, CurveEnd::Repeats | CurveEnd::Stops) => mean.to_f64(),
        }
    }
}

/// The rate over time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Straight lines, one after the other.
    Lines(Vec<Line>),
    /// `mean + amplitude · sin(2π t / nanos)`, over one period.
    Sine { mean: Ratio, amplitude: Ratio, nanos: u64 },
}

impl Shape {
    /// Lines, without those of no length.
    fn lines(lines: Vec<(u64, Pps, Pps)>) -> Self {
        let line =
            |(nanos, from, to): (u64, Pps, Pps)| Line { nanos, from: from.ratio(), to: to.ratio() };
        Self::Lines(lines.into_iter().map(line).filter(|line| line.nanos > 0).collect())
    }

    /// Nanoseconds of the whole shape.
    pub(super) fn nanos(&self) -> u64 {
        match self {
            Self::Lines(lines) => {
                lines.iter().fold(0, |sum: u64, line| sum.saturating_add(line.nanos))
            }
            Self::Sine { nanos, .. } => *nanos,
        }
    }
}

/// A straight line from one rate to another.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Line {
    /// Nanoseconds of the line; not 0.
    pub(super) nanos: u64,
    pub(super) from: Ratio,
    pub(super) to: Ratio,
}

/// What follows a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum CurveEnd {
    /// The curve again.
    Repeats,
    /// Nothing.
    Stops,
    /// A constant rate without end.
    Stays(Ratio),
}

/// Frames that follow each other by the same gap.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Run {
    /// When the first frame leaves, in nanoseconds from the start of the period.
    pub(super) start: Ratio,
    /// The number of frames; `u64::MAX`: without end.
    pub(super) frames: u64,
    /// Nanoseconds from each frame to the next.
    pub(super) gap: Ratio,
}

/// More runs than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// Nanoseconds of a second.
const SECOND: u128 = 1_000_000_000;

/// A curve as runs of constant gap, at most `limit` of them. Where the rate is constant, all of a
/// run's frames are exact. Elsewhere its first frame and its last one are exact (rounded down to a
/// nanosecond), and the others leave within 1 % of the gap or within `nanos`, whichever is more, of
/// their exact time. All frames leave on the right side of each of the `cuts`, the times at which
/// flows begin or end: a frame that is due at the very end of a flow belongs to the time after it.
///
/// # Errors
/// When the curve takes more runs.
pub(super) fn runs(
    curve: &Curve,
    cuts: &[u64],
    nanos: u64,
    limit: usize,
) -> Result<Vec<Run>, TooMany> {
    let mut runs = Vec::new();
    match &curve.shape {
        Shape::Lines(lines) => {
            let mut at = Scale::new(lines, curve.ends).start();
            for line in lines {
                let piece = at.piece(line);
                match piece.constant_gap() {
                    Some(gap) if piece.frames() > 0 => {
                        runs.push(Run {
                            start: piece.start_of_constant(),
                            frames: piece.frames(),
                            gap,
                        });
                    }
                    Some(_) => {}
                    None => {
                        let (mut first, mut earliest) = (piece.first, 0);
                        let known =
                            cuts.iter().filter_map(|&cut| Some((piece.first_at(cut)?, cut)));
                        for (end, cut) in
                            known.chain([(piece.end, at.time.saturating_add(line.nanos))])
                        {
                            let time = |frame| piece.time(frame).clamp(earliest, cut - 1);
                            split(first..end, time, nanos, limit, &mut runs)?;
                            (first, earliest) = (end, cut);
                        }
                    }
                }
                at = at.after(line);
            }
            if let CurveEnd::Stays(rate) = curve.ends
                && !rate.is_zero()
            {
                // The first frame does not depend on the line's length.
                let piece = at.piece(&Line { nanos: u64::MAX / 4, from: rate, to: rate });
                let gap = Ratio::whole(SECOND).times(rate.inverse());
                runs.push(Run { start: piece.start_of_constant(), frames: u64::MAX, gap });
            }
        }
        &Shape::Sine { mean, amplitude, nanos: period } => {
            let sine = Sine {
                mean: mean.to_f64() / 1e9,
                amplitude: amplitude.to_f64() / 1e9,
                period: period as f64,
            };
            let frames = mean.times(Ratio::new(period, SECOND));
            let frames = or_endless(frames.numerator().div_ceil(frames.denominator()));
            // The rate rises, falls, and rises. A few points bound a chord's error only where the
            // rate does one of these.
            let turns = [0.0, 0.25, 0.75, 1.0]
                .map(|part| whole(sine.frames(part * sine.period)).min(frames));
            let turns = [0, turns[1], turns[2], frames];
            for part in turns.windows(2) {
                split(part[0]..part[1], |frame| sine.time(frame), nanos, limit, &mut runs)?;
            }
        }
    }
    if runs.len() > limit { Err(TooMany) } else { Ok(runs) }
}

/// Appends runs over these frames, each as long as its error allows. `time` is convex or concave in
/// the frames.
fn split(
    frames: std::ops::Range<u64>,
    time: impl Fn(u64) -> u64,
    nanos: u64,
    limit: usize,
    runs: &mut Vec<Run>,
) -> Result<(), TooMany> {
    let (mut first, mut tried) = (frames.start, 16);
    while first < frames.end {
        let mut steps = (frames.end - first - 1).min(tried);
        let (start, end) = loop {
            let points = [0, steps / 4, steps / 2, steps - steps / 4, steps]
                .map(|step| (step, time(first + step)));
            let off = chord_error(&points, nanos);
            if off <= 1.0 {
                // An error grows with the square of the length.
                tried = whole(steps as f64 * (0.9 / off.max(0.01).sqrt()).min(3.0)).max(1);
                break (points[0].1, points[4].1);
            }
            steps = whole(steps as f64 * (0.9 / off.sqrt()).max(0.2));
        };
        let gap = Ratio::new(end.saturating_sub(start), u128::from(steps).max(1));
        runs.push(Run { start: Ratio::whole(start), frames: steps + 1, gap });
        if runs.len() > limit {
            return Err(TooMany);
        }
        first += steps + 1;
    }
    Ok(())
}

/// The distance of points from the straight line between the first and the last, as a share of the
/// allowed error. On a curve that is convex or concave, the largest error at three points is at
/// least two thirds of the largest anywhere, so half is allowed here.
fn chord_error(points: &[(u64, u64); 5], nanos: u64) -> f64 {
    let [(_, start), .., (steps, end)] = *points;
    if steps < 2 {
        return 0.0;
    }
    let gap = points.windows(2).filter(|pair| pair[1].0 > pair[0].0).fold(
        f64::INFINITY,
        |least, pair| {
            least.min(pair[1].1.saturating_sub(pair[0].1) as f64 / (pair[1].0 - pair[0].0) as f64)
        },
    );
    let slope = end.saturating_sub(start) as f64 / steps as f64;
    let off = points.iter().fold(0.0f64, |most, &(step, time)| {
        most.max((time.saturating_sub(start) as f64 - slope * step as f64).abs())
    });
    off / (gap * 0.005).max(nanos as f64 / 2.0)
}
