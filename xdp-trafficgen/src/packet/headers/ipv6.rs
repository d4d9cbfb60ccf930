//! IPv6.

use etherparse::{Ipv6HeaderSlice, Ipv6RawExtHeaderSlice};

use super::{
    Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, LINK, Next, Number, Place, V6,
    ipv4,
};
use crate::packet::field::{FieldDefault, ipv6, number};

const ETHER_TYPE: Number = Number::EtherType(0x86dd, &[]);
/// RFC 2473.
const IN_IP: Number = Number::IpProtocol(41);

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "ipv6",
    about: "IPv6 (RFC 8200)",
    fields: &[
        number("version", 0, 4).default(6),
        number("traffic_class", 4, 8),
        number("flow_label", 12, 20),
        number("payload_length", 32, 16).frame_length(40),
        number("next_header", 48, 8).next_header(ipv4::EXPERIMENT),
        number("hop_limit", 56, 8).default(ipv4::DEFAULT_TTL),
        ipv6("src", 64).from(FieldDefault::Source),
        ipv6("dst", 192).from(FieldDefault::Destination),
    ],
    place: Place::Inner,
    follows: &[
        Follows { headers: LINK, number: ETHER_TYPE },
        Follows { headers: &[HeaderKind::Gre], number: ETHER_TYPE },
        Follows { headers: &[HeaderKind::Ipv4], number: IN_IP },
        Follows { headers: V6, number: IN_IP },
    ],
    carries: &[],
    options: None,
    ip: IpPart::Header { addresses: 8..40 },
    addressing: Addressing::NextHop,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
    let mut words = format!("{} > {}", header.source_addr(), header.destination_addr());
    words += &ipv4::dscp(header.dscp());
    let rest = &bytes[header.slice().len()..];
    let rest = rest.get(..header.payload_length().into()).unwrap_or(rest);
    Some(Decoded { words, next: Next::IpProtocol(header.next_header().0), rest })
}

/// An extension header with its length in the second byte (RFC 8200 section 4).
pub(super) fn extension<'a>(name: &str, bytes: &'a [u8]) -> Option<Decoded<'a>> {
    let header = Ipv6RawExtHeaderSlice::from_slice(bytes).ok()?;
    let len = header.slice().len();
    let words = format!("{name} {len} bytes");
    Some(Decoded { words, next: Next::IpProtocol(header.next_header().0), rest: &bytes[len..] })
}

#[cfg(test)]
mod tests {
    use crate::packet::{
        HeaderKind::{self, Ethernet, Ipv6, Ipv6Destination, Ipv6HopByHop, Ipv6Routing, Udp},
        testing::{MAC_WORDS, MACS, V6, check_line, layer, over_ethernet, short},
    };

    #[test]
    fn extension_headers_are_padded_to_eight_bytes() {
        #[track_caller]
        fn check(kind: HeaderKind, options: &[u8], expected: &[u8]) {
            let mut extension = layer(kind, &[]);
            extension.options = options.to_vec();
            let template =
                short(&[layer(Ethernet, &MACS), layer(Ipv6, &V6), extension, layer(Udp, &[])]);
            assert_eq!(template.bytes[54..template.offsets[3]], *expected);
        }
        check(Ipv6HopByHop, &[], &[17, 0, 1, 4, 0, 0, 0, 0]);
        check(Ipv6HopByHop, &[5, 2, 0, 0], &[17, 0, 5, 2, 0, 0, 1, 0]);
        check(Ipv6Destination, &[1, 3, 0, 0, 0], &[17, 0, 1, 3, 0, 0, 0, 0]);
        check(Ipv6Destination, &[1, 4, 0, 0, 0, 0], &[17, 0, 1, 4, 0, 0, 0, 0]);
        check(Ipv6Routing, &[7, 7, 7, 7, 7], &[17, 1, 253, 0, 7, 7, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn extension_headers_and_fragments_in_words() {
        let mut packet = vec![0x60, 0, 0, 0, 0, 24, 0, 64];
        packet.extend([0; 32]);
        packet.extend([44, 0, 0, 0, 0, 0, 0, 0]);
        packet.extend([17, 0, 0, 0x09, 0, 0, 0, 5]);
        packet.extend([0; 8]);
        let words = ":: > ::  hop-by-hop options 8 bytes  id 5, fragment at 8+  8 bytes";
        check_line(&over_ethernet(0x86dd, &packet), &format!("{MAC_WORDS}  {words}"));
    }
}
