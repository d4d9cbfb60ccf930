//! Rates of ports and flows, and the late policy.

mod trace;

use std::{io, time::Duration};

use toml::de::DeValue;

use super::table::{Problems, Value};
use crate::config::{
    Diagnostic, LatePolicy, Located, Profile, Rate, RateUnit,
    literal::{Problem, parse_time},
    rate::{Burst, MAX_POINTS, Spacing, Step, above_the_line, catch_up, parse_behind, parse_rate},
};

const HELP: &str = "write `\"500kpps\"`, `\"10Gbps\"` or `\"40%\"`, or a table such as `{ poisson = \"100kpps\" }` or `{ ramp = { from = \"1kpps\", to = \"1Mpps\", over = \"10s\" } }`";

/// Reads the file with a name from the configuration.
pub type ReadFile<'a> = dyn Fn(&str) -> io::Result<String> + 'a;

/// Refuses every file: for configurations that stand alone.
///
/// # Errors
/// Always.
pub fn no_files(_: &str) -> io::Result<String> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this configuration has no folder to read files from",
    ))
}

/// State that the rates of a configuration share.
pub(super) struct Context<'a> {
    read: &'a ReadFile<'a>,
    /// The number of points and steps that may still follow.
    points_left: usize,
}

impl<'a> Context<'a> {
    pub(super) const fn new(read: &'a ReadFile<'a>) -> Self {
        Self { read, points_left: MAX_POINTS }
    }

    /// Subtracts points or steps from those that may follow.
    fn take(&mut self, points: usize) -> Result<(), Problem> {
        let left = self.points_left.checked_sub(points);
        self.points_left = left.ok_or_else(|| {
            Problem::new(
                format!("all traces and steps together have more than {MAX_POINTS} points"),
                "leave points out: between two of a trace the rate changes evenly",
            )
        })?;
        Ok(())
    }
}

/// The rate; none when there are errors, which are then among `problems`.
pub(super) fn rate(
    value: &Value<'_>,
    context: &mut Context<'_>,
    problems: &mut Problems,
) -> Option<Located<Profile>> {
    match value.value {
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) => {
            flowing(value, problems).map(|rate| value.located(Profile::Constant(rate)))
        }
        DeValue::Table(_) => table(value, context, problems).map(|profile| value.located(profile)),
        _ => {
            problems.push(value.mismatch("a string or a table", HELP));
            None
        }
    }
}

fn table(value: &Value<'_>, context: &mut Context<'_>, problems: &mut Problems) -> Option<Profile> {
    let mut table = problems.take(value.table("rate", HELP))?;
    // The key is known only where it is valid, so that `finish` reports it elsewhere.
    let repeat =
        if table.has("steps") || table.has("trace") { table.optional("repeat") } else { None };
    let forms = &["constant", "poisson", "burst", "ramp", "steps", "sine", "trace"];
    let form = table.one_of(forms, "this rate", problems)?;
    match form.key {
        "constant" => flowing(&form, problems).map(Profile::Constant),
        "poisson" => poisson(&form, problems),
        "burst" => burst(&form, problems),
        "ramp" => ramp(&form, problems),
        "sine" => sine(&form, problems),
        "steps" => {
            let (steps, repeat) = (steps(&form, context, problems), self::repeat(repeat, problems));
            Some(Profile::Steps { steps: steps?, repeat: repeat? })
        }
        _ => trace::trace(&form, repeat, context, problems),
    }
}

fn poisson(form: &Value<'_>, problems: &mut Problems) -> Option<Profile> {
    if !form.value.is_table() {
        return flowing(form, problems).map(|mean| Profile::Poisson { mean, seed: None });
    }
    let mut table = problems.take(form.table("Poisson rate", HELP))?;
    let (mean, seed) = (table.required("mean", "mean = \"100kpps\""), table.optional("seed"));
    table.finish(problems);
    let mean = mean.and_then(|mean| flowing(&mean, problems));
    let seed = super::optional(seed, |seed| problems.take(seed.integer(&(0..=u64::MAX))));
    Some(Profile::Poisson { mean: mean?, seed: seed?.map(|seed| seed.value) })
}

