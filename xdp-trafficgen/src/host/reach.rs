//! How a destination is reached through an interface, as plain values: the plan's questions, and
//! the kernel's answers.

use std::{net::IpAddr, sync::Arc, time::Duration};

use crate::host::Mac;

/// How frames leave: an interface, and the VLANs of their tags.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Egress {
    /// The interface that frames leave by.
    pub interface: String,
    /// Their tags, from the outer to the inner one. The kernel keeps routes and neighbours of such
    /// a VLAN with the VLAN interface above.
    pub vlans: Vec<Vlan>,
}

/// A VLAN in a tag. The same id under another protocol is another VLAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Vlan {
    /// The tag's protocol identifier: 0x8100 of a C-tag, 0x88a8 of an S-tag (IEEE 802.1Q clause
    /// 9.5).
    pub tpid: u16,
    /// Its id.
    pub id: u16,
}

impl Vlan {
    /// The identifier of a C-tag.
    pub const CUSTOMER: u16 = 0x8100;
    /// The identifier of an S-tag, the outer one of two.
    pub const SERVICE: u16 = 0x88a8;
}

/// A range of destinations of one family; both ends belong to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destinations {
    /// The lowest address.
    pub first: IpAddr,
    /// The highest one.
    pub last: IpAddr,
}

impl Destinations {
    /// A single destination.
    pub const fn one(address: IpAddr) -> Self {
        Self { first: address, last: address }
    }
}

/// Destinations to look up together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lookup {
    /// How frames for them leave.
    pub egress: Arc<Egress>,
    /// The destinations. An answer holds for all of them.
    pub destinations: Destinations,
    /// What to look up.
    pub what: Required,
}

/// What to look up for a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Required {
    /// The source address that the kernel uses for it.
    Source,
    /// The source address, and the MAC address of the next hop. If the kernel does not know it, it
    /// is made to ask.
    NextHop,
}

/// How the kernel reaches a destination through an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// The source address that the kernel uses; for a range, that of the first destination.
    pub source: Option<IpAddr>,
    /// For a range: the first destination with another source address, and that address.
    pub other_source: Option<(IpAddr, IpAddr)>,
    /// Who takes the frames; none if only the source was to be looked up.
    pub next_hop: Option<Result<NextHop, Unreachable>>,
}

/// Who takes the frames for a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextHop {
    /// The interface whose neighbour it is: the egress interface, or a VLAN interface above it.
    pub interface: Arc<str>,
    /// A gateway, or the destination itself.
    pub neighbour: IpAddr,
    /// Its MAC address.
    pub mac: Mac,
    /// How that is known.
    pub by: MacSource,
}

/// How a MAC address is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacSource {
    /// The kernel's neighbour table has it, possibly after asking.
    Neighbour,
    /// It is the address of a multicast group ([`group_mac`]).
    Group,
    /// It is the broadcast address, and so is the destination.
    Broadcast,
}

/// Why no host takes the frames for a destination. Interfaces are those that the kernel was asked
/// about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// There is no route.
    NoRoute {
        /// The interface that no route leads out of.
        interface: Arc<str>,
        /// Whether that interface has an address of the destination's family.
        addressed: bool,
    },
    /// A route refuses the destination.
    Refused {
        /// `blackhole`, `unreachable` or `prohibit`, as `ip route` names them.
        route: &'static str,
    },
    /// The kernel's route leads out of another interface.
    Elsewhere {
        /// The egress interface.
        interface: Arc<str>,
        /// The other one.
        other: String,
    },
    /// It is an address of this machine.
    Own,
    /// No interface of this VLAN is above the interface.
    NoVlan {
        /// The interface.
        interface: Arc<str>,
        /// The VLAN.
        vlan: Vlan,
    },
    /// The VLAN interface is down.
    VlanDown(Arc<str>),
    /// The next hop cannot be asked, because the interface has no carrier.
    NoCarrier {
        /// The interface.
        interface: Arc<str>,
        /// Who should be asked.
        neighbour: IpAddr,
    },
    /// The next hop cannot be asked, because neighbour solicitations come from a link-local address
    /// (`ndisc_send_ns` of net/ipv6/ndisc.c, when no packet waits), and the interface has none.
    NoLinkLocal {
        /// The interface.
        interface: Arc<str>,
        /// Who should be asked.
        neighbour: IpAddr,
    },
    /// The next hop was asked and did not answer.
    Silent {
        /// The interface.
        interface: Arc<str>,
        /// Who was asked.
        neighbour: IpAddr,
        /// Requests that the kernel sent, as far as they were seen; none when it could not send
        /// any.
        requests: u32,
        /// How long it was waited for.
        waited: Duration,
    },
    /// The kernel refuses to ask for this process.
    MayNotAsk {
        /// The interface.
        interface: Arc<str>,
        /// Who should be asked.
        neighbour: IpAddr,
        /// The `errno` of the refusal.
        errno: i32,
    },
    /// The destinations of the range have a MAC address each: they are on the link, or groups.
    Each {
        /// The first of them.
        first: IpAddr,
    },
    /// The destinations of the range have several next hops; two of them.
    Several(IpAddr, IpAddr),
    /// Not asked, because others of the same run had not answered.
    NotReached {
        /// Who would have been asked.
        neighbour: IpAddr,
    },
}

impl Unreachable {
    /// Whether it was not asked, because others had not answered.
    pub const fn is_not_reached(&self) -> bool {
        matches!(self, Self::NotReached { .. })
    }
}

/// The broadcast address.
pub const BROADCAST_MAC: Mac = [0xff; 6];

/// The MAC address of a group: the low 23 bits behind 01:00:5e (RFC 1112 section 6.4), the low 32
/// bits behind 33:33 (RFC 2464 section 7), and the broadcast address for 255.255.255.255. None for
/// an address of one host.
pub const fn group_mac(address: IpAddr) -> Option<Mac> {
    match address {
        IpAddr::V4(v4) if v4.is_multicast() => {
            let [_, b, c, d] = v4.octets();
            Some([0x01, 0x00, 0x5e, b & 0x7f, c, d])
        }
        IpAddr::V4(v4) if v4.is_broadcast() => Some(BROADCAST_MAC),
        IpAddr::V6(v6) if v6.is_multicast() => {
            let [.., a, b, c, d] = v6.octets();
            Some([0x33, 0x33, a, b, c, d])
        }
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers are those of RFC 1112 section 6.4, RFC 2464 section 7, and the registry of
    /// groups (224.0.0.251 is mDNS).
    #[test]
    fn groups_have_mac_addresses_of_their_own() {
        #[track_caller]
        fn check(address: &str, expected: Option<Mac>) {
            assert_eq!(group_mac(address.parse().unwrap()), expected, "{address}");
        }
        check("224.0.0.251", Some([1, 0, 0x5e, 0, 0, 0xfb]));
        // The 24th bit is not used: 32 groups share a MAC address.
        check("239.129.2.3", Some([1, 0, 0x5e, 1, 2, 3]));
        check("239.255.255.255", Some([1, 0, 0x5e, 0x7f, 0xff, 0xff]));
        check("223.255.255.255", None);
        check("240.0.0.1", None);
        check("255.255.255.255", Some(BROADCAST_MAC));
        check("ff02::1:ff28:9c5a", Some([0x33, 0x33, 0xff, 0x28, 0x9c, 0x5a]));
        check("fe80::1", None);
        check("2001:db8::1", None);
    }
}
