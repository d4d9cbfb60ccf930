//! How a worker's flows take turns: by weight, each from its beginning to its end. The module is
//! pure: time is an argument, so that the engine and `show` use the same turns.

use super::{
    PortPlan,
    schedule::{self, Phase},
};
use crate::units::Nanos;

/// The flows of a worker that take turns, and their progress.
#[derive(Clone, Debug)]
pub struct Turns {
    flows: Vec<FlowTurns>,
    phase: Phase,
    /// When the phase ends, even with frames left.
    end: Option<PhaseEnd>,
    /// Turns of the phase taken so far.
    taken: u64,
    /// When the last of the flows that ended by time did so.
    last_end: Nanos,
}

/// A flow's part in the turns; times are since the start.
#[derive(Clone, Copy, Debug)]
pub struct FlowTurns {
    /// The flow's share of the turns.
    pub weight: u32,
    /// When the flow begins.
    pub begin: Nanos,
    /// When the flow ends.
    pub end: Nanos,
    /// Turns that the flow has left on this worker; without end when none.
    pub left: Option<u64>,
}

/// When a phase ends by time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PhaseEnd {
    /// The time since the start.
    pub time: Nanos,
    /// Whether no phase follows this one.
    pub is_last: bool,
}

/// The step after a phase.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next<'a> {
    /// The same flows take turns for a while.
    Phase(&'a Phase, Option<PhaseEnd>),
    /// No flow is due to send before this time.
    Pause(Nanos),
    /// All flows have ended.
    End,
}

impl Turns {
    /// The turns of the worker with this index among the port's.
    pub fn of(port: &PortPlan, worker: usize) -> Self {
        let flows = port.flows.iter().map(|flow| {
            let (begin, end) = flow.window();
            FlowTurns { weight: flow.weight, begin, end, left: port.share(flow, worker) }
        });
        Self::new(flows.collect())
    }

    /// The turns of these flows, none of which has had one.
    pub const fn new(flows: Vec<FlowTurns>) -> Self {
        let phase = Phase { turns: Vec::new(), frames: Some(0) };
        Self { flows, phase, end: None, taken: 0, last_end: Nanos::ZERO }
    }

    /// Begins the phase of this time; without a time, all flows begin at once and none ends by
    /// time. `is_over` says whether a flow ends when this much of its time is left.
    pub fn next(&mut self, now: Option<Nanos>, is_over: impl Fn(Nanos) -> bool) -> Next<'_> {
        for flow in &mut self.flows {
            if flow.end < Nanos::NEVER && now.is_some_and(|now| is_over(flow.end.since(now))) {
                if flow.left != Some(0) {
                    self.last_end = self.last_end.max(flow.end);
                }
                flow.left = Some(0);
            }
        }
        let waits =
            |flow: &FlowTurns| flow.left != Some(0) && now.is_some_and(|now| flow.begin > now);
        let next_begin = self.flows.iter().filter(|flow| waits(flow)).map(|flow| flow.begin).min();
        let ready: Vec<_> =
            self.flows.iter().map(|flow| if waits(flow) { Some(0) } else { flow.left }).collect();
        let weights: Vec<u32> = self.flows.iter().map(|flow| flow.weight).collect();
        let Some(phase) = schedule::phase(&weights, &ready) else {
            return next_begin.map_or(Next::End, Next::Pause);
        };
        // The first flow to end or to begin ends the phase.
        let active = || {
            self.flows
                .iter()
                .zip(&ready)
                .filter(|(_, left)| **left != Some(0))
                .map(|(flow, _)| flow)
        };
        let ends = active().map(|flow| flow.end).filter(|end| *end < Nanos::NEVER);
        self.end = ends.chain(next_begin).min().map(|time| PhaseEnd {
            time,
            is_last: next_begin.is_none() && active().all(|flow| flow.end == time),
        });
        (self.phase, self.taken) = (phase, 0);
        Next::Phase(&self.phase, self.end)
    }

    /// Whether the phase is over for a turn at this time.
    pub fn phase_is_over(&self, now: Option<Nanos>) -> bool {
        let ended = |end: PhaseEnd| now.is_some_and(|now| now >= end.time);
        self.phase.frames == Some(self.taken) || self.end.is_some_and(ended)
    }

    /// Takes this number of turns of the phase, and says how many are each flow's.
    pub fn take(&mut self, turns: u64) -> Vec<u64> {
        let shares = |taken| schedule::shares(&self.phase.turns, self.flows.len(), taken);
        let (before, mut shares) = (shares(self.taken), shares(self.taken + turns));
        for ((share, before), flow) in shares.iter_mut().zip(before).zip(&mut self.flows) {
            *share -= before;
            flow.left = flow.left.map(|left| left.saturating_sub(*share));
        }
        self.taken += turns;
        shares
    }

    /// Gives turns back whose frames were refused, so that others are sent in their place: a number
    /// for each flow.
    pub fn give_back(&mut self, refused: &[u64]) {
        for (flow, refused) in self.flows.iter_mut().zip(refused) {
            flow.left = flow.left.map(|left| left + refused);
        }
    }

    /// Takes one turn of the phase, and names its flow.
    pub fn take_one(&mut self) -> Option<u32> {
        let cycle = self.phase.turns.len() as u64;
        let turn = usize::try_from(self.taken.checked_rem(cycle)?).ok()?;
        let number = *self.phase.turns.get(turn)?;
        let flow = self.flows.get_mut(number as usize)?;
        flow.left = flow.left.map(|left| left.saturating_sub(1));
        self.taken += 1;
        Some(number)
    }

    /// When the last of the flows that ended by time did so. The session lasts until then, even
    /// without departures.
    pub const fn last_end(&self) -> Nanos {
        self.last_end
    }
}

#[cfg(test)]
mod tests;
