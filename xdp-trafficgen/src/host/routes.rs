//! Asks the kernel for routes, through rtnetlink.

use std::{
    collections::BTreeSet,
    io,
    net::{IpAddr, Ipv6Addr},
};

use rtnetlink::{
    packet_core::{NLM_F_DUMP, NLM_F_REQUEST},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        address::{AddressAttribute, AddressMessage},
        route::{RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteType, RouteVia},
    },
    sys::{Socket, protocols::NETLINK_ROUTE},
};

use crate::{
    host::Destinations,
    sys::netlink::{self, Received, receive, send, unexpected},
};

/// A socket of the calling thread's network namespace.
#[derive(Debug)]
pub(super) struct Routes {
    pub(super) socket: Socket,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Route {
    /// The interface that it leads out of.
    pub(super) interface: u32,
    pub(super) gateway: Option<IpAddr>,
    pub(super) source: Option<IpAddr>,
    pub(super) kind: RouteType,
    /// Whether it is from a routing table. If the interface is given, the kernel takes an IPv4
    /// destination without a route for one on the link (`ip_route_output_key_hash_rcu` of
    /// net/ipv4/route.c).
    pub(super) in_table: bool,
}

impl Routes {
    pub(super) fn open() -> io::Result<Self> {
        Ok(Self { socket: netlink::open(NETLINK_ROUTE)? })
    }

    /// The kernel's route to `destination`, out of the interface with this index if one is given.
    /// `Err` within: the `errno` with which the kernel would refuse to send.
    pub(super) fn to(
        &self,
        destination: IpAddr,
        interface: Option<u32>,
    ) -> io::Result<Result<Route, i32>> {
        let mut message = RouteMessage::default();
        message.header.flags = RouteFlags::LookupTable;
        let address = match destination {
            IpAddr::V4(v4) => {
                message.header.address_family = AddressFamily::Inet;
                message.header.destination_prefix_length = 32;
                RouteAddress::Inet(v4)
            }
            IpAddr::V6(v6) => {
                message.header.address_family = AddressFamily::Inet6;
                message.header.destination_prefix_length = 128;
                RouteAddress::Inet6(v6)
            }
        };
        message.attributes.push(RouteAttribute::Destination(address));
        message.attributes.extend(interface.map(RouteAttribute::Oif));
        send(&self.socket, RouteNetlinkMessage::GetRoute(message), NLM_F_REQUEST)?;
        match receive(&self.socket) {
            Ok(Received { answers, .. }) => match answers.into_iter().next() {
                Some(RouteNetlinkMessage::NewRoute(message)) => Ok(Ok(route(&message))),
                _ => Err(unexpected()),
            },
            Err(error) => match error.raw_os_error() {
                Some(errno) if error.kind() != io::ErrorKind::WouldBlock => Ok(Err(errno)),
                _ => Err(error),
            },
        }
    }

    /// Addresses of a range at which another route may begin: the first address, and the beginnings
    /// and ends of all routes of all tables within it. Between two of them the kernel's decision is
    /// the same for every address, unless rules of policy routing look at destinations.
    pub(super) fn borders(
        &self,
        Destinations { first, last }: Destinations,
    ) -> io::Result<BTreeSet<u128>> {
        let mut message = RouteMessage::default();
        message.header.address_family =
            if first.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let bits: u8 = if first.is_ipv4() { 32 } else { 128 };
        let (first, last) = (number(first), number(last));
        send(&self.socket, RouteNetlinkMessage::GetRoute(message), NLM_F_REQUEST | NLM_F_DUMP)?;
        let within = |border: &u128| first < *border && *border <= last;
        // Multicast and reserved addresses, and broadcast: frames for them go to no gateway.
        let groups = match bits {
            32 => &[0xe000_0000, 0xf000_0000, 0xffff_ffff][..],
            _ => &[0xff00 << 112][..],
        };
        let mut borders: BTreeSet<u128> = groups.iter().copied().filter(within).collect();
        borders.insert(first);
        loop {
            let Received { answers, ended } = receive(&self.socket)?;
            for answer in answers {
                let RouteNetlinkMessage::NewRoute(route) = answer else { continue };
                let start = route.attributes.iter().find_map(|attribute| match attribute {
                    RouteAttribute::Destination(address) => ip_address(address),
                    _ => None,
                });
                // A default route has no destination, and covers everything.
                let Some(start) = start.map(number) else { continue };
                let free = u32::from(bits.saturating_sub(route.header.destination_prefix_length));
                let behind = 1_u128.checked_shl(free).and_then(|len| start.checked_add(len));
                borders.extend([Some(start), behind].into_iter().flatten().filter(within));
            }
            if ended {
                return Ok(borders);
            }
        }
    }

    /// The addresses of all interfaces, by interface.
    pub(super) fn addresses(&self) -> io::Result<BTreeSet<(u32, IpAddr)>> {
        let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
        send(&self.socket, request, NLM_F_REQUEST | NLM_F_DUMP)?;
        let mut addresses = BTreeSet::new();
        loop {
            let Received { answers, ended } = receive(&self.socket)?;
            for answer in answers {
                let RouteNetlinkMessage::NewAddress(message) = answer else { continue };
                // For a point-to-point interface, `Address` is the address of the other end.
                let local = |attribute: &AddressAttribute| match attribute {
                    AddressAttribute::Local(address) => Some(*address),
                    _ => None,
                };
                let either = |attribute: &AddressAttribute| match attribute {
                    AddressAttribute::Address(address) => Some(*address),
                    _ => None,
                };
                let found = message.attributes.iter().find_map(local);
                let found = found.or_else(|| message.attributes.iter().find_map(either));
                addresses.extend(found.map(|address| (message.header.index, address)));
            }
            if ended {
                return Ok(addresses);
            }
        }
    }
}

fn route(message: &RouteMessage) -> Route {
    let mut route = Route {
        interface: 0,
        gateway: None,
        source: None,
        kind: message.header.kind,
        in_table: message.header.table != 0,
    };
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => route.interface = *index,
            RouteAttribute::Table(table) => route.in_table = *table != 0,
            RouteAttribute::PrefSource(address) => route.source = ip_address(address),
            RouteAttribute::Gateway(address) => {
                // For a route on the link, the kernel writes the destination, or `::`.
                route.gateway = ip_address(address)
                    .filter(|address| *address != IpAddr::V6(Ipv6Addr::UNSPECIFIED));
            }
            // An IPv4 destination behind an IPv6 gateway (RFC 5549).
            RouteAttribute::Via(RouteVia::Inet(v4)) => route.gateway = Some(IpAddr::V4(*v4)),
            RouteAttribute::Via(RouteVia::Inet6(v6)) => route.gateway = Some(IpAddr::V6(*v6)),
            _ => {}
        }
    }
    route
}

/// An address as a number.
pub(super) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

const fn ip_address(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}
