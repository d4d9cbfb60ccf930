//! The plan: what will be sent, worked out completely before anything touches the kernel.
//!
//! The plan is a pure function of the configuration and the host's facts. Every error is found here
//! or before; later modules only carry the plan out.

mod addresses;
mod cpus;
mod driver;
mod memory;
#[doc(hidden)]
pub mod needs;
mod note;
#[doc(hidden)]
pub mod pacing;
mod planner;
mod program;
mod rows;
#[doc(hidden)]
pub mod schedule;
mod sequence;
#[doc(hidden)]
pub mod shares;
mod size_table;
mod stack;
#[cfg(test)]
pub(crate) mod tests;
#[doc(hidden)]
pub mod turns;
mod unreachable;
mod varying;

use std::{collections::BTreeMap, time::Duration};

pub use addresses::sought;
#[doc(hidden)]
pub use cpus::default_cpu;
#[doc(hidden)]
pub use driver::attachment;
#[doc(hidden)]
pub use needs::Needs;
pub use note::Note;
#[doc(hidden)]
pub use note::port_name;
#[doc(hidden)]
pub use pacing::Pacing;
#[doc(hidden)]
pub use program::{FrameBounds, Program, Rows};

use crate::{
    config::{Action, Config, Diagnostics, Flow, WhenFull},
    host::Facts,
    packet::Template,
    plan::{planner::Planner, unreachable::AddressingFaults},
    units::{self, Nanos},
};

/// Everything that will be sent.
#[derive(Clone, Debug)]
pub struct Plan {
    /// One for each interface that sends.
    pub ports: Vec<PortPlan>,
    /// Sentences for the user about what the plan decided.
    pub notes: Vec<Note>,
}

/// One interface that sends.
#[derive(Clone, Debug)]
pub struct PortPlan {
    /// The port's name.
    pub name: String,
    /// The egress interface's name.
    pub interface: String,
    /// The egress interface's index.
    pub egress: u32,
    /// Index of the interface that frames seem to come from.
    pub ingress: u32,
    /// What happens to a frame.
    pub action: Action,
    /// The CPUs; each has one worker.
    pub cpus: Vec<u32>,
    /// Frames the kernel sends together.
    pub batch_size: u32,
    /// What a worker without a rate does when the driver's queue is full.
    pub when_full: WhenFull,
    /// The program that the egress interface needs before its driver sends.
    pub attach: RequiredProgram,
    /// Bits a second of the egress interface's link; none for a virtual interface, whose speed
    /// limits nothing.
    pub line_rate: Option<u64>,
    /// The flows; at least one.
    pub flows: Vec<FlowPlan>,
    /// When frames leave; none: at full speed.
    #[doc(hidden)]
    pub pacing: Option<Pacing>,
    /// What the kernel's programs do for the port.
    #[doc(hidden)]
    pub program: Program,
    /// What the port takes of the machine.
    #[doc(hidden)]
    pub needs: Needs,
}

/// What has to be attached to an interface before its driver sends XDP frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequiredProgram {
    /// The driver sends without a program, or no program would help.
    #[default]
    Nothing,
    /// An XDP program that passes everything on, for as long as frames are sent. A program that is
    /// attached to the driver already serves as well.
    Pass(ExistingProgram),
}

/// What happens to an XDP program that prevents the attachment of the pass program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExistingProgram {
    /// The program stays, and the port does not send.
    Keep,
    /// The pass program replaces it until the end of the session: `--replace-xdp`.
    Replace,
}

