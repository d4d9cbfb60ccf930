//! In which order a port's worker sends, and when, as the engine does it while nothing holds it up. Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Duration,
};

use xdp_trafficgen_ebpf::{abi::timing::Stream, timing};

use crate::plan::{
    FlowPlan, Pacing, PortPlan,
    pacing::{
        Streams,
        simulation::{HostTables, departures},
    },
    schedule::{self, Phase},
};

/// A frame to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Index of the flow among the port's.
    pub(super) flow: u32,
    /// Nanoseconds since the start; none where frames leave as fast as they can.
    pub(super) due: Option<u64>,
}

/// Turns of a worker that are gone through in search of each flow's first.
const SEARCHED: usize = 1 << 16;

/// When each flow of a port first sends, by its index: over all workers, in nanoseconds since the start. Flows without departure
/// times are not among them, nor those that come to it only after very many turns.
pub(super) fn first_departures(port: &PortPlan) -> BTreeMap<u32, u64> {
    let mut firsts = BTreeMap::new();
    if port.pacing.is_none() {
        return firsts;
    }
    for worker in 0..port.cpus.len() {
        let mut seen = vec![false; port.flows.len()];
        let mut unseen = seen.len();
        for Turn { flow, due } in Order::of(port, worker).take(SEARCHED) {
            let (Some(seen), Some(due)) = (seen.get_mut(flow as usize), due) else { continue };
            if !std::mem::replace(seen, true) {
                firsts.entry(flow).and_modify(|first: &mut u64| *first = due.min(*first)).or_insert(due);
                unseen -= 1;
            }
            if unseen == 0 {
                break;
            }
        }
    }
    firsts
}

/// The turns of a worker, one by one, to the end of all flows.
pub(super) enum Order<'a> {
    /// Flows take turns by their weights.
    Shared(Shared<'a>),
    /// Each flow has departures of its own.
    Own(Own<'a>),
}

impl<'a> Order<'a> {
    /// Of the port's worker with this index.
    pub(super) fn of(port: &'a PortPlan, worker: usize) -> Self {
        let bounds = |flow| Bounds::of(flow, port.share(flow, worker));
        let timetable = port.pacing.as_ref().map(|pacing| Timetable::of(pacing, worker, port.cpus.len()));
        Self::new(port.flows.iter().map(bounds).collect(), timetable)
    }

    fn new(flows: Vec<Bounds>, timetable: Option<Timetable<'a>>) -> Self {
        match timetable {
            Some(timetable) if timetable.whose == Streams::Flows => Self::Own(Own::new(timetable)),
            timetable => Self::Shared(Shared {
                left: flows.iter().map(|flow| flow.packets).collect(),
                flows,
                phase: Phase { turns: Vec::new(), frames: Some(0) },
                sent: 0,
                until: None,
                timetable,
            }),
        }
    }
}

impl Iterator for Order<'_> {
    type Item = Turn;

    fn next(&mut self) -> Option<Turn> {
        match self {
            Self::Shared(shared) => shared.next(),
            Self::Own(own) => own.next(),
        }
    }
}

/// A flow's weight, its worker's share of the frames, beginning and end; times are nanoseconds since the start.
struct Bounds {
    weight: u32,
    packets: Option<u64>,
    begin: u64,
    end: Option<u64>,
}

impl Bounds {
    fn of(flow: &FlowPlan, packets: Option<u64>) -> Self {
        let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let begin = nanos(flow.delay);
        let end = flow.duration.map(|duration| begin.saturating_add(nanos(duration)));
        Self { weight: flow.weight, packets, begin, end }
    }
}

/// A worker's streams of departures where they stand.
struct Timetable<'a> {
    whose: Streams,
    streams: Vec<Stream>,
    tables: HostTables<'a>,
}

impl<'a> Timetable<'a> {
    fn of(pacing: &'a Pacing, worker: usize, workers: usize) -> Self {
        let each = pacing.departures.len() / workers.max(1);
        let streams = pacing.departures[worker * each..(worker + 1) * each].to_vec();
        Self { whose: pacing.streams, streams, tables: HostTables::new(pacing) }
    }

    /// When the next frame of a stream is due; none when it has ended.
    fn due(&self, stream: usize) -> Option<u64> {
        departures(self.streams.get(stream)?, &self.tables).next()
    }

