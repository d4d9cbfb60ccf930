//! Rates as users write them, in a file or on the command line: text in, checked value out.

use std::time::Duration;

use super::{LatePolicy, Rate, RateUnit};
use crate::{
    config::literal::{Decimal, NotDigits, Problem, is_negative, parse_time},
    units::Ratio,
};

const HELP: &str = "write a number and its unit, such as `500kpps`, `10Gbps`, `10GbpsL1` or `40%`";

/// Prefixes of units, as powers of a thousand.
pub(super) const PREFIXES: [&str; 5] = ["", "k", "M", "G", "T"];

/// The unit of a number: `Mpps` is a million frames a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The kind of the unit.
    pub unit: RateUnit,
    /// How many of that kind one unit is.
    pub one: Ratio,
}

/// A rate such as `1.5Mpps`, `500 kpps`, `10Gbps` (as `10GbpsL2`), `10GbpsL1` or `12.5%`; upper and
/// lower case are the same. May be zero.
///
/// # Errors
/// When it is none, has no unit, is above `100%`, or its fraction in lowest terms has more than 64
/// bits.
pub fn parse_rate(text: &str) -> Result<Rate, Problem> {
    let (decimal, unit) = split(text)?;
    if unit.is_empty() {
        let number = text.trim();
        let is_share =
            decimal.digits <= 100_u128.saturating_mul(10_u128.saturating_pow(decimal.places));
        let share =
            if is_share { format!(", or `{number}%` of the line rate") } else { String::new() };
        let help = format!(
            "write its unit: `{number}pps` for frames a second, `{number}Mbps` for millions of bits a second{share}"
        );
        return Err(Problem::new(format!("`{text}` has no unit"), help));
    }
    if let Some(prefix) = PREFIXES.iter().skip(1).find(|prefix| prefix.eq_ignore_ascii_case(unit)) {
        let number = text.trim().strip_suffix(unit).unwrap_or_default().trim_end();
        let help = format!(
            "write `{number}{prefix}bps` for bits a second, or `{number}{prefix}pps` for frames a second"
        );
        return Err(Problem::new(format!("`{text}` has no unit, only a prefix"), help));
    }
    rate(text, decimal, parse_unit(unit)?)
}

/// As [`parse_rate`], with `unit` for numbers without one.
///
/// # Errors
/// As those of [`parse_rate`].
pub fn parse_rate_in(text: &str, unit: Unit) -> Result<Rate, Problem> {
    match split(text)? {
        (decimal, "") => rate(text, decimal, unit),
        (decimal, unit) => rate(text, decimal, parse_unit(unit)?),
    }
}

/// The unit of a rate: `pps`, `bps`, `bpsL2` or `bpsL1` with a prefix up to `T`, or `%`. `bit` and
/// `bit/s` are `bps`.
///
/// # Errors
/// When it is none, or counts bytes (`MBps`).
pub fn parse_unit(text: &str) -> Result<Unit, Problem> {
    const UNITS: [(&str, RateUnit); 6] = [
        ("pps", RateUnit::Frames),
        ("bps", RateUnit::BitsL2),
        ("bit", RateUnit::BitsL2),
        ("bit/s", RateUnit::BitsL2),
        ("bpsl2", RateUnit::BitsL2),
        ("bpsl1", RateUnit::BitsL1),
    ];
    if text == "%" {
        return Ok(Unit { unit: RateUnit::LineShare, one: Ratio::new(1u128, 100u128) });
    }
    // A capital `B` beside small letters means bytes, as in `80MBps`. In capitals throughout, `BPS`
    // means bits.
    let is_bytes = text.contains("Bps")
        || ["B", "B/s", "byte/s", "bytes/s"].iter().any(|unit| text.ends_with(unit));
    let lower = text.to_lowercase();
    let known = UNITS.into_iter().find_map(|(name, unit)| {
        let prefix = lower.strip_suffix(name)?;
        let numerator = (0..)
            .zip(PREFIXES)
            .find(|(_, known)| known.to_lowercase() == prefix)
            .map(|(power, _)| power);
        Some(Unit { unit, one: Ratio::whole(1000_u128.pow(numerator?)) })
    });
    known.filter(|_| !is_bytes).ok_or_else(|| {
        let help = if text.contains(',') {
            "write decimals with a point: `1.5Mpps`"
        } else if is_bytes {
            "write bits a second, eight for each byte: `80Mbps` for ten megabytes"
        } else if lower.ends_with("p/s") || lower.ends_with("packets/s") || lower.ends_with("frames/s") {
            "write frames a second as `pps`, `kpps` or `Mpps`"
        } else {
            "the units are `pps`, `bps` (with the FCS, also `bpsL2`), `bpsL1` (with preamble and gap), with `k`, `M`, `G` or `T` \
             before them, and `%` of the line rate"
        };
        Problem::new(format!("unknown unit `{text}` of a rate"), help)
    })
}

