//! How well departure times were kept.

use std::time::Duration;

use xdp_trafficgen_ebpf::abi::timing::{Departures, Lateness};

use crate::{
    config::{Action, rate::Ratio},
    kernel::{Generator, KernelError},
    plan::{Pacing, PortPlan, pacing::Streams},
    stats::FlowCount,
};

/// Of a flow, or of a port with all of its flows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Punctuality {
    /// Frames a second that were asked for; on average where the rate changes. None while nobody knows.
    pub requested: Option<f64>,
    /// Frames a second that were sent (with the action `drop`: made), from the first departure to the last; none of fewer than
    /// two.
    pub achieved: Option<f64>,
    /// Frames that left later than they were due, by more than the threshold.
    pub late: u64,
    /// The worst lateness of those.
    pub worst: Duration,
    /// Departures that no frame left at: it was too late for them. Of a port's rate that flows share, each flow's are known
    /// at the end.
    pub unsent: u64,
}

impl Punctuality {
    /// The counts of two runs together; rates are those of the later one.
    pub(super) fn of_both(this: Option<Self>, earlier: Option<Self>) -> Option<Self> {
        let (Some(mut this), Some(earlier)) = (this, earlier) else { return this.or(earlier) };
        this.add(&earlier);
        Some(this)
    }

    fn add(&mut self, earlier: &Self) {
        self.late += earlier.late;
        self.worst = self.worst.max(earlier.worst);
        self.unsent += earlier.unsent;
    }

    /// How much of what was due was not sent, 0 to 1.
    pub fn shortfall(&self, attempted: u64) -> f64 {
        share(self.unsent, self.unsent + attempted)
    }
}

/// What all workers made of a stream of departures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    departed: u64,
    skipped: u64,
    /// When the first frame left and when the last did, in nanoseconds since the start.
    between: Option<(u64, u64)>,
}

impl Span {
    fn of(stream: &Departures) -> Self {
        let &Departures { departed, skipped, first, last, .. } = stream;
        Self { departed, skipped, between: first.checked_sub(1).map(|first| (first, last)) }
    }

    fn add(&mut self, other: Self) {
        self.departed += other.departed;
        self.skipped += other.skipped;
        self.between = match (self.between, other.between) {
            (Some((first, last)), Some((other_first, other_last))) => {
                Some((first.min(other_first), last.max(other_last)))
            }
            (one, other) => one.or(other),
        };
    }

    /// Departures a second.
    fn rate(&self) -> Option<f64> {
        let (first, last) = self.between.filter(|(first, last)| first < last)?;
        Some(share(self.departed.saturating_sub(1), last - first) * 1e9)
    }

    /// Departures that were asked for in the same time, a second.
    fn due_rate(&self) -> Option<f64> {
        Some(self.rate()? / share(self.departed, self.departed + self.skipped))
    }
}

/// Reads how punctual a port was. Fills in that of its flows, whose other counts are there already; `due` are their departures,
/// when all workers have ended.
pub(super) fn read(
    plan: &PortPlan,
    pacing: &Pacing,
    generator: &Generator,
    flows: &mut [FlowCount],
    due: Option<&[u64]>,
) -> Result<Punctuality, KernelError> {
    let workers = plan.cpus.len();
    let mut spans = vec![Span::default(); pacing.departures.len() / workers.max(1)];
    let mut lateness = vec![Lateness::default(); flows.len()];
    let mut entry = 0;
    for worker in (0..).take(workers) {
        for span in &mut spans {
            span.add(Span::of(&generator.departures(entry)?));
            entry += 1;
        }
        for (sum, flow) in lateness.iter_mut().zip(generator.lateness(worker, &plan.program)?) {
            sum.frames += flow.frames;
            sum.worst = sum.worst.max(flow.worst);
        }
    }
    let mut all = Span::default();
    spans.iter().for_each(|span| all.add(*span));
    // Flows that do not all send at the same time never ask for the sum of their rates.
    let at_once = plan.flows.iter().all(|flow| {
        let first = &plan.flows[0];
        flow.packets.is_none() && (flow.delay, flow.duration) == (first.delay, first.duration)
    });
    let known = pacing.requested.iter().map(|rate| rate.map(Ratio::to_f64)).sum::<Option<f64>>();
    let mut port = Punctuality {
        requested: known.filter(|_| at_once || pacing.streams == Streams::Port).or_else(|| all.due_rate()),
        achieved: all.rate(),
        unsent: all.skipped,
        ..Punctuality::default()
    };
    // Of workers that failed nobody knows whose turns were given up: all flows alike, by their frames.
    let gone_through = all.departed + all.skipped;
    let due = due.map(|due| match due {
        due if pacing.streams == Streams::Flows || due.iter().sum::<u64>() == gone_through => due.to_vec(),
        _ => shared_out(gone_through, &flows.iter().map(|flow| flow.attempted).collect::<Vec<_>>()),
    });
    let total_due: u64 = due.iter().flatten().sum();
    for (index, (flow, lateness)) in flows.iter_mut().zip(lateness).enumerate() {
        let (requested, achieved, unsent) = match pacing.streams {
            Streams::Flows => {
                let span = spans[index];
                let requested = pacing.requested[index].map(Ratio::to_f64).or_else(|| span.due_rate());
                (requested, span.rate(), span.skipped)
            }
            Streams::Port => {
                let due = due.as_ref().map_or(flow.attempted, |due| due[index]);
                let of_all = |rate: Option<f64>, part, whole| rate.map(|rate| rate * share(part, whole));
                (
                    of_all(port.requested, due, if total_due > 0 { total_due } else { all.departed }),
                    of_all(port.achieved, flow.attempted, all.departed),
                    due.saturating_sub(flow.attempted),
                )
            }
        };
        let worst = Duration::from_nanos(lateness.worst);
        let achieved = achieved.map(|rate| rate * done(plan.action, flow.transmitted, flow.attempted));
        flow.punctuality = Some(Punctuality { requested, achieved, late: lateness.frames, worst, unsent });
        port.late += lateness.frames;
        port.worst = port.worst.max(worst);
    }
    let sum = |count: fn(&FlowCount) -> u64| flows.iter().map(count).sum::<u64>();
    let done = done(plan.action, sum(|flow| flow.transmitted), sum(|flow| flow.attempted));
    port.achieved = port.achieved.map(|rate| rate * done);
    Ok(port)
}

