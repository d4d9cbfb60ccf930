//! Whether headers can follow each other.

use super::{HeaderKind, Layer, StackError, headers::Place};

pub(super) fn check(layers: &[Layer]) -> Result<(), StackError> {
    let mut below: Option<HeaderKind> = None;
    for (index, layer) in layers.iter().enumerate() {
        let kind = layer.kind;
        let fits = match below {
            None => kind.def().place != Place::Inner,
            Some(below) if below.def().place == Place::Anywhere => true,
            Some(below) => kind.follows().any(|fitting| fitting == below),
        };
        if !fits {
            return Err(StackError::Order { layer: index, kind, below });
        }
        below = Some(kind);
    }
    Ok(())
}
