//! The addresses that a user leaves to this host: the source that the kernel uses for a
//! destination, and the MAC address of whoever takes the frames for it. Where destinations vary,
//! each has its own.

use std::{borrow::Cow, collections::BTreeMap, iter, mem::discriminant, net::IpAddr, sync::Arc};

use crate::{
    config::{
        Action, Advance, Config, Diagnostic, FieldSetting, Flow, Follow, Header, Located, Origin,
        Pattern, Port,
    },
    host::{
        Destinations, Egress, Facts, Lookup, Mac, MacSource, NextHop, Reach, Required, Unreachable,
        Vlan, mac_value, show_mac,
    },
    packet::{FieldDef, FieldType, HeaderKind, headers::Addressing},
    plan::{
        stack::{benchmark_addresses, first_value, is_ip},
        unreachable::{AddressingFault, Cure, words},
    },
};

/// Destinations of a flow that are looked up one by one at most.
pub(super) const MAX_DESTINATIONS: u128 = 1 << 16;

/// The same of all flows together, of which many may have the same. Where only the source is sought
/// it is [`MAX_DESTINATIONS`] too, for those flows could be sent without it.
const MAX_LOOKUPS: u128 = 1 << 20;

/// The destinations that a plan for `config` wants to find in [`Facts::reaches`].
pub fn sought(config: &Config) -> Vec<Lookup> {
    let mut found: BTreeMap<(Arc<Egress>, Destinations), Required> = BTreeMap::new();
    let mut lookups = 0;
    // Thousands of flows often leave the same way.
    let mut last: Option<Arc<Egress>> = None;
    for flow in &config.flows {
        let Some(port) = config.ports.iter().find(|port| port.name.value == flow.port.value) else {
            continue;
        };
        let Some(wish) = OpenAddresses::of(port, flow) else { continue };
        let way = last
            .take()
            .filter(|last| **last == wish.way)
            .unwrap_or_else(|| Arc::new(wish.way.clone()));
        let mut seek = |destinations, what| {
            let known = found.entry((Arc::clone(&way), destinations)).or_insert(what);
            *known = what.max(*known);
        };
        let (what, limit) = if wish.next_hop {
            (Required::NextHop, MAX_LOOKUPS)
        } else {
            (Required::Source, MAX_DESTINATIONS)
        };
        match wish.count() {
            Some(count) if lookups + count <= limit => {
                lookups += count;
                wish.destinations()
                    .for_each(|destination| seek(Destinations::one(destination), what));
            }
            _ => {
                seek(Destinations::one(wish.first()), Required::Source);
                seek(wish.row(), what);
            }
        }
        last = Some(way);
    }
    found
        .into_iter()
        .map(|((way, destinations), what)| Lookup { egress: way, destinations, what })
        .collect()
}

/// What this host gives to a flow's outermost headers, the same in every frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HostAddresses {
    /// The source address; when none, one set aside for benchmarks.
    pub(super) source: Option<IpAddr>,
    /// The destination's MAC address; none where the user or a pattern gives it.
    pub(super) mac: Option<Mac>,
}

/// A flow with what this host gives it.
#[derive(Debug)]
pub(super) struct Addressed<'a> {
    /// As the user wrote it; where destinations vary, and with them MAC or source addresses, with
    /// patterns for these.
    pub(super) flow: Cow<'a, Flow>,
    pub(super) given: HostAddresses,
    pub(super) remarks: Vec<(Topic, String)>,
}

