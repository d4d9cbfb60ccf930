//! Rates as users write them, in a file or on the command line: text in, checked value out, and
//! back.

use std::{fmt, time::Duration};

use humantime::format_duration;

use super::{Burst, LatePolicy, Profile, Rate, RateUnit, Spacing, Step};
use crate::{
    config::literal::{Decimal, NotDigits, Problem, is_negative, parse_time},
    units::Ratio,
};

const HELP: &str = "write a number and its unit, such as `500kpps`, `10Gbps`, `10GbpsL1` or `40%`";

/// Prefixes of units, as powers of a thousand.
const PREFIXES: [&str; 5] = ["", "k", "M", "G", "T"];

/// What a number is a count of: `Mpps` is a million frames a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unit {
    /// What is counted.
    pub unit: RateUnit,
    /// How much of it one is.
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

/// [`parse_rate`], of numbers also without a unit, which then is this one.
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
        return Ok(Unit {
            unit: RateUnit::LineShare,
            one: Ratio { numerator: 1, denominator: 100 },
        });
    }
    // A capital `B` beside small letters is a byte, as in `80MBps`. Nobody means one by `BPS`, in
    // capitals throughout.
    let is_bytes = text.contains("Bps")
        || ["B", "B/s", "byte/s", "bytes/s"].iter().any(|unit| text.ends_with(unit));
    let lower = text.to_lowercase();
    let known = UNITS.into_iter().find_map(|(name, unit)| {
        let prefix = lower.strip_suffix(name)?;
        let numerator = (0..)
            .zip(PREFIXES)
            .find(|(_, known)| known.to_lowercase() == prefix)
            .map(|(power, _)| power);
        Some(Unit { unit, one: Ratio { numerator: 1000_u128.pow(numerator?), denominator: 1 } })
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

/// What becomes of overdue departures: `catch_up`, `catch_up=20ms` or `skip`.
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

/// How many times as fast: `2x`, `0.5x`.
///
/// # Errors
/// When it is no such factor, or zero.
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
/// When there is no time for it.
pub(in crate::config) fn catch_up(time: Duration) -> Result<LatePolicy, Problem> {
    if time.is_zero() {
        return Err(Problem::new(
            "nothing can be caught up in no time",
            "write `skip` to skip what is overdue",
        ));
    }
    Ok(LatePolicy::CatchUp(time))
}

/// The number, and what is behind it.
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
    let numerator = digits.checked_mul(one.numerator);
    let denominator =
        10_u128.checked_pow(places).and_then(|whole| whole.checked_mul(one.denominator));
    let amount = numerator.zip(denominator).map(|(above, below)| Ratio::new(above, below));
    let amount = amount.filter(|amount| amount.is_short()).ok_or_else(|| too_long(text))?;
    if unit == RateUnit::LineShare && amount > Ratio::ONE {
        return Err(above_the_line(text));
    }
    Ok(Rate { amount, unit })
}

/// That a rate is above `100%`.
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

/// As users write it: `500 kpps`, `1.5 Gbps`, `10 GbpsL1`, `12.5 %`.
impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Of terms with 64 bits no product below has more than 128.
        let Ratio { numerator: above, denominator: below } = self.amount.within(u64::MAX.into());
        let name = match self.unit {
            RateUnit::LineShare => return write!(formatter, "{} %", Digits(above * 100, below)),
            RateUnit::Frames => "pps",
            RateUnit::BitsL2 => "bps",
            RateUnit::BitsL1 => "bpsL1",
        };
        let prefixes =
            (0..).zip(PREFIXES).map(|(power, prefix)| (below * 1000_u128.pow(power), prefix));
        let largest = prefixes.filter(|(one, _)| above >= *one).last();
        let (one, prefix) = largest.unwrap_or((below, ""));
        write!(formatter, "{} {prefix}{name}", Digits(above, one))
    }
}

/// Digits behind the point from the first on that is not zero: more than anybody writes, where the
/// fraction never ends.
const PLACES: usize = 12;

/// Above and below the line, the lower one not zero: shown as a decimal number, cut after
/// [`PLACES`].
struct Digits(u128, u128);

