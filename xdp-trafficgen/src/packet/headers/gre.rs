//! GRE, which etherparse does not know.

use super::{Decoded, Follows, HeaderDef, HeaderKind, IpPart, Next, Number, Place, V6, ethernet};
use crate::packet::field::{Coverage, number};

const PROTOCOL: Number = Number::IpProtocol(47);

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "gre",
    about: "GRE (RFC 2784) with key and sequence number (RFC 2890)",
    fields: &[
        number("checksum_present", 0, 1).presence(4..8, 4..8),
        number("reserved", 1, 1),
        number("key_present", 2, 1).presence(8..12, 8..12),
        number("sequence_present", 3, 1).presence(12..16, 12..16),
        number("reserved0", 4, 9),
        number("version", 13, 3),
        number("protocol", 16, 16).next_header(ethernet::LOCAL_EXPERIMENT).hex(),
        number("checksum", 32, 16).checksum(Coverage::Message { pseudo: None, zero_is_ones: false }),
        number("reserved1", 48, 16),
        number("key", 64, 32),
        number("sequence_number", 96, 32),
    ],
    place: Place::Inner,
    follows: &[Follows { headers: &[HeaderKind::Ipv4], number: PROTOCOL }, Follows { headers: V6, number: PROTOCOL }],
    carries: &[],
    options: None,
    ip: IpPart::End,
    decode,
};

/// RFC 2784 section 2, RFC 2890 section 2.
fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let (&[flags, version, p0, p1], mut rest) = bytes.split_first_chunk()?;
    let mut words = "gre".to_owned();
    for (flag, name) in [(0x80, "checksum"), (0x20, "key"), (0x10, "seq")] {
        if flags & flag == 0 {
            continue;
        }
        let (&word, behind) = rest.split_first_chunk::<4>()?;
        words += &match name {
            "checksum" => format!(" checksum {:04x}", u32::from_be_bytes(word) >> 16),
            _ => format!(" {name} {}", u32::from_be_bytes(word)),
        };
        rest = behind;
    }
    // Another version is another header behind the first four bytes.
    let is_known = version & 7 == 0;
    let next = if is_known { Next::EtherType(u16::from_be_bytes([p0, p1])) } else { Next::Payload };
    Some(Decoded { words, next, rest })
}