/// So many departures among flows, each at least as many as it has frames, and otherwise in proportion to them.
fn shared_out(departures: u64, frames: &[u64]) -> Vec<u64> {
    let all: u64 = frames.iter().sum();
    if all == 0 {
        // No flow has a better claim than the first.
        return (0..frames.len()).map(|flow| if flow == 0 { departures } else { 0 }).collect();
    }
    let over = u128::from(departures.saturating_sub(all));
    let (mut before, mut given) = (0, 0);
    let share = |&frames: &u64| {
        before += u128::from(frames);
        let until = u64::try_from(over * before / u128::from(all)).unwrap_or(u64::MAX);
        let share = until - given;
        given = until;
        frames + share
    };
    frames.iter().map(share).collect()
}

/// The share of the departed frames with which was done what was asked for. The action `drop` transmits none.
fn done(action: Action, transmitted: u64, attempted: u64) -> f64 {
    match action {
        Action::Redirect | Action::Tx | Action::Pass => share(transmitted, attempted),
        Action::Drop => 1.0,
    }
}

#[expect(clippy::cast_precision_loss, reason = "rates and shares are shown to fewer than 53 bits")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_measured_from_the_first_departure_to_the_last() {
        let stream = |departed, skipped, first, last| {
            Span::of(&Departures { departed, skipped, first, last, ..Departures::default() })
        };
        // Ten frames a second: the eleventh leaves a second after the first.
        assert_eq!(stream(11, 0, 501, 1_000_000_500).rate(), Some(10.0));
        assert_eq!(stream(1, 0, 501, 500).rate(), None);
        assert_eq!(stream(0, 7, 0, 0).rate(), None);
        // As many departures were given up.
        assert_eq!(stream(11, 11, 1, 1_000_000_000).due_rate(), Some(20.0));
    }

    #[test]
    fn nothing_is_left_when_departures_are_shared_out() {
        assert_eq!(shared_out(10, &[5, 2]), [7, 3]);
        assert_eq!(shared_out(7, &[5, 2]), [5, 2]);
        assert_eq!(shared_out(u64::MAX, &[1, 1, 1]).iter().sum::<u64>(), u64::MAX);
        assert_eq!(shared_out(3, &[0, 0]), [3, 0]);
    }

    #[test]
    fn workers_take_turns() {
        let mut span = Span::of(&Departures { departed: 3, first: 1, last: 400, ..Departures::default() });
        span.add(Span::of(&Departures { departed: 2, first: 101, last: 300, skipped: 5, ..Departures::default() }));
        span.add(Span::default());
        assert_eq!(span, Span { departed: 5, skipped: 5, between: Some((0, 400)) });
        assert_eq!(span.rate(), Some(1e7));
    }

    #[test]
    fn what_was_lost_does_not_count_as_achieved_unless_it_was_to_be_dropped() {
        #[track_caller]
        fn check(action: Action, transmitted: u64, expected: f64) {
            assert_eq!(done(action, transmitted, 1000), expected, "{action:?}");
        }
        check(Action::Redirect, 1000, 1.0);
        check(Action::Redirect, 750, 0.75);
        check(Action::Tx, 0, 0.0);
        check(Action::Pass, 1000, 1.0);
        // Nothing is ever transmitted.
        check(Action::Drop, 0, 1.0);
    }

    #[test]
    fn what_was_not_sent_is_a_share_of_what_was_due() {
        let unsent = |unsent| Punctuality { unsent, ..Punctuality::default() };
        assert_eq!(unsent(1).shortfall(999), 0.001);
        assert_eq!(unsent(0).shortfall(0), 0.0);
    }
}
