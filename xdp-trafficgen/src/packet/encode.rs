//! A header's bytes with everything that follows from the headers around it; lengths and checksums are filled in later.
//!
//! etherparse writes the headers it knows; MPLS, GRE, VXLAN and GTP-U, a few constant bytes each, are written here.

use etherparse::{
    ArpHardwareId, ArpOperation, ArpPacket, EtherType, Ethernet2Header, IcmpEchoHeader, Icmpv4Header, Icmpv4Type,
    Icmpv6Header, Icmpv6Type, IpFragOffset, IpNumber, Ipv4Header, Ipv4Options, Ipv6FragmentHeader, Ipv6Header,
    Ipv6RawExtHeader, SingleVlanHeader, TcpHeader, TcpOptions, UdpHeader, icmpv4, icmpv6,
};

use super::{HeaderKind, Layer};

/// Ethernet types for local experiments (IEEE 802, Local Experimental Ethertype 1), the IP protocol and the routing type for
/// experiments (RFC 3692, RFC 4727): what a header says that has no header behind it that it could name.
const LOCAL_EXPERIMENT: EtherType = EtherType(0x88b5);
const EXPERIMENT: u8 = 253;
/// MPLS unicast (RFC 5332) and Transparent Ethernet Bridging (RFC 1701).
const MPLS: EtherType = EtherType(0x8847);
const BRIDGING: EtherType = EtherType(0x6558);
/// The customary default of hosts (RFC 1700).
const DEFAULT_TTL: u8 = 64;
/// The first label that has no meaning of its own (RFC 3032 section 2.1).
const FIRST_FREE_LABEL: u32 = 16;
/// RFC 7348 section 5.
const VXLAN_PORT: u16 = 4789;
/// 3GPP TS 29.281 section 4.4.2.
const GTPV1_PORT: u16 = 2152;
/// The I flag: the VNI is valid (RFC 7348 section 5).
const VXLAN_FLAGS: u8 = 0x08;
/// Version 1, protocol type GTP; and the message type of user data, G-PDU (3GPP TS 29.281 sections 5.1, 6.1).
const GTPV1_START: [u8; 2] = [0x30, 255];

/// The header's bytes where it has all of its optional parts, or how long its variable part can be when it is longer.
pub(super) fn header(layer: &Layer, next: Option<HeaderKind>) -> Result<Vec<u8>, usize> {
    Ok(match layer.kind {
        HeaderKind::Ethernet => {
            Ethernet2Header { ether_type: ether_type(next), ..Default::default() }.to_bytes().to_vec()
        }
        HeaderKind::Vlan => SingleVlanHeader { ether_type: ether_type(next), ..Default::default() }.to_bytes().to_vec(),
        HeaderKind::Mpls => {
            let bottom = u32::from(next != Some(HeaderKind::Mpls));
            (FIRST_FREE_LABEL << 12 | bottom << 8 | u32::from(DEFAULT_TTL)).to_be_bytes().to_vec()
        }
        HeaderKind::Arp => arp(),
        HeaderKind::Ipv4 => {
            let options = padded(&layer.options, 4, 0, Ipv4Options::MAX_LEN.into())?;
            let header = Ipv4Header {
                time_to_live: DEFAULT_TTL,
                protocol: ip_number(next),
                dont_fragment: false,
                // Whole words of at most ten, as padded: there is no other way to be refused.
                options: Ipv4Options::try_from(options.as_slice()).unwrap_or_default(),
                ..Default::default()
            };
            header.to_bytes().to_vec()
        }
        HeaderKind::Ipv6 => Ipv6Header { next_header: ip_number(next), hop_limit: DEFAULT_TTL, ..Default::default() }
            .to_bytes()
            .to_vec(),
        HeaderKind::Ipv6HopByHop | HeaderKind::Ipv6Destination => {
            let mut options = layer.options.clone();
            pad_options(&mut options);
            extension(next, &options, Ipv6RawExtHeader::MAX_PAYLOAD_LEN)?
        }
        HeaderKind::Ipv6Routing => {
            // The routing type, no segments left, and what the type makes of the rest.
            let data = [&[EXPERIMENT, 0], layer.options.as_slice()].concat();
            extension(next, &data, Ipv6RawExtHeader::MAX_PAYLOAD_LEN).map_err(|max| max - 2)?
        }
        HeaderKind::Ipv6Fragment => {
            Ipv6FragmentHeader::new(ip_number(next), IpFragOffset::ZERO, false, 0).to_bytes().to_vec()
        }
        HeaderKind::Udp => {
            let destination_port = match next {
                Some(HeaderKind::Vxlan) => VXLAN_PORT,
                Some(HeaderKind::Gtpv1) => GTPV1_PORT,
                _ => 0,
            };
            UdpHeader { destination_port, ..Default::default() }.to_bytes().to_vec()
        }
        HeaderKind::Tcp => {
            let options = padded(&layer.options, 4, 0, TcpHeader::MAX_LEN - TcpHeader::MIN_LEN)?;
            let header = TcpHeader {
                // As much as fits: a zero window is a message of its own.
                window_size: u16::MAX,
                // At most ten words, as above.
                options: TcpOptions::try_from(options.as_slice()).unwrap_or_default(),
                ..Default::default()
            };
            header.to_bytes().to_vec()
        }
        HeaderKind::Icmp => {
            let icmp_type = match next {
                Some(HeaderKind::Ipv4) => Icmpv4Type::DestinationUnreachable(icmpv4::DestUnreachableHeader::Network),
                _ => Icmpv4Type::EchoRequest(IcmpEchoHeader::from_bytes([0; 4])),
            };
            Icmpv4Header { icmp_type, checksum: 0 }.to_bytes().to_vec()
        }
        HeaderKind::Icmpv6 => {
            let icmp_type = match next {
                Some(HeaderKind::Ipv6) => Icmpv6Type::DestinationUnreachable(icmpv6::DestUnreachableCode::NoRoute),
                _ => Icmpv6Type::EchoRequest(IcmpEchoHeader::from_bytes([0; 4])),
            };
            Icmpv6Header { icmp_type, checksum: 0 }.to_bytes().to_vec()
        }
        HeaderKind::Gre => {
            let [high, low] = ether_type(next).0.to_be_bytes();
            [&[0, 0, high, low], [0; 12].as_slice()].concat()
        }
        HeaderKind::Vxlan => vec![VXLAN_FLAGS, 0, 0, 0, 0, 0, 0, 0],
        HeaderKind::Gtpv1 => [GTPV1_START.as_slice(), &[0; 10]].concat(),
        HeaderKind::Custom => layer.options.clone(),
    })
}

