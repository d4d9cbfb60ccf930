//! Times as users write them: durations, seconds, instants.

use std::time::{Duration, SystemTime};

use jiff::{fmt::temporal::Pieces, tz::Offset};

use super::{Decimal, NotDigits, Problem, is_negative};

const DURATION_HELP: &str = "write a number and its unit: `10s`, `500ms`, `1m 30s`";

/// A duration: [`parse_time`], above zero.
///
/// # Errors
/// When it is none.
pub fn parse_duration(text: &str) -> Result<Duration, Problem> {
    let duration = parse_time(text)?;
    if duration.is_zero() {
        return Err(Problem::new(format!("a duration of `{text}` sends nothing"), DURATION_HELP));
    }
    Ok(duration)
}

/// A time such as `10s`, `500ms`, `200ns`, `1m 30s` or `0s`: at most what 64 bits of nanoseconds
/// hold (584 years).
///
/// # Errors
/// When it is none.
pub fn parse_time(text: &str) -> Result<Duration, Problem> {
    let trimmed = text.trim();
    if is_negative(trimmed) {
        return Err(Problem::new(format!("`{text}` is negative"), "write a time of at least `0s`"));
    }
    if Decimal::parse(trimmed).is_ok_and(|number| number.digits > 0) {
        let help = format!(
            "write its unit: `{trimmed}s` for seconds, `{trimmed}ms`, or `{trimmed}m` for minutes"
        );
        return Err(Problem::new(format!("`{text}` is not a duration: it has no unit"), help));
    }
    // Parts are added one by one, because humantime 2.4 panics when their sum overflows.
    let mut time = Some(Duration::ZERO);
    for part in parts(text) {
        let part = humantime::parse_duration(part)
            .map_err(|_| Problem::new(format!("`{text}` is not a duration"), DURATION_HELP))?;
        time = time.and_then(|time| time.checked_add(part));
    }
    time.filter(|time| u64::try_from(time.as_nanos()).is_ok()).ok_or_else(|| {
        Problem::new(
            format!("a duration of `{text}` is above 584 years"),
            "write a shorter one; without `duration`, a flow sends without end",
        )
    })
}

/// `1m 30s` as `1m ` and `30s`; at least one part.
fn parts(text: &str) -> Vec<&str> {
    let (mut parts, mut rest, mut last) = (Vec::new(), 0, ' ');
    for (index, letter) in text.char_indices().filter(|(_, letter)| !letter.is_whitespace()) {
        if letter.is_ascii_digit() && last.is_alphabetic() {
            parts.push(&text[rest..index]);
            rest = index;
        }
        last = letter;
    }
    parts.push(&text[rest..]);
    parts
}

/// Seconds as a decimal number, such as `0.25`: whole nanoseconds, at most as many as [`parse_time`]
/// takes.
///
/// # Errors
/// When it is none.
pub fn parse_seconds(text: &str) -> Result<Duration, Problem> {
    let wrong = |message: &str, help: &str| Problem::new(format!("`{text}` {message}"), help);
    if let Some(rest) = text.strip_prefix('-')
        && Decimal::parse(rest).is_ok()
    {
        return Err(wrong("is negative", "count seconds from 0"));
    }
    let (nanoseconds, rest) = match Decimal::parse(text) {
        Ok(Decimal { digits, places }) => {
            let whole = 10_u128.checked_pow(places);
            let scaled = digits.checked_mul(1_000_000_000);
            let parts = scaled.zip(whole).map(|(scaled, whole)| (scaled / whole, scaled % whole));
            parts.ok_or_else(|| {
                wrong("has too many digits", "write nine behind the point at most")
            })?
        }
        Err(NotDigits::Overflow) => {
            return Err(wrong("has too many digits", "write nine behind the point at most"));
        }
        Err(NotDigits::Other) => {
            return Err(wrong("is not a number of seconds", "write one such as `0.25`"));
        }
    };
    if rest != 0 {
        return Err(wrong(
            "is finer than a nanosecond",
            "write nine digits behind the point at most",
        ));
    }
    match u64::try_from(nanoseconds) {
        Ok(nanoseconds) => Ok(Duration::from_nanos(nanoseconds)),
        Err(_) => Err(wrong("seconds are more than 584 years", "write a smaller number")),
    }
}

