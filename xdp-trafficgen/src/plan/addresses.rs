//! The addresses that a user leaves to this host: the source that the kernel uses for a
//! destination, and the MAC address of the next hop. Where destinations vary, each has its own.

mod destination_mac;
mod lookups;
mod open;
#[cfg(test)]
mod tests;

use std::{mem::discriminant, net::IpAddr, sync::Arc};

pub use self::lookups::sought;
use self::{
    destination_mac::{DestinationMac, cure, no_mac},
    open::{OpenAddresses, ip_value},
};
use crate::{
    config::{Action, Diagnostic, FieldSetting, Flow, Port},
    host::{
        Destinations, Egress, Facts, Mac, MacSource, NextHop, Reach, Unreachable, mac_value,
        show_mac,
    },
    packet::HeaderKind,
    plan::{
        stack::{HostAddresses, benchmark_addresses},
        unreachable::{AddressingFault, explain},
    },
};

/// A flow with what this host gives it.
#[derive(Debug)]
pub(super) struct Addressed<'a> {
    /// The flow as the user wrote it.
    written: &'a Flow,
    /// The flow with patterns of this host besides, where MAC or source addresses vary with the
    /// destinations.
    pub(super) varied: Option<Box<Flow>>,
    pub(super) given: HostAddresses,
    pub(super) remarks: Vec<(Topic, String)>,
}

impl Addressed<'_> {
    /// The flow that is sent.
    pub(super) fn flow(&self) -> &Flow {
        self.varied.as_deref().unwrap_or(self.written)
    }

    /// Adds a pattern of this host to a header.
    fn vary(&mut self, header: usize, setting: FieldSetting) {
        let varied = self.varied.get_or_insert_with(|| Box::new(self.written.clone()));
        varied.packet[header].fields.push(setting);
    }
}

/// What a remark is about. A port makes each remark once, however many of its flows share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// The kernel has no source address, so frames have this one, set aside for benchmarks.
    Source(IpAddr),
    /// This next hop takes frames.
    NextHop(Mac, IpAddr),
    /// This flow's MAC addresses follow its destinations.
    Follows(usize),
    /// This flow's source addresses follow its destinations.
    Sources(usize),
}

/// Fills in what `flow` leaves to this host. `number` is its place among all flows.
pub(super) fn addressed<'a>(
    port: &Port,
    flow: &'a Flow,
    number: usize,
    facts: &Facts,
) -> Result<Addressed<'a>, AddressingFault> {
    let mut addressed = Addressed {
        written: flow,
        varied: None,
        given: HostAddresses::default(),
        remarks: Vec::new(),
    };
    if let (Some(ethernet), DestinationMac::Unknown { session }) =
        (flow.packet.first(), DestinationMac::of(&flow.packet))
    {
        return Err(AddressingFault::Own(no_mac(port, ethernet, session)));
    }
    let Some(open) = OpenAddresses::of(port, flow) else { return Ok(addressed) };
    let egress = Arc::new(open.egress.clone());
    let reach = |destinations| facts.reaches.get(&(Arc::clone(&egress), destinations));
    let row = open.row();
    let one_by_one = || -> Option<Vec<(Destinations, &Reach)>> {
        open.count()?;
        let is_known = |reach: &&Reach| !open.next_hop || reach.next_hop.is_some();
        let each = open.destinations().map(Destinations::one);
        each.map(|destination| Some((destination, reach(destination).filter(is_known)?))).collect()
    };
    // Destinations that are too many for single lookups have one lookup together.
    let found =
        one_by_one().unwrap_or_else(|| reach(row).map(|reach| (row, reach)).into_iter().collect());
    if open.source {
        open.give_source(&mut addressed, &found, port, number);
    }
    if !open.next_hop {
        return Ok(addressed);
    }
    open.check().map_err(AddressingFault::Own)?;
    if found.is_empty() {
        return Err(AddressingFault::Own(open.unknown(port)));
    }
    let mut macs = Vec::new();
    let mut failed: Option<(&Unreachable, IpAddr)> = None;
    let mut count = 0;
    for (destinations, reach) in found {
        match &reach.next_hop {
            Some(Ok(next_hop)) => {
                macs.push(next_hop.mac);
                let topic = Topic::NextHop(next_hop.mac, next_hop.neighbour);
                if addressed.remarks.last().is_none_or(|(last, _)| *last != topic) {
                    addressed.remarks.push((topic, next_hop_remark(&open.egress, next_hop)));
                }
            }
            Some(Err(why)) => match own_mac(port, facts).filter(|_| *why == Unreachable::Own) {
                // Frames that stay on this machine are for it.
                Some(mac) => macs.push(mac),
                None => {
                    count += 1;
                    // The user can put right a neighbour that was asked, so the first such failure
                    // is reported.
                    if failed
                        .is_none_or(|(known, _)| known.is_not_reached() && !why.is_not_reached())
                    {
                        failed = Some((why, destinations.first));
                    }
                }
            },
            None => return Err(AddressingFault::Own(open.unknown(port))),
        }
    }
    if let Some((why, destination)) = failed {
        let (message, help) = explain(why, destination, cure(open.ethernet));
        let first = Diagnostic::new(open.origin(port), message).help(help);
        let not_reached = why.is_not_reached();
        return Err(AddressingFault::Unreachable {
            egress,
            why: discriminant(why),
            first,
            count,
            not_reached,
        });
    }
    match macs.first() {
        Some(&mac) if macs.iter().all(|other| *other == mac) => addressed.given.mac = Some(mac),
        _ => {
            let values = macs.into_iter().map(mac_value);
            let setting = open.following(HeaderKind::Ethernet, "dst", values, port);
            let setting = setting.ok_or_else(|| {
                AddressingFault::Own(
                    Diagnostic::new(
                        open.origin(port),
                        "these destinations have MAC addresses of their own, which cannot go along with random values that \
                         have a count",
                    )
                    .help(format!("list the destinations, or remove `count`, or {}", cure(open.ethernet))),
                )
            })?;
            addressed.remarks.push((
                Topic::Follows(number),
                format!(
                    "the destinations of flow {} have MAC addresses of their own: `ethernet.dst` goes along with `{}.dst`",
                    flow.name.value,
                    open.header.kind.value.name()
                ),
            ));
            addressed.vary(0, setting);
        }
    }
    Ok(addressed)
}

