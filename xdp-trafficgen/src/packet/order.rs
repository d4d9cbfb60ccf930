//! Which header can follow which.

use HeaderKind::{
    Arp, Custom, Ethernet, Gre, Gtpv1, Icmp, Icmpv6, Ipv4, Ipv6, Ipv6Destination, Ipv6Fragment, Ipv6HopByHop,
    Ipv6Routing, Mpls, Tcp, Udp, Vlan, Vxlan,
};

use super::{HeaderKind, Layer, StackError};

const LINK: &[HeaderKind] = &[Ethernet, Vlan];
/// IPv6 and whatever else ends in a `next_header`.
const V6: &[HeaderKind] = &[Ipv6, Ipv6HopByHop, Ipv6Destination, Ipv6Routing, Ipv6Fragment];

impl HeaderKind {
    /// The headers it can follow. Any header can follow `custom`, too; `ethernet` and `custom` can come first.
    pub fn follows(self) -> impl Iterator<Item = Self> {
        let groups: &[&[Self]] = match self {
            Ethernet => &[&[Mpls, Gre, Vxlan]],
            Vlan | Arp => &[LINK],
            Mpls => &[LINK, &[Mpls, Ipv4], V6, &[Gre]],
            // What follows ICMP is the packet an error message is about.
            Ipv4 => &[LINK, &[Mpls, Ipv4], V6, &[Gre, Gtpv1, Icmp]],
            Ipv6 => &[LINK, &[Mpls, Ipv4], V6, &[Gre, Gtpv1, Icmpv6]],
            // First among the extension headers (RFC 8200 section 4.1).
            Ipv6HopByHop => &[&[Ipv6]],
            Ipv6Destination | Ipv6Routing | Ipv6Fragment | Icmpv6 => &[V6],
            Icmp => &[&[Ipv4]],
            Udp | Tcp | Gre => &[&[Ipv4], V6],
            Vxlan | Gtpv1 => &[&[Udp]],
            Custom => &[&Self::ALL],
        };
        groups.iter().copied().flatten().copied()
    }
}

pub(super) fn check(layers: &[Layer]) -> Result<(), StackError> {
    let mut below = None;
    for (index, layer) in layers.iter().enumerate() {
        let fits = match below {
            None => matches!(layer.kind, Ethernet | Custom),
            Some(Custom) => true,
            Some(below) => layer.kind.follows().any(|kind| kind == below),
        };
        if !fits {
            return Err(StackError::Order { layer: index, kind: layer.kind, below });
        }
        below = Some(layer.kind);
    }
    Ok(())
}