    fn advance(&mut self, stream: usize) {
        if let Some(stream) = self.streams.get_mut(stream) {
            timing::advance(stream, &self.tables);
        }
    }

    /// Nobody has the departures before a time.
    fn skip_until(&mut self, stream: usize, time: u64) {
        if let Some(stream) = self.streams.get_mut(stream) {
            while timing::skip(stream, time, &self.tables) {}
        }
    }
}

/// A port whose flows take turns, at the times of its one stream where it has one.
pub(super) struct Shared<'a> {
    flows: Vec<Bounds>,
    /// Frames each flow has left; without end when none.
    left: Vec<Option<u64>>,
    phase: Phase,
    /// Frames of the phase so far.
    sent: u64,
    /// When a flow begins or ends, and another phase with it; never when none.
    until: Option<u64>,
    timetable: Option<Timetable<'a>>,
}

impl Shared<'_> {
    fn next(&mut self) -> Option<Turn> {
        let mut due = self.due()?;
        let comes_later = |until| due.is_some_and(|due| due >= until);
        if self.phase.frames == Some(self.sent) || self.until.is_some_and(comes_later) {
            due = self.next_phase(due)?;
        }
        let turn = usize::try_from(self.sent % self.phase.turns.len() as u64).unwrap_or(0);
        let flow = self.phase.turns[turn];
        if let Some(left) = &mut self.left[flow as usize] {
            *left -= 1;
        }
        self.sent += 1;
        if let Some(timetable) = &mut self.timetable {
            timetable.advance(0);
        }
        Some(Turn { flow, due })
    }

    /// When the next frame is due, or none where there are no such times; none at all when no more are due.
    #[expect(clippy::option_option, reason = "two questions: whether there is a frame, and whether it has a time")]
    fn due(&self) -> Option<Option<u64>> {
        self.timetable.as_ref().map_or(Some(None), |timetable| timetable.due(0).map(Some))
    }

    /// Begins the phase of the departure that is due, or of the next one that any flow has. Gives its time, as
    /// [`Shared::due`]. Without such times nobody knows how far a flow has come when it begins or ends: all begin at once.
    #[expect(clippy::option_option, reason = "as that of `due`")]
    fn next_phase(&mut self, mut due: Option<u64>) -> Option<Option<u64>> {
        loop {
            let has_ended = |flow: &Bounds| flow.end.zip(due).is_some_and(|(end, due)| due >= end);
            for (left, _) in self.left.iter_mut().zip(&self.flows).filter(|(_, flow)| has_ended(flow)) {
                *left = Some(0);
            }
            let waits = |flow: &Bounds| due.is_some_and(|due| flow.begin > due);
            let ready: Vec<Option<u64>> = self
                .left
                .iter()
                .zip(&self.flows)
                .map(|(&left, flow)| if waits(flow) { Some(0) } else { left })
                .collect();
            let unfinished = self.flows.iter().zip(&self.left).filter(|(_, left)| **left != Some(0));
            let next_begin = unfinished.map(|(flow, _)| flow).filter(|flow| waits(flow)).map(|flow| flow.begin).min();
            let weights: Vec<u32> = self.flows.iter().map(|flow| flow.weight).collect();
            if let Some(phase) = schedule::phase(&weights, &ready) {
                let active = self.flows.iter().zip(&ready).filter(|(_, left)| **left != Some(0));
                self.until = active.filter_map(|(flow, _)| flow.end).chain(next_begin).min();
                (self.phase, self.sent) = (phase, 0);
                return Some(due);
            }
            self.timetable.as_mut()?.skip_until(0, next_begin?);
            due = self.due()?;
        }
    }
}

/// A port whose flows have departures of their own.
pub(super) struct Own<'a> {
    timetable: Timetable<'a>,
    /// When each flow's next frame is due, the earliest on top.
    next: BinaryHeap<Reverse<(u64, u32)>>,
}

impl<'a> Own<'a> {
    fn new(timetable: Timetable<'a>) -> Self {
        let flows = (0..).zip(0..timetable.streams.len());
        let next = flows.filter_map(|(flow, stream)| Some(Reverse((timetable.due(stream)?, flow)))).collect();
        Self { timetable, next }
    }

    fn next(&mut self) -> Option<Turn> {
        let Reverse((due, flow)) = self.next.pop()?;
        self.timetable.advance(flow as usize);
        self.next.extend(self.timetable.due(flow as usize).map(|due| Reverse((due, flow))));
        Some(Turn { flow, due: Some(due) })
    }
}

