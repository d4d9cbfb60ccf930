//! Field patterns: the values of a field, frame by frame. Their names are the Open Traffic Generator
//! model's.

use crate::config::Located;

/// The values of one field, as unsigned numbers in the order of their bits on the wire.
///
/// Invariants, which [`checked`](super::checked) keeps: every value fits the field, lists are not
/// empty, `count` is at least 1, a counting pattern stays within the field, `min` is at most `max`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// The same value in every frame.
    Value(u128),
    /// These values, one after the other, over and over.
    Values(Vec<Located<u128>>),
    /// `start`, `start + step`, … `count` values, over and over.
    Increment(Count),
    /// `start`, `start - step`, … `count` values, over and over.
    Decrement(Count),
    /// Values evenly spread between the two, both included.
    Random {
        /// Smallest value.
        min: u128,
        /// Largest value.
        max: u128,
        /// The same seed gives the same values. The default is the field's position in the frame,
        /// so that fields without seeds differ from each other.
        seed: Option<u64>,
        /// The number of values before they repeat, at least 1; without it, they do not repeat.
        count: Option<u64>,
    },
}

/// A counting pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Count {
    /// First value.
    pub start: u128,
    /// Distance of two values; may be zero only when `count` is 1.
    pub step: u128,
    /// The number of values before the pattern starts again.
    pub count: u64,
}

impl Pattern {
    /// The number of values before the pattern starts again; for random values without a count, the
    /// number of different ones (0 for 2¹²⁸).
    pub fn value_count(&self) -> u128 {
        match self {
            Self::Value(_) => 1,
            Self::Values(values) => values.len() as u128,
            Self::Increment(count) | Self::Decrement(count) => count.count.into(),
            Self::Random { count: Some(count), .. } => (*count).into(),
            Self::Random { min, max, .. } => (max - min).wrapping_add(1),
        }
    }

    /// The value of the first frame; for random values the smallest one, which is in the template
    /// only.
    pub fn first(&self) -> u128 {
        match self {
            Self::Value(value) => *value,
            Self::Values(values) => values.first().map_or(0, |value| value.value),
            Self::Increment(count) | Self::Decrement(count) => count.start,
            Self::Random { min, .. } => *min,
        }
    }
}
