//! How well departure times were kept.

mod shared;
mod span;

use std::time::Duration;

use xdp_trafficgen_ebpf::abi::timing::Lateness;

use self::{shared::unsent_of_flows, span::Span};
use crate::{
    config::Action,
    kernel::{Generator, KernelError},
    plan::{FlowPlan, Pacing, PortPlan, pacing::Streams},
    stats::{FlowCount, due_time::covered},
    units::{Nanos, Pps},
};

/// How well the departures of a flow were kept, or those of all flows of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Punctuality {
    /// Frames a second that were requested; the mean where the rate changes. None while it is
    /// unknown.
    pub requested: Option<f64>,
    /// Frames a second that were sent over `time` (with the action `drop`: made); none where no frame
    /// was due.
    pub achieved: Option<f64>,
    /// The time in which departures were due, from the first one on; it includes the lateness of the
    /// last frame.
    pub time: Duration,
    /// Frames that left later than they were due, by more than the threshold.
    pub late: u64,
    /// The worst lateness of those.
    pub worst: Duration,
    /// Departures that had no frame (`frames_unsent`). A port's are the sum of its flows'. Where flows
    /// share the port's rate, the flows of unsent departures are known at the end of a run; until
    /// then they are estimated from each flow's frames.
    pub unsent: u64,
}

impl Punctuality {
    /// The punctuality of a time in which no frame could be sent; none where none was due in it.
    /// `requested` where it is known.
    pub(super) fn of_nothing_sent(
        unsent: u64,
        requested: Option<f64>,
        time: Duration,
    ) -> Option<Self> {
        let requested = requested.or_else(|| rate(unsent, time));
        let known = Self { requested, achieved: rate(0, time), time, unsent, ..Self::default() };
        // Departures that a worker left unsent when it stopped may take no time.
        (unsent > 0 || !time.is_zero()).then_some(known)
    }

    /// The counts of two runs together.
    pub(super) fn of_both(this: Option<Self>, earlier: Option<Self>) -> Option<Self> {
        let (Some(mut this), Some(earlier)) = (this, earlier) else { return this.or(earlier) };
        this.add(&earlier);
        Some(this)
    }

    fn add(&mut self, earlier: &Self) {
        let (this, time) = (self.time.as_secs_f64(), (self.time + earlier.time).as_secs_f64());
        let together = |later: Option<f64>, earlier_rate: Option<f64>| match (later, earlier_rate) {
            // An equal rate stays exactly as it is.
            (Some(later), Some(earlier)) if later.to_bits() == earlier.to_bits() => Some(later),
            (Some(later), Some(earlier)) if time > 0.0 => {
                Some(earlier + (later - earlier) * this / time)
            }
            (later, earlier) => later.or(earlier),
        };
        self.requested = together(self.requested, earlier.requested);
        self.achieved = together(self.achieved, earlier.achieved);
        self.time += earlier.time;
        self.late += earlier.late;
        self.worst = self.worst.max(earlier.worst);
        self.unsent += earlier.unsent;
    }

    /// The share of unsent departures among all that were due, 0 to 1.
    pub fn shortfall(&self, frames_attempted: u64) -> f64 {
        share(self.unsent, self.unsent + frames_attempted)
    }
}

/// A count over a time, per second.
fn rate(count: u64, time: Duration) -> Option<f64> {
    (!time.is_zero()).then(|| share(count, nanos(time)) * 1e9)
}

fn nanos(time: Duration) -> u64 {
    Nanos::from(time).get()
}

