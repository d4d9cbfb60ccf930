//! Why frames were dropped, found out while they were: facts belong to the moment, and an MTU that
//! was too small then may have been put right since.
//!
//! Counts only grow. Each time those of a port and reason have grown, what explains them then is
//! put down for as many frames; the facts at the end explain only the frames that were dropped
//! since the last reading.

use std::collections::BTreeMap;

use crate::{
    diagnosis::Finding,
    stats::{DropReason, PortCount, Snapshot},
};

/// By the port's place in the plan, and the reason.
pub(super) type Key = (usize, DropReason);

/// What was found out so far.
#[derive(Debug, Default)]
pub(super) struct DropExplanations {
    known: BTreeMap<Key, Vec<DropExplanation>>,
}

/// Frames that one cause explains.
#[derive(Clone, Debug, PartialEq, Eq)]
struct DropExplanation {
    frames: u64,
    finding: Finding,
}

impl DropExplanations {
    /// Drops without an explanation yet: whose, and how many there are, the explained ones among
    /// them. Of frames that were to be dropped there is nothing to find out.
    pub(super) fn news(&self, snapshot: &Snapshot) -> Vec<(Key, u64)> {
        let of_port = |(index, port): (usize, &PortCount)| {
            let new = move |&(reason, count): &(DropReason, u64)| {
                let key = (index, reason);
                (reason != DropReason::Action && count > self.explained(key))
                    .then_some((key, count))
            };
            port.drops.iter().filter_map(new).collect::<Vec<_>>()
        };
        snapshot.ports.iter().enumerate().flat_map(of_port).collect()
    }

    fn explained(&self, key: Key) -> u64 {
        self.known.get(&key).map_or(0, |moments| moments.iter().map(|moment| moment.frames).sum())
    }

    /// Puts down what explains those of so many frames that nothing explained so far, and gives how
    /// many these are: none, when another thread was faster. The same cause keeps its first
    /// words.
    pub(super) fn put_down(&mut self, key: Key, count: u64, finding: Finding) -> u64 {
        let frames = count.saturating_sub(self.explained(key));
        let moments = self.known.entry(key).or_default();
        match moments.iter_mut().find(|known| known.finding.code == finding.code) {
            Some(known) => known.frames += frames,
            None => moments.push(DropExplanation { frames, finding }),
        }
        frames
    }

    /// What explains the frames that a port lost for this reason, each cause with as many as it
    /// cost, as `retell` says it now. `now` is what would explain them if they were lost at
    /// this moment, and explains what nothing did while it happened; none when it is not known.
    /// `count`: how many they are at the end, when what was under way has come to its own.
    pub(super) fn told(
        &self,
        key: Key,
        count: u64,
        now: Option<&Finding>,
        retell: impl Fn(&Finding) -> Finding,
    ) -> Vec<(u64, Finding)> {
        let mut left = count;
        let mut told = Vec::new();
        for DropExplanation { frames, finding } in
            self.known.get(&key).map_or(&[][..], Vec::as_slice)
        {
            let frames = left.min(*frames);
            left -= frames;
            if frames > 0 {
                told.push((frames, retell(finding)));
            }
        }
        if let (Some(now), true) = (now, left > 0) {
            told.push((left, now.clone()));
        }
        told
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Severity;

    const FULL: Key = (0, DropReason::QueueFull);
    const LONG: Key = (0, DropReason::Redirect(90));

    fn finding(code: &'static str, cause: &str) -> Finding {
        Finding {
            code,
            severity: Severity::Loses,
            cause: cause.to_owned(),
            cure: "do it".to_owned(),
        }
    }

    fn dropped(drops: &[(DropReason, u64)]) -> Snapshot {
        Snapshot {
            ports: vec![PortCount { drops: drops.to_vec(), ..PortCount::default() }],
            ..Snapshot::default()
        }
    }

    #[test]
    fn each_frame_is_explained_once_by_its_own_moment() {
        let dropped = |full, long| dropped(&[(FULL.1, full), (LONG.1, long)]);
        let mut moments = DropExplanations::default();
        assert_eq!(moments.news(&dropped(0, 5)), [(LONG, 5)]);
        assert_eq!(moments.put_down(LONG, 5, finding("frame_above_mtu", "the MTU is 500")), 5);
        assert_eq!(moments.news(&dropped(0, 5)), []);
        assert_eq!(moments.news(&dropped(3, 9)), [(FULL, 3), (LONG, 9)]);
        assert_eq!(moments.put_down(LONG, 9, finding("frame_above_mtu", "the MTU is 600")), 4);
        assert_eq!(moments.put_down(LONG, 11, finding("interface_gone", "gone")), 2);
        // Another thread read at the same time.
        assert_eq!(moments.put_down(LONG, 11, finding("interface_gone", "gone")), 0);
        let again = |finding: &Finding| Finding {
            cause: format!("{} then", finding.cause),
            ..finding.clone()
        };
        let now = finding("x", "now");
        let then = [
            (9, finding("frame_above_mtu", "the MTU is 500 then")),
            (2, finding("interface_gone", "gone then")),
        ];
        assert_eq!(moments.told(LONG, 11, Some(&now), again), then);
        // Frames in flight at the last reading, which arrived after all.
        assert_eq!(
            moments
                .told(LONG, 10, Some(&now), again)
                .iter()
                .map(|(frames, _)| *frames)
                .sum::<u64>(),
            10
        );
        assert_eq!(moments.told((1, DropReason::QueueFull), 0, Some(&now), again), []);
    }

    #[test]
    fn no_frame_is_left_without_a_finding_when_one_look_failed() {
        let mut moments = DropExplanations::default();
        let (then, now) = (finding("queue_full", "full"), finding("frame_above_peer_mtu", "long"));
        assert_eq!(moments.told(FULL, 7, Some(&now), Finding::clone), [(7, now.clone())]);
        moments.put_down(FULL, 5, then.clone());
        assert_eq!(
            moments.told(FULL, 7, Some(&now), Finding::clone),
            [(5, then.clone()), (2, now)]
        );
        assert_eq!(moments.told(FULL, 7, None, Finding::clone), [(5, then)]);
    }

    #[test]
    fn frames_that_were_to_be_dropped_are_no_news() {
        assert_eq!(
            DropExplanations::default().news(&dropped(&[(DropReason::Action, 9), (LONG.1, 1)])),
            [(LONG, 1)]
        );
    }
}
