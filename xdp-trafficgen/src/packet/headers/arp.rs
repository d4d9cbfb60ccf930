//! ARP for IPv4 on Ethernet.

use std::net::Ipv4Addr;

use etherparse::ArpPacketSlice;

use super::{Addressing, Decoded, Follows, HeaderDef, IpPart, LINK, Next, Number, Place};
use crate::{
    host::show_mac,
    packet::field::{FieldDefault, ipv4, mac, number},
};

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "arp",
    about: "ARP for IPv4 on Ethernet (RFC 826)",
    fields: &[
        number("hardware_type", 0, 16).default(1),
        number("protocol_type", 16, 16).default(0x0800).hex(),
        number("hardware_length", 32, 8).default(6),
        number("protocol_length", 40, 8).default(4),
        // A request.
        number("operation", 48, 16).default(1),
        mac("sender_hardware_addr", 64).from(FieldDefault::SenderMac),
        ipv4("sender_protocol_addr", 112).from(FieldDefault::Sender),
        mac("target_hardware_addr", 144),
        ipv4("target_protocol_addr", 192).from(FieldDefault::Destination),
    ],
    place: Place::Inner,
    follows: &[Follows { headers: LINK, number: Number::EtherType(0x0806, &[]) }],
    carries: &[],
    options: None,
    ip: IpPart::End,
    addressing: Addressing::Everybody,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let packet = ArpPacketSlice::from_slice(bytes).ok()?;
    let address = |bytes: &[u8]| <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from);
    let (sender, target) =
        (address(packet.sender_protocol_addr()), address(packet.target_protocol_addr()));
    let hardware = <[u8; 6]>::try_from(packet.sender_hw_addr()).ok().map(show_mac);
    let words = match (packet.operation().0, sender, target, hardware) {
        (1, Some(sender), Some(target), _) => format!("arp who has {target}, tell {sender}"),
        (2, Some(sender), _, Some(hardware)) => format!("arp {sender} is at {hardware}"),
        (operation, ..) => format!("arp operation {operation}"),
    };
    Some(Decoded { words, next: Next::Payload, rest: &bytes[packet.slice().len()..] })
}

#[cfg(test)]
mod tests {
    use crate::packet::testing::{MAC_WORDS, check_line, over_ethernet};

    #[test]
    fn in_words() {
        let own = [2, 0, 0, 0, 0, 1, 10, 0, 0, 1];
        let arp = |operation| {
            [&[0, 1, 8, 0, 6, 4, 0, operation][..], &own, &[0; 6], &[10, 0, 0, 2]].concat()
        };
        let words = |words| format!("{MAC_WORDS}  arp {words}");
        check_line(&over_ethernet(0x0806, &arp(1)), &words("who has 10.0.0.2, tell 10.0.0.1"));
        check_line(&over_ethernet(0x0806, &arp(2)), &words("10.0.0.1 is at 02:00:00:00:00:01"));
    }
}