impl fmt::Display for Digits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(above, below) = *self;
        let (mut rest, mut places) = (above % below, String::new());
        while rest != 0 && places.trim_start_matches('0').len() < PLACES {
            rest *= 10;
            places += &(rest / below).to_string();
            rest %= below;
        }
        write!(formatter, "{}", above / below)?;
        let places = places.trim_end_matches('0');
        if places.is_empty() { Ok(()) } else { write!(formatter, ".{places}") }
    }
}

/// In one line: `ramp from 1 kpps to 1 Mpps over 10s`.
impl fmt::Display for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant(rate) => write!(formatter, "{rate}"),
            Self::Poisson { mean, seed } => {
                write!(formatter, "at random (Poisson), {mean} on average")?;
                seed.map_or(Ok(()), |seed| write!(formatter, ", seed {seed}"))
            }
            Self::Burst(Burst { packets, spacing, inter_burst_gap, bursts }) => {
                match bursts {
                    Some(1) => write!(formatter, "a burst")?,
                    Some(bursts) => write!(formatter, "{bursts} bursts")?,
                    None => write!(formatter, "bursts")?,
                }
                let noun = if *packets == 1 { "frame" } else { "frames" };
                write!(formatter, " of {packets} {noun}")?;
                match spacing {
                    Spacing::Link => {}
                    Spacing::Gap(gap) => write!(formatter, ", {} apart", format_duration(*gap))?,
                    Spacing::Rate(rate) => write!(formatter, " at {rate}")?,
                }
                if *bursts == Some(1) {
                    return Ok(());
                }
                write!(formatter, ", with {} between bursts", format_duration(*inter_burst_gap))
            }
            Self::Ramp { from, to, over } => {
                write!(formatter, "ramp from {from} to {to} over {}", format_duration(*over))
            }
            Self::Steps { steps, repeat } => {
                let step = |Step { rate, duration }: &Step| {
                    format!("{rate} for {}", format_duration(*duration))
                };
                let shown: Vec<_> = steps.iter().take(SHOWN).map(step).collect();
                write!(formatter, "steps: {}", shown.join(", "))?;
                if steps.len() > SHOWN {
                    write!(formatter, ", … and {} more", steps.len() - SHOWN)?;
                }
                formatter.write_str(again(*repeat))
            }
            Self::Sine { mean, amplitude, period } => {
                write!(
                    formatter,
                    "sine around {mean}, up and down by {amplitude} every {}",
                    format_duration(*period)
                )
            }
            Self::Trace { points, repeat } => {
                let end = points.last().map(|(time, _)| *time).unwrap_or_default();
                write!(
                    formatter,
                    "trace of {} points over {}",
                    points.len(),
                    format_duration(end)
                )?;
                let rates = || points.iter().map(|(_, rate)| rate);
                let by_amount = |rate: &&Rate| rate.amount;
                if let (Some(lowest), Some(highest)) =
                    (rates().min_by_key(by_amount), rates().max_by_key(by_amount))
                {
                    write!(formatter, ", {lowest} to {highest}")?;
                }
                formatter.write_str(again(*repeat))
            }
        }
    }
}

/// Steps that are named before the list is cut short.
const SHOWN: usize = 4;

