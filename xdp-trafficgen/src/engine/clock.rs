//! The session's clock, which is the one that the eBPF program reads, so that both sides mean the
//! same instant.

use std::time::SystemTime;

use rustix::{
    io::Errno,
    thread::{ClockId as SleepClock, clock_nanosleep_absolute},
};
use tokio_util::sync::CancellationToken;

use crate::{kernel::ProgramClock, units::Nanos};

/// Now, on the clock of sessions, in nanoseconds. Where the kernel takes no program that tells it,
/// nothing is ever sent, and any clock will do.
pub fn now() -> u64 {
    ProgramClock::of_kernel().unwrap_or(ProgramClock::OWN).now()
}

/// A wall-clock instant on the session's clock, by what separates the two now; none when it is
/// over.
pub(super) fn at(clock: ProgramClock, instant: SystemTime) -> Option<u64> {
    let ahead = instant.duration_since(SystemTime::now()).ok()?;
    Some(Nanos::from(ahead).after(Nanos::new(clock.now())).get())
}

/// How long a sleeper takes at most to notice that it should stop.
const SLICE: u64 = 10_000_000;

/// Sleeps until this instant, or until the stop token is cancelled.
pub(super) fn sleep_until(clock: ProgramClock, instant: u64, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let now = clock.now();
        if now >= instant {
            return;
        }
        let end = instant.min(now + SLICE);
        // A signal may wake it early; nothing else can be wrong with these arguments.
        if let Err(error) = clock_nanosleep_absolute(SleepClock::Monotonic, &clock.own(end))
            && error != Errno::INTR
        {
            return;
        }
    }
}
