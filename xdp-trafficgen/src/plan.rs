//! The plan: what will be sent, worked out completely before anything touches the kernel.
//!
//! A pure function of the configuration and the host's facts. Everything that can be wrong is found
//! here or before; what follows only carries it out.

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
mod size_table;
mod slots;
mod stack;
#[cfg(test)]
pub(crate) mod tests;
#[doc(hidden)]
pub mod turns;
mod unreachable;

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
pub use program::{FrameBounds, Program};

use crate::{
    config::{Action, Config, Diagnostics, Flow},
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
    /// What was decided for the user, in sentences worth showing.
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
    /// Index of the interface frames seem to come from.
    pub ingress: u32,
    /// What happens to a frame.
    pub action: Action,
    /// One worker on each.
    pub cpus: Vec<u32>,
    /// Frames the kernel sends together.
    pub batch_size: u32,
    /// What has to be attached to the interface that frames leave by, so that they do.
    pub attach: RequiredProgram,
    /// Bits a second of that interface's link; none when it is virtual, whose speed is only a
    /// number.
    pub line_rate: Option<u64>,
    /// What is sent; at least one.
    pub flows: Vec<FlowPlan>,
    /// When frames leave; as fast as they can when none.
    #[doc(hidden)]
    pub pacing: Option<Pacing>,
    /// What the kernel's programs do for it.
    #[doc(hidden)]
    pub program: Program,
    /// What it takes of the machine.
    #[doc(hidden)]
    pub needs: Needs,
}

/// What has to be attached to an interface before its driver sends XDP frames.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RequiredProgram {
    /// It sends them as it is, or nothing would help.
    #[default]
    Nothing,
    /// An XDP program that passes everything on, for as long as frames are sent; one that is in the
    /// driver already does as well.
    Pass(ExistingProgram),
}

/// What becomes of an XDP program that is in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExistingProgram {
    /// It stays, and nothing is sent.
    Keep,
    /// It makes way until the end: `--replace-xdp`.
    Replace,
}

/// Frames of one layout.
#[derive(Clone, Debug)]
pub struct FlowPlan {
    /// The flow's name.
    pub name: String,
    /// Its share of the port's frames.
    pub weight: u32,
    /// Bytes of its smallest frame on the wire, FCS included.
    pub smallest: u32,
    /// Bytes of its largest frame on the wire, FCS included.
    pub largest: u32,
    /// How long after the start it begins.
    pub delay: Duration,
    /// Frames in total over all workers; without end when none. With a rate: departures.
    pub packets: Option<u64>,
    /// When to end, counted from its beginning; never when none.
    pub duration: Option<Duration>,
    /// The longest frame, every field at its first value, and where everything is in it.
    #[doc(hidden)]
    pub layout: Template,
    /// The flow where more of it varies than the user wrote: destinations with MAC addresses of
    /// their own.
    #[doc(hidden)]
    pub addressed: Option<Box<Flow>>,
}

impl FlowPlan {
    /// From its beginning to its end, since the start.
    #[doc(hidden)]
    pub fn window(&self) -> (Nanos, Nanos) {
        let begin = Nanos::from(self.delay);
        (begin, self.duration.map_or(Nanos::NEVER, |duration| Nanos::from(duration).after(begin)))
    }
}

impl PortPlan {
    /// Index of the interface that frames leave by; none when they do not.
    pub fn leaves_by(&self) -> Option<u32> {
        match self.action {
            Action::Redirect => Some(self.egress),
            Action::Tx => Some(self.ingress),
            Action::Pass | Action::Drop => None,
        }
    }

    /// How many frames of a flow the worker with this index (not its CPU) sends: shares differ by
    /// one at most and add up exactly.
    pub fn share(&self, flow: &FlowPlan, worker: usize) -> Option<u64> {
        flow.packets.map(|packets| units::share(packets, self.cpus.len() as u64, worker as u64))
    }
}

/// What a user may have to confirm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultRoute {
    /// Interfaces that carry a default route must not send.
    Refuse,
    /// They may: `--allow-default-route`.
    Allow,
}

/// What a user has agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Consent {
    /// Whether interfaces with a default route may send.
    pub default_route: DefaultRoute,
    /// What becomes of XDP programs in the way.
    pub existing: ExistingProgram,
}

impl From<DefaultRoute> for Consent {
    /// And to nothing else.
    fn from(default_route: DefaultRoute) -> Self {
        Self { default_route, existing: ExistingProgram::Keep }
    }
}

/// The names of the interfaces that a plan for `config` wants to know more about
/// ([`Facts::interfaces`]): those that frames leave by, or seem to come from.
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
        troubles: AddressingFaults::default(),
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
