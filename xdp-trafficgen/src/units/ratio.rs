//! Exact fractions.

use std::cmp::Ordering;

/// A fraction that is not negative, in lowest terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ratio {
    numerator: u128,
    /// At least 1.
    denominator: u128,
}

impl Ratio {
    /// Zero.
    pub const ZERO: Self = Self { numerator: 0, denominator: 1 };
    /// One.
    pub const ONE: Self = Self { numerator: 1, denominator: 1 };

    /// The fraction in lowest terms.
    ///
    /// # Panics
    /// When the denominator is 0.
    pub fn new(numerator: impl Into<u128>, denominator: impl Into<u128>) -> Self {
        let (numerator, denominator) = (numerator.into(), denominator.into());
        assert_ne!(denominator, 0, "a fraction of nothing");
        let divisor = gcd(numerator, denominator);
        Self { numerator: numerator / divisor, denominator: denominator / divisor }
    }

    /// A whole number.
    pub fn whole(number: impl Into<u128>) -> Self {
        Self { numerator: number.into(), denominator: 1 }
    }

    /// The number above the line, in lowest terms.
    pub const fn numerator(self) -> u128 {
        self.numerator
    }

    /// The number below the line, in lowest terms; at least 1.
    pub const fn denominator(self) -> u128 {
        self.denominator
    }

    /// Whether the fraction is zero.
    pub const fn is_zero(self) -> bool {
        self.numerator == 0
    }

    /// Whether both terms have 64 bits, so that the product of two such fractions fits.
    pub const fn is_short(self) -> bool {
        self.numerator >> 64 == 0 && self.denominator >> 64 == 0
    }

    /// The whole part.
    pub const fn floor(self) -> u128 {
        self.numerator / self.denominator
    }

    /// The nearest whole number; the higher one of two equally near ones.
    pub const fn nearest(self) -> u128 {
        let rest = self.numerator % self.denominator;
        // Compared with what it lacks to the next one: the double of it may not fit.
        self.floor() + (rest >= self.denominator - rest) as u128
    }

    /// The part after the point.
    #[must_use]
    pub const fn fract(self) -> Self {
        Self { numerator: self.numerator % self.denominator, denominator: self.denominator }
    }

    /// The product; where it does not fit, it is approximated with terms below 2⁶³.
    #[must_use]
    pub fn times(self, other: Self) -> Self {
        let (a, b) = (
            Self::new(self.numerator, other.denominator),
            Self::new(other.numerator, self.denominator),
        );
        match (a.numerator.checked_mul(b.numerator), a.denominator.checked_mul(b.denominator)) {
            (Some(numerator), Some(denominator)) => Self { numerator, denominator },
            _ => {
                let (a, b) = (a.within(1 << 63), b.within(1 << 63));
                Self::new(a.numerator * b.numerator, a.denominator * b.denominator)
            }
        }
    }

    /// The inverse of the fraction.
    ///
    /// # Panics
    /// When the fraction is 0.
    #[must_use]
    pub const fn inverse(self) -> Self {
        assert!(!self.is_zero(), "zero has no inverse");
        Self { numerator: self.denominator, denominator: self.numerator }
    }

    /// The sum; none when it does not fit.
    pub fn plus(self, other: Self) -> Option<Self> {
        let divisor = gcd(self.denominator, other.denominator);
        let (left, right) = (other.denominator / divisor, self.denominator / divisor);
        let numerator =
            self.numerator.checked_mul(left)?.checked_add(other.numerator.checked_mul(right)?)?;
        Some(Self::new(numerator, self.denominator.checked_mul(left)?))
    }

    /// The sum of all fractions. Where its terms do not fit (many unlike fractions), its error is at
    /// most 2⁻³² for each of them.
    pub fn sum(numbers: &[Self]) -> Self {
        let exact = numbers.iter().try_fold(Self::ZERO, |sum, number| sum.plus(*number));
        exact.unwrap_or_else(|| {
            let parts = |number: &Self| {
                let number = number.within(1 << 63);
                (number.numerator << 32) / number.denominator
            };
            Self::new(numbers.iter().map(parts).sum::<u128>().max(1), 1u128 << 32)
        })
    }

