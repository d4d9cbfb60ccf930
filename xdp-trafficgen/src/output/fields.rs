//! A flow in a table: every field of every header, its value in the first frame, and how it varies.

use comfy_table::Table;

use crate::{
    config::{Flow, Header, Payload, Size, literal::show_value},
    output::{numbers, words},
    packet::{
        ChecksumMode, FieldDef, Template, Window,
        field::{FieldDefault, Notation, Role},
    },
};

/// Several lines, with a line feed at the end of each. Values are those of `first`, the flow's
/// first frame, where it is known, and otherwise those of the template.
pub fn render(flow: &Flow, template: &Template, first: Option<&[u8]>) -> String {
    let frame = first.unwrap_or(&template.bytes);
    let mut table = numbers::table(&["header", "field", "first frame", "varies"], 4);
    for (index, header) in flow.packet.iter().enumerate() {
        add_header(&mut table, flow, index, header, template, frame);
    }
    table.add_row(["payload", "", &payload(&flow.payload.value), ""]);
    // The preset pads every line.
    table.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
}

fn add_header(
    table: &mut Table,
    flow: &Flow,
    index: usize,
    header: &Header,
    template: &Template,
    frame: &[u8],
) {
    let kind = header.kind.value;
    let mut name = words::header(flow, index);
    let is_set = |field: &FieldDef| header.fields.iter().find(|setting| *setting.field == *field);
    let of_table = kind
        .fields()
        .iter()
        .filter(|field| template.has(index, field))
        .map(|field| (field, is_set(field)));
    // Bits at any offset are not in the header's table.
    let bits = header.fields.iter().filter(|setting| kind.field(&setting.field.name).is_none());
    for (field, setting) in of_table.chain(bits.map(|setting| (&*setting.field, Some(setting)))) {
        let value =
            read(frame, &template.window(index, field), field.bits).map(|value| show(field, value));
        let varies = match setting {
            Some(setting) => words::varies(flow, setting),
            None => unset(flow, template, index, field).to_owned(),
        };
        let field = match kind.field(&field.name) {
            Some(_) => field.name.to_string(),
            None => format!("{} at {}", field.name, place(field)),
        };
        table.add_row([std::mem::take(&mut name), field, value.unwrap_or_default(), varies]);
    }
    if let Some(options) = kind.options().filter(|_| !header.options.value.is_empty()) {
        let (name, bytes) = (std::mem::take(&mut name), hex(&header.options.value));
        table.add_row([&name, options.name, &bytes, ""]);
    }
    if !name.is_empty() {
        table.add_row([name]);
    }
}

/// Where in a header bits are: `byte 6`, `byte 6 bit 3, 13 bits`.
fn place(bits: &FieldDef) -> String {
    let (byte, bit) = (bits.bit_offset.div_euclid(8), bits.bit_offset.rem_euclid(8));
    match (bit, bits.bits % 8) {
        (0, 0) => format!("byte {byte}, {} bytes", bits.bits / 8),
        _ => format!("byte {byte} bit {bit}, {} bits", bits.bits),
    }
}

/// Where the value of a field comes from that the user did not set.
fn unset(flow: &Flow, template: &Template, index: usize, field: &FieldDef) -> &'static str {
    let header = &flow.packet[index];
    match field.role {
        Role::Checksum(_) => match header.checksum.value {
            ChecksumMode::Good if lacks_bytes(template, index, field) => {
                "as for zeros in place of what the lengths say is missing"
            }
            ChecksumMode::Good => "right in every frame",
            ChecksumMode::Bad => "wrong in every frame, as asked",
        },
        Role::FrameLength { .. } if !matches!(flow.size.value, Size::Fixed(_)) => {
            "filled in, goes with the size"
        }
        Role::NextHeader => {
            let next = flow.packet.get(index + 1).map(|next| next.kind.value);
            let is_named = next.is_some_and(|next| header.kind.value.number_of(next).is_some());
            if is_named { "filled in" } else { "default" }
        }
        Role::FrameLength { .. }
        | Role::HeaderLength { .. }
        | Role::Presence { .. }
        | Role::OwnNumber => "filled in",
        Role::Plain => match field.default {
            FieldDefault::Number(_) => "default",
            FieldDefault::SourceMac
            | FieldDefault::DestinationMac
            | FieldDefault::SenderMac
            | FieldDefault::Source
            | FieldDefault::Sender
            | FieldDefault::Destination => "filled in",
        },
    }
}

