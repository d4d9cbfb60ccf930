//! The packet model: which headers there are, which fields they have, and how a stack of them becomes bytes.
//!
//! A header is a table of fields, an encoder, the headers it can follow and, where it has them, a length, a checksum and
//! optional parts, each in the module of that name. Knows no configuration syntax, no host and no kernel.

mod checksums;
mod encode;
mod fields;
mod header;
mod order;
mod parts;
mod payload;
mod template;
#[cfg(test)]
mod tests;
mod window;

pub use checksums::{Bound, CoveredChecksum, Reach};
pub use header::{FieldDef, FieldType, HeaderKind};
pub use payload::Payload;
pub use template::{ChecksumMode, Layer, LengthField, StackError, Template, assemble};
pub use window::Window;
