//! What became of interfaces meanwhile: the kernel tells every change of a link, also one that is over before anybody looks.
//!
//! Without a thread: what the kernel told waits in the socket until it is read.

use std::{collections::BTreeMap, io};

use rtnetlink::{
    packet_route::{AddressFamily, RouteNetlinkMessage, link::LinkMessage},
    sys::{Socket, protocols::NETLINK_ROUTE},
};

use crate::host::{
    Link,
    netlink::link,
    request::{self, Received, receive},
};

/// `RTNLGRP_LINK` of include/uapi/linux/rtnetlink.h.
const RTNLGRP_LINK: u32 = 1;

/// What an interface was since somebody listens, if only for a moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meanwhile {
    /// The smallest of its MTUs; none where it was not changed.
    pub least_mtu: Option<u32>,
    /// Whether it was down.
    pub down: bool,
    /// Whether it was without carrier: of a veth, also when its peer was down.
    pub unplugged: bool,
}

impl Meanwhile {
    fn note(&mut self, Link { mtu, up, carrier, .. }: &Link) {
        self.least_mtu = Some(self.least_mtu.map_or(*mtu, |least| least.min(*mtu)));
        self.down |= !up;
        self.unplugged |= !carrier;
    }
}

/// Listens to the links of the network namespace it was opened in.
#[derive(Debug)]
pub struct LinkChanges {
    socket: Socket,
    seen: BTreeMap<u32, Meanwhile>,
}

impl LinkChanges {
    /// From now on.
    ///
    /// # Errors
    /// When the kernel gives no socket.
    pub fn open() -> io::Result<Self> {
        let socket = request::open(NETLINK_ROUTE)?;
        socket.add_membership(RTNLGRP_LINK)?;
        Ok(Self { socket, seen: BTreeMap::new() })
    }

    /// What the interface with this index was, up to now.
    pub fn of(&mut self, index: u32) -> Meanwhile {
        self.hear();
        self.seen.get(&index).copied().unwrap_or_default()
    }

    /// Takes in what the kernel told. To be called now and then: what it told too long ago, and nobody read, is lost.
    pub fn hear(&mut self) {
        loop {
            match receive::<RouteNetlinkMessage>(&self.socket) {
                Ok(Received { answers, .. }) => {
                    for answer in answers {
                        if let RouteNetlinkMessage::NewLink(message) = answer {
                            self.note(&message);
                        }
                    }
                }
                // More was told than the socket holds, and it goes on with what follows.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
                // Nothing more, or something that cannot be read.
                Err(_) => return,
            }
        }
    }

    fn note(&mut self, message: &LinkMessage) {
        // A change of a bridge's port comes as a link of the family AF_BRIDGE, which says less.
        if message.header.interface_family == AddressFamily::Unspec {
            self.seen.entry(message.header.index).or_default().note(&link(message));
        }
    }
}
