//! Rates and profiles as text, the way users write them.

use std::fmt;

use humantime::format_duration;

use super::{Burst, Profile, Rate, RateUnit, Spacing, Step, text::PREFIXES};

/// The rate as users write it: `500 kpps`, `1.5 Gbps`, `10 GbpsL1`, `12.5 %`.
impl fmt::Display for Rate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // With terms of 64 bits, no product below has more than 128.
        let amount = self.amount.within(u64::MAX.into());
        let (above, below) = (amount.numerator(), amount.denominator());
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

/// The number of digits after the point, from the first that is not zero, at which endless fractions
/// are cut: more than users write.
const PLACES: usize = 12;

/// Numerator and denominator, which is not zero, of a fraction that is shown as a decimal number, cut
/// after [`PLACES`].
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

/// The profile in one line: `ramp from 1 kpps to 1 Mpps over 10s`.
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

/// The number of steps that are shown before the list is cut.
const SHOWN: usize = 4;

const fn again(repeat: bool) -> &'static str {
    if repeat { ", over and over" } else { "" }
}
