//! The kernel's neighbour tables: looks neighbours up, and makes the kernel ask for them by ARP or
//! neighbour discovery, as it does for a packet of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use rtnetlink::{
    packet_core::{NLM_F_CREATE, NLM_F_REPLACE, NLM_F_REQUEST},
    packet_route::{
        AddressFamily, RouteNetlinkMessage,
        neighbour::{
            NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
        },
    },
    sys::Socket,
};
use tokio_util::sync::CancellationToken;

use crate::{
    host::Mac,
    sys::netlink::{Received, receive, send, unexpected},
};

/// A neighbour: the index of the interface, and the address.
pub(super) type Neighbour = (u32, IpAddr);

/// The outcome of asking, by neighbour.
pub(super) type Answers = BTreeMap<Neighbour, Answer>;

/// The outcome of asking for a neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Mac(Mac),
    /// No answer came.
    Silent {
        requests: u32,
        waited: Duration,
    },
    /// The kernel refused to ask, with this `errno`.
    MayNotAsk(i32),
    /// Not asked, because others had not answered.
    NotAsked,
}

/// How long to wait for answers. The kernel itself gives up after three requests, a second apart
/// (`net.ipv4.neigh.*.mcast_solicit`, `retrans_time_ms`); this limit is for kernels with a longer
/// setting.
const PATIENCE: Duration = Duration::from_secs(4);

/// The kernel removes an interface's neighbours when it takes the interface down, and the interface
/// itself a moment later: how long that moment may take on a busy machine.
const REMOVAL: Duration = Duration::from_secs(1);
/// Between two looks at whether an interface is gone.
const REMOVAL_POLL: Duration = Duration::from_millis(10);

/// How many are asked at a time: far below 1024, where the kernel's table is full (`gc_thresh3`).
const ASKED_AT_ONCE: usize = 256;

/// The state of a neighbour in the kernel's table.
enum Entry {
    /// Usable: the kernel would send there.
    Known(Mac),
    /// The kernel is asking; the number of requests so far, as the kernel counts them.
    Asking(u32),
    /// The neighbour did not answer.
    Failed(u32),
    None,
    /// The interface is gone.
    NoInterface,
}

/// The MAC address of a neighbour; none if the kernel's table does not have it.
pub(super) fn known(socket: &Socket, neighbour: Neighbour) -> io::Result<Option<Mac>> {
    match entry(socket, neighbour)? {
        Entry::Known(mac) => Ok(Some(mac)),
        Entry::Asking(_) | Entry::Failed(_) | Entry::None | Entry::NoInterface => Ok(None),
    }
}

/// Makes the kernel ask for all of `neighbours`, many at the same time, and waits for the answers.
/// When some do not answer, the rest is not asked, because the result is decided. None when `stop`
/// was cancelled before.
pub(super) fn ask(
    stop: &CancellationToken,
    socket: &Socket,
    neighbours: &BTreeSet<Neighbour>,
) -> io::Result<Option<Answers>> {
    let mut answers: Answers =
        neighbours.iter().map(|&neighbour| (neighbour, Answer::NotAsked)).collect();
    let neighbours: Vec<Neighbour> = neighbours.iter().copied().collect();
    let batches = neighbours.chunks(ASKED_AT_ONCE);
    let last = batches.len().saturating_sub(1);
    for (index, batch) in batches.enumerate() {
        let Some(answered) = ask_batch(stop, socket, batch)? else { return Ok(None) };
        let all = answered.values().all(|answer| matches!(answer, Answer::Mac(_)));
        answers.extend(answered);
        if !all {
            break;
        }
        if index < last {
            // Removes the entries, to leave room in a table of limited size.
            for &neighbour in batch {
                forget(socket, neighbour)?;
            }
        }
    }
    Ok(Some(answers))
}

fn ask_batch(
    stop: &CancellationToken,
    socket: &Socket,
    batch: &[Neighbour],
) -> io::Result<Option<Answers>> {
    let start = Instant::now();
    let mut answers = Answers::new();
    // With the kernel's count of requests at the first look.
    let mut waiting: Vec<(Neighbour, Option<u32>)> = Vec::new();
    for &neighbour in batch {
        match use_entry(socket, neighbour) {
            Ok(()) => waiting.push((neighbour, None)),
            Err(error) => match error.raw_os_error() {
                Some(errno) => drop(answers.insert(neighbour, Answer::MayNotAsk(errno))),
                None => return Err(error),
            },
        }
    }
    let mut removed = Vec::new();
    let mut pause = Duration::from_millis(1);
    while !waiting.is_empty() {
        if stop.is_cancelled() {
            return Ok(None);
        }
        let mut still = Vec::new();
        for (neighbour, first) in waiting {
            let waited = start.elapsed();
            // The kernel sent the first request before its count could be read.
            let sent =
                |count: u32| count.saturating_sub(first.unwrap_or(count)) + u32::from(count > 0);
            let answer = match entry(socket, neighbour)? {
                Entry::Known(mac) => Answer::Mac(mac),
                Entry::Failed(count) => Answer::Silent { requests: sent(count), waited },
                Entry::Asking(count) if waited > PATIENCE => {
                    Answer::Silent { requests: sent(count), waited }
                }
                Entry::Asking(count) => {
                    still.push((neighbour, first.or(Some(count))));
                    continue;
                }
                Entry::None => {
                    removed.push(neighbour);
                    Answer::Silent { requests: 0, waited }
                }
                Entry::NoInterface => Answer::MayNotAsk(libc::ENODEV),
            };
            answers.insert(neighbour, answer);
        }
        waiting = still;
        if !waiting.is_empty() {
            thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(20));
        }
    }
    let start = Instant::now();
    while !removed.is_empty() && start.elapsed() < REMOVAL {
        if stop.is_cancelled() {
            return Ok(None);
        }
        thread::sleep(REMOVAL_POLL);
        let mut still = Vec::new();
        for neighbour in removed {
            match entry(socket, neighbour)? {
                Entry::NoInterface => {
                    answers.insert(neighbour, Answer::MayNotAsk(libc::ENODEV));
                }
                _ => still.push(neighbour),
            }
        }
        removed = still;
    }
    Ok(Some(answers))
}

