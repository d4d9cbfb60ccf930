//! What was written of the ports and flows that a plan sends.

use crate::{
    config::{Config, Flow, Profile},
    packet::Template,
    plan::PortPlan,
};

/// The flows of a port as they are sent, in the order of the plan's.
pub(super) fn flows_of<'a>(
    config: &'a Config,
    port: &'a PortPlan,
) -> impl Iterator<Item = &'a Flow> {
    let written = config.flows.iter().filter(|flow| flow.port.value == port.name);
    written.zip(&port.flows).map(|(flow, planned)| planned.addressed.as_deref().unwrap_or(flow))
}

/// The rate of a port, which all of its flows share; none when they have their own, or none.
pub(super) fn rate_of<'a>(config: &'a Config, port: &PortPlan) -> Option<&'a Profile> {
    let port = config.ports.iter().find(|known| known.name.value == port.name)?;
    port.rate.as_ref().map(|rate| &rate.value)
}

/// Where everything is in the frames of a port's flow with this index.
pub(super) fn layout(port: &PortPlan, flow: usize) -> &Template {
    &port.flows[flow].layout
}
