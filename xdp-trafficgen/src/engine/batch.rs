//! How many frames leave together, where they have set times: as few as keep up. Pure: time comes
//! in as numbers.

use std::time::Duration;

/// Shorter calls tell nothing.
const SHORTEST: Duration = Duration::from_millis(1);

/// Overdue by less than this is no reason to send more frames together: a call's end alone does
/// that.
const BEHIND: Duration = Duration::from_micros(100);

/// The batch size of the next call, from what became of the last ones.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    size: u32,
    most: u32,
    /// Overdue by more than this is behind.
    behind: Duration,
}

impl Batch {
    /// Starts with `size`, and never goes above `most`. `give_up`: what is overdue by more is given
    /// up.
    pub(super) fn new(size: u32, most: u32, give_up: Duration) -> Self {
        Self { size: size.clamp(1, most), most, behind: BEHIND.min(give_up) }
    }

    /// Frames that leave together.
    pub(super) const fn size(&self) -> u32 {
        self.size
    }

    /// Takes note of a call: what it took, how much of that was spent waiting, and how overdue
    /// departures were at most.
    ///
    /// Behind and without a rest, frames leave twice as many together. Where more than half of the
    /// time is left over, and nothing was overdue (as it may be in bursts), half as many do: a
    /// frame cannot take more than twice as long then, so this does not go back and forth.
    pub(super) fn learn(&mut self, took: Duration, waited: Duration, late: Duration) {
        if took < SHORTEST {
            return;
        }
        let behind = self.behind;
        let idle = waited.as_secs_f64() / took.as_secs_f64();
        if late > behind && idle < 0.02 {
            self.size = (self.size * 2).min(self.most);
        } else if idle > 0.52 && late <= behind {
            self.size = (self.size / 2).max(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(size: u32, (took, waited, late): (u64, u64, u64), expected: u32) {
        let mut batch = Batch::new(size, 64, Duration::from_millis(100));
        batch.learn(
            Duration::from_micros(took),
            Duration::from_micros(waited),
            Duration::from_micros(late),
        );
        assert_eq!(batch.size(), expected);
    }

    #[test]
    fn as_few_together_as_keep_up() {
        check(1, (5000, 0, 2000), 2);
        check(8, (5000, 60, 2000), 16);
        check(64, (5000, 0, 2000), 64);
        check(8, (5000, 3000, 0), 4);
        check(1, (5000, 4900, 0), 1);
    }

    #[test]
    fn a_short_call_or_a_small_delay_changes_nothing() {
        check(8, (500, 0, 400), 8);
        check(8, (5000, 100, 50), 8);
        check(8, (5000, 2000, 2000), 8);
        check(8, (5000, 4000, 2000), 8);
    }

    #[test]
    fn what_is_given_up_early_is_behind_early() {
        let mut batch = Batch::new(1, 64, Duration::from_micros(1));
        batch.learn(Duration::from_millis(5), Duration::ZERO, Duration::from_micros(2));
        assert_eq!(batch.size(), 2);
    }
}
