//! The batch size of paced workers: the smallest one that keeps up. Pure: times are arguments.

use std::time::Duration;

/// Calls shorter than this are too noisy to learn from.
const SHORTEST: Duration = Duration::from_millis(1);

/// The end of a call alone makes departures overdue by less than this, which is no reason for a
/// larger batch.
const NORMAL_DELAY: Duration = Duration::from_micros(100);

/// The time that a cheap batch of many flows' frames may span.
const SPAN: Duration = Duration::from_micros(10);

/// The batch size of the next call, learned from the last ones.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    size: u32,
    most: u32,
    /// A worker whose departures are overdue by more than this does not keep up.
    tolerated: Duration,
    /// Batches of up to so many frames cost no flow much: see [`Batch::of_flows`].
    cheap: u32,
}

impl Batch {
    /// Starts with `size`, and stays within `most`. Departures that are overdue by more than
    /// `give_up` get no frame.
    pub(super) fn new(size: u32, most: u32, give_up: Duration) -> Self {
        Self { size: size.clamp(1, most), most, tolerated: NORMAL_DELAY.min(give_up), cheap: 0 }
    }

    /// For a worker of so many flows with departures of their own, of up to `peak` frames a second in
    /// all. Batches that span less than a 64th of a flow's mean gap, and no more than 10 µs, leave
    /// gaps nearly as they are, so half of the worker's time is kept free by them: after a
    /// disturbance, frames are late until the worker has caught up.
    #[must_use]
    pub(super) fn of_flows(self, flows: usize, peak: f64) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a float becomes the nearest that there is"
        )]
        let cheap = (flows as f64 / 64.0).min(peak * SPAN.as_secs_f64()) as u32;
        Self { cheap, ..self }
    }

    /// Frames that leave together.
    pub(super) const fn size(&self) -> u32 {
        self.size
    }

    /// Learns from a call: how long it took, how much of that it waited, and how overdue its
    /// departures were at most.
    ///
    /// The size doubles when departures were overdue and the call hardly waited. It halves when the
    /// call waited for more than half of its time and no departure was overdue (in bursts some may
    /// be): a frame of the smaller batch takes at most twice as long, so the size does not
    /// oscillate. Cheap batches double and halve where there is more time to wait.
    pub(super) fn learn(&mut self, took: Duration, waited: Duration, late: Duration) {
        if took < SHORTEST {
            return;
        }
        let idle = waited.as_secs_f64() / took.as_secs_f64();
        let least = if self.size * 2 <= self.cheap { 0.5 } else { 0.02 };
        let most = if self.size <= self.cheap { 0.77 } else { 0.52 };
        if late > self.tolerated && idle < least {
            self.size = (self.size * 2).min(self.most);
        } else if idle > most && late <= self.tolerated {
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
    fn many_flows_leave_a_worker_time_to_catch_up() {
        let check = |size, idle: u64, late, expected| {
            let mut batch = Batch::new(size, 64, Duration::from_millis(100)).of_flows(256, 1e6);
            let [took, waited, late] = [5000, 50 * idle, late].map(Duration::from_micros);
            batch.learn(took, waited, late);
            assert_eq!(batch.size(), expected, "{size} with {idle} % idle");
        };
        check(1, 45, 2000, 2);
        check(2, 45, 2000, 4);
        check(2, 55, 2000, 2);
        check(4, 60, 0, 4);
        check(4, 80, 0, 2);
        // Larger ones span too much of a flow's gap, or too much time.
        check(4, 45, 2000, 4);
        check(8, 60, 0, 4);
        let cheap = |flows, peak| Batch::new(1, 64, Duration::ZERO).of_flows(flows, peak).cheap;
        assert_eq!((cheap(256, 1e6), cheap(60_000, 1e6), cheap(60_000, 6000.0)), (4, 10, 0));
    }

    #[test]
    fn a_short_call_or_a_small_delay_changes_nothing() {
        check(8, (500, 0, 400), 8);
        check(8, (5000, 100, 50), 8);
        check(8, (5000, 2000, 2000), 8);
        check(8, (5000, 4000, 2000), 8);
    }

    #[test]
    fn a_short_limit_for_overdue_departures_tolerates_less() {
        let mut batch = Batch::new(1, 64, Duration::from_micros(1));
        batch.learn(Duration::from_millis(5), Duration::ZERO, Duration::from_micros(2));
        assert_eq!(batch.size(), 2);
    }
}
