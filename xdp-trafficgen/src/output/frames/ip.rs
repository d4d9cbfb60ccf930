//! IPv4, IPv6 and its extension headers.

use etherparse::{IpDscp, IpNumber, Ipv4HeaderSlice, Ipv6FragmentHeaderSlice, Ipv6HeaderSlice, Ipv6RawExtHeaderSlice};

use super::{Next, Step, transport, tunnel};

pub(super) fn v4(bytes: &[u8]) -> Option<Step<'_>> {
    let header = Ipv4HeaderSlice::from_slice(bytes).ok()?;
    let mut words = format!("{} > {}", header.source_addr(), header.destination_addr());
    words += &dscp(header.dcp());
    if !header.options().is_empty() {
        words += &format!(", {} bytes of options", header.options().len());
    }
    if header.is_fragmenting_payload() {
        words += &fragment(header.fragments_offset().byte_offset(), header.more_fragments());
    }
    let rest = &bytes[header.slice().len()..];
    // A length that makes no sense was set by the user.
    let rest = header.payload_len().ok().and_then(|len| rest.get(..len.into())).unwrap_or(rest);
    let first = header.fragments_offset().value() == 0;
    Some(Step { words, next: if first { Next::Ip(header.protocol()) } else { Next::Payload }, rest })
}

pub(super) fn v6(bytes: &[u8]) -> Option<Step<'_>> {
    let header = Ipv6HeaderSlice::from_slice(bytes).ok()?;
    let mut words = format!("{} > {}", header.source_addr(), header.destination_addr());
    words += &dscp(header.dscp());
    let rest = &bytes[header.slice().len()..];
    let rest = rest.get(..header.payload_length().into()).unwrap_or(rest);
    Some(Step { words, next: Next::Ip(header.next_header()), rest })
}

pub(super) fn protocol(protocol: IpNumber, bytes: &[u8]) -> Option<Step<'_>> {
    match protocol {
        IpNumber::UDP => transport::udp(bytes),
        IpNumber::TCP => transport::tcp(bytes),
        IpNumber::ICMP => transport::icmp(bytes),
        IpNumber::IPV6_ICMP => transport::icmp_v6(bytes),
        IpNumber::GRE => tunnel::gre(bytes),
        IpNumber::IPV4 => v4(bytes),
        IpNumber::IPV6 => v6(bytes),
        IpNumber::IPV6_HEADER_HOP_BY_HOP => extension("hop-by-hop options", bytes),
        IpNumber::IPV6_DESTINATION_OPTIONS => extension("destination options", bytes),
        IpNumber::IPV6_ROUTE_HEADER => extension("routing header", bytes),
        IpNumber::IPV6_FRAGMENTATION_HEADER => fragment_header(bytes),
        IpNumber(number) => Some(Step { words: format!("ip protocol {number}"), next: Next::Payload, rest: bytes }),
    }
}

fn extension<'a>(name: &str, bytes: &'a [u8]) -> Option<Step<'a>> {
    let header = Ipv6RawExtHeaderSlice::from_slice(bytes).ok()?;
    let len = header.slice().len();
    Some(Step { words: format!("{name} {len} bytes"), next: Next::Ip(header.next_header()), rest: &bytes[len..] })
}

fn fragment_header(bytes: &[u8]) -> Option<Step<'_>> {
    let header = Ipv6FragmentHeaderSlice::from_slice(bytes).ok()?;
    let offset = header.fragment_offset();
    let words = format!("id {}{}", header.identification(), fragment(offset.byte_offset(), header.more_fragments()));
    let next = if offset.value() == 0 { Next::Ip(header.next_header()) } else { Next::Payload };
    Some(Step { words, next, rest: &bytes[header.slice().len()..] })
}

fn dscp(dscp: IpDscp) -> String {
    if dscp.value() == 0 { String::new() } else { format!(" dscp {}", dscp.value()) }
}

fn fragment(offset: u16, more: bool) -> String {
    format!(", fragment at {offset}{}", if more { "+" } else { "" })
}
