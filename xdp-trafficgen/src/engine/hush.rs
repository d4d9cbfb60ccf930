//! Stops the programs of a session at the instant at which it is told to stop.
//!
//! A signal cancels a token. Whoever waits for that in the runtime hears of it when the runtime has time, and departures that
//! were due until then would look like departures without a frame. So the words that the programs look at are written by the
//! thread that cancels the token, before anybody else hears of it, and the instant in them is the one from which on nothing was
//! due, for all ports and workers.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Wake, Waker},
};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::kernel::{ProgramClock, StopWord};

/// Stops them for as long as this lives.
pub(super) struct Hush {
    _waiting: Pin<Box<WaitForCancellationFutureOwned>>,
}

struct Act<F>(F);

impl Hush {
    /// Writes `words` when `stop` is cancelled; at once, if it has been.
    pub(super) fn when(stop: &CancellationToken, words: Vec<StopWord>, clock: ProgramClock) -> Self {
        Self::acting(stop, move || {
            let now = clock.now();
            words.iter().for_each(|word| word.set(now));
        })
    }

    fn acting(stop: &CancellationToken, act: impl Fn() + Send + Sync + 'static) -> Self {
        let act = Arc::new(Act(act));
        let waker = Waker::from(Arc::clone(&act));
        let mut waiting = Box::pin(stop.clone().cancelled_owned());
        if waiting.as_mut().poll(&mut Context::from_waker(&waker)).is_ready() {
            act.wake();
        }
        Self { _waiting: waiting }
    }
}

impl<F: Fn() + Send + Sync + 'static> Wake for Act<F> {
    /// Called by the thread that cancels the token.
    fn wake(self: Arc<Self>) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    use super::*;

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
        let kept = Hush::acting(&session, act());
        let dropped = Hush::acting(&session, act());
        drop(dropped);
        assert_eq!(done.load(Relaxed), 0);
        signal.cancel();
        assert_eq!(done.load(Relaxed), 1);
        drop(kept);
        let _late = Hush::acting(&session, act());
        assert_eq!(done.load(Relaxed), 2);
    }
}
