//! Mixes of frame sizes that have a name or a notation of their own: those of the Open Traffic
//! Generator model, and the genomes of RFC 6985.

use crate::config::{Size, SizeWeight, literal::Problem, names};

/// Name, sizes and weights (open-traffic-generator/models, `flow/size.yaml`,
/// `Flow.SizeWeightPairs`); its hundredths of percent as whole numbers. Its sizes of 58 and 60 are
/// below Ethernet's minimum, and are 64 here as on any wire.
const PREDEFINED: [(&str, &[(u32, u32)]); 9] = [
    ("imix", &[(64, 7), (570, 4), (1518, 1)]),
    ("ipsec_imix", &[(90, 5867), (92, 200), (594, 2366), (1418, 1567)]),
    ("ipv6_imix", &[(64, 5867), (496, 200), (594, 2366), (1518, 1567)]),
    ("standard_imix", &[(64, 6067), (594, 2366), (1518, 1567)]),
    ("tcp_imix", &[(90, 5867), (92, 200), (594, 2366), (1518, 1567)]),
    ("rpr_trimodal", &[(64, 60), (512, 20), (1518, 20)]),
    ("rpr_quadmodal", &[(64, 50), (512, 15), (1518, 15), (9216, 20)]),
    ("cisco", &[(64, 7), (594, 4), (1518, 1)]),
    ("tolly", &[(64, 55), (78, 5), (576, 17), (1518, 23)]),
];

/// Letters and their sizes (RFC 6985 section 3); the user chooses the size of `z`, the MTU's.
const GENOME: [(char, u32); 10] = [
    ('a', 64),
    ('b', 128),
    ('c', 256),
    ('d', 512),
    ('e', 1024),
    ('f', 1280),
    ('g', 1518),
    ('h', 2112),
    ('i', 9000),
    ('j', 16_000),
];

/// The Open Traffic Generator model's mix of this name: `imix`, `tcp_imix`, …
///
/// # Errors
/// When no mix has this name.
pub fn predefined(name: &str) -> Result<Size, Problem> {
    let known = || PREDEFINED.iter().map(|(name, _)| *name);
    let mix = PREDEFINED.iter().find(|(known, _)| *known == name).ok_or_else(|| {
        let help = looks_like_a_size(name).unwrap_or_else(|| names::cure(name, "mixes", known()));
        Problem::new(format!("unknown mix of sizes `{name}`"), help)
    })?;
    Ok(Size::Weighted(mix.1.iter().map(|&(size, weight)| SizeWeight { size, weight }).collect()))
}

/// The first mix of the list whose frames all have at least `least` bytes.
pub fn with_at_least(least: usize) -> Option<&'static str> {
    let fits = |sizes: &[(u32, u32)]| sizes.iter().all(|(size, _)| *size as usize >= least);
    PREDEFINED.iter().find(|(_, sizes)| fits(sizes)).map(|(name, _)| *name)
}

/// The cure for text that is neither a mix nor a plain number of bytes, but looks like one.
fn looks_like_a_size(text: &str) -> Option<String> {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let lower = text.to_lowercase();
    if lower == "jumbo" {
        return Some(
            "write a number of bytes, headers and FCS included: an MTU of 9000 carries frames of 9018".to_owned(),
        );
    }
    if is_digits(text) {
        return Some(format!("write it without quotes: `{text}`"));
    }
    if let Some(bytes) =
        ["bytes", "byte", "b"].iter().find_map(|unit| lower.strip_suffix(unit)).map(str::trim_end)
        && is_digits(bytes)
    {
        return Some(format!("write the number of bytes alone: `{bytes}`"));
    }
    if let Some(kilo) = lower
        .strip_suffix("kb")
        .or_else(|| lower.strip_suffix('k'))
        .and_then(|kilo| kilo.parse::<u32>().ok())
    {
        let sizes = [1000, 1024].map(|one| u64::from(kilo) * one);
        return Some(format!("write the number of bytes: `{}` or `{}`", sizes[0], sizes[1]));
    }
    let (first, last) = lower.split_once("..").or_else(|| lower.split_once('-'))?;
    (is_digits(first) && is_digits(last)).then(|| {
        format!(
            "for a range write `size = {{ random = {{ min = {first}, max = {last} }} }}` or `size = {{ increment = {{ start = {first}, \
             end = {last} }} }}` in a configuration file"
        )
    })
}

/// The sizes a genome's letters stand for, in their order; `custom` is that of `z`.
///
/// # Errors
/// When the text is empty, a letter has no size, or `custom` is not used.
pub fn genome(letters: &str, custom: Option<u32>) -> Result<Size, Problem> {
    let size = |letter: char| match (GENOME.iter().find(|(known, _)| *known == letter), custom) {
        (Some((_, size)), _) => Ok(*size),
        (None, Some(size)) if letter == 'z' => Ok(size),
        (None, None) if letter == 'z' => Err(Problem::new(
            format!("`z` in the genome `{letters}` has no size"),
            "write its size beside the genome: `z = 1400`",
        )),
        (None, _) => {
            let known: Vec<_> =
                GENOME.iter().map(|(letter, size)| format!("`{letter}` = {size}")).collect();
            Err(Problem::new(
                format!("`{letter}` in the genome `{letters}` is no letter of RFC 6985"),
                format!("the letters are {}, and `z` for a size of your own", known.join(", ")),
            ))
        }
    };
    let sizes: Vec<u32> = letters.chars().map(size).collect::<Result<_, _>>()?;
    if sizes.is_empty() {
        return Err(Problem::new(
            "this genome has no letters",
            "write one letter for each frame: `aaafg`",
        ));
    }
    if custom.is_some() && !letters.contains('z') {
        return Err(Problem::new(
            format!("the genome `{letters}` has no `z`, whose size is given beside it"),
            "use `z` in the genome, or remove its size",
        ));
    }
    Ok(Size::Sequence(sizes))
}
