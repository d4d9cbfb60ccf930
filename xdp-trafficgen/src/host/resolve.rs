//! From destinations to next hops and source addresses: the kernel's routes first, its neighbours then, all of those that it
//! must ask for at the same time.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    io,
    net::IpAddr,
    sync::Arc,
};

use rtnetlink::packet_route::{
    link::{InfoData, InfoKind, InfoVlan, LinkAttribute, LinkFlags, LinkInfo, LinkMessage},
    route::RouteType,
};
use tokio_util::sync::CancellationToken;

use crate::host::{
    Destinations, Egress, Link, Mac, NextHop, Reach, Unreachable, Vlan,
    neighbours::{self, Answer, Neighbour},
    reach::{BROADCAST_MAC, Lookup, MacSource, Required, group_mac},
    routes::{Route, Routes, number},
};

/// What was found out, by way and destination.
pub(super) type Reaches = BTreeMap<(Arc<Egress>, Destinations), Reach>;

/// Asks the kernel about all of these, in the calling thread's network namespace. `messages`: what rtnetlink says of its
/// interfaces, and `links` the same in our words. Blocks for as long as a neighbour takes to answer, a few seconds at most
/// when one does not, and no longer than until `stop`; then there is no result. Ways by interfaces that are not there or down
/// are left out.
///
/// # Errors
/// When the kernel does not answer.
pub(super) fn reaches(
    stop: &CancellationToken,
    sought: &[Lookup],
    messages: &[LinkMessage],
    links: &[Link],
) -> io::Result<Option<Reaches>> {
    if sought.is_empty() {
        return Ok(Some(Reaches::new()));
    }
    let routes = Routes::open()?;
    let mut resolver = Resolver { addresses: routes.addresses()?, routes, links, known: BTreeMap::new() };
    let mut exits: BTreeMap<&Egress, Option<EgressInterface>> = BTreeMap::new();
    let mut reaches = Reaches::new();
    let mut found: Vec<(&Lookup, Arc<str>, RouteAnswer)> = Vec::new();
    for one in sought {
        if stop.is_cancelled() {
            return Ok(None);
        }
        let exit = exits.entry(&one.way).or_insert_with(|| EgressInterface::of(&one.way, messages, links));
        if let Some(exit) = exit {
            found.push((one, Arc::clone(&exit.name), resolver.find(one, exit)?));
        }
    }
    // Many destinations are often behind the same gateway.
    let to_ask = found.iter().flat_map(|(.., found)| &found.hops).filter_map(|hop| match hop {
        Hop::Ask(neighbour) => Some(*neighbour),
        Hop::Known(_) => None,
    });
    let Some(answers) = neighbours::ask(stop, &resolver.routes.socket, &to_ask.collect())? else { return Ok(None) };
    for (one, interface, RouteAnswer { source, other_source, hops }) in found {
        let next_hop = together(hops.into_iter().map(|hop| answered(hop, &interface, &answers)));
        reaches.insert((Arc::clone(&one.way), one.destinations), Reach { source, other_source, next_hop });
    }
    Ok(Some(reaches))
}

fn answered(hop: Hop, interface: &Arc<str>, answers: &BTreeMap<Neighbour, Answer>) -> Result<NextHop, Unreachable> {
    let key = match hop {
        Hop::Known(next_hop) => return next_hop,
        Hop::Ask(key) => key,
    };
    let (interface, neighbour) = (Arc::clone(interface), key.1);
    match answers.get(&key) {
        Some(Answer::Mac(mac)) => Ok(NextHop { interface, neighbour, mac: *mac, by: MacSource::Neighbour }),
        Some(&Answer::Silent { requests, waited }) => {
            Err(Unreachable::Silent { interface, neighbour, requests, waited })
        }
        Some(&Answer::MayNotAsk(errno)) => Err(Unreachable::MayNotAsk { interface, neighbour, errno }),
        Some(Answer::NotAsked) | None => Err(Unreachable::NotReached { neighbour }),
    }
}

/// The next hop of all of them; none where there is none to say anything of.
fn together(next_hops: impl Iterator<Item = Result<NextHop, Unreachable>>) -> Option<Result<NextHop, Unreachable>> {
    let mut common: Option<NextHop> = None;
    for next_hop in next_hops {
        match (next_hop, &common) {
            (Err(unreachable), _) => return Some(Err(unreachable)),
            (Ok(next_hop), Some(known)) if next_hop.mac != known.mac => {
                return Some(Err(Unreachable::Several(known.neighbour, next_hop.neighbour)));
            }
            (Ok(_), Some(_)) => {}
            (Ok(next_hop), None) => common = Some(next_hop),
        }
    }
    common.map(Ok)
}

