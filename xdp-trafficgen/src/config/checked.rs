//! The constructors of [`Pattern`]s, which keep the invariants of that type.
//!
//! Parts come with their places, so that an error points at the part to change; the parts of one
//! command line option share its place.

use crate::{
    config::{
        Diagnostic, Located, Origin, Pattern,
        literal::{check_fits, show_value},
        pattern::Count,
    },
    packet::{FieldDef, FieldType},
};

/// The direction of a counting pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// [`Pattern::Increment`].
    Up,
    /// [`Pattern::Decrement`].
    Down,
}

/// [`Pattern::Value`].
///
/// # Errors
/// When the value does not fit the field.
pub fn value(field: &FieldDef, value: &Located<u128>) -> Result<Pattern, Diagnostic> {
    fitting(field, value).map(Pattern::Value)
}

/// [`Pattern::Values`]; `place` is that of the whole list.
///
/// # Errors
/// When the list is empty, or a value does not fit the field.
pub fn values(
    field: &FieldDef,
    values: Vec<Located<u128>>,
    place: &Origin,
) -> Result<Pattern, Diagnostic> {
    if values.is_empty() {
        return Err(Diagnostic::new(
            place,
            format!("the list of values of `{}` is empty", field.name),
        )
        .help("write at least one value, or leave the field out"));
    }
    for value in &values {
        fitting(field, value)?;
    }
    Ok(Pattern::Values(values))
}

/// [`Pattern::Increment`] or [`Pattern::Decrement`].
///
/// # Errors
/// When start or step do not fit the field, the count is 0, the step is 0 though there are several
/// values, or the values leave the field.
pub fn counting(
    field: &FieldDef,
    direction: Direction,
    start: &Located<u128>,
    step: &Located<u128>,
    count: &Located<u64>,
) -> Result<Pattern, Diagnostic> {
    let parts =
        Count { start: fitting(field, start)?, step: fitting(field, step)?, count: count.value };
    check_count(field, count)?;
    if parts.step == 0 && parts.count > 1 {
        return Err(Diagnostic::new(
            &step.place,
            format!(
                "`{}` counts {} values in steps of 0, which are all the same",
                field.name, parts.count
            ),
        )
        .help("write a step of at least 1, or give the field a single value"));
    }
    let room = match direction {
        Direction::Up => field.max() - parts.start,
        Direction::Down => parts.start,
    };
    let distance = parts.step.checked_mul(u128::from(parts.count - 1));
    if distance.is_none_or(|distance| distance > room) {
        let (direction_name, limit) = match direction {
            Direction::Up => {
                ("up", format!("above its largest value, {}", show_value(field, field.max())))
            }
            Direction::Down => {
                ("down", format!("below its smallest value, {}", show_value(field, 0)))
            }
        };
        let end = end_outside(field, direction, room, distance);
        return Err(Diagnostic::new(
            &count.place,
            format!(
                "`{}` counts {direction_name} from {} to {end}, {limit}",
                field.name,
                show_value(field, parts.start)
            ),
        )
        .help(format!("a count of at most {} stays within the field", room / parts.step + 1)));
    }
    Ok(match direction {
        Direction::Up => Pattern::Increment(parts),
        Direction::Down => Pattern::Decrement(parts),
    })
}

/// [`Pattern::Random`].
///
/// # Errors
/// When a limit does not fit the field, `min` is above `max`, or the count is 0.
pub fn random(
    field: &FieldDef,
    min: &Located<u128>,
    max: &Located<u128>,
    seed: Option<u64>,
    count: Option<&Located<u64>>,
) -> Result<Pattern, Diagnostic> {
    let (lowest, highest) = (fitting(field, min)?, fitting(field, max)?);
    if lowest > highest {
        let (shown_min, shown_max) = (show_value(field, lowest), show_value(field, highest));
        return Err(Diagnostic::new(
            &min.place,
            format!(
                "the smallest value of `{}`, {shown_min}, is above its largest, {shown_max}",
                field.name
            ),
        )
        .help("swap the two, or change one of them"));
    }
    if let Some(count) = count {
        check_count(field, count)?;
    }
    Ok(Pattern::Random { min: lowest, max: highest, seed, count: count.map(|count| count.value) })
}

fn check_count(field: &FieldDef, count: &Located<u64>) -> Result<(), Diagnostic> {
    if count.value == 0 {
        return Err(Diagnostic::new(&count.place, format!("`{}` counts 0 values", field.name))
            .help("write how many values it takes before it starts again, at least 1"));
    }
    Ok(())
}

fn fitting(field: &FieldDef, value: &Located<u128>) -> Result<u128, Diagnostic> {
    check_fits(field, value.value).map_err(|problem| problem.at(&value.place))
}

/// The error of a counting pattern that spans `distance`, more than the `room` of its field. The
/// distance is none when it exceeds 128 bits.
fn end_outside(
    field: &FieldDef,
    direction: Direction,
    room: u128,
    distance: Option<u128>,
) -> String {
    let Some(excess) = distance.map(|distance| distance - room) else {
        return "a number of more than 128 bits".to_owned();
    };
    match (field.kind, direction) {
        (FieldType::Number, Direction::Up) => field.max().saturating_add(excess).to_string(),
        (FieldType::Number, Direction::Down) => format!("-{excess}"),
        (_, Direction::Up) => format!("{} + {excess}", show_value(field, field.max())),
        (_, Direction::Down) => format!("{} - {excess}", show_value(field, 0)),
    }
}
