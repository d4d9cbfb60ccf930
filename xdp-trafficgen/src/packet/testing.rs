//! What the tests of headers share: layers written in a line, and the frames made of them.

use std::{borrow::Cow, fmt::Write as _};

use super::{ChecksumMode, FieldDef, HeaderKind, Layer, Payload, Template, assemble};
use crate::output::frames::line;

pub(super) const PAYLOAD: [u8; 5] = [1, 2, 3, 4, 5];
pub(super) const MACS: [(&str, u128); 2] = [("dst", 0x0200_0000_0002), ("src", 0x0200_0000_0001)];
pub(super) const V4: [(&str, u128); 2] = [("src", 0x0a00_0001), ("dst", 0x0a00_0002)];
pub(super) const V6: [(&str, u128); 2] = [("src", 0x2001 << 112 | 1), ("dst", 0x2001 << 112 | 2)];

pub(super) fn layer(kind: HeaderKind, set: &[(&str, u128)]) -> Layer {
    let field = |name| kind.field(name).unwrap_or_else(|| panic!("{kind:?} has no {name}")).clone();
    Layer {
        kind,
        set: set.iter().map(|&(name, value)| (field(name), value)).collect(),
        options: Vec::new(),
        checksum: ChecksumMode::Good,
    }
}

pub(super) fn bits(bit_offset: i32, bits: u32) -> FieldDef {
    FieldDef::bits(Cow::Borrowed("bits"), bit_offset, bits)
}

/// Its headers and five bytes.
#[track_caller]
pub(super) fn short(layers: &[Layer]) -> Template {
    let headers = assemble(layers, 2000, &Payload::Zeros).expect("a stack").header_len;
    let payload = Payload::Bytes(PAYLOAD.to_vec());
    assemble(layers, headers + PAYLOAD.len(), &payload).expect("the same stack")
}

/// The bytes of the layer with this index, in hexadecimal digits.
pub(super) fn hex(template: &Template, index: usize) -> String {
    let end = template.offsets.get(index + 1).copied().unwrap_or(template.header_len);
    template.bytes[template.offsets[index]..end].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const A: [u8; 6] = [2, 0, 0, 0, 0, 1];
const B: [u8; 6] = [2, 0, 0, 0, 0, 2];

/// Ethernet with this type, and what is behind.
pub(super) fn over_ethernet(ether_type: u16, bytes: &[u8]) -> Vec<u8> {
    [&B[..], &A, &ether_type.to_be_bytes(), bytes].concat()
}

/// Ethernet, IPv4 with this protocol, and what is behind.
pub(super) fn over_ip(protocol: u8, bytes: &[u8]) -> Vec<u8> {
    let len = u8::try_from(20 + bytes.len()).expect("a short packet");
    let ip = [0x45, 0, 0, len, 0, 0, 0, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    over_ethernet(0x0800, &[&ip, bytes].concat())
}

/// The same with UDP to this port and a checksum of zero.
pub(super) fn over_udp(port: u16, bytes: &[u8]) -> Vec<u8> {
    over_ip(17, &[&[0, 1], &port.to_be_bytes()[..], &[0; 4], bytes].concat())
}

/// What a frame of [`over_udp`] starts with.
pub(super) fn udp_words(port: u16) -> String {
    format!("{IP_WORDS}  udp 1 > {port}, checksum 0000")
}

/// What a frame of [`over_ethernet`] starts with.
pub(super) const MAC_WORDS: &str = "02:00:00:00:00:01 > 02:00:00:00:00:02";
/// What a frame of [`over_ip`] starts with.
pub(super) const IP_WORDS: &str = "02:00:00:00:00:01 > 02:00:00:00:00:02  10.0.0.1 > 10.0.0.2";

#[track_caller]
pub(super) fn check_line(frame: &[u8], expected: &str) {
    assert_eq!(line(frame), expected);
    // However short: no panic, and no more than what is there.
    for len in 0..frame.len() {
        line(&frame[..len]);
    }
}
