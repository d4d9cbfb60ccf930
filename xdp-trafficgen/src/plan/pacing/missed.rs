//! Departures while a port cannot send: how many are due of each flow, as if the session went on.

use std::{mem, time::Duration};

use xdp_trafficgen_ebpf::abi::timing::{Stream, stream_kind};

use super::{Pacing, Streams, leap, rates::fits, simulation::exponentials};
use crate::{
    plan::{
        FlowPlan, PortPlan,
        schedule::{self, Phase},
    },
    units::Pps,
};

/// The departures of a port from some time on. Each look at an outage continues from the one
/// before.
#[derive(Clone, Debug)]
pub struct MissedDepartures {
    /// None at full speed.
    pacing: Option<Pacing>,
    exponentials: Vec<u32>,
    flows: Vec<Flow>,
    /// The time up to which departures are counted, in nanoseconds since the port's start.
    until: u64,
    /// Departures of each flow before the outage that had no frame and are not yet counted as
    /// unsent.
    owed: Vec<u64>,
    phase: Option<(Phase, u64)>,
}

/// A flow of the port, with its departures. Times are nanoseconds since the port's start.
#[derive(Clone, Debug)]
pub struct Flow {
    /// The flow's name.
    pub name: String,
    weight: u32,
    begin: u64,
    end: u64,
    /// Departures left; without end when none.
    left: Option<u64>,
    /// When the last departure was due, once none is left.
    over: Option<u64>,
    missed: u64,
}

impl Flow {
    /// The flow's beginning and end, as far as they are known.
    pub const fn window(&self) -> (Duration, Duration) {
        let end = match self.over {
            Some(over) => over,
            None => self.end,
        };
        (Duration::from_nanos(self.begin), Duration::from_nanos(end))
    }

    /// Whether the flow has no end, neither by time nor by number.
    pub const fn goes_on(&self) -> bool {
        self.left.is_none() && self.end == u64::MAX
    }

    /// Departures without a frame.
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// Counts `due` departures as the flow's, or as many as it has left. The last one was due at
    /// `time`.
    fn count(&mut self, due: u64, time: u64) {
        let due = self.left.map_or(due, |left| left.min(due));
        self.left = self.left.map(|left| left - due);
        self.missed += due;
        if self.left == Some(0) {
            self.over = self.over.or(Some(time.max(self.begin)));
        }
    }
}

impl MissedDepartures {
    /// The departures of a port that has not started.
    pub fn of(port: &PortPlan) -> Self {
        let flow = |flow: &FlowPlan| Flow {
            name: flow.name.clone(),
            weight: flow.weight,
            begin: super::nanos(flow.delay),
            end: flow
                .duration
                .map_or(u64::MAX, |duration| super::nanos(flow.delay.saturating_add(duration))),
            left: flow.packets,
            over: None,
            missed: 0,
        };
        Self {
            pacing: port
                .pacing
                .as_ref()
                .map(|pacing| Pacing { calendars: Vec::new(), ..pacing.clone() }),
            exponentials: exponentials(),
            flows: port.flows.iter().map(flow).collect(),
            until: 0,
            owed: Vec::new(),
            phase: None,
        }
    }

    /// Moves to an outage that begins `start` after the port's own start, when its flows had `had`
    /// departures (in the plan's order). Departures that were due until then beyond those count,
    /// too: a worker that stops cannot catch up with them any more.
    #[must_use]
    pub fn after(mut self, start: Duration, had: &[u64]) -> Self {
        let until = super::nanos(start);
        let first = self.flows.iter().map(|flow| flow.begin).min().unwrap_or(0);
        let own = self.pacing.as_ref().is_some_and(|pacing| pacing.streams == Streams::Flows);
        let begins: Vec<u64> = self.flows.iter().map(|flow| flow.begin).collect();
        for stream in
            self.streams_mut().iter_mut().filter(|it| it.spec.kind == stream_kind::POISSON)
        {
            // A Poisson process has no memory: it can begin anew at any time.
            let begin = if own { begins[stream.spec.turn as usize] } else { first };
            stream.state.due = stream.state.due - begin + begin.max(until);
        }
        let planned = self.flows.clone();
        let due: Vec<u64> = self.by(start).iter().map(Flow::missed).collect();
        // Where flows share departures, a flow that had more than its part took them from
        // another's.
        let mut most = due.iter().sum::<u64>().saturating_sub(had.iter().sum());
        let owed = |(due, had): (&u64, &u64)| {
            let owed = due.saturating_sub(*had).min(most);
            most -= owed;
            owed
        };
        self.owed = due.iter().zip(had).map(owed).collect();
        let rest = |(flow, had): (Flow, &u64)| {
            let left = flow.left.map(|left| left.saturating_sub(*had));
            Flow { left, over: (left == Some(0)).then_some(flow.begin), ..flow }
        };
        self.flows = planned.into_iter().zip(had).map(rest).collect();
        self.phase = None;
        self
    }

