//! Sizes that have names.

use crate::config::{Size, SizeWeight, literal::Problem};

/// The mix of this name.
pub fn predefined(name: &str) -> Option<Size> {
    let weighted =
        |sizes: [(u32, u32); 3]| Size::Weighted(sizes.map(|(size, weight)| SizeWeight { size, weight }).into());
    name.ends_with("imix").then(|| weighted([(64, 7), (570, 4), (1518, 1)]))
}

/// The sizes of an RFC 6985 genome.
///
/// # Errors
/// When it is none.
pub fn genome(text: &str, _z: Option<u32>) -> Result<Size, Problem> {
    let sizes = text.chars().map(|letter| match letter {
        'a' => Ok(64),
        'f' => Ok(1518),
        _ => Err(Problem::new(format!("`{letter}` is not a letter of a genome"), "write letters such as `aaafg`")),
    });
    sizes.collect::<Result<_, _>>().map(Size::Sequence)
}