    /// The fraction itself, or the last convergent of its continued fraction with both terms within
    /// `limit`. The convergent differs by less than 1 / (q · q'), where q and q' are its denominator
    /// and the next one's: with 2⁶³, and a value around 1, less than 10⁻¹⁸.
    #[must_use]
    pub fn within(self, limit: u128) -> Self {
        if self.numerator <= limit && self.denominator <= limit {
            return self;
        }
        let (mut above, mut below) = (self.numerator, self.denominator);
        // The last convergent and the one before it.
        let (mut last, mut before) = ((1u128, 0u128), (0u128, 1u128));
        while below != 0 {
            let whole = above / below;
            let term = |last: u128, before: u128| {
                whole.checked_mul(last)?.checked_add(before).filter(|n| *n <= limit)
            };
            let (Some(next_above), Some(next_below)) =
                (term(last.0, before.0), term(last.1, before.1))
            else {
                break;
            };
            (before, last) = (last, (next_above, next_below));
            (above, below) = (below, above % below);
        }
        if last.1 == 0 {
            Self { numerator: limit, denominator: 1 }
        } else {
            Self { numerator: last.0, denominator: last.1 }
        }
    }

    /// The nearest floating-point number.
    #[expect(clippy::cast_precision_loss, reason = "as its name says")]
    pub fn to_f64(self) -> f64 {
        self.numerator as f64 / self.denominator as f64
    }
}

/// The greatest common divisor (Euclid's); of 0 and a number, the number.
pub const fn gcd(mut a: u128, mut b: u128) -> u128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

impl Ord for Ratio {
    /// Compares continued fractions, so that no product needs more than 128 bits.
    fn cmp(&self, other: &Self) -> Ordering {
        let (mut one, mut other) = (*self, *other);
        loop {
            let whole = one.floor().cmp(&other.floor());
            let rests = (one.fract(), other.fract());
            match (whole, rests.0.is_zero(), rests.1.is_zero()) {
                (Ordering::Equal, false, false) => {
                    (one, other) = (rests.1.inverse(), rests.0.inverse())
                }
                (Ordering::Equal, one, other) => return other.cmp(&one),
                (unequal, _, _) => return unequal,
            }
        }
    }
}

impl PartialOrd for Ratio {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lowest_terms() {
        let printed = |ratio: Ratio| (ratio.numerator, ratio.denominator);
        assert_eq!(printed(Ratio::new(15_000u32, 21u32)), (5000, 7));
        assert_eq!(printed(Ratio::new(0u32, 9u32)), (0, 1));
        assert_eq!(printed(Ratio::new(2u32, 3u32).times(Ratio::new(9u32, 4u32))), (3, 2));
        assert_eq!(
            Ratio::new(1u32, 6u32).plus(Ratio::new(1u32, 10u32)),
            Some(Ratio::new(4u32, 15u32))
        );
        assert_eq!(gcd(0, 12), 12);
    }

    /// The known convergents of π.
    #[test]
    fn the_best_of_short_fractions() {
        let pi = Ratio::new(314_159_265_358_979_323_846_u128, 100_000_000_000_000_000_000_u128);
        for (limit, best) in [
            (21, (3, 1)),
            (22, (22, 7)),
            (332, (22, 7)),
            (355, (355, 113)),
            (200_000, (104_348, 33_215)),
        ] {
            let Ratio { numerator, denominator } = pi.within(limit);
            assert_eq!((numerator, denominator), best);
        }
        assert_eq!(pi.within(1 << 70), pi);
        assert_eq!(Ratio::whole(u128::MAX).within(1 << 63), Ratio::whole(1u128 << 63));
    }

    proptest! {
        #[test]
        fn order_is_that_of_cross_products(a in any::<u64>(), b in 1u64.., c in any::<u64>(), d in 1u64..) {
            let wide = <u128 as From<u64>>::from;
            prop_assert_eq!(Ratio::new(a, b).cmp(&Ratio::new(c, d)), (wide(a) * wide(d)).cmp(&(wide(c) * wide(b))));
        }
    }
}