    /// The flows with their departures counted up to a time; times must not go back.
    pub fn by(&mut self, time: Duration) -> &[Flow] {
        let time = super::nanos(time);
        for (flow, owed) in self.flows.iter_mut().zip(mem::take(&mut self.owed)) {
            flow.count(owed, self.until);
        }
        match self.streams() {
            None => {}
            Some(Streams::Flows) => self.own(time),
            Some(Streams::Port) => self.shared(time),
        }
        self.until = self.until.max(time);
        &self.flows
    }

    /// The flows, as the last call of [`Self::by`] left them.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// The rates in the configuration, in frames a second: the port's where its flows share its
    /// departures, else each flow's. None where a rate changes with time.
    pub fn requested(&self) -> Vec<Option<f64>> {
        let requested =
            self.pacing.as_ref().map_or_else(Vec::new, |pacing| pacing.requested.clone());
        requested.into_iter().map(|rate| rate.map(Pps::to_f64)).collect()
    }

    /// Whose departures the streams are; none at full speed.
    pub fn streams(&self) -> Option<Streams> {
        self.pacing.as_ref().map(|pacing| pacing.streams)
    }

    fn streams_mut(&mut self) -> &mut [Stream] {
        self.pacing.as_mut().map_or(&mut [], |pacing| &mut pacing.departures)
    }

    /// Moves a stream to a time, and counts the departures before it.
    fn due_before(&mut self, stream: usize, time: u64) -> u64 {
        let Some(Pacing { segments, departures, .. }) = &mut self.pacing else { return 0 };
        let stream = &mut departures[stream];
        let before = stream.counts.unsent;
        leap::skip_to(stream, time, segments, &self.exponentials);
        stream.counts.unsent - before
    }

    fn own(&mut self, time: u64) {
        for stream in 0..self.streams_mut().len() {
            let due = self.due_before(stream, time);
            // The gap of the last departure ends where the next one is due.
            let Stream { state, spec, .. } = self.streams_mut()[stream];
            self.flows[spec.turn as usize].count(due, state.due.clamp(self.until, time));
        }
    }

    /// Between one beginning or end of a flow and the next, the active flows share the departures.
    fn shared(&mut self, time: u64) {
        while self.until < time {
            let from = self.until;
            let bounds = || self.flows.iter().flat_map(|flow| [flow.begin, flow.end]);
            if bounds().any(|bound| bound == from) {
                self.phase = None;
            }
            let to =
                bounds().filter(|bound| (from + 1..time).contains(bound)).min().unwrap_or(time);
            let due = (0..self.streams_mut().len()).map(|stream| self.due_before(stream, to)).sum();
            self.share(due, (from, to));
            self.until = to;
        }
    }

    /// Shares the departures of a time in which the same flows are active.
    fn share(&mut self, due: u64, (from, to): (u64, u64)) {
        let is_active = |flow: &Flow| (flow.begin..flow.end).contains(&from);
        let mut given = 0;
        while given < due {
            if self.phase.as_ref().is_none_or(|(phase, sent)| phase.frames == Some(*sent)) {
                let ready: Vec<Option<u64>> = self
                    .flows
                    .iter()
                    .map(|flow| if is_active(flow) { flow.left } else { Some(0) })
                    .collect();
                let weights: Vec<u32> = self.flows.iter().map(|flow| flow.weight).collect();
                self.phase = schedule::phase(&weights, &ready).map(|phase| (phase, 0));
            }
            // Departures of a pause belong to no flow.
            let Some((phase, sent)) = &mut self.phase else { break };
            let taken =
                phase.frames.map_or(due - given, |frames| (due - given).min(frames - *sent));
            given += taken;
            // The time is that of departures at equal gaps.
            let last = from + part(to - from, given, due);
            let count = self.flows.len();
            let shares = |turns| schedule::shares(&phase.turns, count, turns);
            for ((flow, after), before) in
                self.flows.iter_mut().zip(shares(*sent + taken)).zip(shares(*sent))
            {
                flow.count(after - before, last);
            }
            *sent += taken;
        }
    }
}

/// `parts` parts of a time that has `of` of them; at most the whole time.
fn part(time: u64, parts: u64, of: u64) -> u64 {
    fits(u128::from(time) * u128::from(parts.min(of)) / u128::from(of.max(1)))
}