/// The interface whose routes and neighbours are those of a way.
struct EgressInterface {
    index: u32,
    name: Arc<str>,
    carrier: bool,
    /// Why it cannot be the one that frames need: the VLAN has none.
    lacking: Option<Unreachable>,
}

impl EgressInterface {
    /// None when the way's interface is not there, or down.
    fn of(way: &Egress, messages: &[LinkMessage], links: &[Link]) -> Option<Self> {
        let link = links.iter().find(|link| link.answers_to(&way.interface))?;
        let up = |message: &LinkMessage| message.header.flags.contains(LinkFlags::Up);
        let mut message = messages.iter().find(|message| message.header.index == link.index)?;
        if !up(message) {
            return None;
        }
        let mut lacking = None;
        // A tag of VLAN 0 only has a priority (IEEE 802.1Q clause 6.9).
        for &vlan in way.vlans.iter().filter(|vlan| vlan.id != 0) {
            match messages.iter().find(|above| is_vlan(above, message.header.index, vlan)) {
                Some(above) => message = above,
                None => {
                    let interface = name(message).unwrap_or_default().into();
                    lacking = Some(Unreachable::NoVlan { interface, vlan });
                    break;
                }
            }
        }
        let interface: Arc<str> = name(message).unwrap_or_default().into();
        if lacking.is_none() && !up(message) {
            lacking = Some(Unreachable::VlanDown(Arc::clone(&interface)));
        }
        let carrier = message.header.flags.contains(LinkFlags::LowerUp);
        Some(Self { index: message.header.index, name: interface, carrier, lacking })
    }
}

fn name(message: &LinkMessage) -> Option<&str> {
    message.attributes.iter().find_map(|attribute| match attribute {
        LinkAttribute::IfName(name) => Some(name.as_str()),
        _ => None,
    })
}

