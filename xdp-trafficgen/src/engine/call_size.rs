//! How many repetitions one call should make: calls long enough that their cost does not show,
//! short enough to stop in time. Pure: time comes in as numbers.

use std::time::Duration;

use crate::kernel::generator::Sent;

/// How long a call is meant to take. A call costs about 20 µs more than its frames, 0.4 % of this
/// (doc/measurements.md#calls); a stop waits for the end of the call at hand.
const TARGET: Duration = Duration::from_millis(5);

/// Shorter than this nothing useful can be sent any more.
const LEAST: Duration = Duration::from_micros(20);

/// The size of the next call, from what the last ones took.
#[derive(Clone, Debug)]
pub(super) struct CallSize {
    batch_size: u32,
    target: Duration,
    /// Time of a frame in the last calls; none before the first.
    frame_ns: Option<f64>,
}

impl CallSize {
    pub(super) const fn new(batch_size: u32) -> Self {
        Self { batch_size, target: TARGET, frame_ns: None }
    }

    /// For calls that take so long because their frames wait.
    pub(super) const fn lasting(target: Duration) -> Self {
        Self { batch_size: 1, target, frame_ns: None }
    }

    /// Repetitions for such a call, in whole batches and `most` at most, but for the one batch it
    /// has at least.
    pub(super) fn in_batches(&self, batch: u32, most: u32) -> u32 {
        let repeat = self.repetitions(self.target, batch).min(most);
        (repeat / batch).max(1) * batch
    }

    /// Whether nothing useful can be sent in the time that is left.
    pub(super) fn is_over(&self, time_left: Duration) -> bool {
        time_left < LEAST
    }

    /// Repetitions for a call with `left` frames and `time_left` to go; none when the time is up.
    pub(super) fn next(&self, left: u64, time_left: Option<Duration>) -> Option<u32> {
        let time = time_left.map_or(self.target, |time_left| time_left.min(self.target));
        if self.is_over(time) {
            return None;
        }
        let most = self.repetitions(time, self.batch_size);
        Some(u32::try_from(left).map_or(most, |left| left.min(most)))
    }

    /// Whole batches that fill the time, one at least.
    fn repetitions(&self, time: Duration, batch: u32) -> u32 {
        // Before anything is known, one batch tells.
        let frames = self.frame_ns.map_or(0.0, |frame_ns| time.as_secs_f64() * 1e9 / frame_ns);
        let batch_size = f64::from(batch);
        // Whole batches: a part of one costs as much. Within u32: at 10 ns a frame, 5 ms hold 500
        // 000.
        let whole = ((frames / batch_size).floor() * batch_size).clamp(batch_size, 10_000_000.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 10 000 000 above"
        )]
        let repeat = whole as u32;
        repeat
    }

    /// Takes note of what a call took. Of one that a signal ended nobody knows how many repetitions
    /// that was.
    pub(super) fn learn(&mut self, sent: Sent, repeat: u32, took: Duration) {
        if sent == Sent::Interrupted {
            return;
        }
        let frame_ns = took.as_secs_f64() * 1e9 / f64::from(repeat.max(1));
        // Half the old value: a call that another guest held up does not make the next ones tiny.
        self.frame_ns = Some(self.frame_ns.map_or(frame_ns, |old| old.midpoint(frame_ns)).max(1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(frame_ns: Option<f64>, left: u64, time_left: Option<Duration>, expected: Option<u32>) {
        assert_eq!(
            CallSize { batch_size: 64, target: TARGET, frame_ns }.next(left, time_left),
            expected
        );
    }

    #[test]
    fn calls_take_five_milliseconds() {
        check(Some(100.0), u64::MAX, None, Some(49_984));
        check(Some(100.0), u64::MAX, Some(Duration::from_secs(9)), Some(49_984));
    }

    #[test]
    fn the_first_call_is_one_batch() {
        check(None, u64::MAX, None, Some(64));
    }

    #[test]
    fn the_share_and_the_deadline_end_it() {
        check(Some(100.0), 3, None, Some(3));
        check(Some(100.0), u64::MAX, Some(Duration::from_millis(1)), Some(9984));
        check(Some(100.0), u64::MAX, Some(Duration::from_micros(21)), Some(192));
        check(Some(1e6), u64::MAX, Some(Duration::from_millis(1)), Some(64));
        check(Some(100.0), u64::MAX, Some(Duration::from_micros(19)), None);
    }

    #[test]
    fn a_slow_call_is_forgotten_again() {
        let mut size = CallSize::new(64);
        size.learn(Sent::All, 64, Duration::from_nanos(6400));
        size.learn(Sent::All, 64, Duration::from_millis(64));
        for _ in 0..30 {
            size.learn(Sent::All, 64, Duration::from_nanos(6400));
        }
        assert_eq!(size.next(u64::MAX, None), Some(49_984));
    }

    #[test]
    fn an_interrupted_call_tells_nothing() {
        let mut size = CallSize::new(64);
        size.learn(Sent::All, 64, Duration::from_nanos(6400));
        // It would look as if a frame took a nanosecond, or, with a stop of the process in it, a
        // second.
        size.learn(Sent::Interrupted, 50_000, Duration::from_micros(50));
        size.learn(Sent::Interrupted, 64, Duration::from_secs(64));
        assert_eq!(size.next(u64::MAX, None), Some(49_984));
    }
}
