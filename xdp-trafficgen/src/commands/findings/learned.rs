//! What is found out while frames are sent, at most once a second.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use super::{
    RunFindings,
    explanations::DropExplanations,
    observation::{Observation, Period},
    port::ObservedPort,
};
use crate::{
    host::{LinkChanges, is_captured},
    output::NewDrops,
    stats::{DropReason, Snapshot},
};

/// What is found out while frames are sent.
#[derive(Debug, Default)]
pub(super) struct LiveFindings {
    pub(super) moments: DropExplanations,
    /// None where the kernel does not tell.
    pub(super) changes: Option<LinkChanges>,
    /// Ports, by their places, at whose interfaces a capture ran.
    pub(super) captured: BTreeSet<usize>,
    /// When drops were explained the last time.
    pub(super) learned: Option<Instant>,
}

impl LiveFindings {
    /// Reads the kernel's notifications, which it keeps for a limited time.
    pub(super) fn read_reports(&mut self) {
        if let Some(changes) = &mut self.changes {
            changes.read_reports();
        }
    }
}

/// The shortest time between two readings of the facts: a bit less than a second, since ticks of a
/// second come early at times.
const BETWEEN_LOOKS: Duration = Duration::from_millis(950);

/// How long from `now` until the next reading may happen, after that of `learned`.
fn rest(learned: Option<Instant>, now: Instant) -> Duration {
    learned.map_or(Duration::ZERO, |learned| {
        BETWEEN_LOOKS.saturating_sub(now.saturating_duration_since(learned))
    })
}

impl RunFindings {
    /// Ports at whose interfaces a capture started since the last call.
    pub(super) fn newly_captured(&self) -> Vec<usize> {
        let captured = |sending: &ObservedPort| sending.leaves() && is_captured(sending.index);
        let places = self
            .ports
            .iter()
            .enumerate()
            .filter(|(_, sending)| captured(sending))
            .map(|(place, _)| place);
        let places: Vec<usize> = places.collect();
        let mut so_far = self.so_far();
        places.into_iter().filter(|place| so_far.captured.insert(*place)).collect()
    }

    /// Explains the frames that were dropped since the last call, and keeps the explanations: one
    /// reading of the facts for all, one a second at most. It blocks, for milliseconds.
    pub(crate) fn learn(&self, snapshot: &Snapshot) -> Vec<NewDrops> {
        if self.rest().is_zero() { self.learn_now(snapshot) } else { Vec::new() }
    }

    /// [`Self::learn`] without the limit to one a second, for the end of a run.
    pub(crate) fn learn_now(&self, snapshot: &Snapshot) -> Vec<NewDrops> {
        {
            let mut so_far = self.so_far();
            so_far.read_reports();
            if so_far.moments.news(snapshot).is_empty() {
                // What became of the interfaces until now has cost nothing.
                so_far.changes.iter_mut().for_each(LinkChanges::next_period);
                return Vec::new();
            }
            so_far.learned = Some(Instant::now());
        }
        self.put_down(snapshot, self.look().as_ref())
    }

    /// How long until the next reading of the facts may happen.
    pub(super) fn rest(&self) -> Duration {
        let mut so_far = self.so_far();
        so_far.read_reports();
        rest(so_far.learned, Instant::now())
    }

    /// Explains, by these facts, the drops that have no explanation yet.
    pub(super) fn put_down(
        &self,
        snapshot: &Snapshot,
        look: Option<&Observation<'_>>,
    ) -> Vec<NewDrops> {
        let mut so_far = self.so_far();
        let news = so_far.moments.news(snapshot);
        let explained = |(key, count): ((usize, DropReason), u64)| {
            let (index, reason) = key;
            let finding = look.zip(self.ports.get(index));
            let finding =
                finding.map(|(look, sending)| look.of_drop(sending, reason, Period::Lately));
            let frames = finding
                .as_ref()
                .map(|finding| so_far.moments.put_down(key, count, finding.clone()));
            NewDrops { index, reason, frames: frames.unwrap_or(count), finding }
        };
        news.into_iter().map(explained).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            RunEnd,
            tests::{full, run_findings},
        },
        *,
    };

    #[test]
    fn there_is_one_look_a_second() {
        let now = Instant::now();
        let after = |millis| rest(Some(now), now + Duration::from_millis(millis));
        assert_eq!(rest(None, now), Duration::ZERO);
        assert!(after(0) > Duration::from_millis(900) && after(500) > Duration::ZERO);
        assert_eq!((after(1000), after(90_000)), (Duration::ZERO, Duration::ZERO));
    }

    #[test]
    fn drops_are_news_once_and_all_told_at_the_end() {
        let run_findings = run_findings();
        let news = |news: Vec<NewDrops>| news.iter().map(|news| news.frames).collect::<Vec<_>>();
        assert_eq!(news(run_findings.learn(&full(5))), [5]);
        assert!(run_findings.so_far().learned.is_some());
        // As if that were just now, however slow the machine is.
        run_findings.so_far().learned = Some(Instant::now() + Duration::from_secs(600));
        assert_eq!(news(run_findings.learn(&full(7))), [0; 0]);
        assert_eq!(news(run_findings.learn_now(&full(7))), [2]);
        let findings = run_findings.conclude(&full(9), Vec::new(), RunEnd::Complete);
        let full: Vec<_> =
            findings.iter().filter(|found| found.finding.code == "queue_full").collect();
        assert_eq!(
            full.iter().map(|found| found.frames).collect::<Vec<_>>(),
            [Some(9)],
            "{findings:?}"
        );
    }
}
