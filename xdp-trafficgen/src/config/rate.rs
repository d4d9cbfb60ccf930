//! Rates, load profiles, and the late policy.

mod shown;
mod text;

use std::time::Duration;

pub use text::Unit;
pub(in crate::config) use text::{above_the_line, catch_up};
#[doc(hidden)]
pub use text::{parse_behind, parse_factor, parse_rate, parse_rate_in, parse_speed, parse_unit};

use crate::units::Ratio;

/// A rate as it was written. It is zero only within a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The number of units; both terms have 64 bits ([`Ratio::is_short`]).
    pub amount: Ratio,
    /// The unit.
    pub unit: RateUnit,
}

impl Rate {
    /// Whether the rate is zero: a pause.
    pub const fn is_zero(&self) -> bool {
        self.amount.is_zero()
    }
}

/// A profile that cannot be multiplied, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotScalable {
    /// The profile has bursts, whose distance is a gap.
    #[error("how often bursts come is said by gaps, which `--scale` does not change")]
    Burst,
    /// The product is above the line rate.
    #[error("multiplied, it is more than the line carries")]
    AboveTheLine,
    /// The product's terms have more than 64 bits.
    #[error("multiplied, it is too large, or has too many digits")]
    TooLong,
}

impl Rate {
    /// The rate times `by`.
    fn scaled(self, by: Ratio) -> Result<Self, NotScalable> {
        // The product of short ratios is exact.
        let amount = Some(self.amount.times(by))
            .filter(|amount| amount.is_short())
            .ok_or(NotScalable::TooLong)?;
        if self.unit == RateUnit::LineShare && amount > Ratio::ONE {
            return Err(NotScalable::AboveTheLine);
        }
        Ok(Self { amount, ..self })
    }
}

impl Profile {
    /// The profile with all of its rates times `by`, which is not zero.
    ///
    /// # Errors
    /// When the profile has bursts, or a product is too high.
    pub fn scaled(&self, by: Ratio) -> Result<Self, NotScalable> {
        if matches!(self, Self::Burst(_)) {
            return Err(NotScalable::Burst);
        }
        let scaled = self.try_map(|rate| rate.scaled(by))?;
        if let Self::Sine { mean, amplitude, .. } = &scaled {
            let most = mean.amount.to_f64() + amplitude.amount.to_f64();
            if mean.unit == RateUnit::LineShare && most > 1.0 + 1e-12 {
                return Err(NotScalable::AboveTheLine);
            }
        }
        Ok(scaled)
    }
}

impl<R> Profile<R> {
    /// The same profile with each of its rates in another form.
    ///
    /// # Errors
    /// The first error of `form`.
    pub(crate) fn try_map<Q, E>(&self, form: impl Fn(&R) -> Result<Q, E>) -> Result<Profile<Q>, E> {
        Ok(match self {
            Self::Constant(rate) => Profile::Constant(form(rate)?),
            Self::Poisson { mean, seed } => Profile::Poisson { mean: form(mean)?, seed: *seed },
            Self::Burst(Burst { packets, spacing, inter_burst_gap, bursts }) => {
                Profile::Burst(Burst {
                    packets: *packets,
                    spacing: match spacing {
                        Spacing::Link => Spacing::Link,
                        Spacing::Gap(gap) => Spacing::Gap(*gap),
                        Spacing::Rate(rate) => Spacing::Rate(form(rate)?),
                    },
                    inter_burst_gap: *inter_burst_gap,
                    bursts: *bursts,
                })
            }
            Self::Ramp { from, to, over } => {
                Profile::Ramp { from: form(from)?, to: form(to)?, over: *over }
            }
            Self::Steps { steps, repeat } => {
                let step =
                    |step: &Step<R>| Ok(Step { rate: form(&step.rate)?, duration: step.duration });
                Profile::Steps {
                    steps: steps.iter().map(step).collect::<Result<_, E>>()?,
                    repeat: *repeat,
                }
            }
            Self::Sine { mean, amplitude, period } => {
                Profile::Sine { mean: form(mean)?, amplitude: form(amplitude)?, period: *period }
            }
            Self::Trace { points, repeat } => {
                let point = |(at, rate): &(Duration, R)| Ok((*at, form(rate)?));
                Profile::Trace {
                    points: points.iter().map(point).collect::<Result<_, E>>()?,
                    repeat: *repeat,
                }
            }
        })
    }
}

