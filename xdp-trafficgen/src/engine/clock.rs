//! The session's clock: `CLOCK_MONOTONIC`, as the eBPF program reads it, so that both sides mean the same instant.

use std::time::{Duration, SystemTime};

use rustix::{
    io::Errno,
    thread::{ClockId as SleepClock, clock_nanosleep_absolute},
    time::Timespec,
};
use tokio_util::sync::CancellationToken;

pub use crate::kernel::monotonic_now as now;

/// A wall-clock instant on the monotonic clock, by what separates the two now; none when it is over.
pub(super) fn at(instant: SystemTime) -> Option<u64> {
    let ahead = instant.duration_since(SystemTime::now()).ok()?;
    Some(now().saturating_add(nanoseconds(ahead)))
}

/// In whole nanoseconds, of which 64 bits hold 584 years.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// How long a sleeper takes at most to notice that it should stop.
const SLICE: u64 = 10_000_000;

/// Sleeps until this instant, or until it is told to stop.
pub(super) fn sleep_until(instant: u64, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let now = now();
        if now >= instant {
            return;
        }
        let end = instant.min(now + SLICE);
        let request = Timespec {
            tv_sec: i64::try_from(end / 1_000_000_000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(end % 1_000_000_000).unwrap_or(0),
        };
        // A signal may wake it early; nothing else can be wrong with these arguments.
        if let Err(error) = clock_nanosleep_absolute(SleepClock::Monotonic, &request)
            && error != Errno::INTR
        {
            return;
        }
    }
}
