//! Changes of interfaces during a run: the kernel reports each change of a link, so a change that
//! was undone before the next look is known too.
//!
//! This needs no thread: reports wait in the socket until they are read.

use std::{collections::BTreeMap, io};

use rtnetlink::{
    packet_route::{AddressFamily, RouteNetlinkMessage, link::LinkMessage},
    sys::{Socket, protocols::NETLINK_ROUTE},
};

use crate::{
    host::{Link, netlink::link},
    sys::netlink::{self, receive_from},
};

/// `RTNLGRP_LINK` of include/uapi/linux/rtnetlink.h.
const RTNLGRP_LINK: u32 = 1;
/// Size of the socket's buffer for reports that were not read yet, in bytes: some hundred changes.
/// The kernel allocates less where `net.core.rmem_max` is smaller.
const HELD: usize = 1 << 20;

/// An interface: the number that its network namespace has in this one (none for this namespace),
/// and its index there.
pub type LinkKey = (Option<i32>, u32);

/// An interface at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Its MTU.
    pub mtu: u32,
    /// Whether it is set up.
    pub up: bool,
    /// Whether it has carrier.
    pub carrier: bool,
}

/// The states an interface was in during a period, however short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkHistory {
    /// The smallest of its MTUs; none if the period has no report of it.
    pub least_mtu: Option<u32>,
    /// Whether it was down.
    pub down: bool,
    /// Whether it had no carrier. A veth has none while its peer is down.
    pub unplugged: bool,
}

impl LinkHistory {
    /// The state at one moment.
    const fn of(LinkStatus { mtu, up, carrier }: LinkStatus) -> Self {
        Self { least_mtu: Some(mtu), down: !up, unplugged: !carrier }
    }

    fn add(&mut self, other: Self) {
        self.least_mtu = self.least_mtu.into_iter().chain(other.least_mtu).min();
        self.down |= other.down;
        self.unplugged |= other.unplugged;
    }
}

/// Receives reports of the links in the network namespace it was opened in, and in namespaces that
/// have a number there, if this process may (CAP_NET_BROADCAST).
#[derive(Debug)]
pub struct LinkChanges {
    socket: Socket,
    /// Whether reports from other network namespaces are received too.
    elsewhere: bool,
    heard: LinkEvents,
}

impl LinkChanges {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn open() -> io::Result<Self> {
        let socket = netlink::open(NETLINK_ROUTE)?;
        // Best effort: with a smaller buffer, reports are lost earlier.
        let _ = socket.set_rx_buf_sz(HELD);
        let elsewhere = socket.set_listen_all_namespaces(true).is_ok();
        socket.add_membership(RTNLGRP_LINK)?;
        Ok(Self { socket, elsewhere, heard: LinkEvents::default() })
    }

    /// Reads the reports that wait in the socket. To be called regularly: when the buffer is full,
    /// the kernel drops reports.
    pub fn read_reports(&mut self) {
        loop {
            match receive_from::<RouteNetlinkMessage>(&self.socket) {
                Ok((namespace, messages)) => {
                    messages.iter().for_each(|message| self.heard.message(namespace, message))
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The kernel dropped reports; those that follow are read.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => self.heard.miss(),
                // A report that cannot be parsed.
                Err(_) => return self.heard.miss(),
            }
        }
    }

    /// Records the state of the interface at this moment. It is needed once per interface: reports
    /// tell what an interface changed to, not what it was before.
    pub fn record(&mut self, place: LinkKey, status: LinkStatus) {
        self.heard.first(place, LinkHistory::of(status));
    }

    /// The states of the interface since `open`; none where the kernel does not tell.
    pub fn in_all(&self, place: LinkKey) -> Option<LinkHistory> {
        self.hears(place).then(|| self.heard.in_all(place)).flatten()
    }

    /// The states of the interface since the look before the last one. Frames that are counted now
    /// may have been sent that long ago.
    pub fn recently(&self, place: LinkKey) -> Option<LinkHistory> {
        self.hears(place).then(|| self.heard.recently(place)).flatten()
    }

    /// Ends the period of a look, and begins the next.
    pub fn next_period(&mut self) {
        self.heard.next_period();
    }

    const fn hears(&self, (namespace, _): LinkKey) -> bool {
        self.elsewhere || namespace.is_none()
    }
}

/// The reports.
#[derive(Debug, Default)]
struct LinkEvents {
    seen: BTreeMap<LinkKey, Times<LinkHistory>>,
    /// Whether reports were lost, of any interface.
    missed: Times<bool>,
}

/// The same value for several periods.
#[derive(Clone, Copy, Debug, Default)]
struct Times<T> {
    /// The last one.
    now: T,
    in_all: T,
    since_look: T,
    /// Between the last look and the one before it.
    before: T,
}

impl LinkEvents {
    fn message(&mut self, namespace: Option<i32>, message: &RouteNetlinkMessage) {
        // For a change of a bridge's port the kernel also sends a link of the family AF_BRIDGE,
        // which says less.
        let of_link =
            |message: &LinkMessage| message.header.interface_family == AddressFamily::Unspec;
        match message {
            RouteNetlinkMessage::NewLink(message) if of_link(message) => {
                let Link { index, mtu, up, carrier, .. } = link(message);
                self.note((namespace, index), LinkHistory::of(LinkStatus { mtu, up, carrier }));
            }
            RouteNetlinkMessage::DelLink(message) if of_link(message) => {
                self.seen.remove(&(namespace, message.header.index));
            }
            _ => {}
        }
    }

