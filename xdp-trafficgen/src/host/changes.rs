//! What became of interfaces meanwhile: the kernel tells every change of a link, also one that is over before anybody looks.
//!
//! Without a thread: what the kernel told waits in the socket until it is read.

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
/// What the socket may hold of what was told and not read yet, in bytes: some hundred changes. The kernel gives less where
/// `net.core.rmem_max` says so.
const HELD: usize = 1 << 20;

/// An interface: the number that its network namespace has in this one, none for this one itself, and its index in there.
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

/// What an interface was in some time, if only for a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkHistory {
    /// The smallest of its MTUs; none where nobody saw it, and it was not changed.
    pub least_mtu: Option<u32>,
    /// Whether it was down.
    pub down: bool,
    /// Whether it was without carrier: of a veth, also when its peer was down.
    pub unplugged: bool,
}

impl LinkHistory {
    /// As it is at one moment.
    const fn of(LinkStatus { mtu, up, carrier }: LinkStatus) -> Self {
        Self { least_mtu: Some(mtu), down: !up, unplugged: !carrier }
    }

    fn add(&mut self, other: Self) {
        self.least_mtu = self.least_mtu.into_iter().chain(other.least_mtu).min();
        self.down |= other.down;
        self.unplugged |= other.unplugged;
    }
}

/// Listens to the links of the network namespace it was opened in, and of those that have a number there, where this process may
/// (CAP_NET_BROADCAST).
#[derive(Debug)]
pub struct LinkChanges {
    socket: Socket,
    /// Whether those of other network namespaces are told too.
    elsewhere: bool,
    heard: LinkEvents,
}

impl LinkChanges {
    /// From now on.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn open() -> io::Result<Self> {
        let socket = netlink::open(NETLINK_ROUTE)?;
        // A smaller one holds less.
        let _ = socket.set_rx_buf_sz(HELD);
        let elsewhere = socket.set_listen_all_namespaces(true).is_ok();
        socket.add_membership(RTNLGRP_LINK)?;
        Ok(Self { socket, elsewhere, heard: LinkEvents::default() })
    }

    /// Takes in what the kernel told. To be called now and then: what it told too long ago, and nobody read, is lost.
    pub fn hear(&mut self) {
        loop {
            match receive_from::<RouteNetlinkMessage>(&self.socket) {
                Ok((namespace, messages)) => messages.iter().for_each(|message| self.heard.message(namespace, message)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // More was told than the socket holds, and it goes on with what follows.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => self.heard.miss(),
                // Something that cannot be read.
                Err(_) => return self.heard.miss(),
            }
        }
    }

    /// As somebody sees the interface now. Without it nobody knows what it was before its first change.
    pub fn saw(&mut self, place: LinkKey, status: LinkStatus) {
        self.heard.first(place, LinkHistory::of(status));
    }

    /// What the interface was since somebody listens; none where the kernel does not tell.
    pub fn in_all(&self, place: LinkKey) -> Option<LinkHistory> {
        self.hears(place).then(|| self.heard.in_all(place)).flatten()
    }

    /// The same since the look before the last one: what is counted now may have become of frames before that.
    pub fn lately(&self, place: LinkKey) -> Option<LinkHistory> {
        self.hears(place).then(|| self.heard.lately(place)).flatten()
    }

    /// Somebody has looked; what comes now is after that.
    pub fn looked(&mut self) {
        self.heard.looked();
    }

    const fn hears(&self, (namespace, _): LinkKey) -> bool {
        self.elsewhere || namespace.is_none()
    }
}

/// What was told.
#[derive(Debug, Default)]
struct LinkEvents {
    seen: BTreeMap<LinkKey, Times<LinkHistory>>,
    /// Whether something was told that nobody heard, of any of them.
    missed: Times<bool>,
}

/// The same of several times.
#[derive(Clone, Copy, Debug, Default)]
struct Times<T> {
    /// At last.
    now: T,
    in_all: T,
    since_look: T,
    /// Between that look and the one before it.
    before: T,
}

impl LinkEvents {
    fn message(&mut self, namespace: Option<i32>, message: &RouteNetlinkMessage) {
        // A change of a bridge's port comes as a link of the family AF_BRIDGE, which says less.
        let of_link = |message: &LinkMessage| message.header.interface_family == AddressFamily::Unspec;
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
        (!self.missed.in_all).then(|| self.seen.get(&place).map(|times| times.in_all).unwrap_or_default())
    }

    fn lately(&self, place: LinkKey) -> Option<LinkHistory> {
        let Times { since_look, before, .. } = self.seen.get(&place).copied().unwrap_or_default();
        let mut lately = since_look;
        lately.add(before);
        (!self.missed.since_look && !self.missed.before).then_some(lately)
    }

    fn looked(&mut self) {
        self.missed.looked();
        self.seen.values_mut().for_each(Times::looked);
    }
}

impl<T: Copy> Times<T> {
    const fn looked(&mut self) {
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
        heard.looked();
        // Counts of frames before the look may come after it.
        assert_eq!((least(heard.lately(HERE)), least(heard.in_all(HERE))), (Some(500), Some(500)));
        heard.looked();
        assert_eq!((least(heard.lately(HERE)), least(heard.in_all(HERE))), (Some(1500), Some(500)));
    }

    #[test]
    fn an_interface_stays_as_it_is_until_the_next_change() {
        let mut heard = LinkEvents::default();
        heard.first(HERE, mtu(500));
        for _ in 0..3 {
            heard.looked();
        }
        // It was small until this moment.
        heard.note(HERE, mtu(1500));
        assert_eq!(least(heard.lately(HERE)), Some(500));
        // What is seen later is no news to who heard of it.
        heard.first(HERE, mtu(68));
        assert_eq!(least(heard.in_all(HERE)), Some(500));
        heard.note(HERE, LinkHistory::of(LinkStatus { mtu: 1500, up: false, carrier: false }));
        heard.note(HERE, mtu(1500));
        assert_eq!(heard.lately(HERE), Some(LinkHistory { least_mtu: Some(500), down: true, unplugged: true }));
    }

    #[test]
    fn the_same_index_elsewhere_is_another_interface() {
        let mut heard = LinkEvents::default();
        heard.note(THERE, mtu(500));
        heard.note(HERE, mtu(1500));
        assert_eq!((least(heard.lately(THERE)), least(heard.lately(HERE))), (Some(500), Some(1500)));
        assert_eq!(least(heard.lately((Some(1), 2))), None);
    }

    #[test]
    fn nothing_is_said_of_a_time_of_which_something_was_missed() {
        let mut heard = LinkEvents::default();
        heard.first(HERE, mtu(1500));
        heard.miss();
        for _ in 0..2 {
            assert_eq!((heard.lately(HERE), heard.in_all(HERE)), (None, None));
            heard.looked();
        }
        assert_eq!((least(heard.lately(HERE)), heard.in_all(HERE)), (Some(1500), None));
    }
}
