//! Arithmetic of [`Gap`], the time between two departures as the program adds it: all of its
//! multiples are exact.

use xdp_trafficgen_ebpf::abi::timing::Gap;

use super::rates::{MAX_NANOS, fits, or_endless};
use crate::units::{Pps, Ratio, gcd};

/// The most that [`Gap::whole`] may be.
const MAX_WHOLE: u128 = 1 << 63;

/// Operations on gaps that only the plan needs.
pub(super) trait ExactGap: Sized {
    /// The gap of `nanos`, at most [`MAX_NANOS`] by `workers`, so that each worker's gap is at most
    /// [`MAX_NANOS`].
    fn exact(nanos: Ratio, workers: u64) -> Self;
    /// The gap at a rate that is not zero.
    fn of_rate(rate: Pps, workers: u64) -> Self;
    /// As [`ExactGap::exact`], in parts of a nanosecond of which `others` are whole numbers too.
    /// Where such parts would be smaller than a gap can have, `others` are rounded down.
    fn beside(nanos: Ratio, others: [Ratio; 2], workers: u64) -> Self;
    /// Another time in the same parts of a nanosecond, rounded down to them.
    fn in_parts(&self, time: Ratio) -> Self;
    /// `count` gaps, with the same parts of a nanosecond; never where 64 bits do not hold them.
    fn times(&self, count: u64) -> Self;
    /// `share / 2³²` of the gap, rounded down to its parts of a nanosecond.
    fn share(&self, share: u32) -> Self;
}

impl ExactGap for Gap {
    fn exact(nanos: Ratio, workers: u64) -> Self {
        let most = u128::from(MAX_NANOS / workers.max(1));
        let nanos = if nanos.floor() >= most { Ratio::whole(most) } else { nanos };
        // The whole nanoseconds need no approximation, and have at most the bits of `most`.
        let (ns, rest) = (nanos.floor(), nanos.fract().within(MAX_WHOLE));
        if rest == Ratio::ONE {
            return Self { ns: fits(ns + 1), ..Self::ZERO };
        }
        Self { ns: fits(ns), rest: fits(rest.numerator()), whole: fits(rest.denominator()) }
    }

    fn of_rate(rate: Pps, workers: u64) -> Self {
        Self::exact(rate.gap_ns(), workers)
    }

    fn beside(nanos: Ratio, others: [Ratio; 2], workers: u64) -> Self {
        let gap = Self::exact(nanos, workers);
        let common = others.iter().try_fold(u128::from(gap.whole), |whole, other| {
            whole
                .checked_mul(other.denominator() / gcd(whole, other.denominator()))
                .filter(|whole| *whole <= MAX_WHOLE)
        });
        let times = common.map_or(1, |common| common / u128::from(gap.whole));
        Self {
            rest: fits(u128::from(gap.rest) * times),
            whole: fits(u128::from(gap.whole) * times),
            ..gap
        }
    }

    fn in_parts(&self, time: Ratio) -> Self {
        let whole = u128::from(self.whole);
        let (ns, rest) = (time.floor(), time.fract());
        let rest = if whole.is_multiple_of(time.denominator()) {
            rest.numerator() * (whole / time.denominator())
        } else {
            let rest = rest.within(MAX_WHOLE);
            (rest.numerator() * whole / rest.denominator()).min(whole - 1)
        };
        Self { ns: or_endless(ns), rest: fits(rest), whole: self.whole }
    }

    fn times(&self, count: u64) -> Self {
        let Gap { ns, rest, whole } = *self;
        let rest = u128::from(rest) * u128::from(count);
        let ns = u128::from(ns) * u128::from(count) + rest / u128::from(whole);
        Self { ns: or_endless(ns), rest: fits(rest % u128::from(whole)), whole }
    }

    fn share(&self, share: u32) -> Self {
        let Gap { ns, rest, whole } = *self;
        let parts = u128::from(ns) * u128::from(whole) + u128::from(rest);
        let share = u128::from(share);
        let parts = (parts >> 32) * share + (((parts & 0xffff_ffff) * share) >> 32);
        Self { ns: fits(parts / u128::from(whole)), rest: fits(parts % u128::from(whole)), whole }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What the eBPF program relies on: a rest below the whole, of at most 2⁶³ parts.
    fn is_sound(gap: &Gap) -> bool {
        gap.rest < gap.whole && u128::from(gap.whole) <= MAX_WHOLE
    }

    /// A fraction just below 1 whose parts are too small for a gap is a whole nanosecond.
    #[test]
    fn a_rest_that_rounds_to_a_nanosecond_is_one() {
        let parts = MAX_WHOLE + 2;
        let gap = Gap::exact(Ratio::new(7 * parts - 1, parts), 1);
        assert_eq!((gap.ns, gap.rest, gap.whole), (7, 0, 1));
    }

    proptest! {
        #[test]
        fn gaps_are_sound(numerator in any::<u128>(), denominator in 1u128.., workers in 1u64..64) {
            let gap = Gap::exact(Ratio::new(numerator, denominator), workers);
            prop_assert!(is_sound(&gap), "{gap:?}");
            let part = gap.in_parts(Ratio::new(numerator / 3, denominator));
            prop_assert!(is_sound(&part), "{part:?}");
        }

        /// Nothing is rounded where a gap can have the parts.
        #[test]
        fn gaps_are_exact(ns in 0u64..1 << 40, rest in any::<u32>(), whole in 1u32..) {
            let time = Ratio::whole(ns).plus(Ratio::new(rest % whole, whole)).unwrap();
            let gap = Gap::exact(time, 1);
            let is = Ratio::whole(gap.ns).plus(Ratio::new(gap.rest, gap.whole)).unwrap();
            prop_assert_eq!(is, time);
        }
    }
}
