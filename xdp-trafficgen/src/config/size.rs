//! Sizes that have names.

use crate::config::{Size, SizeWeight, literal::Problem, names};

/// The mix of this name.
///
/// # Errors
/// When there is none.
pub fn predefined(name: &str) -> Result<Size, Problem> {
    let weighted =
        |sizes: [(u32, u32); 3]| Size::Weighted(sizes.map(|(size, weight)| SizeWeight { size, weight }).into());
    let known = ["imix", "tcp_imix"];
    if known.contains(&name) {
        return Ok(weighted([(64, 7), (570, 4), (1518, 1)]));
    }
    Err(Problem::new(format!("unknown mix of sizes `{name}`"), names::cure(name, "mixes", known)))
}

/// The sizes of an RFC 6985 genome.
///
/// # Errors
/// When it is none.
pub fn genome(text: &str, _z: Option<u32>) -> Result<Size, Problem> {
    let sizes = text.chars().map(|letter| match letter {
        'a' => Ok(64),
        'f' => Ok(1280),
        _ => Err(Problem::new(format!("`{letter}` is not a letter of a genome"), "write letters such as `aaafg`")),
    });
    sizes.collect::<Result<_, _>>().map(Size::Sequence)
}
