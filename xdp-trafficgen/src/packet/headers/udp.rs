//! UDP.

use etherparse::UdpHeaderSlice;

use super::{Decoded, Follows, HeaderDef, HeaderKind, IpPart, Next, Number, Place, V6};
use crate::packet::field::{Coverage, number};

/// The first of the dynamic ports (RFC 6335).
pub(super) const DEFAULT_SOURCE_PORT: u128 = 49152;
/// Discard (RFC 863).
pub(super) const DISCARD_PORT: u128 = 9;

const PROTOCOL: u8 = 17;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "udp",
    about: "UDP (RFC 768)",
    fields: &[
        number("src_port", 0, 16).default(DEFAULT_SOURCE_PORT),
        number("dst_port", 16, 16).next_header(DISCARD_PORT),
        number("length", 32, 16).frame_length(0),
        number("checksum", 48, 16).checksum(Coverage::Message { pseudo: Some(PROTOCOL), zero_is_ones: true }),
    ],
    place: Place::Inner,
    follows: &[
        Follows { headers: &[HeaderKind::Ipv4], number: Number::IpProtocol(PROTOCOL) },
        Follows { headers: V6, number: Number::IpProtocol(PROTOCOL) },
    ],
    carries: &[],
    options: None,
    ip: IpPart::End,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let header = UdpHeaderSlice::from_slice(bytes).ok()?;
    let (source, destination) = (header.source_port(), header.destination_port());
    let words = format!("udp {source} > {destination}, checksum {:04x}", header.checksum());
    Some(Decoded { words, next: Next::UdpPort(destination), rest: &bytes[header.slice().len()..] })
}
