//! Rates at points of time: in the configuration, or in a file of their own with a line for each.

use std::time::Duration;

use toml::de::DeValue;

use super::{Context, literal, mixed_units, repeat, time};
use crate::{
    config::{
        Diagnostic, Origin, Profile, Rate, RateUnit,
        file::table::{Problems, Value},
        literal::{Problem, parse_seconds, parse_time},
        rate::{Unit, parse_rate_in, parse_unit},
    },
    units::Ratio,
};

const HELP: &str = "write a file's name, `\"load.csv\"`, or the points themselves: `[[\"0s\", \"1kpps\"], [\"10s\", \"5kpps\"]]`";

/// The unit of numbers without one.
const FRAMES: Unit = Unit { unit: RateUnit::Frames, one: Ratio::ONE };

/// The number of wrong lines of a file that are reported one by one.
const LISTED: usize = 10;

/// A [`Profile::Trace`]. `beside` is the `repeat` beside the trace.
pub(super) fn trace(
    form: &Value<'_>,
    beside: Option<Value<'_>>,
    context: &mut Context<'_>,
    problems: &mut Problems,
) -> Option<Profile> {
    let (points, repeat_value) = match form.value {
        DeValue::Table(_) => {
            let mut table = problems.take(form.table("trace", HELP))?;
            let (file, unit) =
                (table.required("file", "file = \"load.csv\""), table.optional("unit"));
            let within = table.optional("repeat");
            table.finish(problems);
            if let (Some(_), Some(twice)) = (&within, &beside) {
                let diagnostic = Diagnostic::new(&twice.key_place, "`repeat` is there twice");
                problems.push(diagnostic.help("keep the one beside `file`"));
                return None;
            }
            let unit = match unit {
                Some(unit) => problems
                    .take(unit.parsed("a string", "write it in quotes: `\"kpps\"`", parse_unit))
                    .map(|unit| unit.value),
                None => Some(FRAMES),
            };
            let points =
                file.zip(unit).and_then(|(file, unit)| from_file(&file, unit, context, problems));
            (points, within.or(beside))
        }
        DeValue::Array(_) => (inline(form, context, problems), beside),
        DeValue::String(_) => (from_file(form, FRAMES, context, problems), beside),
        _ => {
            problems.push(form.mismatch("a string, an array or a table", HELP));
            return None;
        }
    };
    let repeat = repeat(repeat_value, problems);
    Some(Profile::Trace { points: points?, repeat: repeat? })
}

/// Points written in the configuration.
fn inline(
    form: &Value<'_>,
    context: &mut Context<'_>,
    problems: &mut Problems,
) -> Option<Vec<(Duration, Rate)>> {
    const HELP: &str = "write a time and a rate: `[\"10s\", \"5kpps\"]`";
    let elements = problems.take(form.elements(HELP))?;
    problems.take(context.take(elements.len()).map_err(|problem| problem.at(&form.place)))?;
    let mut points = Points::default();
    for element in &elements {
        let point = problems.take(element.elements(HELP)).and_then(|pair| match pair.as_slice() {
            [at, rate] => {
                let (at, rate) = (problems.take(time(at)), literal(rate, problems));
                Some((at?.value, rate?))
            }
            other => {
                let message = format!("a point of a trace has two parts, not {}", other.len());
                problems.push(Diagnostic::new(&element.place, message).help(HELP));
                None
            }
        });
        problems.take(points.add(point).map_err(|problem| problem.at(&element.place)));
    }
    points.all(&form.place, problems)
}

