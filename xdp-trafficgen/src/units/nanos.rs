//! Times in whole nanoseconds, as the kernel's clocks and the eBPF programs count them.

use std::time::Duration;

/// A time in whole nanoseconds since some event, such as the start of a session. 64 bits hold 584
/// years, which no clock reaches: later times are all the same, [`Nanos::NEVER`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nanos(u64);

impl Nanos {
    /// No time.
    pub const ZERO: Self = Self(0);
    /// Later than anything that happens.
    pub const NEVER: Self = Self(u64::MAX);

    /// So many.
    pub const fn new(nanos: u64) -> Self {
        Self(nanos)
    }

    /// How many; [`u64::MAX`] of what never happens, as the eBPF programs have it.
    pub const fn get(self) -> u64 {
        self.0
    }

    /// This time, counted from an event that is so much later.
    #[must_use]
    pub const fn after(self, event: Self) -> Self {
        Self(self.0.saturating_add(event.0))
    }

    /// From `earlier` to this time; none when it is the other way round.
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
    fn what_no_clock_reaches_never_comes() {
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