fn burst(form: &Value<'_>, problems: &mut Problems) -> Option<Profile> {
    const HELP: &str = "write `{ packets = 100, inter_burst_gap = \"1ms\" }`";
    let mut table = problems.take(form.table("burst", HELP))?;
    let (packets, gap, rate) =
        (table.required("packets", "packets = 100"), table.optional("gap"), table.optional("rate"));
    let inter_burst_gap = table.required("inter_burst_gap", "inter_burst_gap = \"1ms\"");
    let bursts = table.optional("bursts");
    table.finish(problems);
    let packets = packets.and_then(|packets| problems.take(packets.count()));
    if let (Some(_), Some(rate)) = (&gap, &rate) {
        let diagnostic = Diagnostic::new(&rate.place, "this burst has both a `gap` and a `rate`");
        problems.push(diagnostic.help("write one of them: the gap is the inverse of the rate"));
        return None;
    }
    let rate = super::optional(rate, |rate| flowing(&rate, problems));
    let gap = super::or_default(gap, Duration::ZERO, |gap| problems.take(time(&gap)));
    let inter_burst_gap = inter_burst_gap.and_then(|gap| problems.take(positive_time(&gap)));
    let bursts = super::optional(bursts, |bursts| problems.take(bursts.count()));
    let (packets, gap, inter_burst_gap) = (packets?.value, gap?.value, inter_burst_gap?);
    let length = gap.as_nanos().checked_mul(u128::from(packets - 1));
    let period = length.and_then(|length| length.checked_add(inter_burst_gap.as_nanos()));
    if period.is_none_or(|period| u64::try_from(period).is_err()) {
        let diagnostic = Diagnostic::new(
            &form.place,
            "from one of these bursts to the next are more than 584 years",
        );
        problems.push(diagnostic.help("make `packets` or the gaps smaller"));
        return None;
    }
    let spacing = match rate? {
        Some(rate) => Spacing::Rate(rate),
        None if gap.is_zero() => Spacing::Link,
        None => Spacing::Gap(gap),
    };
    Some(Profile::Burst(Burst {
        packets,
        spacing,
        inter_burst_gap,
        bursts: bursts?.map(|bursts| bursts.value),
    }))
}

fn ramp(form: &Value<'_>, problems: &mut Problems) -> Option<Profile> {
    let mut table = problems
        .take(form.table("ramp", "write `{ from = \"1kpps\", to = \"1Mpps\", over = \"10s\" }`"))?;
    let (from, to) =
        (table.required("from", "from = \"1kpps\""), table.required("to", "to = \"1Mpps\""));
    let over = table.required("over", "over = \"10s\"");
    table.finish(problems);
    let from = from.and_then(|from| literal(&from, problems));
    let to = to.and_then(|to| literal(&to, problems));
    let over = over.and_then(|over| problems.take(positive_time(&over)));
    let (from, to, over) = (from?, to?, over?);
    if from.is_zero() && to.is_zero() {
        problems.push(all_zero("this ramp").at(&form.place));
        return None;
    }
    Some(Profile::Ramp { from, to, over })
}

fn sine(form: &Value<'_>, problems: &mut Problems) -> Option<Profile> {
    let mut table =
        problems.take(form.table(
            "sine",
            "write `{ mean = \"10kpps\", amplitude = \"5kpps\", period = \"24h\" }`",
        ))?;
    let mean = table.required("mean", "mean = \"10kpps\"");
    let amplitude = table.required("amplitude", "amplitude = \"5kpps\"");
    let period = table.required("period", "period = \"24h\"");
    table.finish(problems);
    let mean = mean.and_then(|mean| flowing(&mean, problems));
    let amplitude = amplitude.and_then(|value| Some((literal(&value, problems)?, value.place)));
    let period = period.and_then(|period| problems.take(positive_time(&period)));
    let (mean, (amplitude, place), period) = (mean?, amplitude?, period?);
    let problem = if mean.unit != amplitude.unit {
        mixed_units(&mean, &amplitude)
    } else if amplitude.amount > mean.amount {
        let message =
            format!("around a mean of {mean}, an amplitude of {amplitude} leads below zero");
        Problem::new(message, format!("write at most {mean}"))
    } else if exceeds_the_line(&mean, &amplitude) {
        above_the_line(&format!("{mean} + {amplitude}"))
    } else {
        return Some(Profile::Sine { mean, amplitude, period });
    };
    problems.push(problem.at(&place));
    None
}

/// Whether these shares of the line rate are above all of it together.
fn exceeds_the_line(mean: &Rate, amplitude: &Rate) -> bool {
    let left = |rate: &Rate| rate.amount.denominator() - rate.amount.numerator();
    mean.unit == RateUnit::LineShare
        && amplitude.amount.numerator() * mean.amount.denominator()
            > left(mean) * amplitude.amount.denominator()
}

