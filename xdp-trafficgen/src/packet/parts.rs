//! Optional parts of headers: which are there follows from the fields that are set.

use std::ops::Range;

use super::{ChecksumMode, FieldDef, HeaderKind, Layer};

/// A flag, and what is in the header because of it.
struct Part {
    flag: &'static str,
    /// Setting one of them sets the flag.
    fields: &'static [&'static str],
    /// Bytes of the header with all of its parts. Several flags may share a part.
    bytes: Range<usize>,
}

/// RFC 2784 section 2.1, RFC 2890 section 2.
static GRE: [Part; 3] = [
    Part { flag: "checksum_present", fields: &["checksum", "reserved1"], bytes: 4..8 },
    Part { flag: "key_present", fields: &["key"], bytes: 8..12 },
    Part { flag: "sequence_present", fields: &["sequence_number"], bytes: 12..16 },
];

/// 3GPP TS 29.281 section 5.1: the four bytes are there when any of the flags is set.
static GTPV1: [Part; 3] = [
    Part { flag: "s_flag", fields: &["sequence_number"], bytes: 8..12 },
    Part { flag: "pn_flag", fields: &["n_pdu_number"], bytes: 8..12 },
    Part { flag: "e_flag", fields: &["next_extension_header_type"], bytes: 8..12 },
];

const fn parts(kind: HeaderKind) -> &'static [Part] {
    match kind {
        HeaderKind::Gre => &GRE,
        HeaderKind::Gtpv1 => &GTPV1,
        _ => &[],
    }
}

/// Adds the flags that follow from the fields set; a flag that the user set stays as it is, even if it lies.
pub(super) fn with_flags(layer: &Layer) -> Layer {
    let mut layer = layer.clone();
    for part in parts(layer.kind) {
        let bad_checksum = layer.checksum == ChecksumMode::Bad && part.fields.contains(&"checksum");
        let wanted = bad_checksum || part.fields.iter().any(|field| layer.value(field).is_some());
        if wanted && layer.value(part.flag).is_none() {
            layer.set.extend(layer.kind.field(part.flag).map(|flag| (flag.clone(), 1)));
        }
    }
    layer
}

/// Where the bytes of a header's fields went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    kind: HeaderKind,
    /// Bytes of the header with all of its parts that are not there, ascending.
    pub(super) absent: Vec<Range<usize>>,
}

impl Shape {
    /// Of a layer that has its flags. A part is there when its flag is set or one of its fields is.
    pub(super) fn of(layer: &Layer) -> Self {
        let present = |part: &Part| {
            layer.value(part.flag).is_some_and(|flag| flag != 0)
                || part.fields.iter().any(|field| layer.value(field).is_some())
        };
        let parts = parts(layer.kind);
        let is_absent = |bytes: &Range<usize>| !parts.iter().any(|part| part.bytes == *bytes && present(part));
        let mut absent: Vec<_> = parts.iter().map(|part| part.bytes.clone()).filter(is_absent).collect();
        absent.dedup();
        Self { kind: layer.kind, absent }
    }

    /// Bits from the header's start in the frame to the field's first.
    pub(super) fn bit_offset(&self, field: &FieldDef) -> i64 {
        let offset = i64::from(field.bit_offset);
        if self.kind.field(&field.name) != Some(field) {
            return offset;
        }
        let before = |bytes: &&Range<usize>| (8 * bytes.start) as i64 <= offset;
        let missing: usize = self.absent.iter().filter(before).map(Range::len).sum();
        offset - 8 * missing as i64
    }
}
