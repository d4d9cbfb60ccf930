//! The session's clock: the one that the eBPF program reads, so that both sides mean the same
//! instant.

use std::time::SystemTime;

use rustix::{
    io::Errno,
    thread::{ClockId as SleepClock, clock_nanosleep_absolute},
};
use tokio_util::sync::CancellationToken;

use crate::{kernel::ProgramClock, units::Nanos};

/// Now, on the clock of sessions, in nanoseconds. Where the kernel refuses the program that reads
/// that clock, no session can send, and the process's own clock serves.
pub fn now() -> u64 {
    ProgramClock::of_kernel().unwrap_or(ProgramClock::OWN).now()
}

/// A wall-clock instant on the session's clock, by the difference of the two clocks now; none when
/// the instant is over.
pub(super) fn at(clock: ProgramClock, instant: SystemTime) -> Option<u64> {
    let ahead = instant.duration_since(SystemTime::now()).ok()?;
    Some(Nanos::from(ahead).after(Nanos::new(clock.now())).get())
}

/// The longest time after which a sleeper checks the stop token again.
const SLICE: u64 = 10_000_000;

/// Sleeps until this instant, or until the stop token is cancelled.
pub(super) fn sleep_until(clock: ProgramClock, instant: u64, stop: &CancellationToken) {
    while !stop.is_cancelled() {
        let now = clock.now();
        if now >= instant {
            return;
        }
        let end = instant.min(now + SLICE);
        // A signal may end the sleep early; these arguments allow no other error.
        if let Err(error) = clock_nanosleep_absolute(SleepClock::Monotonic, &clock.own(end))
            && error != Errno::INTR
        {
            return;
        }
    }
}