/// As `ip neigh … use`: the kernel asks as if it had a packet for the neighbour.
fn use_entry(socket: &Socket, neighbour: Neighbour) -> io::Result<()> {
    let mut message = message(neighbour);
    message.header.flags = NeighbourFlags::Use;
    tell(socket, RouteNetlinkMessage::NewNeighbour(message), NLM_F_CREATE | NLM_F_REPLACE)
}

/// Best effort: the kernel may have removed the entry itself, and an entry that stays does no harm.
fn forget(socket: &Socket, neighbour: Neighbour) -> io::Result<()> {
    match tell(socket, RouteNetlinkMessage::DelNeighbour(message(neighbour)), 0) {
        Err(error) if error.raw_os_error().is_none() => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn entry(socket: &Socket, neighbour: Neighbour) -> io::Result<Entry> {
    send(socket, RouteNetlinkMessage::GetNeighbour(message(neighbour)), NLM_F_REQUEST)?;
    let answers = match receive(socket) {
        Ok(Received { answers, .. }) => answers,
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => return Ok(Entry::NoInterface),
        // No entry, or no table because the interface has none for this family.
        Err(error)
            if error.kind() != io::ErrorKind::WouldBlock && error.raw_os_error().is_some() =>
        {
            return Ok(Entry::None);
        }
        Err(error) => return Err(error),
    };
    let Some(RouteNetlinkMessage::NewNeighbour(entry)) = answers.into_iter().next() else {
        return Err(unexpected());
    };
    let mac = entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(bytes) => Mac::try_from(bytes.as_slice()).ok(),
        _ => None,
    });
    let requests = entry.attributes.iter().find_map(|attribute| match attribute {
        NeighbourAttribute::Probes(probes) => Some(*probes),
        _ => None,
    });
    let requests = requests.unwrap_or(0);
    Ok(match (entry.header.state, mac) {
        (NeighbourState::Failed, _) => Entry::Failed(requests),
        (NeighbourState::Incomplete | NeighbourState::None, _) | (_, None) => {
            Entry::Asking(requests)
        }
        (_, Some(mac)) => Entry::Known(mac),
    })
}

fn message((interface, address): Neighbour) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.ifindex = interface;
    let (family, address) = match address {
        IpAddr::V4(v4) => (AddressFamily::Inet, NeighbourAddress::Inet(v4)),
        IpAddr::V6(v6) => (AddressFamily::Inet6, NeighbourAddress::Inet6(v6)),
    };
    message.header.family = family;
    message.attributes.push(NeighbourAttribute::Destination(address));
    message
}

/// A request that the kernel answers only if it refuses.
fn tell(socket: &Socket, request: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
    send(socket, request, NLM_F_REQUEST | flags)?;
    match receive::<RouteNetlinkMessage>(socket) {
        Ok(_) => Err(unexpected()),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use rtnetlink::sys::protocols::NETLINK_ROUTE;

    use super::*;
    use crate::sys::netlink;

    /// Removing an entry that is not there, or that this process may not remove, does not end a
    /// run.
    #[test]
    fn what_cannot_be_forgotten_is_left() {
        let socket = netlink::open(NETLINK_ROUTE).unwrap();
        let nobody = (1, "192.0.2.77".parse().unwrap());
        forget(&socket, nobody).unwrap();
        assert!(known(&socket, nobody).unwrap().is_none());
    }

    #[test]
    fn an_interface_that_is_gone_is_no_neighbour_that_is_silent() {
        let socket = netlink::open(NETLINK_ROUTE).unwrap();
        // The kernel counts from 1.
        let neighbour = (i32::MAX.unsigned_abs(), "192.0.2.77".parse().unwrap());
        assert!(matches!(entry(&socket, neighbour).unwrap(), Entry::NoInterface));
    }
}
