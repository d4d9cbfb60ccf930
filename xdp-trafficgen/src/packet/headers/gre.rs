//! GRE, which etherparse does not know.

use super::{
    Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, Next, Number, Place, V6, ethernet,
};
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
        number("checksum", 32, 16)
            .checksum(Coverage::Message { pseudo: None, zero_is_ones: false }),
        number("reserved1", 48, 16),
        number("key", 64, 32),
        number("sequence_number", 96, 32),
    ],
    place: Place::Inner,
    follows: &[
        Follows { headers: &[HeaderKind::Ipv4], number: PROTOCOL },
        Follows { headers: V6, number: PROTOCOL },
    ],
    carries: &[],
    options: None,
    ip: IpPart::End,
    addressing: Addressing::NextHop,
    decode,
};

/// RFC 2784 section 2, RFC 2890 section 2.
fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let (&[flags, version, p0, p1], mut rest) = bytes.split_first_chunk()?;
    let mut words = "gre".to_owned();
    let mut word = |flag| -> Option<Option<u32>> {
        if flags & flag == 0 {
            return Some(None);
        }
        let (word, behind) = rest.split_first_chunk()?;
        rest = behind;
        Some(Some(u32::from_be_bytes(*word)))
    };
    if let Some(checksum) = word(0x80)? {
        words += &format!(" checksum {:04x}", checksum >> 16);
    }
    if let Some(key) = word(0x20)? {
        words += &format!(" key {key}");
    }
    if let Some(sequence_number) = word(0x10)? {
        words += &format!(" seq {sequence_number}");
    }
    // Another version is another header behind the first four bytes.
    let is_known = version & 7 == 0;
    let next = if is_known { Next::EtherType(u16::from_be_bytes([p0, p1])) } else { Next::Payload };
    Some(Decoded { words, next, rest })
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use crate::packet::{
        ChecksumMode,
        HeaderKind::{Ethernet, Gre, Ipv4, Ipv6},
        Window,
        testing::{IP_WORDS, MACS, V4, V6, check_line, hex, layer, over_ip, short},
    };

    /// Where parts are absent, what is behind them moves up (RFC 2890 section 2).
    #[test]
    fn gre_has_the_parts_its_fields_want() {
        #[track_caller]
        fn check(set: &[(&str, u128)], expected: &str, key_at: Option<usize>) {
            let layers =
                [layer(Ethernet, &MACS), layer(Ipv4, &V4), layer(Gre, set), layer(Ipv6, &V6)];
            let template = short(&layers);
            // The checksum is tshark's to judge.
            let hex = hex(&template, 2);
            assert_eq!(hex.len(), expected.len(), "{hex}");
            assert!(
                hex.chars()
                    .zip(expected.chars())
                    .all(|(found, expected)| found == expected || expected == '?'),
                "{hex}"
            );
            if let Some(key_at) = key_at {
                let key = Gre.field("key").expect("a field");
                assert_eq!(template.window(2, key), Window { bytes: key_at..key_at + 4, shift: 0 });
            }
        }
        check(&[], "000086dd", None);
        check(&[("key", 5)], "200086dd00000005", Some(38));
        check(&[("sequence_number", 6), ("key", 5)], "300086dd0000000500000006", Some(38));
        check(&[("checksum_present", 1), ("key", 5)], "a00086dd????000000000005", Some(42));
        check(&[("sequence_present", 1)], "100086dd00000000", None);
        check(&[("checksum", 0x1234)], "800086dd12340000", None);
        // A lie, as told.
        check(&[("key_present", 0), ("key", 5)], "000086dd00000005", Some(38));

        let mut bad = layer(Gre, &[]);
        bad.checksum = ChecksumMode::Bad;
        let template = short(&[layer(Ethernet, &MACS), layer(Ipv4, &V4), bad, layer(Ipv4, &V4)]);
        assert_eq!(template.bytes[34..36], [0x80, 0]);
        assert_eq!(
            template.checksums.iter().map(|checksum| checksum.offset).collect::<Vec<_>>(),
            [24, 38, 52]
        );
    }

    #[test]
    fn in_words() {
        let inner = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 253, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
        let inner_words = "192.0.2.1 > 192.0.2.2  ip protocol 253";
        let gre = [&[0x30, 0, 8, 0, 0, 0, 0, 5, 0, 0, 0, 7][..], &inner].concat();
        check_line(&over_ip(47, &gre), &format!("{IP_WORDS}  gre key 5 seq 7  {inner_words}"));

        let mut whole = Vec::new();
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1]);
        builder
            .ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
            .write(&mut whole, 253.into(), &[])
            .expect("a frame");
        let gre = [&[0x80, 0, 0x65, 0x58, 0xab, 0xcd, 0, 0][..], &whole].concat();
        let inner_words = format!("02:00:00:00:00:02 > 02:00:00:00:00:01  {inner_words}");
        check_line(&over_ip(47, &gre), &format!("{IP_WORDS}  gre checksum abcd  {inner_words}"));
    }
}
