//! Ethernet II.

use etherparse::Ethernet2HeaderSlice;

use super::{Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, Next, Number, Place};
use crate::{
    host::show_mac,
    packet::field::{FieldDefault, mac, number},
};

/// Local Experimental Ethertype 1 (IEEE 802): what is behind has no Ethernet type.
pub(super) const LOCAL_EXPERIMENT: u128 = 0x88b5;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "ethernet",
    about: "Ethernet II (IEEE 802.3)",
    fields: &[
        mac("dst", 0).from(FieldDefault::DestinationMac),
        mac("src", 48).from(FieldDefault::SourceMac),
        number("ether_type", 96, 16).next_header(LOCAL_EXPERIMENT).hex(),
    ],
    place: Place::First,
    // Transparent Ethernet bridging (RFC 1701).
    follows: &[Follows { headers: &[HeaderKind::Gre], number: Number::EtherType(0x6558, &[]) }],
    carries: &[],
    options: None,
    ip: IpPart::End,
    addressing: Addressing::Link,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    let header = Ethernet2HeaderSlice::from_slice(bytes).ok()?;
    let words = format!("{} > {}", show_mac(header.source()), show_mac(header.destination()));
    let next = Next::EtherType(header.ether_type().0);
    Some(Decoded { words, next, rest: &bytes[header.slice().len()..] })
}
