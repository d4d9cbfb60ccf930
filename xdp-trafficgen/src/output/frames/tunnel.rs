//! GRE, VXLAN and GTP-U, which etherparse has not.

use etherparse::EtherType;

use super::{Next, Step};

/// Transparent Ethernet bridging (RFC 1701, NVGRE).
const BRIDGED: EtherType = EtherType(0x6558);

/// RFC 2784 section 2, RFC 2890 section 2.
pub(super) fn gre(bytes: &[u8]) -> Option<Step<'_>> {
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
    let next = match EtherType(u16::from_be_bytes([p0, p1])) {
        // Another version is another header behind the first four bytes.
        _ if version & 7 != 0 => Next::Payload,
        BRIDGED => Next::Ethernet,
        ether_type => Next::EtherType(ether_type),
    };
    Some(Step { words, next, rest })
}

/// RFC 7348 section 5.
pub(super) fn vxlan(bytes: &[u8]) -> Option<Step<'_>> {
    let (&[_, _, _, _, n0, n1, n2, _], rest) = bytes.split_first_chunk()?;
    let words = format!("vxlan {}", u32::from_be_bytes([0, n0, n1, n2]));
    Some(Step { words, next: Next::Ethernet, rest })
}

/// 3GPP TS 29.281 section 5.1.
pub(super) fn gtp_u(bytes: &[u8]) -> Option<Step<'_>> {
    /// The one message type with a packet in it.
    const PACKET: u8 = 255;
    let (&[flags, message, _, _, t0, t1, t2, t3], mut rest) = bytes.split_first_chunk()?;
    let mut words = format!("gtp-u teid {}", u32::from_be_bytes([t0, t1, t2, t3]));
    if message != PACKET {
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
    let next = if message == PACKET { Next::by_version(rest) } else { Next::Payload };
    Some(Step { words, next, rest })
}
