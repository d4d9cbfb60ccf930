//! Stops a session's programs at the instant at which its stop token is cancelled.
//!
//! A signal cancels the token. Tasks of the runtime notice that when the runtime has time, and
//! departures that were due until then would count as departures without a frame. So the thread
//! that cancels the token writes each program's stop flag itself, while it cancels. Paced workers
//! read only that flag, and the instant in it is the one from which on no frame was due, for all
//! ports and workers.

use std::{
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Wake, Waker},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use xdp_trafficgen_ebpf::abi::timing::GRACE;

use crate::kernel::{ProgramClock, StopFlag};

/// A session's stop: somebody asked for it, or something failed. Clones are the same one.
#[derive(Clone)]
pub(super) struct Stop {
    token: CancellationToken,
    clock: ProgramClock,
    /// What was due from this instant on is not missed.
    over: Arc<OnceLock<u64>>,
}

impl Stop {
    /// Comes when `asked` is cancelled, or on its own.
    pub(super) fn below(asked: &CancellationToken, clock: ProgramClock) -> Self {
        Self { token: asked.child_token(), clock, over: Arc::default() }
    }

    /// What the session's parts wait for.
    pub(super) const fn token(&self) -> &CancellationToken {
        &self.token
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Ends a session in which something failed. All that was due until now counts: it may be
    /// started again, and then misses what is due from now on.
    pub(super) fn fail(&self) {
        self.failed(self.clock.now());
        self.token.cancel();
    }

    fn failed(&self, now: u64) {
        self.over.get_or_init(|| now);
    }

    /// The user requested the stop. Frames that were due just before get as long as they get at an
    /// end that is known beforehand: a worker that is late by no more has missed none yet.
    fn asked(&self, now: u64) {
        self.over.get_or_init(|| now.saturating_sub(GRACE));
    }

    /// From when on nothing that did not leave counts as given up, as is known at `now`: now, or
    /// before, where it was told to stop. Times are on the programs' clock.
    pub(super) fn over(&self, now: u64) -> u64 {
        self.over.get().map_or(now, |&over| over.min(now))
    }
}

/// Stops them for as long as this lives.
pub(super) struct StopWriter {
    _waiting: Pin<Box<WaitForCancellationFutureOwned>>,
}

struct OnWake<F>(F);

impl StopWriter {
    /// Writes `words` when `stop` is cancelled; at once, if it has been.
    pub(super) fn when(stop: &Stop, words: Vec<StopFlag>) -> Self {
        let Stop { clock, .. } = *stop;
        let own = stop.clone();
        Self::acting(stop.token(), move || {
            let now = clock.now();
            // Before the words: whoever finds one knows this too.
            own.asked(now);
            words.iter().for_each(|word| word.set(now));
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

    /// A session's stop, and its stop_writer without a word.
    fn stop(signal: &CancellationToken) -> (Stop, StopWriter) {
        let stop = Stop::below(signal, ProgramClock::OWN);
        let stop_writer = StopWriter::when(&stop, Vec::new());
        (stop, stop_writer)
    }

    #[test]
    fn a_stop_that_is_asked_for_leaves_time_to_catch_up() {
        let signal = CancellationToken::new();
        let (stop, _stop_writer) = stop(&signal);
        assert_eq!(stop.over(u64::MAX), u64::MAX);
        let before = ProgramClock::OWN.now();
        signal.cancel();
        let after = ProgramClock::OWN.now();
        assert!((before - GRACE..=after - GRACE).contains(&stop.over(u64::MAX)));
        // Whatever fails while it comes to its end.
        stop.fail();
        assert!(stop.over(u64::MAX) <= after - GRACE);
        assert_eq!(stop.over(17), 17);
    }

    #[test]
    fn a_failure_misses_what_was_due_until_then() {
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
        // Each worker looks at another time.
        let seen = |stop: &Stop| [1001, 1050, 9000].map(|now| stop.over(now * MS) / MS);
        let new = || Stop::below(&CancellationToken::new(), ProgramClock::OWN);
        let (asked, failed) = (new(), new());
        asked.asked(1000 * MS);
        failed.failed(1000 * MS);
        failed.asked(1001 * MS);
        assert_eq!((seen(&asked), seen(&failed)), ([990; 3], [1000; 3]));
    }

    #[test]
    fn it_has_been_done_when_cancel_returns() {
        let done = Arc::new(AtomicU32::new(0));
        let act = || {
            let done = Arc::clone(&done);
            move || {
                done.fetch_add(1, Relaxed);
            }
        };
        // Of a session, below that of the signal: nobody polls anything.
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
