//! Counts, read from the kernel's maps into plain values.
//!
//! Every number a user sees comes from a [`Snapshot`], and each says what it counts.

pub mod gaps;
mod punctuality;

use std::{fmt, time::Duration};

use xdp_trafficgen_ebpf::abi::{DropLayer, FCS_LEN, Flow, MAX_ERRNO, RECENT, Worker, parts_of_recent};

pub use punctuality::Punctuality;

use crate::{
    config::Action,
    kernel::{Generator, KernelError},
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
#[derive(Clone, Debug, PartialEq)]
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
}

/// What became of one flow's frames.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowCount {
    /// The flow's name.
    pub name: String,
    /// Repetitions of the program for this flow.
    pub attempted: u64,
    /// Frames the egress driver accepted; with the action `pass`, frames handed to the network stack.
    pub transmitted: u64,
    /// Bytes on the wire of the transmitted frames, FCS included.
    pub bytes: u64,
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
        Self { name: name.to_owned(), attempted: 0, transmitted: 0, bytes: 0, punctuality: None }
    }
}

/// Why a frame went nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DropReason {
    /// The driver took only part of a bulk: its transmit queue was full.
    QueueFull,
    /// The driver refused a bulk with this errno.
    Driver(u32),
    /// The kernel refused the redirect with this errno, before the driver was asked.
    Redirect(u32),
    /// The action is `drop`: as asked.
    Action,
    /// The program could not make the frame: a mistake of ours.
    Aborted,
    /// No trace point told: the kernel dropped the frame in another way.
    Unaccounted,
}

impl PortCount {
    /// Before anything was sent.
    pub fn none(plan: &PortPlan) -> Self {
        Self {
            name: plan.name.clone(),
            interface: plan.interface.clone(),
            elapsed: Duration::ZERO,
            attempted: 0,
            transmitted: 0,
            in_flight: 0,
            drops: Vec::new(),
            punctuality: None,
            batch_size: None,
            flows: plan.flows.iter().map(|flow| FlowCount::none(&flow.name)).collect(),
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
                for ((layer, errno), count) in generator.drops()? {
                    let reason = match (layer, errno) {
                        (DropLayer::Driver, 0) => DropReason::QueueFull,
                        (DropLayer::Driver, errno) => DropReason::Driver(errno),
                        (DropLayer::Redirect, errno) => DropReason::Redirect(errno),
                    };
                    drops.push((reason, count));
                }
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
        FlowCount { name: flow.name.clone(), attempted: total.frames, transmitted, bytes, punctuality: None }
    });
    Ok(counts.collect())
}

impl DropReason {
    /// A name that stays the same, for programs.
    pub fn code(self) -> String {
        match self {
            Self::QueueFull => "driver_queue_full".to_owned(),
            Self::Driver(errno) => format!("driver_{}", errno_name(errno).to_lowercase()),
            Self::Redirect(errno) => format!("redirect_{}", errno_name(errno).to_lowercase()),
            Self::Action => "action_drop".to_owned(),
            Self::Aborted => "program_aborted".to_owned(),
            Self::Unaccounted => "unaccounted".to_owned(),
        }
    }
}

/// A sentence for people: what happened, and for the common cases what to do.
impl fmt::Display for DropReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::QueueFull => formatter.write_str("the driver's transmit queue was full: try a smaller batch size or fewer CPUs"),
            Self::Driver(6) => formatter.write_str(
                "the driver has no queue for this (ENXIO): the peer of a veth needs a native XDP program or GRO \
                 (`ethtool -K PEER gro on`); a NIC needs a transmit queue for each CPU in use, and some NICs an XDP program \
                 attached to them",
            ),
            Self::Driver(errno) => write!(formatter, "the driver refused it ({})", errno_name(*errno)),
            Self::Redirect(19) => formatter.write_str("the egress interface is gone (ENODEV)"),
            Self::Redirect(90) => formatter.write_str("longer than the interface's MTU allows (EMSGSIZE)"),
            Self::Redirect(95) => formatter.write_str(
                "the driver cannot send XDP frames (EOPNOTSUPP): a veth can while its peer has a native XDP program or GRO \
                 (`ethtool -K PEER gro on`), some NICs only while an XDP program is attached to them, others never",
            ),
            Self::Redirect(100) => formatter.write_str("the interface is down (ENETDOWN)"),
            Self::Redirect(errno) => write!(formatter, "the kernel refused the redirect ({})", errno_name(*errno)),
            Self::Action => formatter.write_str("dropped as asked (action = \"drop\")"),
            Self::Aborted => formatter.write_str("the program could not make the frame: please report this"),
            Self::Unaccounted => formatter.write_str("dropped by the kernel without a trace"),
        }
    }
}

/// The names of the errnos this path is known to give; a number for any other.
fn errno_name(errno: u32) -> String {
    let name = match errno {
        1 => "EPERM",
        6 => "ENXIO",
        11 => "EAGAIN",
        12 => "ENOMEM",
        14 => "EFAULT",
        16 => "EBUSY",
        19 => "ENODEV",
        22 => "EINVAL",
        28 => "ENOSPC",
        90 => "EMSGSIZE",
        95 => "EOPNOTSUPP",
        100 => "ENETDOWN",
        101 => "ENETUNREACH",
        105 => "ENOBUFS",
        other if other >= MAX_ERRNO - 1 => "other",
        other => return format!("errno_{other}"),
    };
    name.to_owned()
}