/// What a remark is about: it is made once a port, however many flows it is true of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    /// The kernel has no source address, and this one was made up.
    Source(IpAddr),
    /// This next hop takes frames.
    NextHop(Mac, IpAddr),
    /// This flow's destinations vary, and their MAC addresses with them.
    Follows(usize),
    /// This flow's destinations vary, and the kernel's source addresses with them.
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
        flow: Cow::Borrowed(flow),
        given: HostAddresses::default(),
        remarks: Vec::new(),
    };
    if let (Some(ethernet), DestinationMac::Unknown { session }) =
        (flow.packet.first(), DestinationMac::of(&flow.packet))
    {
        return Err(AddressingFault::Own(no_mac(port, ethernet, session)));
    }
    let Some(wish) = OpenAddresses::of(port, flow) else { return Ok(addressed) };
    let way = Arc::new(wish.way.clone());
    let reach = |destinations| facts.reaches.get(&(Arc::clone(&way), destinations));
    let row = wish.row();
    let one_by_one = || -> Option<Vec<(Destinations, &Reach)>> {
        wish.count()?;
        let is_known = |reach: &&Reach| !wish.next_hop || reach.next_hop.is_some();
        let each = wish.destinations().map(Destinations::one);
        each.map(|destination| Some((destination, reach(destination).filter(is_known)?))).collect()
    };
    // Too many for one by one: all at once.
    let found =
        one_by_one().unwrap_or_else(|| reach(row).map(|reach| (row, reach)).into_iter().collect());
    if wish.source {
        wish.give_source(&mut addressed, &found, port, number);
    }
    if !wish.next_hop {
        return Ok(addressed);
    }
    wish.check().map_err(AddressingFault::Own)?;
    if found.is_empty() {
        return Err(AddressingFault::Own(wish.unknown(port)));
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
                    addressed.remarks.push((topic, said(&wish.way, next_hop)));
                }
            }
            Some(Err(why)) => match own_mac(port, facts).filter(|_| *why == Unreachable::Own) {
                // Frames that do not leave go to this machine itself.
                Some(mac) => macs.push(mac),
                None => {
                    count += 1;
                    // Those that were asked before are the ones to put right.
                    if failed
                        .is_none_or(|(known, _)| known.is_not_reached() && !why.is_not_reached())
                    {
                        failed = Some((why, destinations.first));
                    }
                }
            },
            None => return Err(AddressingFault::Own(wish.unknown(port))),
        }
    }
    if let Some((why, destination)) = failed {
        let (message, help) = words(why, destination, cure(wish.ethernet));
        let first = Diagnostic::new(wish.place(port), message).help(help);
        let not_reached = why.is_not_reached();
        return Err(AddressingFault::Unreachable {
            way,
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
            let setting = wish.following(HeaderKind::Ethernet, "dst", values, port);
            let setting = setting.ok_or_else(|| {
                AddressingFault::Own(
                    Diagnostic::new(
                        wish.place(port),
                        "these destinations have MAC addresses of their own, which cannot go along with random values that \
                         have a count",
                    )
                    .help(format!("list the destinations, or remove `count`, or {}", cure(wish.ethernet))),
                )
            })?;
            addressed.remarks.push((
                Topic::Follows(number),
                format!(
                    "the destinations of flow {} have MAC addresses of their own: `ethernet.dst` goes along with `{}.dst`",
                    flow.name.value,
                    wish.header.kind.value.name()
                ),
            ));
            addressed.flow.to_mut().packet[0].fields.push(setting);
        }
    }
    Ok(addressed)
}

/// What a flow leaves to this host.
struct OpenAddresses<'a> {
    way: Egress,
    ethernet: &'a Header,
    /// The header that has the destination, and its place in the packet.
    header: &'a Header,
    layer: usize,
    /// The destination's pattern and its place among the fields; none where it is a default.
    destination: Option<(usize, &'a Located<Pattern>)>,
    next_hop: bool,
    source: bool,
    /// The header's fields for the source and the destination.
    ends: (&'static FieldDef, &'static FieldDef),
    /// The pattern of a VLAN's id or protocol that varies.
    varying_vlan: Option<&'a Origin>,
}

