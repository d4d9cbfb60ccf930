//! Numbers as users write them: `1_000_000`, `1M`, `1e6`, and numbers of options within a range.

use std::ops::RangeInclusive;

use super::Problem;

/// A decimal number that is not negative: `digits / 10^places`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) struct Decimal {
    pub(in crate::config) digits: u128,
    pub(in crate::config) places: u32,
}

/// Why text is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum NotDigits {
    /// The number exceeds 128 bits.
    Overflow,
    /// The text is no number.
    Other,
}

impl Decimal {
    /// The number of digits with or without a point among them.
    pub(in crate::config) fn parse(text: &str) -> Result<Self, NotDigits> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(NotDigits::Other),
            Some((whole, fraction)) => (whole, fraction.trim_end_matches('0')),
            None => (text, ""),
        };
        if whole.is_empty() {
            return Err(NotDigits::Other);
        }
        let places = u32::try_from(fraction.len()).map_err(|_| NotDigits::Overflow)?;
        Ok(Self { digits: digits(&format!("{whole}{fraction}"), 10)?, places })
    }

    /// The number at the start of `text`, which may have underscores between its digits and an
    /// exponent, and the text after it.
    pub(in crate::config) fn leading(text: &str) -> (Result<Self, NotDigits>, &str) {
        let is_number = |letter: char| letter.is_ascii_digit() || matches!(letter, '.' | '_');
        let (mantissa, rest) =
            text.split_at(text.find(|letter| !is_number(letter)).unwrap_or(text.len()));
        let exponent =
            rest.strip_prefix(['e', 'E']).map(|rest| rest.strip_prefix('+').unwrap_or(rest));
        let (exponent, rest) = match exponent
            .filter(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
        {
            Some(exponent) => exponent.split_at(
                exponent.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(exponent.len()),
            ),
            None => ("0", rest),
        };
        let number = without_underscores(mantissa).ok_or(NotDigits::Other).and_then(|mantissa| {
            Self::parse(&mantissa)?.times_ten_to(exponent.parse().map_err(|_| NotDigits::Overflow)?)
        });
        (number, rest)
    }

    fn times_ten_to(self, power: u32) -> Result<Self, NotDigits> {
        let Self { digits, places } = self;
        let zeros = power.saturating_sub(places);
        let digits = 10_u128.checked_pow(zeros).and_then(|zeros| digits.checked_mul(zeros));
        Ok(Self {
            digits: digits.ok_or(NotDigits::Overflow)?,
            places: places.saturating_sub(power),
        })
    }

    /// The number, if it is a whole one.
    fn whole(self) -> Option<u128> {
        let one = 10_u128.checked_pow(self.places)?;
        self.digits.is_multiple_of(one).then_some(self.digits / one)
    }
}

/// None when an underscore is not between two digits.
fn without_underscores(text: &str) -> Option<String> {
    let between = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.');
    let alone = !text.contains('_');
    (alone || text.split('_').all(between)).then(|| text.replace('_', ""))
}

/// Parses digits alone; [`u128::from_str_radix`] also takes a sign.
pub(super) fn digits(text: &str, radix: u32) -> Result<u128, NotDigits> {
    if text.is_empty() || !text.chars().all(|letter| letter.is_digit(radix)) {
        return Err(NotDigits::Other);
    }
    u128::from_str_radix(text, radix).map_err(|_| NotDigits::Overflow)
}

/// A count above zero: `1000000`, `1_000_000`, `1M`, `1e6`, `1.5k`.
///
/// # Errors
/// When it is none, or above 64 bits.
pub fn parse_count(text: &str) -> Result<u64, Problem> {
    const HELP: &str = "write a whole number: `1000000`, `1_000_000`, `1M` or `1e6`";
    let wrong = |message: &str, help: &str| Problem::new(format!("`{text}` {message}"), help);
    let trimmed = text.trim();
    if is_negative(trimmed) {
        return Err(wrong(
            "is negative",
            "write a number of at least 1, or leave it out for no limit",
        ));
    }
    let (number, suffix) = Decimal::leading(trimmed);
    let too_large = || {
        wrong("is too large", "write at most 18446744073709551615, or leave it out for no limit")
    };
    let number = number.map_err(|error| match error {
        NotDigits::Overflow => too_large(),
        NotDigits::Other => wrong("is not a number", HELP),
    })?;
    let power = match suffix.trim_start() {
        "" => 0,
        "k" | "K" => 3,
        "M" => 6,
        "G" => 9,
        "T" => 12,
        small @ ("m" | "g" | "t") => {
            let number = trimmed.strip_suffix(small).unwrap_or(trimmed);
            let help = format!(
                "write `{number}{}`; `k`, `M`, `G` and `T` are thousands, millions and so on",
                small.to_uppercase()
            );
            return Err(wrong("is not a number", &help));
        }
        _ => return Err(wrong("is not a number", HELP)),
    };
    match number.times_ten_to(power).map(Decimal::whole) {
        Err(_) => Err(too_large()),
        Ok(None) => Err(wrong("is not a whole number", HELP)),
        Ok(Some(0)) => {
            Err(wrong("is nothing", "write a number of at least 1, or leave it out for no limit"))
        }
        Ok(Some(count)) => u64::try_from(count).map_err(|_| too_large()),
    }
}

