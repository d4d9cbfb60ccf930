//! IPv6 hop-by-hop options.

use super::{
    Addressing, Decoded, Follows, HeaderDef, HeaderKind, IpPart, Need, Next, Number, OptionForm,
    Options, Padding, Place, ipv4, ipv6,
};
use crate::packet::field::number;

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "ipv6_hop_by_hop",
    about: "IPv6 hop-by-hop options (RFC 8200 section 4.3)",
    fields: &[
        number("next_header", 0, 8).next_header(ipv4::EXPERIMENT),
        number("length", 8, 8).header_length(8, 1),
    ],
    place: Place::Inner,
    // First among the extension headers (RFC 8200 section 4.1).
    follows: &[Follows { headers: &[HeaderKind::Ipv6], number: Number::IpProtocol(0) }],
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
    ipv6::extension("hop-by-hop options", bytes)
}
