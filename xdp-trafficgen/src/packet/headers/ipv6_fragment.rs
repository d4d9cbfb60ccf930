//! The IPv6 fragment header.

use etherparse::Ipv6FragmentHeaderSlice;

use super::{Addressing, Decoded, Follows, HeaderDef, IpPart, Next, Number, Place, V6, ipv4};
use crate::packet::field::number;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "ipv6_fragment",
    about: "IPv6 fragment header (RFC 8200 section 4.5)",
    fields: &[
        number("next_header", 0, 8).next_header(ipv4::EXPERIMENT),
        number("reserved", 8, 8),
        number("fragment_offset", 16, 13),
        number("reserved2", 29, 2),
        number("more_fragments", 31, 1),
        number("identification", 32, 32),
    ],
    place: Place::Inner,
    follows: &[Follows { headers: V6, number: Number::IpProtocol(44) }],
    carries: &[],
    options: None,
    ip: IpPart::Between,
    addressing: Addressing::NextHop,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let header = Ipv6FragmentHeaderSlice::from_slice(bytes).ok()?;
    let offset = header.fragment_offset();
    let more = if header.more_fragments() { "+" } else { "" };
    let words = format!("id {}{}{more}", header.identification(), ipv4::fragment(offset));
    let is_first = offset.value() == 0;
    let next = if is_first { Next::IpProtocol(header.next_header().0) } else { Next::Payload };
    Some(Decoded { words, next, rest: &bytes[header.slice().len()..] })
}
