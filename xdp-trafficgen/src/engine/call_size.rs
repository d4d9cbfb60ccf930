//! How many repetitions a call makes: enough that the cost of the call itself is negligible, and few
//! enough that a stop is prompt. Pure: times are arguments.

use std::time::Duration;

use crate::kernel::generator::Sent;

/// How long a call is meant to take. A call costs about 20 µs more than its frames, 0.4 % of this
/// (doc/measurements.md#calls); a stop waits for the end of the call at hand.
const TARGET: Duration = Duration::from_millis(5);

/// Repetitions of a call at most.
const MOST: u32 = 10_000_000;

/// In less time than this, no useful number of frames can be sent.
const LEAST: Duration = Duration::from_micros(20);

/// The size of the next call, learned from how long the last ones took.
#[derive(Clone, Debug)]
pub(super) struct CallSize {
    target: Duration,
    /// Repetitions at most: doubled by each call, so that a call is never longer than all before it. What
    /// fits into an empty queue tells little of the link behind it.
    most: u32,
    /// How long a frame took in the last calls; none before the first.
    frame_ns: Option<f64>,
}

impl CallSize {
    pub(super) const fn new(batch_size: u32) -> Self {
        Self { target: TARGET, most: batch_size, frame_ns: None }
    }

    /// For paced calls, which take `target` because their frames wait for departures.
    pub(super) const fn lasting(target: Duration) -> Self {
        Self { target, most: MOST, frame_ns: None }
    }

    /// Repetitions of a paced call: whole batches, `most` at most, and one batch at least.
    pub(super) fn in_batches(&self, batch: u32, most: u32) -> u32 {
        let repeat = self.repetitions(self.target, batch).min(most);
        (repeat / batch).max(1) * batch
    }

    /// Whether the time that is left is too short to send in.
    pub(super) fn is_over(&self, time_left: Duration) -> bool {
        time_left < LEAST
    }

    /// Repetitions of a call in batches of `batch`, when `left` frames and `time_left` remain; none
    /// when the time is over.
    pub(super) fn next(&self, batch: u32, left: u64, time_left: Option<Duration>) -> Option<u32> {
        let time = time_left.map_or(self.target, |time_left| time_left.min(self.target));
        if self.is_over(time) {
            return None;
        }
        let most = self.repetitions(time, batch).min(self.most.max(batch));
        Some(u32::try_from(left).map_or(most, |left| left.min(most)))
    }

    /// Repetitions that fill the time: whole batches, and one batch at least.
    fn repetitions(&self, time: Duration, batch: u32) -> u32 {
        // The first call is one batch, from which the time of a frame is learned.
        let frames = self.frame_ns.map_or(0.0, |frame_ns| time.as_secs_f64() * 1e9 / frame_ns);
        let batch_size = f64::from(batch);
        // Whole batches: a part of a batch costs as much as a whole one. The number fits into u32:
        // at 10 ns a frame, 5 ms hold 500 000.
        let whole = ((frames / batch_size).floor() * batch_size).clamp(batch_size, f64::from(MOST));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to `MOST` above"
        )]
        let repeat = whole as u32;
        repeat
    }

    /// Learns from how long a call took. A call that a signal ended is skipped: how many repetitions
    /// it made is unknown.
    pub(super) fn learn(&mut self, sent: Sent, repeat: u32, took: Duration) {
        if sent == Sent::Interrupted {
            return;
        }
        self.most = self.most.saturating_mul(2).min(MOST);
        let frame_ns = took.as_secs_f64() * 1e9 / f64::from(repeat.max(1));
        // The mean with the old value: one call that another guest delayed does not make the next
        // ones tiny.
        self.frame_ns = Some(self.frame_ns.map_or(frame_ns, |old| old.midpoint(frame_ns)).max(1.0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(frame_ns: Option<f64>, left: u64, time_left: Option<Duration>, expected: Option<u32>) {
        assert_eq!(
            CallSize { target: TARGET, most: MOST, frame_ns }.next(64, left, time_left),
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
    fn a_slow_call_loses_its_influence() {
        let mut size = CallSize::new(64);
        size.learn(Sent::All, 64, Duration::from_nanos(6400));
        size.learn(Sent::All, 64, Duration::from_millis(64));
        for _ in 0..30 {
            size.learn(Sent::All, 64, Duration::from_nanos(6400));
        }
        assert_eq!(size.next(64, u64::MAX, None), Some(49_984));
    }

    #[test]
    fn an_interrupted_call_changes_nothing() {
        let mut size = CallSize { most: MOST, ..CallSize::new(64) };
        size.learn(Sent::All, 64, Duration::from_nanos(6400));
        // A frame would seem to take a nanosecond, or a second if the process was stopped
        // during the call.
        size.learn(Sent::Interrupted, 50_000, Duration::from_micros(50));
        size.learn(Sent::Interrupted, 64, Duration::from_secs(64));
        assert_eq!(size.next(64, u64::MAX, None), Some(49_984));
    }

    #[test]
    fn calls_grow_to_twice_the_one_before() {
        let mut size = CallSize::new(64);
        for expected in [64, 128, 256, 512] {
            assert_eq!(size.next(64, u64::MAX, None), Some(expected));
            size.learn(Sent::All, expected, Duration::from_nanos(100 * u64::from(expected)));
        }
    }
}
