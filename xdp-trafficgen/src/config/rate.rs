//! How fast frames leave, and how that changes with time: rates, load profiles, and what to do when one is behind.

use std::time::Duration;

/// A fraction that is not negative, in lowest terms; the denominator is at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    /// Above the line.
    pub numerator: u64,
    /// Below the line.
    pub denominator: u64,
}

/// A load, as written. Zero only within a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// How much of the unit.
    pub amount: Ratio,
    /// Of what.
    pub unit: RateUnit,
}

/// What a [`Rate`] counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RateUnit {
    /// Frames a second: `500kpps`.
    Frames,
    /// Bits a second of the frames with their FCS: `10Gbps`.
    BitsL2,
    /// Bits a second of what the wire carries, preamble and gap (20 bytes a frame, IEEE 802.3) included: `10GbpsL1`.
    BitsL1,
    /// A share of the line rate, counted as `BitsL1`: 1 is all of it (`100%`).
    LineShare,
}

/// When the frames of a flow, or of a port, leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Profile {
    /// At equal distances.
    Constant(Rate),
    /// At random, independently of each other: a Poisson process of this mean rate, which is not zero.
    Poisson {
        /// The mean.
        mean: Rate,
        /// The same seed gives the same departures.
        seed: Option<u64>,
    },
    /// Groups of frames with pauses between them.
    Burst(Burst),
    /// From one rate evenly to another, which then stays. `over` is not zero, and not both rates are.
    Ramp {
        /// At the start.
        from: Rate,
        /// After `over`.
        to: Rate,
        /// How long it takes.
        over: Duration,
    },
    /// One rate after the other, each for its time, which is not zero; not all rates are zero.
    Steps {
        /// Not empty.
        steps: Vec<Step>,
        /// Whether they start again; otherwise the load ends with the last.
        repeat: bool,
    },
    /// `mean + amplitude · sin(2π t / period)`, which is never below zero: load that follows a day. Starts at the mean, and
    /// rises.
    Sine {
        /// In the middle; not zero.
        mean: Rate,
        /// Above and below it, not more than the mean. Of the same unit.
        amplitude: Rate,
        /// Not zero.
        period: Duration,
    },
    /// Rates at points of time, with straight lines between them.
    Trace {
        /// Times from the start, in order, the first at 0; at least two; all rates of the same unit and not all zero.
        points: Vec<(Duration, Rate)>,
        /// Whether it starts again; otherwise the load ends with the last point.
        repeat: bool,
    },
}

/// Groups of frames with pauses between them (Open Traffic Generator: `duration.burst`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Burst {
    /// Frames of a burst, at least 1.
    pub packets: u64,
    /// From a frame of a burst to the next one; zero: as fast as they can.
    pub gap: Duration,
    /// From the last frame of a burst to the first of the next one; not zero.
    pub inter_burst_gap: Duration,
    /// How many bursts, at least 1; without end when none.
    pub bursts: Option<u64>,
}

/// A rate for a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// May be zero: a pause.
    pub rate: Rate,
    /// Not zero.
    pub duration: Duration,
}

/// What becomes of departures that are overdue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Their frames are sent late, while they are overdue by no more than this; older ones are never sent. The frames made up
    /// for leave at twice the rate at most.
    CatchUp(Duration),
    /// Their frames are never sent.
    Skip,
}

impl Behind {
    /// What nobody has to write. Longer than another guest of a busy machine takes a CPU away for.
    pub const DEFAULT: Self = Self::CatchUp(Duration::from_millis(100));
}

/// Frames that leave later than this after they were due count as late, unless told otherwise.
pub const DEFAULT_LATE_THRESHOLD: Duration = Duration::from_micros(1);
