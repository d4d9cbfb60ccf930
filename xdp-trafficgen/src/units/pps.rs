//! Rates in frames a second.

use super::Ratio;

/// Frames a second, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pps(Ratio);

impl Pps {
    /// The rate of a pause.
    pub const ZERO: Self = Self(Ratio::ZERO);

    /// This number of frames a second.
    pub const fn new(frames: Ratio) -> Self {
        Self(frames)
    }

    /// The number of frames a second.
    pub const fn ratio(self) -> Ratio {
        self.0
    }

    /// Whether the rate is zero.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The rate times a factor.
    #[must_use]
    pub fn times(self, factor: Ratio) -> Self {
        Self(self.0.times(factor))
    }

    /// The gap between frames in nanoseconds, at a rate that is not zero.
    pub fn gap_ns(self) -> Ratio {
        Ratio::whole(1_000_000_000u64).times(self.0.inverse())
    }

    /// The nearest floating-point number.
    pub fn to_f64(self) -> f64 {
        self.0.to_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_exact() {
        assert_eq!(Pps::new(Ratio::whole(500_000u64)).gap_ns(), Ratio::whole(2000u64));
        // 10 Gb/s of 64-byte frames: one every 67.2 ns.
        let line = Pps::new(Ratio::new(10_000_000_000u64, 672u64));
        assert_eq!(line.gap_ns(), Ratio::new(336u64, 5u64));
        assert_eq!(line.times(Ratio::new(1u64, 2u64)).gap_ns(), Ratio::new(672u64, 5u64));
    }
}
