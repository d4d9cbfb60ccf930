//! The headers and their fields, as tables: names (those of the Open Traffic Generator model), places and types.

use std::borrow::Cow;

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

/// A field of a header.
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
    /// 802.1Q tag.
    Vlan,
    /// IPv4 without options (RFC 791).
    Ipv4,
    /// IPv6 (RFC 8200).
    Ipv6,
    /// UDP (RFC 768).
    Udp,
    /// TCP (RFC 9293).
    Tcp,
    /// ICMP (RFC 792).
    Icmp,
    /// ICMPv6 (RFC 4443).
    Icmpv6,
}

const fn field(name: &'static str, bit_offset: i32, bits: u32, kind: FieldType) -> FieldDef {
    FieldDef { name: Cow::Borrowed(name), bit_offset, bits, kind }
}

static ETHERNET: &[FieldDef] = &[
    field("dst", 0, 48, FieldType::Mac),
    field("src", 48, 48, FieldType::Mac),
    field("ether_type", 96, 16, FieldType::Number),
];
static VLAN: &[FieldDef] = &[
    field("tpid", -16, 16, FieldType::Number),
    field("priority", 0, 3, FieldType::Number),
    field("cfi", 3, 1, FieldType::Number),
    field("id", 4, 12, FieldType::Number),
    field("ether_type", 16, 16, FieldType::Number),
];
static IPV4: &[FieldDef] = &[
    field("dscp", 8, 6, FieldType::Number),
    field("ecn", 14, 2, FieldType::Number),
    field("identification", 32, 16, FieldType::Number),
    field("time_to_live", 64, 8, FieldType::Number),
    field("protocol", 72, 8, FieldType::Number),
    field("src", 96, 32, FieldType::Ipv4),
    field("dst", 128, 32, FieldType::Ipv4),
];
static IPV6: &[FieldDef] = &[
    field("traffic_class", 4, 8, FieldType::Number),
    field("flow_label", 12, 20, FieldType::Number),
    field("next_header", 48, 8, FieldType::Number),
    field("hop_limit", 56, 8, FieldType::Number),
    field("src", 64, 128, FieldType::Ipv6),
    field("dst", 192, 128, FieldType::Ipv6),
];
static UDP: &[FieldDef] = &[
    field("src_port", 0, 16, FieldType::Number),
    field("dst_port", 16, 16, FieldType::Number),
    field("length", 32, 16, FieldType::Number),
    field("checksum", 48, 16, FieldType::Number),
];
static TCP: &[FieldDef] = &[
    field("src_port", 0, 16, FieldType::Number),
    field("dst_port", 16, 16, FieldType::Number),
    field("seq_num", 32, 32, FieldType::Number),
    field("ack_num", 64, 32, FieldType::Number),
    field("data_offset", 96, 4, FieldType::Number),
    field("ctl_syn", 110, 1, FieldType::Number),
    field("window", 112, 16, FieldType::Number),
    field("checksum", 128, 16, FieldType::Number),
];
static ICMP: &[FieldDef] = &[
    field("type", 0, 8, FieldType::Number),
    field("code", 8, 8, FieldType::Number),
    field("checksum", 16, 16, FieldType::Number),
    field("identifier", 32, 16, FieldType::Number),
    field("sequence_number", 48, 16, FieldType::Number),
];

impl HeaderKind {
    /// Every header.
    pub const ALL: [Self; 8] =
        [Self::Ethernet, Self::Vlan, Self::Ipv4, Self::Ipv6, Self::Udp, Self::Tcp, Self::Icmp, Self::Icmpv6];

    /// As users write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ethernet => "ethernet",
            Self::Vlan => "vlan",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Icmp => "icmp",
            Self::Icmpv6 => "icmpv6",
        }
    }

    /// Its fields, in the order of the wire.
    pub fn fields(self) -> &'static [FieldDef] {
        match self {
            Self::Ethernet => ETHERNET,
            Self::Vlan => VLAN,
            Self::Ipv4 => IPV4,
            Self::Ipv6 => IPV6,
            Self::Udp => UDP,
            Self::Tcp => TCP,
            Self::Icmp | Self::Icmpv6 => ICMP,
        }
    }

    /// The field of this name.
    pub fn field(self, name: &str) -> Option<&'static FieldDef> {
        self.fields().iter().find(|field| field.name == name)
    }
}
