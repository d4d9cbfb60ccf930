//! The lines of a curve as pieces whose frames are counted exactly.

use super::{CurveEnd, Line, SECOND};
use crate::{
    plan::pacing::rates::{or_endless, whole},
    units::{Ratio, gcd},
};

/// The unit in which frames are counted, so that every piece has a whole number of units.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    /// Units of a rate of one frame a second.
    rate: u128,
}

impl Scale {
    /// The rates' common denominator; 2⁴⁰ where numbers would grow too large, with rates rounded to
    /// it.
    pub(super) fn new(lines: &[Line], ends: CurveEnd) -> Self {
        let stays = match ends {
            CurveEnd::Stays(rate) => rate,
            CurveEnd::Repeats | CurveEnd::Stops => Ratio::ZERO,
        };
        let rates = || lines.iter().flat_map(|line| [line.from, line.to]).chain([stays]);
        let common = rates().try_fold(1u128, |common, rate| {
            common.checked_mul(rate.denominator() / gcd(common, rate.denominator()))
        });
        let fits = |common: u128| {
            let units = |rate: Ratio| {
                rate.numerator().checked_mul(common / rate.denominator())?.checked_mul(2)
            };
            let all = lines.iter().try_fold(0u128, |sum, line| {
                let rate = units(line.from)?.checked_add(units(line.to)?)?;
                sum.checked_add(rate.checked_mul(line.nanos.into())?)
            });
            common < 1 << 64 && all.is_some_and(|all| all < 1 << 126)
        };
        Self { rate: common.filter(|&common| fits(common)).unwrap_or(1 << 40) }
    }

    pub(super) const fn start(self) -> Position {
        Position { scale: self, time: 0, count: 0 }
    }

    fn units(self, rate: Ratio) -> u128 {
        if self.rate.is_multiple_of(rate.denominator()) {
            return rate.numerator() * (self.rate / rate.denominator());
        }
        Ratio::whole(self.rate).times(rate).nearest()
    }

    /// The units of a frame.
    const fn frame(self) -> u128 {
        2 * SECOND * self.rate
    }
}

/// The start of a piece: the time and the units before it.
#[derive(Clone, Copy)]
pub(super) struct Position {
    scale: Scale,
    pub(super) time: u64,
    count: u128,
}

impl Position {
    pub(super) fn after(self, line: &Line) -> Self {
        Self {
            scale: self.scale,
            time: self.time.saturating_add(line.nanos),
            count: self.piece(line).last,
        }
    }

    pub(super) fn piece(self, line: &Line) -> Piece {
        let frame = self.scale.frame();
        let (from, to) = (self.scale.units(line.from), self.scale.units(line.to));
        // The count of a line without end, after the last one, may saturate.
        let last = self.count.saturating_add((from + to).saturating_mul(line.nanos.into()));
        Piece {
            start: self,
            nanos: line.nanos,
            from,
            to,
            last,
            first: or_endless(self.count.div_ceil(frame)),
            end: or_endless(last.div_ceil(frame)),
        }
    }
}

/// A line and its frames.
pub(super) struct Piece {
    start: Position,
    nanos: u64,
    /// The rates at both ends, in units: t nanoseconds at a constant rate have 2 · rate · t units.
    from: u128,
    to: u128,
    /// The count at the piece's end.
    last: u128,
    pub(super) first: u64,
    pub(super) end: u64,
}

impl Piece {
    pub(super) const fn frames(&self) -> u64 {
        self.end - self.first
    }

    /// The gap of a constant rate; none when the rate changes, and without meaning when it is zero,
    /// since the piece has no frames.
    pub(super) fn constant_gap(&self) -> Option<Ratio> {
        (self.from == self.to).then(|| Ratio::new(self.start.scale.frame(), (2 * self.from).max(1)))
    }

    /// When the first frame of a constant rate leaves, exactly.
    pub(super) fn start_of_constant(&self) -> Ratio {
        let before =
            (u128::from(self.first) * self.start.scale.frame()).saturating_sub(self.start.count);
        let after = Ratio::new(before, (2 * self.from).max(1));
        let start = after
            .denominator()
            .checked_mul(self.start.time.into())
            .and_then(|start| start.checked_add(after.numerator()));
        start.map_or_else(
            || Ratio::whole(self.time(self.first)),
            |above| Ratio::new(above, after.denominator()),
        )
    }

    /// The piece's first frame that is due at `cut` or later; none when the cut is outside of the
    /// piece, or when numbers are too large for an exact answer. Until then the piece has `2·a·t +
    /// (b - a)·t²/T` units.
    pub(super) fn first_at(&self, cut: u64) -> Option<u64> {
        let time = u128::from(
            cut.checked_sub(self.start.time).filter(|time| (1..self.nanos).contains(time))?,
        );
        let straight = self.from.checked_mul(2)?.checked_mul(time)?;
        let bend = self.from.abs_diff(self.to).checked_mul(time)?.checked_mul(time)?;
        let counted = if self.from < self.to {
            straight.checked_add(bend.div_ceil(self.nanos.into()))?
        } else {
            straight.checked_sub(bend / u128::from(self.nanos))?
        };
        let frame = self.start.count.checked_add(counted)?.div_ceil(self.start.scale.frame());
        Some(or_endless(frame).clamp(self.first, self.end))
    }

    /// When one of the piece's frames leaves.
    pub(super) fn time(&self, frame: u64) -> u64 {
        let units = u128::from(frame) * self.start.scale.frame();
        let before = units.saturating_sub(self.start.count);
        let left = self.last.saturating_sub(units);
        let (from, to, nanos) = (self.from as f64, self.to as f64, self.nanos as f64);
        // N = 2·a·t + (b - a)·t²/T, solved for t from the end with the lower rate, which avoids a
        // difference of close numbers.
        let after = if self.from == self.to {
            or_endless(before / (2 * self.from).max(1))
        } else if self.from < self.to {
            let before = before as f64;
            let root = (from * from + (to - from) * before / nanos).sqrt();
            if before > 0.0 { whole(before / (from + root)) } else { 0 }
        } else {
            let left = left as f64;
            let root = (to * to + (from - to) * left / nanos).sqrt();
            let until_end = if left > 0.0 { left / (to + root) } else { 0.0 };
            self.nanos.saturating_sub(whole(until_end.ceil()))
        };
        self.start.time.saturating_add(after)
    }
}
