//! Counts, read from the kernel's maps into plain values.
//!
//! Every number a user sees comes from a [`Snapshot`], and each says what it counts.

mod drops;
pub mod gaps;
mod punctuality;

use std::time::Duration;

use xdp_trafficgen_ebpf::abi::{FCS_LEN, Flow, RECENT, Worker, parts_of_recent};

pub use drops::DropReason;
pub use punctuality::Punctuality;

use crate::{
    config::Action,
    host::Counters,
    kernel::{Generator, KernelError, TracePoint},
    plan::PortPlan,
};

/// All counts at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// Since the workers started.
    pub elapsed: Duration,
    /// One for each port, in the plan's order.
    pub ports: Vec<PortCount>,
}

/// What became of one port's frames: `attempted` is `transmitted` plus `in_flight` plus all drops, and after a run nothing
/// is in flight.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortCount {
    /// The port's name.
    pub name: String,
    /// The interface's name.
    pub interface: String,
    /// How long the port has been sending, or sent when it has ended.
    pub elapsed: Duration,
    /// Repetitions of the program.
    pub attempted: u64,
    /// Frames the egress driver accepted; with the action `pass`, frames handed to the network stack.
    pub transmitted: u64,
    /// Frames whose fate is not known yet: up to a batch a worker, and a little more for counters read one by one.
    pub in_flight: u64,
    /// Frames that went nowhere, by reason.
    pub drops: Vec<(DropReason, u64)>,
    /// How well departure times were kept, where there are some.
    pub punctuality: Option<Punctuality>,
    /// The most frames that leave together just now, where they have departure times.
    pub batch_size: Option<u64>,
    /// What the port sends, in the configuration's order.
    pub flows: Vec<FlowCount>,
    /// The same frames, by the CPU that sent them.
    pub workers: Vec<WorkerCount>,
    /// Trace points that this kernel lacks, and with them figures: see [`TracePoint`].
    pub lacks: Vec<TracePoint>,
    /// What the interface that frames leave by counted meanwhile, whoever sent; only after the end of a run.
    pub interface_count: Option<Counters>,
}

/// What became of the frames of one worker.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct WorkerCount {
    /// Its CPU.
    pub cpu: u32,
    /// Repetitions of the program.
    pub attempted: u64,
    /// Frames the egress driver accepted; with the action `pass`, frames handed to the network stack.
    pub transmitted: u64,
    /// Frames that went nowhere, by reason.
    pub drops: Vec<(DropReason, u64)>,
}

/// What became of one flow's frames.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowCount {
    /// The flow's name.
    pub name: String,
    /// Repetitions of the program for this flow.
    pub attempted: u64,
    /// Frames the egress driver accepted; with the action `pass`, frames handed to the network stack.
    pub transmitted: u64,
    /// Bytes on the wire of the transmitted frames, FCS included.
    pub bytes: u64,
    /// Frames that went nowhere, by reason.
    pub drops: Vec<(DropReason, u64)>,
    /// How well departure times were kept, where there are some.
    pub punctuality: Option<Punctuality>,
}