/// Reads how punctual a port was, and fills in the punctuality of `flows`, which have all other counts
/// already. `elapsed` is the time since the start, `due_time` the part of it in which the port was
/// due to send, and `due` has the flows' departures when all workers have ended.
pub(super) fn read(
    plan: &PortPlan,
    pacing: &Pacing,
    generator: &Generator,
    flows: &mut [FlowCount],
    (elapsed, due_time): (Duration, Duration),
    due: Option<&[u64]>,
) -> Result<Punctuality, KernelError> {
    let workers = plan.cpus.len();
    let mut spans = match pacing.streams {
        Streams::Port => vec![Span::NONE],
        Streams::Flows => vec![Span::NONE; flows.len()],
    };
    let mut lateness = vec![Lateness::default(); flows.len()];
    let mut entry = 0;
    for worker in (0..).take(workers) {
        for planned in pacing.departures.of(worker as usize) {
            let (stream, flow) = (generator.stream(entry)?, planned.spec.turn as usize);
            spans[flow].add(Span::of(&stream, planned));
            add(&mut lateness[flow], stream.counts.lateness);
            entry += 1;
        }
        for (sum, shared) in lateness.iter_mut().zip(generator.lateness(worker, &plan.program)?) {
            add(sum, shared);
        }
    }
    let mut all = Span::NONE;
    spans.iter().for_each(|span| all.add(*span));
    let elapsed = nanos(elapsed);
    let times: Vec<Duration> = spans.iter().map(|span| span.time(elapsed)).collect();
    let time = match pacing.streams {
        Streams::Port => all.time(elapsed),
        Streams::Flows => of_flows(plan, &spans, &times, elapsed),
    };
    // The sum of the flows' rates is requested only if all flows send at the same time.
    let at_once = plan.flows.iter().all(|flow| {
        let first = &plan.flows[0];
        flow.packets.is_none() && (flow.delay, flow.duration) == (first.delay, first.duration)
    });
    let known = pacing.requested.iter().map(|rate| rate.map(Pps::to_f64)).sum::<Option<f64>>();
    let unsent_of_flows = match pacing.streams {
        Streams::Port => unsent_of_flows(plan, flows, due, all.unsent),
        Streams::Flows => spans.iter().map(|span| span.unsent).collect(),
    };
    let total_due = flows
        .iter()
        .zip(&unsent_of_flows)
        .map(|(flow, unsent)| flow.frames_attempted + unsent)
        .sum();
    let mut port = Punctuality {
        requested: known
            .filter(|_| at_once || pacing.streams == Streams::Port)
            .or_else(|| rate(all.departed + all.unsent, time)),
        achieved: rate(all.departed, time),
        time,
        unsent: unsent_of_flows.iter().sum(),
        ..Punctuality::default()
    };
    for (index, (flow, lateness)) in flows.iter_mut().zip(lateness).enumerate() {
        let unsent = unsent_of_flows[index];
        let (requested, achieved, time) = match pacing.streams {
            Streams::Flows => {
                let (span, time) = (spans[index], times[index]);
                let known = pacing.requested[index].map(Pps::to_f64);
                let requested = known.or_else(|| rate(span.departed + span.unsent, time));
                if plan.flows[index].packets.is_some() {
                    flow.due_time = flow.due_time.min(time);
                }
                (requested, rate(span.departed, time), time)
            }
            Streams::Port => {
                let due = flow.frames_attempted + unsent_of_flows[index];
                // The flow's rate is over its own part of the port's time.
                let part_of_time = share(nanos(flow.due_time), nanos(due_time));
                let time = time.mul_f64(part_of_time);
                let of_all = |rate: Option<f64>, part, whole| {
                    rate.filter(|_| part_of_time > 0.0)
                        .map(|rate| rate * share(part, whole) / part_of_time)
                };
                (
                    of_all(port.requested, due, total_due),
                    of_all(port.achieved, flow.frames_attempted, all.departed),
                    time,
                )
            }
        };
        let worst = Duration::from_nanos(lateness.worst);
        let achieved =
            achieved.map(|rate| rate * done(plan.action, flow.frames_tx, flow.frames_attempted));
        flow.punctuality =
            Some(Punctuality { requested, achieved, time, late: lateness.frames, worst, unsent });
        port.late += lateness.frames;
        port.worst = port.worst.max(worst);
    }
    let sum = |count: fn(&FlowCount) -> u64| flows.iter().map(count).sum::<u64>();
    let done = done(plan.action, sum(|flow| flow.frames_tx), sum(|flow| flow.frames_attempted));
    port.achieved = port.achieved.map(|rate| rate * done);
    Ok(port)
}