impl<'a> OpenAddresses<'a> {
    /// None where it leaves nothing.
    fn of(port: &Port, flow: &'a Flow) -> Option<Self> {
        let [ethernet, rest @ ..] = flow.packet.as_slice() else { return None };
        if ethernet.kind.value != HeaderKind::Ethernet {
            return None;
        }
        let tags = rest.iter().map_while(|header| match header.kind.value.def().addressing {
            Addressing::Tag { protocol, id } => Some((header, protocol, id)),
            Addressing::Link
            | Addressing::NextHop
            | Addressing::Session
            | Addressing::Everybody => None,
        });
        let (mut vlans, mut varying_vlan) = (Vec::new(), None);
        for (tag, protocol, id) in tags.clone() {
            let setting = |name| tag.fields.iter().find(|setting| setting.field.name == name);
            let (tpid, id) = (setting(protocol), setting(id));
            let varies = |setting: &&FieldSetting| setting.pattern.value.value_count() != 1;
            if let Some(setting) = [id, tpid].into_iter().flatten().find(varies) {
                varying_vlan = varying_vlan.or(Some(&setting.pattern.place));
            }
            let number = |setting: &FieldSetting| u16::try_from(setting.pattern.value.first()).ok();
            if let (Some(id), None) = (id.and_then(number), varying_vlan) {
                vlans.push(Vlan { tpid: tpid.and_then(number).unwrap_or(Vlan::CUSTOMER), id });
            }
        }
        // What has a destination without an IP header comes right behind the tags, like ARP.
        let layer = flow.packet.iter().position(is_ip).unwrap_or(1 + tags.count());
        let header = flow.packet.get(layer)?;
        let ends @ (source, destination) = header.kind.value.def().ends()?;
        let destination = header
            .fields
            .iter()
            .enumerate()
            .find(|(_, setting)| setting.field.name == destination.name);
        let next_hop = matches!(DestinationMac::of(&flow.packet), DestinationMac::NextHop);
        let source = first_value(header, &source.name).is_none();
        let interface = match port.action.value {
            Action::Tx => port.ingress.as_ref().unwrap_or(&port.interface),
            Action::Redirect | Action::Pass | Action::Drop => &port.interface,
        };
        (next_hop || source).then(|| Self {
            way: Egress { interface: interface.value.clone(), vlans },
            ethernet,
            header,
            layer,
            destination: destination.map(|(index, setting)| (index, &setting.pattern)),
            next_hop,
            source,
            ends,
            varying_vlan,
        })
    }

    fn address(&self, value: u128) -> IpAddr {
        let (_, destination) = self.ends;
        match (destination.kind, u32::try_from(value)) {
            (FieldType::Ipv4, Ok(bits)) => IpAddr::V4(bits.into()),
            (FieldType::Ipv4 | FieldType::Ipv6 | FieldType::Mac | FieldType::Number, _) => {
                IpAddr::V6(value.into())
            }
        }
    }

    fn first(&self) -> IpAddr {
        self.destination.map_or_else(
            || benchmark_addresses(self.header.kind.value).1,
            |(_, pattern)| self.address(pattern.value.first()),
        )
    }

    /// All destinations and all that is between them.
    fn row(&self) -> Destinations {
        let (first, last) = match self.destination.map(|(_, pattern)| &pattern.value) {
            None => return Destinations::one(self.first()),
            Some(Pattern::Value(value)) => (*value, *value),
            Some(Pattern::Values(values)) => {
                let values = || values.iter().map(|value| value.value);
                (values().min().unwrap_or(0), values().max().unwrap_or(0))
            }
            Some(Pattern::Increment(count)) => {
                (count.start, count.start + count.step * u128::from(count.count - 1))
            }
            Some(Pattern::Decrement(count)) => {
                (count.start - count.step * u128::from(count.count - 1), count.start)
            }
            Some(&Pattern::Random { min, max, .. }) => (min, max),
        };
        Destinations { first: self.address(first), last: self.address(last) }
    }

    /// How many destinations; none when they are too many to look up one by one.
    fn count(&self) -> Option<u128> {
        let count = match self.destination.map(|(_, pattern)| &pattern.value) {
            Some(Pattern::Random { min, max, .. }) => (max - min).checked_add(1)?,
            Some(pattern) => pattern.value_count(),
            None => 1,
        };
        (count <= MAX_DESTINATIONS).then_some(count)
    }

    /// In the order of the pattern's values; of random ones that of their numbers.
    fn destinations(&self) -> impl Iterator<Item = IpAddr> {
        let values: Box<dyn Iterator<Item = u128> + '_> =
            match self.destination.map(|(_, pattern)| &pattern.value) {
                None => Box::new(iter::once(ip_value(self.first()))),
                Some(Pattern::Value(value)) => Box::new(iter::once(*value)),
                Some(Pattern::Values(values)) => Box::new(values.iter().map(|value| value.value)),
                Some(Pattern::Increment(count)) => Box::new(
                    (0..u128::from(count.count)).map(|index| count.start + index * count.step),
                ),
                Some(Pattern::Decrement(count)) => Box::new(
                    (0..u128::from(count.count)).map(|index| count.start - index * count.step),
                ),
                Some(&Pattern::Random { min, max, .. }) => Box::new(min..=max),
            };
        values.map(|value| self.address(value))
    }

