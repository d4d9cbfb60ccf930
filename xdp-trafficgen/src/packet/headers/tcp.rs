//! TCP.

use etherparse::{TcpHeaderSlice, TcpOptionElement};

use super::{
    Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, Need, Next, Number, OptionForm,
    Options, Padding, Place, V6, udp,
};
use crate::packet::field::{Coverage, number};

const PROTOCOL: u8 = 6;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "tcp",
    about: "TCP (RFC 9293)",
    fields: &[
        number("src_port", 0, 16).default(udp::DEFAULT_SOURCE_PORT),
        number("dst_port", 16, 16).default(udp::DISCARD_PORT),
        number("seq_num", 32, 32),
        number("ack_num", 64, 32),
        number("data_offset", 96, 4).header_length(4, 0),
        number("reserved", 100, 3),
        number("ecn_ns", 103, 1),
        number("ecn_cwr", 104, 1),
        number("ecn_echo", 105, 1),
        number("ctl_urg", 106, 1),
        number("ctl_ack", 107, 1),
        number("ctl_psh", 108, 1),
        number("ctl_rst", 109, 1),
        number("ctl_syn", 110, 1),
        number("ctl_fin", 111, 1),
        // As much as fits: a zero window is a message of its own.
        number("window", 112, 16).default(0xffff),
        number("checksum", 128, 16)
            .checksum(Coverage::Message { pseudo: Some(PROTOCOL), zero_is_ones: false }),
        number("urgent_pointer", 144, 16),
    ],
    place: Place::Inner,
    follows: &[
        Follows { headers: &[HeaderKind::Ipv4], number: Number::IpProtocol(PROTOCOL) },
        Follows { headers: V6, number: Number::IpProtocol(PROTOCOL) },
    ],
    carries: &[],
    options: Some(Options {
        name: "options",
        about: "hex or a list",
        form: OptionForm::TcpOptions,
        need: Need::Optional,
        padding: Padding::Zeros,
    }),
    ip: IpPart::End,
    addressing: Addressing::NextHop,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let header = TcpHeaderSlice::from_slice(bytes).ok()?;
    let flags = [
        ("SYN", header.syn()),
        ("FIN", header.fin()),
        ("RST", header.rst()),
        ("PSH", header.psh()),
        ("ACK", header.ack()),
        ("URG", header.urg()),
        ("ECE", header.ece()),
        ("CWR", header.cwr()),
        ("NS", header.ns()),
    ];
    let flags: Vec<&str> =
        flags.into_iter().filter(|&(_, set)| set).map(|(name, _)| name).collect();
    let mut words = format!("tcp {} > {}, ", header.source_port(), header.destination_port());
    words += &if flags.is_empty() { "no flags".to_owned() } else { flags.join(" ") };
    words += &format!(", seq {}", header.sequence_number());
    if header.ack() {
        words += &format!(", ack {}", header.acknowledgment_number());
    }
    words += &format!(", window {}", header.window_size());
    for option in header.options_iterator() {
        words += &match option {
            Ok(TcpOptionElement::Noop) => continue,
            Ok(TcpOptionElement::MaximumSegmentSize(size)) => format!(", mss {size}"),
            Ok(TcpOptionElement::WindowScale(scale)) => format!(", window scale {scale}"),
            Ok(TcpOptionElement::SelectiveAcknowledgementPermitted) => {
                ", sack permitted".to_owned()
            }
            Ok(TcpOptionElement::SelectiveAcknowledgement(..)) => ", sack".to_owned(),
            Ok(TcpOptionElement::Timestamp(value, echo)) => {
                format!(", timestamp {value} echo {echo}")
            }
            Err(_) => ", unknown options".to_owned(),
        };
    }
    words += &format!(", checksum {:04x}", header.checksum());
    Some(Decoded { words, next: Next::Payload, rest: &bytes[header.slice().len()..] })
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, TcpOptionElement};

    use crate::packet::testing::{IP_WORDS, check_line};

    #[test]
    fn in_words() {
        let options =
            [TcpOptionElement::MaximumSegmentSize(1460), TcpOptionElement::WindowScale(7)];
        let ethernet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        let tcp = ethernet.ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).tcp(1024, 80, 5, 64_240).syn();
        let mut frame = Vec::new();
        tcp.options(&options).expect("few").write(&mut frame, &[]).expect("a frame");
        let checksum = u16::from_be_bytes([frame[50], frame[51]]);
        let words = "tcp 1024 > 80, SYN, seq 5, window 64240, mss 1460, window scale 7";
        check_line(&frame, &format!("{IP_WORDS}  {words}, checksum {checksum:04x}"));
    }
}
