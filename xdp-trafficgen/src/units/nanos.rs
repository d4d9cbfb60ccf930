//! Times in whole nanoseconds, as the kernel's clocks and the eBPF programs count them.

use std::time::Duration;

/// A time in whole nanoseconds since some event, such as the start of a session. 64 bits hold 584
/// years, which no clock reaches: all later times are [`Nanos::NEVER`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(u64);

impl Nanos {
    /// No time.
    pub const ZERO: Self = Self(0);
    /// A time that no clock reaches.
    pub const NEVER: Self = Self(u64::MAX);

    /// A time of this many nanoseconds.
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The number of nanoseconds; [`u64::MAX`] for [`Nanos::NEVER`], as in the eBPF programs.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The moment this long after `event`, counted from the same start as `event`.
    #[must_use]
    pub const fn after(self, event: Self) -> Self {
        Self(self.0.saturating_add(event.0))
    }

    /// The time from `earlier` to this; zero when this is the earlier one.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl From<Duration> for Nanos {
    fn from(time: Duration) -> Self {
        u64::try_from(time.as_nanos()).map_or(Self::NEVER, Self)
    }
}

impl From<Nanos> for Duration {
    fn from(time: Nanos) -> Self {
        Self::from_nanos(time.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_that_no_clock_reaches_are_never() {
        assert_eq!(Nanos::from(Duration::from_micros(3)), Nanos::new(3000));
        // 2⁶⁴ ns are 18 446 744 073 s and 709 551 616 ns.
        let last = Duration::new(18_446_744_073, 709_551_615);
        assert_eq!(Duration::from(Nanos::from(last)), last);
        assert_eq!(Nanos::from(last + Duration::from_nanos(1)), Nanos::NEVER);
        assert_eq!(Nanos::from(Duration::MAX), Nanos::NEVER);
        assert_eq!(Nanos::NEVER.after(Nanos::new(1)), Nanos::NEVER);
        assert_eq!(Nanos::new(5).after(Nanos::new(2)), Nanos::new(7));
        assert_eq!(Nanos::new(5).since(Nanos::new(7)), Nanos::ZERO);
    }
}
