//! The names of differentiated services code points.

use super::{Problem, number::digits};

/// The names of IANA's registry (RFC 2474, RFC 2597, RFC 3246, RFC 5865, RFC 8622).
const NAMES: [(&str, u8); 24] = [
    ("CS0", 0),
    ("LE", 1),
    ("CS1", 8),
    ("AF11", 10),
    ("AF12", 12),
    ("AF13", 14),
    ("CS2", 16),
    ("AF21", 18),
    ("AF22", 20),
    ("AF23", 22),
    ("CS3", 24),
    ("AF31", 26),
    ("AF32", 28),
    ("AF33", 30),
    ("CS4", 32),
    ("AF41", 34),
    ("AF42", 36),
    ("AF43", 38),
    ("CS5", 40),
    ("VOICE-ADMIT", 44),
    ("EF", 46),
    ("CS6", 48),
    ("CS7", 56),
    ("DF", 0),
];

/// The code point of this name, in upper or lower case.
pub(super) fn named(text: &str) -> Option<u128> {
    NAMES
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(text))
        .map(|(_, point)| u128::from(*point))
}

/// A code point: its number, decimal or hexadecimal with `0x`, or its name. The
/// field checks whether the number is below 64.
///
/// # Errors
/// When it is neither.
pub fn parse_dscp(text: &str) -> Result<u32, Problem> {
    let number = match text.strip_prefix("0x") {
        Some(hex) => digits(hex, 16),
        None => digits(text, 10),
    };
    number.ok().or_else(|| named(text)).and_then(|point| u32::try_from(point).ok()).ok_or_else(
        || {
            Problem::new(
                format!("`{text}` is not a differentiated services code point"),
                "write a number from 0 to 63, or a name such as `EF`, `AF41` or `CS1`",
            )
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The registry's pattern: class selectors are eights, assured forwarding has a class and a
    /// drop precedence.
    #[test]
    fn names_follow_their_numbers() {
        for (name, point) in NAMES {
            let digits: Vec<u8> =
                name.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
            let expected = match (&name[..2], &digits[..]) {
                ("CS", [class]) => 8 * class,
                ("AF", [class, precedence]) => 8 * class + 2 * precedence,
                _ => point,
            };
            assert_eq!(parse_dscp(name), Ok(expected.into()), "{name}");
        }
        assert_eq!((parse_dscp("ef"), parse_dscp("63"), parse_dscp("le")), (Ok(46), Ok(63), Ok(1)));
        assert_eq!((parse_dscp("0x2e"), parse_dscp("0x3F")), (Ok(46), Ok(63)));
        for wrong in ["-1", "+1", "0x", "0xg", "0x+1", "99999999999", "AF44", "", "gold"] {
            assert!(parse_dscp(wrong).unwrap_err().help.contains("`EF`"), "{wrong}");
        }
    }
}
