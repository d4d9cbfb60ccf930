//! PPPoE's session stage with the PPP protocol behind it, which says what the session carries;
//! etherparse does not know it.

use super::{
    Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, LINK, Next, Number, Place,
};
use crate::packet::field::number;

/// PPP's padding protocol, which has no meaning of its own (RFC 1661 section 2).
const PADDING: u128 = 0x0001;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "pppoe",
    about: "PPPoE session (RFC 2516 section 4) with the PPP protocol (RFC 1661 section 2)",
    fields: &[
        number("version", 0, 4).default(1),
        number("type", 4, 4).default(1),
        // Of session data.
        number("code", 8, 8),
        number("session_id", 16, 16).default(1),
        // Counted behind the six bytes of RFC 2516, so with the PPP protocol.
        number("length", 32, 16).frame_length(6),
        number("ppp_protocol", 48, 16).next_header(PADDING).hex(),
    ],
    place: Place::Inner,
    follows: &[Follows { headers: LINK, number: Number::EtherType(0x8864, &[]) }],
    // RFC 1332, RFC 5072 section 2, RFC 3032 section 4.
    carries: &[
        (HeaderKind::Ipv4, Some(0x0021)),
        (HeaderKind::Ipv6, Some(0x0057)),
        (HeaderKind::Mpls, Some(0x0281)),
    ],
    options: None,
    ip: IpPart::End,
    // That of the access concentrator, from PPPoE's discovery (RFC 2516 section 5).
    addressing: Addressing::Session,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let (&[_, code, s0, s1, l0, l1, p0, p1], rest) = bytes.split_first_chunk()?;
    let number = |high, low| u16::from_be_bytes([high, low]);
    let mut words = format!("pppoe session {}", number(s0, s1));
    if code > 0 {
        words += &format!(" code {code}");
    }
    let protocol = number(p0, p1);
    let next = match HEADER.carries.iter().find(|(_, number)| *number == Some(protocol)) {
        Some((kind, _)) => Next::Header(*kind),
        None => {
            words += &format!(", ppp protocol {protocol:04x}");
            Next::Payload
        }
    };
    // The length counts the protocol; one that makes no sense was set by the user.
    let len = usize::from(number(l0, l1)).checked_sub(2);
    Some(Decoded { words, next, rest: len.and_then(|len| rest.get(..len)).unwrap_or(rest) })
}

#[cfg(test)]
mod tests {
    use std::slice;

    use crate::packet::{
        HeaderKind::{Ethernet, Ipv4, Ipv6, Mpls, Pppoe, Vlan},
        Layer, LengthField,
        testing::{MAC_WORDS, MACS, check_line, hex, layer, over_ethernet, short},
    };

    /// RFC 2516 section 4: the length is that of the payload, which starts with the PPP protocol.
    #[test]
    fn it_says_how_much_is_behind_and_what() {
        #[track_caller]
        fn check(before: &[Layer], behind: &[Layer], expected: &str) {
            let session = layer(Pppoe, &[("session_id", 0x1234)]);
            let template = short(&[before, &[session], behind].concat());
            assert_eq!(hex(&template, before.len()), expected);
            let start = template.offsets[before.len()];
            assert_eq!(template.bytes[start - 2..start], [0x88, 0x64]);
            let length = LengthField { offset: start + 4, counted_from: start + 6 };
            assert_eq!(template.lengths[0], length);
        }
        let ethernet = layer(Ethernet, &MACS);
        let tagged = [ethernet.clone(), layer(Vlan, &[("id", 7)])];
        check(slice::from_ref(&ethernet), &[layer(Ipv4, &[])], "11001234001b0021");
        check(&tagged, &[layer(Ipv6, &[])], "11001234002f0057");
        check(&tagged, &[layer(Mpls, &[]), layer(Ipv4, &[])], "11001234001f0281");
        check(slice::from_ref(&ethernet), &[], "1100123400070001");
    }

    #[test]
    fn in_words() {
        let ip = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        let session = |code, protocol| [&[0x11, code, 0, 9, 0, 22, 0, protocol][..], &ip].concat();
        let check = |bytes: &[u8], words: &str| {
            check_line(
                &over_ethernet(0x8864, bytes),
                &format!("{MAC_WORDS}  pppoe session 9{words}"),
            );
        };
        check(&session(0, 0x21), "  192.0.2.1 > 192.0.2.2  ip protocol 253");
        check(&session(7, 1), " code 7, ppp protocol 0001  20 bytes");
    }
}
