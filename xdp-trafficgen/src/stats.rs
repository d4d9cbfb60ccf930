//! Counts, read from the kernel's maps into plain values.
//!
//! Every number a user sees comes from a [`Snapshot`], and each says what it counts.

mod drops;
mod due_time;
#[doc(hidden)]
pub mod gaps;
mod outage;
mod punctuality;
mod reading;
pub mod reconcile;
#[doc(hidden)]
pub mod tuning;
mod workers;

use std::time::Duration;

pub use drops::DropReason;
#[doc(hidden)]
pub use drops::errno_name;
pub use outage::{Outage, StoppedPort};
pub use punctuality::Punctuality;

use crate::{
    host::Counters,
    kernel::TracePoint,
    plan::PortPlan,
    stats::reconcile::{Mismatch, add_mismatches},
};

/// All counts at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Since the workers started.
    pub elapsed: Duration,
    /// One for each port, in the plan's order.
    pub ports: Vec<PortCount>,
}

/// The fate of one port's frames. After a run, `frames_attempted` is `frames_tx` plus all drops. During
/// a run there are frames `in_flight`, too, and counters change while they are read one by one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortCount {
    /// The port's name.
    pub name: String,
    /// The interface's name.
    pub interface: String,
    /// Time from the port's start until now, or until its end.
    pub elapsed: Duration,
    /// The part of `elapsed` in which the port was due to send: from its first flow to its last,
    /// without pauses in which no flow sends. Rates are computed over it.
    pub due_time: Duration,
    /// Repetitions of the program.
    pub frames_attempted: u64,
    /// Frames the egress driver accepted; with the action `pass`, frames handed to the network
    /// stack.
    pub frames_tx: u64,
    /// Frames whose fate is not known yet: up to a batch a worker, and a little more for counters
    /// read one by one.
    pub in_flight: u64,
    /// Dropped frames by reason.
    pub drops: Vec<(DropReason, u64)>,
    /// Those among them that were refused for want of room, and are not missing: a flow that ends by
    /// a number of frames sends others in their place. A worker counts them when the same flows have
    /// taken turns to the end.
    pub frames_made_up: u64,
    /// How well departures were kept; none at full speed.
    pub punctuality: Option<Punctuality>,
    /// The current batch size, the largest of all workers; none at full speed.
    pub batch_size: Option<u64>,
    /// The port's flows, in the configuration's order.
    pub flows: Vec<FlowCount>,
    /// The same frames by the CPU that sent them.
    pub workers: Vec<WorkerCount>,
    /// Trace points that this kernel lacks; the figures that depend on them are missing: see
    /// [`TracePoint`].
    pub lacks: Vec<TracePoint>,
    /// Index of the interface that frames leave by; none when they do not leave.
    pub leaves_by: Option<u32>,
    /// Bits a second of that interface's link; none where the figure is unreliable.
    pub line_rate: Option<u64>,
    /// The interface's own counts of the run, for all senders. They are known after the end of a run, if
    /// the interface existed to the end.
    pub interface_count: Option<Counters>,
    /// Where that count differs from ours.
    pub mismatches: Vec<Mismatch>,
    /// How long a worker of the port stood still, because its process was stopped or the machine was
    /// paused: the longest single time, and all times together.
    pub still: (Duration, Duration),
    /// Times in which the port could not send at all.
    pub outage: Outage,
}

/// The fate of one worker's frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerCount {
    /// The worker's CPU. A CPU that is not among the plan's has no worker: the thread of another
    /// worker was moved there from outside.
    pub cpu: u32,
    /// Repetitions of the program.
    pub frames_attempted: u64,
    /// Frames the egress driver accepted; with the action `pass`, frames handed to the network
    /// stack.
    pub frames_tx: u64,
    /// Frames whose fate is not known yet.
    pub in_flight: u64,
    /// Dropped frames by reason.
    pub drops: Vec<(DropReason, u64)>,
    /// Events of `xdp_exception`: they explain frames whose fate no other trace point reports.
    pub exceptions: u64,
}

/// The fate of one flow's frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowCount {
    /// The flow's name.
    pub name: String,
    /// Repetitions of the program for this flow.
    pub frames_attempted: u64,
    /// Frames the egress driver accepted; with the action `pass`, frames handed to the network
    /// stack.
    pub frames_tx: u64,
    /// Bytes on the wire of those frames, FCS included.
    pub bytes_tx: u64,
    /// As [`PortCount::due_time`], for the flow alone. At full speed, a flow that ends by a number of
    /// frames is due to the end of the port.
    pub due_time: Duration,
    /// Frames whose fate is not known yet.
    pub in_flight: u64,
    /// Dropped frames by reason.
    pub drops: Vec<(DropReason, u64)>,
    /// How well departures were kept; none at full speed.
    pub punctuality: Option<Punctuality>,
}

