//! An entry of an MPLS label stack.

use super::{
    Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, LINK, Next, Number, Place, V6,
};
use crate::packet::field::number;

/// For unicast, and for multicast (RFC 3032 section 5).
const ETHER_TYPE: Number = Number::EtherType(0x8847, &[0x8848]);
/// RFC 4023.
const IN_IP: Number = Number::IpProtocol(137);
/// The first label that has no meaning of its own (RFC 3032 section 2.1).
const FIRST_FREE_LABEL: u128 = 16;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "mpls",
    about: "an entry of an MPLS label stack (RFC 3032)",
    fields: &[
        number("label", 0, 20).default(FIRST_FREE_LABEL),
        number("traffic_class", 20, 3),
        number("bottom_of_stack", 23, 1).next_header(1),
        number("time_to_live", 24, 8).default(64),
    ],
    place: Place::Inner,
    follows: &[
        Follows { headers: LINK, number: ETHER_TYPE },
        Follows { headers: &[HeaderKind::Gre], number: ETHER_TYPE },
        Follows { headers: &[HeaderKind::Ipv4], number: IN_IP },
        Follows { headers: V6, number: IN_IP },
    ],
    carries: &[
        (HeaderKind::Mpls, Some(0)),
        (HeaderKind::Ethernet, Some(1)),
        (HeaderKind::Ipv4, Some(1)),
        (HeaderKind::Ipv6, Some(1)),
    ],
    options: None,
    ip: IpPart::End,
    addressing: Addressing::NextHop,
    decode,
};

/// RFC 3032 section 2.1.
fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let (entry, rest) = bytes.split_first_chunk()?;
    let entry = u32::from_be_bytes(*entry);
    let (class, is_bottom) = (entry >> 9 & 7, entry >> 8 & 1 == 1);
    let mut words = format!("mpls {}", entry >> 12);
    if class > 0 {
        words += &format!(" class {class}");
    }
    words += &format!(" ttl {}", entry & 0xff);
    let next = if is_bottom { Next::by_ip_version(rest) } else { Next::Header(HeaderKind::Mpls) };
    Some(Decoded { words, next, rest })
}

#[cfg(test)]
mod tests {
    use crate::packet::testing::{MAC_WORDS, check_line, over_ethernet};

    #[test]
    fn in_words() {
        let ip = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        let labels = [&[0, 0x01, 0x00, 64, 0, 0x01, 0x17, 63][..], &ip].concat();
        let words =
            "mpls 16 ttl 64  mpls 17 class 3 ttl 63  192.0.2.1 > 192.0.2.2  ip protocol 253";
        check_line(&over_ethernet(0x8847, &labels), &format!("{MAC_WORDS}  {words}"));
    }
}
