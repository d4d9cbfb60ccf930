//! A field's pattern.

use toml::de::DeValue;

use super::{
    follow::{self, Follower},
    table::{Problems, Table, Value},
};
use crate::{
    config::{
        Diagnostic, Located, Pattern,
        checked::{self, Direction},
        literal::{check_fits, parse_step, parse_value},
    },
    packet::{FieldDef, FieldType},
};

/// A pattern, and the value of its `follow`.
pub(super) type Read = (Option<Located<Pattern>>, Option<Follower>);

/// The pattern of an entry. Parts that cannot be read are none, and the errors are then among
/// `problems`.
pub(super) fn pattern(field: &FieldDef, entry: &Value<'_>, problems: &mut Problems) -> Read {
    let pattern = match entry.value {
        DeValue::Array(_) => values(field, entry, problems),
        DeValue::Table(_) => {
            let table = problems.take(entry.table("pattern", ""));
            return table
                .map_or((None, None), |table| pattern_table(field, entry, table, problems));
        }
        _ => value(field, entry, problems),
    };
    (pattern.map(|pattern| entry.located(pattern)), None)
}

/// As [`pattern`], for a table whose other keys have been read.
pub(super) fn pattern_table(
    field: &FieldDef,
    entry: &Value<'_>,
    mut table: Table<'_>,
    problems: &mut Problems,
) -> Read {
    let follower = table.optional("follow").and_then(|value| follow::follower(&value, problems));
    let what = format!("the pattern of `{}`", field.name);
    let form =
        table.one_of(&["value", "values", "increment", "decrement", "random"], &what, problems);
    let pattern = form.and_then(|form| match form.key {
        "value" => value(field, &form, problems),
        "values" => values(field, &form, problems),
        "increment" => counting(field, Direction::Up, &form, problems),
        "decrement" => counting(field, Direction::Down, &form, problems),
        _ => random(field, &form, problems),
    });
    (pattern.map(|pattern| entry.located(pattern)), follower)
}

fn value(field: &FieldDef, entry: &Value<'_>, problems: &mut Problems) -> Option<Pattern> {
    let value = problems.take(scalar(field, entry))?;
    problems.take(checked::value(field, &value))
}

fn values(field: &FieldDef, entry: &Value<'_>, problems: &mut Problems) -> Option<Pattern> {
    let elements = problems.take(entry.elements("write the values in brackets"))?;
    let values: Vec<_> =
        elements.iter().map(|element| problems.take(scalar(field, element))).collect();
    problems.take(checked::values(field, values.into_iter().collect::<Option<_>>()?, &entry.place))
}

fn counting(
    field: &FieldDef,
    direction: Direction,
    entry: &Value<'_>,
    problems: &mut Problems,
) -> Option<Pattern> {
    let mut table = problems
        .take(entry.table("counting pattern", "write `{ start = 1, step = 1, count = 10 }`"))?;
    let start = table.required("start", start_example(field));
    let step_value = table.optional("step");
    let count = table.required("count", "count = 10");
    table.finish(problems);
    let start = start.and_then(|start| problems.take(scalar(field, &start)));
    let step = match step_value {
        Some(value) => problems.take(step(field, &value)),
        None => Some(Located::default(1)),
    };
    let count = count.and_then(|count| problems.take(count.integer(&(0..=u64::MAX))));
    problems.take(checked::counting(field, direction, &start?, &step?, &count?))
}

fn random(field: &FieldDef, entry: &Value<'_>, problems: &mut Problems) -> Option<Pattern> {
    let mut table = problems
        .take(entry.table("random pattern", "write `{}`, or `{ min = …, max = …, seed = … }`"))?;
    let (min, max) = (table.optional("min"), table.optional("max"));
    let (seed, count) = (table.optional("seed"), table.optional("count"));
    table.finish(problems);
    let mut limit = |value: Option<Value<'_>>, default: u128| match value {
        Some(value) => problems.take(scalar(field, &value)),
        None => Some(Located::default(default)),
    };
    let (min, max) = (limit(min, 0), limit(max, field.max()));
    // `Some(None)` for an absent number, `None` for a wrong one.
    let mut number = |value: Option<Value<'_>>| match value {
        Some(value) => problems.take(value.integer(&(0..=u64::MAX))).map(Some),
        None => Some(None),
    };
    let (seed, count) = (number(seed), number(count));
    problems.take(checked::random(
        field,
        &min?,
        &max?,
        seed?.map(|seed| seed.value),
        count?.as_ref(),
    ))
}

/// One value of a field.
fn scalar(field: &FieldDef, value: &Value<'_>) -> Result<Located<u128>, Diagnostic> {
    let (wanted, help) = match field.kind {
        FieldType::Number => ("a number", "write a number, such as `53` or `0x35`"),
        FieldType::Mac => ("a MAC address", "write it in quotes: `\"02:00:00:00:00:01\"`"),
        FieldType::Ipv4 => ("an IPv4 address", "write it in quotes: `\"192.0.2.1\"`"),
        FieldType::Ipv6 => ("an IPv6 address", "write it in quotes: `\"2001:db8::1\"`"),
    };
    match (field.kind, value.value) {
        (FieldType::Number, DeValue::Integer(_)) => fitting(field, value),
        _ => value.parsed(wanted, help, |text| parse_value(field, text)),
    }
}

/// The distance of two values of a field.
fn step(field: &FieldDef, value: &Value<'_>) -> Result<Located<u128>, Diagnostic> {
    match value.value {
        DeValue::Integer(_) => fitting(field, value),
        _ => {
            value.parsed("a number", "write a number, such as `1`", |text| parse_step(field, text))
        }
    }
}

fn fitting(field: &FieldDef, value: &Value<'_>) -> Result<Located<u128>, Diagnostic> {
    let number = value.unsigned()?;
    check_fits(field, number)
        .map(|number| value.located(number))
        .map_err(|problem| problem.at(&value.place))
}

const fn start_example(field: &FieldDef) -> &'static str {
    match field.kind {
        FieldType::Number => "start = 1",
        FieldType::Mac => "start = \"02:00:00:00:00:01\"",
        FieldType::Ipv4 => "start = \"192.0.2.1\"",
        FieldType::Ipv6 => "start = \"2001:db8::1\"",
    }
}