/// A number within `range`, decimal or hexadecimal with `0x`; `what` names it in errors, such as `a VLAN id`.
///
/// # Errors
/// When it is none, or outside.
pub fn parse_within(text: &str, what: &str, range: &RangeInclusive<u32>) -> Result<u32, Problem> {
    parse_meant_for(text, what, range)
        .ok()
        .filter(|number| range.contains(number))
        .ok_or_else(|| none(text, what, range))
}

/// As [`parse_within`], but the caller checks the range, so that it can report all numbers outside of
/// their ranges together.
///
/// # Errors
/// When it is no number of 32 bits.
pub fn parse_meant_for(
    text: &str,
    what: &str,
    range: &RangeInclusive<u32>,
) -> Result<u32, Problem> {
    let parsed = match text.strip_prefix("0x") {
        Some(hexadecimal) => digits(hexadecimal, 16),
        None => digits(text, 10),
    };
    parsed.ok().and_then(|number| u32::try_from(number).ok()).ok_or_else(|| none(text, what, range))
}

fn none(text: &str, what: &str, range: &RangeInclusive<u32>) -> Problem {
    let (least, most) = (range.start(), range.end());
    Problem::new(
        format!("`{text}` is not {what}"),
        format!("write a number from {least} to {most}"),
    )
}

/// Whether the text is a number with a minus sign.
pub fn is_negative(text: &str) -> bool {
    text.strip_prefix('-')
        .is_some_and(|rest| rest.starts_with(|first: char| first.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts() {
        for (text, count) in [
            ("1", 1),
            ("1_000_000", 1_000_000),
            ("1M", 1_000_000),
            ("1e6", 1_000_000),
            ("1.5E+3", 1500),
            ("1.5k", 1500),
            ("2 G", 2_000_000_000),
            ("10K", 10_000),
            ("1_0.5k", 10_500),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(parse_count(text), Ok(count), "{text}");
        }
        for (text, message, help) in [
            ("-1", "is negative", "at least 1"),
            ("0", "is nothing", "at least 1"),
            ("0.0e9", "is nothing", "at least 1"),
            ("1m", "is not a number", "`1M`"),
            ("1.5", "is not a whole number", "`1e6`"),
            ("1e-3", "is not a number", "`1_000_000`"),
            ("1Mi", "is not a number", "`1M`"),
            ("_1", "is not a number", "`1M`"),
            ("1__0", "is not a number", "`1M`"),
            ("", "is not a number", "`1M`"),
            ("all", "is not a number", "`1M`"),
            ("18446744073709551616", "is too large", "at most"),
            ("1e99", "is too large", "at most"),
            ("1e99999999999", "is too large", "at most"),
        ] {
            let problem = parse_count(text).unwrap_err();
            assert!(
                problem.message.contains(message) && problem.help.contains(help),
                "{text}: {problem}"
            );
        }
    }

    #[test]
    fn numbers_of_options() {
        assert_eq!(parse_within("0x10", "a VLAN id", &(0..=4095)), Ok(16));
        assert_eq!(parse_meant_for("4096", "a VLAN id", &(0..=4095)), Ok(4096));
        assert!(parse_meant_for("-1", "a VLAN id", &(0..=4095)).is_err());
        for wrong in ["4096", "-1", "a", "", "1.2", "99999999999"] {
            let problem = parse_within(wrong, "a VLAN id", &(0..=4095)).unwrap_err();
            assert_eq!(
                problem.to_string(),
                format!("`{wrong}` is not a VLAN id; write a number from 0 to 4095")
            );
        }
    }
}