/// Frames of one layout.
#[derive(Clone, Debug)]
pub struct FlowPlan {
    /// The flow's name.
    pub name: String,
    /// The flow's share of the port's frames.
    pub weight: u32,
    /// Bytes of the flow's smallest frame on the wire, FCS included.
    pub smallest: u32,
    /// Bytes of the flow's largest frame on the wire, FCS included.
    pub largest: u32,
    /// How long after the start the flow begins.
    pub delay: Duration,
    /// Frames of all workers together, or departures where the flow has a rate; none: without end.
    pub packets: Option<u64>,
    /// How long the flow lasts from its beginning; none: without end.
    pub duration: Option<Duration>,
    /// The longest frame with every field at its first value, and the offsets of its parts.
    #[doc(hidden)]
    pub layout: Template,
    /// The flow with the patterns that the plan added to the user's: MAC or source addresses that
    /// follow the destinations.
    #[doc(hidden)]
    pub addressed: Option<Box<Flow>>,
}

impl FlowPlan {
    /// The flow's beginning and end, since the start.
    #[doc(hidden)]
    pub fn window(&self) -> (Nanos, Nanos) {
        let begin = Nanos::from(self.delay);
        (begin, self.duration.map_or(Nanos::NEVER, |duration| Nanos::from(duration).after(begin)))
    }
}

impl PortPlan {
    /// Index of the interface that frames leave by; none when they stay on this machine.
    pub fn leaves_by(&self) -> Option<u32> {
        match self.action {
            Action::Redirect => Some(self.egress),
            Action::Tx => Some(self.ingress),
            Action::Pass | Action::Drop => None,
        }
    }

    /// The CPUs that send a flow, by its index among the port's.
    #[doc(hidden)]
    pub fn cpus_of(&self, flow: usize) -> Vec<u32> {
        match &self.pacing {
            Some(pacing) => pacing.shares.sharers(flow).map(|worker| self.cpus[worker]).collect(),
            None => self.cpus.clone(),
        }
    }

    /// How many frames of a flow the worker with this index (not its CPU) sends. Shares differ by
    /// at most one frame and add up exactly.
    pub fn share(&self, flow: &FlowPlan, worker: usize) -> Option<u64> {
        flow.packets.map(|packets| units::share(packets, self.cpus.len() as u64, worker as u64))
    }
}

/// Whether interfaces that carry a default route may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultRoute {
    /// They must not.
    Refuse,
    /// They may: `--allow-default-route`.
    Allow,
}

/// What the user has agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Whether interfaces with a default route may send.
    pub default_route: DefaultRoute,
    /// What happens to XDP programs that prevent an attachment.
    pub existing: ExistingProgram,
}

impl From<DefaultRoute> for Consent {
    /// Consent to this alone.
    fn from(default_route: DefaultRoute) -> Self {
        Self { default_route, existing: ExistingProgram::Keep }
    }
}

/// The names of the interfaces whose details ([`Facts::interfaces`]) a plan for `config` needs:
/// those that frames leave by, or seem to come from.
pub fn interfaces(config: &Config) -> Vec<&str> {
    let ports = config.ports.iter();
    ports
        .flat_map(|port| [Some(&port.interface), port.ingress.as_ref()])
        .flatten()
        .map(|name| name.value.as_str())
        .collect()
}

/// Works out the plan.
///
/// # Errors
/// Everything in the configuration that this host cannot do.
pub fn plan(
    config: &Config,
    facts: &Facts,
    consent: impl Into<Consent>,
) -> Result<Plan, Diagnostics> {
    let mut planner = Planner {
        facts,
        consent: consent.into(),
        chosen: cpus::choose(config, facts),
        memory: facts.system.memory,
        diagnostics: Diagnostics::new(config.source.clone()),
        notes: Vec::new(),
        remarks: BTreeMap::new(),
        faults: AddressingFaults::default(),
    };
    let mut flows: BTreeMap<&str, Vec<&Flow>> = BTreeMap::new();
    for flow in &config.flows {
        flows.entry(&flow.port.value).or_default().push(flow);
    }
    let ports = config
        .ports
        .iter()
        .filter_map(|port| planner.port(port, flows.get(port.name.value.as_str())?))
        .collect();
    planner.conclude();
    let Planner { diagnostics, notes, .. } = planner;
    diagnostics.into_result(Plan { ports, notes })
}