/// The unit of a [`Rate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateUnit {
    /// Frames a second: `500kpps`.
    Frames,
    /// Bits a second of the frames with their FCS: `10Gbps`.
    BitsL2,
    /// Bits a second of what the wire carries, preamble and gap (20 bytes a frame, IEEE 802.3)
    /// included: `10GbpsL1`.
    BitsL1,
    /// A share of the line rate, counted as `BitsL1`: 1 is all of it (`100%`), the largest share.
    LineShare,
}

/// When the frames of a flow, or of a port, leave: at rates as written, or in the exact form that
/// the plan gives them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profile<R = Rate> {
    /// Frames leave at equal gaps.
    Constant(R),
    /// Frames leave at random, independently of each other: a Poisson process with this mean rate,
    /// which is not zero.
    Poisson {
        /// The mean.
        mean: R,
        /// The same seed gives the same departures.
        seed: Option<u64>,
    },
    /// Groups of frames with pauses between them.
    Burst(Burst<R>),
    /// The rate changes evenly from one to another, and then stays. `over` is not zero, and at most one
    /// rate is.
    Ramp {
        /// The rate at the start.
        from: R,
        /// The rate after `over`.
        to: R,
        /// Time from the first rate to the last.
        over: Duration,
    },
    /// One rate after the other, each for its time, which is not zero; not all rates are zero.
    /// Their times together fit 64 bits of nanoseconds.
    Steps {
        /// The steps; at least one.
        steps: Vec<Step<R>>,
        /// Whether they start again; otherwise the load ends with the last.
        repeat: bool,
    },
    /// `mean + amplitude · sin(2π t / period)`, which is never below zero: a load that follows the day.
    /// It starts at the mean and rises.
    Sine {
        /// The mean; not zero.
        mean: R,
        /// The largest difference from the mean: at most the mean, and in the same unit. Together
        /// they are at most the line rate.
        amplitude: R,
        /// The length of a cycle; not zero.
        period: Duration,
    },
    /// Rates at points of time, with straight lines between them.
    Trace {
        /// At least two times with their rates. Times count from the start, the first is 0, and each
        /// is later than the one before. Rates have the same unit and are not all zero.
        points: Vec<(Duration, R)>,
        /// Whether it starts again; otherwise the load ends with the last point.
        repeat: bool,
    },
}

/// Groups of frames with pauses between them (Open Traffic Generator: `duration.burst`). The time from
/// the first frame of a burst to that of the next one fits 64 bits of nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst<R = Rate> {
    /// Frames of a burst, at least 1.
    pub packets: u64,
    /// How its frames follow each other.
    pub spacing: Spacing<R>,
    /// From the last frame of a burst to the first of the next one; not zero.
    pub inter_burst_gap: Duration,
    /// The number of bursts, at least 1; none for bursts without end.
    pub bursts: Option<u64>,
}

/// How the frames of a burst follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing<R = Rate> {
    /// As fast as the link carries them; 100 Gbit/s where its speed is unknown.
    Link,
    /// With this gap, which is not zero.
    Gap(Duration),
    /// At this rate, which is not zero: the gap may be a fraction of nanoseconds.
    Rate(R),
}

/// A rate for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step<R = Rate> {
    /// The rate; zero for a pause.
    pub rate: R,
    /// How long the rate lasts; not zero.
    pub duration: Duration,
}

/// The late policy: what happens to overdue departures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatePolicy {
    /// Frames are sent late, while their departures are overdue by no more than this time, which is
    /// not zero; older departures are unsent. Late frames leave at twice the rate at most.
    CatchUp(Duration),
    /// Overdue departures are unsent.
    Skip,
}

impl LatePolicy {
    /// The default: longer than another guest of a busy machine occupies a CPU.
    pub const DEFAULT: Self = Self::CatchUp(Duration::from_millis(100));
}

/// The largest number of steps and points of traces in a configuration, all together.
pub const MAX_POINTS: usize = 1_000_000;

/// Frames that leave later than this after they were due count as late by default.
pub const DEFAULT_LATE_THRESHOLD: Duration = Duration::from_micros(1);
