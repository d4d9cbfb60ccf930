//! IPv4.

use etherparse::{IpDscp, IpFragOffset, Ipv4HeaderSlice};

use super::{
    Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, LINK, Need, Next, Number,
    OptionForm, Options, Padding, Place, V6,
};
use crate::packet::field::{Coverage, FieldDefault, ipv4, number};

/// IP protocol for experiments (RFC 3692): what is behind has no number.
pub(super) const EXPERIMENT: u128 = 253;
/// The customary default of hosts (RFC 1700).
pub(super) const DEFAULT_TTL: u128 = 64;

const ETHER_TYPE: Number = Number::EtherType(0x0800, &[]);
/// RFC 2003.
const IN_IP: Number = Number::IpProtocol(4);

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "ipv4",
    about: "IPv4 (RFC 791)",
    fields: &[
        number("version", 0, 4).default(4),
        number("header_length", 4, 4).header_length(4, 0),
        number("dscp", 8, 6),
        number("ecn", 14, 2),
        number("total_length", 16, 16).frame_length(0),
        number("identification", 32, 16),
        number("reserved", 48, 1),
        number("dont_fragment", 49, 1),
        number("more_fragments", 50, 1),
        number("fragment_offset", 51, 13),
        number("time_to_live", 64, 8).default(DEFAULT_TTL),
        number("protocol", 72, 8).next_header(EXPERIMENT),
        number("header_checksum", 80, 16).checksum(Coverage::Header),
        ipv4("src", 96).from(FieldDefault::Source),
        ipv4("dst", 128).from(FieldDefault::Destination),
    ],
    place: Place::Inner,
    follows: &[
        Follows { headers: LINK, number: ETHER_TYPE },
        Follows { headers: &[HeaderKind::Gre], number: ETHER_TYPE },
        Follows { headers: &[HeaderKind::Ipv4], number: IN_IP },
        Follows { headers: V6, number: IN_IP },
    ],
    carries: &[],
    options: Some(Options {
        name: "options",
        about: "hex",
        form: OptionForm::Hex,
        need: Need::Optional,
        padding: Padding::Zeros,
    }),
    ip: IpPart::Header { addresses: 12..20 },
    addressing: Addressing::NextHop,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
    let mut words = format!("{} > {}", header.source_addr(), header.destination_addr());
    words += &dscp(header.dcp());
    if !header.options().is_empty() {
        words += &format!(", {} bytes of options", header.options().len());
    }
    if header.is_fragmenting_payload() {
        words += &fragment(header.fragments_offset());
        words += if header.more_fragments() { "+" } else { "" };
    }
    let rest = &bytes[header.slice().len()..];
    // A length that makes no sense was set by the user.
    let rest = header.payload_len().ok().and_then(|len| rest.get(..len.into())).unwrap_or(rest);
    let is_first = header.fragments_offset().value() == 0;
    let next = if is_first { Next::IpProtocol(header.protocol().0) } else { Next::Payload };
    Some(Decoded { words, next, rest })
}

pub(super) fn dscp(dscp: IpDscp) -> String {
    if dscp.value() == 0 { String::new() } else { format!(" dscp {}", dscp.value()) }
}

pub(super) fn fragment(offset: IpFragOffset) -> String {
    format!(", fragment at {}", offset.byte_offset())
}

#[cfg(test)]
mod tests {
    use etherparse::{Ipv4Header, Ipv4Options};

    use crate::packet::{
        HeaderKind::{Ethernet, Icmp, Ipv4, Udp},
        Layer, Payload, assemble,
        testing::{IP_WORDS, MACS, V4, check_line, layer, over_ip, short},
    };

    #[test]
    fn ipv4_options_are_padded_and_covered() {
        let mut ip = layer(Ipv4, &V4);
        ip.options = vec![1, 0x94, 4, 0, 0];
        let template = short(&[layer(Ethernet, &MACS), ip, layer(Icmp, &[])]);
        let (header, _) = Ipv4Header::from_slice(&template.bytes[14..]).expect("an IPv4 header");
        assert_eq!(header.options, Ipv4Options::from([1, 0x94, 4, 0, 0, 0, 0, 0]));
        assert_eq!(header.header_checksum, header.calc_header_checksum());
        assert_eq!(template.offsets, [0, 14, 42]);
        assert_eq!(
            (template.checksums[0].start, template.checksums[0].reach(&template.bytes).end),
            (14, 42)
        );
    }

    /// The header's own bytes are in its checksum whatever the header length says; of one that is a
    /// length, as many as it says.
    #[test]
    fn header_lengths_that_no_receiver_believes() {
        for options in [vec![], vec![0x94, 4, 0, 0]] {
            for words in 0..=15 {
                let ip =
                    [&V4[..], &[("header_length", words), ("identification", 0xbeef)]].concat();
                let ip = Layer { options: options.clone(), ..layer(Ipv4, &ip) };
                let layers = [layer(Ethernet, &MACS), ip, layer(Udp, &[])];
                let bytes =
                    assemble(&layers, 100, &Payload::Random { seed: 1 }).expect("a stack").bytes;
                let own = 20 + options.len();
                let said = usize::try_from(4 * words).expect("small");
                let covered = &bytes[14..14 + if words < 5 { own } else { said }];
                let sum = etherparse::checksum::Sum16BitWords::new().add_slice(covered);
                assert_eq!(sum.ones_complement(), 0, "{words} words, {own} bytes");
            }
        }
    }

    #[test]
    fn in_words() {
        let inner =
            [0x45, 46 << 2, 0, 21, 0, 0, 0x20, 0, 64, 17, 0, 0, 10, 0, 0, 3, 10, 0, 0, 4, 0];
        let first = "10.0.0.3 > 10.0.0.4 dscp 46, fragment at 0+";
        check_line(
            &over_ip(4, &inner[..20]),
            &format!("{IP_WORDS}  {first}  ip protocol 17 cut short"),
        );
        check_line(
            &over_ip(4, &inner),
            &format!("{IP_WORDS}  {first}  ip protocol 17 cut short  1 byte"),
        );
    }
}
