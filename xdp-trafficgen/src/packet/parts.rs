//! Optional parts of headers: which are there follows from the fields that are set.

use std::ops::Range;

use super::{
    ChecksumMode, HeaderKind, Layer,
    field::{FieldDef, Role},
};

/// A flag, and what is in the header because of it.
struct Part {
    flag: &'static FieldDef,
    /// Setting a field that starts in these bytes sets the flag.
    fields: Range<usize>,
    /// Bytes of the header with all of its parts.
    bytes: Range<usize>,
}

impl Part {
    /// Those of a header, in the order of their flags.
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

/// Adds the flags that follow from the fields set; a flag that the user set stays as it is, even if
/// it lies.
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
