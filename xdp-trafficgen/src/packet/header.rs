//! What a header and a field are, and which headers there are.

use std::borrow::Cow;

use super::fields;

/// How a field's values are written by users, and shown to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldType {
    /// `02:00:00:00:00:01`
    Mac,
    /// `192.0.2.1`
    Ipv4,
    /// `2001:db8::1`
    Ipv6,
    /// A number, decimal or `0x` hexadecimal.
    Number,
}

/// A field of a header: one of the header's table, or bits at any offset that a user named.
///
/// Anything that is not in the header's table ([`HeaderKind::fields`]) is bits: their offset is taken as it is, from where
/// the header starts in the frame. A field of the table moves up when optional parts before it are absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldDef {
    /// As users write it.
    pub name: Cow<'static, str>,
    /// Bits from the header's start to the field's first (most significant) bit, where the header has all of its optional
    /// parts. Negative for a field that lies in the header before (the `tpid` of a VLAN tag).
    pub bit_offset: i32,
    /// 1 to 128.
    pub bits: u32,
    /// How its values are written.
    pub kind: FieldType,
}

impl FieldDef {
    /// The largest value that fits.
    pub const fn max(&self) -> u128 {
        u128::MAX >> (128 - self.bits)
    }
}

/// The headers the generator knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeaderKind {
    /// Ethernet II (IEEE 802.3).
    Ethernet,
    /// 802.1Q tag; several are QinQ.
    Vlan,
    /// An entry of an MPLS label stack (RFC 3032).
    Mpls,
    /// ARP for IPv4 on Ethernet (RFC 826).
    Arp,
    /// IPv4 (RFC 791).
    Ipv4,
    /// IPv6 (RFC 8200).
    Ipv6,
    /// IPv6 hop-by-hop options (RFC 8200 section 4.3).
    Ipv6HopByHop,
    /// IPv6 destination options (RFC 8200 section 4.6).
    Ipv6Destination,
    /// IPv6 routing header of any type (RFC 8200 section 4.4).
    Ipv6Routing,
    /// IPv6 fragment header (RFC 8200 section 4.5).
    Ipv6Fragment,
    /// UDP (RFC 768).
    Udp,
    /// TCP (RFC 9293).
    Tcp,
    /// ICMP (RFC 792).
    Icmp,
    /// ICMP for IPv6 (RFC 4443).
    Icmpv6,
    /// GRE (RFC 2784, RFC 2890).
    Gre,
    /// VXLAN (RFC 7348).
    Vxlan,
    /// GTP-U version 1 (3GPP TS 29.281 section 5.1).
    Gtpv1,
    /// Any bytes.
    Custom,
}

impl HeaderKind {
    /// Every header.
    pub const ALL: [Self; 18] = [
        Self::Ethernet,
        Self::Vlan,
        Self::Mpls,
        Self::Arp,
        Self::Ipv4,
        Self::Ipv6,
        Self::Ipv6HopByHop,
        Self::Ipv6Destination,
        Self::Ipv6Routing,
        Self::Ipv6Fragment,
        Self::Udp,
        Self::Tcp,
        Self::Icmp,
        Self::Icmpv6,
        Self::Gre,
        Self::Vxlan,
        Self::Gtpv1,
        Self::Custom,
    ];

    /// As users write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet",
            Self::Vlan => "vlan",
            Self::Mpls => "mpls",
            Self::Arp => "arp",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Ipv6HopByHop => "ipv6_hop_by_hop",
            Self::Ipv6Destination => "ipv6_destination",
            Self::Ipv6Routing => "ipv6_routing",
            Self::Ipv6Fragment => "ipv6_fragment",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
            Self::Gre => "gre",
            Self::Vxlan => "vxlan",
            Self::Gtpv1 => "gtpv1",
            Self::Custom => "custom",
        }
    }

    /// Its fields, in the order of the wire.
    pub fn fields(self) -> &'static [FieldDef] {
        match self {
            Self::Ethernet => fields::ETHERNET,
            Self::Vlan => fields::VLAN,
            Self::Mpls => fields::MPLS,
            Self::Arp => fields::ARP,
            Self::Ipv4 => fields::IPV4,
            Self::Ipv6 => fields::IPV6,
            Self::Ipv6HopByHop | Self::Ipv6Destination => fields::IPV6_OPTIONS,
            Self::Ipv6Routing => fields::IPV6_ROUTING,
            Self::Ipv6Fragment => fields::IPV6_FRAGMENT,
            Self::Udp => fields::UDP,
            Self::Tcp => fields::TCP,
            Self::Icmp | Self::Icmpv6 => fields::ICMP,
            Self::Gre => fields::GRE,
            Self::Vxlan => fields::VXLAN,
            Self::Gtpv1 => fields::GTPV1,
            Self::Custom => &[],
        }
    }

    /// The field of this name.
    pub fn field(self, name: &str) -> Option<&'static FieldDef> {
        self.fields().iter().find(|field| field.name == name)
    }

    /// What users call its part of variable length, [`Layer::options`](super::Layer::options), when it has one.
    pub const fn options(self) -> Option<&'static str> {
        match self {
            Self::Ipv4 | Self::Tcp | Self::Ipv6HopByHop | Self::Ipv6Destination | Self::Ipv6Routing => Some("options"),
            Self::Custom => Some("bytes"),
            _ => None,
        }
    }

    /// The name of the field that holds its checksum, when it has one.
    pub const fn checksum_field(self) -> Option<&'static str> {
        match self {
            Self::Ipv4 => Some("header_checksum"),
            Self::Udp | Self::Tcp | Self::Icmp | Self::Icmpv6 | Self::Gre => Some("checksum"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::HeaderKind;

    /// A typing error in a table would show here, or in `tests/it/stacks.rs`.
    #[test]
    fn fields_are_in_the_order_of_the_wire_and_do_not_overlap() {
        for kind in HeaderKind::ALL {
            let mut end = i32::MIN;
            for field in kind.fields() {
                assert!(field.bit_offset >= end, "{}.{}", kind.name(), field.name);
                assert!((1..=128).contains(&field.bits), "{}.{}", kind.name(), field.name);
                end = field.bit_offset + i32::try_from(field.bits).expect("checked");
            }
            assert_eq!(end.max(0) % 8, 0, "{} ends within a byte", kind.name());
            assert!(kind.checksum_field().is_none_or(|name| kind.field(name).is_some_and(|field| field.bits == 16)));
        }
    }
}
