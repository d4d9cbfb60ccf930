//! Optional parts of headers: the fields that are set decide which of them a header has.

use std::ops::Range;

use super::{
    ChecksumMode, HeaderKind, Layer,
    field::{FieldDef, Role},
};

/// A flag, and the bytes that a header has when it is set.
struct Part {
    flag: &'static FieldDef,
    /// Setting a field that starts in these bytes sets the flag.
    fields: Range<usize>,
    /// Counted in the header with all of its parts.
    bytes: Range<usize>,
}

impl Part {
    /// The parts of a header, in the order of their flags.
    fn of(kind: HeaderKind) -> impl Iterator<Item = Self> {
        kind.fields().iter().filter_map(|flag| {
            let Role::Presence { fields, part } = &flag.role else { return None };
            Some(Self { flag, fields: fields.clone(), bytes: part.clone() })
        })
    }

    fn is_wanted(&self, layer: &Layer) -> bool {
        layer.kind.fields().iter().any(|field| self.has(field) && layer.value(field).is_some())
    }

    fn has(&self, field: &FieldDef) -> bool {
        self.fields.contains(&field.byte())
    }
}

/// Sets the flags of the parts whose fields are set. A flag that the user set keeps its value, even
/// a wrong one.
pub(super) fn with_flags(layer: &Layer) -> Layer {
    let mut with_flags = layer.clone();
    let checksum = layer.kind.checksum_field();
    for part in Part::of(layer.kind) {
        let is_bad =
            layer.checksum == ChecksumMode::Bad && checksum.is_some_and(|field| part.has(field));
        if (is_bad || part.is_wanted(layer)) && layer.value(part.flag).is_none() {
            with_flags.set.push((part.flag.clone(), 1));
        }
    }
    with_flags
}

/// Which parts a header lacks, and thus where its fields are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    kind: HeaderKind,
    /// The absent bytes, counted in the header with all of its parts; ascending.
    pub(super) absent: Vec<Range<usize>>,
}

impl Shape {
    /// The shape of a header that has its flags. It has a part whose flag is set, or one of whose
    /// fields is.
    pub(super) fn of(layer: &Layer) -> Self {
        let is_there = |part: &Part| {
            layer.value(part.flag).is_some_and(|flag| flag != 0) || part.is_wanted(layer)
        };
        let parts: Vec<Part> = Part::of(layer.kind).collect();
        let is_absent =
            |bytes: &Range<usize>| !parts.iter().any(|part| part.bytes == *bytes && is_there(part));
        let mut absent: Vec<_> =
            parts.iter().map(|part| part.bytes.clone()).filter(is_absent).collect();
        absent.dedup();
        Self { kind: layer.kind, absent }
    }

    /// Whether a field of the header's table is in none of the absent parts.
    pub(super) fn has(&self, field: &FieldDef) -> bool {
        let byte = usize::try_from(field.bit_offset / 8).ok();
        !self.absent.iter().any(|bytes| byte.is_some_and(|byte| bytes.contains(&byte)))
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
