//! How well departure times were kept.

mod shared;
mod span;

use std::time::Duration;

use xdp_trafficgen_ebpf::abi::timing::Lateness;

use self::{shared::whose, span::Span};
use crate::{
    config::Action,
    kernel::{Generator, KernelError},
    plan::{FlowPlan, Pacing, PortPlan, pacing::Streams},
    stats::{FlowCount, due_time::covered},
    units::{Nanos, Pps},
};

/// Of a flow, or of a port with all of its flows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Punctuality {
    /// Frames a second that were asked for; on average where the rate changes. None while nobody
    /// knows.
    pub requested: Option<f64>,
    /// Frames a second that were sent (with the action `drop`: made), over `time`; none where
    /// nothing was due.
    pub achieved: Option<f64>,
    /// The time in which departures were due, from the first one on; longer where the last frame
    /// left later than that.
    pub time: Duration,
    /// Frames that left later than they were due, by more than the threshold.
    pub late: u64,
    /// The worst lateness of those.
    pub worst: Duration,
    /// Departures that no frame left at: it was too late for them. Of a port's rate that flows
    /// share, whose they were is known at the end of a run; until then, each flow's are
    /// estimated by its frames. A port's are those of its flows together.
    pub unsent: u64,
}

impl Punctuality {
    /// Of a time in which nothing could be sent; none where nothing was due in it. `requested`
    /// where it is known.
    pub(super) fn of_nothing_sent(
        unsent: u64,
        requested: Option<f64>,
        time: Duration,
    ) -> Option<Self> {
        let requested = requested.or_else(|| rate(unsent, time));
        let known = Self { requested, achieved: rate(0, time), time, unsent, ..Self::default() };
        // What a worker left behind when it stopped takes no time of its own.
        (unsent > 0 || !time.is_zero()).then_some(known)
    }

    /// The counts of two times together.
    pub(super) fn of_both(this: Option<Self>, earlier: Option<Self>) -> Option<Self> {
        let (Some(mut this), Some(earlier)) = (this, earlier) else { return this.or(earlier) };
        this.add(&earlier);
        Some(this)
    }

    fn add(&mut self, earlier: &Self) {
        let (this, time) = (self.time.as_secs_f64(), (self.time + earlier.time).as_secs_f64());
        let together = |later: Option<f64>, earlier_rate: Option<f64>| match (later, earlier_rate) {
            // As it was asked for, all the time.
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

    /// How much of what was due was not sent, 0 to 1.
    pub fn shortfall(&self, frames_attempted: u64) -> f64 {
        share(self.unsent, self.unsent + frames_attempted)
    }
}

/// So many in a time, a second.
fn rate(count: u64, time: Duration) -> Option<f64> {
    (!time.is_zero()).then(|| share(count, nanos(time)) * 1e9)
}

fn nanos(time: Duration) -> u64 {
    Nanos::from(time).get()
}

/// Reads how punctual a port was. Fills in that of its flows, whose other counts are there already;
/// `due` are their departures, when all workers have ended. It is so long since the start, and so
/// much of that the port was due to send.
pub(super) fn read(
    plan: &PortPlan,
    pacing: &Pacing,
    generator: &Generator,
    flows: &mut [FlowCount],
    (elapsed, due_time): (Duration, Duration),
    due: Option<&[u64]>,
) -> Result<Punctuality, KernelError> {
    let workers = plan.cpus.len();
    let mut spans = vec![Span::NONE; pacing.departures.each()];
    let mut lateness = vec![Lateness::default(); flows.len()];
    let mut entry = 0;
    for worker in (0..).take(workers) {
        for span in &mut spans {
            let planned = pacing.departures.get(entry as usize).copied().unwrap_or_default();
            span.add(Span::of(&generator.stream(entry)?, &planned));
            entry += 1;
        }
        for (sum, flow) in lateness.iter_mut().zip(generator.lateness(worker, &plan.program)?) {
            sum.frames += flow.frames;
            sum.worst = sum.worst.max(flow.worst);
        }
    }
    let mut all = Span::NONE;
    spans.iter().for_each(|span| all.add(*span));
    let elapsed = nanos(elapsed);
    let times: Vec<Duration> = spans.iter().map(|span| span.time(elapsed)).collect();
    let time = match pacing.streams {
        Streams::Port => times.first().copied().unwrap_or_default(),
        Streams::Flows => of_flows(plan, &spans, &times, elapsed),
    };
    // Flows that do not all send at the same time never ask for the sum of their rates.
    let at_once = plan.flows.iter().all(|flow| {
        let first = &plan.flows[0];
        flow.packets.is_none() && (flow.delay, flow.duration) == (first.delay, first.duration)
    });
    let known = pacing.requested.iter().map(|rate| rate.map(Pps::to_f64)).sum::<Option<f64>>();
    let whose = match pacing.streams {
        Streams::Port => whose(plan, flows, due, &all),
        Streams::Flows => spans.iter().map(|span| span.skipped).collect(),
    };
    let total_due =
        flows.iter().zip(&whose).map(|(flow, unsent)| flow.frames_attempted + unsent).sum();
    let mut port = Punctuality {
        requested: known
            .filter(|_| at_once || pacing.streams == Streams::Port)
            .or_else(|| rate(all.departed + all.skipped, time)),
        achieved: rate(all.departed, time),
        time,
        unsent: whose.iter().sum(),
        ..Punctuality::default()
    };
    for (index, (flow, lateness)) in flows.iter_mut().zip(lateness).enumerate() {
        let unsent = whose[index];
        let (requested, achieved, time) = match pacing.streams {
            Streams::Flows => {
                let (span, time) = (spans[index], times[index]);
                let known = pacing.requested[index].map(Pps::to_f64);
                let requested = known.or_else(|| rate(span.departed + span.skipped, time));
                if plan.flows[index].packets.is_some() {
                    flow.due_time = flow.due_time.min(time);
                }
                (requested, rate(span.departed, time), time)
            }
            Streams::Port => {
                let due = flow.frames_attempted + whose[index];
                // Over the time in which the flow was due, of the port's.
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

/// The time in which any flow's departures were due; each is over at its end, though the next
/// departure would come later.
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

/// The share of the departed frames with which was done what was asked for. The action `drop`
/// transmits none.
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
    fn times_count_together() {
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
        // An outage of 3.2 of 10 s, and no rate but that of the departures.
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
    fn what_was_lost_does_not_count_as_achieved_unless_it_was_to_be_dropped() {
        #[track_caller]
        fn check(action: Action, frames_tx: u64, expected: f64) {
            assert_eq!(done(action, frames_tx, 1000), expected, "{action:?}");
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
