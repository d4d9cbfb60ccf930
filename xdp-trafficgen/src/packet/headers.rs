//! What a header is, and which there are: the registry that everything else iterates.
//!
//! One file holds all knowledge of one header, in its `HEADER`. A new header needs a new file, its
//! `mod` and its entry in the list below.

mod arp;
mod custom;
mod ethernet;
mod gre;
mod gtpv1;
mod icmp;
mod icmpv6;
mod ipv4;
mod ipv6;
mod ipv6_destination;
mod ipv6_fragment;
mod ipv6_hop_by_hop;
pub(super) mod ipv6_routing;
mod mpls;
mod pppoe;
mod tcp;
mod udp;
mod vlan;
mod vxlan;

use std::ops::Range;

use super::field::{Coverage, FieldDef, FieldDefault, Role};

macro_rules! headers {
    ($($kind:ident = $module:ident,)+) => {
        /// The headers the generator knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum HeaderKind {
            $(
                #[doc = concat!("The one of `packet/headers/", stringify!($module), ".rs`.")]
                $kind,
            )+
        }

        impl HeaderKind {
            /// Every header.
            pub const ALL: [Self; [$(Self::$kind),+].len()] = [$(Self::$kind),+];

            /// Its definition.
            pub(crate) fn def(self) -> &'static HeaderDef {
                match self {
                    $(Self::$kind => &$module::HEADER,)+
                }
            }
        }
    };
}

headers! {
    Ethernet = ethernet,
    Vlan = vlan,
    Pppoe = pppoe,
    Mpls = mpls,
    Arp = arp,
    Ipv4 = ipv4,
    Ipv6 = ipv6,
    Ipv6HopByHop = ipv6_hop_by_hop,
    Ipv6Destination = ipv6_destination,
    Ipv6Routing = ipv6_routing,
    Ipv6Fragment = ipv6_fragment,
    Udp = udp,
    Tcp = tcp,
    Icmp = icmp,
    Icmpv6 = icmpv6,
    Gre = gre,
    Vxlan = vxlan,
    Gtpv1 = gtpv1,
    Custom = custom,
}

/// Everything of one header.
pub(crate) struct HeaderDef {
    /// As users write it.
    pub(crate) name: &'static str,
    /// What it is, with the standard it follows.
    pub(crate) about: &'static str,
    /// In the order of the wire.
    pub(crate) fields: &'static [FieldDef],
    pub(crate) place: Place,
    /// The headers it can follow, with its number there.
    pub(crate) follows: &'static [Follows],
    /// Further headers that can follow it: those whose own file does not mention this one. Each
    /// has its number for [`Role::NextHeader`], where this header has such a field.
    pub(crate) carries: &'static [(HeaderKind, Option<u16>)],
    /// The part of variable length.
    pub(crate) options: Option<Options>,
    pub(crate) ip: IpPart,
    pub(crate) addressing: Addressing,
    /// Reads it for `show`, from its first byte on.
    pub(crate) decode: Decoder,
}

/// Where a header can stand, apart from the places that `follows` and `carries` name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Nowhere else.
    Inner,
    /// First in the frame.
    First,
    /// First, behind any header and before any.
    Anywhere,
}

/// Headers that a header can follow, and its number there.
pub(crate) struct Follows {
    pub(crate) headers: &'static [HeaderKind],
    pub(crate) number: Number,
}

/// The number by which the headers before it name a header.
pub(crate) enum Number {
    /// An Ethernet type (IEEE 802), and others that are read as this header as well.
    EtherType(u16, &'static [u16]),
    /// An IP protocol number (IANA).
    IpProtocol(u8),
    /// A UDP port (IANA), with a check whether bytes look like this header: others may use the
    /// port, too.
    UdpPort(u16, fn(&[u8]) -> bool),
}

/// Headers that have an Ethernet type for what is behind them, except GRE.
const LINK: &[HeaderKind] = &[HeaderKind::Ethernet, HeaderKind::Vlan];
/// IPv6 and its extension headers.
const V6: &[HeaderKind] = &[
    HeaderKind::Ipv6,
    HeaderKind::Ipv6HopByHop,
    HeaderKind::Ipv6Destination,
    HeaderKind::Ipv6Routing,
    HeaderKind::Ipv6Fragment,
];

/// A part of variable length. The header's length field (`Role::HeaderLength`) decides its unit,
/// and how long it can be.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// What users call it.
    pub name: &'static str,
    /// How they write it, for the reference.
    pub(crate) about: &'static str,
    pub(crate) form: OptionForm,
    pub(crate) need: Need,
    pub(crate) padding: Padding,
}

/// How users write options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OptionForm {
    /// Hexadecimal digits.
    Hex,
    /// A list of TCP options, or hexadecimal digits.
    TcpOptions,
}

/// Whether options must be given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    Optional,
    Required,
}

/// What fills options up to whole units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Padding {
    /// Zero bytes.
    Zeros,
    /// One padding option of IPv6 extension headers (RFC 8200 section 4.2).
    Ipv6Option,
}

/// What a header means for the pseudo headers of those behind it.
pub(crate) enum IpPart {
    /// An IP header: these bytes are its addresses; its [`Role::FrameLength`] says where the packet
    /// ends.
    Header { addresses: Range<usize> },
    /// An IPv6 routing header, which may have the destination.
    Routing,
    /// May stand between an IP header and what it carries.
    Between,
    /// Ends the IP packet it is in: what is behind it has no pseudo header of that packet.
    End,
}