    fn place(&self, port: &'a Port) -> &'a Origin {
        place(port, self.ethernet, self.destination.map(|(_, pattern)| &pattern.place))
    }

    /// Whether the next hop can be looked up at all.
    fn check(&self) -> Result<(), Diagnostic> {
        if let Some(place) = self.varying_vlan {
            return Err(Diagnostic::new(
                place,
                "this VLAN varies, and with it who takes the frames",
            )
            .help(cure(self.ethernet).to_string()));
        }
        Ok(())
    }

    fn unknown(&self, port: &Port) -> Diagnostic {
        Diagnostic::new(
            self.place(port),
            format!("who takes the frames for {} is not known", self.first()),
        )
        .help(cure(self.ethernet).to_string())
    }

    /// A field that goes along with the destinations in step: value by value. None where it cannot.
    fn following(
        &self,
        kind: HeaderKind,
        name: &str,
        values: impl Iterator<Item = u128>,
        port: &Port,
    ) -> Option<FieldSetting> {
        let place = self.place(port);
        let (field, pattern) = self.destination?;
        if let Pattern::Random { count: Some(_), .. } = pattern.value {
            return None;
        }
        let values = values.map(|value| Located::new(value, place.clone())).collect();
        let follow = Follow { header: self.layer, field, advance: Advance::Step };
        Some(FieldSetting {
            field: kind.field(name)?.clone(),
            pattern: Located::new(Pattern::Values(values), place.clone()),
            follow: Some(Located::new(follow, place.clone())),
        })
    }

    /// The kernel's source address; where it has several for these destinations, they go along with
    /// them if they can.
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
        // Where nobody wrote the destination either, both are those set aside for benchmarks, as
        // documented.
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
            (Topic::Sources(number), format!("flow {}: {sentence}", addressed.flow.name.value))
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
            addressed.flow.to_mut().packet[self.layer].fields.push(setting);
        }
    }

    fn made_up_source(&self, made_up: IpAddr, destination: IpAddr) -> (Topic, String) {
        let standard = if made_up.is_ipv4() { "RFC 2544" } else { "RFC 5180" };
        let sentence = format!(
            "the kernel has no source address for {destination} out of {}, so frames come from {made_up}, set aside for \
             benchmarks ({standard})",
            self.way.interface
        );
        (Topic::Source(made_up), sentence)
    }
}

/// The MAC address of the interface that frames seem to come in on, when they stay on this machine.
fn own_mac(port: &Port, facts: &Facts) -> Option<Mac> {
    match port.action.value {
        Action::Pass | Action::Drop => {
            facts.link(&port.ingress.as_ref().unwrap_or(&port.interface).value)?.mac
        }
        Action::Redirect | Action::Tx => None,
    }
}

