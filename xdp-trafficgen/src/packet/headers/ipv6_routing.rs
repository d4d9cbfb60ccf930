//! The IPv6 routing header of any type, and the destination that it may have for pseudo headers.

use std::ops::Range;

use super::{
    Addressing, Decoded, Follows, HeaderDef, IpPart, Need, Next, Number, OptionForm, Options,
    Padding, Place, V6, ipv4, ipv6,
};
use crate::packet::field::number;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "ipv6_routing",
    about: "IPv6 routing header of any type (RFC 8200 section 4.4)",
    fields: &[
        number("next_header", 0, 8).next_header(ipv4::EXPERIMENT),
        number("length", 8, 8).header_length(8, 1),
        // For experiments (RFC 4727).
        number("routing_type", 16, 8).default(253),
        number("segments_left", 24, 8),
    ],
    place: Place::Inner,
    follows: &[Follows { headers: V6, number: Number::IpProtocol(43) }],
    carries: &[],
    options: Some(Options {
        name: "options",
        about: "hex, all behind the first four bytes",
        form: OptionForm::Hex,
        need: Need::Optional,
        padding: Padding::Zeros,
    }),
    ip: IpPart::Routing,
    addressing: Addressing::NextHop,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    ipv6::extension("routing header", bytes)
}

/// Where the routing type of a header is, with the segments left behind it.
pub(in crate::packet) fn routing_type_at(header: &Range<usize>) -> usize {
    header.start + 2
}

/// Where a routing header says the packet ends up, which is the destination in the pseudo header
/// (RFC 8200 section 8.1), when there are segments left: the last address of type 0 (RFC 5095), the
/// home address of type 2 (RFC 6275 section 6.4), the first segment of type 4, whose list runs
/// backwards (RFC 8754 section 2). What IPv4 source routes say is not looked at.
pub(in crate::packet) fn final_destination(
    header: &Range<usize>,
    frame: &[u8],
) -> Option<Range<usize>> {
    let (routing_type, segments_left) = (frame[header.start + 2], frame[header.start + 3]);
    match routing_type {
        _ if segments_left == 0 || !has_addresses(header) => None,
        0 => Some(header.end - 16..header.end),
        2 | 4 => Some(header.start + 8..header.start + 24),
        _ => None,
    }
}

/// Whether [`final_destination`] knows this routing type.
pub(in crate::packet) const fn names_destination(routing_type: u8) -> bool {
    matches!(routing_type, 0 | 2 | 4)
}

/// Whether a routing header has room for an address.
pub(in crate::packet) fn has_addresses(header: &Range<usize>) -> bool {
    header.len() >= 24
}
