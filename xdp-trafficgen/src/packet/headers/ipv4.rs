//! IPv4.

use etherparse::{IpDscp, Ipv4HeaderSlice};

use super::{
    Decoded, Follows, HeaderDef, HeaderKind, IpPart, LINK, Need, Next, Number, OptionForm, Options, Padding, Place, V6,
};
use crate::packet::field::{Coverage, FieldDefault, ipv4, number};

/// IP protocol for experiments (RFC 3692): what is behind has no number.
pub(super) const EXPERIMENT: u128 = 253;
/// The customary default of hosts (RFC 1700).
pub(super) const DEFAULT_TTL: u128 = 64;

const ETHER_TYPE: Number = Number::EtherType(0x0800, &[]);
/// RFC 2003.
const IN_IP: Number = Number::IpProtocol(4);

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "ipv4",
    about: "IPv4 (RFC 791)",
    fields: &[
        number("version", 0, 4).default(4),
        number("header_length", 4, 4).header_length(4, 0),
        number("dscp", 8, 6),
        number("ecn", 14, 2),
        number("total_length", 16, 16).frame_length(0),
        number("identification", 32, 16),
        number("reserved", 48, 1),
        number("dont_fragment", 49, 1),
        number("more_fragments", 50, 1),
        number("fragment_offset", 51, 13),
        number("time_to_live", 64, 8).default(DEFAULT_TTL),
        number("protocol", 72, 8).next_header(EXPERIMENT),
        number("header_checksum", 80, 16).checksum(Coverage::Header),
        ipv4("src", 96).from(FieldDefault::Source),
        ipv4("dst", 128).from(FieldDefault::Destination),
    ],
    place: Place::Inner,
    follows: &[
        Follows { headers: LINK, number: ETHER_TYPE },
        Follows { headers: &[HeaderKind::Gre], number: ETHER_TYPE },
        Follows { headers: &[HeaderKind::Ipv4], number: IN_IP },
        Follows { headers: V6, number: IN_IP },
    ],
    carries: &[],
    options: Some(Options {
        name: "options",
        about: "hex",
        form: OptionForm::Hex,
        need: Need::Optional,
        padding: Padding::Zeros,
    }),
    ip: IpPart::Header { addresses: 12..20 },
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
    let mut words = format!("{} > {}", header.source_addr(), header.destination_addr());
    words += &dscp(header.dcp());
    if !header.options().is_empty() {
        words += &format!(", {} bytes of options", header.options().len());
    }
    if header.is_fragmenting_payload() {
        words += &fragment(header.fragments_offset().byte_offset(), header.more_fragments());
    }
    let rest = &bytes[header.slice().len()..];
    // A length that makes no sense was set by the user.
    let rest = header.payload_len().ok().and_then(|len| rest.get(..len.into())).unwrap_or(rest);
    let is_first = header.fragments_offset().value() == 0;
    let next = if is_first { Next::IpProtocol(header.protocol().0) } else { Next::Payload };
    Some(Decoded { words, next, rest })
}

pub(super) fn dscp(dscp: IpDscp) -> String {
    if dscp.value() == 0 { String::new() } else { format!(" dscp {}", dscp.value()) }
}

pub(super) fn fragment(offset: u16, more: bool) -> String {
    format!(", fragment at {offset}{}", if more { "+" } else { "" })
}
