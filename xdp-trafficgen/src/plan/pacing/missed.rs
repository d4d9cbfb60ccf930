//! Departures while a port cannot send: how many are due of each flow, as they would be of a run
//! that goes on.

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

/// The departures of a port from some time on. Keeps its place: an outage may be looked at again
/// and again.
#[derive(Clone, Debug)]
pub struct MissedDepartures {
    /// None where nothing is paced.
    pacing: Option<Pacing>,
    exponentials: Vec<u32>,
    flows: Vec<Flow>,
    /// Up to when it has been counted, in nanoseconds since the port's start.
    until: u64,
    /// What was due of each flow before, and neither left nor was given up.
    owed: Vec<u64>,
    phase: Option<(Phase, u64)>,
}

/// When one of the port's flows is due to send. Times are nanoseconds since the port's start.
#[derive(Clone, Debug)]
pub struct Flow {
    /// Its name.
    pub name: String,
    weight: u32,
    begin: u64,
    end: u64,
    /// Departures left; without end when none.
    left: Option<u64>,
    /// When the last of them was due, once none is left.
    over: Option<u64>,
    missed: u64,
}

impl Flow {
    /// When it is due to send, as far as that is known.
    pub const fn window(&self) -> (Duration, Duration) {
        let end = match self.over {
            Some(over) => over,
            None => self.end,
        };
        (Duration::from_nanos(self.begin), Duration::from_nanos(end))
    }

    /// Whether it ends neither by a time nor by a number.
    pub const fn goes_on(&self) -> bool {
        self.left.is_none() && self.end == u64::MAX
    }

    /// Departures that were missed.
    pub const fn missed(&self) -> u64 {
        self.missed
    }

    /// So many departures, the last of which was due at `time`, are the flow's, or as many as it
    /// has left.
    fn give(&mut self, due: u64, time: u64) {
        let due = self.left.map_or(due, |left| left.min(due));
        self.left = self.left.map(|left| left - due);
        self.missed += due;
        if self.left == Some(0) {
            self.over = self.over.or(Some(time.max(self.begin)));
        }
    }
}

impl MissedDepartures {
    /// Of a port that has not started.
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

    /// The port stopped sending so long after its start, after so many departures of each flow (in
    /// the plan's order). What was due until then beyond those is missed, too: a worker that is
    /// told to stop leaves to nobody what it could have caught up with.
    #[must_use]
    pub fn after(mut self, start: Duration, had: &[u64]) -> Self {
        let until = super::nanos(start);
        let first = self.flows.iter().map(|flow| flow.begin).min().unwrap_or(0);
        let flows = self.flows.len().max(1);
        let own = self.pacing.as_ref().is_some_and(|pacing| pacing.streams == Streams::Flows);
        let begins: Vec<u64> = self.flows.iter().map(|flow| flow.begin).collect();
        for (index, stream) in self
            .streams_mut()
            .iter_mut()
            .enumerate()
            .filter(|(_, it)| it.spec.kind == stream_kind::POISSON)
        {
            // The process has no memory: from any time on it is as from its beginning.
            let begin = if own { begins[index % flows] } else { first };
            stream.state.due = stream.state.due - begin + begin.max(until);
        }
        let planned = self.flows.clone();
        let due: Vec<u64> = self.by(start).iter().map(Flow::missed).collect();
        // Where flows share them, who had more than its part had it of another's.
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

    /// The flows, with what they missed by a time; times must not go back.
    pub fn by(&mut self, time: Duration) -> &[Flow] {
        let time = super::nanos(time);
        for (flow, owed) in self.flows.iter_mut().zip(mem::take(&mut self.owed)) {
            flow.give(owed, self.until);
        }
        match self.streams() {
            None => {}
            Some(Streams::Flows) => self.own(time),
            Some(Streams::Port) => self.shared(time),
        }
        self.until = self.until.max(time);
        &self.flows
    }

    /// The flows, as they were when they were last asked for.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// What is asked for, in frames a second: by the port where its flows share its departures,
    /// else by each flow. None where it changes with time.
    pub fn requested(&self) -> Vec<Option<f64>> {
        let requested =
            self.pacing.as_ref().map_or_else(Vec::new, |pacing| pacing.requested.clone());
        requested.into_iter().map(|rate| rate.map(Pps::to_f64)).collect()
    }

    /// Whose departures they are; none where nothing is paced.
    pub fn streams(&self) -> Option<Streams> {
        self.pacing.as_ref().map(|pacing| pacing.streams)
    }

    fn streams_mut(&mut self) -> &mut [Stream] {
        self.pacing.as_mut().map_or(&mut [], |pacing| &mut pacing.departures)
    }

    /// How many more departures of a stream are due before a time, of which it has moved on.
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
            // Where the next would be due, the gap of the last is over.
            let last = self.streams_mut()[stream].state.due.clamp(self.until, time);
            let flow = stream % self.flows.len().max(1);
            self.flows[flow].give(due, last);
        }
    }

    /// From one beginning or end of a flow to the next, those that are active share what is due.
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

    /// Shares out what is due from one time to another, in which the same flows are active.
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
            // Nobody has the departures of a pause.
            let Some((phase, sent)) = &mut self.phase else { break };
            let taken =
                phase.frames.map_or(due - given, |frames| (due - given).min(frames - *sent));
            given += taken;
            // As departures at equal distances are.
            let last = from + part(to - from, given, due);
            let count = self.flows.len();
            let shares = |turns| schedule::shares(&phase.turns, count, turns);
            for ((flow, after), before) in
                self.flows.iter_mut().zip(shares(*sent + taken)).zip(shares(*sent))
            {
                flow.give(after - before, last);
            }
            *sent += taken;
        }
    }
}

/// So many parts of a time that has `of` of them; at most `of`, and so at most the time.
fn part(time: u64, parts: u64, of: u64) -> u64 {
    fits(u128::from(time) * u128::from(parts.min(of)) / u128::from(of.max(1)))
}
