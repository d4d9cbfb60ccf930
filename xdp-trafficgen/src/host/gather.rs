//! Asks the kernel and the driver for all facts of an [`Interface`].

use rtnetlink::packet_route::link::{
    InfoBond, InfoData, InfoKind, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};

use crate::{
    host::{
        AttachedMode, AttachedXdp, Bond, Interface, Link, Netlink, NetlinkError, Peer, Queues,
        device::Device, elsewhere, files::Files, is_captured, netdev::Netdev, netlink::link,
    },
    sys::{
        ioctl::{Channels, Drivers},
        xdp_netlink::xdp_program,
    },
};

impl Interface {
    /// The interfaces of these names or alternative names, as far as they exist. `netlink` is a
    /// socket of the calling thread's network namespace. Blocks.
    ///
    /// # Errors
    /// When the kernel does not answer. A fact that the kernel or the driver does not know is none.
    pub fn gather(netlink: &Netlink, names: &[&str]) -> Result<Vec<Self>, NetlinkError> {
        let messages = netlink.link_messages()?;
        let named = |link: &Link| names.iter().any(|name| link.answers_to(name));
        Self::described(netlink, &messages, named)
    }

    /// The interfaces with these indices, whatever they are called by now, as far as they still
    /// exist. Asks only for what describes them, because frames are being sent. Blocks, for
    /// milliseconds.
    ///
    /// # Errors
    /// As [`Self::gather`]'s.
    pub fn again(indices: &[u32]) -> Result<Vec<Self>, NetlinkError> {
        let netlink = Netlink::open()?;
        let messages = netlink.link_messages_of(indices)?;
        Self::described(&netlink, &messages, |link| indices.contains(&link.index))
    }

    /// The interfaces that `is_wanted` selects from rtnetlink's descriptions of all interfaces.
    pub(super) fn described(
        netlink: &Netlink,
        messages: &[LinkMessage],
        is_wanted: impl Fn(&Link) -> bool,
    ) -> Result<Vec<Self>, NetlinkError> {
        let sources = Sources {
            netlink,
            drivers: Drivers::open().map_err(NetlinkError::Open)?,
            netdev: Netdev::open(),
            files: Files::of_this_machine(),
        };
        let described: Vec<LinkAttributes<'_>> = messages.iter().map(LinkAttributes::by).collect();
        let wanted = described.iter().filter(|described| is_wanted(&link(described.message)));
        Ok(wanted.map(|wanted| sources.interface(wanted, &described)).collect())
    }
}

/// The sockets and files that facts come from.
struct Sources<'a> {
    netlink: &'a Netlink,
    drivers: Drivers,
    netdev: Option<Netdev>,
    files: Files<'static>,
}

impl Sources<'_> {
    fn interface(&self, wanted: &LinkAttributes<'_>, all: &[LinkAttributes<'_>]) -> Interface {
        let name = wanted.name;
        // An interface that disappears meanwhile has no facts any more; the caller notices it
        // elsewhere.
        let driver = self.drivers.driver(name).ok().flatten();
        let channels = self.channels(wanted);
        let device = match (wanted.parent, &driver) {
            (Some((bus, device)), _) => Device::on_bus(self.files, bus, device),
            (None, Some(driver)) => Device::at(self.files, &driver.bus_info),
            (None, None) => None,
        };
        let Device { numa_node, interrupts, iommu } = device.unwrap_or_default();
        Interface {
            link: self.netlink.link(wanted.message),
            kind: wanted.kind.map(ToString::to_string),
            queues: self.queues(wanted, channels),
            most_queues: channels.map(|channels| channels.most),
            rings: self.drivers.rings(name).ok().flatten(),
            numa_node,
            interrupts,
            iommu,
            gro: self.drivers.gro(name).ok().flatten(),
            xdp: wanted
                .xdp
                .iter()
                .map(|&(mode, program)| AttachedXdp::new(mode, program))
                .collect(),
            features: self.netdev.as_ref().and_then(|netdev| netdev.features(wanted.index)),
            peer: self.peer(wanted, all),
            bond: bond(wanted, all),
            captured: is_captured(wanted.index),
            qdisc: wanted.qdisc.map(str::to_owned),
            driver,
        }
    }

    /// Queues in use. rtnetlink only knows how many the interface was made for, and veth, tun and
    /// NICs may use fewer. Their drivers tell (`ethtool -l`: a tap has as many as are open, none if
    /// no process has it open; virtio_net does not count the ones it keeps for XDP). Drivers that
    /// do not tell use those that the family `netdev` lists while the interface is up, which are
    /// nearly always those it was made for: lo, bridges and the like have one of each.
    fn queues(&self, wanted: &LinkAttributes<'_>, channels: Option<Channels>) -> Queues {
        let listed = || self.netdev.as_ref().and_then(|netdev| netdev.queues(wanted.index));
        channels.map(|channels| channels.current).or_else(listed).unwrap_or(wanted.made_for)
    }

    fn channels(&self, wanted: &LinkAttributes<'_>) -> Option<Channels> {
        self.drivers.channels(wanted.name).ok().flatten()
    }

    fn peer(&self, wanted: &LinkAttributes<'_>, all: &[LinkAttributes<'_>]) -> Option<Peer> {
        if wanted.kind != Some(&InfoKind::Veth) {
            return None;
        }
        if let Some(namespace) = wanted.linked_elsewhere {
            return Some(there(namespace, wanted.linked?).unwrap_or(Peer::Elsewhere));
        }
        // None while the peer is being removed.
        let peer = all.iter().find(|peer| Some(peer.index) == wanted.linked)?;
        let channels = self.channels(peer);
        Some(Peer::Here {
            name: peer.name.to_owned(),
            index: peer.index,
            up: peer.up,
            mtu: peer.mtu,
            native_xdp: peer.has_native_xdp(),
            gro: self.drivers.gro(peer.name).ok().flatten(),
            rx_queues: self.queues(peer, channels).rx,
            most_rx_queues: channels.map(|channels| channels.most.rx),
        })
    }
}

