//! ICMP for IPv6: the echo messages' layout, whatever the type.

use etherparse::icmpv6;

use super::{
    Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, Next, Number, Place, V6, icmp,
};
use crate::packet::field::{Coverage, number};

const PROTOCOL: u8 = 58;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "icmpv6",
    about: "ICMP for IPv6 (RFC 4443)",
    fields: &[
        number("type", 0, 8).next_header(icmpv6::TYPE_ECHO_REQUEST as u128),
        number("code", 8, 8),
        number("checksum", 16, 16)
            .checksum(Coverage::Message { pseudo: Some(PROTOCOL), zero_is_ones: false }),
        number("identifier", 32, 16),
        number("sequence_number", 48, 16),
    ],
    place: Place::Inner,
    follows: &[Follows { headers: V6, number: Number::IpProtocol(PROTOCOL) }],
    // The packet an error message is about.
    carries: &[(HeaderKind::Ipv6, Some(icmpv6::TYPE_DST_UNREACH as u16))],
    options: None,
    ip: IpPart::End,
    addressing: Addressing::NextHop,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    icmp::message("icmpv6", [icmpv6::TYPE_ECHO_REQUEST, icmpv6::TYPE_ECHO_REPLY], bytes)
}

#[cfg(test)]
mod tests {
    use crate::packet::testing::{IP_WORDS, check_line, over_ip};

    #[test]
    fn in_words() {
        let words = format!("{IP_WORDS}  icmpv6 echo reply, id 7, seq 9, checksum abcd");
        check_line(&over_ip(58, &[129, 0, 0xab, 0xcd, 0, 7, 0, 9]), &words);
    }
}