fn steps(
    form: &Value<'_>,
    context: &mut Context<'_>,
    problems: &mut Problems,
) -> Option<Vec<Step>> {
    const HELP: &str = "write each rate with its time: `[{ rate = \"1kpps\", duration = \"5s\" }, { rate = \"0pps\", duration = \"1s\" }]`";
    let elements = problems.take(form.elements(HELP))?;
    problems.take(context.take(elements.len()).map_err(|problem| problem.at(&form.place)))?;
    if elements.is_empty() {
        problems.push(Diagnostic::new(&form.place, "there are no steps").help(HELP));
        return None;
    }
    let mut step = |element: &Value<'_>| {
        let mut table = problems.take(element.table("step", HELP))?;
        let rate = table.required("rate", "rate = \"1kpps\"");
        let duration = table.required("duration", "duration = \"5s\"");
        table.finish(problems);
        let rate = rate.and_then(|rate| literal(&rate, problems));
        let duration = duration.and_then(|duration| problems.take(positive_time(&duration)));
        Some(Step { rate: rate?, duration: duration? })
    };
    // All steps are read before the first error ends the reading.
    let steps: Vec<_> = elements.iter().map(&mut step).collect();
    let steps: Vec<Step> = steps.into_iter().collect::<Option<_>>()?;
    let length: u128 = steps.iter().map(|step| step.duration.as_nanos()).sum();
    let problem = if u64::try_from(length).is_err() {
        Problem::new("these steps take more than 584 years", "write shorter ones")
    } else if steps.iter().all(|step| step.rate.is_zero()) {
        all_zero("these steps")
    } else {
        return Some(steps);
    };
    problems.push(problem.at(&form.place));
    None
}

/// The late policy of a port, whose key is `behind`.
pub(super) fn behind(value: &Value<'_>, problems: &mut Problems) -> Option<Located<LatePolicy>> {
    const HELP: &str = "write `\"catch_up\"`, `\"skip\"` or `{ catch_up = \"20ms\" }`";
    if !value.value.is_table() {
        return problems.take(value.parsed("a string or a table", HELP, parse_behind));
    }
    let mut table = problems.take(value.table("way to be behind", HELP))?;
    let time = table.required("catch_up", "catch_up = \"20ms\"");
    table.finish(problems);
    let time = time?;
    let parse = |text: &str| catch_up(parse_time(text)?);
    problems
        .take(time.parsed("a string", TIME_HELP, parse))
        .map(|behind| value.located(behind.value))
}

const TIME_HELP: &str = "write a number and its unit in quotes: `\"10s\"`, `\"500ns\"`";

/// A time, which may be zero.
pub(super) fn time(value: &Value<'_>) -> Result<Located<Duration>, Diagnostic> {
    value.parsed("a string", TIME_HELP, parse_time)
}

fn positive_time(value: &Value<'_>) -> Result<Duration, Diagnostic> {
    let time = time(value)?.value;
    if time.is_zero() {
        return Err(Diagnostic::new(&value.place, format!("`{}` is zero", value.key))
            .help("write a time above zero"));
    }
    Ok(time)
}

fn repeat(value: Option<Value<'_>>, problems: &mut Problems) -> Option<bool> {
    let Some(value) = value else { return Some(false) };
    let repeat = value.value.as_bool();
    if repeat.is_none() {
        problems.push(
            value.mismatch("a boolean", "write `true` to start again at the end, or leave it out"),
        );
    }
    repeat
}

/// A rate that is not zero.
fn flowing(value: &Value<'_>, problems: &mut Problems) -> Option<Rate> {
    let rate = literal(value, problems)?;
    if rate.is_zero() {
        let diagnostic = Diagnostic::new(&value.place, format!("a rate of {rate} sends nothing"));
        problems
            .push(diagnostic.help("write a rate above zero, or leave out what is not to be sent"));
        return None;
    }
    Some(rate)
}

/// A single rate, which may be zero.
fn literal(value: &Value<'_>, problems: &mut Problems) -> Option<Rate> {
    let unit =
        |number: &str| format!("write its unit, in quotes: `\"{number}pps\"` for frames a second");
    let help = match value.value {
        DeValue::Integer(integer) => unit(&integer.to_string()),
        DeValue::Float(float) => unit(&float.to_string()),
        _ => "write a number and its unit in quotes, such as `\"500kpps\"`".to_owned(),
    };
    problems.take(value.parsed("a string", &help, parse_rate)).map(|rate| rate.value)
}

fn all_zero(what: &str) -> Problem {
    Problem::new(
        format!("all rates of {what} are zero, so nothing is sent"),
        "write at least one above zero",
    )
}

fn mixed_units(first: &Rate, other: &Rate) -> Problem {
    Problem::new(
        format!("{first} and {other} are of different units"),
        "write all rates of a profile in one unit",
    )
}
