//! VXLAN, which etherparse does not know.

use super::{Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, Next, Number, Place};
use crate::packet::field::number;

/// The I flag: the VNI is valid (RFC 7348 section 5).
const VALID_VNI: u8 = 0x08;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "vxlan",
    about: "VXLAN (RFC 7348)",
    fields: &[
        number("flags", 0, 8).default(VALID_VNI as u128),
        number("reserved0", 8, 24),
        number("vni", 32, 24),
        number("reserved1", 56, 8),
    ],
    place: Place::Inner,
    // RFC 7348 section 5.
    follows: &[Follows { headers: &[HeaderKind::Udp], number: Number::UdpPort(4789, is_vxlan) }],
    carries: &[(HeaderKind::Ethernet, None)],
    options: None,
    ip: IpPart::End,
    addressing: Addressing::NextHop,
    decode,
};

fn is_vxlan(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|flags| flags & VALID_VNI != 0)
}

/// RFC 7348 section 5.
fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let (&[_, _, _, _, n0, n1, n2, _], rest) = bytes.split_first_chunk()?;
    let words = format!("vxlan {}", u32::from_be_bytes([0, n0, n1, n2]));
    Some(Decoded { words, next: Next::Header(HeaderKind::Ethernet), rest })
}

#[cfg(test)]
mod tests {
    use crate::packet::testing::{MAC_WORDS, check_line, over_ethernet, over_udp, udp_words};

    #[test]
    fn in_words() {
        let vxlan = [&[8, 0, 0, 0, 0, 1, 0, 0][..], &over_ethernet(0x88b5, &[])].concat();
        let outer = udp_words(4789);
        check_line(
            &over_udp(4789, &vxlan),
            &format!("{outer}  vxlan 256  {MAC_WORDS}  ether type 88b5"),
        );
        check_line(&over_udp(4789, &[0; 8]), &format!("{outer}  8 bytes"));
    }
}