/// A request (RFC 826); the plan fills in the addresses.
fn arp() -> Vec<u8> {
    let (hardware, protocol) = ([0; 6], [0; 4]);
    ArpPacket::new(
        ArpHardwareId::ETHERNET,
        EtherType::IPV4,
        ArpOperation::REQUEST,
        &hardware,
        &protocol,
        &hardware,
        &protocol,
    )
    // Fails for addresses of different lengths only.
    .map(|packet| packet.to_bytes().to_vec())
    .unwrap_or_default()
}

fn ether_type(next: Option<HeaderKind>) -> EtherType {
    match next {
        Some(HeaderKind::Ethernet) => BRIDGING,
        Some(HeaderKind::Vlan) => EtherType::VLAN_TAGGED_FRAME,
        Some(HeaderKind::Mpls) => MPLS,
        Some(HeaderKind::Arp) => EtherType::ARP,
        Some(HeaderKind::Ipv4) => EtherType::IPV4,
        Some(HeaderKind::Ipv6) => EtherType::IPV6,
        _ => LOCAL_EXPERIMENT,
    }
}

fn ip_number(next: Option<HeaderKind>) -> IpNumber {
    match next {
        Some(HeaderKind::Mpls) => IpNumber::MPLS_IN_IP,
        Some(HeaderKind::Ipv4) => IpNumber::IPV4,
        Some(HeaderKind::Ipv6) => IpNumber::IPV6,
        Some(HeaderKind::Ipv6HopByHop) => IpNumber::IPV6_HEADER_HOP_BY_HOP,
        Some(HeaderKind::Ipv6Destination) => IpNumber::IPV6_DESTINATION_OPTIONS,
        Some(HeaderKind::Ipv6Routing) => IpNumber::IPV6_ROUTE_HEADER,
        Some(HeaderKind::Ipv6Fragment) => IpNumber::IPV6_FRAGMENTATION_HEADER,
        Some(HeaderKind::Udp) => IpNumber::UDP,
        Some(HeaderKind::Tcp) => IpNumber::TCP,
        Some(HeaderKind::Icmp) => IpNumber::ICMP,
        Some(HeaderKind::Icmpv6) => IpNumber::IPV6_ICMP,
        Some(HeaderKind::Gre) => IpNumber::GRE,
        _ => IpNumber(EXPERIMENT),
    }
}

/// An extension header with `data` behind its length, in units of eight bytes.
fn extension(next: Option<HeaderKind>, data: &[u8], max: usize) -> Result<Vec<u8>, usize> {
    let data = padded(data, 8, 2, max)?;
    Ipv6RawExtHeader::new_raw(ip_number(next), &data).map(|header| header.to_bytes().to_vec()).map_err(|_| max)
}

/// `data` with zeros at its end, so that together with `before` bytes it is whole units; or `max` when it is longer.
fn padded(data: &[u8], unit: usize, before: usize, max: usize) -> Result<Vec<u8>, usize> {
    if data.len() > max {
        return Err(max);
    }
    let mut padded = data.to_vec();
    padded.resize((before + data.len()).next_multiple_of(unit) - before, 0);
    Ok(padded)
}

/// Fills up the options of an IPv6 extension header with one padding option (RFC 8200 section 4.2).
fn pad_options(options: &mut Vec<u8>) {
    let missing = (2 + options.len()).next_multiple_of(8) - 2 - options.len();
    if let Some(zeros) = missing.checked_sub(2) {
        // Below 6.
        options.extend([1, u8::try_from(zeros).unwrap_or(0)]);
        options.extend(std::iter::repeat_n(0, zeros));
    } else {
        // Pad1, when one byte is missing.
        options.resize(options.len() + missing, 0);
    }
}
