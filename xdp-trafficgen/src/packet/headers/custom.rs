//! Any bytes, anywhere.

use super::{HeaderDef, IpPart, Need, OptionForm, Options, Padding, Place};

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
    // No number leads here.
    decode: |_, _| None,
};
