//! Any bytes, anywhere.

use super::{Addressing, HeaderDef, IpPart, Need, OptionForm, Options, Padding, Place};

pub(super) static HEADER: HeaderDef = HeaderDef {
    name: "custom",
    about: "any bytes",
    fields: &[],
    place: Place::Anywhere,
    follows: &[],
    carries: &[],
    options: Some(Options {
        name: "bytes",
        about: "hex, required",
        form: OptionForm::Hex,
        need: Need::Required,
        padding: Padding::Zeros,
    }),
    ip: IpPart::Between,
    addressing: Addressing::NextHop,
    // No number leads here.
    decode: |_, _| None,
};

#[cfg(test)]
mod tests {
    use crate::packet::{
        HeaderKind::{self, Custom, Ethernet, Ipv4, Udp},
        Layer,
        testing::{MACS, V4, layer, short},
    };

    #[test]
    fn custom_stands_anywhere_and_hides_nothing() {
        let custom = || Layer { options: vec![0xc5; 3], ..layer(Custom, &[]) };
        for kind in HeaderKind::ALL {
            let template = short(&[
                custom(),
                layer(Ethernet, &MACS),
                custom(),
                layer(kind, &[]),
                custom(),
                layer(Udp, &[]),
            ]);
            assert_eq!(template.bytes[15..17], [0x88, 0xb5], "before custom: {kind:?}");
        }
        let over = |middle: &[Layer]| {
            let stack =
                [&[layer(Ethernet, &MACS), layer(Ipv4, &V4)], middle, &[layer(Udp, &[])]].concat();
            short(&stack).checksums[1].addresses[0].clone()
        };
        assert_eq!(over(&[]), 26..34, "the addresses");
        assert_eq!(over(&[custom()]), 26..34, "the same ones");
    }
}