const fn again(repeat: bool) -> &'static str {
    if repeat { ", over and over" } else { "" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::rate::NotScalable;

    /// What `text` is, and how it is shown.
    #[track_caller]
    fn check(text: &str, (numerator, denominator): (u128, u128), unit: RateUnit, shown: &str) {
        let rate = parse_rate(text).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(rate, Rate { amount: Ratio { numerator, denominator }, unit }, "{text}");
        assert_eq!(rate.to_string(), shown);
        assert_eq!(parse_rate(shown), Ok(rate), "what is shown can be written");
    }

    #[test]
    fn rates() {
        use RateUnit::{BitsL1, BitsL2, Frames, LineShare};
        check("1.5Mpps", (1_500_000, 1), Frames, "1.5 Mpps");
        check("500kpps", (500_000, 1), Frames, "500 kpps");
        check(" 500  kpps ", (500_000, 1), Frames, "500 kpps");
        check("10pps", (10, 1), Frames, "10 pps");
        check("0pps", (0, 1), Frames, "0 pps");
        check("0.50pps", (1, 2), Frames, "0.5 pps");
        check("007.0Kpps", (7000, 1), Frames, "7 kpps");
        check("0.001kpps", (1, 1), Frames, "1 pps");
        check("999.999kpps", (999_999, 1), Frames, "999.999 kpps");
        check("1000kpps", (1_000_000, 1), Frames, "1 Mpps");
        check(
            "0.0000000000000000005pps",
            (1, 2_000_000_000_000_000_000),
            Frames,
            "0.0000000000000000005 pps",
        );
        check(
            "18446744073709551615pps",
            (u64::MAX.into(), 1),
            Frames,
            "18446744.073709551615 Tpps",
        );
        check(
            "0.333333333333pps",
            (333_333_333_333, 1_000_000_000_000),
            Frames,
            "0.333333333333 pps",
        );
        check("10Gbps", (10_000_000_000, 1), BitsL2, "10 Gbps");
        check("10GbpsL2", (10_000_000_000, 1), BitsL2, "10 Gbps");
        check("10gbpsl1", (10_000_000_000, 1), BitsL1, "10 GbpsL1");
        check("1.6TBPSL1", (1_600_000_000_000, 1), BitsL1, "1.6 TbpsL1");
        check("56bps", (56, 1), BitsL2, "56 bps");
        check("2.5mbps", (2_500_000, 1), BitsL2, "2.5 Mbps");
        check("80MBPS", (80_000_000, 1), BitsL2, "80 Mbps");
        check("100kbit", (100_000, 1), BitsL2, "100 kbps");
        check("1Gbit/s", (1_000_000_000, 1), BitsL2, "1 Gbps");
        check("1e6pps", (1_000_000, 1), Frames, "1 Mpps");
        check("10_000pps", (10_000, 1), Frames, "10 kpps");
        check("40%", (2, 5), LineShare, "40 %");
        check("12.5%", (1, 8), LineShare, "12.5 %");
        check("100.000 %", (1, 1), LineShare, "100 %");
        check("0%", (0, 1), LineShare, "0 %");
    }

    #[test]
    fn fractions_without_end_are_cut() {
        let rate = Rate {
            amount: Ratio { numerator: 10_000_000_000, denominator: 672 },
            unit: RateUnit::Frames,
        };
        assert_eq!(rate.to_string(), "14.880952380952 Mpps");
        let rate = Rate {
            amount: Ratio { numerator: 1, denominator: u64::MAX.into() },
            unit: RateUnit::Frames,
        };
        assert_eq!(rate.to_string(), "0.0000000000000000000542101086242 pps");
    }

    /// Message and help of what `parse` refuses.
    #[track_caller]
    fn refused<T: fmt::Debug>(parsed: Result<T, Problem>, message: &str, help: &str) {
        let problem = parsed.unwrap_err();
        assert!(problem.message.contains(message) && problem.help.contains(help), "{problem}");
    }

    #[test]
    fn what_is_no_rate() {
        refused(parse_rate("1000"), "`1000` has no unit", "`1000pps` for frames a second");
        refused(parse_rate("10G"), "only a prefix", "`10Gbps` for bits a second, or `10Gpps`");
        refused(parse_rate("2.5 m"), "only a prefix", "`2.5Mbps`");
        refused(parse_rate("100"), "`100` has no unit", "`100Mbps`");
        refused(parse_rate("10MB/s"), "unknown unit `MB/s`", "eight for each byte");
        for bytes in ["80MBps", "10kBps", "1 GBpsL1", "5Bps"] {
            refused(parse_rate(bytes), "unknown unit `", "eight for each byte");
        }
        refused(parse_rate("10kp/s"), "unknown unit `kp/s`", "`kpps`");
        refused(parse_rate("10Mbs"), "unknown unit `Mbs`", "the units are `pps`");
        refused(parse_rate("10Ppps"), "unknown unit `Ppps`", "`k`, `M`, `G` or `T`");
        refused(parse_rate("10k%"), "unknown unit `k%`", "`%` of the line rate");
        refused(parse_rate("1,5Mpps"), "unknown unit `,5Mpps`", "with a point: `1.5Mpps`");
        refused(parse_rate("-5pps"), "the rate `-5pps` is negative", "`500kpps`");
        for text in ["", "fast", "pps", ".5pps", "5.pps", "1.2.3pps", "+5pps", "-pps", "%"] {
            refused(parse_rate(text), &format!("`{text}` is not a rate"), "`40%`");
        }
        refused(parse_rate("100.1%"), "`100.1%` is more than the line carries", "`speed`");
        refused(parse_rate("18446744073709551616pps"), "too large", "fewer digits");
        refused(parse_rate(&format!("{}pps", "9".repeat(60))), "too large", "fewer digits");
        refused(
            parse_rate(&format!("0.{}1pps", "0".repeat(60))),
            "too many digits",
            "fewer digits",
        );
    }

    #[test]
    fn numbers_of_a_unit() {
        let thousand = parse_unit("kpps").unwrap();
        let frames = |numerator| Rate {
            amount: Ratio { numerator, denominator: 1 },
            unit: RateUnit::Frames,
        };
        assert_eq!(parse_rate_in("1.5", thousand), Ok(frames(1500)));
        assert_eq!(parse_rate_in("2 Mpps", thousand), Ok(frames(2_000_000)));
        refused(parse_rate_in("x", thousand), "`x` is not a rate", "`500kpps`");
        refused(
            parse_rate_in("101", parse_unit("%").unwrap()),
            "`101` is more than the line carries",
            "",
        );
        refused(parse_unit("5pps"), "unknown unit `5pps`", "");
    }

    #[test]
    fn speeds() {
        for (text, bits) in [
            ("10Gbps", 10_000_000_000),
            ("100 mbps", 100_000_000),
            ("2.5Gbps", 2_500_000_000),
            ("9bps", 9),
        ] {
            assert_eq!(parse_speed(text), Ok(bits), "{text}");
        }
        for text in ["10GbpsL1", "10GbpsL2", "10kpps", "40%"] {
            refused(parse_speed(text), &format!("`{text}` is not the speed of a link"), "`10Gbps`");
        }
        refused(parse_speed("0Gbps"), "`0Gbps` is no speed", "`10Gbps`");
        refused(parse_speed("0.5bps"), "no whole number of bits", "`10Gbps`");
        refused(parse_speed("10"), "`10` has no unit", "`10Gbps`");
    }

    #[test]
    fn factors() {
        for (text, numerator, denominator) in
            [("2x", 2, 1), ("0.5x", 1, 2), ("1.25X", 5, 4), (" 10 x", 10, 1)]
        {
            assert_eq!(parse_factor(text), Ok(Ratio { numerator, denominator }), "{text}");
        }
        for text in ["2", "x", "-1x", "50%", "2xx", "1,5x"] {
            refused(parse_factor(text), &format!("`{text}` is not a factor"), "`0.5x`");
        }
        refused(parse_factor("0x"), "sends nothing", "");
        refused(parse_factor(&format!("{}x", "9".repeat(30))), "too many digits", "");
    }

    #[test]
    fn profiles_are_multiplied() {
        let half = parse_factor("0.5x").unwrap();
        let rate = |text| parse_rate(text).unwrap();
        let ramp =
            Profile::Ramp { from: rate("0pps"), to: rate("3kpps"), over: Duration::from_secs(1) };
        assert_eq!(ramp.scaled(half).unwrap().to_string(), "ramp from 0 pps to 1.5 kpps over 1s");
        let poisson = Profile::Poisson { mean: rate("10Mbps"), seed: Some(7) };
        assert_eq!(
            poisson.scaled(half).unwrap().to_string(),
            "at random (Poisson), 5 Mbps on average, seed 7"
        );
        let share = Profile::Constant(rate("60%"));
        assert_eq!(share.scaled(half).unwrap().to_string(), "30 %");
        assert_eq!(share.scaled(parse_factor("2x").unwrap()), Err(NotScalable::AboveTheLine));
        let period = Duration::from_secs(1);
        let sine = Profile::Sine { mean: rate("50%"), amplitude: rate("25%"), period };
        assert_eq!(sine.scaled(parse_factor("1.5x").unwrap()), Err(NotScalable::AboveTheLine));
        let huge = Profile::Constant(Rate {
            amount: Ratio { numerator: u64::MAX.into(), denominator: 1 },
            ..rate("1pps")
        });
        assert_eq!(huge.scaled(parse_factor("2x").unwrap()), Err(NotScalable::TooLong));
    }

    #[test]
    fn ways_to_be_behind() {
        assert_eq!(parse_behind("catch_up"), Ok(LatePolicy::CatchUp(Duration::from_millis(100))));
        assert_eq!(
            parse_behind("catch_up=20ms"),
            Ok(LatePolicy::CatchUp(Duration::from_millis(20)))
        );
        assert_eq!(parse_behind("skip"), Ok(LatePolicy::Skip));
        refused(parse_behind("catchup"), "`catchup` is not", "`catch_up=20ms`");
        refused(parse_behind("skip=5ms"), "`skip=5ms` is not", "`skip`");
        refused(parse_behind("catch_up=0s"), "in no time", "`skip`");
        refused(parse_behind("catch_up=20"), "`20` is not a duration", "`20ms`");
    }

    #[test]
    fn profiles_in_words() {
        let rate = |text| parse_rate(text).unwrap();
        let seconds = Duration::from_secs;
        let step = |text, duration| Step { rate: rate(text), duration: seconds(duration) };
        let burst = Burst {
            packets: 100,
            spacing: Spacing::Gap(Duration::from_nanos(200)),
            inter_burst_gap: Duration::from_millis(1),
            bursts: Some(10),
        };
        for (profile, shown) in [
            (Profile::Constant(rate("500kpps")), "500 kpps"),
            (
                Profile::Poisson { mean: rate("1kpps"), seed: Some(7) },
                "at random (Poisson), 1 kpps on average, seed 7",
            ),
            (
                Profile::Burst(burst),
                "10 bursts of 100 frames, 200ns apart, with 1ms between bursts",
            ),
            (
                Profile::Burst(Burst { packets: 1, spacing: Spacing::Link, bursts: None, ..burst }),
                "bursts of 1 frame, with 1ms between bursts",
            ),
            (
                Profile::Burst(Burst { spacing: Spacing::Rate(rate("317pps")), ..burst }),
                "10 bursts of 100 frames at 317 pps, with 1ms between bursts",
            ),
            (
                Profile::Burst(Burst { bursts: Some(1), ..burst }),
                "a burst of 100 frames, 200ns apart",
            ),
            (
                Profile::Ramp { from: rate("1kpps"), to: rate("1Mpps"), over: seconds(10) },
                "ramp from 1 kpps to 1 Mpps over 10s",
            ),
            (
                Profile::Steps { steps: vec![step("1kpps", 5), step("0pps", 1)], repeat: true },
                "steps: 1 kpps for 5s, 0 pps for 1s, over and over",
            ),
            (
                Profile::Steps { steps: vec![step("1%", 1); 6], repeat: false },
                "steps: 1 % for 1s, 1 % for 1s, 1 % for 1s, 1 % for 1s, … and 2 more",
            ),
            (
                Profile::Sine {
                    mean: rate("10Mbps"),
                    amplitude: rate("5Mbps"),
                    period: seconds(90),
                },
                "sine around 10 Mbps, up and down by 5 Mbps every 1m 30s",
            ),
            (
                Profile::Trace {
                    points: vec![
                        (seconds(0), rate("2kpps")),
                        (seconds(3), rate("500pps")),
                        (seconds(9), rate("1kpps")),
                    ],
                    repeat: true,
                },
                "trace of 3 points over 9s, 500 pps to 2 kpps, over and over",
            ),
        ] {
            assert_eq!(profile.to_string(), shown);
        }
    }
}
