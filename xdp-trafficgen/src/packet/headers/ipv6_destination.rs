//! IPv6 destination options.

use super::{
    Addressing, Decoded, Follows, HeaderDef, IpPart, Need, Next, Number, OptionForm, Options,
    Padding, Place, V6, ipv4, ipv6,
};
use crate::packet::field::number;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "ipv6_destination",
    about: "IPv6 destination options (RFC 8200 section 4.6)",
    fields: &[
        number("next_header", 0, 8).next_header(ipv4::EXPERIMENT),
        number("length", 8, 8).header_length(8, 1),
    ],
    place: Place::Inner,
    follows: &[Follows { headers: V6, number: Number::IpProtocol(60) }],
    carries: &[],
    options: Some(Options {
        name: "options",
        about: "hex",
        form: OptionForm::Hex,
        need: Need::Optional,
        padding: Padding::Ipv6Option,
    }),
    ip: IpPart::Between,
    addressing: Addressing::NextHop,
    decode,
};

fn decode(bytes: &[u8], _: Next) -> Option<Decoded<'_>> {
    ipv6::extension("destination options", bytes)
}