/// Whether the lengths count more bytes than the frame has, as in a fragment: a receiver cannot
/// check such a checksum.
fn lacks_bytes(template: &Template, index: usize, field: &FieldDef) -> bool {
    let at = template.window(index, field).bytes.start;
    let own = template.checksums.iter().find(|checksum| checksum.offset == at);
    own.is_some_and(|checksum| {
        let reach = checksum.reach(&template.bytes);
        reach.length > (reach.end - checksum.start) as u64
    })
}

/// The low `bits` bits of a window; none when the frame ends before.
fn read(frame: &[u8], window: &Window, bits: u32) -> Option<u128> {
    let end = (window.bytes.end * 8).checked_sub(window.shift as usize)?;
    let start = end.checked_sub(bits as usize)?;
    (start..end).try_fold(0, |value, bit| {
        Some(value << 1 | u128::from(frame.get(bit / 8)? >> (7 - bit % 8) & 1))
    })
}

/// In the notation of the field.
fn show(field: &FieldDef, value: u128) -> String {
    match field.notation {
        Notation::Decimal => show_value(field, value),
        Notation::Hexadecimal => format!("0x{value:04x}"),
    }
}

/// Bytes shown of a longer sequence.
const SHOWN: usize = 16;

fn payload(payload: &Payload) -> String {
    match payload {
        Payload::Zeros => "zeros".to_owned(),
        Payload::Pattern(bytes) => format!("{} over and over", hex(bytes)),
        Payload::Bytes(bytes) => match str::from_utf8(bytes) {
            Ok(text) if !text.is_empty() && !text.contains(char::is_control) => {
                let shown: String = text.chars().take(4 * SHOWN).collect();
                format!("{shown:?}{}, then zeros", if shown.len() < text.len() { " …" } else { "" })
            }
            _ => format!("{}, then zeros", hex(bytes)),
        },
        Payload::Increment(first) => {
            format!("{first:02x} {:02x} {:02x} …", first.wrapping_add(1), first.wrapping_add(2))
        }
        Payload::Random { seed } => format!("random, seed {seed}, the same in every frame"),
    }
}

fn hex(bytes: &[u8]) -> String {
    let shown: Vec<String> = bytes.iter().take(SHOWN).map(|byte| format!("{byte:02x}")).collect();
    let rest =
        if bytes.len() > SHOWN { format!(" … {} bytes", bytes.len()) } else { String::new() };
    shown.join(" ") + &rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_bit_by_bit() {
        let frame: Vec<u8> = (0..20_u8).map(|byte| byte.wrapping_mul(0x11)).collect();
        assert_eq!(read(&frame, &Window { bytes: 1..3, shift: 0 }, 16), Some(0x1122));
        assert_eq!(read(&frame, &Window { bytes: 1..3, shift: 4 }, 8), Some(0x12));
        assert_eq!(read(&frame, &Window { bytes: 1..2, shift: 4 }, 1), Some(1));
        assert_eq!(
            read(&frame, &Window { bytes: 0..17, shift: 4 }, 128),
            Some(0x0011_2233_4455_6677_8899_aabb_ccdd_eeff_u128 << 4 | 1)
        );
        assert_eq!(read(&frame, &Window { bytes: 19..21, shift: 0 }, 16), None);
    }

    #[test]
    fn payloads() {
        for (given, expected) in [
            (Payload::Zeros, "zeros"),
            (Payload::Pattern(vec![0xde, 0xad]), "de ad over and over"),
            (Payload::Bytes(b"hello".to_vec()), "\"hello\", then zeros"),
            (Payload::Bytes(vec![0, 1]), "00 01, then zeros"),
            (Payload::Increment(0xff), "ff 00 01 …"),
            (Payload::Random { seed: 3 }, "random, seed 3, the same in every frame"),
        ] {
            assert_eq!(payload(&given), expected);
        }
        assert_eq!(hex(&[1; 17]), format!("{} … 17 bytes", ["01"; 16].join(" ")));
    }
}
