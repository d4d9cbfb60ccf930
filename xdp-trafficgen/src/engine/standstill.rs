//! Detects that a worker stood still, because its process was stopped or the machine was paused.
//! Frames that are unsent for that reason do not mean that CPUs are too slow.

use std::{
    fs::File,
    os::unix::fs::FileExt as _,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// The longest time between two signs of life of a worker, beyond its intended sleep. A paced call
/// takes 50 ms, and neighbours on the same host have delayed a virtual machine by 100.
const LONGEST: u64 = 250_000_000;

/// Time between two readings of how long the thread waited for its CPU: each one is a system call.
const REFRESH: u64 = 1_000_000_000;

/// How long a port's workers stood still, in nanoseconds: the values of the worker that stood still
/// the longest.
#[derive(Debug, Default)]
pub(super) struct Standstill {
    /// The longest single time.
    longest: AtomicU64,
    /// All times together.
    total: AtomicU64,
}

impl Standstill {
    /// The longest single time, and all times together.
    pub(super) fn get(&self) -> (Duration, Duration) {
        let nanos = |count: &AtomicU64| Duration::from_nanos(count.load(Ordering::Relaxed));
        (nanos(&self.longest), nanos(&self.total))
    }
}

/// Watches one worker, on the worker's own thread.
pub(super) struct StandstillWatch<'a> {
    of_port: &'a Standstill,
    /// The scheduler's statistics of this thread; none without /proc.
    scheduler: Option<File>,
    /// The last sign of life, on the monotonic clock.
    last: u64,
    /// How long this thread has waited for its CPU, as of `read`.
    waited: u64,
    /// When `waited` was read.
    read: u64,
    /// How overdue the last call's departures were at most.
    late: u64,
    total: u64,
}

impl<'a> StandstillWatch<'a> {
    pub(super) fn begin(of_port: &'a Standstill, now: u64) -> Self {
        let scheduler = File::open("/proc/thread-self/schedstat").ok();
        let waited = scheduler.as_ref().map_or(0, waited);
        Self { of_port, scheduler, last: now, waited, read: now, late: 0, total: 0 }
    }

    /// Records a sign of life. `asleep_until` is the intended end of a sleep before it, where there
    /// was one.
    pub(super) fn alive(&mut self, now: u64, asleep_until: Option<u64>) {
        self.sign(now, asleep_until.map_or(self.last, |until| until.max(self.last)));
    }

    /// Records a sign of life after a call in which the program waited for departures for `waited`
    /// nanoseconds, and departures were overdue by `late` at most.
    ///
    /// The number of a call's repetitions is fixed before a rate falls, so the call may rightly wait
    /// for seconds. But a pause most likely falls into such a wait, and makes departures later than
    /// those of the call before: by that difference, the wait was unintended.
    pub(super) fn called(&mut self, now: u64, waited: u64, late: u64) {
        let delayed = late.saturating_sub(self.late);
        let meant = waited.saturating_sub(delayed);
        self.late = late;
        self.sign(now, self.last.saturating_add(meant));
    }

    /// Records a sign of life that was expected at `since`.
    fn sign(&mut self, now: u64, since: u64) {
        self.last = now;
        let hole = now.saturating_sub(since);
        if hole > LONGEST {
            // A thread that waits for a busy CPU does not stand still.
            let waited = self.refresh(now);
            if waited < hole / 2 {
                self.total += hole;
                // The next call finds departures overdue by this same hole.
                self.late = self.late.max(hole);
                self.of_port.longest.fetch_max(hole, Ordering::Relaxed);
                self.of_port.total.fetch_max(self.total, Ordering::Relaxed);
            }
        } else if now.saturating_sub(self.read) > REFRESH {
            self.refresh(now);
        }
    }

    /// How long the thread has waited for its CPU since the last reading.
    fn refresh(&mut self, now: u64) -> u64 {
        let waited = self.scheduler.as_ref().map_or(0, waited);
        let before = std::mem::replace(&mut self.waited, waited);
        self.read = now;
        waited.saturating_sub(before)
    }
}

/// The second number of a thread's `schedstat`: nanoseconds on a run queue
/// (Documentation/scheduler/sched-stats.rst). 0 where the kernel does not count them.
fn waited(scheduler: &File) -> u64 {
    let mut text = [0; 96];
    let read = scheduler.read_at(&mut text, 0).unwrap_or(0);
    let text = std::str::from_utf8(&text[..read]).unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|waited| waited.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    /// Signs of life at these times, in milliseconds, each with the end of a sleep before it.
    #[track_caller]
    fn check(signs: &[(u64, Option<u64>)], expected: (u64, u64)) {
        let stillness = Standstill::default();
        let mut watch =
            StandstillWatch { scheduler: None, ..StandstillWatch::begin(&stillness, 0) };
        for &(now, until) in signs {
            watch.alive(now * MS, until.map(|until| until * MS));
        }
        let (longest, total) = stillness.get();
        assert_eq!(
            (longest.as_millis(), total.as_millis()),
            (expected.0.into(), expected.1.into())
        );
    }

    #[test]
    fn holes_differ_from_calls_and_sleeps() {
        check(&[(50, None), (100, None), (350, None)], (0, 0));
        check(&[(50, None), (1350, None), (1400, None), (1800, None)], (1300, 1700));
        // Asleep for a minute, and woken on time or late.
        check(&[(60_000, Some(59_999))], (0, 0));
        check(&[(60_000, Some(59_000))], (1000, 1000));
        check(&[(100, Some(50)), (400, Some(50))], (300, 300));
    }

    /// Calls, each with its end, how long it waited and how overdue departures were, in
    /// milliseconds.
    #[track_caller]
    fn check_calls(calls: &[(u64, u64, u64)], expected: (u64, u64)) {
        let stillness = Standstill::default();
        let mut watch =
            StandstillWatch { scheduler: None, ..StandstillWatch::begin(&stillness, 0) };
        for &(now, waited, late) in calls {
            watch.called(now * MS, waited * MS, late * MS);
        }
        let (longest, total) = stillness.get();
        assert_eq!(
            (longest.as_millis(), total.as_millis()),
            (expected.0.into(), expected.1.into())
        );
    }

    #[test]
    fn a_call_that_waits_at_a_lower_rate_is_no_standstill() {
        // From 1 Mpps to 10 kpps: 50 000 repetitions, each of which waits for 100 µs.
        check_calls(&[(50, 40, 0), (5050, 4990, 0), (5100, 45, 0)], (0, 0));
        // The same while the worker catches up.
        check_calls(&[(50, 0, 3000), (5050, 4900, 3000), (5100, 45, 0)], (0, 0));
    }

    #[test]
    fn a_pause_does_not_count_as_waiting() {
        // A virtual machine is paused while the program waits: frames that were due in the pause
        // leave late.
        check_calls(&[(50, 45, 0), (2100, 2045, 2000), (2150, 45, 0)], (2005, 2005));
        // SIGSTOP ends the call, and departures are overdue in the next call, which may be long
        // too.
        check_calls(&[(50, 45, 0), (2075, 25, 0), (7075, 4900, 2000)], (2000, 2000));
    }

    #[test]
    fn the_scheduler_has_statistics_of_this_thread() {
        let file = File::open("/proc/thread-self/schedstat");
        // The file has a number of nanoseconds, or the system has no such file.
        assert!(file.is_err() || file.is_ok_and(|file| waited(&file) < u64::MAX));
    }
}
