//! The clock that the programs read.
//!
//! `bpf_ktime_get_ns` reads the machine's monotonic clock. In a time namespace (time_namespaces(7):
//! containers, CRIU) this process's `CLOCK_MONOTONIC` differs from it by a constant.

use std::sync::OnceLock;

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::kernel::{
    KernelError,
    tiny::{Clock, failed},
};

/// The programs' clock, as an offset to this process's. A process stays in its time namespace for
/// as long as it has threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramClock {
    /// Nanoseconds that the programs' clock is ahead of this process's.
    ahead: i64,
}

/// Readings of the programs' clock, each between two readings of our own: the narrowest of them
/// give the offset to within a microsecond.
const READINGS: usize = 64;

impl ProgramClock {
    /// Outside of time namespaces: both clocks are the same.
    pub const OWN: Self = Self { ahead: 0 };

    /// Compares the clocks, once in the life of a process.
    ///
    /// # Errors
    /// When the kernel refuses the program that reads its clock.
    pub fn of_kernel() -> Result<Self, KernelError> {
        static CLOCK: OnceLock<ProgramClock> = OnceLock::new();
        if let Some(&clock) = CLOCK.get() {
            return Ok(clock);
        }
        let program = Clock::load()?;
        let mut readings = Vec::new();
        for _ in 0..READINGS {
            let before = own_now();
            let theirs = program.read().map_err(failed("bpf(BPF_PROG_TEST_RUN)"))?;
            readings.push([before, theirs, own_now()]);
        }
        Ok(*CLOCK.get_or_init(|| Self { ahead: difference(&readings) }))
    }

    /// Nanoseconds on the programs' clock.
    pub fn now(self) -> u64 {
        own_now().saturating_add_signed(self.ahead)
    }

    /// An instant of the programs' clock on this process's `CLOCK_MONOTONIC`, by which it sleeps.
    pub fn own(self, instant: u64) -> Timespec {
        let own = instant.saturating_sub_signed(self.ahead);
        Timespec {
            // 2^64 ns are 584 years, so that seconds take 35 bits.
            tv_sec: (own / 1_000_000_000).cast_signed(),
            tv_nsec: (own % 1_000_000_000).cast_signed(),
        }
    }
}

/// This process's `CLOCK_MONOTONIC` in nanoseconds.
fn own_now() -> u64 {
    let Timespec { tv_sec, tv_nsec } = clock_gettime(ClockId::Monotonic);
    // CLOCK_MONOTONIC counts from boot, so neither is negative; 2^64 ns are 584 years.
    tv_sec.cast_unsigned() * 1_000_000_000 + tv_nsec.cast_unsigned()
}

/// How far the programs' clock is ahead of ours, from readings of ours, theirs, and ours again.
/// Zero where zero is possible: without a time namespace the clocks are the same, and an inexact
/// measurement must not make them differ.
fn difference(readings: &[[u64; 3]]) -> i64 {
    let least =
        readings.iter().map(|&[_, theirs, after]| theirs.wrapping_sub(after).cast_signed()).max();
    let most =
        readings.iter().map(|&[before, theirs, _]| theirs.wrapping_sub(before).cast_signed()).min();
    match (least, most) {
        (Some(least), Some(most)) if least > 0 || most < 0 => least.midpoint(most),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(readings: &[[u64; 3]], ahead: i64) {
        assert_eq!(difference(readings), ahead);
    }

    #[test]
    fn the_narrowest_readings_tell_the_difference() {
        // Both clocks are the same.
        check(&[[100, 150, 900], [1000, 1010, 1030]], 0);
        check(&[], 0);
        // A namespace that is a million seconds ahead, and one that is a minute behind.
        let million = 1_000_000_000_000_000;
        check(
            &[[million + 100, 150, million + 900], [million + 1000, 1010, million + 1030]],
            -(1_000_000_000_000_005),
        );
        check(&[[100, 60_000_000_200, 900], [1000, 60_000_001_010, 1030]], 59_999_999_995);
    }

    #[test]
    fn instants_go_back_and_forth() {
        for ahead in [0, -1_000_000_000_000_000, 60_000_000_000] {
            let clock = ProgramClock { ahead };
            let Timespec { tv_sec, tv_nsec } = clock.own(2_000_000_000_000_000);
            let own = u64::try_from(tv_sec * 1_000_000_000 + tv_nsec).unwrap();
            assert_eq!(own.saturating_add_signed(ahead), 2_000_000_000_000_000);
        }
    }
}
