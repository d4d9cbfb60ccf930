//! GTP-U version 1, which etherparse does not know.

use super::{Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, Next, Number, Place};
use crate::packet::field::number;

/// G-PDU, the message type of user data (3GPP TS 29.281 section 6.1): the one with a packet in it.
const USER_DATA: u8 = 255;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "gtpv1",
    about: "GTP-U version 1 (3GPP TS 29.281 section 5.1)",
    fields: &[
        number("version", 0, 3).default(1),
        // GTP.
        number("protocol_type", 3, 1).default(1),
        number("reserved", 4, 1),
        // The four bytes are there when any of the flags is set.
        number("e_flag", 5, 1).presence(11..12, 8..12),
        number("s_flag", 6, 1).presence(8..10, 8..12),
        number("pn_flag", 7, 1).presence(10..11, 8..12),
        number("message_type", 8, 8).default(USER_DATA as u128),
        // Counted behind the part that is always there.
        number("message_length", 16, 16).frame_length(8),
        number("teid", 32, 32),
        number("sequence_number", 64, 16),
        number("n_pdu_number", 80, 8),
        number("next_extension_header_type", 88, 8),
    ],
    place: Place::Inner,
    // 3GPP TS 29.281 section 4.4.2.
    follows: &[Follows { headers: &[HeaderKind::Udp], number: Number::UdpPort(2152, is_gtpv1) }],
    carries: &[(HeaderKind::Ipv4, None), (HeaderKind::Ipv6, None)],
    options: None,
    ip: IpPart::End,
    addressing: Addressing::NextHop,
    decode,
};

fn is_gtpv1(bytes: &[u8]) -> bool {
    bytes.first().is_some_and(|flags| flags >> 5 == 1)
}

/// 3GPP TS 29.281 section 5.1.
fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let (&[flags, message, _, _, t0, t1, t2, t3], mut rest) = bytes.split_first_chunk()?;
    let mut words = format!("gtp-u teid {}", u32::from_be_bytes([t0, t1, t2, t3]));
    if message != USER_DATA {
        words += &format!(" type {message}");
    }
    if flags & 7 != 0 {
        let (&[s0, s1, number, mut extension], behind) = rest.split_first_chunk()?;
        rest = behind;
        if flags & 2 != 0 {
            words += &format!(" seq {}", u16::from_be_bytes([s0, s1]));
        }
        if flags & 1 != 0 {
            words += &format!(" n-pdu {number}");
        }
        // Section 5.2: each says its length in units of four bytes, and ends in the type of the
        // next.
        while flags & 4 != 0 && extension != 0 {
            words += &format!(" extension {extension:02x}");
            let len = 4 * usize::from(*rest.first()?);
            extension = *rest.get(..len)?.last()?;
            rest = &rest[len..];
        }
    }
    let next = if message == USER_DATA { Next::by_ip_version(rest) } else { Next::Payload };
    Some(Decoded { words, next, rest })
}

#[cfg(test)]
mod tests {
    use crate::packet::{
        HeaderKind::{Ethernet, Gtpv1, Ipv4, Udp},
        LengthField,
        testing::{MACS, V4, check_line, layer, over_udp, short, udp_words},
    };

    /// 3GPP TS 29.281 section 5.1: the length counts from behind the eight bytes that are always
    /// there.
    #[test]
    fn gtp_has_its_optional_bytes_when_a_flag_or_a_field_wants_them() {
        #[track_caller]
        fn check(set: &[(&str, u128)], expected: &[u8]) {
            let layers = [
                layer(Ethernet, &MACS),
                layer(Ipv4, &V4),
                layer(Udp, &[]),
                layer(Gtpv1, set),
                layer(Ipv4, &V4),
            ];
            let template = short(&layers);
            assert_eq!(template.bytes[42..template.offsets[4]], *expected);
            assert_eq!(template.bytes[36..38], [0x08, 0x68], "port 2152");
            let from = |offset, counted_from| LengthField { offset, counted_from };
            let inner = template.offsets[4];
            assert_eq!(
                template.lengths,
                [from(16, 14), from(38, 34), from(44, 50), from(inner + 2, inner)]
            );
        }
        check(&[("teid", 9)], &[0x30, 255, 0, 25, 0, 0, 0, 9]);
        check(&[("sequence_number", 7)], &[0x32, 255, 0, 29, 0, 0, 0, 0, 0, 7, 0, 0]);
        check(&[("e_flag", 1)], &[0x34, 255, 0, 29, 0, 0, 0, 0, 0, 0, 0, 0]);
        check(
            &[("n_pdu_number", 3), ("next_extension_header_type", 0)],
            &[0x35, 255, 0, 29, 0, 0, 0, 0, 0, 0, 3, 0],
        );
    }

    #[test]
    fn in_words() {
        let inner = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        let (outer, inner_words) = (udp_words(2152), "192.0.2.1 > 192.0.2.2  ip protocol 253");
        let gtp = [&[0x30, 255, 0, 20, 0, 0, 0, 9][..], &inner].concat();
        check_line(&over_udp(2152, &gtp), &format!("{outer}  gtp-u teid 9  {inner_words}"));
        let gtp = [&[0x36, 255, 0, 28, 0, 0, 0, 9, 0, 3, 0, 0x85, 1, 0, 0, 0][..], &inner].concat();
        check_line(
            &over_udp(2152, &gtp),
            &format!("{outer}  gtp-u teid 9 seq 3 extension 85  {inner_words}"),
        );
        // Of another version, or of none.
        check_line(&over_udp(2152, &[0; 8]), &format!("{outer}  8 bytes"));
    }
}