/// None for an interface that is no bond.
fn bond(wanted: &LinkAttributes<'_>, all: &[LinkAttributes<'_>]) -> Option<Bond> {
    let InfoData::Bond(parts) = wanted.data? else { return None };
    let mut bond = Bond::default();
    for part in parts {
        match part {
            InfoBond::Mode(mode) => bond.mode = mode.to_string(),
            InfoBond::XmitHashPolicy(policy) => bond.hash_policy = Some(policy.to_string()),
            _ => {}
        }
    }
    let slaves = all.iter().filter(|slave| slave.master == Some(wanted.index));
    bond.slaves = slaves.map(|slave| slave.name.to_owned()).collect();
    Some(bond)
}

/// The other end of a veth pair in the network namespace that has this number here.
fn there(namespace: i32, index: u32) -> Option<Peer> {
    let message = elsewhere::link(namespace, index)?;
    let peer = LinkAttributes::by(&message);
    Some(Peer::There {
        name: peer.name.to_owned(),
        nsid: namespace,
        index,
        up: peer.up,
        mtu: peer.mtu,
        native_xdp: peer.has_native_xdp(),
        namespace: elsewhere::name(namespace),
    })
}

/// rtnetlink's description of an interface.
struct LinkAttributes<'a> {
    message: &'a LinkMessage,
    index: u32,
    name: &'a str,
    up: bool,
    mtu: u32,
    kind: Option<&'a InfoKind>,
    /// Queues it was made for.
    made_for: Queues,
    /// The index of the interface that it is tied to: a veth's peer.
    linked: Option<u32>,
    /// If that interface is in another network namespace: the namespace's number in this one. The
    /// index is then one of that namespace.
    linked_elsewhere: Option<i32>,
    /// The bus its device is on, and the device.
    parent: Option<(&'a str, &'a str)>,
    /// The bond or bridge it belongs to.
    master: Option<u32>,
    qdisc: Option<&'a str>,
    /// Settings that only its kind has.
    data: Option<&'a InfoData>,
    /// Modes and ids of its programs.
    xdp: Vec<(AttachedMode, u32)>,
}

impl<'a> LinkAttributes<'a> {
    fn by(message: &'a LinkMessage) -> Self {
        let mut described = Self {
            message,
            index: message.header.index,
            name: "",
            up: message.header.flags.contains(LinkFlags::Up),
            mtu: 0,
            kind: None,
            made_for: Queues::default(),
            linked: None,
            linked_elsewhere: None,
            parent: None,
            master: None,
            qdisc: None,
            data: None,
            xdp: Vec::new(),
        };
        let (mut bus, mut device) = (None, None);
        for attribute in &message.attributes {
            match attribute {
                LinkAttribute::IfName(name) => described.name = name,
                LinkAttribute::Mtu(mtu) => described.mtu = *mtu,
                LinkAttribute::NumTxQueues(queues) => described.made_for.tx = *queues,
                LinkAttribute::NumRxQueues(queues) => described.made_for.rx = *queues,
                LinkAttribute::Link(index) => described.linked = Some(*index),
                LinkAttribute::LinkNetNsId(namespace) => {
                    described.linked_elsewhere = Some(*namespace)
                }
                LinkAttribute::ParentDevBusName(name) => bus = Some(name.as_str()),
                LinkAttribute::ParentDevName(name) => device = Some(name.as_str()),
                LinkAttribute::Xdp(parts) => {
                    described.xdp = parts.iter().filter_map(xdp_program).collect()
                }
                LinkAttribute::Controller(index) => described.master = Some(*index),
                LinkAttribute::Qdisc(name) => described.qdisc = Some(name),
                LinkAttribute::LinkInfo(parts) => {
                    described.data = parts.iter().find_map(|part| match part {
                        LinkInfo::Data(data) => Some(data),
                        _ => None,
                    });
                    described.kind = parts.iter().find_map(|part| match part {
                        LinkInfo::Kind(kind) => Some(kind),
                        _ => None,
                    });
                }
                _ => {}
            }
        }
        described.parent = bus.zip(device);
        described
    }

    fn has_native_xdp(&self) -> bool {
        self.xdp.iter().any(|(mode, _)| *mode == AttachedMode::Native)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_that_are_gone_are_left_out() {
        let nobody = i32::MAX.cast_unsigned();
        let names = |indices: &[u32]| {
            Interface::again(indices)
                .unwrap()
                .into_iter()
                .map(|interface| interface.link.name)
                .collect::<Vec<_>>()
        };
        assert_eq!(names(&[nobody, 1]), ["lo"]);
        assert_eq!(names(&[nobody]), [""; 0]);
        assert_eq!(names(&[]), [""; 0]);
    }
}