/// The speed of a link in bits a second, such as `10Gbps` or `2.5Gbps`.
///
/// # Errors
/// When it is none, is zero, or is no whole number.
pub fn parse_speed(text: &str) -> Result<u64, Problem> {
    const HELP: &str = "write the bits a second that the link is named by: `10Gbps`, `100Mbps`";
    let wrong = |message: &str| Problem::new(format!("`{text}` {message}"), HELP);
    let lower = text.trim().to_lowercase();
    let is_plain = ["bps", "bit", "bit/s"].iter().any(|unit| lower.ends_with(unit));
    match parse_rate(text) {
        Ok(rate) if rate.unit != RateUnit::BitsL2 || !is_plain => {
            Err(wrong("is not the speed of a link"))
        }
        Ok(rate) if rate.is_zero() => Err(wrong("is no speed")),
        Ok(Rate { amount, .. }) => {
            let whole = u64::try_from(amount.floor()).ok().filter(|_| amount.fract().is_zero());
            whole.ok_or_else(|| wrong("is no whole number of bits a second"))
        }
        Err(Problem { message, .. }) => Err(Problem::new(message, HELP)),
    }
}

/// The late policy: `catch_up`, `catch_up=20ms` or `skip`.
///
/// # Errors
/// When it is none of them, or the time is none or zero.
pub fn parse_behind(text: &str) -> Result<LatePolicy, Problem> {
    const HELP: &str = "write `catch_up`, `catch_up=20ms` or `skip`";
    match text.split_once('=') {
        None if text == "catch_up" => Ok(LatePolicy::DEFAULT),
        None if text == "skip" => Ok(LatePolicy::Skip),
        Some((word, time)) if word.trim() == "catch_up" => catch_up(parse_time(time)?),
        _ => Err(Problem::new(format!("`{text}` is not a way to deal with overdue frames"), HELP)),
    }
}

/// A factor for rates: `2x`, `0.5x`.
///
/// # Errors
/// When it is no such factor, or is zero.
pub fn parse_factor(text: &str) -> Result<Ratio, Problem> {
    const HELP: &str = "write how many times as fast: `2x`, `0.5x`";
    let wrong = |message: &str| Problem::new(format!("`{text}` {message}"), HELP);
    let number = text.trim().strip_suffix(['x', 'X']).ok_or_else(|| wrong("is not a factor"))?;
    let decimal = Decimal::parse(number.trim_end()).map_err(|_| wrong("is not a factor"))?;
    let Decimal { digits, places } = decimal;
    let factor = 10_u128
        .checked_pow(places)
        .map(|whole| Ratio::new(digits, whole))
        .filter(|factor| factor.is_short());
    let factor = factor.ok_or_else(|| wrong("has too many digits"))?;
    if factor.is_zero() { Err(wrong("sends nothing")) } else { Ok(factor) }
}

/// [`LatePolicy::CatchUp`].
///
/// # Errors
/// When the time is zero.
pub(in crate::config) fn catch_up(time: Duration) -> Result<LatePolicy, Problem> {
    if time.is_zero() {
        return Err(Problem::new(
            "nothing can be caught up in no time",
            "write `skip` to skip what is overdue",
        ));
    }
    Ok(LatePolicy::CatchUp(time))
}

/// The number, and the text after it.
fn split(text: &str) -> Result<(Decimal, &str), Problem> {
    let trimmed = text.trim();
    if is_negative(trimmed) {
        return Err(Problem::new(format!("the rate `{text}` is negative"), HELP));
    }
    let (number, unit) = Decimal::leading(trimmed);
    match number {
        Ok(decimal) => Ok((decimal, unit.trim_start())),
        Err(NotDigits::Overflow) => Err(too_long(text)),
        Err(NotDigits::Other) => Err(Problem::new(format!("`{text}` is not a rate"), HELP)),
    }
}

fn rate(
    text: &str,
    Decimal { digits, places }: Decimal,
    Unit { unit, one }: Unit,
) -> Result<Rate, Problem> {
    let numerator = digits.checked_mul(one.numerator());
    let denominator =
        10_u128.checked_pow(places).and_then(|whole| whole.checked_mul(one.denominator()));
    let amount = numerator.zip(denominator).map(|(above, below)| Ratio::new(above, below));
    let amount = amount.filter(|amount| amount.is_short()).ok_or_else(|| too_long(text))?;
    if unit == RateUnit::LineShare && amount > Ratio::ONE {
        return Err(above_the_line(text));
    }
    Ok(Rate { amount, unit })
}

/// The error of a rate above `100%`.
pub(in crate::config) fn above_the_line(shown: &str) -> Problem {
    let help =
        "write at most `100%`; give the `speed` of the port if the link is faster than it says";
    Problem::new(format!("`{shown}` is more than the line carries"), help)
}

fn too_long(text: &str) -> Problem {
    Problem::new(
        format!("the rate `{text}` is too large, or has too many digits"),
        "write a rate of fewer digits",
    )
}

#[cfg(test)]
mod tests;