/// What a header of the outermost link says of the frame's destination MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addressing {
    /// Nothing: it belongs to the link, and the MTU counts from behind it.
    Link,
    /// As little, but the next hop is in the VLAN that these fields name.
    Tag { protocol: &'static str, id: &'static str },
    /// It is that of the next hop to the first IP destination in this header or behind it.
    NextHop,
    /// It is that of the other end of a session, which no address behind this header tells.
    Session,
    /// The frame is for everybody on the link.
    Everybody,
}

impl Addressing {
    /// Whether the header belongs to the link.
    pub(crate) const fn is_link(self) -> bool {
        match self {
            Self::Link | Self::Tag { .. } => true,
            Self::NextHop | Self::Session | Self::Everybody => false,
        }
    }
}

/// Reads a header; none when there are too few bytes, or their lengths and versions are invalid.
pub(crate) type Decoder = for<'a> fn(&'a [u8], Next) -> Option<Decoded<'a>>;

/// A header in words, and what is behind it.
pub(crate) struct Decoded<'a> {
    pub(crate) words: String,
    pub(crate) next: Next,
    pub(crate) rest: &'a [u8],
}

/// What the header before says of the next bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Header(HeaderKind),
    EtherType(u16),
    IpProtocol(u8),
    UdpPort(u16),
    /// No header follows.
    Payload,
}

impl Next {
    /// An IP packet, whose version only its own first bits tell.
    pub(crate) fn by_ip_version(bytes: &[u8]) -> Self {
        match bytes.first().map(|byte| byte >> 4) {
            Some(4) => Self::EtherType(0x0800),
            Some(6) => Self::EtherType(0x86dd),
            // Too short, or a number that is no version (IANA).
            _ => Self::Payload,
        }
    }
}

impl HeaderDef {
    /// Its bytes with all of its optional parts and without options.
    pub(super) fn fixed_len(&self) -> usize {
        let end = self.fields.iter().map(FieldDef::end_bit).max().unwrap_or(0);
        end.unsigned_abs() as usize / 8
    }

    /// The field that counts to the frame's end, and the byte of the header it counts from.
    pub(super) fn frame_length(&self) -> Option<(&'static FieldDef, usize)> {
        self.fields.iter().find_map(|field| {
            let Role::FrameLength { counted_from } = field.role else { return None };
            Some((field, counted_from))
        })
    }

    /// The field with the header's own length, its unit, and the units that it does not count.
    pub(super) fn header_length(&self) -> Option<(&'static FieldDef, usize, usize)> {
        self.fields.iter().find_map(|field| {
            let Role::HeaderLength { unit, less } = field.role else { return None };
            Some((field, unit, less))
        })
    }

    pub(super) fn checksum(&self) -> Option<(&'static FieldDef, Coverage)> {
        self.fields.iter().find_map(|field| {
            let Role::Checksum(coverage) = field.role else { return None };
            Some((field, coverage))
        })
    }

    /// The fields with the IP addresses of the sender and of the destination, where it has both.
    pub(crate) fn ends(&self) -> Option<(&'static FieldDef, &'static FieldDef)> {
        let source = self
            .fields
            .iter()
            .find(|field| matches!(field.default, FieldDefault::Source | FieldDefault::Sender))?;
        let destination =
            self.fields.iter().find(|field| field.default == FieldDefault::Destination)?;
        Some((source, destination))
    }

    /// The flag that tells whether the header has `field`; none for a field that it always has.
    pub(crate) fn presence_of(&self, field: &FieldDef) -> Option<&'static FieldDef> {
        self.fields
            .iter()
            .find(|flag| matches!(&flag.role, Role::Presence { fields, .. } if fields.contains(&field.byte())))
    }
}

impl HeaderKind {
    /// As users write it.
    pub fn name(self) -> &'static str {
        self.def().name
    }

    /// Its fields, in the order of the wire.
    pub fn fields(self) -> &'static [FieldDef] {
        self.def().fields
    }

    /// The field of this name.
    pub fn field(self, name: &str) -> Option<&'static FieldDef> {
        self.fields().iter().find(|field| field.name == name)
    }

    /// Its part of variable length, [`Layer::options`](super::Layer::options), when it has one.
    pub fn options(self) -> Option<&'static Options> {
        self.def().options.as_ref()
    }

    /// The field that holds its checksum, when it has one.
    pub fn checksum_field(self) -> Option<&'static FieldDef> {
        self.def().checksum().map(|(field, _)| field)
    }

    /// The headers it can follow. Any header can follow `custom`, too; `ethernet` and `custom` can
    /// come first.
    pub fn follows(self) -> impl Iterator<Item = Self> {
        let is_anywhere = self.def().place == Place::Anywhere;
        Self::ALL.into_iter().filter(move |below| is_anywhere || below.naming(self).is_some())
    }

    /// The number of `next` for its [`Role::NextHeader`]; none when `next` has no number there.
    pub(crate) fn number_of(self, next: Self) -> Option<u16> {
        match self.naming(next) {
            Some(Naming::Number(number)) => Some(number),
            Some(Naming::Silent) | None => None,
        }
    }

    /// None when `next` cannot be behind it.
    fn naming(self, next: Self) -> Option<Naming> {
        let own = self.def().carries.iter().find(|(kind, _)| *kind == next);
        if let Some((_, number)) = own {
            return Some(number.map_or(Naming::Silent, Naming::Number));
        }
        let follows = next.def().follows.iter().find(|follows| follows.headers.contains(&self))?;
        Some(Naming::Number(match follows.number {
            Number::EtherType(number, _) => number,
            Number::IpProtocol(number) => number.into(),
            Number::UdpPort(port, _) => port,
        }))
    }
}

/// How a header says what is behind it.
enum Naming {
    Number(u16),
    /// It does not: only one header can be there, or its first bits tell which one it is.
    Silent,
}
