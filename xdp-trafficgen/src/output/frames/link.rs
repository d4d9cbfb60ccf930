//! Ethernet, VLAN tags, MPLS labels, ARP.

use std::net::Ipv4Addr;

use etherparse::{ArpPacketSlice, EtherType, Ethernet2HeaderSlice, SingleVlanHeaderSlice};

use super::{Next, Step, ip};
use crate::host::show_mac;

/// MPLS, unicast and multicast (RFC 3032 section 5).
const MPLS: [EtherType; 2] = [EtherType(0x8847), EtherType(0x8848)];

pub(super) fn ethernet(bytes: &[u8]) -> Option<Step<'_>> {
    let header = Ethernet2HeaderSlice::from_slice(bytes).ok()?;
    let words = format!("{} > {}", show_mac(header.source()), show_mac(header.destination()));
    Some(Step { words, next: Next::EtherType(header.ether_type()), rest: &bytes[header.slice().len()..] })
}

pub(super) fn ether_type(ether_type: EtherType, bytes: &[u8]) -> Option<Step<'_>> {
    match ether_type {
        EtherType::IPV4 => ip::v4(bytes),
        EtherType::IPV6 => ip::v6(bytes),
        EtherType::ARP => arp(bytes),
        EtherType::VLAN_TAGGED_FRAME | EtherType::PROVIDER_BRIDGING | EtherType::VLAN_DOUBLE_TAGGED_FRAME => {
            vlan(ether_type, bytes)
        }
        _ if MPLS.contains(&ether_type) => mpls(bytes),
        EtherType(number) => Some(Step { words: format!("ether type {number:04x}"), next: Next::Payload, rest: bytes }),
    }
}

fn vlan(EtherType(tpid): EtherType, bytes: &[u8]) -> Option<Step<'_>> {
    let header = SingleVlanHeaderSlice::from_slice(bytes).ok()?;
    let mut words = format!("vlan {}", header.vlan_identifier().value());
    if EtherType(tpid) != EtherType::VLAN_TAGGED_FRAME {
        words += &format!(" tpid {tpid:04x}");
    }
    if header.priority_code_point().value() > 0 {
        words += &format!(" priority {}", header.priority_code_point().value());
    }
    if header.drop_eligible_indicator() {
        words += " dei";
    }
    Some(Step { words, next: Next::EtherType(header.ether_type()), rest: &bytes[header.slice().len()..] })
}

/// RFC 3032 section 2.1.
fn mpls(bytes: &[u8]) -> Option<Step<'_>> {
    let (entry, rest) = bytes.split_first_chunk()?;
    let entry = u32::from_be_bytes(*entry);
    let (class, is_bottom) = (entry >> 9 & 7, entry >> 8 & 1 == 1);
    let mut words = format!("mpls {}", entry >> 12);
    if class > 0 {
        words += &format!(" class {class}");
    }
    words += &format!(" ttl {}", entry & 0xff);
    let next = if is_bottom { Next::by_version(rest) } else { Next::EtherType(MPLS[0]) };
    Some(Step { words, next, rest })
}

fn arp(bytes: &[u8]) -> Option<Step<'_>> {
    let packet = ArpPacketSlice::from_slice(bytes).ok()?;
    let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from);
    let (sender, target) = (address(packet.sender_protocol_addr()), address(packet.target_protocol_addr()));
    let hardware = <[u8; 6]>::try_from(packet.sender_hw_addr()).ok().map(show_mac);
    let words = match (packet.operation().0, sender, target, hardware) {
        (1, Some(sender), Some(target), _) => format!("arp who has {target}, tell {sender}"),
        (2, Some(sender), _, Some(hardware)) => format!("arp {sender} is at {hardware}"),
        (operation, ..) => format!("arp operation {operation}"),
    };
    Some(Step { words, next: Next::Payload, rest: &bytes[packet.slice().len()..] })
}
