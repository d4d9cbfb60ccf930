//! In which order a port's worker sends, and when, as the engine does it while nothing holds it up.
//! Pure.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use xdp_trafficgen_ebpf::{abi::timing::Stream, timing};

use crate::{
    plan::{
        Pacing, PortPlan,
        pacing::{
            Streams,
            simulation::{HostTables, departures},
        },
        turns::{Next, Turns},
    },
    units::Nanos,
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

/// When each flow of a port first sends, by its index: over all workers, in nanoseconds since the
/// start. Flows without departure times are not among them, nor those that come to it only after
/// very many turns.
pub(super) fn first_departures(port: &PortPlan) -> BTreeMap<u32, u64> {
    let mut firsts = BTreeMap::new();
    let Some(pacing) = &port.pacing else { return firsts };
    if pacing.streams == Streams::Flows {
        let begin = pacing.departures.iter().filter(|stream| !timing::is_over(stream));
        for Stream { spec, state, .. } in begin {
            let first = firsts.entry(spec.turn).or_insert(state.due);
            *first = state.due.min(*first);
        }
        return firsts;
    }
    for worker in 0..port.cpus.len() {
        let mut seen = vec![false; port.flows.len()];
        let mut unseen = seen.len();
        for Turn { flow, due } in Order::of(port, worker).take(SEARCHED) {
            let (Some(seen), Some(due)) = (seen.get_mut(flow as usize), due) else { continue };
            if !std::mem::replace(seen, true) {
                firsts
                    .entry(flow)
                    .and_modify(|first: &mut u64| *first = due.min(*first))
                    .or_insert(due);
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
        let timetable = port.pacing.as_ref().map(|pacing| Timetable::of(pacing, worker));
        Self::new(Turns::of(port, worker), timetable)
    }

    fn new(turns: Turns, timetable: Option<Timetable<'a>>) -> Self {
        match timetable {
            Some(timetable) if timetable.whose == Streams::Flows => Self::Own(Own::new(timetable)),
            timetable => Self::Shared(Shared { turns, timetable }),
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

/// A worker's streams of departures where they stand.
struct Timetable<'a> {
    whose: Streams,
    streams: Vec<Stream>,
    tables: HostTables<'a>,
}

impl<'a> Timetable<'a> {
    fn of(pacing: &'a Pacing, worker: usize) -> Self {
        let streams = pacing.departures.of(worker).to_vec();
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
    turns: Turns,
    timetable: Option<Timetable<'a>>,
}

impl Shared<'_> {
    fn next(&mut self) -> Option<Turn> {
        let mut due = self.due()?;
        while self.turns.phase_is_over(due) {
            match self.turns.next(due, |left| left == Nanos::ZERO) {
                Next::Phase(..) => break,
                // Nobody has the departures of a pause.
                Next::Pause(begin) => self.timetable.as_mut()?.skip_until(0, begin.get()),
                Next::End => return None,
            }
            due = self.due()?;
        }
        let flow = self.turns.take_one()?;
        if let Some(timetable) = &mut self.timetable {
            timetable.advance(0);
        }
        Some(Turn { flow, due: due.map(Nanos::get) })
    }

    /// When the next frame is due, or none where there are no such times; none at all when no more
    /// are due.
    #[expect(
        clippy::option_option,
        reason = "two questions: whether there is a frame, and whether it has a time"
    )]
    fn due(&self) -> Option<Option<Nanos>> {
        self.timetable
            .as_ref()
            .map_or(Some(None), |timetable| timetable.due(0).map(|due| Some(Nanos::new(due))))
    }
}

/// A port whose flows have departures of their own.
pub(super) struct Own<'a> {
    timetable: Timetable<'a>,
    /// When the next frame of each flow is due, with the flow and its stream; the earliest on top.
    next: BinaryHeap<Reverse<(u64, u32, usize)>>,
}

impl<'a> Own<'a> {
    fn new(timetable: Timetable<'a>) -> Self {
        let flows = timetable.streams.iter().map(|stream| stream.spec.turn).enumerate();
        let next = flows
            .filter_map(|(stream, flow)| Some(Reverse((timetable.due(stream)?, flow, stream))))
            .collect();
        Self { timetable, next }
    }

    fn next(&mut self) -> Option<Turn> {
        let Reverse((due, flow, stream)) = self.next.pop()?;
        self.timetable.advance(stream);
        self.next.extend(self.timetable.due(stream).map(|due| Reverse((due, flow, stream))));
        Some(Turn { flow, due: Some(due) })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use xdp_trafficgen_ebpf::abi::timing::{Gap, StreamSpec, StreamState};

    use super::*;
    use crate::{
        plan::{shares::Shares, turns::FlowTurns},
        units::PerWorker,
    };

    /// A flow of weight 1 without beginning and end.
    const ALWAYS: FlowTurns =
        FlowTurns { weight: 1, begin: Nanos::ZERO, end: Nanos::NEVER, left: None };

    /// A departure every `gap` ns from `first` on, so many.
    fn every(gap: u64, first: u64, left: u64) -> Stream {
        Stream {
            state: StreamState {
                due: first,
                gap: Gap { ns: gap, ..Gap::ZERO },
                left,
                ..StreamState::default()
            },
            spec: StreamSpec { end: u64::MAX, ..StreamSpec::default() },
            ..Stream::default()
        }
    }

    fn pacing(streams: Streams, departures: Vec<Stream>) -> Pacing {
        Pacing {
            streams,
            departures: PerWorker::of_one(departures),
            segments: [].into(),
            shares: Shares::of_all(1),
            calendars: Vec::new(),
            give_up: Duration::ZERO,
            late: Duration::ZERO,
            total: None,
            peaks: Vec::new(),
            steady: 0.0,
            requested: Vec::new(),
        }
    }

    /// The first turns of flows that share a departure every 100 ns, as (flow, time).
    #[track_caller]
    fn check(flows: Vec<FlowTurns>, expected: &[(u32, u64)]) {
        let pacing = pacing(Streams::Port, vec![every(100, 0, u64::MAX)]);
        let turns = Order::new(Turns::new(flows), Some(Timetable::of(&pacing, 0))).take(10);
        assert_eq!(turns.map(|turn| (turn.flow, turn.due.unwrap())).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn flows_share_departures_by_weight() {
        let three = || FlowTurns { weight: 3, left: Some(6), ..ALWAYS };
        let one = || FlowTurns { left: Some(2), ..ALWAYS };
        let times = [0, 0, 1, 0, 0, 0, 1, 0].into_iter().zip((0..).step_by(100));
        check(vec![three(), one()], &times.collect::<Vec<_>>());
    }

    #[test]
    fn flows_begin_and_end() {
        let short = || FlowTurns { end: Nanos::new(500), ..ALWAYS };
        let late = || FlowTurns { begin: Nanos::new(250), end: Nanos::new(650), ..ALWAYS };
        check(
            vec![short(), late()],
            &[(0, 0), (0, 100), (0, 200), (0, 300), (1, 400), (1, 500), (1, 600)],
        );
        // Nobody has the departures at 0, 100 and 200, nor those at 700 and 800.
        let later = FlowTurns { begin: Nanos::new(850), left: Some(1), ..ALWAYS };
        check(vec![late(), later], &[(0, 300), (0, 400), (0, 500), (0, 600), (1, 900)]);
        // Long waits are skipped, not gone through: this would take years.
        check(
            vec![FlowTurns { begin: Nanos::new(1 << 60), left: Some(1), ..ALWAYS }],
            &[(0, (1_u64 << 60).next_multiple_of(100))],
        );
    }

    #[test]
    fn departures_that_end_end_all() {
        let pacing = pacing(Streams::Port, vec![every(100, 0, 3)]);
        assert_eq!(
            Order::new(Turns::new(vec![ALWAYS, ALWAYS]), Some(Timetable::of(&pacing, 0))).count(),
            3
        );
    }

    #[test]
    fn flows_with_departures_of_their_own_are_in_the_order_of_time() {
        let streams = [(70, 5, 30), (100, 0, 10), (35, 1000, 4), (1, 0, 0)];
        let mut expected: Vec<(u64, u32)> = (0..)
            .zip(streams)
            .flat_map(|(flow, (gap, first, left))| {
                (0..left).map(move |turn| (first + turn * gap, flow))
            })
            .collect();
        expected.sort_unstable();
        let mut departures = streams.map(|(gap, first, left)| every(gap, first, left)).to_vec();
        for (flow, stream) in (0..).zip(&mut departures) {
            stream.spec.turn = flow;
        }
        let pacing = pacing(Streams::Flows, departures);
        let turns = Order::new(Turns::new(Vec::new()), Some(Timetable::of(&pacing, 0)));
        assert_eq!(turns.map(|turn| (turn.due.unwrap(), turn.flow)).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn at_full_speed_nothing_has_a_time() {
        let late = FlowTurns { left: Some(2), begin: Nanos::new(500), ..ALWAYS };
        let turns = Turns::new(vec![late, FlowTurns { left: Some(1), ..ALWAYS }]);
        let turns: Vec<Turn> = Order::new(turns, None).collect();
        assert_eq!(turns, [0, 1, 0].map(|flow| Turn { flow, due: None }));
    }
}
