//! Why frames were dropped, found out while they were: facts belong to the moment, and an MTU that was too small then may have
//! been put right since.
//!
//! Counts only grow. Each time those of a port and reason have grown, what explains them then is put down for as many frames;
//! what is the matter at the end explains only those that were dropped since the last look.

use std::collections::BTreeMap;

use crate::{
    diagnosis::Finding,
    stats::{DropReason, PortCount, Snapshot},
};

/// By the port's place in the plan, and the reason.
pub(super) type Key = (usize, DropReason);

/// What was found out so far.
#[derive(Debug, Default)]
pub(super) struct Moments {
    known: BTreeMap<Key, Vec<Moment>>,
}

/// Frames that one cause explains.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Moment {
    frames: u64,
    finding: Finding,
}

impl Moments {
    /// Drops that nobody has explained yet: whose, and how many.
    pub(super) fn news(&self, snapshot: &Snapshot) -> Vec<(Key, u64)> {
        let of_port = |(index, port): (usize, &PortCount)| {
            let new = move |&(reason, count): &(DropReason, u64)| {
                let key = (index, reason);
                let known: u64 = self.known.get(&key).map_or(0, |moments| moments.iter().map(|it| it.frames).sum());
                (count > known).then(|| (key, count - known))
            };
            port.drops.iter().filter_map(new).collect::<Vec<_>>()
        };
        snapshot.ports.iter().enumerate().flat_map(of_port).collect()
    }

    /// Puts down what explains these frames. The same cause keeps its first words.
    pub(super) fn put_down(&mut self, key: Key, frames: u64, finding: Finding) {
        let moments = self.known.entry(key).or_default();
        match moments.iter_mut().find(|known| known.finding.code == finding.code) {
            Some(known) => known.frames += frames,
            None => moments.push(Moment { frames, finding }),
        }
    }

    /// What explains the frames that a port lost for this reason, each cause with as many as it cost, where `now` is what would
    /// explain them if they were lost at this moment. `count`: how many they are at the end, when what was under way has come to
    /// its own.
    pub(super) fn told(&self, key: Key, count: u64, now: &Finding) -> Vec<(u64, Finding)> {
        let mut left = count;
        let mut told = Vec::new();
        for Moment { frames, finding } in self.known.get(&key).map_or(&[][..], Vec::as_slice) {
            let frames = left.min(*frames);
            left -= frames;
            if frames > 0 {
                told.push((frames, retold(finding, now)));
            }
        }
        told
    }
}

/// A cause in the words of now, where it is still the same one; else with a word about when it was, for its cure is not one any
/// more.
fn retold(then: &Finding, now: &Finding) -> Finding {
    if then.code == now.code {
        return now.clone();
    }
    let Finding { code, severity, cause, cure } = then;
    let cure = if cure.is_empty() { "" } else { "it is put right by now: leave it as it is while frames are sent" };
    Finding {
        code,
        severity: *severity,
        cause: format!("{cause} (as it was when they were dropped; it is not so any more)"),
        cure: cure.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::Severity;

    fn finding(code: &'static str, cause: &str) -> Finding {
        Finding { code, severity: Severity::Loses, cause: cause.to_owned(), cure: "do it".to_owned() }
    }

    fn dropped(full: u64, long: u64) -> Snapshot {
        let drops = [(DropReason::QueueFull, full), (DropReason::Redirect(90), long)];
        let drops = drops.into_iter().filter(|(_, count)| *count > 0).collect();
        Snapshot { ports: vec![PortCount { drops, ..PortCount::default() }], ..Snapshot::default() }
    }

    #[test]
    fn each_frame_is_explained_once_by_its_own_moment() {
        let long = (0, DropReason::Redirect(90));
        let mut moments = Moments::default();
        assert_eq!(moments.news(&dropped(0, 5)), [(long, 5)]);
        moments.put_down(long, 5, finding("frame_above_mtu", "the MTU is 500"));
        assert_eq!(moments.news(&dropped(0, 5)), []);
        assert_eq!(moments.news(&dropped(3, 9)), [((0, DropReason::QueueFull), 3), (long, 4)]);
        moments.put_down(long, 4, finding("frame_above_mtu", "the MTU is 600"));
        moments.put_down(long, 2, finding("interface_gone", "gone"));
        // In the words of now where that is still the cause.
        let told = moments.told(long, 11, &finding("frame_above_mtu", "the MTU was 500"));
        assert_eq!(told[0], (9, finding("frame_above_mtu", "the MTU was 500")));
        let (frames, Finding { code, cause, cure, .. }) = &told[1];
        assert_eq!((*frames, *code), (2, "interface_gone"));
        assert_eq!(cause, "gone (as it was when they were dropped; it is not so any more)");
        assert!(cure.contains("put right"), "{cure}");
        // What was under way at the last look, and arrived after all.
        assert_eq!(moments.told(long, 10, &finding("x", "")).iter().map(|(frames, _)| *frames).sum::<u64>(), 10);
        assert_eq!(moments.told((1, DropReason::QueueFull), 0, &finding("x", "")), []);
    }
}