impl FlowCount {
    /// Frames of the flow's share that are over: made, or given up with their departure.
    pub fn due(&self) -> u64 {
        self.attempted + self.punctuality.map_or(0, |punctuality| punctuality.unsent)
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

    /// Reads a port's counters. `due`: the departures of each flow, when all workers have ended.
    ///
    /// # Errors
    /// When the maps cannot be read.
    pub fn read(
        plan: &PortPlan,
        generator: &Generator,
        elapsed: Duration,
        due: Option<&[u64]>,
    ) -> Result<Self, KernelError> {
        let workers = generator.workers()?;
        let total = |count: fn(&Worker) -> u64| workers.iter().map(count).sum::<u64>();
        let made = total(Worker::attempted);
        let aborted = total(|worker| worker.aborted);
        let in_the_kernel = total(in_flight);
        let mut drops: Vec<(DropReason, u64)> = Vec::new();
        let mut in_flight = 0;
        let transmitted = match plan.action {
            Action::Redirect | Action::Tx => {
                drops.extend(generator.drops()?.into_iter().map(|(refusal, count)| (DropReason::from(refusal), count)));
                in_flight = in_the_kernel;
                total(|worker| worker.transmitted)
            }
            Action::Pass => made,
            Action::Drop => {
                drops.push((DropReason::Action, made));
                0
            }
        };
        drops.push((DropReason::Aborted, aborted));
        drops.retain(|&(_, count)| count > 0);
        let mut flows = flow_counts(plan, generator, &workers)?;
        let (mut punctuality, mut batch_size) = (None, None);
        if let Some(pacing) = &plan.pacing {
            punctuality = Some(punctuality::read(plan, pacing, generator, &mut flows, due)?);
            for worker in (0..).take(plan.cpus.len()) {
                batch_size = batch_size.max(Some(generator.pace(worker)?.batch));
            }
        }
        Ok(Self {
            name: plan.name.clone(),
            interface: plan.interface.clone(),
            elapsed,
            attempted: made + aborted,
            transmitted,
            in_flight,
            drops,
            punctuality,
            batch_size,
            flows,
            workers: Vec::new(),
            lacks: Vec::new(),
            interface_count: None,
        })
    }

    /// The count after the end of a run: a frame still in flight now has gone a way no trace point tells of.
    #[must_use]
    pub fn settled(mut self) -> Self {
        if self.in_flight > 0 {
            self.drops.push((DropReason::Unaccounted, std::mem::take(&mut self.in_flight)));
        }
        self
    }

    /// Frames that went nowhere.
    pub fn dropped(&self) -> u64 {
        self.drops.iter().map(|&(_, count)| count).sum()
    }

    /// Bytes on the wire of the transmitted frames, FCS included.
    pub fn bytes(&self) -> u64 {
        self.flows.iter().map(|flow| flow.bytes).sum()
    }

    /// Adds the counts of an earlier run of the same port.
    pub fn add(&mut self, earlier: &Self) {
        let Self {
            name: _,
            interface: _,
            elapsed,
            attempted,
            transmitted,
            in_flight,
            drops,
            punctuality,
            batch_size: _,
            flows,
            workers: _,
            lacks: _,
            interface_count: _,
        } = earlier;
        self.punctuality = Punctuality::of_both(self.punctuality, *punctuality);
        self.in_flight += in_flight;
        self.elapsed += *elapsed;
        self.attempted += attempted;
        self.transmitted += transmitted;
        for (flow, earlier) in self.flows.iter_mut().zip(flows) {
            flow.attempted += earlier.attempted;
            flow.transmitted += earlier.transmitted;
            flow.bytes += earlier.bytes;
            flow.punctuality = Punctuality::of_both(flow.punctuality, earlier.punctuality);
        }
        for &(reason, count) in drops {
            match self.drops.iter_mut().find(|(known, _)| *known == reason) {
                Some((_, total)) => *total += count,
                None => self.drops.push((reason, count)),
            }
        }
    }
}

/// Frames of a worker whose fate is not known yet. Counters are read one by one while they change: never below zero.
fn in_flight(worker: &Worker) -> u64 {
    worker.queued.saturating_sub(worker.transmitted + worker.dropped)
}

/// What became of each flow's frames.
fn flow_counts(plan: &PortPlan, generator: &Generator, workers: &[Worker]) -> Result<Vec<FlowCount>, KernelError> {
    let mut totals = vec![Flow::default(); plan.flows.len()];
    for (index, &cpu) in (0..).zip(&plan.cpus) {
        let mut counted = generator.flows(index, &plan.program)?;
        if counted.is_empty() {
            // The single flow, whose frames are all the worker's.
            let worker = workers.get(cpu as usize).copied().unwrap_or_default();
            let dropped_frames = worker.refused + worker.dropped;
            counted.push(Flow { frames: worker.attempted(), dropped_frames, ..worker.only });
        }
        // Those in flight are the last ones in the queue.
        let sends = matches!(plan.action, Action::Redirect | Action::Tx);
        let worker = workers.get(cpu as usize).copied().unwrap_or_default();
        for back in 1..=in_flight(&worker).min(RECENT as u64) * u64::from(sends) {
            let place = usize::try_from(worker.queued.wrapping_sub(back) % RECENT as u64).unwrap_or(0);
            let (flow, size) = parts_of_recent(worker.recent[place]);
            if let Some(flow) = counted.get_mut(flow as usize) {
                flow.dropped_frames += 1;
                flow.dropped_bytes += u64::from(size);
            }
        }
        for (total, Flow { frames, bytes, dropped_frames, dropped_bytes, .. }) in totals.iter_mut().zip(counted) {
            total.frames += frames;
            total.bytes += bytes;
            total.dropped_frames += dropped_frames;
            total.dropped_bytes += dropped_bytes;
        }
    }
    let counts = plan.flows.iter().zip(totals).map(|(flow, total)| {
        let transmitted =
            if plan.action == Action::Drop { 0 } else { total.frames.saturating_sub(total.dropped_frames) };
        // Counted byte by byte where sizes differ, and without the FCS.
        let bytes = match (transmitted, total.bytes) {
            (0, _) => 0,
            (_, 0) => transmitted * u64::from(flow.largest),
            (_, bytes) => bytes.saturating_sub(total.dropped_bytes) + transmitted * u64::from(FCS_LEN),
        };
        FlowCount {
            name: flow.name.clone(),
            attempted: total.frames,
            transmitted,
            bytes,
            drops: Vec::new(),
            punctuality: None,
        }
    });
    Ok(counts.collect())
}
