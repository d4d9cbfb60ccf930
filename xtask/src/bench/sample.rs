//! Values that were measured again and again: their median, and how sure it is.

use crate::median::median;

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sample {
    /// In the order of time.
    pub(crate) values: Vec<f64>,
}

impl Sample {
    pub(crate) fn median(&self) -> f64 {
        median(self.values.iter().copied())
    }

    /// Between which values the median of what is measured lies, with a chance of 95 % or more: an
    /// interval of order statistics, which supposes nothing about how the values are spread. With
    /// fewer than six values it is from the least to the most, which is less sure.
    pub(crate) fn interval(&self) -> (f64, f64) {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        let outside = left_out(sorted.len());
        match (sorted.get(outside), sorted.iter().rev().nth(outside)) {
            (Some(&low), Some(&high)) => (low, high),
            _ => (f64::NAN, f64::NAN),
        }
    }
}

/// How many of the least and of the most values may be left out so that the true median is outside
/// of the rest with a chance of 5 % at most: each value is below it with a chance of one half, like
/// the throw of a coin.
fn left_out(count: usize) -> usize {
    let (mut chance, mut both_tails, mut outside) = (0.5_f64.powf(count as f64), 0.0, 0);
    for below in 0..count / 2 {
        both_tails += 2.0 * chance;
        if both_tails > 0.05 {
            break;
        }
        outside = below + 1;
        chance *= (count - below) as f64 / (below + 1) as f64;
    }
    outside.saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::{Sample, left_out};

    #[test]
    fn as_many_values_are_left_out_as_tables_of_the_sign_test_say() {
        // Ranks of the 95 % interval of a median, minus one, from a published table (Conover,
        // Practical Nonparametric Statistics: n = 6: 1, 9: 2, 12: 3, 15: 4, 20: 6, 25: 8).
        for (count, rank) in [(6, 1), (9, 2), (12, 3), (15, 4), (20, 6), (25, 8)] {
            assert_eq!(left_out(count), rank - 1, "{count}");
        }
        for count in 0..6 {
            assert_eq!(left_out(count), 0, "{count}");
        }
    }

    #[test]
    fn the_interval_is_around_the_median() {
        let values = [5.0, 1.0, 9.0, 3.0, 7.0, 2.0, 8.0, 4.0, 6.0];
        let sample = Sample { values: values.to_vec() };
        assert_eq!((sample.median(), sample.interval()), (5.0, (2.0, 8.0)));
        assert!(Sample { values: Vec::new() }.interval().0.is_nan());
    }
}