/// Whether this is the interface of that VLAN above the interface with that index.
fn is_vlan(message: &LinkMessage, below: u32, vlan: Vlan) -> bool {
    let (mut is_above, mut kind, mut has_id, mut has_tpid) = (false, false, false, false);
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Link(index) => is_above = *index == below,
            // The index is one of another namespace.
            LinkAttribute::LinkNetNsId(_) => return false,
            LinkAttribute::LinkInfo(parts) => {
                for part in parts {
                    match part {
                        LinkInfo::Kind(InfoKind::Vlan) => kind = true,
                        LinkInfo::Data(InfoData::Vlan(settings)) => {
                            has_id = settings.contains(&InfoVlan::Id(vlan.id));
                            has_tpid = settings.iter().any(|setting| match setting {
                                InfoVlan::Protocol(protocol) => u16::from(*protocol) == vlan.tpid,
                                _ => false,
                            });
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    is_above && kind && has_id && has_tpid
}

struct Resolver<'a> {
    routes: Routes,
    addresses: BTreeSet<(u32, IpAddr)>,
    links: &'a [Link],
    /// What the neighbour table has: thousands of destinations are often behind the same gateway.
    known: BTreeMap<Neighbour, Option<Mac>>,
}

/// What routing says, before any neighbour is asked.
#[derive(Default)]
struct RouteAnswer {
    source: Option<IpAddr>,
    other_source: Option<(IpAddr, IpAddr)>,
    /// Of a single destination one; none where only the source was sought.
    hops: Vec<Hop>,
}

enum Hop {
    Known(Result<NextHop, Unreachable>),
    Ask(Neighbour),
}

impl Resolver<'_> {
    fn find(&mut self, sought: &Lookup, exit: &EgressInterface) -> io::Result<RouteAnswer> {
        let mut found = RouteAnswer::default();
        for (start, end) in self.parts(sought.destinations)? {
            let route = self.routes.to(start, Some(exit.index))?;
            let source = route.as_ref().ok().and_then(|route| self.source(route, exit));
            if start == sought.destinations.first {
                found.source = source;
            } else if source != found.source {
                found.other_source = found.other_source.or(source.map(|source| (start, source)));
            }
            if sought.what == Required::Source {
                continue;
            }
            let hop = self.hop(start, route, exit)?;
            let neighbour = match &hop {
                Hop::Ask((_, neighbour)) => Some(*neighbour),
                Hop::Known(Ok(next_hop)) => Some(next_hop.neighbour),
                Hop::Known(Err(_)) => None,
            };
            let each = start < end && neighbour == Some(start);
            found.hops.push(if each { Hop::Known(Err(Unreachable::Each { first: start })) } else { hop });
        }
        Ok(found)
    }

    /// The ends of each part of the row that has a route of its own.
    fn parts(&self, destinations: Destinations) -> io::Result<Vec<(IpAddr, IpAddr)>> {
        let Destinations { first, last } = destinations;
        if first == last {
            return Ok(vec![(first, last)]);
        }
        let address = |bits: u128| match (first, u32::try_from(bits)) {
            (IpAddr::V4(_), Ok(bits)) => IpAddr::V4(bits.into()),
            _ => IpAddr::V6(bits.into()),
        };
        let borders: Vec<u128> = self.routes.borders(destinations)?.into_iter().collect();
        let ends = borders.iter().skip(1).map(|border| border - 1).chain([number(last)]);
        Ok(borders.iter().zip(ends).map(|(&start, end)| (address(start), address(end))).collect())
    }

    /// The kernel's choice, unless it is an address of another interface that the kernel only takes because it was told to
    /// send out of this one, where no route leads there.
    fn source(&self, route: &Route, exit: &EgressInterface) -> Option<IpAddr> {
        route.source.filter(|source| route.in_table || self.addresses.contains(&(exit.index, *source)))
    }

    fn hop(&mut self, destination: IpAddr, route: Result<Route, i32>, exit: &EgressInterface) -> io::Result<Hop> {
        if let Some(mac) = group_mac(destination) {
            let by = if mac == BROADCAST_MAC { MacSource::Broadcast } else { MacSource::Group };
            let next_hop = NextHop { interface: Arc::clone(&exit.name), neighbour: destination, mac, by };
            return Ok(Hop::Known(Ok(next_hop)));
        }
        if let Some(lacking) = &exit.lacking {
            return Ok(Hop::Known(Err(lacking.clone())));
        }
        let route = match route {
            Ok(route) if route.in_table => route,
            _ => match self.without_route(destination, exit)? {
                Ok(route) => route,
                Err(unreachable) => {
                    // An entry somebody made for it is as good as a route: this interface is the one to send out of.
                    let next_hop = self.known(exit, destination)?.ok_or(unreachable);
                    return Ok(Hop::Known(next_hop));
                }
            },
        };
        match route.kind {
            RouteType::Local => return Ok(Hop::Known(Err(Unreachable::Own))),
            RouteType::Broadcast => {
                let interface = Arc::clone(&exit.name);
                let by = MacSource::Broadcast;
                return Ok(Hop::Known(Ok(NextHop { interface, neighbour: destination, mac: BROADCAST_MAC, by })));
            }
            _ => {}
        }
        let neighbour = route.gateway.unwrap_or(destination);
        Ok(match self.known(exit, neighbour)? {
            Some(next_hop) => Hop::Known(Ok(next_hop)),
            None if !exit.carrier => {
                Hop::Known(Err(Unreachable::NoCarrier { interface: Arc::clone(&exit.name), neighbour }))
            }
            None if neighbour.is_ipv6() && !self.has_link_local(exit) => {
                Hop::Known(Err(Unreachable::NoLinkLocal { interface: Arc::clone(&exit.name), neighbour }))
            }
            None => Hop::Ask((exit.index, neighbour)),
        })
    }

    fn has_link_local(&self, exit: &EgressInterface) -> bool {
        let link_local = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        self.addresses.iter().any(|(index, address)| *index == exit.index && link_local(address))
    }

    fn known(&mut self, exit: &EgressInterface, neighbour: IpAddr) -> io::Result<Option<NextHop>> {
        let mac = match self.known.entry((exit.index, neighbour)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => *place.insert(neighbours::known(&self.routes.socket, (exit.index, neighbour))?),
        };
        let interface = Arc::clone(&exit.name);
        Ok(mac.map(|mac| NextHop { interface, neighbour, mac, by: MacSource::Neighbour }))
    }

    /// No table has a route out of this interface: what does the kernel do when it may choose?
    fn without_route(&self, destination: IpAddr, exit: &EgressInterface) -> io::Result<Result<Route, Unreachable>> {
        let interface = || Arc::clone(&exit.name);
        Ok(match self.routes.to(destination, None)? {
            Ok(route) if route.kind == RouteType::Local => Err(Unreachable::Own),
            Ok(route) if route.interface == exit.index => Ok(route),
            Ok(route) => {
                let other = self.links.iter().find(|link| link.index == route.interface);
                let other = other.map_or_else(|| format!("interface {}", route.interface), |link| link.name.clone());
                Err(Unreachable::Elsewhere { interface: interface(), other })
            }
            // As `fib_props` of net/ipv4/fib_semantics.c and `fib6_prop` of net/ipv6/route.c have them.
            Err(libc::EINVAL) => Err(Unreachable::Refused { route: "blackhole" }),
            Err(libc::EHOSTUNREACH) => Err(Unreachable::Refused { route: "unreachable" }),
            Err(libc::EACCES) => Err(Unreachable::Refused { route: "prohibit" }),
            Err(_) => {
                let of_family = |(index, address): &(u32, IpAddr)| {
                    *index == exit.index && address.is_ipv4() == destination.is_ipv4()
                };
                Err(Unreachable::NoRoute { interface: interface(), addressed: self.addresses.iter().any(of_family) })
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use rtnetlink::packet_route::link::VlanProtocol;

    use super::*;

    /// What the kernel says of `eth0` (2), of VLAN 100 above it and VLAN 7 above that, of a VLAN 8 that is down, and of a
    /// service VLAN 100.
    fn messages() -> Vec<LinkMessage> {
        let message = |index: u32, name: &str, flags: LinkFlags, attributes: &[LinkAttribute]| {
            let mut message = LinkMessage::default();
            message.header.index = index;
            message.header.flags = flags;
            message.attributes = vec![LinkAttribute::IfName(name.to_owned())];
            message.attributes.extend_from_slice(attributes);
            message
        };
        let tagged = |below: u32, protocol: VlanProtocol, id: u16| {
            let settings = vec![InfoVlan::Protocol(protocol), InfoVlan::Id(id)];
            let info = vec![LinkInfo::Kind(InfoKind::Vlan), LinkInfo::Data(InfoData::Vlan(settings))];
            [LinkAttribute::Link(below), LinkAttribute::LinkInfo(info)]
        };
        let vlan = |below, id| tagged(below, VlanProtocol::Ieee8021Q, id);
        let up = LinkFlags::Up | LinkFlags::LowerUp;
        let elsewhere = [&vlan(2, 9)[..], &[LinkAttribute::LinkNetNsId(0)]].concat();
        vec![
            message(2, "eth0", up, &[]),
            message(3, "other", up, &vlan(5, 100)),
            message(9, "service", up, &tagged(2, VlanProtocol::Ieee8021Ad, 100)),
            message(4, "lan", up, &vlan(2, 100)),
            message(6, "inner", up, &vlan(4, 7)),
            message(7, "quiet", LinkFlags::empty(), &vlan(2, 8)),
            message(8, "moved", up, &elsewhere),
        ]
    }

    #[test]
    fn a_vlan_s_way_leads_through_its_own_interface() {
        #[track_caller]
        fn check(interface: &str, vlans: &[Vlan], expected: Option<(u32, Option<Unreachable>)>) {
            let links = [Link {
                name: "eth0".to_owned(),
                alt_names: vec!["enp1s0".to_owned()],
                index: 2,
                mtu: 1500,
                up: true,
                carrier: true,
                mac: Some([2, 0, 0, 0, 0, 1]),
                speed: None,
                bus: None,
            }];
            let way = Egress { interface: interface.to_owned(), vlans: vlans.to_vec() };
            let exit = EgressInterface::of(&way, &messages(), &links);
            assert_eq!(exit.map(|exit| (exit.index, exit.lacking)), expected, "{way:?}");
        }
        let lacking = |interface: &str, vlan| Some(Unreachable::NoVlan { interface: interface.into(), vlan });
        let vlan = |id| Vlan { tpid: Vlan::CUSTOMER, id };
        let service = |id| Vlan { tpid: Vlan::SERVICE, id };
        check("eth0", &[], Some((2, None)));
        check("enp1s0", &[], Some((2, None)));
        check("eth0", &[vlan(100)], Some((4, None)));
        check("eth0", &[vlan(100), vlan(7)], Some((6, None)));
        // The same number is another VLAN there.
        check("eth0", &[service(100)], Some((9, None)));
        check("eth0", &[service(100), vlan(7)], Some((9, lacking("service", vlan(7)))));
        check("eth0", &[service(8)], Some((2, lacking("eth0", service(8)))));
        let old = Vlan { tpid: 0x9100, id: 100 };
        check("eth0", &[old], Some((2, lacking("eth0", old))));
        // A priority tag is of no VLAN.
        check("eth0", &[vlan(0)], Some((2, None)));
        check("eth0", &[vlan(7)], Some((2, lacking("eth0", vlan(7)))));
        check("eth0", &[vlan(100), vlan(8)], Some((4, lacking("lan", vlan(8)))));
        check("eth0", &[vlan(8)], Some((7, Some(Unreachable::VlanDown("quiet".into())))));
        // Its number says nothing of this namespace's interfaces.
        check("eth0", &[vlan(9)], Some((2, lacking("eth0", vlan(9)))));
        check("eth1", &[], None);
    }
}
