//! ICMP: the echo messages' layout, whatever the type.

use etherparse::icmpv4;

use super::{Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, Next, Number, Place};
use crate::packet::field::{Coverage, number};

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "icmp",
    about: "ICMP (RFC 792)",
    fields: &[
        number("type", 0, 8).next_header(icmpv4::TYPE_ECHO_REQUEST as u128),
        number("code", 8, 8),
        number("checksum", 16, 16)
            .checksum(Coverage::Message { pseudo: None, zero_is_ones: false }),
        number("identifier", 32, 16),
        number("sequence_number", 48, 16),
    ],
    place: Place::Inner,
    follows: &[Follows { headers: &[HeaderKind::Ipv4], number: Number::IpProtocol(1) }],
    // The packet an error message is about.
    carries: &[(HeaderKind::Ipv4, Some(icmpv4::TYPE_DEST_UNREACH as u16))],
    options: None,
    ip: IpPart::End,
    addressing: Addressing::NextHop,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    message("icmp", [icmpv4::TYPE_ECHO_REQUEST, icmpv4::TYPE_ECHO_REPLY], bytes)
}

/// ICMP and ICMPv6 look the same (RFC 792, RFC 4443 section 2.1); etherparse would refuse messages
/// of unusual length.
pub(super) fn message<'a>(
    name: &str,
    [request, reply]: [u8; 2],
    bytes: &'a [u8],
) -> Option<Decoded<'a>> {
    let (&[kind, code, c0, c1, i0, i1, s0, s1], rest) = bytes.split_first_chunk()?;
    let number = |high, low| u16::from_be_bytes([high, low]);
    let mut words = match kind {
        _ if kind == request => format!("{name} echo request"),
        _ if kind == reply => format!("{name} echo reply"),
        _ => format!("{name} type {kind}"),
    };
    if code > 0 {
        words += &format!(" code {code}");
    }
    if kind == request || kind == reply {
        words += &format!(", id {}, seq {}", number(i0, i1), number(s0, s1));
    }
    words += &format!(", checksum {:04x}", number(c0, c1));
    Some(Decoded { words, next: Next::Payload, rest })
}

#[cfg(test)]
mod tests {
    use crate::packet::testing::{IP_WORDS, check_line, over_ip};

    #[test]
    fn in_words() {
        let words = |words| format!("{IP_WORDS}  icmp {words}, checksum abcd");
        check_line(
            &over_ip(1, &[8, 0, 0xab, 0xcd, 0, 7, 0, 9]),
            &words("echo request, id 7, seq 9"),
        );
        check_line(&over_ip(1, &[3, 1, 0xab, 0xcd, 0, 0, 0, 0]), &words("type 3 code 1"));
    }
}