#[cfg(test)]
mod tests {
    use xdp_trafficgen_ebpf::abi::timing::{Gap, StreamSpec, StreamState};

    use super::*;

    /// A flow of weight 1 without beginning and end.
    const ALWAYS: Bounds = Bounds { weight: 1, packets: None, begin: 0, end: None };

    /// A departure every `gap` ns from `first` on, so many.
    fn every(gap: u64, first: u64, left: u64) -> Stream {
        Stream {
            state: StreamState { due: first, gap: Gap { ns: gap, ..Gap::ZERO }, left, ..StreamState::default() },
            spec: StreamSpec { end: u64::MAX, ..StreamSpec::default() },
            ..Stream::default()
        }
    }

    fn pacing(streams: Streams, departures: Vec<Stream>) -> Pacing {
        Pacing {
            streams,
            departures,
            segments: [].into(),
            calendars: Vec::new(),
            give_up: Duration::ZERO,
            late: Duration::ZERO,
            total: None,
            peak: 0.0,
            steady: 0.0,
            requested: Vec::new(),
        }
    }

    /// The first turns of flows that share a departure every 100 ns, as (flow, time).
    #[track_caller]
    fn check(flows: Vec<Bounds>, expected: &[(u32, u64)]) {
        let pacing = pacing(Streams::Port, vec![every(100, 0, u64::MAX)]);
        let turns = Order::new(flows, Some(Timetable::of(&pacing, 0, 1))).take(10);
        assert_eq!(turns.map(|turn| (turn.flow, turn.due.unwrap())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn flows_share_departures_by_weight() {
        let three = || Bounds { weight: 3, packets: Some(6), ..ALWAYS };
        let one = || Bounds { packets: Some(2), ..ALWAYS };
        let times = [0, 0, 1, 0, 0, 0, 1, 0].into_iter().zip((0..).step_by(100));
        check(vec![three(), one()], &times.collect::<Vec<_>>());
    }

    #[test]
    fn flows_begin_and_end() {
        let short = || Bounds { end: Some(500), ..ALWAYS };
        let late = || Bounds { begin: 250, end: Some(650), ..ALWAYS };
        check(vec![short(), late()], &[(0, 0), (0, 100), (0, 200), (0, 300), (1, 400), (1, 500), (1, 600)]);
        // Nobody has the departures at 0, 100 and 200, nor those at 700 and 800.
        let later = Bounds { begin: 850, packets: Some(1), ..ALWAYS };
        check(vec![late(), later], &[(0, 300), (0, 400), (0, 500), (0, 600), (1, 900)]);
        // Long waits are skipped, not gone through: this would take years.
        check(vec![Bounds { begin: 1 << 60, packets: Some(1), ..ALWAYS }], &[(0, (1_u64 << 60).next_multiple_of(100))]);
    }

    #[test]
    fn departures_that_end_end_all() {
        let pacing = pacing(Streams::Port, vec![every(100, 0, 3)]);
        assert_eq!(Order::new(vec![ALWAYS, ALWAYS], Some(Timetable::of(&pacing, 0, 1))).count(), 3);
    }

    #[test]
    fn flows_with_departures_of_their_own_are_in_the_order_of_time() {
        let streams = [(70, 5, 30), (100, 0, 10), (35, 1000, 4), (1, 0, 0)];
        let mut expected: Vec<(u64, u32)> = (0..)
            .zip(streams)
            .flat_map(|(flow, (gap, first, left))| (0..left).map(move |turn| (first + turn * gap, flow)))
            .collect();
        expected.sort_unstable();
        let departures = streams.map(|(gap, first, left)| every(gap, first, left)).into();
        let pacing = pacing(Streams::Flows, departures);
        let turns = Order::new(Vec::new(), Some(Timetable::of(&pacing, 0, 1)));
        assert_eq!(turns.map(|turn| (turn.due.unwrap(), turn.flow)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn at_full_speed_nothing_has_a_time() {
        let flows = vec![Bounds { packets: Some(2), begin: 500, ..ALWAYS }, Bounds { packets: Some(1), ..ALWAYS }];
        let turns: Vec<Turn> = Order::new(flows, None).collect();
        assert_eq!(turns, [0, 1, 0].map(|flow| Turn { flow, due: None }));
    }
}
