//! UDP, TCP, ICMP and ICMPv6.

use etherparse::{TcpHeaderSlice, TcpOptionElement, UdpHeaderSlice, icmpv4, icmpv6};

use super::{Next, Step};

/// IANA's port numbers of the tunnels.
const VXLAN: u16 = 4789;
const GTP_U: u16 = 2152;

pub(super) fn udp(bytes: &[u8]) -> Option<Step<'_>> {
    let header = UdpHeaderSlice::from_slice(bytes).ok()?;
    let rest = &bytes[header.slice().len()..];
    let words =
        format!("udp {} > {}, checksum {:04x}", header.source_port(), header.destination_port(), header.checksum());
    // A port may be a tunnel's by chance: the flag of a valid VXLAN id (RFC 7348 section 5), the version of GTP-U.
    let next = match (header.destination_port(), rest.first()) {
        (VXLAN, Some(flags)) if flags & 0x08 != 0 => Next::Vxlan,
        (GTP_U, Some(flags)) if flags >> 5 == 1 => Next::GtpU,
        _ => Next::Payload,
    };
    Some(Step { words, next, rest })
}

pub(super) fn tcp(bytes: &[u8]) -> Option<Step<'_>> {
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
    let flags: Vec<&str> = flags.into_iter().filter(|&(_, set)| set).map(|(name, _)| name).collect();
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
            Ok(TcpOptionElement::SelectiveAcknowledgementPermitted) => ", sack permitted".to_owned(),
            Ok(TcpOptionElement::SelectiveAcknowledgement(..)) => ", sack".to_owned(),
            Ok(TcpOptionElement::Timestamp(value, echo)) => format!(", timestamp {value} echo {echo}"),
            Err(_) => ", unknown options".to_owned(),
        };
    }
    words += &format!(", checksum {:04x}", header.checksum());
    Some(Step { words, next: Next::Payload, rest: &bytes[header.slice().len()..] })
}

pub(super) fn icmp(bytes: &[u8]) -> Option<Step<'_>> {
    control_message("icmp", [icmpv4::TYPE_ECHO_REQUEST, icmpv4::TYPE_ECHO_REPLY], bytes)
}

pub(super) fn icmp_v6(bytes: &[u8]) -> Option<Step<'_>> {
    control_message("icmpv6", [icmpv6::TYPE_ECHO_REQUEST, icmpv6::TYPE_ECHO_REPLY], bytes)
}

/// Both look the same (RFC 792, RFC 4443 section 2.1); etherparse would refuse messages of unusual length.
fn control_message<'a>(name: &str, [request, reply]: [u8; 2], bytes: &'a [u8]) -> Option<Step<'a>> {
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
    Some(Step { words, next: Next::Payload, rest })
}
