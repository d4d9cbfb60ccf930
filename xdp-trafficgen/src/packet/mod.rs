//! The packet model: which headers there are, which fields they have, and how a stack of them becomes bytes.
//!
//! A header is a table of fields plus an encoder on etherparse; another header is another table and encoder, nothing
//! else. Knows no configuration syntax, no host and no kernel.

mod header;
mod template;

pub use header::{FieldDef, FieldType, HeaderKind};
pub use template::{
    ChecksumMode, CoveredChecksum, Layer, LengthField, Payload, StackError, Template, Window, assemble,
};
