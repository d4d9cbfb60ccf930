//! Links through rtnetlink, with a synchronous interface, and the interfaces that carry a default
//! route.

use std::{
    io,
    net::{Ipv4Addr, Ipv6Addr},
};

use futures::{TryStreamExt as _, stream::Stream};
use rtnetlink::{
    LinkUnspec, LinkVeth, RouteMessageBuilder,
    packet_route::{
        link::{
            AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoKind, LinkAttribute, LinkFlags,
            LinkInfo, LinkMessage, Prop,
        },
        route::RouteAttribute,
    },
};

use crate::host::{Link, Mac, ethtool::Ethtool};

/// Errors of rtnetlink.
#[derive(Debug, thiserror::Error)]
pub enum NetlinkError {
    /// The kernel gives no socket.
    #[error("cannot open a netlink socket")]
    Open(#[source] io::Error),
    /// The kernel refuses a request.
    #[error("netlink: cannot {request}")]
    Request {
        /// What was asked.
        request: String,
        /// Why not.
        source: rtnetlink::Error,
    },
}

/// A netlink socket of the calling thread's network namespace.
///
/// Its methods block, so they must not be called from asynchronous code.
#[derive(Debug)]
pub struct Netlink {
    runtime: tokio::runtime::Runtime,
    handle: rtnetlink::Handle,
    ethtool: Option<Ethtool>,
}

impl Netlink {
    /// Opens the socket.
    ///
    /// # Errors
    /// When the kernel gives none.
    pub fn open() -> Result<Self, NetlinkError> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()
            .map_err(NetlinkError::Open)?;
        let (connection, handle, _) = {
            let _context = runtime.enter();
            rtnetlink::new_connection().map_err(NetlinkError::Open)?
        };
        runtime.spawn(connection);
        Ok(Self { runtime, handle, ethtool: Ethtool::open() })
    }