/// An instant on which machines agree: RFC 3339, such as `2026-11-22T14:00:00Z`,
/// `2026-11-22T15:00:00.5+01:00`, in UTC where no zone is given; or seconds since 1970 (UTC) after
/// an `@`, `@1764000000.5`.
///
/// # Errors
/// When it is none.
pub fn parse_instant(text: &str) -> Result<SystemTime, Problem> {
    const HELP: &str = "write an instant as RFC 3339 does, `2026-11-22T14:00:00Z`, or as seconds since 1970, `@1764000000.5`";
    let wrong = || Problem::new(format!("`{text}` is not an instant"), HELP);
    if let Some(seconds) = text.strip_prefix('@') {
        return Ok(SystemTime::UNIX_EPOCH + parse_seconds(seconds)?);
    }
    if text.starts_with('+') {
        return Err(Problem::new(format!("`{text}` depends on when the command is started"), HELP));
    }
    let pieces = Pieces::parse(text.trim()).map_err(|_| wrong())?;
    let local = pieces.date().to_datetime(pieces.time().ok_or_else(wrong)?);
    let offset = pieces.to_numeric_offset().unwrap_or(Offset::UTC);
    // The name of a zone would need a look-up; RFC 3339 counts hours up to 23.
    if pieces.time_zone_annotation().is_some() || offset.seconds().unsigned_abs() >= 24 * 3600 {
        return Err(wrong());
    }
    let instant = offset.to_timestamp(local).map_err(|_| wrong())?;
    // Instants before 1970 are refused.
    let since = Duration::try_from(instant.as_duration()).map_err(|_| wrong())?;
    Ok(SystemTime::UNIX_EPOCH + since)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn refused<T: std::fmt::Debug>(parsed: Result<T, Problem>, message: &str, help: &str) {
        let problem = parsed.unwrap_err();
        assert!(problem.message.contains(message) && problem.help.contains(help), "{problem}");
    }

    #[test]
    fn times() {
        for (text, nanoseconds) in [
            ("0s", 0),
            ("200ns", 200),
            ("1us", 1000),
            ("2.5us", 2500),
            ("1 ms", 1_000_000),
            ("1m 30s", 90_000_000_000),
            ("1h 1ns", 3_600_000_000_001),
            ("1h2 m3s", 3_723_000_000_000),
            ("18446744073709551615ns", u64::MAX),
        ] {
            assert_eq!(parse_time(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
        refused(parse_time("10"), "`10` is not a duration", "`10s`");
        refused(parse_time("0.5ns"), "`0.5ns` is not a duration", "");
        refused(parse_time("600 years"), "above 584 years", "shorter");
        refused(parse_time("18446744073709551615s 1000ms"), "above 584 years", "shorter");
        refused(parse_time("1m 30"), "`1m 30` is not a duration", "");
        refused(parse_time(""), "`` is not a duration", "");
        refused(parse_duration("0s"), "a duration of `0s` sends nothing", "`10s`");
    }

    #[test]
    fn seconds() {
        for (text, nanoseconds) in [
            ("0", 0),
            ("1", 1_000_000_000),
            ("0.25", 250_000_000),
            ("3.000000001000", 3_000_000_001),
            ("0.0", 0),
        ] {
            assert_eq!(parse_seconds(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
        }
        refused(parse_seconds("-1"), "`-1` is negative", "from 0");
        refused(parse_seconds("0.0000000001"), "finer than a nanosecond", "nine digits");
        refused(parse_seconds(&format!("0.{}1", "0".repeat(50))), "too many digits", "nine");
        refused(parse_seconds("18446744074"), "more than 584 years", "smaller");
        for text in ["", "x", "1.", ".5", "1e3", "1s", "--1"] {
            refused(parse_seconds(text), "is not a number of seconds", "`0.25`");
        }
    }

    /// The numbers are those of `date -d … +%s`.
    #[test]
    fn instants() {
        for (text, seconds, nanoseconds) in [
            ("2026-11-22T14:00:00Z", 1_795_356_000, 0),
            ("2026-11-22T14:00:00", 1_795_356_000, 0),
            ("2026-11-22 14:00:00", 1_795_356_000, 0),
            ("2026-11-22t14:00:00z", 1_795_356_000, 0),
            ("2026-11-22T14:00:00.125Z", 1_795_356_000, 125_000_000),
            ("2026-11-22T15:00:00+01:00", 1_795_356_000, 0),
            ("2026-11-22T04:15:00.5-09:45", 1_795_356_000, 500_000_000),
            ("@1764000000", 1_764_000_000, 0),
            ("@1764000000.5", 1_764_000_000, 500_000_000),
        ] {
            let expected = SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds);
            assert_eq!(parse_instant(text), Ok(expected), "{text}");
        }
        refused(
            parse_instant("+5s"),
            "`+5s` depends on when the command is started",
            "`2026-11-22T14:00:00Z`",
        );
        refused(parse_instant("@-5"), "`-5` is negative", "");
        for text in [
            "",
            "now",
            "14:00",
            "2026-11-22",
            "2026-13-22T14:00:00Z",
            "2026-11-22T14:00:00+25:00",
            "2026-11-22T14:00:00+1:00",
            "2026-11-22T14:00:00Z+01:00",
            "2026-11-22T14:00:00+01:00Z",
            "1970-01-01T00:00:00+01:00",
            "2026-11-22T14:00:00é",
            "2026-11-22T14:00:00Z[Europe/Berlin]",
            "2026-02-29T14:00:00Z",
            "-009999-11-22T14:00:00Z",
        ] {
            refused(parse_instant(text), "is not an instant", "RFC 3339");
        }
    }
}
