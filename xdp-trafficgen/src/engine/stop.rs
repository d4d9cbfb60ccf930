//! Stops a session's programs at the instant at which its stop token is cancelled.
//!
//! A signal cancels the token. Tasks of the runtime notice that when the runtime has time, and
//! departures that were due until then would count as unsent. So the thread that cancels the token
//! writes each program's stop flag itself, within the call that cancels. Paced workers read only
//! that flag, and the instant in it is the end of departures for all ports and workers.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Wake, Waker},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use xdp_trafficgen_ebpf::abi::timing::GRACE;

use crate::kernel::{ProgramClock, StopFlag};

/// A session's stop, by request or because something failed. Clones share it.
#[derive(Clone)]
pub(super) struct Stop {
    token: CancellationToken,
    clock: ProgramClock,
    /// Departures from this instant on do not count as unsent.
    over: Arc<OnceLock<u64>>,
}

impl Stop {
    /// A stop that is cancelled with `requested`, or alone.
    pub(super) fn below(requested: &CancellationToken, clock: ProgramClock) -> Self {
        Self { token: requested.child_token(), clock, over: Arc::default() }
    }

    /// The token that the session's tasks and threads wait for.
    pub(super) const fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Ends a session in which something failed. All departures until now count: a restarted session
    /// counts those from now on.
    pub(super) fn fail(&self) {
        self.failed(self.clock.now());
        self.token.cancel();
    }

    fn failed(&self, now: u64) {
        self.over.get_or_init(|| now);
    }

    /// Records that the user requested the stop. Departures just before it have the grace period that
    /// they have at a planned end: a worker that is late by no more than that has no unsent frames.
    fn requested(&self, now: u64) {
        self.over.get_or_init(|| now.saturating_sub(GRACE));
    }

    /// The end of departures as it is known at `now`: `now` itself, or the earlier instant of the
    /// stop. Later departures do not count as unsent. Times are on the programs' clock.
    pub(super) fn over(&self, now: u64) -> u64 {
        self.over.get().map_or(now, |&over| over.min(now))
    }
}

/// Writes the stop flags of a session's programs when its token is cancelled, while this value
/// lives.
pub(super) struct StopWriter {
    _waiting: Pin<Box<WaitForCancellationFutureOwned>>,
}

struct OnWake<F>(F);

impl StopWriter {
    /// Writes `flags` when `stop` is cancelled; at once, if it is already.
    pub(super) fn when(stop: &Stop, flags: Vec<StopFlag>) -> Self {
        let Stop { clock, .. } = *stop;
        let own = stop.clone();
        Self::acting(stop.token(), move || {
            let now = clock.now();
            // Before the flags: a worker that reads one then finds this instant, too.
            own.requested(now);
            flags.iter().for_each(|flag| flag.set(now));
        })
    }

    fn acting(stop: &CancellationToken, act: impl Fn() + Send + Sync + 'static) -> Self {
        let act = Arc::new(OnWake(act));
        let waker = Waker::from(Arc::clone(&act));
        let mut waiting = Box::pin(stop.clone().cancelled_owned());
        if waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            act.wake();
        }
        Self { _waiting: waiting }
    }
}

impl<F: Fn() + Send + Sync + 'static> Wake for OnWake<F> {
    /// Called by the thread that cancels the token.
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

    /// A session's stop, and its writer without flags.
    fn stop(signal: &CancellationToken) -> (Stop, StopWriter) {
        let stop = Stop::below(signal, ProgramClock::OWN);
        let stop_writer = StopWriter::when(&stop, Vec::new());
        (stop, stop_writer)
    }

    #[test]
    fn a_requested_stop_leaves_time_to_catch_up() {
        let signal = CancellationToken::new();
        let (stop, _stop_writer) = stop(&signal);
        assert_eq!(stop.over(u64::MAX), u64::MAX);
        let before = ProgramClock::OWN.now();
        signal.cancel();
        let after = ProgramClock::OWN.now();
        assert!((before - GRACE..=after - GRACE).contains(&stop.over(u64::MAX)));
        // Failures after the request change nothing.
        stop.fail();
        assert!(stop.over(u64::MAX) <= after - GRACE);
        assert_eq!(stop.over(17), 17);
    }

    #[test]
    fn a_failure_counts_departures_until_then() {
        let signal = CancellationToken::new();
        let (stop, _stop_writer) = stop(&signal);
        let before = ProgramClock::OWN.now();
        stop.fail();
        assert!((before..=ProgramClock::OWN.now()).contains(&stop.over(u64::MAX)));
        assert!(stop.is_cancelled() && !signal.is_cancelled());
    }

    #[test]
    fn one_instant_decides_for_all() {
        const MS: u64 = 1_000_000;
        // Each worker reads it at another time.
        let seen = |stop: &Stop| [1001, 1050, 9000].map(|now| stop.over(now * MS) / MS);
        let new = || Stop::below(&CancellationToken::new(), ProgramClock::OWN);
        let (requested, failed) = (new(), new());
        requested.requested(1000 * MS);
        failed.failed(1000 * MS);
        failed.requested(1001 * MS);
        assert_eq!((seen(&requested), seen(&failed)), ([990; 3], [1000; 3]));
    }

    #[test]
    fn the_action_is_done_when_cancel_returns() {
        let done = Arc::new(AtomicU32::new(0));
        let act = || {
            let done = Arc::clone(&done);
            move || {
                done.fetch_add(1, Relaxed);
            }
        };
        // The session's token is a child of the signal's, and no task polls it.
        let signal = CancellationToken::new();
        let session = signal.child_token();
        let kept = StopWriter::acting(&session, act());
        let dropped = StopWriter::acting(&session, act());
        drop(dropped);
        assert_eq!(done.load(Relaxed), 0);
        signal.cancel();
        assert_eq!(done.load(Relaxed), 1);
        drop(kept);
        let _late = StopWriter::acting(&session, act());
        assert_eq!(done.load(Relaxed), 2);
    }
}
