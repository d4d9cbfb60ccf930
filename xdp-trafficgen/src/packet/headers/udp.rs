//! UDP.

use etherparse::UdpHeaderSlice;

use super::{Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, Next, Number, Place, V6};
use crate::packet::field::{Coverage, number};

/// The first of the dynamic ports (RFC 6335).
pub(super) const DEFAULT_SOURCE_PORT: u128 = 49152;
/// Discard (RFC 863).
pub(super) const DISCARD_PORT: u128 = 9;

const PROTOCOL: u8 = 17;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "udp",
    about: "UDP (RFC 768)",
    fields: &[
        number("src_port", 0, 16).default(DEFAULT_SOURCE_PORT),
        number("dst_port", 16, 16).next_header(DISCARD_PORT),
        number("length", 32, 16).frame_length(0),
        number("checksum", 48, 16)
            .checksum(Coverage::Message { pseudo: Some(PROTOCOL), zero_is_ones: true }),
    ],
    place: Place::Inner,
    follows: &[
        Follows { headers: &[HeaderKind::Ipv4], number: Number::IpProtocol(PROTOCOL) },
        Follows { headers: V6, number: Number::IpProtocol(PROTOCOL) },
    ],
    carries: &[],
    options: None,
    ip: IpPart::End,
    addressing: Addressing::NextHop,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let header = UdpHeaderSlice::from_slice(bytes).ok()?;
    let (source, destination) = (header.source_port(), header.destination_port());
    let words = format!("udp {source} > {destination}, checksum {:04x}", header.checksum());
    Some(Decoded { words, next: Next::UdpPort(destination), rest: &bytes[header.slice().len()..] })
}

#[cfg(test)]
mod tests {
    use crate::packet::{
        HeaderKind::{Ethernet, Gre, Ipv4, Ipv6, Udp},
        Payload, assemble,
        testing::{MACS, PAYLOAD, V4, V6, check_line, layer, over_udp, short, udp_words},
    };

    /// What a length counts and the frame has not got are zeros, and a length that ends before the
    /// checksum is none.
    #[test]
    fn lengths_that_no_receiver_believes() {
        #[track_caller]
        fn check(total_length: Option<u128>, length: Option<u128>, said: u16, payload: &[u8]) {
            let set = |name, value: Option<u128>| value.map(|value| (name, value));
            let ip = [&V4[..], &set("total_length", total_length).into_iter().collect::<Vec<_>>()]
                .concat();
            let udp: Vec<_> = set("length", length).into_iter().collect();
            let template = short(&[layer(Ethernet, &MACS), layer(Ipv4, &ip), layer(Udp, &udp)]);
            let mut oracle = etherparse::UdpHeader {
                source_port: 49152,
                destination_port: 9,
                length: said,
                checksum: 0,
            };
            let field = template.bytes[38..40].try_into().expect("two bytes");
            // The header's own length field counts beside the pseudo header's.
            let shift = i64::from(u16::from_be_bytes(field)) - i64::from(said);
            oracle.checksum = oracle
                .calc_checksum_ipv4_raw([10, 0, 0, 1], [10, 0, 0, 2], payload)
                .expect("short");
            let expected = (i64::from(!oracle.checksum) + shift).rem_euclid(0xffff);
            let found = i64::from(!u16::from_be_bytes([template.bytes[40], template.bytes[41]]));
            assert_eq!(found.rem_euclid(0xffff), expected, "{total_length:?} {length:?}");
        }
        let zeros = |len| [&PAYLOAD[..], &vec![0; len]].concat();
        check(None, None, 13, &PAYLOAD);
        check(Some(30), Some(10), 10, &[1, 2]);
        check(None, Some(10), 10, &[1, 2]);
        // Longer than the packet, whether that ends with the frame or before.
        check(None, Some(113), 113, &zeros(100));
        check(Some(30), Some(13), 13, &[1, 2, 0, 0, 0]);
        check(Some(1000), None, 13, &PAYLOAD);
        // Too short for a UDP header.
        check(None, Some(0), 13, &PAYLOAD);
        check(Some(31), Some(7), 11, &[1, 2, 3]);
        check(Some(0), None, 13, &PAYLOAD);
        check(Some(27), Some(11), 11, &[1, 2, 3]);
    }

    /// RFC 768: a sum that comes out as zero is sent as all ones, in inner headers, too.
    #[test]
    fn udp_zero_rule() {
        let layers = [
            layer(Ethernet, &MACS),
            layer(Ipv4, &V4),
            layer(Gre, &[]),
            layer(Ipv6, &V6),
            layer(Udp, &[]),
        ];
        let room = 8;
        let len = assemble(&layers, 500, &Payload::Zeros).expect("a stack").header_len + room;
        let checksum = |payload: Vec<u8>| {
            let template = assemble(&layers, len, &Payload::Bytes(payload)).expect("a stack");
            [template.bytes[len - room - 2], template.bytes[len - room - 1]]
        };
        // What is missing to a sum of 0xffff is the checksum of zeros.
        let missing = checksum(vec![0; room]);
        assert_eq!(checksum(missing.to_vec()), [0xff, 0xff]);
    }

    #[test]
    fn in_words() {
        check_line(&over_udp(53, &[0; 18]), &format!("{}  18 bytes", udp_words(53)));
    }
}
