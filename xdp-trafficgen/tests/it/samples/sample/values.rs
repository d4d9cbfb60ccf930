//! The values that a pattern stands for, frame by frame, computed from the file's text.

use super::{integer, number};

/// A pattern.
pub(crate) struct Values {
    pub(crate) form: Form,
    /// Path of the leader, and whether the field advances in rounds.
    pub(crate) follow: Option<(String, bool)>,
}

pub(crate) enum Form {
    List(Vec<u128>),
    Count { start: u128, step: i128, count: u128 },
    Random { min: u128, max: Option<u128>, count: Option<u128> },
}

impl Values {
    pub(crate) fn read(value: &toml::Value) -> Self {
        let follow = value.get("follow").map(|follow| match follow.as_str() {
            Some(path) => (path.to_owned(), false),
            None => (
                follow["field"].as_str().unwrap().to_owned(),
                follow["pace"].as_str() == Some("round"),
            ),
        });
        let list = |values: &toml::Value| {
            Form::List(values.as_array().unwrap().iter().map(scalar).collect())
        };
        let form = match value {
            toml::Value::Array(_) => list(value),
            toml::Value::Table(table) => {
                let count = |form: &toml::Value, sign: i128| Form::Count {
                    start: scalar(&form["start"]),
                    step: sign
                        * form.get("step").map_or(1, |step| i128::try_from(scalar(step)).unwrap()),
                    count: integer(&form["count"]).into(),
                };
                match (
                    table.get("values"),
                    table.get("increment"),
                    table.get("decrement"),
                    table.get("random"),
                ) {
                    (Some(values), ..) => list(values),
                    (_, Some(form), ..) => count(form, 1),
                    (_, _, Some(form), _) => count(form, -1),
                    (.., Some(form)) => Form::Random {
                        min: form.get("min").map_or(0, scalar),
                        max: form.get("max").map(scalar),
                        count: form.get("count").map(|count| integer(count).into()),
                    },
                    _ => Form::List(vec![scalar(&table["value"])]),
                }
            }
            scalar_value => Form::List(vec![scalar(scalar_value)]),
        };
        Self { form, follow }
    }

    /// How many values there are before they repeat; none for random ones without end.
    pub(crate) fn count(&self) -> Option<u128> {
        match &self.form {
            Form::List(values) => Some(values.len() as u128),
            Form::Count { count, .. } => Some(*count),
            Form::Random { count, .. } => *count,
        }
    }

    /// The value with this index; none for random ones.
    pub(crate) fn at(&self, index: u128) -> Option<u128> {
        let index = index % self.count()?;
        match &self.form {
            Form::List(values) => Some(values[usize::try_from(index).unwrap()]),
            Form::Count { start, step, .. } => {
                Some(start.wrapping_add_signed(step * i128::try_from(index).unwrap()))
            }
            Form::Random { .. } => None,
        }
    }
}

fn scalar(value: &toml::Value) -> u128 {
    match value {
        toml::Value::String(text) => number(text),
        value => integer(value).into(),
    }
}
