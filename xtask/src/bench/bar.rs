//! What a row has to show.

use std::fmt;

/// The least or the most that a figure may be.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bar {
    /// It is what it is.
    None,
    /// At least so much.
    AtLeast(f64),
    /// At most so much.
    AtMost(f64),
    /// At least so much of a bare redirect, where that takes 130 ns a frame, and where it takes
    /// 50 ns. What a generator adds weighs more on a fast machine.
    OfRedirect(f64, f64),
}

/// Nanoseconds of a bare redirect that [`Bar::OfRedirect`] speaks of.
const SLOW_NS: f64 = 130.0;
const FAST_NS: f64 = 50.0;

impl Bar {
    /// The bar on a machine whose bare redirect takes so many nanoseconds: between 50 and 130 ns a
    /// straight line between the two figures, and beyond them the nearer one.
    pub(crate) fn on(self, redirect_ns: f64) -> Self {
        let Self::OfRedirect(slow, fast) = self else { return self };
        let towards_slow = ((redirect_ns - FAST_NS) / (SLOW_NS - FAST_NS)).clamp(0.0, 1.0);
        // To a thousandth: more is not measured.
        Self::AtLeast(((fast + (slow - fast) * towards_slow) * 1e3).round() / 1e3)
    }

    /// Whether a figure is as it has to be; none where nothing is asked.
    pub(crate) fn is_met(self, figure: f64) -> Option<bool> {
        match self {
            Self::None | Self::OfRedirect(..) => None,
            Self::AtLeast(least) => Some(figure >= least),
            Self::AtMost(most) => Some(figure <= most),
        }
    }
}

impl fmt::Display for Bar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("-"),
            Self::AtLeast(least) => write!(f, "≥ {least}"),
            Self::AtMost(most) => write!(f, "≤ {most}"),
            Self::OfRedirect(slow, fast) => {
                write!(f, "≥ {slow} at {SLOW_NS} ns, ≥ {fast} at {FAST_NS} ns")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bar;

    #[test]
    fn a_bar_follows_the_redirect_between_its_two_figures() {
        #[track_caller]
        fn check(redirect_ns: f64, expected: f64) {
            assert_eq!(Bar::OfRedirect(0.96, 0.90).on(redirect_ns), Bar::AtLeast(expected));
        }
        check(130.0, 0.96);
        check(50.0, 0.90);
        check(90.0, 0.93);
        check(20.0, 0.90);
        check(300.0, 0.96);
        assert_eq!(Bar::AtMost(2.0).on(90.0), Bar::AtMost(2.0));
    }

    #[test]
    fn a_bar_is_met_or_not_or_not_there() {
        assert_eq!(Bar::AtLeast(0.95).is_met(0.95), Some(true));
        assert_eq!(Bar::AtLeast(0.95).is_met(0.949), Some(false));
        assert_eq!(Bar::AtMost(50.0).is_met(50.1), Some(false));
        assert_eq!(Bar::AtMost(50.0).is_met(49.0), Some(true));
        assert_eq!(Bar::None.is_met(1.0), None);
    }
}
