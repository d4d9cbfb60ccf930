//! Pairs of measurements, made one right after the other.

use anyhow::Result;

use super::sample::Sample;

/// What two things gave, pair by pair.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pairs<T = f64>(Vec<(T, T)>);

impl<T> Pairs<T> {
    /// Measures pairs in the order ABBA, so that a drift of the machine's speed favours neither.
    pub(super) fn measure(
        rounds: u16,
        mut a: impl FnMut() -> Result<T>,
        mut b: impl FnMut() -> Result<T>,
    ) -> Result<Self> {
        let mut pairs = Vec::new();
        for round in 0..rounds {
            pairs.push(if round % 2 == 0 {
                let first = a()?;
                (first, b()?)
            } else {
                let first = b()?;
                (a()?, first)
            });
        }
        Ok(Self(pairs))
    }

    /// What is read from each.
    pub(super) fn read(&self, figure: impl Fn(&T) -> Result<f64>) -> Result<Pairs> {
        let read = |(a, b): &(T, T)| Ok((figure(a)?, figure(b)?));
        Ok(Pairs(self.0.iter().map(read).collect::<Result<_>>()?))
    }
}

impl Pairs {
    pub(super) fn a(&self) -> Sample {
        Sample { values: self.0.iter().map(|(a, _)| *a).collect() }
    }

    pub(super) fn b(&self) -> Sample {
        Sample { values: self.0.iter().map(|(_, b)| *b).collect() }
    }

    /// A of each pair by its B. Where both are nothing they are equal.
    pub(super) fn ratios(&self) -> Sample {
        let ratio = |&(a, b): &(f64, f64)| if a == b { 1.0 } else { a / b };
        Sample { values: self.0.iter().map(ratio).collect() }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::Pairs;

    #[test]
    fn a_comparison_is_the_median_of_ratios_not_the_ratio_of_medians() {
        let pairs = Pairs(vec![(1.0, 2.0), (4.0, 4.0), (6.0, 3.0), (5.0, 10.0), (8.0, 8.0)]);
        assert_eq!((pairs.a().median(), pairs.b().median()), (5.0, 4.0));
        assert_eq!(pairs.ratios().median(), 1.0);
        assert_eq!(Pairs(vec![(0.0, 0.0)]).ratios().median(), 1.0);
    }

    #[test]
    fn pairs_are_measured_in_the_order_abba() {
        let order = RefCell::new(String::new());
        let measure = |name, mpps| {
            let order = &order;
            move || {
                order.borrow_mut().push(name);
                Ok(mpps)
            }
        };
        let pairs = Pairs::measure(3, measure('a', 4.0), measure('b', 5.0));
        assert_eq!(*order.borrow(), "abbaab");
        assert_eq!(pairs.expect("neither side fails").ratios().values, [0.8; 3]);
    }
}
