//! The counts of a port, also while it is down.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use crate::{
    commands::CommandError,
    diagnosis::in_full,
    stats::{PortCount, StoppedPort},
};

/// The counts of a port.
pub(in crate::commands::daemon) enum Counts {
    /// As they were when they were read.
    Known(Box<PortCount>),
    /// Of a port that is down: computed by each read, and only then.
    Down(Arc<Mutex<Outage>>),
}

impl Counts {
    /// As they are now, on the clock of [`crate::engine::now`].
    pub(in crate::commands::daemon) fn read(&self, now: u64) -> PortCount {
        match self {
            Self::Known(count) => PortCount::clone(count),
            Self::Down(outage) => outage.lock().unwrap_or_else(PoisonError::into_inner).counts(now),
        }
    }
}

/// The counts of a port that is down, as they go on.
pub(in crate::commands::daemon) struct Outage {
    pub(super) down: StoppedPort,
    /// When its last run started, on the clock of [`crate::engine::now`].
    pub(super) epoch: u64,
    /// Why it does not send.
    pub(super) reason: String,
}

impl Outage {
    fn counts(&mut self, now: u64) -> PortCount {
        self.down.counts(Duration::from_nanos(now.saturating_sub(self.epoch)), &self.reason)
    }

    /// Unless it has a reason already.
    pub(super) fn is_due_to(&mut self, error: &CommandError) {
        if self.reason.is_empty() {
            self.reason = reason(error);
        }
    }

    pub(super) fn shared(self) -> Arc<Mutex<Self>> {
        Arc::new(Mutex::new(self))
    }
}

/// Why a port is down, in a line: of a configuration that does not fit the machine any more, what
/// does not fit first.
fn reason(error: &CommandError) -> String {
    let text = in_full(error);
    let first = text.lines().next().unwrap_or_default();
    first.strip_prefix("error: ").unwrap_or(first).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        commands::daemon::supervision::left::tests::{planned, shared_rates},
        plan::pacing::missed::MissedDepartures,
    };

    /// A regression test: they were computed up to 100 times a second, also without a reader.
    #[test]
    fn counts_of_an_outage_are_those_of_when_somebody_asks() {
        let port = planned(&shared_rates());
        let none = PortCount::none(&port);
        let down =
            StoppedPort::since(MissedDepartures::of(&port), Duration::ZERO, none.clone(), &none);
        let counts = Counts::Down(Outage { down, epoch: 1000, reason: "gone".to_owned() }.shared());
        let second = 1_000_000_000;
        for (seconds, unsent) in [(1, 4800), (2, 6800), (2, 6800), (3600, 6800 + 3598 * 2000)] {
            let count = counts.read(1000 + seconds * second);
            assert_eq!(
                (count.outage.down, count.outage.unsent),
                (Duration::from_secs(seconds), unsent)
            );
        }
    }
}
