//! The packet model: which headers there are, which fields they have, and how a stack of them
//! becomes bytes.
//!
//! All that is known of one header is in its file in `headers/`; the other modules know none by
//! name. Knows no configuration syntax, no host and no kernel.

mod checksums;
pub(crate) mod decode;
mod encode;
pub(crate) mod field;
pub(crate) mod headers;
mod layer;
mod order;
mod parts;
mod payload;
mod reference;
mod template;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod window;

#[doc(hidden)]
pub use checksums::{Bound, CoveredChecksum, Reach};
pub use field::{FieldDef, FieldRef, FieldType};
pub use headers::{HeaderKind, Options};
pub use layer::ChecksumMode;
#[doc(hidden)]
pub use layer::{Layer, StackError};
pub use payload::Payload;
#[doc(hidden)]
pub use reference::reference;
#[doc(hidden)]
pub use template::{LengthField, Template, assemble};
#[doc(hidden)]
pub use window::Window;
