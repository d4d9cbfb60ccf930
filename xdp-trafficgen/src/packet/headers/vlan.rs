//! The VLAN tag; several are QinQ.

use etherparse::SingleVlanHeaderSlice;

use super::{Addressing, Decoded, Follows, HeaderDef, IpPart, LINK, Next, Number, Place, ethernet};
use crate::packet::field::number;

const CUSTOMER: u16 = 0x8100;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "vlan",
    about: "802.1Q tag; several are QinQ",
    fields: &[
        // The Ethernet type of the header before, which is what makes this a tag.
        number("tpid", -16, 16).own_number().hex(),
        number("priority", 0, 3),
        number("cfi", 3, 1),
        number("id", 4, 12),
        number("ether_type", 16, 16).next_header(ethernet::LOCAL_EXPERIMENT).hex(),
    ],
    place: Place::Inner,
    // 802.1ad's, and the one of tags before it was there.
    follows: &[Follows { headers: LINK, number: Number::EtherType(CUSTOMER, &[0x88a8, 0x9100]) }],
    carries: &[],
    options: None,
    ip: IpPart::End,
    addressing: Addressing::Tag { protocol: "tpid", id: "id" },
    decode,
};

fn decode(bytes: &[u8], by: Next) -> Option<Decoded<'_>> {
    let header = SingleVlanHeaderSlice::from_slice(bytes).ok()?;
    let mut words = format!("vlan {}", header.vlan_identifier().value());
    if let Next::EtherType(tpid) = by
        && tpid != CUSTOMER
    {
        words += &format!(" tpid {tpid:04x}");
    }
    if header.priority_code_point().value() > 0 {
        words += &format!(" priority {}", header.priority_code_point().value());
    }
    if header.drop_eligible_indicator() {
        words += " dei";
    }
    let next = Next::EtherType(header.ether_type().0);
    Some(Decoded { words, next, rest: &bytes[header.slice().len()..] })
}

#[cfg(test)]
mod tests {
    use crate::packet::testing::{MAC_WORDS, check_line, over_ethernet};

    #[test]
    fn in_words() {
        let tags = [5 << 5, 100, 0x81, 0, 0x10, 7, 0x88, 0xb5];
        let words = "vlan 100 tpid 88a8 priority 5  vlan 7 dei  ether type 88b5";
        check_line(&over_ethernet(0x88a8, &tags), &format!("{MAC_WORDS}  {words}"));
    }
}
