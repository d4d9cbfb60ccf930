//! How well departure times were kept.

use std::time::Duration;

use xdp_trafficgen_ebpf::abi::timing::{Lateness, Stream, StreamCounts, stream_kind};

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

/// What all workers made of a stream of departures. Times are nanoseconds since the start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    departed: u64,
    skipped: u64,
    /// When the first frame was due.
    first: u64,
    /// When the next departure is due that no worker has handled: the one of the worker in turn.
    next: u64,
    /// When the last frame left; 0: none has.
    last: u64,
    /// Time within in which nobody had the departures.
    paused: u64,
    /// Whether all gaps are alike, so that the next departure tells how long the last one's gap
    /// is.
    constant: bool,
}

impl Span {
    const NONE: Self = Self {
        departed: 0,
        skipped: 0,
        first: u64::MAX,
        next: u64::MAX,
        last: 0,
        paused: 0,
        constant: true,
    };

    /// Of a worker's stream; `planned`: as it was at the start.
    const fn of(stream: &Stream, planned: &Stream) -> Self {
        let &Stream { spec, state, counts, .. } = stream;
        let StreamCounts { departed, unsent: skipped, last, paused, .. } = counts;
        let is_cyclic = spec.kind == stream_kind::SEGMENTS;
        // None of these frames are this worker's.
        if is_cyclic && spec.first_segment == spec.segment_end {
            return Self { constant: false, ..Self::NONE };
        }
        // It stays at the last departure of segments that are over.
        let is_over = is_cyclic && state.segment >= spec.segment_end;
        let next = if is_over { state.due.saturating_add(state.gap.ns) } else { state.due };
        let constant = spec.kind == stream_kind::CONSTANT;
        Self { departed, skipped, first: planned.state.due, next, last, paused, constant }
    }

    fn add(&mut self, other: Self) {
        self.departed += other.departed;
        self.skipped += other.skipped;
        self.first = self.first.min(other.first);
        self.next = self.next.min(other.next);
        self.last = self.last.max(other.last);
        self.paused = self.paused.max(other.paused);
        self.constant &= other.constant;
    }

