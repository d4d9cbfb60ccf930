//! What the kernel's routes, and the neighbours that it knows already, say of a destination.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    io,
    net::IpAddr,
    sync::Arc,
};

use rtnetlink::packet_route::route::RouteType;
use tokio_util::sync::CancellationToken;

use super::egress::EgressInterface;
use crate::host::{
    Destinations, Link, Mac, NextHop, Unreachable,
    neighbours::{self, Answer, Neighbour},
    reach::{BROADCAST_MAC, Lookup, MacSource, Required, group_mac},
    routes::{Route, Routes, number},
};

pub(super) struct Resolver<'a> {
    routes: Routes,
    addresses: BTreeSet<(u32, IpAddr)>,
    links: &'a [Link],
    /// The contents of the neighbour table: thousands of destinations are often behind the same
    /// gateway.
    known: BTreeMap<Neighbour, Option<Mac>>,
}

/// The answer of routing, before any neighbour is asked.
#[derive(Default)]
pub(super) struct RouteAnswer {
    pub(super) source: Option<IpAddr>,
    pub(super) other_source: Option<(IpAddr, IpAddr)>,
    /// One for a single destination; none if only the source was to be looked up.
    pub(super) hops: Vec<Hop>,
}

pub(super) enum Hop {
    Known(Result<NextHop, Unreachable>),
    Ask(Neighbour),
}

impl<'a> Resolver<'a> {
    pub(super) fn open(links: &'a [Link]) -> io::Result<Self> {
        let routes = Routes::open()?;
        Ok(Self { addresses: routes.addresses()?, routes, links, known: BTreeMap::new() })
    }

    pub(super) fn find(
        &mut self,
        sought: &Lookup,
        exit: &EgressInterface,
    ) -> io::Result<RouteAnswer> {
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
            found.hops.push(if each {
                Hop::Known(Err(Unreachable::Each { first: start }))
            } else {
                hop
            });
        }
        Ok(found)
    }

    /// The ends of each part of the range that has a route of its own.
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

    /// The source address of the route. Left out if it is the address of another interface that the
    /// kernel uses only because the request names this one, where no route leads there.
    fn source(&self, route: &Route, exit: &EgressInterface) -> Option<IpAddr> {
        route
            .source
            .filter(|source| route.in_table || self.addresses.contains(&(exit.index, *source)))
    }

    fn hop(
        &mut self,
        destination: IpAddr,
        route: Result<Route, i32>,
        exit: &EgressInterface,
    ) -> io::Result<Hop> {
        if let Some(mac) = group_mac(destination) {
            let by = if mac == BROADCAST_MAC { MacSource::Broadcast } else { MacSource::Group };
            let next_hop =
                NextHop { interface: Arc::clone(&exit.name), neighbour: destination, mac, by };
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
                    // A neighbour entry that somebody made is as good as a route: frames go out of
                    // this interface.
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
                return Ok(Hop::Known(Ok(NextHop {
                    interface,
                    neighbour: destination,
                    mac: BROADCAST_MAC,
                    by,
                })));
            }
            _ => {}
        }
        let neighbour = route.gateway.unwrap_or(destination);
        Ok(match self.known(exit, neighbour)? {
            Some(next_hop) => Hop::Known(Ok(next_hop)),
            None if !exit.carrier => Hop::Known(Err(Unreachable::NoCarrier {
                interface: Arc::clone(&exit.name),
                neighbour,
            })),
            None if neighbour.is_ipv6() && !self.has_link_local(exit) => {
                Hop::Known(Err(Unreachable::NoLinkLocal {
                    interface: Arc::clone(&exit.name),
                    neighbour,
                }))
            }
            None => Hop::Ask((exit.index, neighbour)),
        })
    }

    /// Asks for all of these neighbours at the same time, as [`neighbours::ask`] does.
    pub(super) fn ask(
        &self,
        stop: &CancellationToken,
        sought: &BTreeSet<Neighbour>,
    ) -> io::Result<Option<BTreeMap<Neighbour, Answer>>> {
        neighbours::ask(stop, &self.routes.socket, sought)
    }

    fn has_link_local(&self, exit: &EgressInterface) -> bool {
        let link_local =
            |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        self.addresses.iter().any(|(index, address)| *index == exit.index && link_local(address))
    }

    fn known(&mut self, exit: &EgressInterface, neighbour: IpAddr) -> io::Result<Option<NextHop>> {
        let mac = match self.known.entry((exit.index, neighbour)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                *place.insert(neighbours::known(&self.routes.socket, (exit.index, neighbour))?)
            }
        };
        let interface = Arc::clone(&exit.name);
        Ok(mac.map(|mac| NextHop { interface, neighbour, mac, by: MacSource::Neighbour }))
    }

    /// No table has a route out of this interface: asks for the route that the kernel chooses
    /// without it.
    fn without_route(
        &self,
        destination: IpAddr,
        exit: &EgressInterface,
    ) -> io::Result<Result<Route, Unreachable>> {
        let interface = || Arc::clone(&exit.name);
        Ok(match self.routes.to(destination, None)? {
            Ok(route) if route.kind == RouteType::Local => Err(Unreachable::Own),
            Ok(route) if route.interface == exit.index => Ok(route),
            Ok(route) => {
                let other = self.links.iter().find(|link| link.index == route.interface);
                let other = other.map_or_else(
                    || format!("interface {}", route.interface),
                    |link| link.name.clone(),
                );
                Err(Unreachable::Elsewhere { interface: interface(), other })
            }
            // The numbers are those of `fib_props` (net/ipv4/fib_semantics.c) and `fib6_prop`
            // (net/ipv6/route.c).
            Err(libc::EINVAL) => Err(Unreachable::Refused { route: "blackhole" }),
            Err(libc::EHOSTUNREACH) => Err(Unreachable::Refused { route: "unreachable" }),
            Err(libc::EACCES) => Err(Unreachable::Refused { route: "prohibit" }),
            Err(_) => {
                let of_family = |(index, address): &(u32, IpAddr)| {
                    *index == exit.index && address.is_ipv4() == destination.is_ipv4()
                };
                Err(Unreachable::NoRoute {
                    interface: interface(),
                    addressed: self.addresses.iter().any(of_family),
                })
            }
        })
    }
}