impl OpenAddresses<'_> {
    /// Fills in the kernel's source address. Where the kernel has several for these destinations, a
    /// pattern follows them if possible.
    fn give_source(
        &self,
        addressed: &mut Addressed<'_>,
        found: &[(Destinations, &Reach)],
        port: &Port,
        number: usize,
    ) {
        let (made_up, _) = benchmark_addresses(self.header.kind.value);
        let first = found.first().and_then(|(_, reach)| reach.source);
        addressed.given.source = first;
        // Where the user wrote no destination either, both addresses are documented as those set
        // aside for benchmarks.
        if self.destination.is_some() {
            let without = found.iter().find(|(_, reach)| reach.source.is_none());
            let without = without
                .map(|(destinations, _)| destinations.first)
                .or(found.is_empty().then(|| self.first()));
            addressed
                .remarks
                .extend(without.map(|destination| self.made_up_source(made_up, destination)));
        }
        let (source, destination) = (&self.ends.0.name, &self.ends.1.name);
        let kind = self.header.kind.value.name();
        let about = |sentence: String| {
            (Topic::Sources(number), format!("flow {}: {sentence}", addressed.flow().name.value))
        };
        let other = found.iter().find_map(|(destinations, reach)| {
            let own = (destinations.first, reach.source.unwrap_or(made_up));
            reach.other_source.or(Some(own).filter(|_| reach.source != first))
        });
        let Some((elsewhere, other)) = other else { return };
        let values = found.iter().map(|(_, reach)| ip_value(reach.source.unwrap_or(made_up)));
        let one_by_one = found.len() > 1;
        let setting = one_by_one
            .then(|| self.following(self.header.kind.value, source, values, port))
            .flatten();
        let remark = match &setting {
            Some(_) => about(format!(
                "the kernel has several source addresses for its destinations: `{kind}.{source}` goes along with \
                 `{kind}.{destination}`"
            )),
            None => about(format!(
                "all frames come from {}, though the kernel's source address for {elsewhere} is {other}: list the destinations, \
                 or write `{source}`",
                first.unwrap_or(made_up)
            )),
        };
        addressed.remarks.push(remark);
        if let Some(setting) = setting {
            addressed.vary(self.layer, setting);
        }
    }

    fn made_up_source(&self, made_up: IpAddr, destination: IpAddr) -> (Topic, String) {
        let standard = if made_up.is_ipv4() { "RFC 2544" } else { "RFC 5180" };
        let sentence = format!(
            "the kernel has no source address for {destination} out of {}, so frames come from {made_up}, set aside for \
             benchmarks ({standard})",
            self.egress.interface
        );
        (Topic::Source(made_up), sentence)
    }
}

/// The MAC address of the interface that frames seem to arrive on, when they stay on this machine.
fn own_mac(port: &Port, facts: &Facts) -> Option<Mac> {
    match port.action.value {
        Action::Pass | Action::Drop => {
            facts.link(&port.ingress.as_ref().unwrap_or(&port.interface).value)?.mac
        }
        Action::Redirect | Action::Tx => None,
    }
}

fn next_hop_remark(egress: &Egress, next_hop: &NextHop) -> String {
    let NextHop { interface, neighbour, mac, by } = next_hop;
    let mac = show_mac(*mac);
    match by {
        MacSource::Neighbour => {
            let of_vlan = if **interface == *egress.interface {
                String::new()
            } else {
                format!(" of {interface}")
            };
            format!("destination MAC {mac} is that of {neighbour} in the neighbour table{of_vlan}")
        }
        MacSource::Group => format!("destination MAC {mac} is that of the group {neighbour}"),
        MacSource::Broadcast => {
            format!("destination MAC {mac} is everybody's, for {neighbour} is a broadcast")
        }
    }
}