/// Adds what another worker counted of a flow.
fn add(sum: &mut Lateness, other: Lateness) {
    sum.frames += other.frames;
    sum.worst = sum.worst.max(other.worst);
}

/// The time in which any flow's departures were due. Each flow's time is over at its end, although its
/// next departure would be later.
fn of_flows(plan: &PortPlan, spans: &[Span], times: &[Duration], elapsed: u64) -> Duration {
    let end = |flow: &FlowPlan| flow.window().1.get();
    let window = |((span, time), flow): ((&Span, &Duration), &FlowPlan)| {
        let until = span
            .first
            .saturating_add(nanos(*time))
            .min(elapsed.max(span.last))
            .min(end(flow).max(span.last));
        let window = [span.first, until.max(span.first)].map(Duration::from_nanos);
        (!time.is_zero()).then_some((window[0], window[1]))
    };
    covered(spans.iter().zip(times).zip(&plan.flows).filter_map(window))
}

/// The share of the departed frames that met the requested fate. The action `drop` transmits none.
fn done(action: Action, frames_tx: u64, frames_attempted: u64) -> f64 {
    match action {
        Action::Redirect | Action::Tx | Action::Pass => share(frames_tx, frames_attempted),
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
    fn runs_add_up() {
        let run = |requested, achieved, seconds| Punctuality {
            requested: Some(requested),
            achieved: Some(achieved),
            time: Duration::from_secs(seconds),
            ..Punctuality::default()
        };
        #[track_caller]
        fn check(later: Option<Punctuality>, earlier: Option<Punctuality>, expected: (f64, f64)) {
            let both = Punctuality::of_both(later, earlier).unwrap();
            let rates = (both.requested.unwrap(), both.achieved.unwrap());
            assert!(
                (rates.0 - expected.0).abs() < 1e-6 && (rates.1 - expected.1).abs() < 1e-6,
                "{both:?}"
            );
        }
        // An outage of 3.2 of 10 s; the requested rate follows from the departures.
        let outage = Punctuality::of_nothing_sent(32_000, Some(1e4), Duration::from_millis(3200));
        check(
            outage,
            Some(Punctuality { time: Duration::from_millis(6800), ..run(1e4, 1e4, 0) }),
            (1e4, 6800.0),
        );
        check(
            Punctuality::of_nothing_sent(500, None, Duration::from_secs(1)),
            Some(run(1000.0, 1000.0, 1)),
            (750.0, 500.0),
        );
        check(Some(run(20.0, 20.0, 1)), Some(run(10.0, 10.0, 3)), (12.5, 12.5));
        check(Some(run(7.0, 7.0, 1)), None, (7.0, 7.0));
        assert_eq!(Punctuality::of_nothing_sent(0, Some(1.0), Duration::ZERO), None);
    }

    #[test]
    fn dropped_frames_count_as_achieved_only_with_the_action_drop() {
        #[track_caller]
        fn check(action: Action, frames_tx: u64, expected: f64) {
            assert_eq!(done(action, frames_tx, 1000), expected, "{action:?}");
        }
        check(Action::Redirect, 1000, 1.0);
        check(Action::Redirect, 750, 0.75);
        check(Action::Tx, 0, 0.0);
        check(Action::Pass, 1000, 1.0);
        // This action never transmits.
        check(Action::Drop, 0, 1.0);
    }

    #[test]
    fn the_shortfall_is_a_share_of_the_departures() {
        let unsent = |unsent| Punctuality { unsent, ..Punctuality::default() };
        assert_eq!(unsent(1).shortfall(999), 0.001);
        assert_eq!(unsent(0).shortfall(0), 0.0);
    }
}