/// Points of the file with the name of `value`.
fn from_file(
    value: &Value<'_>,
    unit: Unit,
    context: &mut Context<'_>,
    problems: &mut Problems,
) -> Option<Vec<(Duration, Rate)>> {
    let name = problems.take(value.name())?.value;
    let at = |problem: Problem| problem.at(&value.place);
    let text = (context.read)(&name).map_err(|error| {
        let help = "a path starts at the folder of the configuration file, in `--rate` at the working directory";
        at(Problem::new(format!("cannot read `{name}`: {error}"), help))
    });
    let text = problems.take(text)?;
    let lines = (1..).zip(text.trim_start_matches(BYTE_ORDER_MARK).lines());
    let mut lines = lines
        .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
        .peekable();
    lines.next_if(|(_, line)| is_heading(line));
    let (mut points, mut wrong) = (Points::default(), 0);
    for (number, line) in lines {
        problems.take(context.take(1).map_err(at))?;
        let added = match point(line, unit) {
            Ok(point) => points.add(Some(point)),
            Err(problem) => points.add(None).and(Err(problem)),
        };
        if let Err(Problem { message, help }) = added {
            wrong += 1;
            if wrong <= LISTED {
                problems
                    .push(at(Problem::new(format!("line {number} of `{name}`: {message}"), help)));
            }
        }
    }
    if wrong > LISTED {
        let message = format!("{} more lines of `{name}` are wrong", wrong - LISTED);
        problems.push(at(Problem::new(message, LINE_HELP)));
    }
    points.all(&value.place, problems)
}

const LINE_HELP: &str =
    "write the time in seconds, a comma, and the rate: `0.5,1000` or `0.5,10kpps`";

/// Some programs write this mark before a text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// The texts between commas, without the quotes that some programs write around them. (Neither numbers
/// nor units have commas or quotes, so more of CSV is not needed.)
fn columns(line: &str) -> impl Iterator<Item = &str> {
    line.split(',').map(|column| column.trim().trim_matches('"').trim())
}

/// Whether the line has names of columns instead of numbers.
fn is_heading(line: &str) -> bool {
    columns(line).all(|column| column.starts_with(char::is_alphabetic))
}

/// The point of a line: `0.5,1000`, `0.5,10kpps`, `1m 30s,10kpps`.
fn point(line: &str, unit: Unit) -> Result<(Duration, Rate), Problem> {
    let columns: Vec<&str> = columns(line).collect();
    let [at, rate] = columns.as_slice() else {
        let noun = if columns.len() == 1 { "column" } else { "columns" };
        return Err(Problem::new(format!("{} {noun} instead of 2", columns.len()), LINE_HELP));
    };
    let at = if at.ends_with(char::is_alphabetic) { parse_time(at) } else { parse_seconds(at) };
    Ok((at?, parse_rate_in(rate, unit)?))
}

/// The points so far.
#[derive(Default)]
struct Points {
    list: Vec<(Duration, Rate)>,
    /// Whether some points could not be read, or are in a wrong order.
    is_wrong: bool,
}

impl Points {
    /// Adds a point, also a wrong one; none stands for a point that could not be read.
    fn add(&mut self, point: Option<(Duration, Rate)>) -> Result<(), Problem> {
        let Some((time, rate)) = point else {
            self.is_wrong = true;
            return Ok(());
        };
        let problem = match (self.list.first(), self.list.last()) {
            (None, _) if !time.is_zero() && !self.is_wrong => Some(Problem::new(
                "the first point is not at the start",
                "write a first point at 0 seconds",
            )),
            (_, Some((last, _))) if time <= *last => {
                let (time, last) =
                    (humantime::format_duration(time), humantime::format_duration(*last));
                let message =
                    format!("the time {time} is not behind that of the point before, {last}");
                Some(Problem::new(
                    message,
                    "write points in the order of time, each later than the one before",
                ))
            }
            (Some((_, first)), _) if first.unit != rate.unit => Some(mixed_units(first, &rate)),
            _ => None,
        };
        self.list.push((time, rate));
        problem.map_or(Ok(()), |problem| {
            self.is_wrong = true;
            Err(problem)
        })
    }

    /// All points; none when there are errors.
    fn all(self, place: &Origin, problems: &mut Problems) -> Option<Vec<(Duration, Rate)>> {
        if self.is_wrong {
            return None;
        }
        let problem = match self.list.as_slice() {
            [] => Problem::new("this trace has no points", HELP),
            [_] => {
                Problem::new("this trace has a single point", "write a second one, where it ends")
            }
            points if points.iter().all(|(_, rate)| rate.is_zero()) => {
                super::all_zero("this trace")
            }
            _ => return Some(self.list),
        };
        problems.push(problem.at(place));
        None
    }
}
