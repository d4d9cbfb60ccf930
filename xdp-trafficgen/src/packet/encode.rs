//! The bytes of one header: defaults, what follows from the header behind it, and its own length.
//!
//! Lengths that count to the frame's end, and checksums, need the whole frame and are filled in
//! later.

use super::{
    HeaderKind, Layer, Window,
    field::{FieldDef, FieldDefault, Role},
    headers::{HeaderDef, Padding},
};

/// The header's bytes with all of its optional parts.
///
/// # Errors
/// How many bytes of options there is room for, when there are more.
pub(super) fn header(layer: &Layer, next: Option<HeaderKind>) -> Result<Vec<u8>, usize> {
    let def = layer.kind.def();
    let options = padded_options(def, &layer.options)?;
    let mut bytes = vec![0; def.fixed_len()];
    bytes.extend(options);
    let next_number = next.and_then(|next| layer.kind.number_of(next));
    for field in def.fields {
        let value = match (&field.role, next_number) {
            (Role::NextHeader, Some(number)) => Some(number.into()),
            (Role::HeaderLength { unit, less }, _) => Some((bytes.len() / unit - less) as u128),
            _ => number(field),
        };
        if let Some(value) = value.filter(|value| *value != 0) {
            Window::new(field.first_bit(), field.bits).write(&mut bytes, field.bits, value);
        }
    }
    Ok(bytes)
}

/// The default of a field, unless it depends on the host.
fn number(field: &FieldDef) -> Option<u128> {
    match field.default {
        FieldDefault::Number(number) => Some(number),
        FieldDefault::SourceMac
        | FieldDefault::DestinationMac
        | FieldDefault::SenderMac
        | FieldDefault::Source
        | FieldDefault::Sender
        | FieldDefault::Destination => None,
    }
}

/// The options with their padding; or how many bytes there is room for, when there are more.
fn padded_options(def: &HeaderDef, options: &[u8]) -> Result<Vec<u8>, usize> {
    let mut padded = options.to_vec();
    let (Some(form), Some((field, unit, less))) = (&def.options, def.header_length()) else {
        return Ok(padded);
    };
    let fixed = def.fixed_len();
    let most = ((1 << field.bits) - 1 + less) * unit - fixed;
    if options.len() > most {
        return Err(most);
    }
    let missing = (fixed + options.len()).next_multiple_of(unit) - fixed - options.len();
    match form.padding {
        Padding::Zeros => padded.resize(options.len() + missing, 0),
        Padding::Ipv6Option => padded.extend(IPV6_PADDING[missing]),
    }
    Ok(padded)
}

/// The padding option of each length below a unit (RFC 8200 section 4.2).
const IPV6_PADDING: [&[u8]; 8] = [
    &[],
    &[0],
    &[1, 0],
    &[1, 1, 0],
    &[1, 2, 0, 0],
    &[1, 3, 0, 0, 0],
    &[1, 4, 0, 0, 0, 0],
    &[1, 5, 0, 0, 0, 0, 0],
];