impl FlowCount {
    /// Departures of the flow's share that are over, with a frame or unsent.
    pub fn due(&self) -> u64 {
        self.frames_attempted + self.punctuality.map_or(0, |punctuality| punctuality.unsent)
    }

    /// Before anything was sent.
    pub fn none(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

impl PortCount {
    /// Before anything was sent.
    pub fn none(plan: &PortPlan) -> Self {
        Self {
            name: plan.name.clone(),
            interface: plan.interface.clone(),
            flows: plan.flows.iter().map(|flow| FlowCount::none(&flow.name)).collect(),
            ..Self::default()
        }
    }

    /// The count after the end of a run: the fate of a frame that is still in flight was reported by
    /// no trace point, or by `xdp_exception` alone.
    #[must_use]
    pub fn settled(mut self) -> Self {
        let mut all_exceptions = 0;
        for worker in &mut self.workers {
            let exceptions = worker.exceptions.min(worker.in_flight);
            all_exceptions += exceptions;
            let lost = [
                (DropReason::Exception, exceptions),
                (DropReason::Unaccounted, worker.in_flight - exceptions),
            ];
            add_drops(&mut worker.drops, &lost);
            add_drops(&mut self.drops, &lost);
            worker.in_flight = 0;
        }
        // Exceptions have no flow: where they explain only some of the frames, flows cannot say
        // which of theirs.
        let all = all_exceptions == self.in_flight;
        let reason = if all { DropReason::Exception } else { DropReason::Unaccounted };
        for flow in &mut self.flows {
            add_drops(&mut flow.drops, &[(reason, std::mem::take(&mut flow.in_flight))]);
        }
        self.in_flight = 0;
        self
    }

    /// Frames that were dropped.
    pub fn frames_dropped(&self) -> u64 {
        self.drops.iter().map(|&(_, count)| count).sum()
    }

    /// Bytes on the wire of the frames that were sent, FCS included.
    pub fn bytes_tx(&self) -> u64 {
        self.flows.iter().map(|flow| flow.bytes_tx).sum()
    }

    /// Adds the counts of an earlier run of the same port.
    pub fn add(&mut self, earlier: &Self) {
        let Self {
            name: _,
            interface: _,
            elapsed,
            due_time,
            frames_attempted,
            frames_tx,
            in_flight,
            drops,
            frames_made_up,
            punctuality,
            batch_size: _,
            flows,
            workers,
            lacks: _,
            leaves_by: _,
            line_rate: _,
            interface_count,
            mismatches,
            still: (longest, still),
            outage,
        } = earlier;
        // The sum is complete only if every run that sent has its part.
        if *frames_attempted > 0 {
            self.interface_count = self.interface_count.take().zip(interface_count.as_ref()).map(
                |(mut all, earlier)| {
                    all.add(earlier);
                    all
                },
            );
        }
        add_mismatches(&mut self.mismatches, mismatches);
        self.punctuality = Punctuality::of_both(self.punctuality, *punctuality);
        self.in_flight += in_flight;
        self.frames_made_up += frames_made_up;
        self.elapsed += *elapsed;
        self.due_time += *due_time;
        self.still = (self.still.0.max(*longest), self.still.1 + *still);
        self.outage.add(outage);
        self.frames_attempted += frames_attempted;
        self.frames_tx += frames_tx;
        add_drops(&mut self.drops, drops);
        for (flow, earlier) in self.flows.iter_mut().zip(flows) {
            flow.add(earlier);
        }
        for earlier in workers {
            match self.workers.iter_mut().find(|worker| worker.cpu == earlier.cpu) {
                Some(worker) => worker.add(earlier),
                None => self.workers.push(earlier.clone()),
            }
        }
    }
}

impl FlowCount {
    fn add(&mut self, earlier: &Self) {
        let Self {
            name: _,
            frames_attempted,
            frames_tx,
            bytes_tx,
            due_time,
            in_flight,
            drops,
            punctuality,
        } = earlier;
        self.frames_attempted += frames_attempted;
        self.frames_tx += frames_tx;
        self.bytes_tx += bytes_tx;
        self.due_time += *due_time;
        self.in_flight += in_flight;
        add_drops(&mut self.drops, drops);
        self.punctuality = Punctuality::of_both(self.punctuality, *punctuality);
    }
}

impl WorkerCount {
    fn add(&mut self, earlier: &Self) {
        let Self { cpu: _, frames_attempted, frames_tx, in_flight, drops, exceptions } = earlier;
        self.frames_attempted += frames_attempted;
        self.frames_tx += frames_tx;
        self.in_flight += in_flight;
        self.exceptions += exceptions;
        add_drops(&mut self.drops, drops);
    }
}

/// Adds counts to those of the same reasons.
fn add_drops(drops: &mut Vec<(DropReason, u64)>, more: &[(DropReason, u64)]) {
    for &(reason, count) in more.iter().filter(|(_, count)| *count > 0) {
        match drops.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, total)) => *total += count,
            None => drops.push((reason, count)),
        }
    }
}
