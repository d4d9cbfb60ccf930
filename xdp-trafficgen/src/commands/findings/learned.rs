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
    /// Ports, by their places, at whose interfaces somebody captured.
    pub(super) captured: BTreeSet<usize>,
    /// When drops were explained the last time.
    pub(super) learned: Option<Instant>,
}

impl LiveFindings {
    /// Takes in what the kernel told, which it keeps for a while only.
    pub(super) fn read_reports(&mut self) {
        if let Some(changes) = &mut self.changes {
            changes.read_reports();
        }
    }
}

/// How long after one look there is no other: about a second, and a bit less, for ticks of a second
/// come early now and then.
const BETWEEN_LOOKS: Duration = Duration::from_millis(950);

/// How long from `now` until the next look, after that of `learned`.
fn rest(learned: Option<Instant>, now: Instant) -> Duration {
    learned.map_or(Duration::ZERO, |learned| {
        BETWEEN_LOOKS.saturating_sub(now.saturating_duration_since(learned))
    })
}

impl RunFindings {
    /// Ports at whose interfaces somebody captures, who did not before.
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

    /// Finds out why the frames were dropped that were not at the last time, and keeps it: from one
    /// look for all, and one a second at most. It blocks, for milliseconds.
    pub(crate) fn learn(&self, snapshot: &Snapshot) -> Vec<NewDrops> {
        if self.rest().is_zero() { self.learn_now(snapshot) } else { Vec::new() }
    }

    /// The same whenever the last look was, for the end.
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

    /// How long until the next look.
    pub(super) fn rest(&self) -> Duration {
        let mut so_far = self.so_far();
        so_far.read_reports();
        rest(so_far.learned, Instant::now())
    }

    /// Explains what nothing explained so far by this look.
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
            tests::{full, outlook},
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
        let outlook = outlook();
        let news = |news: Vec<NewDrops>| news.iter().map(|news| news.frames).collect::<Vec<_>>();
        assert_eq!(news(outlook.learn(&full(5))), [5]);
        assert!(outlook.so_far().learned.is_some());
        // As if that were just now, however slow the machine is.
        outlook.so_far().learned = Some(Instant::now() + Duration::from_secs(600));
        assert_eq!(news(outlook.learn(&full(7))), [0; 0]);
        assert_eq!(news(outlook.learn_now(&full(7))), [2]);
        let findings = outlook.conclude(&full(9), Vec::new(), RunEnd::Complete);
        let full: Vec<_> =
            findings.iter().filter(|found| found.finding.code == "queue_full").collect();
        assert_eq!(
            full.iter().map(|found| found.frames).collect::<Vec<_>>(),
            [Some(9)],
            "{findings:?}"
        );
    }
}