    /// Every interface.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn links(&self) -> Result<Vec<Link>, NetlinkError> {
        Ok(self.link_messages()?.iter().map(|message| self.link(message)).collect())
    }

    /// The kernel's descriptions of every interface.
    pub(super) fn link_messages(&self) -> Result<Vec<LinkMessage>, NetlinkError> {
        self.collect("list interfaces", self.handle.link().get().execute())
    }

    /// The kernel's descriptions of the interfaces with these indices, as far as they exist, and of
    /// interfaces that belong to them: the peers of veth pairs, and, if one is a bond, all
    /// interfaces, because only slaves name their bond.
    pub(super) fn link_messages_of(
        &self,
        indices: &[u32],
    ) -> Result<Vec<LinkMessage>, NetlinkError> {
        let mut messages = Vec::new();
        for &index in indices {
            messages.extend(self.link_message(index)?);
        }
        if messages.iter().any(|message| is_of(message, &InfoKind::Bond)) {
            return self.link_messages();
        }
        let peers: Vec<u32> =
            messages.iter().filter_map(peer).filter(|peer| !indices.contains(peer)).collect();
        for index in peers {
            messages.extend(self.link_message(index)?);
        }
        Ok(messages)
    }

    /// None when there is no such interface.
    fn link_message(&self, index: u32) -> Result<Option<LinkMessage>, NetlinkError> {
        match self.collect(
            "ask about an interface",
            self.handle.link().get().match_index(index).execute(),
        ) {
            Err(NetlinkError::Request {
                source: rtnetlink::Error::NetlinkError(refused), ..
            }) if refused.raw_code() == -libc::ENODEV => Ok(None),
            messages => Ok(messages?.into_iter().next()),
        }
    }

    /// The interface that `message` is about.
    pub(super) fn link(&self, message: &LinkMessage) -> Link {
        let speed = self.ethtool.as_ref().and_then(|ethtool| ethtool.speed(message.header.index));
        Link { speed, ..link(message) }
    }

    /// The index of the peer of this veth. None when the interface is no veth, or its peer is in
    /// another network namespace.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn veth_peer(&self, interface: u32) -> Result<Option<u32>, NetlinkError> {
        let messages = self.collect(
            "list interfaces",
            self.handle.link().get().match_index(interface).execute(),
        )?;
        Ok(messages.iter().find_map(peer))
    }

    /// Interfaces that carry a default route, of either family.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn default_route_interfaces(&self) -> Result<Vec<u32>, NetlinkError> {
        let mut interfaces = Vec::new();
        for request in [
            RouteMessageBuilder::<Ipv4Addr>::new().build(),
            RouteMessageBuilder::<Ipv6Addr>::new().build(),
        ] {
            let routes = self.collect("list routes", self.handle.route().get(request).execute())?;
            for route in routes {
                if route.header.destination_prefix_length != 0 {
                    continue;
                }
                for attribute in route.attributes {
                    match attribute {
                        RouteAttribute::Oif(index) => interfaces.push(index),
                        RouteAttribute::MultiPath(hops) => {
                            interfaces.extend(hops.iter().map(|hop| hop.interface_index));
                        }
                        _ => {}
                    }
                }
            }
        }
        Ok(interfaces)
    }

    /// Makes a pair of veth interfaces with `queues` queues in each direction.
    ///
    /// # Errors
    /// When a name is taken, or without CAP_NET_ADMIN.
    pub fn add_veth(&self, name: &str, peer: &str, queues: u32) -> Result<(), NetlinkError> {
        let queues = [LinkAttribute::NumTxQueues(queues), LinkAttribute::NumRxQueues(queues)];
        let mut peer_builder = LinkUnspec::new_with_name(peer);
        let mut builder = LinkVeth::new(name, peer);
        for attribute in queues {
            peer_builder = peer_builder.append_extra_attribute(attribute.clone());
            builder = builder.append_extra_attribute(attribute);
        }
        let message = builder
            .set_info_data(rtnetlink::packet_route::link::InfoData::Veth(
                rtnetlink::packet_route::link::InfoVeth::Peer(peer_builder.build()),
            ))
            .build();
        self.run(
            &format!("create the veth pair {name}, {peer}"),
            self.handle.link().add(message).execute(),
        )
    }

    /// Keeps the kernel from giving an interface an IPv6 address when it is set up, so that it
    /// sends nothing of its own: no duplicate address detection, no group report, no router
    /// solicitation. Does nothing where there is no IPv6.
    ///
    /// # Errors
    /// When it does not exist, or without CAP_NET_ADMIN.
    pub fn keep_quiet(&self, name: &str) -> Result<(), NetlinkError> {
        let mode = vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)];
        let message = LinkUnspec::new_with_name(name)
            .append_extra_attribute(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(mode)]))
            .build();
        let request = format!("switch IPv6 addresses of {name} off");
        match self.run(&request, self.handle.link().change(message).execute()) {
            Err(NetlinkError::Request {
                source: rtnetlink::Error::NetlinkError(refused), ..
            }) if refused.raw_code() == -libc::EAFNOSUPPORT => Ok(()),
            other => other,
        }
    }

    /// Sets an interface up.
    ///
    /// # Errors
    /// When it does not exist, or without CAP_NET_ADMIN.
    pub fn set_up(&self, name: &str) -> Result<(), NetlinkError> {
        let message = LinkUnspec::new_with_name(name).up().build();
        self.run(&format!("set {name} up"), self.handle.link().change(message).execute())
    }

    fn run(
        &self,
        request: &str,
        future: impl Future<Output = Result<(), rtnetlink::Error>>,
    ) -> Result<(), NetlinkError> {
        self.runtime
            .block_on(future)
            .map_err(|source| NetlinkError::Request { request: request.to_owned(), source })
    }

    fn collect<T>(
        &self,
        request: &str,
        stream: impl Stream<Item = Result<T, rtnetlink::Error>>,
    ) -> Result<Vec<T>, NetlinkError> {
        self.runtime
            .block_on(stream.try_collect())
            .map_err(|source| NetlinkError::Request { request: request.to_owned(), source })
    }
}

/// The interface that `message` is about, without its speed.
pub(super) fn link(message: &LinkMessage) -> Link {
    let flags = message.header.flags;
    let mut link = Link {
        name: String::new(),
        alt_names: Vec::new(),
        index: message.header.index,
        mtu: 0,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        mac: None,
        bus: None,
        speed: None,
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::PropList(properties) => {
                link.alt_names.extend(properties.iter().filter_map(alternative_name));
            }
            LinkAttribute::Mtu(mtu) => link.mtu = *mtu,
            LinkAttribute::Address(bytes) => link.mac = Mac::try_from(bytes.as_slice()).ok(),
            LinkAttribute::ParentDevBusName(bus) => link.bus = Some(bus.clone()),
            _ => {}
        }
    }
    link
}

/// `IFLA_ALT_IFNAME` among the properties of an interface (since Linux 5.5, commit 36fbf1e52bd3).
fn alternative_name(property: &Prop) -> Option<String> {
    match property {
        Prop::AltIfName(name) => Some(name.clone()),
        _ => None,
    }
}

fn is_of(message: &LinkMessage, kind: &InfoKind) -> bool {
    message.attributes.iter().any(|attribute| match attribute {
        LinkAttribute::LinkInfo(parts) => {
            parts.iter().any(|part| matches!(part, LinkInfo::Kind(known) if known == kind))
        }
        _ => false,
    })
}

/// The peer's index, if the peer is in the same namespace: an index is only valid in its own.
fn peer(message: &LinkMessage) -> Option<u32> {
    let mut index = None;
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::Link(peer) => index = Some(*peer),
            LinkAttribute::LinkNetNsId(_) => return None,
            _ => {}
        }
    }
    index.filter(|_| is_of(message, &InfoKind::Veth))
}
