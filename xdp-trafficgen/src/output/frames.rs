//! Frames for people: one line each, decoded by etherparse, which had no part in making them.

use std::fmt::Write as _;

use crate::host::show_mac;
use etherparse::{LinkExtSlice, LinkSlice, NetSlice, SlicedPacket, TransportSlice};

/// One line about a frame without FCS.
pub fn line(frame: &[u8]) -> String {
    let packet = match SlicedPacket::from_ethernet(frame) {
        Ok(packet) => packet,
        Err(error) => return format!("not decodable: {error}"),
    };
    let mut text = String::new();
    if let Some(LinkSlice::Ethernet2(ethernet)) = &packet.link {
        let _ = write!(text, "{} > {}", show_mac(ethernet.source()), show_mac(ethernet.destination()));
    }
    for extension in &packet.link_exts {
        if let LinkExtSlice::Vlan(vlan) = extension {
            let _ = write!(text, "  vlan {}", vlan.vlan_identifier().value());
            if vlan.priority_code_point().value() > 0 {
                let _ = write!(text, " priority {}", vlan.priority_code_point().value());
            }
        }
    }
    match &packet.net {
        Some(NetSlice::Ipv4(ip)) => {
            let header = ip.header();
            let _ = write!(text, "  {} > {}", header.source_addr(), header.destination_addr());
        }
        Some(NetSlice::Ipv6(ip)) => {
            let header = ip.header();
            let _ = write!(text, "  {} > {}", header.source_addr(), header.destination_addr());
        }
        Some(NetSlice::Arp(_)) => text.push_str("  arp"),
        None => {}
    }
    if let Some(TransportSlice::Udp(udp)) = &packet.transport {
        let _ = write!(
            text,
            "  udp {} > {}, {} bytes, checksum {:04x}",
            udp.source_port(),
            udp.destination_port(),
            udp.payload().len(),
            udp.checksum()
        );
    }
    text
}
