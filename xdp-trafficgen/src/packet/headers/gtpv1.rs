//! GTP-U version 1, which etherparse does not know.

use super::{Decoded, Follows, HeaderDef, HeaderKind, IpPart, Next, Number, Place};
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
        // Section 5.2: each says its length in units of four bytes, and ends in the type of the next.
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
