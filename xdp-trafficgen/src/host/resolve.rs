//! From destinations to next hops and source addresses: asks the kernel for routes first, and then
//! for all neighbours that it does not know, at the same time.

mod egress;
mod resolver;

use std::{collections::BTreeMap, io, sync::Arc};

use rtnetlink::packet_route::link::LinkMessage;
use tokio_util::sync::CancellationToken;

use self::{
    egress::EgressInterface,
    resolver::{Hop, Resolver, RouteAnswer},
};
use crate::host::{
    Destinations, Egress, Link, Lookup, MacSource, NextHop, Reach, Unreachable,
    neighbours::{Answer, Neighbour},
};

/// The answers, by egress and destinations.
pub(super) type Reaches = BTreeMap<(Arc<Egress>, Destinations), Reach>;

/// Asks the kernel for all of `sought`, in the calling thread's network namespace. `messages` are
/// rtnetlink's descriptions of its interfaces, `links` the same as plain values. Blocks while
/// neighbours are asked, a few seconds at most when one does not answer; none when `stop` is
/// cancelled meanwhile. Destinations whose egress interface does not exist or is down are left out.
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
    let mut resolver = Resolver::open(links)?;
    let mut exits: BTreeMap<&Egress, Option<EgressInterface>> = BTreeMap::new();
    let mut reaches = Reaches::new();
    let mut found: Vec<(&Lookup, Arc<str>, RouteAnswer)> = Vec::new();
    for one in sought {
        if stop.is_cancelled() {
            return Ok(None);
        }
        let exit = exits
            .entry(&one.egress)
            .or_insert_with(|| EgressInterface::of(&one.egress, messages, links));
        if let Some(exit) = exit {
            found.push((one, Arc::clone(&exit.name), resolver.find(one, exit)?));
        }
    }
    // Many destinations are often behind the same gateway.
    let to_ask = found.iter().flat_map(|(.., found)| &found.hops).filter_map(|hop| match hop {
        Hop::Ask(neighbour) => Some(*neighbour),
        Hop::Known(_) => None,
    });
    let Some(answers) = resolver.ask(stop, &to_ask.collect())? else { return Ok(None) };
    for (one, interface, RouteAnswer { source, other_source, hops }) in found {
        let next_hop = together(hops.into_iter().map(|hop| answered(hop, &interface, &answers)));
        reaches.insert(
            (Arc::clone(&one.egress), one.destinations),
            Reach { source, other_source, next_hop },
        );
    }
    Ok(Some(reaches))
}

fn answered(
    hop: Hop,
    interface: &Arc<str>,
    answers: &BTreeMap<Neighbour, Answer>,
) -> Result<NextHop, Unreachable> {
    let key = match hop {
        Hop::Known(next_hop) => return next_hop,
        Hop::Ask(key) => key,
    };
    let (interface, neighbour) = (Arc::clone(interface), key.1);
    match answers.get(&key) {
        Some(Answer::Mac(mac)) => {
            Ok(NextHop { interface, neighbour, mac: *mac, by: MacSource::Neighbour })
        }
        Some(&Answer::Silent { requests, waited }) => {
            Err(Unreachable::Silent { interface, neighbour, requests, waited })
        }
        Some(&Answer::MayNotAsk(errno)) => {
            Err(Unreachable::MayNotAsk { interface, neighbour, errno })
        }
        Some(Answer::NotAsked) | None => Err(Unreachable::NotReached { neighbour }),
    }
}

/// The next hop that all of them share; none for an empty list.
fn together(
    next_hops: impl Iterator<Item = Result<NextHop, Unreachable>>,
) -> Option<Result<NextHop, Unreachable>> {
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
