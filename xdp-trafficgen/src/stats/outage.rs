//! What a port goes through while it cannot send: the departures of that time are counted as never sent, and the time counts as
//! one in which it was due to send.

use std::time::Duration;

use crate::{
    plan::pacing::{
        Streams,
        missed::{Flow, Missed},
    },
    stats::{
        PortCount, Punctuality,
        due_time::{Window, covered, length},
    },
};

/// What outages cost a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outage {
    /// How long it could not send, in all.
    pub down: Duration,
    /// How often it started again.
    pub restarts: u64,
    /// Departures meanwhile, of which no frame left.
    pub unsent: u64,
    /// Why it failed at last.
    pub reason: String,
}

impl Outage {
    pub(super) fn add(&mut self, earlier: &Self) {
        let Self { down, restarts, unsent, reason } = earlier;
        self.down += *down;
        self.restarts += restarts;
        self.unsent += unsent;
        if self.reason.is_empty() {
            self.reason.clone_from(reason);
        }
    }
}

/// A port that has stopped sending, and its counts as they go on.
#[derive(Clone, Debug)]
pub struct Down {
    /// The counts when it stopped.
    count: PortCount,
    missed: Missed,
    /// When it stopped, since its last start.
    from: Duration,
}

impl Down {
    /// Of a port that sent, as `planned`, until so long after its start. `count`: all counts then; `before`: those before that
    /// start.
    pub fn since(planned: Missed, from: Duration, count: PortCount, before: &PortCount) -> Self {
        // All are in the configuration's order, and what was over before is not planned any more.
        let mut counted = count.flows.iter().zip(&before.flows);
        let had = |name: &String| {
            let (now, before) = counted.by_ref().find(|(now, _)| now.name == *name)?;
            Some(now.due().saturating_sub(before.due()))
        };
        let had: Vec<u64> = planned.flows().iter().map(|flow| &flow.name).map_while(had).collect();
        Self { count, missed: planned.after(from, &had), from }
    }

    /// The counts so long after the last start. Times must not go back.
    pub fn counts(&mut self, to: Duration, reason: &str) -> PortCount {
        let mut count = self.count.clone();
        count.outage.down += to.saturating_sub(self.from);
        reason.clone_into(&mut count.outage.reason);
        let (streams, requested) = (self.missed.streams(), self.missed.requested());
        // As they were before: afterwards some may have none left.
        let within = |(begin, end): Window| {
            let begin = begin.max(self.from);
            (begin, end.min(to).max(begin))
        };
        let windows: Vec<Window> = self.missed.flows().iter().map(|flow| within(flow.window())).collect();
        let due_time = covered(windows.iter().copied());
        count.due_time += due_time;
        let missed = self.missed.by(to);
        let mut flows = count.flows.iter_mut();
        for (index, (flow, window)) in missed.iter().zip(windows).enumerate() {
            let Some(counted) = flows.by_ref().find(|counted| counted.name == flow.name) else { break };
            counted.due_time += length(window);
            let own = requested.get(index).copied().flatten().filter(|_| streams == Some(Streams::Flows));
            let nothing_sent = Punctuality::of_nothing_sent(flow.missed(), own, length(window));
            let nothing_sent = nothing_sent.filter(|_| streams.is_some());
            counted.punctuality = Punctuality::of_both(nothing_sent, counted.punctuality);
        }
        if let Some(streams) = streams {
            let unsent = missed.iter().map(Flow::missed).sum();
            // Where not all flows send all the time, only the departures tell.
            let all_send = streams == Streams::Port || missed.iter().all(Flow::goes_on);
            let requested = requested.iter().copied().sum::<Option<f64>>().filter(|_| all_send);
            let nothing_sent = Punctuality::of_nothing_sent(unsent, requested, due_time);
            count.punctuality = Punctuality::of_both(nothing_sent, count.punctuality);
            count.outage.unsent += unsent;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outages_add_up() {
        let outage = |seconds, restarts, unsent, reason: &str| Outage {
            down: Duration::from_secs(seconds),
            restarts,
            unsent,
            reason: reason.to_owned(),
        };
        let mut later = outage(2, 1, 10, "");
        later.add(&outage(3, 2, 5, "gone"));
        assert_eq!(later, outage(5, 3, 15, "gone"));
        later.add(&outage(0, 0, 0, "another"));
        assert_eq!(later.reason, "gone");
    }
}