    /// The time in which departures were due, so long after the start.
    fn time(&self, elapsed: u64) -> Duration {
        let due = if self.constant { self.next } else { self.next.min(elapsed) };
        let end = if self.departed + self.skipped > 0 { due.max(self.last) } else { self.first };
        Duration::from_nanos(end.saturating_sub(self.first).saturating_sub(self.paused))
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

/// Whose the departures were that flows shared and that were given up. `due`: each flow's
/// departures, when all workers have ended; one that failed lacks those of the turns that it was
/// at.
fn whose(plan: &PortPlan, flows: &[FlowCount], due: Option<&[u64]>, all: &Span) -> Vec<u64> {
    let due = |flow: usize| due.map_or(0, |due| due[flow]);
    let known: Vec<u64> = flows
        .iter()
        .enumerate()
        .map(|(index, flow)| due(index).saturating_sub(flow.frames_attempted))
        .collect();
    // Who has frames of those turns was at them.
    let claims = || {
        plan.flows.iter().zip(flows).enumerate().map(|(index, (planned, flow))| SharedDepartures {
            weight: flow.frames_attempted.saturating_sub(due(index)),
            room: planned
                .packets
                .map(|packets| packets.saturating_sub(flow.frames_attempted.max(due(index)))),
        })
    };
    let mut rest = all.skipped.saturating_sub(known.iter().sum());
    let mut shares = shared_out(rest, &claims().collect::<Vec<_>>());
    rest -= shares.iter().sum::<u64>();
    // Not one frame was made in them.
    let by_weight =
        plan.flows.iter().zip(claims()).zip(&shares).map(|((planned, claim), share)| {
            SharedDepartures {
                weight: planned.weight.into(),
                room: claim.room.map(|room| room - share),
            }
        });
    let more = shared_out(rest, &by_weight.collect::<Vec<_>>());
    shares
        .iter_mut()
        .zip(more)
        .zip(known)
        .for_each(|((share, more), known)| *share += more + known);
    shares
}

/// What a flow may have of departures that flows shared.
#[derive(Clone, Copy, Debug)]
struct SharedDepartures {
    /// In proportion to this.
    weight: u64,
    /// So many at most.
    room: Option<u64>,
}

/// So many departures among flows, as far as they have claims.
fn shared_out(mut departures: u64, claims: &[SharedDepartures]) -> Vec<u64> {
    let mut shares = vec![0; claims.len()];
    loop {
        let weight = |(claim, share): (&SharedDepartures, &u64)| {
            if claim.room == Some(*share) { 0 } else { claim.weight }
        };
        let weights: Vec<u64> = claims.iter().zip(&shares).map(weight).collect();
        let mut whole: u128 = weights.iter().copied().map(u128::from).sum();
        if departures == 0 || whole == 0 {
            return shares;
        }
        // The last one gets all that is left, unless a claim is full.
        let mut left = departures;
        for ((share, claim), weight) in
            shares.iter_mut().zip(claims).zip(weights).filter(|(_, weight)| *weight > 0)
        {
            let part = u64::try_from(u128::from(left) * u128::from(weight) / whole).unwrap_or(left);
            whole -= u128::from(weight);
            left -= part;
            let part = claim.room.map_or(part, |room| part.min(room - *share));
            *share += part;
            departures -= part;
        }
    }
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
    use xdp_trafficgen_ebpf::abi::timing::{Gap, StreamSpec, StreamState};

    use super::*;

    const GAP: Gap = Gap { ns: 100, rest: 0, whole: 1 };

    /// A stream with a departure every 100 ns that has not sent yet.
    fn planned(due: u64) -> Stream {
        Stream {
            state: StreamState { due, gap: GAP, ..StreamState::default() },
            ..Stream::default()
        }
    }

    /// Of a stream of a departure every 100 ns from 500 on, which has come to `due`.
    fn span(departed: u64, unsent: u64, due: u64, last: u64) -> Span {
        let counts = StreamCounts { departed, unsent, last, ..StreamCounts::default() };
        Span::of(&Stream { counts, ..planned(due) }, &planned(500))
    }

    #[test]
    fn a_rate_is_over_the_time_in_which_departures_were_due() {
        #[track_caller]
        fn check(span: Span, nanos: u64) {
            assert_eq!(span.time(1_000_000), Duration::from_nanos(nanos), "{span:?}");
        }
        // Ten frames, each with the gap behind it; none; a single one.
        check(span(10, 0, 1500, 1400), 1000);
        check(span(0, 0, 500, 0), 0);
        check(span(1, 0, 600, 500), 100);
        assert_eq!(rate(10, Duration::from_nanos(1000)), Some(1e7));
        assert_eq!(rate(0, Duration::ZERO), None);
        // What was given up was due all the same, also behind the last frame that left.
        check(span(4, 6, 1500, 850), 1000);
        // The last one was late.
        check(span(10, 0, 1500, 2500), 2000);
        // Nobody had the departures for a while.
        check(Span { paused: 300, ..span(7, 0, 1500, 1400) }, 700);
    }

    #[test]
    fn where_gaps_differ_the_next_departure_may_be_far_away() {
        let spec =
            StreamSpec { kind: stream_kind::SEGMENTS, segment_end: 2, ..StreamSpec::default() };
        let planned = |due| Stream { spec, ..planned(due) };
        let counts = StreamCounts { departed: 10, last: 1400, ..StreamCounts::default() };
        let stream = Stream { counts, ..planned(1_000_000_000) };
        let planned = planned(500);
        assert_eq!(Span::of(&stream, &planned).time(2500), Duration::from_nanos(2000));
        assert_eq!(Span::of(&stream, &planned).time(u64::MAX), Duration::from_nanos(999_999_500));
        // The last of them ends the stream: it stays there.
        let state = StreamState { due: 1400, segment: 2, left: 0, ..stream.state };
        let over = Stream { state, ..stream };
        assert_eq!(Span::of(&over, &planned).time(2500), Duration::from_nanos(1000));
    }

    #[test]
    fn nothing_is_left_when_departures_are_shared_out() {
        let claim = |weight, room| SharedDepartures { weight, room };
        let (five, two) = (claim(5, None), claim(2, None));
        assert_eq!(shared_out(3, &[five, two]), [2, 1]);
        assert_eq!(shared_out(0, &[five, two]), [0, 0]);
        assert_eq!(shared_out(u64::MAX, &[claim(u64::MAX, None); 3]).iter().sum::<u64>(), u64::MAX);
        // Not more than a flow has left, and nothing of turns that it was not at.
        assert_eq!(shared_out(10, &[claim(5, Some(2)), two, claim(0, None)]), [2, 8, 0]);
        assert_eq!(shared_out(10, &[claim(5, Some(2)), claim(1, Some(3))]), [2, 3]);
        assert_eq!(shared_out(10, &[claim(0, None)]), [0]);
    }

    #[test]
    fn workers_take_turns() {
        let worker = |departed, first, due| {
            let counts = StreamCounts { departed, last: due - 1, ..StreamCounts::default() };
            Span::of(&Stream { counts, ..planned(due) }, &planned(first))
        };
        // Two of five frames, and three; it is the second's turn.
        let mut both = worker(3, 0, 300);
        both.add(worker(2, 50, 250));
        assert_eq!((both.departed, both.time(1000)), (5, Duration::from_nanos(299)));
        // A single frame of two workers.
        let mut both = Span { last: 0, ..worker(1, 0, 100) };
        both.add(Span { last: 0, ..worker(0, 50, 50) });
        assert_eq!(rate(both.departed, both.time(1000)), Some(2e7));
    }

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
