//! What a stack of headers is made of, as the modules above it take it: a layer with what is set in
//! it, and why a stack cannot be a frame.

use super::{FieldDef, HeaderKind};

/// A header and the fields that are set; lengths, next protocols and checksums follow from the
/// stack unless set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Which header.
    pub kind: HeaderKind,
    /// Fields with the value they have in the template. A checksum, length or next protocol among
    /// them is sent as it is, and so is one that bits among them overlap. Of fields that
    /// overlap each other, the last one of the innermost header counts.
    pub set: Vec<(FieldDef, u128)>,
    /// The part of variable length: options (padded by the encoder), or the bytes of `custom`.
    pub options: Vec<u8>,
    /// What its checksum is to be, unless it is among `set`.
    pub checksum: ChecksumMode,
}

impl Layer {
    /// The value of a field of its table, when it is set.
    pub(crate) fn value(&self, field: &FieldDef) -> Option<u128> {
        self.set.iter().rfind(|(set, _)| set == field).map(|&(_, value)| value)
    }
}

/// What the checksum of a header is to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ChecksumMode {
    /// Correct.
    #[default]
    Good,
    /// Wrong, on purpose, in every frame.
    Bad,
}

/// Why a stack of headers cannot be a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StackError {
    /// A header that cannot stand where it does.
    #[error("`{}` cannot {}", .kind.name(), .below.map_or("come first".to_owned(), |below| format!("follow `{}`", below.name())))]
    Order {
        /// Index of the layer.
        layer: usize,
        /// Its header.
        kind: HeaderKind,
        /// The header before it.
        below: Option<HeaderKind>,
    },
    /// The part of variable length is longer than the header can be.
    #[error("{len} bytes of options, but `{}` has room for {max}", .kind.name())]
    OptionsTooLong {
        /// Index of the layer.
        layer: usize,
        /// Its header.
        kind: HeaderKind,
        /// Bytes given.
        len: usize,
        /// Bytes there is room for.
        max: usize,
    },
    /// The headers alone are longer than the frame.
    #[error("the headers take {headers} bytes and the FCS 4, more than the frame's {size}")]
    TooSmall {
        /// Bytes of all headers.
        headers: usize,
        /// Bytes of the frame on the wire.
        size: usize,
    },
    /// The frame is longer than its headers can say.
    #[error("a frame of {size} bytes is longer than the 16 bits of its lengths can say")]
    TooLarge {
        /// Bytes of the frame on the wire.
        size: usize,
    },
    /// A field that is not within the frame: bits at a large offset, or the TPID of a tag without a
    /// header before it.
    #[error("`{field}` lies outside of the frame's {size} bytes")]
    OutsideFrame {
        /// Index of the layer.
        layer: usize,
        /// The field's name.
        field: String,
        /// Bytes of the frame on the wire.
        size: usize,
    },
    /// The payload's bytes do not fit behind the headers.
    #[error("the payload has {payload} bytes, but only {room} of the frame are left for it")]
    PayloadTooLong {
        /// Bytes of the payload.
        payload: usize,
        /// Bytes left.
        room: usize,
    },
}