    fn note(&mut self, place: LinkKey, state: LinkHistory) {
        let times = self.seen.entry(place).or_default();
        times.now = state;
        times.in_all.add(state);
        times.since_look.add(state);
    }

    fn first(&mut self, place: LinkKey, state: LinkHistory) {
        if !self.seen.contains_key(&place) {
            self.note(place, state);
        }
    }

    fn miss(&mut self) {
        self.missed.in_all = true;
        self.missed.since_look = true;
    }

    fn in_all(&self, place: LinkKey) -> Option<LinkHistory> {
        (!self.missed.in_all)
            .then(|| self.seen.get(&place).map(|times| times.in_all).unwrap_or_default())
    }

    fn recently(&self, place: LinkKey) -> Option<LinkHistory> {
        let Times { since_look, before, .. } = self.seen.get(&place).copied().unwrap_or_default();
        let mut lately = since_look;
        lately.add(before);
        (!self.missed.since_look && !self.missed.before).then_some(lately)
    }

    fn next_period(&mut self) {
        self.missed.next_period();
        self.seen.values_mut().for_each(Times::next_period);
    }
}

impl<T: Copy> Times<T> {
    const fn next_period(&mut self) {
        self.before = self.since_look;
        self.since_look = self.now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: LinkKey = (None, 2);
    const THERE: LinkKey = (Some(0), 2);

    fn least(meanwhile: Option<LinkHistory>) -> Option<u32> {
        meanwhile.expect("nothing was missed").least_mtu
    }

    const fn mtu(mtu: u32) -> LinkHistory {
        LinkHistory::of(LinkStatus { mtu, up: true, carrier: true })
    }

    #[test]
    fn what_was_is_forgotten_for_new_drops_and_kept_for_the_end() {
        let mut heard = LinkEvents::default();
        heard.first(HERE, mtu(1500));
        heard.note(HERE, mtu(500));
        heard.note(HERE, mtu(1500));
        heard.next_period();
        // Frames that were sent before the look may be counted after it.
        assert_eq!(
            (least(heard.recently(HERE)), least(heard.in_all(HERE))),
            (Some(500), Some(500))
        );
        heard.next_period();
        assert_eq!(
            (least(heard.recently(HERE)), least(heard.in_all(HERE))),
            (Some(1500), Some(500))
        );
    }

    #[test]
    fn an_interface_stays_as_it_is_until_the_next_change() {
        let mut heard = LinkEvents::default();
        heard.first(HERE, mtu(500));
        for _ in 0..3 {
            heard.next_period();
        }
        // The interface was small until this moment.
        heard.note(HERE, mtu(1500));
        assert_eq!(least(heard.recently(HERE)), Some(500));
        // A state that is recorded later changes nothing once there are reports.
        heard.first(HERE, mtu(68));
        assert_eq!(least(heard.in_all(HERE)), Some(500));
        heard.note(HERE, LinkHistory::of(LinkStatus { mtu: 1500, up: false, carrier: false }));
        heard.note(HERE, mtu(1500));
        assert_eq!(
            heard.recently(HERE),
            Some(LinkHistory { least_mtu: Some(500), down: true, unplugged: true })
        );
    }

    #[test]
    fn the_same_index_elsewhere_is_another_interface() {
        let mut heard = LinkEvents::default();
        heard.note(THERE, mtu(500));
        heard.note(HERE, mtu(1500));
        assert_eq!(
            (least(heard.recently(THERE)), least(heard.recently(HERE))),
            (Some(500), Some(1500))
        );
        assert_eq!(least(heard.recently((Some(1), 2))), None);
    }

    #[test]
    fn nothing_is_said_of_a_time_of_which_something_was_missed() {
        let mut heard = LinkEvents::default();
        heard.first(HERE, mtu(1500));
        heard.miss();
        for _ in 0..2 {
            assert_eq!((heard.recently(HERE), heard.in_all(HERE)), (None, None));
            heard.next_period();
        }
        assert_eq!((least(heard.recently(HERE)), heard.in_all(HERE)), (Some(1500), None));
    }
}