fn said(way: &Egress, next_hop: &NextHop) -> String {
    let NextHop { interface, neighbour, mac, by } = next_hop;
    let mac = show_mac(*mac);
    match by {
        MacSource::Neighbour => {
            let of_vlan = if **interface == *way.interface {
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

/// How to do without a next hop.
fn cure(ethernet: &Header) -> Cure {
    if ethernet.kind.place == Origin::Default { Cure::Option } else { Cure::Header }
}

/// Where the user can do something about it.
fn place<'a>(port: &'a Port, ethernet: &'a Header, destination: Option<&'a Origin>) -> &'a Origin {
    match (cure(ethernet), destination) {
        (Cure::Header, _) => &ethernet.kind.place,
        (Cure::Option, Some(destination)) => destination,
        (Cure::Option, None) => &port.interface.place,
    }
}

fn ip_value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// Where a frame's destination MAC address comes from.
enum DestinationMac<'a> {
    /// The user says it, everybody takes the frame, or no Ethernet header is first.
    Given,
    /// It is that of the next hop to the outermost IP destination.
    NextHop,
    /// Only the user can say it: no header has a destination, or it is behind this one.
    Unknown { session: Option<&'a Header> },
}

impl<'a> DestinationMac<'a> {
    fn of(packet: &'a [Header]) -> Self {
        let [ethernet, rest @ ..] = packet else { return Self::Given };
        if ethernet.kind.value != HeaderKind::Ethernet || first_value(ethernet, "dst").is_some() {
            return Self::Given;
        }
        let addressing = |header: &Header| header.kind.value.def().addressing;
        let network = rest.iter().map(addressing).find(|found| !found.is_link());
        if network == Some(Addressing::Everybody) {
            return Self::Given;
        }
        let is_session = |header: &Header| addressing(header) == Addressing::Session;
        match rest.iter().find(|header| is_ip(header) || is_session(header)) {
            Some(header) if is_session(header) => Self::Unknown { session: Some(header) },
            Some(_) => Self::NextHop,
            None => Self::Unknown { session: None },
        }
    }
}

fn no_mac(port: &Port, ethernet: &Header, session: Option<&Header>) -> Diagnostic {
    let (message, help) = ("this frame has no destination MAC address", cure(ethernet));
    match session.map(|header| header.kind.value.name()) {
        None => Diagnostic::new(place(port, ethernet, None), message).help(help.to_string()),
        Some(name) => Diagnostic::new(
            place(port, ethernet, None),
            format!("{message}, and no address behind `{name}` tells it"),
        )
        .help(format!("{help}: the MAC address of the session's other end")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        config::{Source, file},
        plan::tests::{facts, planned},
        plan::{DefaultRoute, Plan},
    };

    const PORT: &str = "interface = 'veth0'";

    /// A machine where these destinations are at these MAC addresses, given by their last bytes.
    fn machine(hosts: &[(&str, u8)]) -> Facts {
        let way = Arc::new(Egress { interface: "veth0".to_owned(), vlans: Vec::new() });
        let reach = |last| Reach {
            source: Some("192.0.2.1".parse().unwrap()),
            other_source: None,
            next_hop: Some(Ok(NextHop {
                interface: "veth0".into(),
                neighbour: "192.0.2.254".parse().unwrap(),
                mac: [2, 0, 0, 0, 0, last],
                by: MacSource::Neighbour,
            })),
        };
        let one = |host: &str| Destinations::one(host.parse().unwrap());
        let reaches =
            hosts.iter().map(|&(host, last)| ((Arc::clone(&way), one(host)), reach(last)));
        Facts { reaches: reaches.collect(), ..facts() }
    }

    fn packet(ethernet: &str, ip: &str) -> String {
        format!(
            "packet = [{{ ethernet = {{ {ethernet} }} }}, {{ ipv4 = {{ {ip} }} }}, {{ udp = {{}} }}]"
        )
    }

    fn plan(flow: &str, hosts: &[(&str, u8)]) -> Result<Plan, String> {
        planned(PORT, flow, &machine(hosts), DefaultRoute::Refuse)
            .map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn a_single_next_hop_is_the_same_in_every_frame() {
        let flow = packet("", "dst = { increment = { start = '192.0.2.2', count = 2 } }");
        let plan = plan(&flow, &[("192.0.2.2", 7), ("192.0.2.3", 7)]).unwrap();
        let flow = &plan.ports[0].flows[0];
        assert!(flow.addressed.is_none(), "{flow:?}");
        assert_eq!(flow.layout.bytes[..6], [2, 0, 0, 0, 0, 7]);
        assert_eq!(
            plan.notes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            [
                "port p: destination MAC 02:00:00:00:00:07 is that of 192.0.2.254 in the neighbour table"
            ]
        );
    }

    #[test]
    fn several_next_hops_go_along_with_the_destinations() {
        let hosts = [("192.0.2.2", 7), ("192.0.2.3", 8), ("192.0.2.4", 7)];
        for ip in [
            "dst = { increment = { start = '192.0.2.2', count = 3 } }",
            "dst = ['192.0.2.2', '192.0.2.3', '192.0.2.4']",
            "dst = { random = { min = '192.0.2.2', max = '192.0.2.4' } }",
        ] {
            let plan = plan(&packet("", ip), &hosts).unwrap();
            let flow = plan.ports[0].flows[0].addressed.as_ref().expect("a pattern");
            let setting = flow.packet[0].fields.last().unwrap();
            let Pattern::Values(values) = &setting.pattern.value else { panic!("{setting:?}") };
            let values: Vec<u128> = values.iter().map(|value| value.value).collect();
            assert_eq!(values, [7, 8, 7].map(|last| mac_value([2, 0, 0, 0, 0, last])), "{ip}");
            assert_eq!(
                setting.follow.as_ref().unwrap().value,
                Follow { header: 1, field: 0, advance: Advance::Step }
            );
        }
        let counted = plan(
            &packet("", "dst = { random = { min = '192.0.2.2', max = '192.0.2.4', count = 9 } }"),
            &hosts,
        );
        assert!(
            counted.unwrap_err().contains("cannot go along with random values that have a count")
        );
    }

    #[test]
    fn several_sources_go_along_with_the_destinations() {
        let source = |last: u8| IpAddr::from([192, 0, 2, last]);
        let way = Arc::new(Egress { interface: "veth0".to_owned(), vlans: Vec::new() });
        let mut machine = machine(&[("192.0.2.2", 7), ("192.0.2.3", 7)]);
        let second = Destinations::one(source(3));
        machine.reaches.get_mut(&(Arc::clone(&way), second)).unwrap().source = Some(source(200));
        let notes = |plan: &Plan| plan.notes.iter().map(ToString::to_string).collect::<Vec<_>>();
        let planned = |ip: &str| {
            let flow = packet("dst = '02:00:00:00:00:02'", ip);
            planned(PORT, &flow, &machine, DefaultRoute::Refuse)
                .unwrap_or_else(|wrong| panic!("{wrong}"))
        };
        for ip in [
            "dst = ['192.0.2.2', '192.0.2.3']",
            "dst = { random = { min = '192.0.2.2', max = '192.0.2.3' } }",
        ] {
            let plan = planned(ip);
            let flow = plan.ports[0].flows[0].addressed.as_ref().expect("a pattern");
            let setting = flow.packet[1].fields.last().unwrap();
            let Pattern::Values(values) = &setting.pattern.value else { panic!("{setting:?}") };
            let values: Vec<u128> = values.iter().map(|value| value.value).collect();
            assert_eq!(
                (setting.field.name.as_ref(), values),
                ("src", vec![0xc000_0201, 0xc000_02c8]),
                "{ip}"
            );
            assert_eq!(
                setting.follow.as_ref().unwrap().value,
                Follow { header: 1, field: 0, advance: Advance::Step }
            );
            let said = "port p: flow f: the kernel has several source addresses for its destinations: `ipv4.src` goes along \
                        with `ipv4.dst`";
            assert_eq!(notes(&plan), [said]);
        }
        let plan =
            planned("dst = { random = { min = '192.0.2.2', max = '192.0.2.3', count = 9 } }");
        let said = "port p: flow f: all frames come from 192.0.2.1, though the kernel's source address for 192.0.2.3 is \
                    192.0.2.200: list the destinations, or write `src`";
        assert!(plan.ports[0].flows[0].addressed.is_none());
        assert_eq!(notes(&plan), [said]);
        // What the user wrote stays.
        assert!(planned("src = '192.0.2.9', dst = ['192.0.2.2', '192.0.2.3']").notes.is_empty());
    }

    #[test]
    fn what_cannot_be_looked_up_is_told() {
        #[track_caller]
        fn check(flow: &str, expected: &str) {
            let said = plan(flow, &[("10.0.0.0", 7), ("192.0.2.2", 7)]).unwrap_err();
            assert!(said.contains(expected), "{said}");
        }
        check(&packet("", "dst = '192.0.2.3'"), "who takes the frames for 192.0.2.3 is not known");
        let tagged =
            packet("", "dst = '192.0.2.2'").replace("{ ipv4", "{ vlan = { id = [5, 6] } }, { ipv4");
        check(&tagged, "this VLAN varies");
        // With a MAC address there is nothing to look up.
        let tagged = tagged.replace("ethernet = {  }", "ethernet = { dst = '02:00:00:00:00:02' }");
        assert!(plan(&tagged, &[]).is_ok(), "{tagged}");
    }

    /// A session's frames go to its other end, wherever the destination of the packets in it is.
    #[test]
    fn a_session_needs_a_mac_address() {
        let behind = |headers: &str, mac: &str| {
            packet(mac, "dst = '192.0.2.2'").replace("{ ipv4", &format!("{headers}, {{ ipv4"))
        };
        let machine = [("192.0.2.2", 7)];
        for session in
            ["{ pppoe = {} }", "{ vlan = {} }, { pppoe = {} }", "{ pppoe = {} }, { mpls = {} }"]
        {
            let said = plan(&behind(session, ""), &machine).unwrap_err();
            assert!(said.contains("no address behind `pppoe` tells it"), "{said}");
            assert!(said.contains("write `dst` in the ethernet header: the MAC"), "{said}");
            let mac = "dst = '02:00:00:00:00:02'";
            let said = plan(&behind(session, mac), &machine).err();
            assert_eq!(said, None, "{session}");
        }
        // Labels lead to the next hop that the destination has without them.
        let plan = plan(&behind("{ mpls = {} }", ""), &machine).unwrap();
        assert_eq!(plan.ports[0].flows[0].layout.bytes[..6], [2, 0, 0, 0, 0, 7]);
    }

    /// Frames that leave do not reach their own machine; those that stay are for nobody else.
    #[test]
    fn frames_that_stay_are_for_this_machine() {
        let mut machine = machine(&[("192.0.2.1", 7)]);
        machine.reaches.values_mut().for_each(|reach| reach.next_hop = Some(Err(Unreachable::Own)));
        let planned = |action: &str| {
            let port = format!("{PORT}\naction = '{action}'");
            planned(&port, &packet("", "dst = '192.0.2.1'"), &machine, DefaultRoute::Refuse)
        };
        let own_mac = machine.link("veth0").unwrap().mac.unwrap();
        for action in ["pass", "drop"] {
            let plan = planned(action).unwrap_or_else(|wrong| panic!("{wrong}"));
            assert_eq!(plan.ports[0].flows[0].layout.bytes[..6], own_mac, "{action}");
        }
        let said = planned("redirect").unwrap_err().to_string();
        assert!(said.contains("192.0.2.1 is an address of this machine"), "{said}");
    }

    #[test]
    fn what_is_sought_is_what_is_not_written() {
        #[track_caller]
        fn check(flow: &str, expected: &[(&str, &str, Required)]) {
            let text = format!(
                "[[ports]]\nname = 'p'\n{PORT}\n[[flows]]\nname = 'f'\nport = 'p'\n{flow}\n"
            );
            let config = file::parse(Source::file("test.toml", &text))
                .unwrap_or_else(|wrong| panic!("{wrong}"));
            let found: Vec<_> = sought(&config)
                .into_iter()
                .map(|sought| (sought.destinations, sought.what))
                .collect();
            let expected: Vec<_> = expected
                .iter()
                .map(|(first, last, what)| {
                    (
                        Destinations { first: first.parse().unwrap(), last: last.parse().unwrap() },
                        *what,
                    )
                })
                .collect();
            assert_eq!(found, expected);
        }
        let mac = "dst = '02:00:00:00:00:02'";
        check(&packet("", "dst = '192.0.2.2'"), &[("192.0.2.2", "192.0.2.2", Required::NextHop)]);
        check(
            &packet("", "dst = '192.0.2.2', src = '192.0.2.1'"),
            &[("192.0.2.2", "192.0.2.2", Required::NextHop)],
        );
        // Each may have a source of its own.
        check(
            &packet(mac, "dst = ['192.0.2.2', '192.0.2.3']"),
            &[
                ("192.0.2.2", "192.0.2.2", Required::Source),
                ("192.0.2.3", "192.0.2.3", Required::Source),
            ],
        );
        let many = packet(mac, "dst = { random = { min = '10.0.0.0', max = '10.255.255.255' } }");
        check(
            &many,
            &[
                ("10.0.0.0", "10.0.0.0", Required::Source),
                ("10.0.0.0", "10.255.255.255", Required::Source),
            ],
        );
        check(&packet(mac, "dst = '192.0.2.2', src = '192.0.2.1'"), &[]);
        check(&packet("", ""), &[("198.19.0.1", "198.19.0.1", Required::NextHop)]);
        let decrement =
            packet("", "dst = { decrement = { start = '192.0.2.9', step = 4, count = 2 } }");
        check(
            &decrement,
            &[
                ("192.0.2.5", "192.0.2.5", Required::NextHop),
                ("192.0.2.9", "192.0.2.9", Required::NextHop),
            ],
        );
        // Too many for one by one.
        let many =
            packet("", "dst = { increment = { start = '10.0.0.0', step = 2, count = 100000 } }");
        check(
            &many,
            &[
                ("10.0.0.0", "10.0.0.0", Required::Source),
                ("10.0.0.0", "10.3.13.62", Required::NextHop),
            ],
        );
        check(
            &packet("", "dst = '192.0.2.2'").replace("{ ipv4", "{ pppoe = {} }, { ipv4"),
            &[("192.0.2.2", "192.0.2.2", Required::Source)],
        );
        let arp = "packet = [{ ethernet = {} }, { arp = { target_protocol_addr = '192.0.2.2' } }]";
        check(arp, &[("192.0.2.2", "192.0.2.2", Required::Source)]);
    }
}
